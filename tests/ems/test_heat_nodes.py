"""A heat node on its way: site file, question, plan, lever and fast loop."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from heat_kit import TOLD, heated
from question_kit import asked
from stage import NOW, SceneMaker, make_plan, snapshot

from ems.config.binding import bind
from ems.config.site import Site
from ems.failsafe import failsafe_extremes
from ems.fast.decisions import AssetKind, Rung
from ems.fast.following import follows
from ems.fast.levers import build_levers
from ems.fast.outcome import Outcome
from ems.fast.steering import Steering
from ems.plan_check import check_plan
from ems.slow.situation import read_situation
from optimization.assets import (
    Boiler,
    BoilerInputs,
    ElectricBoiler,
    Genset,
    HeatLoad,
    HeatLoadInputs,
    HeatSource,
    HeatSourceInputs,
    Load,
    Tank,
    TankInputs,
)
from optimization.problem import Plan, Problem, Schedule
from optimization.rolling import Planner

SITE = heated()


def kinds(problem: Problem) -> dict[str, type]:
    return {asset.id: type(asset) for asset in problem.assets}


async def test_the_question_knows_every_part_of_the_node_and_the_measured_tank(tmp_path: Path) -> None:
    problem = await asked(tmp_path, SITE, TOLD)
    found = kinds(problem)
    assert [found[name] for name in ("warmth", "tank", "boiler", "rod", "pump")] == [
        HeatLoad, Tank, Boiler, ElectricBoiler, HeatSource,
    ]  # fmt: skip
    tank, load, boiler = (problem.inputs[name] for name in ("tank", "warmth", "boiler"))
    assert isinstance(tank, TankInputs) and isinstance(load, HeatLoadInputs) and isinstance(boiler, BoilerInputs)
    assert tank.temperature_c == 60.0
    assert load.demand_kw == pytest.approx(20.0)
    assert boiler.fuel_price == pytest.approx(0.08 + 0.1 * 0.2)
    assert (boiler.is_running, boiler.since_s) == (False, 900.0)
    pump = problem.inputs["pump"]
    assert isinstance(pump, HeatSourceInputs)
    assert (pump.is_running, pump.since_s) == (True, 900.0)
    assert pump.supply_c == pytest.approx(60.0)


async def test_its_plan_keeps_the_tank_in_its_band_and_passes_the_check(tmp_path: Path) -> None:
    problem = replace(await asked(tmp_path, SITE, TOLD), network=None)
    plan = Planner(None, tmp_path).plan(problem, NOW)
    assert isinstance(plan, Plan), plan
    assert check_plan(problem, plan) == ()
    water_c = plan.schedules["tank"].states["temperature_c"]
    assert 50.0 - 1e-3 <= water_c.min() <= water_c.max() <= 80.0 + 1e-3
    assert np.abs(plan.unheated_kw["net"]).max() < 1e-3


async def test_a_node_is_left_out_while_nobody_knows_its_tank(tmp_path: Path) -> None:
    without = {point: value for point, value in TOLD.items() if point != "probes.temperature_c"}
    problem = await asked(tmp_path, SITE, without)
    found = kinds(problem)
    assert not {"tank", "warmth", "boiler"} & found.keys()
    assert (found["rod"], found["pump"]) == (Load, Load)
    assert problem.inputs["pump"].demand_kw[0] == 4.0
    assert problem.inputs["pump"].demand_kw[-1] == 3.0  # its safe value, after an hour


def test_a_blind_tank_and_its_makers_say_why_they_are_blocked() -> None:
    found = read_situation(SITE, bind(SITE), snapshot({**TOLD, "probes.temperature_c": None}))
    assert found["tank"].blocked == "no good value of temperature_c"
    for name in ("boiler", "rod", "pump"):
        assert found[name].blocked == "no good value of temperature_c of tank"


@pytest.mark.parametrize(
    ("device", "changes", "given_kw"),
    [("burner", {"burner.fuel_kw": 10.0}, 9.0), ("heating_rod", {"heating_rod.power_kw": 5.0}, 4.95)],
)
async def test_heat_of_what_nobody_steers_is_taken_off_the_load_for_an_hour(
    tmp_path, device, changes, given_kw
) -> None:
    site = heated(**{f"devices__{device}__mode": "monitor", f"devices__{device}__safe": {}})
    problem = await asked(tmp_path, site, {**TOLD, **changes})
    wanted = problem.inputs["warmth"].demand_kw
    within = problem.slots.offset_s < 3600.0
    assert wanted[within] == pytest.approx(20.0 - given_kw)
    assert "boiler" not in kinds(problem) if device == "burner" else kinds(problem)["rod"] is Load


async def test_a_load_of_heat_of_which_nothing_is_known_refuses_the_question(tmp_path: Path) -> None:
    without = {point: value for point, value in TOLD.items() if point != "heat_meter.heat_kw"}
    with pytest.raises(IndexError):  # nothing was asked
        await asked(tmp_path, SITE, without)


SET = {
    "kind": "genset", "device": "gateway", "bus": "busbar", "rated_kw": 20.0, "minimum_kw": 8.0,
    "fuel_price_per_kwh": 0.05, "heat_node": "net", "heat_per_kw": 1.5, "heat_idle_kw": 2.0,
}  # fmt: skip
GATEWAY = {"protocol": "simulated", "profile": "genset", "port": 6, "mode": "control", "safe": {"setpoint_kw": 0.0}}
CHP = heated(assets__set=SET, devices__gateway=GATEWAY)


async def test_a_chp_unit_heats_the_node_and_no_node_that_nobody_knows(tmp_path: Path) -> None:
    problem = await asked(tmp_path, CHP, {**TOLD, "gateway.power_kw": -12.0})
    (unit,) = [asset for asset in problem.assets if isinstance(asset, Genset)]
    assert (unit.heat_node, unit.heat_per_kw, unit.heat_idle_kw) == ("net", 1.5, 2.0)
    without = {point: value for point, value in TOLD.items() if point != "probes.temperature_c"}
    problem = await asked(tmp_path, CHP, {**without, "gateway.power_kw": -12.0})
    (unit,) = [asset for asset in problem.assets if isinstance(asset, Genset)]
    assert (unit.heat_node, unit.heat_per_kw, unit.heat_idle_kw) == ("", 0.0, 0.0)


# ---- the fast loop --------------------------------------------------------------------------------------------


LEVERS = build_levers(SITE, bind(SITE))
POWERS = {"pv": -10.0, "battery": 0.0, "car": 0.0, "heat": 2.0, "houses": 20.0, "shop": 8.0, "rod": 5.0, "pump": 6.0,
          "warmth": 0.0, "tank": 0.0}  # fmt: skip


def test_levers_of_a_node() -> None:
    assert {name: LEVERS[name].kind for name in ("boiler", "rod", "pump")} == {
        "boiler": AssetKind.BOILER, "rod": AssetKind.HEAT_PUMP, "pump": AssetKind.HEAT_PUMP,
    }  # fmt: skip
    assert (LEVERS["boiler"].minimum_kw, LEVERS["boiler"].upper_kw, LEVERS["boiler"].safe_kw) == (8.0, 40.0, None)
    assert (LEVERS["rod"].safe_kw, LEVERS["pump"].safe_kw) == (0.0, 3.0)
    assert LEVERS["pump"].rest is not None and LEVERS["rod"].rest is None
    assert LEVERS["boiler"].rest is not None and LEVERS["boiler"].rest.minimum_on_s == 600.0


def planned(fuel_kw: float) -> Plan:
    plan = make_plan(POWERS)
    n = len(plan.slots)
    boiler = Schedule(np.zeros(n), {"fuel_kw": np.full(n, fuel_kw)})
    return replace(plan, schedules={**plan.schedules, "boiler": boiler})


def steered(plan: Plan | None, site: Site = SITE, **measured: Any) -> Outcome:
    steering = Steering(site, bind(site), build_levers(site, bind(site)))
    told = {**TOLD, **{name.replace("__", "."): value for name, value in measured.items()}}
    return steering.decide(SceneMaker(site)(told, plan=plan))


def test_all_makers_follow_the_plan_and_fuel_is_no_power() -> None:
    outcome = steered(planned(20.0), burner__fuel_kw=20.0)
    told = outcome.decisions
    assert (told["boiler"].kw, told["boiler"].rung) == (20.0, Rung.PLAN)
    assert "heat with 20.0 kW of fuel" in told["boiler"].reason
    assert (told["rod"].kw, told["pump"].kw) == (5.0, 6.0)
    assert "boiler" not in outcome.powers.metered_kw
    assert outcome.powers.taken_kw("boiler") == 20.0
    quiet = steered(planned(20.0))
    assert outcome.powers.loads_kw == quiet.powers.loads_kw


@pytest.mark.parametrize(("planned_kw", "told_kw"), [(3.0, 0.0), (5.0, 8.0), (12.0, 12.0), (60.0, 40.0)])
def test_a_boiler_burns_nothing_or_its_least_fuel_or_more(planned_kw: float, told_kw: float) -> None:
    assert steered(planned(planned_kw)).decisions["boiler"].kw == told_kw


@pytest.mark.parametrize("plan", [planned(20.0), None], ids=["plan", "rules"])
def test_no_maker_is_steered_by_a_tank_that_cannot_be_read(plan: Plan | None) -> None:
    told = steered(plan, probes__temperature_c=None).decisions
    for name, safe_kw in (("boiler", None), ("rod", 0.0), ("pump", 3.0)):
        assert (told[name].kw, told[name].rung) == (safe_kw, Rung.SAFE)
        assert "no good value of temperature_c of tank" in told[name].reason
    assert told["battery"].rung is not Rung.SAFE


def test_nothing_heats_a_tank_above_its_band() -> None:
    told = steered(planned(20.0), probes__temperature_c=81.5).decisions
    for name in ("boiler", "rod", "pump"):
        assert (told[name].kw, told[name].rung) == (0.0, Rung.BUILDING)
        assert "tank has 81.5 degC" in told[name].reason
    warm = steered(planned(20.0), probes__temperature_c=80.5).decisions
    assert warm["boiler"].kw == 20.0


@pytest.mark.parametrize(
    ("water_c", "boiler_kw", "pump_kw"), [(45.0, 40.0, 8.0), (51.5, 20.0, 8.0), (58.0, 0.0, 8.0), (75.0, 0.0, 0.0)]
)
def test_without_a_plan_power_keeps_the_tank_and_fuel_its_floor(water_c, boiler_kw, pump_kw) -> None:
    told = steered(None, probes__temperature_c=water_c, pump_gateway__power_kw=0.0).decisions
    assert (told["boiler"].kw, told["boiler"].rung) == (pytest.approx(boiler_kw), Rung.RULES)
    assert (told["pump"].kw > 0.0) == (pump_kw > 0.0)


def test_a_boiler_that_cannot_be_read_is_not_commanded() -> None:
    assert "boiler" not in steered(planned(20.0), burner__fuel_kw=None).decisions


def test_a_boiler_is_followed_by_its_fuel() -> None:
    assert follows(LEVERS["boiler"], 20.0, 19.0)
    assert not follows(LEVERS["boiler"], 20.0, 10.0)


def test_an_import_limit_lowers_what_takes_power_and_not_the_burner() -> None:
    outcome = steered(planned(20.0), meter__power_kw=70.0, rod__power_kw=5.0, burner__fuel_kw=20.0)
    assert outcome.decisions["boiler"].kw == 20.0


def test_with_nobody_steering_they_take_their_safe_power_and_fuel_none_of_the_grid() -> None:
    highest, lowest = failsafe_extremes(SITE, bind(SITE))
    assert (highest.power_kw["rod"], highest.power_kw["pump"]) == (0.0, 3.0)
    assert lowest.power_kw["pump"] == 0.0
    assert not {"boiler", "tank", "warmth"} & highest.power_kw.keys()
