"""The ladders of forecasts, of loads and of all else: what is foreseen of each, by which method, and how good that was.

With every plan the chosen method is asked anew; every few hours all methods issue, and are held against what came.
What learns is taught elsewhere (`ems/learner.py`).

Law 1: a plan judges few loads, so that it is on time.
Law 2: a load of which only hours are known keeps to the simplest method; then the calendar serves until another one has
proved better.
Law 3: who speaks in place of the chosen method, and why, is told once and journalled.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from ems.config.site import Site
from ems.learner import Learner, NoLearner
from ems.slow.forecast_record import CHANGE, RECORD, issue_body, read_issue
from ems.slow.foreseen_kinds import LOAD, Known, kinds_of
from ems.slow.load_rungs import JUDGED_S, SIMPLE, LoadRungs
from ems.store.journal import Record
from optimization.forecast.handed import Model
from optimization.forecast.homework import LEARNERS, Homework
from optimization.forecast.ladder import Now
from optimization.forecast.methods import CLIMATE_DAYS
from optimization.forecast.past import DAY_S, Past, epoch_s
from optimization.forecast.quarters import Calendar
from optimization.forecast.spread import coarser
from optimization.slots import Floats

logger = logging.getLogger(__name__)

LOOKED_BACK_S = (CLIMATE_DAYS + 1) * DAY_S
LESSON_S = DAY_S
RETRY_S = 6.0 * 3600.0
FIRST_LESSON_S = 900.0
"""The first lesson waits until a start is over."""


class Records(Protocol):
    """What is needed of the journal."""

    def record(self, kind: str, body: Mapping[str, Any], *, at: datetime | None = None) -> object:
        """Append a record."""


class LoadLadders:
    """The ladders of a site: of its loads, its plants of sun and wind, price and carbon intensity.

    Args:
        site: the site.
        journal: keeps what was foreseen.
        learner: teaches what learns; None for nobody.
    """

    def __init__(self, site: Site, journal: Records, learner: Learner | None = None) -> None:
        self._file, self._journal = site.file, journal
        self._learner: Learner = NoLearner() if learner is None else learner
        self._calendar = Calendar(ZoneInfo(site.file.site.timezone))
        self._kinds = kinds_of(site)
        self._loads: dict[str, LoadRungs] = {}
        self._pasts: dict[str, Past] = {}
        self._until: dict[str, datetime] = {}
        self._lesson_due_s: float | None = None
        self._waiting: list[tuple[str, Mapping[str, Any], datetime]] = []

    def resume(self, records: Iterable[Record]) -> None:
        """Go on where the journal ends; a record that cannot be read costs itself only."""
        for record in records:
            try:
                kept = read_issue(record.body)
            except (KeyError, TypeError, ValueError) as error:
                logger.warning("entry %d of the journal is no forecast that can be read: %s", record.id, error)
            else:
                self._load(kept.point, record.at).resume(kept)

    def hand(self, name: str, model: Model, now: datetime) -> None:
        """Take what a plant's model foresees now, before its ladder is looked at."""
        self._load(name, now).handed.hand(model)

    def look(self, known: Mapping[str, Known], now: datetime) -> None:
        """Look at all of them once a plan, before anything is foreseen: learn, choose, and let some issue.

        Args:
            known: what is known of each series that is foreseen by a ladder, loads first.
            now: the present instant.
        """
        now_s = epoch_s(now)
        until_s = {name: now_s if each.until_s is None else each.until_s for name, each in known.items()}
        self._until = {name: datetime.fromtimestamp(at_s, UTC) for name, at_s in until_s.items()}
        self._pasts = {
            name: coarser(each.past.since(now_s - LOOKED_BACK_S)).before(until_s[name]) for name, each in known.items()
        }
        for gone in self._loads.keys() - known.keys():
            del self._loads[gone]
        for name, past in self._pasts.items():
            self._load(name, now).come_of_age(past, self._until[name])
        self._learn(now_s)
        pasts = self._pasts.items()
        due = [name for name, past in pasts if past.at_s.size and self._loads[name].is_due(until_s[name])]
        at_once = math.ceil(len(self._pasts) * self._file.planning.every_s / JUDGED_S)
        for name in due[:at_once]:
            judged = self._loads[name].judge(self._pasts[name], self._until[name])
            self._waiting.append((RECORD, issue_body(judged), now))

    def foresee(self, name: str, at_s: Floats, now: datetime, usual_kw: Floats) -> Now:
        """Foresee a load that was looked at, for a plan: it is told who speaks.

        Args:
            name: of the load.
            at_s: any instants ahead [s since 1970], shape (n,).
            now: the present instant.
            usual_kw: what is given of the usual method, shape (n,) [kW, or the unit of the series].

        Returns:
            Medians without a gap, shape (n,), and quantiles, shape (levels, n) [kW].
        """
        load, told = self._loads[name], self.ahead(name, at_s, usual_kw)
        if load.heard(told):
            body = {"point": name, "method": load.speaks, "chosen": load.chosen, "why": load.why}
            self._waiting.append((CHANGE, body, now))
        return told

    def ahead(self, name: str, at_s: Floats, usual_kw: Floats) -> Now:
        """Foresee such a load for whatever else: nothing is told."""
        return self._loads[name].foresee(self._pasts[name], at_s, self._until[name], usual_kw)

    def day_errors(self, name: str, before: int) -> dict[int, Floats]:
        """Tell how the chosen method's forecasts of days before one went wrong, by day of UTC; see `LoadRungs`."""
        return self._loads[name].day_errors(before) if name in self._loads else {}

    def knows(self, name: str) -> bool:
        """Tell whether a load has a ladder, and was looked at."""
        return name in self._pasts

    def speaks(self, name: str) -> str:
        """Name the method that foresees most of a load now; empty before the first forecast."""
        return self._loads[name].speaks if name in self._loads else ""

    def tell(self) -> None:
        """Write down what there is to tell since this was last done; a plan that is due goes first."""
        for kind, body, at in self._waiting:
            self._journal.record(kind, body, at=at)
        self._waiting.clear()

    async def close(self) -> None:
        """Write down what is left, and give up what is being learned."""
        self.tell()
        await self._learner.close()

    def _load(self, name: str, now: datetime) -> LoadRungs:
        if name not in self._loads:
            own = self._file.forecasts.get(name)
            wished = self._file.planning.forecast_methods if own is None else own.methods
            learners = tuple(LEARNERS) if self._learner.teaches else ()
            kind = self._kinds.get(name, LOAD)
            served = tuple(map(str, wished)) if kind.is_load else (*SIMPLE, *LEARNERS)
            self._loads[name] = LoadRungs(name, served, learners, self._calendar, now=now, kind=kind)
        return self._loads[name]

    def _learn(self, now_s: float) -> None:
        """Take over what was learned, and once a day have more learned."""
        if not self._learner.teaches:
            return
        due_s = now_s + FIRST_LESSON_S if self._lesson_due_s is None else self._lesson_due_s
        for name, learnt in self._learner.take().items():
            if name in self._loads:
                self._loads[name].take_over(learnt)
            due_s = min(due_s, now_s + RETRY_S) if learnt.silent else due_s
        wanted = {name: tuple(self._loads[name].taught) for name in self._pasts if self._loads[name].taught}
        if now_s >= due_s and wanted and not self._learner.is_busy:
            due_s = now_s + LESSON_S
            homework = {name: self._homework(name, methods) for name, methods in wanted.items()}
            self._learner.begin(homework)
        self._lesson_due_s = due_s

    def _homework(self, name: str, methods: tuple[str, ...]) -> Homework:
        least = self._kinds.get(name, LOAD).bounds[0]
        return Homework(self._pasts[name], epoch_s(self._until[name]), self._calendar, methods, least=least)
