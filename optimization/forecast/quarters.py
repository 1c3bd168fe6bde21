"""A past laid on the local calendar: a row a local date, a column a quarter-hour of its wall clock.

Law 1: a quarter-hour that nobody measured is `nan`, never zero.
Law 2: only what has ended at the present instant is laid, so that the rest of today is `nan`.

Days are of three kinds: working days, Saturdays, and Sundays with public holidays.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, tzinfo

import numpy as np

from optimization.forecast.past import QUARTER_S, Past, dates_and_quarters
from optimization.slots import Floats, Ints

QUARTERS = 96
KINDS = WORKING, SATURDAY, SUNDAY = range(3)
EPOCH = date(1970, 1, 1).toordinal()


@dataclass(frozen=True, slots=True)
class Calendar:
    """Whose wall clock and whose holidays count.

    Args:
        zone: the site's time zone.
        holidays: public holidays that fall on what else were working days or Saturdays; empty where they are not known.
    """

    zone: tzinfo
    holidays: frozenset[date] = frozenset()

    def cells(self, at_s: Floats) -> tuple[Ints, Ints]:
        """Give local date [days since 1970] and quarter-hour of the day (0..95) of instants, shape (n,) each."""
        day, quarter = dates_and_quarters(at_s, self.zone)
        return day.astype(np.int64), quarter.astype(np.int64)

    def kinds(self, day: Ints) -> Ints:
        """Give the kind of each date [days since 1970], same shape."""
        weekday = (day + 3) % 7
        kind = np.where(weekday < 5, WORKING, np.where(weekday == 5, SATURDAY, SUNDAY))
        off = [holiday.toordinal() - EPOCH for holiday in self.holidays]
        return np.where(np.isin(day, off), SUNDAY, kind).astype(np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Quarters:
    """Means over local quarter-hours.

    Args:
        first: date of the first row [days since 1970].
        value: `nan` where unknown, shape (days, 96). A day of 92 quarters has four gaps, one of 100 four means of two.
        kind: of each day, shape (days,).
    """

    first: int
    value: Floats
    kind: Ints

    def at(self, day: Ints, quarter: Ints) -> Floats:
        """Give single quarter-hours, `nan` outside the table, shape of `day`."""
        row = day - self.first
        inside = (row >= 0) & (row < len(self.value))
        if not inside.any():
            return np.full(np.shape(day), np.nan)
        return np.where(inside, self.value[np.where(inside, row, 0), quarter], np.nan)

    def newest(self, kind: int | None = None) -> Floats:
        """Give the newest known value of each quarter-hour, of all days or of one kind, `nan` without one; (96,)."""
        rows = self.value if kind is None else self.value[self.kind == kind]
        good = np.isfinite(rows)
        if not len(rows):
            return np.full(QUARTERS, np.nan)
        last = len(rows) - 1 - np.argmax(good[::-1], axis=0)
        return np.where(good.any(axis=0), rows[last, np.arange(QUARTERS)], np.nan)

    def tail(self, days: int) -> Quarters:
        """Keep the last days."""
        left = max(0, len(self.value) - days)
        return Quarters(self.first + left, self.value[left:], self.kind[left:])


def lay(past: Past, calendar: Calendar, now_s: float, days: int) -> Quarters:
    """Lay the last days before an instant, today's row included.

    Args:
        past: a sample longer than a quarter-hour stands for each quarter that it covers; of shorter ones the mean does.
        calendar: the site's.
        now_s: the present instant [s since 1970]; what ends after it is cut away.
        days: number of rows, today's included.
    """
    today = int(calendar.cells(np.array([now_s]))[0][0])
    first = today - days + 1
    # A local day begins at most 14 hours away from the day of UTC.
    known = past.before(now_s).since((first - 1) * 86400.0).known()
    pieces = max(1, round(past.step_s / QUARTER_S))
    at_s = (known.at_s[:, None] + QUARTER_S * np.arange(pieces)[None, :]).ravel()
    day, quarter = calendar.cells(at_s)
    inside = (day >= first) & (day <= today)
    cell = ((day - first) * QUARTERS + quarter)[inside]
    total = np.bincount(cell, np.repeat(known.value, pieces)[inside], minlength=days * QUARTERS)
    count = np.bincount(cell, minlength=days * QUARTERS)
    value = np.where(count > 0, total / np.maximum(count, 1), np.nan).reshape(days, QUARTERS)
    return Quarters(first, value, calendar.kinds(np.arange(first, today + 1)))
