"""What errors of the daemon's own forecasts cost: plans by what it foresaw, carried out on what came, from its records.

The figures are those of `ems/study/error_cost.py`; here every forecast is one that was issued and kept. A plant of
which none is kept is taken to have been known, and so are prices and carbon intensity.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from ems.config.assets import PvAsset
from ems.config.binding import bind
from ems.config.site import Site
from ems.slow.forecast_record import QUARTERS, Judged, quarters_s
from ems.slow.foreseen_kinds import CARBON, PRICE
from ems.slow.planning_setup import history_path
from ems.store.journal import FILE, records_since
from ems.store.reader import read_means
from ems.study.bench import Period
from ems.study.error_cost import MARKET, OLDEST_H, PERFECT, Foresee, Tried, error_costs
from ems.study.past_series import PastSeries
from ems.study.skill import REFERENCE, SERVED, Replayed
from optimization.forecast.ladder import Served
from optimization.forecast.past import DAY_S, QUARTER_S, Past, epoch_s
from optimization.slots import Floats

DAYS = 7
HOUR_S = 3600.0
AHEAD_KNOWN = 8 * 96
"""So many quarter-hours a price is told for; of days nothing may be published."""
LOOK_BACK = timedelta(days=DAYS + 3)
"""Records so far back tell of the last days and of what is foreseen for the day after them."""

Kept = Mapping[str, Sequence[Judged]]
"""What was issued, in order, by load."""


def kept_costs(site: Site, state: Path, kept: Kept, progress: Callable[[float], None]) -> dict[str, Any] | None:
    """Plan and carry out the last days by what was foreseen of everything, of each series alone, and by what came.

    Returns:
        `from` and `to`, and `ways`: by `persistence`, `served`, `perfect` and by each series, for which the others were
        known, `cost` and `error_cost` [currency]. None for a site without a battery or prices, or with too few days.

    Raises:
        CommandError: no plan can be made.
        StoreError: the state folder cannot be read.
    """
    market = {name: issues for name, issues in kept.items() if name in MARKET and _counts(name, site)}
    kept = {name: issues for name, issues in kept.items() if name not in MARKET}
    period = common_period(kept)
    if period is None:
        return None
    beyond = period.end + timedelta(seconds=DAY_S)
    plants = _plants(site, state, period.start, beyond)
    series = {name: PastSeries("kW", _came(issues)) for name, issues in kept.items()}
    series |= {name: PastSeries("kW", past) for name, past in plants.items()}
    told = {point: _published(state, point, period) for point in (PRICE, *market)}
    series |= {point: PastSeries("", past) for point, past in told.items() if past.at_s.size}
    replayed = {name: Replayed((), np.empty(0)) for name in plants}
    replayed |= {name: Replayed(tuple(_served(each) for each in issues), np.empty(0)) for name, issues in kept.items()}
    replayed |= {
        name: Replayed(tuple(_told_ahead(each, told[name]) for each in issues), np.empty(0))
        for name, issues in market.items()
        if told[name].at_s.size and min(_known_s(each) for each in issues) <= epoch_s(period.start)
    }
    tried = Tried(site, series, replayed)
    wrong = [*kept, *(name for name in market if name in replayed)]
    found = error_costs(tried, period, progress, ways=_ways(tried, wrong))
    return None if found is None else {"from": period.start, "to": period.end, "ways": found}


def common_period(kept: Kept) -> Period | None:
    """Give the newest whole hours, at most `DAYS` days, in which every load has a young issue and what came is known.

    None where there is no such hour.
    """
    firsts = [np.array([each.first_s for each in issues]) for issues in kept.values()]
    known_s = [max((f for each in issues for f in each.came), default=-np.inf) for issues in kept.values()]
    if not firsts or min(known_s) == -np.inf:
        return None
    end_s = np.floor((min(known_s) + QUARTERS * QUARTER_S - DAY_S) / HOUR_S) * HOUR_S
    start_s = end_s
    while start_s > end_s - DAYS * DAY_S and all(_is_young(each, start_s - HOUR_S) for each in firsts):
        start_s -= HOUR_S
    if start_s == end_s:
        return None
    return Period(datetime.fromtimestamp(start_s, UTC), datetime.fromtimestamp(end_s, UTC))


def _is_young(firsts: np.ndarray[Any, np.dtype[np.float64]], now_s: float) -> bool:
    ages = now_s - firsts[firsts <= now_s]
    return bool(ages.size) and float(ages.min()) <= OLDEST_H * HOUR_S


def _counts(name: str, site: Site) -> bool:
    """Tell whether an error of a series can cost anything."""
    return name != CARBON or site.file.planning.carbon_price_per_kg > 0.0


def _ways(tried: Tried, names: Sequence[str]) -> dict[str, Foresee]:
    def by(method: str, wrong: Sequence[str]) -> Foresee:
        return lambda name, now_s: tried.told(name, method, now_s) if name in wrong else tried.came(name, now_s)

    return {
        REFERENCE: by(REFERENCE, names),
        SERVED: by(SERVED, names),
        **({name: by(SERVED, (name,)) for name in names} if len(names) > 1 else {}),
        PERFECT: tried.came,
    }


def _served(judged: Judged) -> Served:
    """Give an issue as a study has them; its instant is the start of its first quarter-hour."""
    value, reference = (np.tile(kw, (3, 1)) for kw in (judged.served, judged.reference))
    method = judged.standing.choice.method
    return Served(
        judged.first_s, quarters_s(judged.first_s), judged.levels, value, (method,) * QUARTERS, method,
        np.zeros(QUARTERS, dtype=np.bool_), judged.silent, {REFERENCE: reference},
    )  # fmt: skip


def _known_s(judged: Judged) -> float:
    """Give the quarter-hour after an issue [s since 1970]; of a price it lies before what the issue is about."""
    return float(np.ceil((judged.first_s if judged.at_s is None else judged.at_s) / QUARTER_S) * QUARTER_S)


def _told_ahead(judged: Judged, published: Past) -> Served:
    """Give a price as it was known at an issue: as published up to its first quarter-hour, then as foreseen."""
    known_s = _known_s(judged)
    at_s: Floats = np.asarray(known_s + QUARTER_S * np.arange(AHEAD_KNOWN), dtype=np.float64)
    place = np.clip(np.floor_divide(at_s - judged.first_s, QUARTER_S).astype(np.int64), 0, QUARTERS - 1)
    came = published.at(at_s + 1.0)
    each = (np.where(at_s < judged.first_s, came, told[place]) for told in (judged.served, judged.reference))
    value, reference = (np.tile(known, (3, 1)) for known in each)
    method, count = judged.standing.choice.method, len(at_s)
    return Served(
        known_s, at_s + QUARTER_S / 2.0, judged.levels, value, (method,) * count, method,
        np.zeros(count, dtype=np.bool_), judged.silent, {REFERENCE: reference},
    )  # fmt: skip


def _came(issues: Sequence[Judged]) -> Past:
    """Lay what came after all issues in order, each quarter-hour once."""
    told = {first_s: kw for each in issues for first_s, kw in each.came.items()}
    return _laid([(first_s + QUARTER_S * np.arange(QUARTERS), kw) for first_s, kw in sorted(told.items())])


def _laid(parts: Sequence[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]) -> Past:
    found: dict[float, float] = {}
    for at_s, value in parts:
        found |= {at: v for at, v in zip(at_s.tolist(), value.tolist(), strict=True) if np.isfinite(v)}
    at = sorted(found)
    return Past(np.array(at, dtype=float), np.array([found[each] for each in at], dtype=float), QUARTER_S)


def _published(state: Path, point: str, period: Period) -> Past:
    """Give what was published of a series; of several issues of a quarter-hour the last one."""
    parts = []
    for record in records_since(state / FILE, "factor", period.start - timedelta(days=2)):
        body = record.body
        if body["point"] == point:
            value = np.array([np.nan if v is None else v for v in body["values"]], dtype=float)
            pieces = max(1, round(body["step_s"] / QUARTER_S))
            first_s = epoch_s(datetime.fromisoformat(body["valid_from"]))
            parts.append((first_s + QUARTER_S * np.arange(len(value) * pieces), np.repeat(value, pieces)))
    return _laid(parts)


def _plants(site: Site, state: Path, start: datetime, end: datetime) -> dict[str, Past]:
    """Give what each PV plant generated [kW]; what nobody measured counts as none, for all ways alike."""
    bindings = bind(site)
    points = {n: bindings.measure(n, "power_kw") for n, s in site.file.assets.items() if isinstance(s, PvAsset)}
    known = {name: point for name, point in points.items() if point is not None}
    if not known:
        return {}
    at_s, means = read_means(history_path(state), list(known.values()), start, end, QUARTER_S)
    every_s = np.arange(epoch_s(start), epoch_s(end), QUARTER_S)
    read = {name: Past(at_s, -means[:, i], QUARTER_S) for i, name in enumerate(known)}
    return {name: Past(every_s, np.nan_to_num(past.at(every_s + 1.0)), QUARTER_S) for name, past in read.items()}
