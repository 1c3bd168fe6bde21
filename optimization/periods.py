"""What is charged over a period longer than a slot: the demand of a month, the carbon of a week. Numpy only.

    peak[m] >= free[m],   peak[m] >= begun + sum over slots t of share[i, t] * import[t]     for each interval i of m
    cost = price_per_kw * (peak[m] - free[m])
    sum over slots t of kg[w, t] * import[t] + burnt[w, t] - excess[w] <= left[w],   cost = price_per_kg * excess[w]

Symbols: share the part of metering interval i that slot t fills, begun [kW] what was imported in the running interval
before the horizon over its whole length, kg [kg/kW] carbon intensity times hours within week w, burnt [kg] what boilers
and generating sets emit there.

Row s looks at the metering interval in which slot s begins, if no other slot begins in it before; row n + s looks at
the mean of slot s, if the slot is as long as an interval. So every interval is looked at, and the rows have the same
shape wherever in an interval the horizon begins.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta, tzinfo

import numpy as np
from numpy.typing import NDArray

from optimization.faults import array, number
from optimization.problem import CarbonBudget, DemandTerms, SlidingDemand, TariffSeries
from optimization.sliding import Reach, sliding_faults
from optimization.slots import Floats, Ints, Slots

WEEK_S = 7 * 86400.0
SHORTEST_MONTH_S = 28 * 86400.0 - 3600.0
SHORTEST_WEEK_S = WEEK_S - 3600.0


def reach(slots: Slots, interval_s: float) -> Reach:
    """Name the slots that each row may look at, as (row, slot) in order."""
    n = len(slots)
    step_s = float(slots.duration_s[1:].min()) if n > 1 else interval_s
    after = max(0, int(np.ceil(interval_s / step_s - 1e-9)) - 1)
    if slots.parent[0] >= 0:  # a ring looks the same from each of its slots
        rows = [sorted({t % n for t in range(s - 1, s + after + 2)}) for s in range(n)]
    else:
        rows = [list(range(max(0, s - 1), min(n, s + after + 1 + (s == 0)))) for s in range(n)]
    return (*((s, t) for s, row in enumerate(rows) for t in row), *((n + s, s) for s in range(n)))


def shares(slots: Slots, interval_s: float, pairs: Reach) -> tuple[Floats, NDArray[np.bool_]]:
    """Give the part of each row's interval that its slots fill, shape (pairs,), and which rows count, shape (2n,)."""
    n, start_s = len(slots), slots.start.timestamp() + slots.offset_s
    end_s, long = start_s + slots.duration_s, slots.duration_s >= interval_s - 1e-6
    begins_s = np.floor(start_s / interval_s + 1e-9) * interval_s
    only_one = long & (start_s - begins_s < 1e-6)
    only_one[0] = False
    first = np.append(True, np.diff(begins_s) > 0.5) & ~only_one
    row, slot = (np.array(side) for side in zip(*pairs, strict=True))
    first_s = begins_s[row % n]
    overlap_s = np.minimum(end_s[slot], first_s + interval_s) - np.maximum(start_s[slot], first_s)
    share = np.where(row >= n, 1.0, np.clip(overlap_s / interval_s, 0.0, 1.0))
    counts = np.append(first, long)
    return np.where(counts[row], share, 0.0), counts


def demand_coefficients(demand: DemandTerms, slots: Slots, pairs: Reach) -> dict[str, Floats]:
    """Derive the numbers of the demand rows."""
    share, counts = shares(slots, demand.interval_s, pairs)
    begun = np.zeros(2 * len(slots))
    looked_at = np.tile(demand.month, 2) >= 0
    if not looked_at.all():
        share = np.where(looked_at[[row for row, _ in pairs]], share, 0.0)
    begun[0] = looked_at[0] * demand.begun_kwh / (demand.interval_s / 3600.0)
    of_month = (np.tile(demand.month, 2)[:, None] == np.arange(len(demand.free_kw))) & counts[:, None]
    price = np.full(len(demand.free_kw), demand.price_per_kw)
    return {
        "peak_free_kw": demand.free_kw,
        "peak_cost": price,
        "peak_free_cost": price * demand.free_kw,
        "peak_of_month": of_month.astype(float),
        "demand_share": share,
        "demand_begun_kw": begun,
    }


def carbon_coefficients(
    budget: CarbonBudget, slots: Slots, tariff: TariffSeries, fuels_kg: Sequence[tuple[float, float]]
) -> dict[str, Floats]:
    """Derive the numbers of the budget rows, with what each burner emits by the kWh and by the hour [kg]."""
    hours = budget.share * slots.duration_h
    fuels = np.array(fuels_kg).reshape(-1, 2, 1, 1) * hours
    burnt = {"fuel_kg_per_kw": fuels[:, 0], "fuel_kg_running": fuels[:, 1]} if len(fuels) else {}
    return burnt | {
        "carbon_kg_per_kw": hours * tariff.carbon_kg_per_kwh,
        "carbon_left_kg": budget.left_kg,
        "carbon_excess_cost": np.full(len(budget.left_kg), budget.price_per_kg),
    }


def demand_faults(name: str, demand: DemandTerms | SlidingDemand | None, n: int) -> Iterator[str]:
    """Say what is wrong with the numbers of a demand charge that looks at every slot."""
    if demand is None:
        return
    if isinstance(demand, SlidingDemand):
        yield from sliding_faults(name, demand, n)
        return
    yield from number(f"{name}.price_per_kw", demand.price_per_kw, low=0.0)
    yield from number(f"{name}.interval_s", demand.interval_s, above=0.0)
    yield from number(f"{name}.begun_kwh", demand.begun_kwh, low=0.0)
    months = len(demand.free_kw)
    yield from array(f"{name}.free_kw", demand.free_kw, months, not_negative=True)
    if np.shape(demand.month) != (n,) or not ((demand.month >= 0) & (demand.month < months)).all():
        yield f"{name}.month: must name one of {months} months for each of {n} slots; make it by month_of_slots"


def months_within(horizon_s: float) -> int:
    """Count the calendar months that a horizon so long may touch, wherever it begins."""
    return 2 + int(horizon_s // SHORTEST_MONTH_S)


def weeks_within(horizon_s: float) -> int:
    """Count the local weeks likewise."""
    return 2 + int(horizon_s // SHORTEST_WEEK_S)


def month_start(at: datetime, zone: tzinfo, later: int = 0) -> datetime:
    """Give the UTC start of the local calendar month that holds an instant, or of one so many months later."""
    local = at.astimezone(zone)
    month = local.year * 12 + local.month - 1 + later
    return datetime(month // 12, month % 12 + 1, 1, tzinfo=zone).astimezone(UTC)


def week_start(at: datetime, zone: tzinfo, later: int = 0) -> datetime:
    """Give the UTC start of the local week (Monday 00:00) that holds an instant, or of one so many weeks later."""
    local = at.astimezone(zone)
    monday = local.date() + timedelta(days=7 * later - local.weekday())
    return datetime(monday.year, monday.month, monday.day, tzinfo=zone).astimezone(UTC)


def month_of_slots(slots: Slots, zone: tzinfo, months: int) -> Ints:
    """Give the local calendar month in which each slot begins, counted from that of the first, shape (n,)."""
    borders = [month_start(slots.start, zone, k).timestamp() for k in range(1, months)]
    return np.searchsorted(borders, slots.start.timestamp() + slots.offset_s + 1e-6, side="right")


def week_shares(slots: Slots, zone: tzinfo, weeks: int) -> Floats:
    """Give the part of each slot that lies in each local week from that of the first slot on, shape (weeks, n)."""
    borders = np.array([week_start(slots.start, zone, k).timestamp() for k in range(weeks + 1)])[:, None]
    start_s = slots.start.timestamp() + slots.offset_s
    inside_s = np.minimum(borders[1:], start_s + slots.duration_s) - np.maximum(borders[:-1], start_s)
    share: Floats = np.clip(inside_s / slots.duration_s, 0.0, 1.0)
    return share
