"""The ladder: methods from persistence to boosted quantiles, calibrated, and the one that lately was best.

At every issue each method foresees; its quantiles are moved by its own past errors; what came is held against what was
issued, and once a local day the choice is looked at again. Where the chosen method says nothing the others do, the one
of the least loss first, and each value says whose it is. Where no method says anything the value is `nan`.

Law: an issue depends on nothing that was not known at its instant.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from optimization.forecast.choice import Choice, reconsider
from optimization.forecast.conformal import calibrated
from optimization.forecast.features import Lessons, quarter_means
from optimization.forecast.learned import Learned, boosted, linear
from optimization.forecast.methods import (
    Asked,
    Method,
    TooLittleKnown,
    calendar,
    climatology,
    last_week,
    persistence,
)
from optimization.forecast.past import DAY_S, QUARTER_S, Past
from optimization.forecast.score import pinball
from optimization.slots import Floats

FIRST = "calendar"
REMEMBERED_S = 28.0 * DAY_S
NEAR_S = 2.0 * 3600.0
"""Errors of an issue of another time of day count if the times lie so close together [s]."""
LEAST_SCORED = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Served:
    """One forecast as it is issued.

    Args:
        issued_s: its instant [s since 1970].
        at_s: middle of each quarter-hour [s since 1970], shape (n,).
        levels: of the quantiles, ascending.
        value: quantiles, `nan` where nothing is known, shape (levels, n).
        method: whose each value is, empty where nothing is known, shape (n,).
        chosen: the method that is chosen now.
        calibrated: whether past errors have moved each value, shape (n,).
        silent: why a method said nothing, in words, by method.
        each: what every method issued, shape (levels, n), by method.
    """

    issued_s: float
    at_s: Floats
    levels: tuple[float, ...]
    value: Floats
    method: tuple[str, ...]
    chosen: str
    calibrated: NDArray[np.bool_]
    silent: Mapping[str, str]
    each: Mapping[str, Floats]


@dataclass(slots=True, eq=False)
class _Issue:
    """What every method said, as it gave it and as it was issued, shape (levels, n) each; and what came, shape (n,)."""

    issued_s: float
    at_s: Floats
    levels: tuple[float, ...]
    raw: Mapping[str, Floats]
    issued: Mapping[str, Floats]
    came: Floats

    def learn(self, past: Past) -> None:
        if np.isnan(self.came).any():
            self.came = quarter_means(past, self.at_s)

    def loss(self, name: str) -> Floats:
        """Give a method's loss by quarter-hour, `nan` where it or what came is unknown, shape (n,)."""
        if name not in self.issued:
            return np.full(self.came.shape, np.nan)
        return pinball(self.levels, self.issued[name], self.came)


def all_methods() -> dict[str, Method]:
    """Give the methods for one series, the simplest first."""
    lessons = Lessons()
    return {
        "persistence": persistence,
        "last_week": last_week,
        "climatology": climatology,
        "calendar": calendar,
        "linear": Learned(linear, lessons),
        "boosted": Learned(boosted, lessons),
    }


@dataclass(slots=True, eq=False)
class Ladder:
    """Foresees one series.

    Args:
        methods: by name, the simplest first.
        bounds: what the series cannot leave [unit of the series].
        choice: the method to begin with.
    """

    methods: Mapping[str, Method] = field(default_factory=all_methods)
    bounds: tuple[float, float] = (-np.inf, np.inf)
    choice: Choice = field(default_factory=lambda: Choice(FIRST))
    _issues: list[_Issue] = field(default_factory=list)
    _day: int | None = None

    def issue(self, asked: Asked) -> Served:
        """Foresee once; issues come in the order of time and ask for as many quarter-hours each.

        Raises:
            ValueError: an issue lies before the last one, or asks for another number of quarter-hours.
        """
        self._look_back(asked)
        raw, silent = self._ask(asked)
        near = self._near(asked.now_s)
        moved = {name: calibrated(asked.levels, v, self._errors(near, name, v.shape)) for name, v in raw.items()}
        issued = {n: np.clip(np.where(np.isnan(moved[n]), raw[n], moved[n]), *self.bounds) for n in raw}
        nothing = np.full(len(asked.at_s), np.nan)
        self._issues.append(_Issue(asked.now_s, asked.at_s, asked.levels, raw, issued, nothing))
        value, method = self._served(asked, issued)
        spread = [name != "" and bool(np.isfinite(moved[name][0, i])) for i, name in enumerate(method)]
        return Served(
            asked.now_s, asked.at_s, asked.levels, value, method, self.choice.method, np.array(spread), silent, issued
        )

    def losses(self) -> dict[str, float]:
        """Give the mean loss of what was issued in the last days, by method, over what all of them have foreseen."""
        told = {name: np.array([issue.loss(name) for issue in self._issues]) for name in self.methods}
        known = sum(int(np.isfinite(issue.came).sum()) for issue in self._issues)
        scored = {n: loss for n, loss in told.items() if np.isfinite(loss).sum() > LEAST_SCORED * known}
        if not scored:
            return {}
        common = np.isfinite(list(scored.values())).all(axis=0)
        return {n: float(loss[common].mean()) for n, loss in scored.items()} if common.any() else {}

    def _look_back(self, asked: Asked) -> None:
        if self._issues:
            last = self._issues[-1]
            if asked.now_s <= last.issued_s:
                raise ValueError(f"an issue at {asked.now_s:.0f} s does not lie after the last one; go on in time")
            if len(asked.at_s) != len(last.at_s):
                raise ValueError(
                    f"{len(asked.at_s)} quarter-hours are asked for, {len(last.at_s)} before; ask for as many"
                )
        # A quarter-hour that runs is no quarter-hour yet.
        past = asked.past.before(np.floor(asked.now_s / QUARTER_S) * QUARTER_S)
        self._issues = [i for i in self._issues if i.issued_s >= asked.now_s - REMEMBERED_S]
        for issue in self._issues:
            issue.learn(past)
        today = int(asked.calendar.cells(np.array([asked.now_s]))[0][0])
        if self._day is not None and today > self._day:
            self.choice = reconsider(self.choice, self.losses())
        self._day = today

    def _ask(self, asked: Asked) -> tuple[dict[str, Floats], dict[str, str]]:
        raw: dict[str, Floats] = {}
        silent: dict[str, str] = {}
        for name, method in self.methods.items():
            try:
                raw[name] = method(asked)
            except TooLittleKnown as reason:
                silent[name] = str(reason)
        return raw, silent

    def _near(self, now_s: float) -> list[_Issue]:
        apart = [abs((i.issued_s - now_s + DAY_S / 2.0) % DAY_S - DAY_S / 2.0) for i in self._issues]
        return [i for i, s in zip(self._issues, apart, strict=True) if s <= NEAR_S]

    def _errors(self, near: Sequence[_Issue], name: str, shape: tuple[int, ...]) -> Floats:
        blocks = [i.came - i.raw[name] for i in near if name in i.raw]
        return np.array(blocks) if blocks else np.empty((0, *shape))

    def _served(self, asked: Asked, issued: Mapping[str, Floats]) -> tuple[Floats, tuple[str, ...]]:
        """Lay what is issued over each other, and say whose each value is; the better method lies above."""
        loss = self.losses()
        worst_first = sorted(issued, key=lambda n: (n == self.choice.method, n in loss, -loss.get(n, 0.0)))
        value = np.full((len(asked.levels), len(asked.at_s)), np.nan)
        whose = np.full(len(asked.at_s), "", dtype=object)
        for name in worst_first:
            good = np.isfinite(issued[name]).all(axis=0)
            value[:, good], whose[good] = issued[name][:, good], name
        return value, tuple(whose.tolist())
