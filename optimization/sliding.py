"""Demand charges whose metering interval slides: one begins every `every_s`, each as long as `interval_s`. Numpy only.

    mean[t] = (begun[t] + sum over slots s of h * |slot s within [t, t + T)| * import[s]) / T
    peak[m] >= free[m],   peak[m] >= mean[t]     for each t on multiples of `every_s` that counts to month m
    cost = price_per_kw * (peak[m] - free[m])

Symbols: T the metering interval, t its begin, begun [kWh] what was imported in it before the horizon. An interval
counts to the month and the window in which it begins, as on the bill.

Import is constant within a slot, so mean[t] is piecewise linear in t: between two multiples at which t or t + T passes
a border of slots it is nowhere higher than at both. So a slot needs three rows and not one for each t: the interval
that begins with it, the last one that begins in it, and the one that ends with it; and one row for each interval that
runs when the horizon begins. Where borders are no multiples of `every_s`, rows stand on the borders themselves, which
asks for a little more than the meter does. An interval that outlasts the horizon is the next plan's, unless it runs
already. Own derivation; the rows are those of `optimization.periods_block`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from optimization.charge_terms import SlidingDemand
from optimization.faults import array, number
from optimization.slots import Floats, Ints, Slots

Reach = tuple[tuple[int, int], ...]
NEAR_S = 1e-6


def running_starts_s(start_s: float, interval_s: float, every_s: float) -> Floats:
    """Give the begins of the intervals that may run at an instant [s since 1970], the latest first, shape (T / every,).

    The last one has just ended where the instant is a multiple of `every_s` itself.
    """
    latest = np.ceil(start_s / every_s - NEAR_S) * every_s
    return np.asarray(latest - every_s * np.arange(1, round(interval_s / every_s) + 1))


def row_count(n: int, demand: SlidingDemand) -> int:
    """Count the rows of a demand charge over n slots."""
    return 3 * n + len(demand.begun_kwh)


def sliding_reach(slots: Slots, demand: SlidingDemand) -> Reach:
    """Name the slots that each row may look at, as (row, slot) in order, wherever in an interval the horizon begins."""
    n = len(slots)
    step_s = float(slots.duration_s[1:].min()) if n > 1 else demand.interval_s
    after = int(np.ceil(demand.interval_s / step_s - 1e-9)) + 1
    ahead = [range(s, min(n, s + after + 1)) for s in range(n)]
    back = [range(max(0, s - after), s + 1) for s in range(n)]
    running = [range(min(n, after + 1))] * len(demand.begun_kwh)
    return tuple((row, s) for row, of in enumerate((*ahead, *ahead, *back, *running)) for s in of)


def sliding_coefficients(demand: SlidingDemand, slots: Slots, pairs: Reach) -> dict[str, Floats]:
    """Derive the numbers of the demand rows."""
    at_s, counts, month = _rows(demand, slots)
    start_s = slots.start.timestamp() + slots.offset_s
    row, slot = (np.array(side) for side in zip(*pairs, strict=True))
    inside_s = np.minimum(start_s[slot] + slots.duration_s[slot], at_s[row] + demand.interval_s)
    share = np.clip((inside_s - np.maximum(start_s[slot], at_s[row])) / demand.interval_s, 0.0, 1.0)
    begun = np.zeros(len(at_s))
    begun[3 * len(slots) :] = demand.begun_kwh / (demand.interval_s / 3600.0)
    price = np.full(len(demand.free_kw), demand.price_per_kw)
    of_month = (month[:, None] == np.arange(len(demand.free_kw))) & counts[:, None]
    looked_at = of_month.any(axis=1)
    return {
        "peak_free_kw": demand.free_kw,
        "peak_cost": price,
        "peak_free_cost": price * demand.free_kw,
        "peak_of_month": of_month.astype(float),
        "demand_share": np.where(looked_at[row], share, 0.0),
        "demand_begun_kw": np.where(looked_at, begun, 0.0),
    }


def _rows(demand: SlidingDemand, slots: Slots) -> tuple[Floats, np.ndarray, Ints]:
    """Give the begin of the interval of each row [s since 1970], whether it counts, and its month."""
    n, every_s = len(slots), demand.every_s
    start_s = slots.start.timestamp() + slots.offset_s
    end_s = start_s + slots.duration_s
    first_s = start_s.copy()
    first_s[0] = np.ceil(start_s[0] / every_s - NEAR_S) * every_s
    last_s = np.maximum(end_s - every_s, first_s)
    running_s = running_starts_s(float(start_s[0]), demand.interval_s, every_s)
    at_s = np.concatenate([first_s, last_s, end_s - demand.interval_s, running_s])
    counts = (at_s >= start_s[0] - NEAR_S) & (at_s + demand.interval_s <= end_s[-1] + NEAR_S)
    counts[3 * n :] = running_s + demand.interval_s > start_s[0] + NEAR_S
    of = np.clip(np.searchsorted(start_s, at_s + NEAR_S, side="right") - 1, 0, n - 1)
    return at_s, counts, np.concatenate([demand.month[of[: 3 * n]], demand.begun_month])


def sliding_faults(name: str, demand: SlidingDemand, n: int) -> Iterator[str]:
    """Say what is wrong with the numbers of a charge."""
    months, running = len(demand.free_kw), np.shape(demand.begun_kwh)
    yield from number(f"{name}.price_per_kw", demand.price_per_kw, low=0.0)
    yield from number(f"{name}.every_s", demand.every_s, above=0.0)
    yield from array(f"{name}.free_kw", demand.free_kw, months, not_negative=True)
    if not demand.every_s > 0.0:
        return
    count = round(demand.interval_s / demand.every_s)
    if count < 1 or abs(count * demand.every_s - demand.interval_s) > NEAR_S:
        yield f"{name}.every_s: {demand.every_s:g} does not divide interval_s, {demand.interval_s:g}; write a divisor"
        return
    if running != (count,) or np.shape(demand.begun_month) != running:
        yield f"{name}.begun_kwh: shape {running} where {count} intervals may run; give each of them its kWh and month"
        return
    yield from array(f"{name}.begun_kwh", demand.begun_kwh, count, not_negative=True)
    for key, size in (("month", n), ("begun_month", count)):
        of = getattr(demand, key)
        if np.shape(of) != (size,) or not ((of >= -1) & (of < months)).all():
            words = f"must name one of {months} months, or -1, for each of {size}; make it by month_of_slots"
            yield f"{name}.{key}: {words}"
