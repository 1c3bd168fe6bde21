"""A published forecast as data, and the reading of its JSON form: pure.

Law 1: a gap stays a gap (None); it never becomes zero.
Law 2: nothing issued after the present instant is ever seen.
Law 3: an absurd value condemns its series. A feed that mixes up EUR/MWh and EUR/kWh must not plan anybody's day.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NoReturn

SCHEMA_VERSION = 1
BELIEVABLE: Mapping[str, tuple[float, float]] = {
    "EUR/kWh": (-5.0, 5.0),
    "kg/kWh": (0.0, 3.0),
    "degC": (-60.0, 60.0),
    "W/m2": (0.0, 1600.0),
    "m/s": (0.0, 100.0),
    "kW": (-1e6, 1e6),
}
"""Canonical unit -> least and greatest value that a feed may publish."""


class FeedError(Exception):
    """A feed gave nothing usable: the message names the feed, what is wrong, and what was expected."""


@dataclass(frozen=True, slots=True)
class ForecastSeries:
    """One published forecast.

    Args:
        point: what is foreseen, for example `price`.
        unit: canonical unit of the values.
        issued_at: UTC instant at which it was published.
        valid_from: UTC start of the first step.
        step_s: length of a step [s].
        values: one value a step [unit]; None where nothing was published.
        quantiles: probability -> values, where the publisher tells more than one expectation.
        source: who published it.
        version: which edition of it.
    """

    point: str
    unit: str
    issued_at: datetime
    valid_from: datetime
    step_s: float
    values: tuple[float | None, ...]
    quantiles: Mapping[float, tuple[float | None, ...]] = field(default_factory=dict)
    source: str = ""
    version: str = ""


def parse_feed(text: str, name: str) -> list[ForecastSeries]:
    """Read a feed's JSON text; raises `FeedError`, which names the feed and the place."""
    try:
        return parse_document(json.loads(text, parse_constant=_refuse_constant), name)
    except ValueError as error:
        raise FeedError(f"{name}: not JSON: {error}") from error


def parse_document(document: object, name: str = "feed") -> list[ForecastSeries]:
    """Read a feed's document, already out of its JSON; raises `FeedError`, which names the feed and the place."""
    if not isinstance(document, Mapping) or document.get("schema_version") != SCHEMA_VERSION:
        raise FeedError(f"{name}: expected an object with schema_version {SCHEMA_VERSION}")
    found = []
    for number, entry in enumerate(document.get("series", ())):
        try:
            found.append(_series(entry))
        except KeyError as error:
            raise FeedError(f"{name}: series {number}: {error.args[0]} is missing") from error
        except (TypeError, ValueError, AttributeError) as error:
            raise FeedError(f"{name}: series {number}: {error}") from error
    return found


def newest(series: Iterable[ForecastSeries], now: datetime) -> list[ForecastSeries]:
    """Keep the newest issue of each point, nothing issued after `now` counting."""
    known: dict[str, ForecastSeries] = {}
    for each in series:
        older = known.get(each.point)
        if each.issued_at <= now and (older is None or older.issued_at < each.issued_at):
            known[each.point] = each
    return list(known.values())


def _series(entry: Mapping[str, Any]) -> ForecastSeries:
    unit, step_s = entry["unit"], float(entry["step_s"])
    if unit not in BELIEVABLE:
        raise ValueError(f"unit {unit!r} is not known; expected one of {', '.join(BELIEVABLE)}")
    if not 0 < step_s <= 86400:
        raise ValueError(f"step_s is {step_s:g}; expected more than 0 and at most a day")
    quantiles = {float(key): _values(each, unit) for key, each in entry.get("quantiles", {}).items()}
    return ForecastSeries(
        str(entry["point"]),
        unit,
        _instant(entry["issued_at"]),
        _instant(entry["valid_from"]),
        step_s,
        _values(entry["values"], unit),
        quantiles,
        str(entry.get("source", "")),
        str(entry.get("version", "")),
    )


def _values(values: Iterable[Any], unit: str) -> tuple[float | None, ...]:
    return tuple(None if value is None else _believable(value, index, unit) for index, value in enumerate(values))


def _believable(value: Any, index: int, unit: str) -> float:
    low, high = BELIEVABLE[unit]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"values[{index}] is {value!r}; expected a number or null")
    if not math.isfinite(value) or not low <= value <= high:
        raise ValueError(f"values[{index}] is {value:g} {unit}; believable is {low:g} to {high:g}")
    return float(value)


def _instant(text: Any) -> datetime:
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone; write UTC with a Z")
    return instant.astimezone(UTC)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")
