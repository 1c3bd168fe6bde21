"""An island of a stated time in a site file: in the question, in a plan that passes its check, in record and words."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from planning_kit import build_loop, demo_bindings, demo_site

from ems.commands.plan_explained import explained
from ems.commands.plan_kept import Kept
from ems.commands.plan_shown import table_lines
from ems.commands.understood import describe, understood
from ems.config.assets import FixedLoad
from ems.config.island import Island, Survives
from ems.config.site import Site
from ems.plan_check import check_plan
from ems.slow.plan_record import plan_record
from ems.slow.standing_alone import KEY, UNSTEERED, standing_alone
from ems.store.encoding import to_json
from optimization.assets import Load, LoadInputs
from optimization.problem import Plan, Problem
from optimization.rolling import Planner

AT = datetime(2025, 5, 14, 5, tzinfo=UTC)
ASKED = Survives(hold_s=5400.0, missing_per_kwh=2.0, pickup_factor=1.5, pickup_s=600.0)


def island_site(**changes: Any) -> Site:
    """Give the demo feeder with an island that shall be survived."""
    island = Island(device="grid_meter", role="state", forming="battery", survives=ASKED.model_copy(update=changes))
    return demo_site().model_copy(update={"file": demo_site().file.model_copy(update={"island": island})})


async def question(folder: Path, site: Site, **changes: Any) -> Problem:
    loop = build_loop(folder, site, at=AT)
    loop.solver.answer = lambda problem, now: None
    await loop.plan(**changes)
    return replace(loop.solver.asked[-1], network=None)


def solved(folder: Path, asked: Problem) -> Plan:
    plan = Planner(None, folder).plan(asked, AT)
    assert isinstance(plan, Plan), plan
    assert check_plan(asked, plan) == ()
    return plan


async def test_every_load_that_nobody_commands_is_carried_or_those_that_are_named(tmp_path: Path) -> None:
    site = island_site()
    asked = await question(tmp_path, site)
    loads = [name for name, spec in site.file.assets.items() if isinstance(spec, FixedLoad)]
    inputs = {name: asked.inputs[name] for name in loads}
    assert all(isinstance(each, LoadInputs) for each in inputs.values())
    assert len(loads) > 1
    total = np.sum([each.demand_kw for each in inputs.values()], axis=0)
    assert asked.survival is not None
    assert asked.survival.members == ("battery",)
    np.testing.assert_allclose(asked.survival.carried_kw, total)
    one, _ = standing_alone(island_site(loads=(loads[0],)).file, asked)
    np.testing.assert_allclose(one.carried_kw, inputs[loads[0]].demand_kw)
    sunny, _ = standing_alone(island_site(sun_share=0.5).file, asked)
    sun_kw = np.minimum(asked.inputs["pv"].available_kw, site.file.assets["pv"].rated_kw)
    np.testing.assert_allclose(sunny.carried_kw, np.maximum(total - 0.5 * sun_kw, 0.0))


async def test_a_battery_that_nobody_steers_holds_no_island_and_that_is_told(tmp_path: Path) -> None:
    asked = await question(tmp_path, island_site())
    bare = replace(asked, assets=tuple(Load(a.id) if a.id == "battery" else a for a in asked.assets))
    assert standing_alone(island_site().file, bare) == (None, {KEY: UNSTEERED})
    assert standing_alone(demo_site().file, asked) == (None, {})


async def test_a_plan_keeps_what_the_loads_need_and_tells_it(tmp_path: Path) -> None:
    site = island_site()
    asked = await question(tmp_path, site, **{"battery__soc_pct": 60.0})
    plan = solved(tmp_path, asked)
    alone = solved(tmp_path, replace(asked, survival=None))
    battery = site.file.assets["battery"]
    least = battery.capacity_kwh * battery.soc_min_pct / 100.0
    stored = plan.schedules["battery"].states["energy_kwh"]
    kept = plan.survived
    assert kept is not None
    spare = (stored - least) * battery.discharge_efficiency
    assert (spare + kept.missing_kwh >= kept.need_kwh - 1e-3).all()
    assert alone.schedules["battery"].states["energy_kwh"].min() < stored.min() - 1.0
    foresight: Any = SimpleNamespace(degraded=False, labels={}, methods={}, branches={})
    body = json.loads(to_json(plan_record(asked, plan, foresight, {})))
    told = Kept.of(body, site)
    assert body["survived"]["need_kwh"] == pytest.approx(np.round(kept.need_kwh, 4))
    words = "island    its loads can be carried for 5400 s, whenever the connection opens"
    assert words in list(table_lines(site, told, None))
    (charge,) = explained(site, told, "battery", 3)["charges"]
    assert (charge["name"], charge["unit"], charge["key"]) == (KEY, "kWh", KEY)
    assert charge["amount"] == pytest.approx(kept.need_kwh[3], abs=1e-3)
    assert charge["of"] == "to be kept in battery for an island"
    assert explained(site, told, "pv", 3)["charges"] == []


async def test_what_cannot_be_kept_is_told(tmp_path: Path) -> None:
    site = island_site(hold_s=6 * 86400.0, missing_per_kwh=0.01)
    asked = await question(tmp_path, site)
    plan = solved(tmp_path, asked)
    foresight: Any = SimpleNamespace(degraded=False, labels={}, methods={}, branches={})
    told = Kept.of(json.loads(to_json(plan_record(asked, plan, foresight, {}))), site)
    (line,) = [line for line in table_lines(site, told, None) if line.startswith("island ")]
    worst = plan.survived.missing_kwh.max()
    assert line.startswith(f"island    for 518400 s alone {worst:.1f} kWh and ")
    assert line.endswith(f"are missing, in {len(plan.slots)} slots")
    names = [(charge["unit"], charge["of"]) for charge in explained(site, told, "pv", 0)["charges"]]
    assert ("kWh", "missing for an island") in names


def test_what_was_understood_is_said_back() -> None:
    lines = list(describe(understood(island_site(), demo_bindings(), AT)))
    holds = "island    battery holds the bus while state of grid_meter reads 1"
    assert f"{holds}; plans provide for all loads that nobody commands for 5400 s" in lines
    bare = island_site().file.island.model_copy(update={"survives": None})
    file = demo_site().file.model_copy(update={"island": bare})
    site = demo_site().model_copy(update={"file": file})
    assert f"{holds}; no plan provides for it" in list(describe(understood(site, demo_bindings(), AT)))


def test_an_island_of_before_says_nothing_more() -> None:
    assert "survives" not in Island(device="a", role="b", forming="c").model_dump(mode="json")
