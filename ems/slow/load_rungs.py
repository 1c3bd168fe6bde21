"""The ladder of one series, and what stands around it: its age, who speaks, what the journal has to be told yet."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime

import numpy as np

from ems.slow.forecast_record import HORIZON_S, THIN, Judged, Standing, quarters_s
from ems.slow.foreseen_kinds import CORRECTED, LOAD, Kind
from optimization.forecast.choice import Choice
from optimization.forecast.features import quarter_means
from optimization.forecast.handed import Corrected, Handed
from optimization.forecast.homework import Learnt
from optimization.forecast.issues import Issues
from optimization.forecast.ladder import FIRST, REMEMBERED_S, Ladder, Now
from optimization.forecast.learned import Taught
from optimization.forecast.methods import (
    LEVELS,
    Asked,
    Method,
    TooLittleKnown,
    calendar,
    climatology,
    last_week,
    persistence,
)
from optimization.forecast.past import DAY_S, QUARTER_S, Past, epoch_s
from optimization.forecast.quarters import Calendar
from optimization.slots import Floats

logger = logging.getLogger(__name__)

SIMPLE: Mapping[str, Method] = {
    "persistence": persistence,
    "last_week": last_week,
    "climatology": climatology,
    "calendar": calendar,
}
"""The methods that need no learning, the simplest first."""
JUDGED_S = 4.0 * 3600.0
"""So often every method issues: any time of day lies within two hours of an issue's."""
ROOM = round(REMEMBERED_S / JUDGED_S) + 1
NEAR_LEADS = 1
"""Leads are an hour apart."""
YOUNG_S = 2.0 * DAY_S
HOURS, DAY_QUARTERS = 24, 96
KNOWN = 0.75
"""Of a day so large a share of its hours must be known."""
WAITS_S = DAY_S
"""The journal waits so long for the last of what came after an issue."""


class LoadRungs:
    """One ladder.

    Args:
        name: of the load, or of whatever else is foreseen.
        wished: the methods that may be chosen.
        learners: those that somebody teaches.
        calendar: the site's.
        now: the present instant.
        kind: how it is foreseen.
    """

    def __init__(
        self,
        name: str,
        wished: Collection[str],
        learners: Collection[str],
        calendar: Calendar,
        *,
        now: datetime,
        kind: Kind = LOAD,
    ) -> None:
        self.name, self.kind, self._calendar = name, kind, calendar
        self.handed, own = Handed(), (*kind.beside, *((kind.model, CORRECTED) if kind.model else ()))
        self.taught = {method: Taught() for method in learners if kind.learns and method in wished}
        issues = Issues((*SIMPLE, *own, *self.taught), ROOM, np.float32)
        given: dict[str, Method] = {}
        if kind.model:
            given = {kind.model: self.handed, CORRECTED: Corrected(self.handed, kind.model, issues)}
        methods: dict[str, Method] = {**SIMPLE, **kind.beside, **given, **self.taught}
        # What nobody teaches here is left out; where nothing is left, the usual one serves.
        self.serving = tuple(method for method in methods if method in (*wished, *own)) or (kind.usual,)
        self.ladder = Ladder(
            methods, kind.bounds, Choice(self._usual), serving=self.serving, issues=issues, near_leads=NEAR_LEADS,
            first=next(iter(kind.beside), FIRST),
        )  # fmt: skip
        self.since, self.young = now, True
        # Of a load it is told from the first time on, of all else where it is not as usual.
        self.speaks, self.why = "" if kind.is_load else kind.usual, ""
        self._judged_s = -math.inf
        self._untold: list[float] = []

    @property
    def _usual(self) -> str:
        return self.kind.usual if self.kind.usual in self.serving else self.serving[0]

    @property
    def chosen(self) -> str:
        """The method that is chosen."""
        return self.ladder.choice.method

    def is_due(self, now_s: float) -> bool:
        """Tell whether its methods shall issue again at an instant [s since 1970]."""
        return self._judged_s == -math.inf or now_s // JUDGED_S > self._judged_s // JUDGED_S

    def come_of_age(self, past: Past, now: datetime) -> None:
        """Keep to the simplest method while only hours are known, and begin with the usual one when it is days."""
        if not self.young:
            return
        known_s = epoch_s(now) - past.at_s[0] if past.at_s.size else 0.0
        self.young = bool(known_s < YOUNG_S)
        method = (self.kind.young or self.serving[0]) if self.young else self._usual
        if method != self.chosen:
            self.since = now
        self.ladder.choice = Choice(method)

    def take_over(self, learnt: Learnt) -> None:
        """Take over what was learned."""
        for method, model in learnt.models.items():
            self.taught[method].teach(model, learnt.learned_s)
        for method, why in learnt.silent.items():
            logger.info("%s of %s has learned nothing new: %s", method, self.name, why)
            self.taught[method].tell(why)

    def foresee(self, past: Past, at_s: Floats, now: datetime, usual_kw: Floats) -> Now:
        """Foresee.

        Args:
            past: quarter-hours that are over [kW, or the unit of the series].
            at_s: any instants ahead [s since 1970], shape (n,).
            now: the present instant.
            usual_kw: what is given of the usual method, shape (n,) [kW, or the unit of the series].

        Returns:
            Medians without a gap, shape (n,), and quantiles, shape (levels, n) [kW].
        """
        given = {self.kind.given: usual_kw} if self.kind.given else {}
        told = self.ladder.now(self._asked(past, at_s, epoch_s(now)), given)
        return replace(told, median=np.where(np.isfinite(told.median), told.median, usual_kw))

    def day_errors(self, before: int) -> dict[int, Floats]:
        """Tell how the chosen method's forecasts of the last weeks went wrong, each issued as its day of UTC began.

        Args:
            before: days before this one [days since 1970].

        Returns:
            What came less the median that was issued, of each quarter-hour of a day, shape (96,), by the day counted
            from 1970 on [kW]; hours of which it is unknown are bridged, days of which much is are missing.
        """
        found: dict[int, Floats] = {}
        for issued_s, at_s, error in self.ladder.issues.misses(self.chosen):
            day, since_s = divmod(issued_s, DAY_S)
            known = np.isfinite(error) & (at_s < (day + 1.0) * DAY_S)
            if day < before and since_s < JUDGED_S and int(day) not in found and known.sum() >= KNOWN * HOURS:
                found[int(day)] = np.interp(quarters_s(day * DAY_S)[:DAY_QUARTERS], at_s[known], error[known])
        return found

    def judge(self, past: Past, now: datetime) -> Judged:
        """Let all methods issue, look at the choice once a local day, and say how things stand."""
        self._judged_s = now_s = epoch_s(now)
        first_s = math.ceil(now_s / QUARTER_S) * QUARTER_S
        asked = self._asked(past, quarters_s(first_s), now_s)
        thin, before = self._asked(past, asked.at_s[::THIN], now_s), self.ladder.choice
        served = self.ladder.issue(thin)
        self._choose(before, now)
        told = self.ladder.now(asked)
        came = self._came(past, now_s)
        self._untold.append(first_s)
        return Judged(
            self.name,
            Standing(self.ladder.choice, self.ladder.day, self.since, self.young),
            thin.levels,
            self.ladder.issues.newest(),
            first_s,
            told.median,
            _reference(asked),
            Counter(told.method),
            served.silent,
            self.ladder.losses(),
            self.ladder.issues.coverage(),
            came,
            self.kind.unit,
        )

    def _asked(self, past: Past, at_s: Floats, now_s: float) -> Asked:
        return Asked(past, at_s, now_s, self._calendar, least=self.kind.bounds[0])

    def resume(self, kept: Judged) -> None:
        """Take up what was judged before this start; the records come in their order."""
        standing, issue, known = kept.standing, kept.issue, self.ladder.methods
        if kept.levels == LEVELS:
            raw, issued = ({n: v for n, v in told.items() if n in known} for told in (issue.raw, issue.issued))
            self.ladder.issues.keep(replace(issue, raw=raw, issued=issued), kept.levels)
            self._untold.append(kept.first_s)
        for first_s, came_kw in kept.came.items():
            self.ladder.issues.fill(quarters_s(first_s)[0], came_kw[::THIN])
            self._untold = [each for each in self._untold if each != first_s]
        self._judged_s, self.young = issue.issued_s, standing.young
        if standing.choice.method in self.serving:
            self.ladder.choice, self.ladder.day, self.since = standing.choice, standing.day, standing.since

    def _choose(self, before: Choice, now: datetime) -> None:
        """Tell of another choice; a load that is young makes none."""
        if self.young:
            self.ladder.choice = before
        elif self.chosen != before.method:
            self.since = now
            logger.info("%s is foreseen by %s from now on, no longer by %s", self.name, self.chosen, before.method)

    def _came(self, past: Past, now_s: float) -> dict[float, Floats]:
        """Give what came after the issues that are over, once it is known or nobody waits for it any more."""
        over = {f: quarter_means(past, quarters_s(f)) for f in self._untold if f + HORIZON_S <= now_s}
        told = {f: kw for f, kw in over.items() if np.isfinite(kw).all() or f + HORIZON_S + WAITS_S <= now_s}
        self._untold = [first_s for first_s in self._untold if first_s not in told]
        return told

    def heard(self, told: Now) -> bool:
        """Remember who speaks; tell whether that, or why it is not the chosen one, is news."""
        ((method, _),) = Counter(told.method).most_common(1)
        why = "" if method == self.chosen else told.silent.get(self.chosen, "it knows too little of these hours")
        is_news = (method, bool(why)) != (self.speaks, bool(self.why))
        if is_news and why:
            level = logging.INFO if self.young else logging.WARNING
            logger.log(level, "%s is foreseen by %s in place of %s: %s", self.name, method, self.chosen, why)
        elif is_news and self.why:
            logger.info("%s is foreseen by %s again", self.name, method)
        self.speaks, self.why = method, why
        return is_news


def _reference(asked: Asked) -> Floats:
    try:
        return np.asarray(persistence(asked)[0])
    except TooLittleKnown:
        return np.full(len(asked.at_s), np.nan)
