"""One arm of a study: a controller on a plant over a period, in one process, on a simulated clock.

The daemon is the real one, with its drivers, feeds and solver put in from outside. The oracle is the same daemon whose
foresight is the truth: what is left between it and the plan is the price of not knowing.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any, cast

from ems.app import build
from ems.clock import SimulatedClock, SystemClock
from ems.config.site import Site
from ems.daemon import Daemon
from ems.slow.planning_setup import cache_dir, feeder, grid_limits, grid_path
from ems.store.requests import submit
from ems.study.bench import Bench, Period
from ems.study.laddered import KnowsItsLoads, LadderForesight
from ems.study.oracle import PerfectForesight
from ems.timetable import SimulatedRunner
from ems.worker import DirectSolver, NoSolver, Solver
from optimization.network_build import prepare

Progress = Callable[[float], None]

CYCLE_S = 30.0
PLAN_EVERY_S = 900.0


class Controller(StrEnum):
    """Who steers."""

    PLAN = "plan"
    RULES = "rules"
    NONE = "none"
    ORACLE = "oracle"


@dataclass(frozen=True, slots=True)
class Arm:
    """What became of a period under a controller.

    Args:
        controller: who steered.
        verdict: of the plant.
        counters: of the daemon; empty where nobody steered.
        track: every 15 minutes.
        wall_s: how long it took.
    """

    controller: Controller
    verdict: Mapping[str, Any]
    counters: Mapping[str, Any]
    track: Mapping[str, Sequence[float]]
    wall_s: float


def run_arm(
    site: Site, bench: Bench, period: Period, controller: Controller, progress: Progress, *, ladder: bool = False
) -> Arm:
    """Run one arm.

    Args:
        site: the site; its cycle and planning period give way to those of studies.
        bench: its plant, at the start of the period.
        period: how long.
        controller: who steers.
        progress: told the share that is done, 0..1.
        ladder: whether plans rest on the ladder's forecasts of loads, not the daemon's own.
    """
    wall = SystemClock()
    began_s = wall.monotonic()
    counters: Mapping[str, Any] = {}
    if controller is Controller.NONE:
        _let_alone(bench, period, progress)
    else:
        with tempfile.TemporaryDirectory(prefix="ems-study-") as state:
            daemon = partial(_daemon, paced(site), bench, controller, Path(state), ladder=ladder)
            with _quiet_rules(controller):
                counters = asyncio.run(_steer(daemon, bench, period, Path(state), progress))
    return Arm(controller, bench.verdict(), counters, bench.track(), wall.monotonic() - began_s)


@contextmanager
def _quiet_rules(controller: Controller) -> Iterator[None]:
    """That nobody plans beside the rules is meant, so it is no warning."""
    log = logging.getLogger("ems")
    before = log.level
    log.setLevel(logging.ERROR if controller is Controller.RULES else before)
    try:
        yield
    finally:
        log.setLevel(before)


def paced(site: Site) -> Site:
    """Give the site with the slower loops of a study, and without a grid operator, as no record tells of one."""
    file = site.file
    control = file.control.model_copy(
        update={"simulated_cycle_s": CYCLE_S, "lease_s": max(file.control.lease_s, 3.0 * CYCLE_S)}
    )
    planning = file.planning.model_copy(update={"every_s": max(file.planning.every_s, PLAN_EVERY_S)})
    return site.model_copy(
        update={"file": file.model_copy(update={"control": control, "planning": planning, "grid_operator": None})}
    )


def _let_alone(bench: Bench, period: Period, progress: Progress) -> None:
    day_s = 86400.0
    for day in range(int(period.seconds // day_s)):
        bench.advance((day + 1) * day_s)
        progress((day + 1) * day_s / period.seconds)
    bench.advance(period.seconds)


async def _steer(
    wire: Callable[[SimulatedClock], Daemon], bench: Bench, period: Period, state: Path, progress: Progress
) -> Mapping[str, Any]:
    clock = SimulatedClock(period.start)
    daemon = wire(clock)

    async def advance(until_s: float) -> None:
        for request in bench.advance(until_s):
            submit(state, request)
        progress(until_s / period.seconds)

    await daemon.start()
    # Else each full collection walks through all that the planner's libraries made.
    gc.collect()
    gc.freeze()
    try:
        await SimulatedRunner(daemon.timetable, clock, advance).run_until(period.seconds)
    finally:
        await daemon.stop()
    return daemon.counters()


def _daemon(
    site: Site, bench: Bench, controller: Controller, state: Path, clock: SimulatedClock, *, ladder: bool
) -> Daemon:
    # Rules keep the limits too: they are to know the feeder as well as a plan does.
    prepare(grid_path(site), grid_limits(site), cache_dir(state))
    solver: Solver = NoSolver() if controller is Controller.RULES else DirectSolver(feeder(site, state))
    daemon = build(
        site, state, clock, solver,
        cycle_s=site.file.control.simulated_cycle_s, durable=False, drivers=bench.drivers(clock), feeds=bench.feeds,
    )  # fmt: skip
    if controller is Controller.ORACLE:
        daemon.planning.foresee_by(lambda usual: PerfectForesight(usual, bench))
    if controller is Controller.PLAN and ladder:
        planning = daemon.planning
        planning.foresee_by(lambda usual: LadderForesight(cast(KnowsItsLoads, usual), planning, site))
    return daemon
