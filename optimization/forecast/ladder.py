"""The ladder: methods from persistence to boosted quantiles, calibrated, and the one that lately was best.

At every issue each method foresees; its quantiles are moved by its own past errors; what came is held against what was
issued, and once a local day the choice is looked at again. Where the chosen method says nothing the others do, the one
of the least loss first, and each value says whose it is. Where no method says anything the value is `nan`.

Law: an issue depends on nothing that was not known at its instant.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from optimization.forecast.choice import Choice, reconsider
from optimization.forecast.conformal import NEAR_LEADS, calibrated, correction
from optimization.forecast.features import Lessons
from optimization.forecast.issues import Issue, Issues
from optimization.forecast.learned import Learned, boosted, linear
from optimization.forecast.methods import (
    CLIMATE_DAYS,
    Asked,
    Method,
    TooLittleKnown,
    calendar,
    climatology,
    last_week,
    persistence,
)
from optimization.forecast.past import DAY_S, QUARTER_S
from optimization.slots import Floats

FIRST = "calendar"
REMEMBERED_S = 28.0 * DAY_S
NEAR_S = 2.0 * 3600.0
"""Errors of an issue of another time of day count if the times lie so close together [s]."""
LEAST_SCORED = 0.5
BEYOND = 0.5
"""What lies beyond the bounds by more than this share of the greatest known value is a fault, not a small slip."""
NOTHING: Mapping[str, Floats] = MappingProxyType({})


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


@dataclass(frozen=True, slots=True, eq=False)
class Now:
    """What is foreseen at this instant, and remembered by nobody.

    Args:
        median: `nan` where nothing is known, shape (n,).
        band: quantiles about it, moved by past errors, `nan` where too few of these are known, shape (levels, n).
        method: whose each value is, empty where nothing is known, shape (n,).
        silent: why a method said nothing that was asked before another one spoke, in words, by method.
    """

    median: Floats
    band: Floats
    method: tuple[str, ...]
    silent: Mapping[str, str]


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


class Ladder:
    """Foresees one series.

    Args:
        methods: by name, the simplest first; None for `all_methods`.
        bounds: what the series cannot leave [unit of the series].
        choice: the method to begin with.
        serving: methods that may be chosen; the others are scored, and speak where none of these does. None for all.
        issues: where issues are remembered; None for a table of its own.
        near_leads: errors of so many leads before and after count, too.
        first: the method that speaks where nothing is known of the skill of any.
    """

    def __init__(
        self,
        methods: Mapping[str, Method] | None = None,
        bounds: tuple[float, float] = (-np.inf, np.inf),
        choice: Choice = Choice(FIRST),  # noqa: B008 - it is frozen
        *,
        serving: Collection[str] | None = None,
        issues: Issues | None = None,
        near_leads: int = NEAR_LEADS,
        first: str = FIRST,
    ) -> None:
        self.methods = all_methods() if methods is None else dict(methods)
        self.bounds, self.choice = bounds, choice
        self.issues = Issues(tuple(self.methods)) if issues is None else issues
        self.day: int | None = None
        self._serving = frozenset(self.methods if serving is None else serving)
        self._near_leads, self._first = near_leads, first
        self._losses: dict[str, float] | None = None

    def issue(self, asked: Asked) -> Served:
        """Foresee once, and remember it; issues come in the order of time and ask for as many quarter-hours each.

        Raises:
            ValueError: an issue lies before the last one, or asks for another number of quarter-hours.
        """
        self._look_back(asked)
        raw, silent = self._ask(asked)
        moved = {name: self._calibrated(asked, name, v) for name, v in raw.items()}
        issued = {n: np.clip(np.where(np.isnan(moved[n]), raw[n], moved[n]), *self.bounds) for n in raw}
        nothing = np.full(len(asked.at_s), np.nan)
        self.issues.keep(Issue(asked.now_s, asked.at_s, raw, issued, nothing), asked.levels)
        value, method = self._served(asked, issued)
        spread = [name != "" and bool(np.isfinite(moved[name][0, i])) for i, name in enumerate(method)]
        return Served(
            asked.now_s, asked.at_s, asked.levels, value, method, self.choice.method, np.array(spread), silent, issued
        )

    def now(self, asked: Asked, given: Mapping[str, Floats] = NOTHING) -> Now:
        """Foresee medians and quantiles, moved by past errors as those of issues are, and remember nothing.

        Only the chosen method is asked, and others where it says nothing.

        Args:
            asked: any instants ahead.
            given: medians that the caller has, by method, shape (n,) each; such a method is not asked.
        """
        median, whose = np.full(len(asked.at_s), np.nan), np.full(len(asked.at_s), "", dtype=object)
        band, silent = asked.point(median), dict[str, str]()
        for name in self._best_first(self.methods):
            missing = np.isnan(median)
            if not missing.any():
                break
            try:
                said = self._believed(self.methods[name](asked), asked) if name not in given else None
            except TooLittleKnown as reason:
                silent[name] = str(reason)
                continue
            raw, moved_by = asked.point(given[name]) if said is None else said, self._moved_by(asked, name)
            good = missing & np.isfinite(_middle(raw))
            median[good], whose[good] = (_middle(raw) + np.nan_to_num(_middle(moved_by)))[good], name
            band[:, good] = (raw + moved_by)[:, good]
        median = np.clip(median, *self.bounds)
        return Now(median, _about(median, np.clip(band, *self.bounds)), tuple(whose.tolist()), silent)

    def losses(self) -> dict[str, float]:
        """Give the mean loss of what was issued in the last days, by method, over what all of them have foreseen."""
        if self._losses is None:
            self._losses = self._scored()
        return self._losses

    def _scored(self) -> dict[str, float]:
        told, known = self.issues.losses(), self.issues.known()
        scored = {n: loss for n, loss in told.items() if np.isfinite(loss).sum() > LEAST_SCORED * known}
        if not scored:
            return {}
        common = np.isfinite(list(scored.values())).all(axis=0)
        return {n: float(loss[common].mean()) for n, loss in scored.items()} if common.any() else {}

    def _look_back(self, asked: Asked) -> None:
        last_s, leads = self.issues.last_s, self.issues.leads
        if last_s is not None and asked.now_s <= last_s:
            raise ValueError(f"an issue at {asked.now_s:.0f} s does not lie after the last one; go on in time")
        if last_s is not None and len(asked.at_s) != leads:
            raise ValueError(f"{len(asked.at_s)} quarter-hours are asked for, {leads} before; ask for as many")
        self.issues.forget(asked.now_s - REMEMBERED_S)
        # A quarter-hour that runs is no quarter-hour yet.
        self.issues.learn(asked.past.before(np.floor(asked.now_s / QUARTER_S) * QUARTER_S))
        self._losses = None
        today = int(asked.calendar.cells(np.array([asked.now_s]))[0][0])
        if self.day is not None and today > self.day:
            loss = self.losses()
            self.choice = reconsider(self.choice, {name: loss[name] for name in loss if name in self._serving})
        self.day = today

    def _ask(self, asked: Asked) -> tuple[dict[str, Floats], dict[str, str]]:
        raw: dict[str, Floats] = {}
        silent: dict[str, str] = {}
        for name, method in self.methods.items():
            try:
                raw[name] = self._believed(method(asked), asked)
            except TooLittleKnown as reason:
                silent[name] = str(reason)
        return raw, silent

    def _believed(self, value: Floats, asked: Asked) -> Floats:
        """Give what a method said; raises `TooLittleKnown` where it is no number, or far beyond the bounds."""
        said = value[~np.isnan(value)]
        if not np.isfinite(said).all():
            raise TooLittleKnown("it foresees what is no number")
        if not said.size or not np.isfinite(self.bounds).any():
            return value
        known = asked.laid(CLIMATE_DAYS).value
        slack = BEYOND * float(np.nanmax(np.abs(known))) if np.isfinite(known).any() else 0.0
        low, high = self.bounds
        worst = said.min() if low - said.min() > said.max() - high else said.max()
        if worst < low - slack or worst > high + slack:
            raise TooLittleKnown(f"it foresees {worst:.1f}, far beyond {low:g} to {high:g}")
        return value

    def _calibrated(self, asked: Asked, name: str, value: Floats) -> Floats:
        errors = self.issues.errors(name, asked.now_s, NEAR_S)
        return calibrated(asked.levels, value, errors, self._near_leads)

    def _moved_by(self, asked: Asked, name: str) -> Floats:
        """Give by how much past errors move a method's quantiles, `nan` where too few are known, shape (levels, n).

        It goes by lead; beyond the last one that is judged it stays as it is there.
        """
        errors = self.issues.errors(name, asked.now_s, NEAR_S)
        nothing = asked.point(np.full(len(asked.at_s), np.nan))
        if not errors.size:
            return nothing
        by_lead = correction(asked.levels, errors, self._near_leads)
        known = np.isfinite(by_lead).all(axis=0)
        if not known.any():
            return nothing
        ahead_s, lead_s = asked.at_s - asked.now_s, self.issues.lead_s[known]
        return np.array([np.interp(ahead_s, lead_s, each[known]) for each in by_lead])

    def _best_first(self, names: Mapping[str, object]) -> list[str]:
        """Order methods: the chosen one, those of the least loss, of the rest the one to begin with, then as named."""
        loss = self.losses()

        def place(name: str) -> tuple[bool, bool, bool, float, bool]:
            others = name not in self._serving, name != self.choice.method, name not in loss
            return *others, loss.get(name, 0.0), name != self._first

        return sorted(names, key=place)

    def _served(self, asked: Asked, issued: Mapping[str, Floats]) -> tuple[Floats, tuple[str, ...]]:
        """Lay what is issued over each other, and say whose each value is; the better method lies above."""
        value = np.full((len(asked.levels), len(asked.at_s)), np.nan)
        whose = np.full(len(asked.at_s), "", dtype=object)
        for name in reversed(self._best_first(issued)):
            good = np.isfinite(issued[name]).all(axis=0)
            value[:, good], whose[good] = issued[name][:, good], name
        return value, tuple(whose.tolist())


def _about(median: Floats, band: Floats) -> Floats:
    """Put quantiles in order about their median, `nan` where one of them is unknown, shape (levels, n)."""
    middle, found = len(band) // 2, band.copy()
    found[middle] = np.where(np.isfinite(band).all(axis=0), median, np.nan)
    found[: middle + 1] = np.minimum.accumulate(found[middle::-1])[::-1]
    found[middle:] = np.maximum.accumulate(found[middle:])
    return found


def _middle(value: Floats) -> Floats:
    """Give the row of the middle level."""
    return np.asarray(value[len(value) // 2])
