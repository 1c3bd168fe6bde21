"""Named jobs on APScheduler's triggers, with their deadlines on the monotonic axis.

Law 1: a trigger is a pure function of its last due time and now. Both are *steady* instants: an anchor in UTC plus
monotonic seconds, so that a stepped wall clock moves no deadline.
Law 2: a job never runs twice at once and never queues: of several passed due times only the newest runs, and every
other one is counted as missed, as is a run that decides later than one period after its due time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

from apscheduler.triggers.interval import IntervalTrigger

from ems.clock import Clock, SimulatedClock

logger = logging.getLogger(__name__)

Work = Callable[[], Awaitable[None]]


class Trigger(Protocol):
    """What the timetable needs of an APScheduler trigger."""

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime | None:
        """Give the next due time after the previous one."""


def every(seconds: float, start: datetime) -> Trigger:
    """Make an interval trigger of so many seconds [s], first due at `start` (aware UTC)."""
    trigger: Trigger = IntervalTrigger(seconds=seconds, start_date=start, timezone=UTC)
    return trigger


@dataclass(slots=True, eq=False)
class Job:
    """One named job.

    `due_s` is its next due time on the monotonic axis [s]; `missed` counts due times that had no decision in time.
    A job that decides before it acts says when in `decided_s` [monotonic s]; otherwise its end counts.
    One that `may_be_cut` is given up at a stop; every other finishes its run.
    """

    name: str
    trigger: Trigger
    work: Work
    due_s: float
    runs: int = 0
    missed: int = 0
    decided_s: float | None = None
    may_be_cut: bool = False
    wake: asyncio.Event = field(default_factory=asyncio.Event)

    def ask(self) -> None:
        """Ask for a run before the next due time; it leaves the due times as they are."""
        self.wake.set()


class Timetable:
    """The jobs of one daemon and the arithmetic of their due times."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._anchor = (clock.now(), clock.monotonic())
        self.jobs: list[Job] = []

    @property
    def start(self) -> datetime:
        """UTC anchor of the steady axis."""
        return self._anchor[0]

    def add(self, name: str, trigger: Trigger, work: Work, *, may_be_cut: bool = False) -> Job:
        """Add a job; raises `ValueError` for a name that is taken or a trigger that is never due."""
        if any(job.name == name for job in self.jobs):
            raise ValueError(f"a job named {name!r} is already on the timetable: choose another name")
        first = trigger.get_next_fire_time(None, self._steady(self._clock.monotonic()))
        if first is None:
            raise ValueError(f"the trigger of job {name!r} is never due: give it a later end")
        job = Job(name, trigger, work, self._monotonic_s(first), may_be_cut=may_be_cut)
        self.jobs.append(job)
        return job

    def begin(self) -> None:
        """Let every job first be due from now on: what passed before the start was not missed."""
        for job in self.jobs:
            first = job.trigger.get_next_fire_time(None, self._steady(self._clock.monotonic()))
            job.due_s = float("inf") if first is None else self._monotonic_s(first)

    def take(self, job: Job, now_s: float) -> float:
        """Take the newest due time that has passed, count those before it as missed, and move on to the next one."""
        taken_s, following_s = job.due_s, self._after(job, job.due_s)
        while following_s <= now_s:
            job.missed += 1
            taken_s, following_s = following_s, self._after(job, following_s)
        job.due_s = following_s
        return taken_s

    async def run(self, job: Job) -> None:
        """Run a job now, whether due or asked for; a failure is logged and ends nothing else."""
        due = self._clock.monotonic() >= job.due_s
        if due:
            skipped = job.missed
            self.take(job, self._clock.monotonic())
            if job.missed > skipped:
                logger.info("job %s skipped %d due times", job.name, job.missed - skipped)
        deadline_s, job.decided_s = job.due_s, None
        job.wake.clear()
        try:
            await job.work()
        except Exception:
            logger.exception("job %s failed; it runs again at its next due time", job.name)
        job.runs += 1
        late_s = (job.decided_s or self._clock.monotonic()) - deadline_s
        if due and late_s > 0:
            job.missed += 1
            logger.info("job %s decided %.1f s after its next due time", job.name, late_s)

    def _after(self, job: Job, due_s: float) -> float:
        steady = self._steady(due_s)
        following = job.trigger.get_next_fire_time(steady, steady)
        return float("inf") if following is None else self._monotonic_s(following)

    def _steady(self, monotonic_s: float) -> datetime:
        return self._anchor[0] + timedelta(seconds=monotonic_s - self._anchor[1])

    def _monotonic_s(self, steady: datetime) -> float:
        return self._anchor[1] + (steady - self._anchor[0]).total_seconds()


class LiveRunner:
    """Runs every job as its own task, so that a long plan never delays a control cycle."""

    def __init__(self, timetable: Timetable, clock: Clock) -> None:
        self._timetable = timetable
        self._clock = clock
        self._stopping = False
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def run(self, for_s: float | None = None) -> None:
        """Run until `stop`, or for so long [s of this clock]; a run that may not be cut is finished first."""
        self._timetable.begin()
        jobs = self._timetable.jobs
        self._tasks = {job.name: asyncio.create_task(self._serve(job), name=job.name) for job in jobs}
        done = asyncio.gather(*self._tasks.values())
        if for_s is not None:
            try:
                await self._clock.wait_for(asyncio.shield(done), for_s)
            except TimeoutError:
                self.stop()
        await done

    def stop(self) -> None:
        """Let every job end after its present run, or at once if it may be cut.

        Nobody renews the ownership while a long plan is waited for, and the safe values must be written under it.
        """
        self._stopping = True
        for job in self._timetable.jobs:
            job.ask()
            if job.may_be_cut and job.name in self._tasks:
                self._tasks[job.name].cancel()

    async def _serve(self, job: Job) -> None:
        try:
            await self._repeat(job)
        except asyncio.CancelledError:
            if not (self._stopping and job.may_be_cut):
                raise

    async def _repeat(self, job: Job) -> None:
        while not self._stopping:
            wait_s = job.due_s - self._clock.monotonic()
            if wait_s > 0 and not job.wake.is_set():
                try:
                    await self._clock.wait_for(job.wake.wait(), wait_s)
                except TimeoutError:
                    continue
            if not self._stopping:
                await self._timetable.run(job)


class SimulatedRunner:
    """Runs the same triggers one after another on a simulated clock.

    Before time moves on, `before_each` is awaited with the instant it moves to [monotonic s]: the bench advances its
    world there. Jobs due together run in the order in which they were added.
    """

    def __init__(
        self, timetable: Timetable, clock: SimulatedClock, before_each: Callable[[float], Awaitable[None]]
    ) -> None:
        self._timetable = timetable
        self._clock = clock
        self._before_each = before_each

    async def run_until(self, end_s: float) -> None:
        """Run everything that is due before an instant [monotonic s], then stand at that instant."""
        while (job := self._next()) is not None and self._due_s(job) < end_s:
            await self._move_to(self._due_s(job))
            await self._timetable.run(job)
        await self._move_to(end_s)

    def _next(self) -> Job | None:
        return min(self._timetable.jobs, key=self._due_s, default=None)

    def _due_s(self, job: Job) -> float:
        return self._clock.monotonic() if job.wake.is_set() else job.due_s

    async def _move_to(self, monotonic_s: float) -> None:
        if monotonic_s > self._clock.monotonic():
            await self._before_each(monotonic_s)
            self._clock.advance_to(max(monotonic_s, self._clock.monotonic()))
