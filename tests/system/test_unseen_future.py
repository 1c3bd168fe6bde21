"""The planner sees the stored past and published feeds only: another future gives the same plans until it begins."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from town import AFTERNOON, DEMO, records

from ems.app import build
from ems.clock import SimulatedClock
from ems.config.loading import load_site
from ems.config.site import Site
from ems.slow.planning_setup import feeder
from ems.store.requests import submit
from ems.timetable import SimulatedRunner
from ems.worker import DirectSolver
from hil.published import FeedServer
from hil.relocate import relocate
from hil.scenario_file import load_scenario
from hil.serve import _feed_addresses
from hil.wishes import car_requests
from hil.world import World

ALTERED_S, UNTIL_S = 600.0, 910.0


@asynccontextmanager
async def on_the_air(site: Site, altered: dict[str, Any]) -> AsyncIterator[World]:
    world = World(site, load_scenario(str(AFTERNOON)).lasting(UNTIL_S), 1, witness=False, **altered)
    servers = [FeedServer(world.published, *address) for address in _feed_addresses(site)]
    await world.open()
    try:
        for server in servers:
            await server.open()
        yield world
    finally:
        for server in servers:
            await server.close()
        await world.close()


async def plans(folder: Path, **altered: Any) -> list[dict[str, Any]]:
    """Steer for a while in lock-step, over sockets; gives what the journal has of each plan."""
    site, state = load_site(relocate(DEMO, folder / "site")), folder / "state"
    clock = SimulatedClock(load_scenario(str(AFTERNOON)).starts_at(ZoneInfo(site.file.site.timezone)))
    async with on_the_air(site, altered) as world:

        async def advance(until_s: float) -> None:
            world.advance(until_s - world.plant.elapsed_s)
            await world.settle()
            for event in world.take_events():
                for request in car_requests(event.as_json()):
                    submit(state, request)

        solver = DirectSolver(feeder(site, state))
        daemon = build(site, state, clock, solver, cycle_s=10.0, durable=False)
        await daemon.start()
        await SimulatedRunner(daemon.timetable, clock, advance).run_until(UNTIL_S)
        await daemon.stop()
    return [dict(record.body) for record in records(state / "journal.db", "plan")]


@pytest.mark.timeout(300)
async def test_another_future_leaves_every_plan_before_it_as_it_was(tmp_path: Path) -> None:
    one = await plans(tmp_path / "one")
    shutil.copytree(tmp_path / "one" / "state" / "cache", tmp_path / "other" / "state" / "cache")
    other = await plans(tmp_path / "other", altered_from_s=ALTERED_S, altered_seed=99)

    start = load_scenario(str(AFTERNOON)).starts_at(ZoneInfo("Europe/Berlin"))
    begins = (start + timedelta(seconds=ALTERED_S)).isoformat()
    before = [[lasting(plan) for plan in each if plan["made_at"] <= begins] for each in (one, other)]
    assert len(before[0]) >= 3
    assert before[0] == before[1]
    after = [[plan["inputs_sha256"] for plan in each if plan["made_at"] > begins] for each in (one, other)]
    assert len(after[0]) >= 1
    assert after[0] != after[1], "the other future did come"


def lasting(plan: dict[str, Any]) -> dict[str, Any]:
    """Leave out how long the wall took, and the configuration: the two worlds have other addresses."""
    solve = {key: value for key, value in plan["solve"].items() if not key.endswith("wall_s")}
    return {key: value for key, value in plan.items() if key != "config"} | {"solve": solve}
