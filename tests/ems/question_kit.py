"""What the slow loop asks the planner about the small site with something more in it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from planning_kit import IdleSolver, ListJournal, StoredFeed, feeds, prepare_grid
from stage import NOW

from drivers.points import Quality
from ems.clock import SimulatedClock
from ems.config.binding import bind
from ems.config.site import Site
from ems.planning import Cars
from ems.process_image import Reading, Snapshot
from ems.slow.planning_setup import build_planning
from optimization.problem import Problem


async def asked(
    folder: Path,
    site: Site,
    told: Mapping[str, float],
    *,
    feeds_: Mapping[str, StoredFeed] | None = None,
    sessions: Cars | None = None,
    **options: Any,
) -> Problem:
    """Ask once, after a quarter-hour in which the usual things and `told` were measured; options as of `plan_once`."""
    solver = IdleSolver(answer=lambda _problem, _now: None)
    prepare_grid(site, folder)
    clock, bindings = SimulatedClock(NOW), bind(site)
    planning = build_planning(
        site, bindings, clock, solver=solver, journal=ListJournal(), state_dir=folder, feeds=feeds_ or feeds()
    )
    measured = {
        "meter.power_kw": 20.0, "inverter.power_kw": -10.0, "store.power_kw": 0.0, "store.soc_pct": 50.0,
        "wallbox.power_kw": 0.0, "wallbox.state": 0.0, "heater.power_kw": 2.0, "heater.temperature_c": 21.0, **told,
    }  # fmt: skip
    for minutes in (0, 5, 10):
        at = NOW + timedelta(minutes=minutes)
        clock.advance_to(minutes * 60.0)
        readings = {p: Reading(p, v, at, minutes * 60.0, Quality.GOOD) for p, v in measured.items()}
        planning.observe(Snapshot(at, minutes * 60.0, readings))
    await planning.plan_once(Snapshot(at, minutes * 60.0, readings), sessions or {}, **options)
    return solver.asked[-1]
