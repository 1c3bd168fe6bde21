"""A stored past as plain arrays, and the local calendar it is read by.

Law 1: a gap is `nan`, never zero.
Law 2: nothing that ends after the present instant is read: every forecast cuts with `Past.before` first.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import lru_cache

import numpy as np

from optimization.slots import Floats, Ints, Slots

QUARTER_S = 900.0
DAY_S = 86400.0


@dataclass(frozen=True, slots=True, eq=False)
class Past:
    """Means over equal steps, in order of time.

    Args:
        at_s: UTC start of each sample, seconds since 1970 [s], ascending, shape (n,).
        value: mean over the step, `nan` where unknown, shape (n,).
        step_s: length of a step [s].
    """

    at_s: Floats
    value: Floats
    step_s: float

    def before(self, now_s: float) -> Past:
        """Keep the samples that have ended at `now_s` [s since 1970]."""
        count = int(np.searchsorted(self.at_s, now_s - self.step_s, side="right"))
        return Past(self.at_s[:count], self.value[:count], self.step_s)

    def since(self, start_s: float) -> Past:
        """Keep the samples that start at or after `start_s` [s since 1970]."""
        first = int(np.searchsorted(self.at_s, start_s, side="left"))
        return Past(self.at_s[first:], self.value[first:], self.step_s)

    def at(self, at_s: Floats) -> Floats:
        """Give the value of the step that holds each instant [s since 1970], `nan` where none does."""
        if not self.at_s.size:
            return np.full(np.shape(at_s), np.nan)
        place = np.searchsorted(self.at_s, at_s, side="right") - 1
        held = (place >= 0) & (at_s < self.at_s[place] + self.step_s)
        return np.where(held, self.value[place], np.nan)

    def known(self) -> Past:
        """Keep the samples that have a value."""
        good = np.isfinite(self.value)
        return Past(self.at_s[good], self.value[good], self.step_s)


def most_seen(past: Past, at_s: Floats, near_s: float) -> Floats:
    """Give the greatest value of any day within `near_s` of each time of day, `nan` where there is none.

    Of the sun's power this is what a clear sky would give, as far as one was seen.

    Args:
        past: what was measured.
        at_s: instants whose times of day are meant [s since 1970], shape (m,).
        near_s: how far around them [s].

    Returns:
        Shape (m,), in the unit of the past.
    """
    if not past.at_s.size:
        return np.full(len(at_s), np.nan)
    middle_s = past.at_s + past.step_s / 2.0
    apart_s = np.abs((middle_s[None, :] - at_s[:, None] + DAY_S / 2.0) % DAY_S - DAY_S / 2.0)
    most = np.where((apart_s <= near_s) & np.isfinite(past.value), past.value, -np.inf).max(axis=1)
    return np.where(np.isfinite(most), most, np.nan)


def empty(step_s: float = QUARTER_S) -> Past:
    """Give a past without samples."""
    return Past(np.empty(0), np.empty(0), step_s)


def merge(older: Past, newer: Past) -> Past:
    """Join two pasts; where both have samples the newer speaks from its first sample on."""
    if not newer.at_s.size or not older.at_s.size:
        return newer if newer.at_s.size else older
    kept = older.at_s + older.step_s <= newer.at_s[0]
    return Past(
        np.concatenate([older.at_s[kept], newer.at_s]), np.concatenate([older.value[kept], newer.value]), newer.step_s
    )


def epoch_s(at: datetime) -> float:
    """Give seconds since 1970 of an aware instant [s]; raises `ValueError` for a naive one."""
    if at.tzinfo is None:
        raise ValueError(f"{at} has no time zone: give it in UTC")
    return at.timestamp()


def slot_middles_s(slots: Slots) -> Floats:
    """Give the middle of each slot [s since 1970], shape (n,)."""
    return epoch_s(slots.start) + slots.offset_s + slots.duration_s / 2.0


def slot_pieces(slots: Slots) -> tuple[Floats, Ints]:
    """Cut each slot into equal pieces of at most a quarter-hour, so that a mean over a long slot can be taken.

    Returns:
        the middle of each piece [s since 1970] and the slot it belongs to, shape (pieces,) each; a slot of up to a
        quarter-hour is one piece.
    """
    count = np.maximum(1, np.ceil(slots.duration_s / QUARTER_S - 1e-9)).astype(np.int64)
    slot = np.repeat(np.arange(len(slots)), count)
    within = np.arange(len(slot)) - np.repeat(np.cumsum(count) - count, count)
    return epoch_s(slots.start) + slots.offset_s[slot] + (within + 0.5) * (slots.duration_s / count)[slot], slot


def slot_means(value: Floats, slot: Ints) -> Floats:
    """Give the mean over the pieces of each slot, as `slot_pieces` cuts them; shape (n,)."""
    mean: Floats = np.bincount(slot, value) / np.bincount(slot)
    return mean


def local_days_and_quarters(at_s: Floats, zone: tzinfo) -> tuple[Floats, Floats]:
    """Give local weekday (Monday 0) and quarter-hour of the local day (0..95) of instants, shape (n,) each."""
    day, quarter = dates_and_quarters(at_s, zone)
    return np.mod(day + 3.0, 7.0), quarter


def dates_and_quarters(at_s: Floats, zone: tzinfo) -> tuple[Floats, Floats]:
    """Give local date [days since 1970] and quarter-hour of the local day (0..95) of instants, shape (n,) each.

    The UTC offset is asked of the zone, so that a day of 92 or 100 quarters falls out by itself.
    """
    return _dates_and_quarters(np.asarray(at_s, dtype=np.float64).tobytes(), zone)


@lru_cache(maxsize=8)
def _dates_and_quarters(instants: bytes, zone: tzinfo) -> tuple[Floats, Floats]:
    """Do so once for the same instants: many quantities are measured at the same ones.

    Two weeks take 100 kB and those of the next plan are others: what is kept for longer only fills memory, for hours.
    """
    at_s = np.frombuffer(instants)
    quarters, where = np.unique(np.floor_divide(at_s, QUARTER_S), return_inverse=True)
    local_s = at_s + _offsets_s(quarters, zone)[where] if at_s.size else at_s
    return np.floor_divide(local_s, DAY_S), np.floor_divide(np.mod(local_s, DAY_S), QUARTER_S)


def _offsets_s(quarters: Floats, zone: tzinfo) -> Floats:
    """Ask at both ends of each day of UTC, and for every quarter-hour of those in which the offset changes."""
    day, where = np.unique(np.floor_divide(quarters * QUARTER_S, DAY_S), return_inverse=True)
    first, last = (np.array([_offset_s(d * DAY_S + s, zone) for d in day])[where] for s in (0.0, DAY_S - QUARTER_S))
    changing = np.flatnonzero(first != last)
    first[changing] = [_offset_s(q * QUARTER_S, zone) for q in quarters[changing]]
    return first


@lru_cache(maxsize=2**14)
def _offset_s(at_s: float, zone: tzinfo) -> float:
    offset = datetime.fromtimestamp(at_s, UTC).astimezone(zone).utcoffset()
    return offset.total_seconds() if offset is not None else 0.0
