"""Windows of the local calendar: winter weekdays from 7 to 20 h, every night from 22 to 6 h. Numpy only.

A window names months, days and hours of the local wall clock. Time itself is UTC: it is cut at quarter-hours, on which
every zone changes its clocks and every window begins and ends, and each piece is asked what the clock on the wall says.
So the hour that is skipped in spring is in no window, and the one that comes twice in autumn is in its window twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

import numpy as np
from numpy.typing import NDArray

from optimization.slots import Floats, Ints, Slots

QUARTER_S = 900.0
ALL_MONTHS = tuple(range(1, 13))
ALL_DAYS = tuple(range(7))
Marks = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class CalendarWindow:
    """Hours of some days of some months.

    Args:
        months: 1 for January to 12.
        days: 0 for Monday to 6.
        from_h: local hour at which the window opens, in quarters of an hour.
        to_h: hour at which it closes, up to 24; below `from_h` it passes midnight, and its end still belongs to the day
            and month on which it opened.
    """

    months: tuple[int, ...] = ALL_MONTHS
    days: tuple[int, ...] = ALL_DAYS
    from_h: float = 0.0
    to_h: float = 24.0

    def holds(self, at_s: Sequence[float] | Floats, zone: tzinfo) -> Marks:
        """Say which instants [s since 1970] lie in the window, its end excluded; shape (n,)."""
        return self.open_on(Wall.at(at_s, zone))

    def open_on(self, wall: Wall) -> Marks:
        """Say at which instants the window is open; shape (n,)."""
        day = np.isin(wall.day, self.days) & np.isin(wall.month, self.months)
        if self.from_h < self.to_h:
            return np.asarray(day & (wall.hour >= self.from_h) & (wall.hour < self.to_h))
        before = np.isin((wall.day - 1) % 7, self.days) & np.isin(wall.month_of_yesterday, self.months)
        return np.asarray((day & (wall.hour >= self.from_h)) | (before & (wall.hour < self.to_h)))


ALWAYS = CalendarWindow()


@dataclass(frozen=True, slots=True, eq=False)
class Wall:
    """What clock and calendar on the wall say at some instants, shape (n,) each; Monday is 0, January 1."""

    hour: Floats
    day: Ints
    month: Ints
    month_of_yesterday: Ints

    @classmethod
    def at(cls, at_s: Sequence[float] | Floats, zone: tzinfo) -> Wall:
        """Look at the wall of a zone at instants [s since 1970]."""
        local = [datetime.fromtimestamp(float(s), UTC).astimezone(zone) for s in at_s]
        month = np.array([at.month for at in local], dtype=np.int64)
        first = np.array([at.day == 1 for at in local], dtype=bool)
        return cls(
            np.array([at.hour + at.minute / 60.0 + at.second / 3600.0 for at in local], dtype=float),
            np.array([at.weekday() for at in local], dtype=np.int64),
            month,
            np.where(first, (month - 2) % 12 + 1, month),
        )


def window_shares(windows: Sequence[CalendarWindow], slots: Slots, zone: tzinfo) -> Floats:
    """Give the part of each slot that each window holds, and last the part outside all of them.

    Where windows overlap, the first of them counts.

    Args:
        windows: in order of their rank.
        slots: the horizon, or the intervals of a bill.
        zone: whose wall clock counts.

    Returns:
        shape (windows + 1, n), each column adds up to 1.
    """
    start_s = slots.start.timestamp() + slots.offset_s
    end_s = start_s + slots.duration_s
    first, last = np.floor(start_s / QUARTER_S), np.ceil(end_s / QUARTER_S)
    count = (last - first).astype(np.int64)
    slot = np.repeat(np.arange(len(slots)), count)
    quarter = np.arange(len(slot)) - np.repeat(np.cumsum(count) - count, count) + first[slot]
    begin_s = quarter * QUARTER_S
    inside_s = np.minimum(begin_s + QUARTER_S, end_s[slot]) - np.maximum(begin_s, start_s[slot])
    asked_s, back = np.unique(begin_s, return_inverse=True)
    wall = Wall.at(asked_s, zone)
    found = np.stack([*(window.open_on(wall) for window in windows), np.ones(len(asked_s), dtype=bool)])
    rank = found.argmax(axis=0)[back]
    shares = np.zeros((len(windows) + 1, len(slots)))
    np.add.at(shares, (rank, slot), inside_s / slots.duration_s[slot])
    return shares
