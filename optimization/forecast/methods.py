"""The simple rungs of the ladder: each takes what was known at an instant and foresees quantiles, or says why not.

    persistence(d, q)  = newest known x(d', q),                        d' <= today, at most a week ago
    last_week(d, q)    = x(d - 7 w, q) for the smallest w of 1..3 with kind(d - 7 w) = kind(d), else the newest known
                         x(d', q) of a day of that kind
    climatology(d, q)  = weighted quantiles of x(d', q'), kind(d') = kind(d), |q' - q| <= 1, weight exp(-age / theta)
    calendar(t)        = `optimization.forecast.load.foresee_load`

Symbols: x mean over a quarter-hour [unit of the series], d local date, q local quarter-hour, kind that of the day,
theta 14 days. Where one says nothing the answer is `nan`; a method that knows nothing at all raises `TooLittleKnown`.
The first two and the last are points: all their quantiles are one value, until past errors spread them
(`optimization.forecast.conformal`). Own derivation; persistence and climatology are the usual references of forecast
verification (Hyndman and Athanasopoulos, Forecasting: principles and practice, 3rd ed., 5.2).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from optimization.forecast.load import foresee_load
from optimization.forecast.past import Past
from optimization.forecast.published import PublishedPast
from optimization.forecast.quarters import KINDS, Calendar, Quarters, lay
from optimization.slots import Floats

LEVELS = (0.1, 0.5, 0.9)
WEEK = 7
PERSISTENCE_DAYS = 8
WEEKS = 3
CLIMATE_DAYS = 56
CLIMATE_AGE_DAYS = 14.0
LEAST_CLIMATE = 3
"""Of fewer values there is no climate."""


class TooLittleKnown(Exception):
    """A method has nothing to say: the message tells what is missing."""


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """What is asked of a method.

    Args:
        past: measured; the methods cut it at `now_s` first.
        at_s: middle of each quarter-hour that is asked for [s since 1970], shape (n,), all after `now_s`.
        now_s: the present instant [s since 1970].
        calendar: the site's.
        levels: quantiles that are wanted, ascending.
        beside: what was published of other quantities, by name.
        least: what the calendar's forecast does not fall below [unit of the series].
    """

    past: Past
    at_s: Floats
    now_s: float
    calendar: Calendar
    levels: tuple[float, ...] = LEVELS
    beside: Mapping[str, PublishedPast] = field(default_factory=dict)
    least: float = 0.0
    _table: list[Quarters] = field(init=False, repr=False, default_factory=list)

    def laid(self, days: int) -> Quarters:
        """Give the last days of the past on the calendar, eight weeks at most, laid once for all methods."""
        if not self._table:
            self._table.append(lay(self.past, self.calendar, self.now_s, CLIMATE_DAYS))
        return self._table[0].tail(days)

    def point(self, value: Floats) -> Floats:
        """Take one value an instant for all quantiles, shape (levels, n)."""
        return np.tile(value, (len(self.levels), 1))


Method = Callable[[Asked], Floats]
"""Gives quantiles, `nan` where it says nothing, shape (levels, n); raises `TooLittleKnown`."""


def persistence(asked: Asked) -> Floats:
    """Foresee each quarter-hour as it was last, at most a week ago."""
    newest = asked.laid(PERSISTENCE_DAYS).newest()
    _need(newest, "no value of the last week is known")
    return asked.point(newest[asked.calendar.cells(asked.at_s)[1]])


def last_week(asked: Asked) -> Floats:
    """Foresee each quarter-hour as on the same weekday, or on the last day of the same kind."""
    table = asked.laid(WEEKS * WEEK + 1)
    _need(table.value, "no value of the last three weeks is known")
    day, quarter = asked.calendar.cells(asked.at_s)
    kind = asked.calendar.kinds(day)
    found = np.array([table.newest(one) for one in KINDS])[kind, quarter]
    for weeks in range(WEEKS, 0, -1):
        then = day - WEEK * weeks
        value = table.at(then, quarter)
        found = np.where((asked.calendar.kinds(then) == kind) & np.isfinite(value), value, found)
    return asked.point(found)


def climatology(asked: Asked) -> Floats:
    """Foresee the spread of such quarter-hours on such days."""
    table = asked.laid(CLIMATE_DAYS)
    _need(table.value, "no value of the last eight weeks is known")
    day, quarter = asked.calendar.cells(asked.at_s)
    kind = asked.calendar.kinds(day)
    found = np.full((len(asked.levels), len(day)), np.nan)
    for one in np.unique(kind):
        chosen = kind == one
        found[:, chosen] = _climate(table, int(one), asked.levels)[:, quarter[chosen]]
    return found


def _climate(table: Quarters, kind: int, levels: tuple[float, ...]) -> Floats:
    """Give quantiles of every quarter-hour of one kind of day, shape (levels, 96)."""
    rows = table.value[table.kind == kind]
    age = (len(table.value) - 1 - np.flatnonzero(table.kind == kind)) / CLIMATE_AGE_DAYS
    samples = np.concatenate([np.roll(rows, by, axis=1) for by in (-1, 0, 1)])
    return weighted_quantiles(samples, np.tile(np.exp(-age), 3), levels)


def weighted_quantiles(samples: Floats, weight: Floats, levels: tuple[float, ...]) -> Floats:
    """Give quantiles of each column, gaps left out, `nan` where hardly anything is known.

    Args:
        samples: shape (samples, columns).
        weight: of each row, shape (samples,).
        levels: ascending.

    Returns:
        Shape (levels, columns): between the values on both sides of a level's share of the weight, where half of a
        value's own weight is counted to it.
    """
    order = np.argsort(samples, axis=0, kind="stable")
    value = np.take_along_axis(samples, order, axis=0)
    good = np.isfinite(value)
    own = np.where(good, weight[order], 0.0)
    share = (np.cumsum(own, axis=0) - own / 2.0) / np.maximum(own.sum(axis=0), 1e-300)
    reached = np.where(good, share, 2.0)
    count = good.sum(axis=0)
    above = np.array([(reached < level).sum(axis=0) for level in levels])
    high, low = np.minimum(above, np.maximum(count - 1, 0)), np.maximum(above - 1, 0)
    (at_low, at_high), (v_low, v_high) = (
        [np.take_along_axis(t, i, axis=0) for i in (low, high)] for t in (reached, value)
    )
    part = (np.array(levels)[:, None] - at_low) / np.where(at_high > at_low, at_high - at_low, 1.0)
    return np.where(count >= LEAST_CLIMATE, v_low + (v_high - v_low) * np.clip(part, 0.0, 1.0), np.nan)


def calendar(asked: Asked) -> Floats:
    """Foresee the calendar mean with the last day's level and the last hour's bias, as the daemon does."""
    foreseen = foresee_load(asked.past, asked.at_s, asked.now_s, asked.calendar.zone, asked.least)
    if foreseen is None:
        raise TooLittleKnown("no value at all is known")
    return asked.point(foreseen)


def _need(value: Floats, words: str) -> None:
    if not np.isfinite(value).any():
        raise TooLittleKnown(words)
