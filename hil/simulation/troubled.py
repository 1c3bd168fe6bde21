"""A solver and feeds that fail when the schedule says so; everything else of them is the real thing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from random import Random

import numpy as np

from drivers.feeds import FeedError, ForecastSeries
from ems.clock import Clock
from ems.slow.feed_desk import Feed
from ems.worker import Solver
from hil.simulation.faults import Kind
from optimization.month_ahead import Ahead, MonthAhead
from optimization.problem import Plan, Problem, Refused
from optimization.season import Season, SeasonAhead

SOLVES_S = (0.2, 4.0)


@dataclass
class SolverInFront:
    """A planner with somebody before it who changes its answers.

    Args:
        inner: answers.
        clock: lets a solve take its time.
    """

    inner: Solver
    clock: Clock

    @property
    def ready(self) -> bool:
        """Whether a question would be worked on at once."""
        return self.inner.ready

    async def start(self) -> None:
        """Load the planner."""
        await self.inner.start()

    async def close(self) -> None:
        """Forget the planner."""
        await self.inner.close()


@dataclass
class TroubledSolver(SolverInFront):
    """The real planner, stopped by iterations alone, behind a process that may fail.

    Args:
        rng: draws how long it takes, and how it lies.
        trouble: which failure of the solver is on; None for none.
    """

    rng: Random
    trouble: Callable[[], Kind | None]

    async def solve(self, problem: Problem, now: datetime, deadline_s: float) -> Plan | Refused | None:
        """Answer, late, never, or wrongly."""
        trouble, takes_s = self.trouble(), self.rng.uniform(*SOLVES_S)
        if trouble is Kind.SOLVER_LATE:
            await self.clock.sleep(deadline_s)
            return None
        if trouble is Kind.SOLVER_FAILS:
            return None
        answer = await self.inner.solve(problem, now, deadline_s)
        await self.clock.sleep(takes_s)
        return self._twisted(answer) if trouble is Kind.SOLVER_LIES and isinstance(answer, Plan) else answer

    async def look_ahead(self, question: MonthAhead, deadline_s: float) -> Ahead | None:
        """Answer, unless it fails."""
        return None if self.trouble() is not None else await self.inner.look_ahead(question, deadline_s)

    async def look_season(self, question: Season, deadline_s: float) -> SeasonAhead | None:
        """Answer, unless it fails."""
        return None if self.trouble() is not None else await self.inner.look_season(question, deadline_s)

    def _twisted(self, plan: Plan) -> Plan:
        """Give a plan of which one asset's powers are no numbers, or many times too great."""
        name = self.rng.choice(sorted(plan.schedules))
        schedule = plan.schedules[name]
        factor = self.rng.choice((float("nan"), 50.0, -50.0))
        power_kw = np.where(schedule.power_kw == 0.0, factor, schedule.power_kw * factor)
        return replace(plan, schedules={**plan.schedules, name: replace(schedule, power_kw=power_kw)})


@dataclass(frozen=True, slots=True)
class TroubledFeed:
    """A feed that is lost while `is_lost` says so; what is published goes by the world's time, not by the reader's."""

    inner: Feed
    world_now: Callable[[], datetime]
    is_lost: Callable[[], bool]

    async def fetch(self, now: datetime) -> Sequence[ForecastSeries]:  # noqa: ARG002 - see above
        """Give what is published; raises `FeedError` while the feed is lost."""
        if self.is_lost():
            raise FeedError("nobody answers there")
        return await self.inner.fetch(self.world_now())
