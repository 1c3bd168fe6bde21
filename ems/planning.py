"""The slow loop: remember, foresee, ask, check, publish.

Law 1: a plan is published by replacing one reference, after it was checked and the journal has it.
Law 2: whatever goes wrong costs this plan, never the last one: it stays published and grows old.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from ems.clock import Clock
from ems.config.assets import GridMeter
from ems.config.binding import Bindings
from ems.config.site import Site
from ems.hygiene import Hygiene
from ems.limits.in_force import InForce
from ems.plan_check import check_plan
from ems.plan_counts import PlanCounts, moved_kw
from ems.process_image import Snapshot
from ems.slow.elsewhere import Elsewhere
from ems.slow.feed_desk import FeedDesk
from ems.slow.foresee import Cars, Foreseer, Foresight, Sky
from ems.slow.futures import Futures
from ems.slow.load_ladders import LoadLadders
from ems.slow.measured_past import MeasuredPast, Table
from ems.slow.period_desk import AccountsNow, PeriodDesk
from ems.slow.plan_record import plan_record
from ems.slow.plan_resumed import misfit
from ems.slow.question import Questioner, plan_slots
from ems.slow.responses import responses
from ems.slow.season_desk import SeasonDesk
from ems.slow.situation import AssetNow, read_situation, with_hygiene
from ems.slow.standing_alone import standing_alone
from ems.slow.tariff_charges import settled
from ems.standing import Override
from ems.store.database import StoreError
from ems.worker import Solver
from optimization.assets import EvSession
from optimization.forecast.past import Past
from optimization.network import Network
from optimization.problem import Charge, Plan, Problem, Refused
from optimization.slots import Slots

logger = logging.getLogger(__name__)

JOURNAL_LIMIT_S = 30.0


class PlanJournal(Protocol):
    """What is needed of the journal."""

    def record(self, kind: str, body: Mapping[str, Any], *, at: datetime | None = None) -> Future[int]:
        """Append a record; the future resolves after its commit."""


class Foresees(Protocol):
    """Tells what a plan rests on."""

    def foresee(self, slots: Slots, now: datetime, situation: Mapping[str, AssetNow], sessions: Cars) -> Foresight:
        """Foresee everything on the slots."""


class NetworkSource(Protocol):
    """Gives the prepared feeder."""

    def __call__(self) -> Network | None:
        """Give it, or None while it is not prepared."""


@dataclass(frozen=True, slots=True, eq=False)
class PlanningParts:
    """What the slow loop is put together from; made by `ems.slow.planning_setup.build_planning`."""

    measured: MeasuredPast
    desk: FeedDesk
    foreseer: Foresees
    questioner: Questioner
    network: NetworkSource | None
    periods: PeriodDesk
    futures: Futures | None = None
    ladders: LoadLadders | None = None
    elsewhere: tuple[Elsewhere, ...] = ()
    season: SeasonDesk | None = None


class Planning:
    """The slow loop of one site.

    Args:
        site: the site.
        bindings: which point measures what.
        clock: time.
        solver: answers questions.
        journal: keeps plans.
        parts: what foresees and asks.
        last: the newest plan of before this start, made with this configuration; None for none.
    """

    def __init__(
        self,
        site: Site,
        bindings: Bindings,
        clock: Clock,
        *,
        solver: Solver,
        journal: PlanJournal,
        parts: PlanningParts,
        last: Plan | None = None,
    ) -> None:
        self._site, self._bindings, self._clock = site, bindings, clock
        self._solver, self._journal, self._parts = solver, journal, parts
        self._published: Plan | None = None
        self._last = last
        self._foresight: Foresight | None = None
        self._sky: Sky | None = None
        self._trouble = ""
        self.counts = PlanCounts()

    @property
    def published(self) -> Plan | None:
        """The plan in force; None before the first."""
        return self._published

    def in_force(self, snapshot: Snapshot) -> Plan | None:
        """Give the plan in force; the first snapshot decides whether that of before this start still is."""
        last, self._last = self._last, None
        if last is not None and self._published is None:
            why = misfit(self._site, last, snapshot.at, read_situation(self._site, self._bindings, snapshot))
            self._journal.record("transition", {"event": "plan_resumed", "plan": last.id, "misfit": why})
            self._published = None if why else last
        return self._published

    @property
    def foresight(self) -> Foresight | None:
        """What the newest question rests on."""
        return self._foresight

    @property
    def sky(self) -> Sky | None:
        """The weather of the newest foresight."""
        return self._sky

    def measured(self, now: datetime) -> Table:
        """Give what this site has measured before an instant."""
        return self._parts.measured.table(now)

    @property
    def desk(self) -> FeedDesk:
        """Where published prices, carbon intensity and weather are kept."""
        return self._parts.desk

    @property
    def accounts(self) -> AccountsNow:
        """How the month's peak and the week's carbon stand, and what is aimed at."""
        return self._parts.periods.now(self._clock.now())

    @property
    def accounts_elsewhere(self) -> dict[str, AccountsNow]:
        """The same of the connections beside the first one, by their ids."""
        now = self._clock.now()
        return {at.name: at.periods.now(now) for at in self._parts.elsewhere}

    @property
    def trouble(self) -> str:
        """Why the last planning cycle published nothing, in words; empty when it did."""
        return self._trouble

    def similar_stays(self, name: str, arrival: datetime, now: datetime) -> list[EvSession]:
        """Give the past stays that a car's may be like that said nothing; none where another foresight has no past."""
        foreseer = self._parts.foreseer
        return foreseer.similar_stays(name, arrival, now) if isinstance(foreseer, Foreseer) else []

    def foresee_by(self, other: Callable[[Foresees], Foresees]) -> None:
        """Put another foresight, made of the usual one, in its place; for studies."""
        self._parts = replace(self._parts, foreseer=other(self._parts.foreseer))

    async def close(self) -> None:
        """Give up what goes on in the background."""
        if self._parts.ladders is not None:
            await self._parts.ladders.close()

    def observe(self, snapshot: Snapshot) -> None:
        """Remember a snapshot; called every control cycle, a few microseconds."""
        self._parts.measured.observe(snapshot)
        self._parts.periods.observe(snapshot)
        for at in self._parts.elsewhere:
            at.observe(snapshot)

    def tell(self) -> None:
        """Journal what forecasts have to tell; called every control cycle, so that a plan's own record goes first."""
        if self._parts.ladders is not None:
            self._parts.ladders.tell()

    async def plan_once(
        self,
        snapshot: Snapshot,
        sessions: Cars,
        *,
        steered: Collection[str] | None = None,
        overrides: Mapping[str, Override] | None = None,
        limits: Sequence[InForce] = (),
        hygiene: Mapping[str, Hygiene] | None = None,
    ) -> Plan | Refused | None:
        """Plan once.

        Args:
            snapshot: the process image.
            sessions: cars that stand there and have said what they want, by asset id.
            steered: assets that may be steered now, by mode and lockout; None to go by the site file.
            overrides: powers that people ask for, by asset id.
            limits: what the grid operator allows at the connection.
            hygiene: how tanks are that have to become hot in time, by asset id; one that is missing was just hot.

        Returns:
            The published plan, why the question was refused, or None if nothing was published for another reason.
        """
        try:
            situation = with_hygiene(read_situation(self._site, self._bindings, snapshot, steered), hygiene or {})
            return await self._plan(snapshot, sessions, situation, overrides=overrides, limits=limits)
        except Exception as error:
            self.counts.failed += 1
            self._say(f"planning failed: {type(error).__name__}: {error}", error)
            return None

    async def _plan(
        self,
        snapshot: Snapshot,
        sessions: Cars,
        situation: Mapping[str, AssetNow],
        *,
        overrides: Mapping[str, Override] | None,
        limits: Sequence[InForce],
    ) -> Plan | Refused | None:
        now = self._clock.now()
        self.observe(snapshot)
        await self._solver.start()
        await self._parts.measured.catch_up()
        await self._parts.desk.refresh(now)
        network = self._parts.network() if self._parts.network is not None else None
        if network is None and self._parts.network is not None:
            self.counts.unanswered += 1
            self._say("the solver process is still preparing the grid")
            return None
        question = await self._ask(now, situation, sessions, network=network, overrides=overrides, limits=limits)
        if isinstance(question.problem, Refused):
            return self._refuse(question.problem)
        answer = await self._solver.solve(question.problem, now, self._site.file.planning.solve_deadline_s)
        return await self._judge(question, question.problem, answer)

    async def _ask(
        self,
        now: datetime,
        situation: Mapping[str, AssetNow],
        sessions: Cars,
        *,
        network: Network | None,
        overrides: Mapping[str, Override] | None,
        limits: Sequence[InForce],
    ) -> _Question:
        planning = self._site.file.planning
        slots = plan_slots(now, planning)
        foresight = self._parts.foreseer.foresee(slots, now, situation, sessions)
        self._foresight = foresight
        own = self._parts.foreseer if isinstance(self._parts.foreseer, Foreseer) else None
        told = foresight.loads
        self._sky = Sky.of(slots, foresight, now) if own is None else own.foresee_sky(slots, now, situation, told)
        periods, table = self._parts.periods, self._parts.measured.table(now)
        for at in self._parts.elsewhere:
            await at.look_ahead(now, table, slots, foresight, situation, solver=self._solver)
        season, known = self._parts.season, (now, table, slots, foresight, situation)
        if season is None:
            await periods.look_ahead(*known, solver=self._solver)
        else:
            await season.look_ahead(*known, peak_kw=periods.now(now).peak_so_far_kw or 0.0, solver=self._solver)
            await periods.look_ahead(*known, solver=self._solver, added=season.added)
        others = self._parts.elsewhere
        events, unheard = responses(self._site.file.demand_response, slots, self._zone, self._net_past(table))
        problem = self._parts.questioner.ask(
            slots,
            situation,
            foresight,
            network=network,
            previous=self._published,
            overrides=overrides,
            limits=limits,
            worths=None if season is None else season.worths(now),
            terms=periods.terms(slots, now),
            tiers=periods.tiers(slots, now),
            further=(*periods.further_demands(slots, now), *self._settled(slots), *events[: 0 if others else None]),
        )
        if isinstance(problem, Problem) and others:
            supplies = tuple(at.supply(slots, foresight, now) for at in others)
            problem = replace(problem, supplies=supplies, pooled=events)
        if isinstance(problem, Problem):
            survival, unkept = standing_alone(self._site.file, problem)
            problem, unheard = replace(problem, survival=survival), unheard | unkept
        if isinstance(problem, Problem) and own is not None and self._parts.futures is not None:
            problem = self._parts.futures.added(problem, foresight, table, now)
        blocked = {name: a.blocked for name, a in situation.items() if a.blocked}
        return _Question(problem, foresight, blocked | unheard)

    @property
    def _zone(self) -> ZoneInfo:
        return ZoneInfo(self._site.file.site.timezone)

    def _net_past(self, table: Table) -> Past:
        """Give the net import of the site, as its meter told it, or the meters of all its connections together."""
        meters = [name for name, spec in self._site.file.assets.items() if isinstance(spec, GridMeter)] or [""]
        first, *others = (table.past(self._bindings.measure(meter, "power_kw")) for meter in meters)
        return replace(first, value=sum((each.value for each in others), first.value)) if others else first

    def _settled(self, slots: Slots) -> Iterator[Charge]:
        return settled(self._site.tariff, slots, self._zone, self._parts.desk)

    async def _judge(
        self, question: _Question, problem: Problem, answer: Plan | Refused | None
    ) -> Plan | Refused | None:
        match answer:
            case None:
                self.counts.unanswered += 1
                self._say("the solver gave no answer: it is late, not ready or was replaced; the log says which")
                return None
            case Refused():
                return self._refuse(answer)
            case Plan():
                violations = check_plan(problem, answer)
                if violations:
                    self.counts.failed_checks += 1
                    self._say(f"the plan {answer.id} failed its check: {'; '.join(violations)}")
                    return None
                return await self._publish(question, problem, answer)

    async def _publish(self, question: _Question, problem: Problem, plan: Plan) -> Plan | None:
        body = plan_record(problem, plan, question.foresight, question.blocked)
        body["accounts"], body["config"] = self._parts.periods.accounts.body(), self._site.config_hash
        if self._parts.elsewhere:
            body["accounts_elsewhere"] = {at.name: at.periods.accounts.body() for at in self._parts.elsewhere}
        if self._parts.season is not None and (season := self._parts.season.body(plan.made_at)):
            body["season"] = season
        kept = asyncio.wrap_future(self._journal.record("plan", body, at=plan.made_at))
        try:
            await self._clock.wait_for(kept, JOURNAL_LIMIT_S)
        except (StoreError, OSError, TimeoutError) as error:
            self.counts.unjournalled += 1
            self._say(f"the journal did not take the plan {plan.id}: {error}")
            return None
        self._count(plan, question.foresight)
        self._published = replace(plan, branches={})
        self._say("")
        return self._published

    def _count(self, plan: Plan, foresight: Foresight) -> None:
        self.counts.published += 1
        self.counts.degraded += bool(foresight.degraded)
        self.counts.ac[plan.ac.status] += 1
        if self._published is not None:
            self.counts.moved_kw += moved_kw(self._published, plan)

    def _refuse(self, refused: Refused) -> Refused:
        self.counts.refused += 1
        self._say(f"the question was refused: {'; '.join(refused.reasons)}")
        return refused

    def _say(self, trouble: str, error: Exception | None = None) -> None:
        """Log a transition once: into trouble, with the error behind it, out of it, or into another one."""
        if trouble and trouble != self._trouble:
            logger.warning("no new plan: %s", trouble, exc_info=error)
        if self._trouble and not trouble:
            logger.info("plans are published again")
        self._trouble = trouble


@dataclass(frozen=True, slots=True, eq=False)
class _Question:
    """A question with what it rests on and what was left out of it."""

    problem: Problem | Refused
    foresight: Foresight
    blocked: Mapping[str, str]
