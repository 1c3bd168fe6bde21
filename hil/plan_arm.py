"""The plan's arm in lock-step: the daemon in this process, the world in another, real sockets between them.

The simulated clock moves both: before every job the world is told to advance to the job's instant, so that no
wall-clock deadline decides anything and a run repeats to the last digit.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from ems.app import build
from ems.clock import SimulatedClock, SystemClock
from ems.config.binding import bind
from ems.config.loading import load_site
from ems.config.site import Site
from ems.daemon import Daemon
from ems.slow.planning_setup import feeder
from ems.store.requests import submit
from ems.timetable import SimulatedRunner
from ems.worker import DirectSolver
from hil.case import Case
from hil.findings import Run, findings
from hil.lockstep import WorldLine
from hil.mixed_bench import Bench, RealTime, assets_of, put_in
from hil.past import remember_peak
from hil.relocate import relocate
from hil.track import Track
from hil.wishes import calls, car_requests

Progress = Callable[[float], None]
NO_BENCH = Bench(devices={})


@dataclass(frozen=True, slots=True)
class PlanRun:
    """What the plan's arm leaves.

    Args:
        verdict: of the plant. counters: of the daemon. wall_s: how long the arm took [s].
        track: what it looked like. happened: faults that began.
        found: what the journal tells, by kind of thing.
    """

    verdict: dict[str, Any]
    counters: dict[str, Any]
    wall_s: float
    track: Track
    happened: list[dict[str, Any]]
    found: dict[str, Any]


def run_plan(case: Case, progress: Progress, bench: Bench = NO_BENCH) -> PlanRun:
    """Let the daemon plan and steer over sockets.

    Args:
        case: what is met.
        progress: told the share that is done, 0..1.
        bench: devices that are real; with any of them the run takes real time.
    """
    with tempfile.TemporaryDirectory(prefix="ems-hil-") as scratch:
        return asyncio.run(_run(case, Path(scratch), progress, bench))


async def _run(case: Case, scratch: Path, progress: Progress, bench: Bench) -> PlanRun:
    folder, state = relocate(case.folder, scratch / "site"), scratch / "state"
    state.mkdir()
    put_in(folder, bench)
    async with _world(case, folder, scratch, bench) as line:
        daemon, clock = await _daemon(case, folder, state)
        start, site = clock.now(), case.load()[0]
        wall = SystemClock()
        began_s = wall.monotonic()
        pace = _Pace(line, daemon, state, case.duration_s, progress)
        await _steer(daemon, clock, pace if not bench.devices else _RealPace(pace, daemon, site, bench))
        wall_s = wall.monotonic() - began_s
        verdict, told = (await line.ask("verdict"))["verdict"], await line.ask("told")
    found = findings(state, Run(start, site, daemon.loop.cycle_s), told)
    return PlanRun(verdict, daemon.counters(), wall_s, told["track"], told["happened"], found)


@asynccontextmanager
async def _world(case: Case, folder: Path, scratch: Path, bench: Bench) -> AsyncIterator[WorldLine]:
    """Run the world as a process and hold its line."""
    socket = scratch / "lockstep.sock"
    command = ["hil", "serve", str(folder), "--scenario", case.scenario, "--seed", str(case.seed)]
    command += [word for device in bench.devices for word in ("--real", device)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ems.cli", *command, "--duration", str(case.duration_s), "--lockstep", str(socket),
        stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        line = await WorldLine.connect(socket, process)
        yield line
        await line.ask("stop")
        await line.close()
        await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _daemon(case: Case, folder: Path, state: Path) -> tuple[Daemon, SimulatedClock]:
    site = load_site(folder)
    _, scenario = case.load()
    clock = SimulatedClock(scenario.starts_at(ZoneInfo(site.file.site.timezone)))
    remember_peak(site, state, clock.now(), scenario.month_peak_before_kw)
    solver = DirectSolver(feeder(site, state))
    cycle_s = scenario.cycle_s or site.file.control.simulated_cycle_s
    return build(site, state, clock, solver, cycle_s=cycle_s, durable=False), clock


class _Pace:
    """Moves the world ahead of every job, and hands on what the cars say and who is called."""

    def __init__(self, line: WorldLine, daemon: Daemon, state: Path, duration_s: float, progress: Progress) -> None:
        self._line, self._daemon, self._state, self._progress = line, daemon, state, progress
        self.duration_s = duration_s

    async def carry(self, powers_kw: Mapping[str, float]) -> None:
        """Tell the world what real devices take [kW], by asset."""
        await self._line.ask("carry", powers_kw=powers_kw)

    async def advance(self, until_s: float) -> None:
        """Let the world live until an instant [s]."""
        for park, car, point in calls(self._daemon.queues()):
            await self._line.ask("assign", park=park, car=car, point=point)
        answer = await self._line.ask("advance", to_s=until_s)
        for event in answer["events"]:
            for request in car_requests(event):
                submit(self._state, request)
        self._progress(until_s / self.duration_s)


class _RealPace:
    """Holds the run to the clock on the wall, and tells the world what real devices take.

    Args:
        pace: that of the pretend world. daemon: reads the real devices. site: whose assets they are. bench: which.
    """

    def __init__(self, pace: _Pace, daemon: Daemon, site: Site, bench: Bench) -> None:
        self._pace, self._daemon, self.duration_s = pace, daemon, pace.duration_s
        bindings = bind(site)
        self._points = {asset: bindings.measure(asset, "power_kw") for asset in assets_of(site, bench.devices)}
        self._real = RealTime(SystemClock())

    async def advance(self, until_s: float) -> None:
        """Let the world live until an instant [s], no sooner than it has come."""
        await self._real.reach(until_s)
        last = self._daemon.loop.last
        if last is not None:
            read = {asset: last.snapshot.good(point) for asset, point in self._points.items()}
            await self._pace.carry({asset: kw for asset, kw in read.items() if kw is not None})
        await self._pace.advance(until_s)


async def _steer(daemon: Daemon, clock: SimulatedClock, pace: _Pace | _RealPace) -> None:
    await daemon.start()
    # Else each full collection walks through all that the planner's libraries made: a tenth of the arm's time.
    gc.collect()
    gc.freeze()
    try:
        await SimulatedRunner(daemon.timetable, clock, pace.advance).run_until(pace.duration_s)
    finally:
        await daemon.stop()
