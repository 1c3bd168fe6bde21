"""The whole daemon on devices in memory, for tests to watch."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from stage import NOW, Yard, make_plan, make_site

from ems.app import build
from ems.clock import SimulatedClock
from ems.config.site import Site
from ems.daemon import Daemon
from ems.store.requests import Request, submit
from ems.timetable import SimulatedRunner
from optimization.problem import Plan, Problem

CYCLE_S = 10.0


class Solver:
    """Nobody plans, unless a test publishes something."""

    ready = False

    async def start(self) -> None:
        """Nothing."""

    async def solve(self, problem: Problem, now, deadline_s: float) -> Plan | None:
        return None

    async def close(self) -> None:
        """Nothing."""


async def do_nothing() -> None:
    """Plans come from the tests."""


class Show:
    """A daemon with its yard, and the script of an evening: what happens when."""

    def __init__(self, state: Path, *, changes: Mapping[str, Any] | None = None, **yard: Any) -> None:
        self.site: Site = make_site(changes)
        self.state = state
        self.clock = SimulatedClock(NOW)
        self.yard = Yard(self.site, self.clock, **yard)
        self.script: dict[float, Callable[[], None]] = {}
        self.seen: list[tuple[float, float]] = []
        self.daemon = self.build()

    def build(self) -> Daemon:
        daemon = build(
            self.site, self.state, self.clock, Solver(), cycle_s=CYCLE_S, durable=False, feeds={},
            drivers=self.yard.drivers,
        )  # fmt: skip
        next(job for job in daemon.timetable.jobs if job.name == "plan").work = do_nothing
        return daemon

    def restart(self, down_s: float) -> None:
        """End the daemon without a word, let its devices live on, and build it anew."""
        self.daemon._stores.owner.release()
        self.daemon._stores.close()
        self.clock.advance_to(self.clock.monotonic() + down_s)
        self.yard.live(0.0)
        self.daemon = self.build()

    def publish(self, plan: Plan) -> None:
        self.daemon.planning._published = plan

    def ask(self, kind: str, target: str, *, for_s: float | None = None, **value: Any) -> int:
        now = self.clock.now()
        expires = None if for_s is None else now + timedelta(seconds=for_s)
        return submit(self.state, Request(kind, target, value, "test", "Ada", now, expires))  # type: ignore[arg-type]

    async def run_until(self, end_s: float) -> None:
        async def advance(until_s: float) -> None:
            self.yard.live(until_s - self.clock.monotonic())
            self.seen.append((until_s, self.yard.grid_kw))
            for at_s in [t for t in self.script if t <= until_s]:
                self.script.pop(at_s)()

        await SimulatedRunner(self.daemon.timetable, self.clock, advance).run_until(end_s)

    def command(self, device: str) -> float | None:
        (value,) = self.yard.drivers[device].commands.values()
        return value

    def alarms(self) -> set[str]:
        return {alarm.key for alarm in self.daemon._alarms.active}


class DurableShow(Show):
    """A show that keeps what it writes, and waits for the disk's word after each cycle unless it is in trouble."""

    settles = True

    def build(self) -> Daemon:
        daemon = build(
            self.site, self.state, self.clock, Solver(), cycle_s=CYCLE_S, durable=True, feeds={},
            drivers=self.yard.drivers,
        )  # fmt: skip
        next(job for job in daemon.timetable.jobs if job.name == "plan").work = do_nothing
        return daemon

    async def run_until(self, end_s: float) -> None:
        while self.clock.monotonic() < end_s:
            await super().run_until(self.clock.monotonic() + CYCLE_S)
            if self.settles:
                await asyncio.to_thread(self._settle)

    def _settle(self) -> None:
        stores, deadline = self.daemon._stores, time.monotonic() + 5
        while stores.history.backlog().waiting or stores.journal.backlog().waiting:
            assert time.monotonic() < deadline
            time.sleep(0.001)
        time.sleep(0.005)

    def powers(self, battery_kw: float) -> None:
        self.publish(make_plan({"battery": battery_kw, "heat": 3.0, "pv": -4.0, "car": 0.0}, name=f"p{battery_kw}"))


@pytest.fixture
async def show(tmp_path):
    shows: list[Show] = []

    def make(**more: Any) -> Show:
        shows.append(Show(tmp_path / f"state{len(shows)}", **more))
        return shows[-1]

    yield make
    for one in shows:
        await one.daemon.stop()
