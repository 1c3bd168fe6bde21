"""Who solves: a process of its own with a deadline, or the planner in this process (in lock-step).

Law 1: a solve that is late, a worker that dies or talks nonsense is no plan and nothing worse: the worker is killed and
replaced in the background, and the ladder goes on with the last plan.
Law 2: the deadline is waited for on the injected clock; on a simulated one nothing is ever cut.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from asyncio.subprocess import Process
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import NoneType
from typing import Protocol

from ems.child_process import BROKEN, begin, end, exchange
from ems.clock import Clock
from optimization.month_ahead import Ahead, MonthAhead
from optimization.network import GridLimits
from optimization.problem import Plan, Problem, Refused
from optimization.season import Season, SeasonAhead
from optimization.switching import Outage
from optimization.witness import Witness

logger = logging.getLogger(__name__)

READY = "ready"
START_LIMIT_S = 1800.0
"""A worker that imports, compiles and reads its caches for so long is given up [clock s]."""


class Solver(Protocol):
    """Turns a question into a checked plan."""

    @property
    def ready(self) -> bool:
        """Whether a question would be worked on at once."""

    async def start(self) -> None:
        """Begin to get ready; returns at once where that happens elsewhere. Idempotent."""

    async def solve(self, problem: Problem, now: datetime, deadline_s: float) -> Plan | Refused | None:
        """Answer within the deadline [s]; None if there is no answer."""

    async def look_ahead(self, question: MonthAhead, deadline_s: float) -> Ahead | None:
        """Find the peaks that are worth their price, within the deadline [s]; None if there is no answer."""

    async def look_season(self, question: Season, deadline_s: float) -> SeasonAhead | None:
        """Find what stored energy will be worth, within the deadline [s]; None if there is no answer."""

    async def close(self) -> None:
        """End it."""


class NoSolver:
    """Nobody plans: the ladder stays on its rules."""

    ready = False

    async def start(self) -> None:
        """Start nothing."""

    async def solve(self, problem: Problem, now: datetime, deadline_s: float) -> None:
        """Give no plan."""

    async def look_ahead(self, question: MonthAhead, deadline_s: float) -> None:
        """Find nothing."""

    async def look_season(self, question: Season, deadline_s: float) -> None:
        """Find nothing."""

    async def close(self) -> None:
        """Close nothing."""


class Planner(Protocol):
    """The planner as the rolling optimisation offers it."""

    def plan(self, problem: Problem, now: datetime) -> Plan | Refused:
        """Answer a question."""


@dataclass(frozen=True, slots=True)
class Feeder:
    """Where plans are made for, and how they are verified there.

    Args:
        grid_path: the pandapower grid; None to plan without one.
        cache_dir: where prepared grids lie.
        limits: of the grid.
        witness: of which plans pandapower's `runpp` is asked besides.
        outages: what every plan has to survive.
        bisections: how many solves more look for a plan where three rounds have found none within the limits.
    """

    grid_path: Path | None
    cache_dir: Path
    limits: GridLimits | None = None
    witness: Witness = Witness.NONE
    outages: tuple[Outage, ...] = ()
    bisections: int = 0


class DirectSolver:
    """Solves in this process, without a deadline: for lock-step, where wall time decides nothing.

    Args:
        feeder: where plans are made for.
    """

    def __init__(self, feeder: Feeder) -> None:
        self._feeder = feeder
        self._planner: Planner | None = None

    @property
    def ready(self) -> bool:
        """Whether the planner is loaded."""
        return self._planner is not None

    async def start(self) -> None:
        """Load the planner."""
        if self._planner is None:
            self._planner = load_planner(self._feeder)

    async def solve(self, problem: Problem, now: datetime, deadline_s: float) -> Plan | Refused | None:  # noqa: ARG002
        """Answer, however long it takes."""
        await self.start()
        return self._planner.plan(problem, now) if self._planner is not None else None

    async def look_ahead(self, question: MonthAhead, deadline_s: float) -> Ahead | None:  # noqa: ARG002
        """Answer, however long it takes."""
        return answer_ahead(question)

    async def look_season(self, question: Season, deadline_s: float) -> SeasonAhead | None:  # noqa: ARG002
        """Answer, however long it takes."""
        return answer_season(question)

    async def close(self) -> None:
        """Forget the planner."""
        self._planner = None


def load_planner(feeder: Feeder) -> Planner:
    """Load the rolling optimisation; it imports Pyomo, so the control process never calls this."""
    from optimization.rolling import Planner as RollingPlanner  # noqa: PLC0415 - heavy, and not for the core

    planner: Planner = RollingPlanner(
        feeder.grid_path,
        feeder.cache_dir,
        feeder.limits,
        witness=feeder.witness,
        outages=feeder.outages,
        bisections=feeder.bisections,
    )
    return planner


def answer_ahead(question: MonthAhead) -> Ahead | None:
    """Look ahead in this process; None, with the reason logged, where there is no optimum."""
    from optimization.month_ahead_lp import MonthAheadError, look_ahead  # noqa: PLC0415 - scipy is not for the core

    try:
        return look_ahead(question)
    except MonthAheadError as error:
        logger.warning("%s", error)
        return None


def answer_season(question: Season) -> SeasonAhead | None:
    """Look at the season ahead in this process likewise."""
    from optimization.season_lp import SeasonError, look_ahead  # noqa: PLC0415 - the solver is not for the core

    try:
        return look_ahead(question)
    except SeasonError as error:
        logger.warning("%s", error)
        return None


class WorkerSolver:
    """Solves in a process of its own, in its own session, at a lower priority.

    Args:
        feeder: where plans are made for.
        clock: on which deadlines are waited for.
        command: the worker's command line; None for the real one.
    """

    def __init__(self, feeder: Feeder, clock: Clock, *, command: tuple[str, ...] | None = None) -> None:
        self._clock = clock
        self._feeder = feeder
        self._command = command or (sys.executable, "-P", "-m", "ems.worker_main")
        self._process: Process | None = None
        self._getting_ready: asyncio.Task[bool] | None = None
        self._turn = asyncio.Lock()
        self.replaced = 0

    @property
    def ready(self) -> bool:
        """Whether a worker has loaded everything and waits for a question."""
        task, process = self._getting_ready, self._process
        is_alive = process is not None and process.returncode is None
        return is_alive and task is not None and task.done() and not task.cancelled() and task.result()

    @property
    def pid(self) -> int | None:
        """Process id of the worker; None while there is none."""
        return self._process.pid if self._process is not None else None

    async def start(self) -> None:
        """Begin to warm a worker in the background, if there is none or it has ended by itself."""
        if self._getting_ready is None or (self._getting_ready.done() and not self.ready):
            self._getting_ready = asyncio.create_task(self._warm())

    async def solve(self, problem: Problem, now: datetime, deadline_s: float) -> Plan | Refused | None:
        """Ask the worker; None if it is not ready, late, dead or talks nonsense."""
        answer = await self._ask((problem, now), deadline_s, (Plan, Refused))
        return answer if isinstance(answer, Plan | Refused) else None

    async def look_ahead(self, question: MonthAhead, deadline_s: float) -> Ahead | None:
        """Ask the worker likewise."""
        answer = await self._ask(question, deadline_s, (Ahead, NoneType))
        return answer if isinstance(answer, Ahead) else None

    async def look_season(self, question: Season, deadline_s: float) -> SeasonAhead | None:
        """Ask the worker likewise."""
        answer = await self._ask(question, deadline_s, (SeasonAhead, NoneType))
        return answer if isinstance(answer, SeasonAhead) else None

    async def _ask(self, question: object, deadline_s: float, expected: tuple[type, ...]) -> object | None:
        async with self._turn:
            await self.start()
            if not await self._is_ready_within(deadline_s):
                return None
            try:
                answer = await self._clock.wait_for(exchange(self._process, question), deadline_s)
            except TimeoutError:
                await self._replace(f"no answer within {deadline_s:g} s")
            except BROKEN as error:
                await self._replace(f"its answer broke off ({type(error).__name__}: {error})")
            else:
                if isinstance(answer, expected):
                    return answer
                await self._replace(f"it answered with a {type(answer).__name__}")
        return None

    async def _is_ready_within(self, seconds: float) -> bool:
        """Wait for a worker that is still warming; it is not killed for that."""
        if self._getting_ready is None:
            return False
        with contextlib.suppress(TimeoutError):
            return await self._clock.wait_for(asyncio.shield(self._getting_ready), seconds)
        return False

    async def _warm(self) -> bool:
        if self._process is not None:
            logger.warning("the solver process has ended with status %s: another is started", self._process.returncode)
            self.replaced += 1
            await self._kill()
        try:
            self._process = await begin(self._command)
            if await self._clock.wait_for(exchange(self._process, self._feeder), START_LIMIT_S) == READY:
                return True
        except (TimeoutError, *BROKEN) as error:
            logger.error("the solver process cannot start: %s: %s; its stderr says why", type(error).__name__, error)
        await self._kill()
        return False

    async def _replace(self, reason: str) -> None:
        logger.warning("the solver process is killed and replaced: %s", reason)
        self.replaced += 1
        await self._kill()
        self._getting_ready = None
        await self.start()

    async def _kill(self) -> None:
        process, self._process = self._process, None
        await end(process)

    async def close(self) -> None:
        """Kill the worker and start no other."""
        if self._getting_ready is not None:
            self._getting_ready.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._getting_ready
        await self._kill()
