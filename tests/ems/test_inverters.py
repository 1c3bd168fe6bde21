"""A site whose inverters follow curves of their own: its question, its failsafe check, and what is kept of its plan."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from plan_samples import N, sample_plan, sample_problem
from planning_kit import build_loop, snapshot

from ems.commands.understood import describe, understood
from ems.config.asset_models import asset_models
from ems.config.binding import bind
from ems.config.inverter_models import inverters
from ems.config.loading import load_site
from ems.config.site import Site
from ems.config.sites import find_site
from ems.failsafe import judge
from ems.fast.grid_eye import GridEye
from ems.slow.estimate import Estimator
from ems.slow.plan_record import plan_record
from ems.slow.plan_resumed import read_plan
from ems.slow.planning_setup import cache_dir, feeder, grid_limits, grid_path
from ems.store.encoding import to_json
from ems.worker import DirectSolver
from hil.plant_build import build_plant
from hil.scenario_file import load_scenario
from optimization.bands import Held
from optimization.grid_case import bus_numbers
from optimization.grid_rows import Linearisation
from optimization.network_build import prepare
from optimization.problem import Plan

AT = datetime(2025, 5, 1, tzinfo=UTC)
CURVES = """    inverter:
      rated_kva: 100
      reactive_of_voltage: [[0.95, -1], [0.97, 0], [1.0, 0], [1.03, 1]]
      most_kvar: 45
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The demo feeder with Q(U) at the barn, and a roof that may give 80 kW in failsafe."""
    demo, folder = find_site("demo_feeder"), tmp_path_factory.mktemp("curves")
    for path in demo.iterdir():
        (folder / path.name).symlink_to(path)
    text = (demo / "site.yaml").read_text()
    (folder / "site.yaml").unlink()
    text = text.replace("    module_kw: 110\n", f"    module_kw: 110\n{CURVES}")
    (folder / "site.yaml").write_text(text.replace("safe: {limit_kw: 35}", "safe: {limit_kw: 80}"))
    return load_site(folder)


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("state")


def test_what_is_kept_of_a_plan_comes_back() -> None:
    flat = np.arange(N) / 7.0
    held = Held({"battery": flat}, {"battery": 2.0 * flat}, np.zeros(N), flat / 3.0)
    v_pu = 1.0 + flat / 100.0
    more = {"reactive_kvar": {"pv": -flat}, "inverter_v_pu": {"pv": v_pu}, "held_reserves": {"band": held}}
    plan = replace(sample_plan(), **more)
    foresight: Any = SimpleNamespace(degraded=False, labels={}, methods={}, branches={})
    body = json.loads(to_json(plan_record(sample_problem(), plan, foresight, {})))
    back = read_plan(body)
    assert back.reactive_kvar["pv"] == pytest.approx(-flat, abs=1e-4)
    assert back.inverter_v_pu["pv"] == pytest.approx(v_pu, abs=1e-6)
    again = back.held_reserves["band"]
    assert again.up_kw["battery"] == pytest.approx(flat, abs=1e-4)
    assert again.down_kw["battery"] == pytest.approx(2.0 * flat, abs=1e-4)
    assert again.down_missing_kw == pytest.approx(flat / 3.0, abs=1e-4)
    body["reactive_kvar"]["pv"].pop()
    with pytest.raises(ValueError, match="finite numbers are needed, one a slot"):
        read_plan(body)


def test_the_failsafe_check_counts_with_the_curves(site: Site, state: Path) -> None:
    told = judge(site, state, AT)
    plain = site.model_copy(update={"file": _without(site)})
    without = judge(plain, state, AT)
    assert not [words for words in told.problems if "voltage" in words], told.problems
    assert [words for words in without.problems if "voltage at barn" in words and "above 1.05" in words]


def test_the_state_is_estimated_with_the_curves(site: Site, state: Path) -> None:
    case = prepare(grid_path(site), grid_limits(site), cache_dir(state))
    assets = tuple(asset_models(site, bus_numbers(grid_path(site))).values())
    kw = {"pv": -60.0, "battery": 20.0, "heat_pump": 2.0, "charge_point": 0.0}
    power = np.array([[kw.get(asset.id, 0.0)] for asset in assets])
    truth = Linearisation(case, assets, inverters(site)).check(power)
    barn = case.ac.bus_names.index("barn")
    at_meter_kw = float(power.sum())
    seen = snapshot(
        grid_meter__power_kw=at_meter_kw, pv_inverter__power_kw=-60.0, battery_inverter__power_kw=20.0,
        air_handler__power_kw=2.0, wallbox__power_kw=0.0,
        grid_meter__voltage_v=230.0 * float(truth.v_pu[case.ac.bus_names.index("busbar"), 0]),
    )  # fmt: skip
    found = {}
    for name, one in (("curves", site), ("plain", site.model_copy(update={"file": _without(site)}))):
        estimator = Estimator(one, bind(one), case)
        for _ in range(3):
            told = estimator.estimate(seen, None)
        assert told is not None
        found[name] = abs(float(told.result.voltage_pu.value[barn]) - float(truth.v_pu[barn, 0]))
    assert found["curves"] < 0.002 < found["plain"], found


def test_what_was_understood_of_the_curves_is_said_back(site: Site) -> None:
    assert "curves    pv: its inverter follows Q(U) by itself" in describe(understood(site, bind(site), AT))


def test_what_a_plan_may_set_is_said_back_too(site: Site) -> None:
    assets = dict(site.file.assets)
    curves = assets["pv"].inverter
    changed = curves.model_copy(update={"setpoint_kvar": 40.0, "setpoint_cos_phi": 0.9})
    assets["pv"] = assets["pv"].model_copy(update={"inverter": changed})
    may_set = site.model_copy(update={"file": site.file.model_copy(update={"assets": assets})})
    told = list(describe(understood(may_set, bind(may_set), AT)))
    words = "plans set its reactive power within 40 kvar either way and cos phi 0.9 at the least, in place of its curve"
    assert f"setpoint  pv: {words}" in told
    assert not [line for line in describe(understood(site, bind(site), AT)) if line.startswith("setpoint")]


def test_the_fast_loop_sees_the_feeder_with_the_curves(site: Site, state: Path) -> None:
    case = prepare(grid_path(site), grid_limits(site), cache_dir(state))
    assets = tuple(asset_models(site, bus_numbers(grid_path(site))).values())
    curved, plain = GridEye(lambda: case, assets, inverters(site)), GridEye(lambda: case, assets)
    row = "voltage_max:barn"
    at = {}
    for name, eye in (("curved", curved), ("plain", plain)):
        rows = eye.rows({"pv": -45.0})
        assert rows is not None
        power = np.array([-45.0 if asset == "pv" else 0.0 for asset in rows.assets])
        i = rows.names.index(row)
        at[name] = float(rows.base[0, i] + rows.coefficient[i] @ power)
    assert at["curved"] < at["plain"] - 0.003


async def test_a_plan_of_the_site_follows_the_curves_and_is_kept_with_them(site: Site, state: Path) -> None:
    loop = build_loop(state, site, at=datetime(2025, 5, 14, 9, tzinfo=UTC))
    loop.planning._solver = DirectSolver(feeder(site, state))
    plan = await loop.plan(grid_meter__power_kw=-30.0)
    assert isinstance(plan, Plan), loop.planning.trouble
    assert plan.ac.status == "feasible"
    curve = inverters(site)["pv"].kvar(plan.schedules["pv"].power_kw, plan.inverter_v_pu["pv"])
    assert plan.reactive_kvar["pv"] == pytest.approx(curve, abs=1e-6)
    assert plan.reactive_kvar["pv"].max() > 5.0
    body = loop.journal.records[-1][1]
    assert body["reactive_kvar"]["pv"] == pytest.approx(plan.reactive_kvar["pv"], abs=1e-4)


def test_the_pretend_roof_takes_what_the_curve_says(site: Site) -> None:
    plant = build_plant(site, load_scenario("demo_hour"), 1, witness=False)
    plant.advance(120.0)
    roof, v_pu = plant.devices["pv"], np.array([plant.voltage_pu("barn")])
    assert roof.power_kw < -30.0
    expected = inverters(site)["pv"].kvar(np.array([roof.power_kw]), v_pu)[0]
    assert roof.reactive_kvar == pytest.approx(expected, abs=0.5)
    assert roof.reactive_kvar > 5.0


def _without(site: Site) -> Any:
    assets = dict(site.file.assets)
    assets["pv"] = assets["pv"].model_copy(update={"inverter": None})
    return site.file.model_copy(update={"assets": assets})
