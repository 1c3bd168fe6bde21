"""What learning methods know of an instant ahead: a row of numbers for each, the same for the past and for now.

    y(t) - calendar(t) = f(features(t, now)),    features: calendar, newest, week, climate, spread, hour, day
        [unit of the series], lead [h], quarter, kind, and what was published of each quantity beside

`calendar`, `newest`, `week` and `climate` are the forecasts of `optimization.forecast.methods`, `spread` the distance
of the climate's outer quantiles; `hour` and `day` the means of the last hour and of the last 24 hours; the published
ones as they were known at `now`, not as they became known later. What is learned is the calendar's error: where the
rest tells nothing, the calendar remains. Own derivation.

Law: a gap stays `nan` in a feature and is left out as a target. Where more than `MOST_MISSING` of the targets, or of
what was published, are gaps, nothing is learned and it is said why: filled gaps would be learned as facts.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from optimization.forecast.methods import Asked, TooLittleKnown, calendar, climatology, last_week, persistence
from optimization.forecast.past import DAY_S, QUARTER_S, Past
from optimization.slots import Floats

HOUR_S = 3600.0
WINDOW_DAYS = 42
LEAST_DAYS = 10
ORIGIN_S = 6.0 * HOUR_S
"""The past is asked what it would have known every so often ..."""
THIN = 4
"""... about every so manyth quarter-hour."""
AHEAD_S = 36.0 * HOUR_S
MOST_MISSING = 0.3
ORIGINS_KEPT = 4096
OWN = ("calendar", "newest", "week", "climate", "spread", "hour", "day", "lead_h", "quarter", "kind")


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """What there is to learn from.

    Args:
        features: shape (rows, features), `nan` where unknown.
        error: what came less the calendar's forecast [unit of the series], shape (rows,).
    """

    features: Floats
    error: Floats


@dataclass(slots=True, eq=False)
class Lessons:
    """Asks the past what it knew, each of its instants once: the rows of an instant depend on what lay before it."""

    _kept: OrderedDict[float, Lesson] = field(default_factory=OrderedDict)

    def until(self, asked: Asked, cut_s: float) -> Lesson:
        """Give what was known at the instants of the last weeks, and what came by `cut_s`.

        Raises:
            TooLittleKnown: there are too few days, or too many gaps.
        """
        known = asked.past.before(cut_s).known()
        first_s = max(cut_s - WINDOW_DAYS * DAY_S, known.at_s[0] if known.at_s.size else cut_s)
        if cut_s - first_s < LEAST_DAYS * DAY_S:
            raise TooLittleKnown(f"fewer than {LEAST_DAYS} days are known")
        start_s = np.ceil(first_s / ORIGIN_S) * ORIGIN_S + DAY_S
        rows = [self._at(asked, float(s)) for s in np.arange(start_s, cut_s - AHEAD_S + 1.0, ORIGIN_S)]
        lesson = Lesson(np.concatenate([r.features for r in rows]), np.concatenate([r.error for r in rows]))
        _refuse_gaps(lesson, asked.beside)
        return lesson

    def _at(self, asked: Asked, origin_s: float) -> Lesson:
        if origin_s not in self._kept:
            # Which quarters of the hour are asked about changes from instant to instant.
            quarters = np.arange(round(origin_s / ORIGIN_S) % THIN, round(AHEAD_S / QUARTER_S), THIN)
            at_s: Floats = np.asarray(origin_s + QUARTER_S * (quarters + 0.5), dtype=np.float64)
            then = replace(asked, now_s=origin_s, at_s=at_s)
            try:
                rows = features(then)
            except TooLittleKnown:
                rows = np.full((len(at_s), len(OWN) + len(asked.beside)), np.nan)
            self._kept[origin_s] = Lesson(rows, quarter_means(asked.past, at_s) - rows[:, 0])
            while len(self._kept) > ORIGINS_KEPT:
                self._kept.popitem(last=False)
        return self._kept[origin_s]


def quarter_means(past: Past, at_s: Floats) -> Floats:
    """Give the means over quarter-hours around their middles [s since 1970], `nan` where unknown, shape of `at_s`."""
    pieces = max(1, round(QUARTER_S / past.step_s))
    offsets = (np.arange(pieces) + 0.5) / pieces - 0.5
    value = past.at((at_s[:, None] + QUARTER_S * offsets[None, :]).ravel()).reshape(len(at_s), pieces)
    good = np.isfinite(value)
    return np.where(good.any(axis=1), np.where(good, value, 0.0).sum(axis=1) / np.maximum(good.sum(axis=1), 1), np.nan)


def features(asked: Asked) -> Floats:
    """Give a row an instant; shape (n, features), the calendar's forecast first; raises `TooLittleKnown`."""
    day, quarter = asked.calendar.cells(asked.at_s)
    climate = climatology(asked)
    own = [
        calendar(asked)[0],
        persistence(asked)[0],
        last_week(asked)[0],
        climate[len(climate) // 2],
        climate[-1] - climate[0],
    ]
    past = asked.past.before(asked.now_s)
    own += [np.full(len(day), _mean(past.since(asked.now_s - back_s))) for back_s in (HOUR_S, DAY_S)]
    own += [(asked.at_s - asked.now_s) / HOUR_S, quarter.astype(float), asked.calendar.kinds(day).astype(float)]
    quarters = np.full(len(day), QUARTER_S)
    told = [p.told(asked.at_s - QUARTER_S / 2.0, quarters, asked.now_s) for p in asked.beside.values()]
    return np.column_stack([*own, *told])


def _mean(past: Past) -> float:
    known = past.known().value
    return float(known.mean()) if known.size else np.nan


def _refuse_gaps(lesson: Lesson, beside: Mapping[str, object]) -> None:
    gaps = {"the measured past": np.isnan(lesson.error).mean()}
    columns = np.isnan(lesson.features[:, len(OWN) :]).mean(axis=0)
    gaps |= dict(zip(beside, columns, strict=True))
    for name, share in gaps.items():
        if share > MOST_MISSING:
            raise TooLittleKnown(f"{share:.0%} of {name} is missing, more than {MOST_MISSING:.0%}: nothing is learned")
