"""The comfort band in the planner's slots: a local calendar that knows no time, laid on UTC."""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo

import numpy as np

from ems.config.assets import Comfort
from optimization.slots import Floats, Slots


def comfort_band(comfort: Comfort, slots: Slots, zone: tzinfo) -> tuple[Floats, Floats]:
    """Give floor and ceiling of the comfort band at the end of each slot [degC], shape (n,) each.

    The band holds at the end of a slot, so the slot that ends as people arrive must already be warm, and the one that
    ends as they leave still.
    """
    ends = [slots.start + timedelta(seconds=float(s)) for s in slots.offset_s + slots.duration_s]
    occupied = np.array([is_occupied(comfort, end.astimezone(zone)) for end in ends])
    low = np.where(occupied, comfort.occupied_low_c, comfort.low_c)
    return low, np.where(occupied, comfort.occupied_high_c, comfort.high_c)


def inside(band: tuple[Floats, Floats], margin_k: float) -> tuple[Floats, Floats]:
    """Draw floor and ceiling of a band together by a margin [K], in a band that is too narrow to its middle."""
    low, high = band
    kept_k = np.minimum(margin_k, np.maximum(high - low, 0.0) / 2.0)
    return low + kept_k, high - kept_k


def is_occupied(comfort: Comfort, local: datetime) -> bool:
    """Tell whether a local instant lies in the occupied hours, both ends included; they may pass midnight."""
    first, last = comfort.occupied_from_h, comfort.occupied_to_h
    hour = local.hour + local.minute / 60.0 + local.second / 3600.0
    day = local.weekday()
    before = (day - 1) % 7
    if first <= last:
        today = first <= hour <= last and day in comfort.occupied_days
        return today or (hour == 0.0 and last == 24.0 and before in comfort.occupied_days)
    return (hour >= first and day in comfort.occupied_days) or (hour <= last and before in comfort.occupied_days)
