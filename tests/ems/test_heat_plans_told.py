"""What people and the next start are told of a plan with a heat node."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from heat_kit import TOLD, heated
from question_kit import asked
from stage import NOW

from ems.commands.plan_explained import explained, explanation_lines
from ems.commands.plan_kept import Kept
from ems.commands.plan_shown import table_lines
from ems.config.site import Site
from ems.slow.plan_record import plan_record
from ems.slow.plan_resumed import misfit, read_plan
from ems.slow.situation import AssetNow
from ems.store.encoding import to_json
from ems.web.topology import read_topology
from optimization.problem import Plan
from optimization.rolling import Planner

COLD = heated(assets__boiler__rated_kw=12.0, assets__rod__rated_kw=2.0)
"""A node whose makers give less than the 40 kW of heat that are wanted."""


async def kept(folder: Path, site: Site, wanted_kw: float) -> tuple[Plan, dict[str, Any]]:
    problem = replace(await asked(folder, site, {**TOLD, "heat_meter.heat_kw": wanted_kw}), network=None)
    plan = Planner(None, folder).plan(problem, NOW)
    assert isinstance(plan, Plan), plan
    foresight: Any = SimpleNamespace(degraded=False, labels={}, methods={}, branches={})
    return plan, json.loads(to_json(plan_record(problem, plan, foresight, {})))


async def test_show_tells_of_fuel_heat_and_the_tank_and_of_what_a_node_lacks(tmp_path: Path) -> None:
    plan, body = await kept(tmp_path, COLD, 40.0)
    lines = list(table_lines(COLD, Kept.of(body, COLD), None))
    (head,) = (line for line in lines if line.startswith("time"))
    for column in ("boiler_fuel_kw", "warmth_heat_kw", "tank_heat_kw", "tank_c", "pump_kw", "rod_kw"):
        assert column in head.split()
    assert "boiler_kw" not in head.split()
    lacks_kwh = float(plan.slots.duration_h @ np.maximum(plan.unheated_kw["net"], 0.0))
    assert lacks_kwh > 100.0
    assert f"heat      net lacks {lacks_kwh:.1f} kWh and has 0.0 kWh too much" in lines


async def test_a_node_that_lacks_nothing_is_not_told_of(tmp_path: Path) -> None:
    _, body = await kept(tmp_path, heated(), 20.0)
    assert not [line for line in table_lines(heated(), Kept.of(body, heated()), None) if line.startswith("heat ")]


@pytest.mark.parametrize(
    ("asset", "key"), [("boiler", "boiler.rated_kw"), ("rod", "rod.rated_kw"), ("pump", "pump.rated_kw")]
)
async def test_explain_names_the_key_at_which_a_maker_binds(tmp_path: Path, asset: str, key: str) -> None:
    plan, body = await kept(tmp_path, COLD, 40.0)
    (slot, *_) = next(
        limit["at"] for limit in body["prices"]["limits"] if (limit["asset"], limit["side"]) == (asset, "most")
    )
    told = explained(COLD, Kept.of(body, COLD), asset, slot)
    assert (key, "most") in {(limit["key"], limit["side"]) for limit in told["limits"]}
    told |= {"from": plan.slots.starts[slot], "to": plan.slots.end}
    assert any(f"({'site.yaml'}:" in line and key in line for line in explanation_lines(COLD, told))


async def test_explain_names_the_floor_of_the_tank(tmp_path: Path) -> None:
    site = heated(assets__tank__end_value_per_kwh=0.0)
    plan, body = await kept(tmp_path, site, 20.0)
    found = [explained(site, Kept.of(body, site), "tank", slot)["limits"] for slot in range(len(plan.slots))]
    assert ("tank.low_c", "least") in {(limit["key"], limit["side"]) for limits in found for limit in limits}


async def test_a_plan_is_taken_up_again_only_where_the_tank_is_about_as_it_expects(tmp_path: Path) -> None:
    site = heated()
    _, body = await kept(tmp_path, site, 20.0)
    plan = read_plan(body)
    assert "fuel_kw" in plan.schedules["boiler"].states
    water_c = float(plan.schedules["tank"].states["temperature_c"][0])
    others = {
        "battery": AssetNow("battery", {"soc_pct": plan.schedules["battery"].states["energy_kwh"][0] / 0.6}),
        "heat": AssetNow("heat_pump", {"temperature_c": float(plan.schedules["heat"].states["temperature_c"][0])}),
    }

    def why(now: AssetNow) -> str:
        return misfit(site, plan, plan.slots.start, {**others, "tank": now})

    assert why(AssetNow("tank", {"temperature_c": water_c + 2.0})) == ""
    assert f"tank is {water_c + 5.0:.1f} degC, the plan expects" in why(
        AssetNow("tank", {"temperature_c": water_c + 5})
    )
    assert "tank is unknown" in why(AssetNow("tank", blocked="no good value of temperature_c"))


def test_the_page_knows_nodes_and_ratings() -> None:
    found, why = read_topology(heated())
    assert found is not None, why
    assert found["assets"]["tank"]["heat_node"] == "net"
    assert found["assets"]["boiler"]["rated_kw"] == 40.0
    assert found["assets"]["pump"]["rated_kw"] == 8.0
