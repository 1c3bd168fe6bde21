"""What is learned from a load in one go: a question that another process can answer, and its answer.

lesson = rows of `optimization.forecast.features` at the instants of the last weeks, until now
linear, boosted = `optimization.forecast.learned`, each on that lesson
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from optimization.forecast.features import Lesson, Lessons
from optimization.forecast.learned import boosted, linear
from optimization.forecast.methods import LEVELS, Asked, TooLittleKnown
from optimization.forecast.models import Model
from optimization.forecast.past import QUARTER_S, Past
from optimization.forecast.quarters import Calendar

LEARNERS: Mapping[str, Callable[[Lesson, Sequence[float]], Model]] = {"linear": linear, "boosted": boosted}
"""What learns, by method, the simplest first."""


@dataclass(frozen=True, slots=True, eq=False)
class Homework:
    """What is to be learned, and from what.

    Args:
        past: of one load; nothing that ends after `now_s` is read.
        now_s: the present instant [s since 1970].
        calendar: the site's.
        methods: of `LEARNERS`.
        levels: quantiles that are wanted, ascending.
        least: what the calendar's forecast does not fall below [unit of the series].
    """

    past: Past
    now_s: float
    calendar: Calendar
    methods: tuple[str, ...] = tuple(LEARNERS)
    levels: tuple[float, ...] = LEVELS
    least: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Learnt:
    """What was learned.

    Args:
        learned_s: the instant up to which it knows what came [s since 1970].
        models: by method.
        silent: why there is none, in words, by method.
    """

    learned_s: float
    models: Mapping[str, Model] = field(default_factory=dict)
    silent: Mapping[str, str] = field(default_factory=dict)


def learn(homework: Homework) -> Learnt:
    """Learn; a method of which too little is known says so."""
    cut_s = float(np.floor(homework.now_s / QUARTER_S) * QUARTER_S)
    asked = Asked(
        homework.past.before(cut_s), np.empty(0), cut_s, homework.calendar, homework.levels, least=homework.least
    )
    try:
        lesson = Lessons().until(asked, cut_s)
    except TooLittleKnown as reason:
        return Learnt(cut_s, silent=dict.fromkeys(homework.methods, str(reason)))
    return Learnt(cut_s, {name: LEARNERS[name](lesson, homework.levels) for name in homework.methods})
