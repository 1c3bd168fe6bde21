"""States a demand charge as terms of a plan: which slots count, what is paid already, what runs when it begins."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, tzinfo

import numpy as np

from ems.slow.peak_book import PeakBook
from optimization.calendar_windows import ALWAYS, window_shares
from optimization.periods import month_of_slots, month_start, months_within
from optimization.problem import DemandTerms, SlidingDemand
from optimization.sliding import running_starts_s
from optimization.slots import Ints, Slots
from optimization.tariff import DemandCharge

FreeOf = Callable[[datetime], float]
"""Gives the peak of a local month, by its UTC start, that costs nothing more [kW]."""


def peak_terms(
    charge: DemandCharge, slots: Slots, zone: tzinfo, *, free_kw: FreeOf, book: PeakBook
) -> DemandTerms | SlidingDemand:
    """State a charge of which a book is kept for a horizon."""
    months = months_within((slots.end - slots.start).total_seconds() + charge.interval_s)
    starts = [month_start(slots.start, zone, k) for k in range(months)]
    month, free = counted_months(charge, slots, zone, months), np.round([free_kw(start) for start in starts], 3)
    start_s = slots.start.timestamp()
    begun_kwh = np.round(book.begun_kwh(start_s), 6)
    name = f"further_demands.{charge.name}"
    price, interval_s = charge.price_per_kw, float(charge.interval_s)
    if charge.sliding_s is None:
        return DemandTerms(price, interval_s, month, free, float(begun_kwh[0]), name)
    begun_at_s = running_starts_s(start_s, charge.interval_s, charge.sliding_s)
    counts = np.array([month_start(datetime.fromtimestamp(at_s, UTC), zone) == starts[0] for at_s in begun_at_s])
    if charge.when != ALWAYS:
        counts &= charge.when.holds(begun_at_s, zone)
    begun_month = np.where(counts, 0, -1)
    return SlidingDemand(price, interval_s, float(charge.sliding_s), month, free, begun_kwh, begun_month, name)


def counted_months(charge: DemandCharge, slots: Slots, zone: tzinfo, months: int) -> Ints:
    """Give the month of each slot, -1 where no interval that counts begins in it, shape (n,).

    A slot shorter than an interval goes by the interval that holds its start; one that the window holds in part counts.
    """
    month = month_of_slots(slots, zone, months)
    if charge.when == ALWAYS:
        return month
    start_s = slots.start.timestamp() + slots.offset_s
    held = window_shares([charge.when], slots, zone)[0] > 0.0
    if charge.sliding_s is None:
        begins_s = np.floor(start_s / charge.interval_s + 1e-9) * charge.interval_s
        short = slots.duration_s < charge.interval_s - 1e-6
        held = np.where(short, charge.when.holds(begins_s, zone), held)
    return np.where(held, month, -1)
