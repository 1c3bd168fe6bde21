"""A generating set on its way: site file, question, plan, lever, arbitration and balancing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from question_kit import asked
from stage import NOW, SceneMaker, make_plan, make_site

from ems.balancing import Flex, Rows, balance
from ems.config.binding import bind
from ems.config.site import Site
from ems.failsafe import failsafe_extremes
from ems.fast.decisions import AssetKind, Bound, Rung
from ems.fast.levers import build_levers
from ems.fast.steering import Steering
from ems.plan_check import check_plan
from ems.slow.running import running
from optimization.assets import Genset, GensetInputs
from optimization.forecast.past import Past
from optimization.problem import Plan
from optimization.rolling import Planner

SET = {
    "kind": "genset", "device": "gateway", "bus": "busbar", "rated_kw": 20.0, "minimum_kw": 8.0,
    "fuel_price_per_kwh": 0.05, "fuel_kg_per_kwh": 0.2, "fuel_idle_kw": 4.0, "start_cost": 0.5,
}  # fmt: skip
GATEWAY = {"protocol": "simulated", "profile": "genset", "port": 6, "mode": "control", "safe": {"setpoint_kw": 0.0}}


def yard(**keys: Any) -> Site:
    return make_site({"assets.set": {**SET, **keys}, "devices.gateway": GATEWAY, "planning.carbon_price_per_kg": 0.1})


SITE = yard()
LEVER = build_levers(SITE, bind(SITE))["set"]
RATING = Bound(Rung.DEVICE, -20.0, 0.0, "rating")


def test_a_set_is_told_what_it_takes_which_is_never_above_zero() -> None:
    command = bind(SITE).commands["set"]
    assert (command.lower_kw, command.upper_kw, command.role) == (-20.0, 0.0, "setpoint_kw")
    assert command.to_point(-12.0) == -12.0
    assert command.to_point(-3.0) == 0.0
    assert command.to_point(5.0) == 0.0
    assert (LEVER.side, LEVER.minimum_kw, LEVER.kind) == (-1.0, 8.0, AssetKind.GENSET)
    assert LEVER.rest is not None and LEVER.rest.minimum_on_s == 600.0


# ---- how long it has run --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("past", "now_kw", "expected"),
    [
        ([0.0, 0.0, -9.0, -9.0], -9.0, (True, 600.0)),
        ([-9.0, -9.0, 0.0, 0.1], 0.0, (False, 600.0)),
        ([-9.0, float("nan"), -9.0], -9.0, (True, 300.0)),
        ([-9.0], 0.0, (False, 0.0)),
        ([], -9.0, (True, 0.0)),
        ([0.0] * 5, 0.2, (False, 1500.0)),
    ],
)
def test_for_how_long_it_runs_or_stands_is_read_off_its_power(past, now_kw, expected) -> None:
    known = Past(300.0 * np.arange(len(past)), np.array(past, dtype=float), 300.0)
    assert running(now_kw, known, 20.0) == expected


# ---- question and plan ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("power_kw", [0.0, -12.0])
async def test_the_question_tells_whether_it_runs_and_what_its_fuel_costs(tmp_path: Path, power_kw: float) -> None:
    problem = await asked(tmp_path, SITE, {"gateway.power_kw": power_kw})
    (model,) = [asset for asset in problem.assets if isinstance(asset, Genset)]
    told = problem.inputs["set"]
    assert isinstance(told, GensetInputs)
    assert (model.least_kw, model.fuel_idle_kw, model.start_cost) == (8.0, 4.0, 0.5)
    assert (told.is_running, told.since_s) == (power_kw < 0.0, 900.0)
    assert told.fuel_price == pytest.approx(0.05 + 0.1 * 0.2)


async def test_a_limit_of_the_connection_starts_it_and_its_least_power_binds(tmp_path: Path) -> None:
    problem = await asked(tmp_path, yard(fuel_price_per_kwh=0.3), {"gateway.power_kw": 0.0})
    # By day the sun serves the load of 28 kW.
    night = (problem.slots.offset_s > 12.0 * 3600.0) & (problem.slots.offset_s < 15.0 * 3600.0)
    short = replace(problem.connection, import_limit_kw=np.where(night, 24.0, 60.0))
    battery = [asset for asset in problem.assets if asset.id != "battery"]
    inputs = {name: given_ for name, given_ in problem.inputs.items() if name != "battery"}
    asked_ = replace(problem, network=None, connection=short, assets=tuple(battery), inputs=inputs)
    plan = Planner(None, tmp_path).plan(asked_, NOW)
    assert isinstance(plan, Plan)
    assert check_plan(asked_, plan) == ()
    given_kw = -plan.schedules["set"].power_kw
    runs = given_kw > 1e-6
    assert runs.any() and not runs.all()
    assert given_kw[runs].min() >= 8.0 - 1e-6
    assert (np.abs(given_kw[runs] - 8.0) < 1e-3).any()
    assert plan.excess_kw.max() < 1e-3


# ---- the fast loop --------------------------------------------------------------------------------------------


def flex(kw: float, lower_kw: float) -> Flex:
    return Flex("set", AssetKind.GENSET, kw, lower_kw=lower_kw, upper_kw=0.0, minimum_kw=8.0, step_kw=0.5)


def rows(limit_kw: float) -> Rows:
    return Rows(("export",), ("load", "set"), np.array([[-1.0, -1.0]]), np.zeros(1), np.array([limit_kw]),
                np.array([limit_kw - 1.0]))  # fmt: skip


@pytest.mark.parametrize(("load_kw", "expected_kw"), [(10.0, -15.0), (1.0, -10.0), (-3.0, 0.0)])
def test_too_much_export_lowers_it_down_to_its_least_power_then_stops_it(load_kw, expected_kw) -> None:
    assert balance([flex(-15.0, -15.0)], rows(10.0), {"load": load_kw}).power_kw["set"] == expected_kw


@given(
    load_kw=st.floats(-40.0, 40.0), kw=st.floats(-20.0, 0.0), limit_kw=st.floats(2.0, 30.0),
    other=st.floats(-1.0, 1.0),
)  # fmt: skip
def test_relief_asks_it_for_no_more_and_for_nothing_between(load_kw, kw, limit_kw, other) -> None:
    kw = 0.0 if kw > -8.0 else kw
    two = Rows(("export", "row"), ("load", "set"), np.array([[-1.0, -1.0], [0.0, other]]), np.zeros(2),
               np.array([limit_kw, 5.0]), np.array([limit_kw - 1.0, 4.0]))  # fmt: skip
    told = balance([flex(kw, kw)], two, {"load": load_kw}).power_kw["set"]
    assert kw - 1e-9 <= told <= 0.0
    assert told == 0.0 or told <= -8.0 + 1e-9


def steered(plan: Plan | None, **measured: float) -> Any:
    steering = Steering(SITE, bind(SITE), build_levers(SITE, bind(SITE)))
    changes = {"gateway.power_kw": 0.0, **{name.replace("__", "."): v for name, v in measured.items()}}
    return steering.decide(SceneMaker(SITE)(changes, plan=plan)).decisions["set"]


def test_it_follows_the_plan_and_stands_without_one() -> None:
    powers = {"pv": -10.0, "battery": 0.0, "car": 0.0, "heat": 2.0, "houses": 20.0, "shop": 8.0, "set": -12.0}
    told = steered(make_plan(powers))
    assert (told.kw, told.rung) == (-12.0, Rung.PLAN)
    assert "generate 12.0 kW" in told.reason
    alone = steered(None)
    assert (alone.kw, alone.rung) == (0.0, Rung.RULES)
    assert "stand" in alone.reason


@pytest.mark.parametrize(("safe_kw", "least_kw"), [(0.0, 0.0), (-10.0, -10.0), (None, -20.0)])
def test_with_nobody_steering_it_may_give_its_safe_power_or_nothing(safe_kw: float | None, least_kw: float) -> None:
    site = make_site({"assets.set": SET, "devices.gateway": {**GATEWAY, "safe": {"setpoint_kw": safe_kw}}})
    highest, lowest = failsafe_extremes(site, bind(site))
    assert (highest.power_kw["set"], lowest.power_kw["set"]) == (0.0, least_kw)
