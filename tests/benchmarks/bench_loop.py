"""What a control cycle costs without wires, and how fast the whole loop runs in lock-step over real sockets.

The cycle: five devices in memory, a plan with grid rows in force, stores on disk, nobody looking on; the same for the
district's twenty devices and its feeder's rows. Lock-step: half an
hour of the demo's feeder, the daemon here and the pretend world in a process of its own; the first two plans compile
their model, so the speed is also given without the time of start-up and first plans. Prints one JSON object.
"""

from __future__ import annotations

import asyncio
import json
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ems.app import build
from ems.clock import SimulatedClock
from ems.config.asset_models import asset_models
from ems.config.loading import load_site
from ems.daemon import Daemon
from ems.slow.planning_setup import cache_dir, grid_limits, grid_path
from ems.timetable import SimulatedRunner
from ems.worker import NoSolver
from hil.case import Case
from hil.plan_arm import run_plan
from optimization.grid_case import bus_numbers
from optimization.grid_rows import Linearisation
from optimization.network_build import prepare
from optimization.problem import Plan
from tests.benchmarks.district_in_memory import DistrictInMemory
from tests.ems.stage import NOW, Yard, make_plan, make_site, voltage_rows

SITE = Path(__file__).resolve().parents[2] / "sites" / "demo_feeder"
DISTRICT = SITE.parent / "demo_district"
CYCLE_S, WARM, CYCLES = 10.0, 60, 360
LOCKSTEP_S = 1800.0


async def yard_cpu_ms(state: Path) -> list[float]:
    """CPU time of each control cycle of a small site [ms]."""
    clock, site = SimulatedClock(NOW), make_site()
    yard = Yard(site, clock, sun_kw=lambda at_s: 30.0 + at_s / 200.0, car_in=lambda at_s: at_s > 900.0)
    daemon = build(site, state, clock, NoSolver(), cycle_s=CYCLE_S, durable=False, feeds={}, drivers=yard.drivers)
    plan = make_plan({"pv": -40.0, "battery": 10.0, "car": 8.0, "heat": 3.0}, rows=voltage_rows(), slots=144)
    return await cycle_cpu_ms(daemon, clock, plan, yard.live)


async def district_cpu_ms(state: Path) -> list[float]:
    """CPU time of each control cycle of the demo district [ms]."""
    clock, site = SimulatedClock(NOW), load_site(DISTRICT)
    case = prepare(grid_path(site), grid_limits(site), cache_dir(state))
    world = DistrictInMemory(site, clock)
    daemon = build(site, state, clock, NoSolver(), cycle_s=CYCLE_S, durable=False, feeds={}, drivers=world.drivers)
    models = tuple(asset_models(site, bus_numbers(grid_path(site))).values())
    lines = Linearisation(case, models)
    powers = np.full((len(models), 144), 3.0)
    rows = lines.rows(powers, lines.check(powers))
    plan = make_plan({model.id: 3.0 for model in models}, grid_kw=40.0, rows=rows, slots=144)

    def live(seconds: float) -> None:
        world.live(clock.monotonic() + seconds, seconds)

    live(0.0)
    return await cycle_cpu_ms(daemon, clock, plan, live)


async def cycle_cpu_ms(daemon: Daemon, clock: SimulatedClock, plan: Plan, live: Callable[[float], None]) -> list[float]:
    """Run a daemon on devices in memory with a plan in force; gives the CPU time of each control cycle [ms]."""
    spent: list[float] = []

    async def cycle() -> None:
        begin_s = time.process_time()
        await daemon.cycle()
        spent.append(1e3 * (time.process_time() - begin_s))

    async def nothing() -> None:
        daemon.planning._published = plan

    async def advance(until_s: float) -> None:
        live(until_s - clock.monotonic())

    for job in daemon.timetable.jobs:
        job.work = {"control": cycle}.get(job.name, nothing)
    await daemon.start()
    await SimulatedRunner(daemon.timetable, clock, advance).run_until((WARM + CYCLES) * CYCLE_S)
    await daemon.stop()
    return spent[WARM:]


def lockstep() -> dict:
    """Run the plan's arm; the marks of its progress tell when half of it was done."""
    marks: list[tuple[float, float]] = []
    own_s, children_s = time.process_time(), children_cpu_s()
    _, counters, wall_s = run_plan(
        Case.of(SITE, "sunny_day", 1, LOCKSTEP_S), lambda share: marks.append((share, time.perf_counter()))
    )
    (from_share, from_s), (to_share, to_s) = next(mark for mark in marks if mark[0] >= 0.5), marks[-1]
    return {
        "simulated_s": LOCKSTEP_S,
        "cycles": counters["cycles"],
        "speed_vs_real_time": round(LOCKSTEP_S / wall_s, 1),
        "warm_speed_vs_real_time": round((to_share - from_share) * LOCKSTEP_S / (to_s - from_s), 1),
        "core_cpu_s": round(time.process_time() - own_s, 2),
        "world_cpu_s": round(children_cpu_s() - children_s, 2),
    }


def children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def told(spent: list[float]) -> dict[str, float]:
    """Give the figures of the cycles of one site [ms]."""
    spent = sorted(spent)
    places = {"median": len(spent) // 2, "p95": len(spent) * 95 // 100, "worst": -1}
    return {f"cycle_cpu_{name}_ms": round(spent[place], 3) for name, place in places.items()}


def measure() -> dict:
    with tempfile.TemporaryDirectory() as folder:
        yard = told(asyncio.run(yard_cpu_ms(Path(folder))))
    with tempfile.TemporaryDirectory() as folder:
        district = told(asyncio.run(district_cpu_ms(Path(folder))))
    return {"cycles": CYCLES, **yard, "district": district, "lockstep": lockstep()}


if __name__ == "__main__":
    print(json.dumps(measure()))
