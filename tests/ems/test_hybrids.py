"""A hybrid on its way: site file, foresight, question, plan, fast loop, worst case and meters."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hybrid_kit import HYBRID, SUNNY, yard
from hypothesis import given, settings
from hypothesis import strategies as st
from question_kit import asked
from stage import NOW, SceneMaker, make_plan, voltage_rows

from ems.config.binding import bind
from ems.config.hybrid_asset import HybridAsset
from ems.failsafe import failsafe_extremes
from ems.fast.decisions import AssetKind, Rung
from ems.fast.hybrids import SunNow, hybrid_bound, sun_at_grid_kw
from ems.fast.levers import build_levers
from ems.fast.plausible import plausible_ranges
from ems.fast.steering import Steering
from ems.plan_check import check_plan
from ems.reports.meters import Flow, meters_of
from ems.slow.generation import generation_kw
from optimization.assets import Hybrid, HybridInputs
from optimization.problem import Plan, Problem
from optimization.rolling import Planner

SITE = yard()
SPEC = SITE.file.assets["roof"]
assert isinstance(SPEC, HybridAsset)
POWERS = {"pv": -10.0, "battery": 0.0, "car": 0.0, "heat": 2.0, "houses": 20.0, "shop": 8.0}


# ---- site file ------------------------------------------------------------------------------------------------


def test_it_is_told_the_power_at_its_grid_side() -> None:
    command, lever = bind(SITE).commands["roof"], build_levers(SITE, bind(SITE))["roof"]
    assert (command.role, command.lower_kw, command.upper_kw) == ("setpoint_kw", -20.0, 8.0)
    assert (command.to_point(-30.0), command.to_kw(5.0)) == (-20.0, 5.0)
    assert (lever.kind, lever.rating_kw, lever.safe_kw) == (AssetKind.HYBRID, 20.0, -2.0)


@pytest.mark.parametrize(
    ("safe_kw", "most_kw", "least_kw"), [(-2.0, 0.0, -2.0), (3.0, 3.0, 0.0), (0.0, 0.0, 0.0), (None, 8.0, -20.0)]
)
def test_the_worst_case_counts_that_a_safe_power_may_end(safe_kw, most_kw: float, least_kw: float) -> None:
    site = yard(**{"devices.gateway.safe": {"setpoint_kw": safe_kw}})
    highest, lowest = failsafe_extremes(site, bind(site))
    assert (highest.power_kw["roof"], lowest.power_kw["roof"]) == (most_kw, least_kw)


def test_what_no_such_inverter_tells_is_not_believed() -> None:
    ranges = plausible_ranges(SITE, bind(SITE))
    assert ranges["gateway.power_kw"] == (-41.0, 41.0)
    assert ranges["gateway.sun_kw"] == ranges["gateway.store_kw"] == (-61.0, 61.0)


def test_its_sun_and_its_battery_are_metered_apart() -> None:
    told = {meter.flow: (meter.point, meter.power_sign) for meter in meters_of(SITE) if meter.asset == "roof"}
    assert told == {
        Flow.PV: ("gateway.sun_kwh", 1.0),
        Flow.BATTERY_CHARGE: ("gateway.store_in_kwh", 1.0),
        Flow.BATTERY_DISCHARGE: ("gateway.store_out_kwh", -1.0),
    }


# ---- foresight and question -----------------------------------------------------------------------------------


async def told(folder: Path, site=SITE, **changes: float) -> Problem:
    return await asked(folder, site, {**SUNNY, **{f"gateway.{key}": value for key, value in changes.items()}})


def given_to(problem: Problem) -> HybridInputs:
    found = problem.inputs["roof"]
    assert isinstance(found, HybridInputs)
    return found


async def test_the_question_knows_sun_charge_and_what_is_left_is_worth(tmp_path: Path) -> None:
    problem = await told(tmp_path)
    inputs, model = given_to(problem), next(asset for asset in problem.assets if asset.id == "roof")
    assert isinstance(model, Hybrid)
    assert (model.rated_kw, model.take_kw, model.battery.charge_kw) == (20.0, 8.0, 15.0)
    assert inputs.store.energy_kwh == pytest.approx(20.0)
    stored = problem.inputs["battery"].end_value_per_kwh / 0.96  # type: ignore[attr-defined]
    assert inputs.store.end_value_per_kwh == pytest.approx(stored * 0.97 * 0.96)
    assert inputs.available_kw.min() >= 0.0 and inputs.available_kw.max() <= 30.0


async def test_its_sun_is_foreseen_past_the_inverter_and_learned_from_what_it_uses(tmp_path: Path) -> None:
    air = {"irradiance_w_m2": np.array([900.0]), "outdoor_c": np.array([15.0])}
    free_kw = float(generation_kw(SPEC, air)[0])  # type: ignore[arg-type]
    assert 20.0 < free_kw <= 30.0
    usual, twice = [given_to(await told(tmp_path / str(kw), sun_kw=kw)).available_kw for kw in (6.0, 12.0)]
    assert twice[0] == pytest.approx(2.0 * usual[0], rel=0.05)


async def test_what_it_holds_back_teaches_the_forecast_nothing(tmp_path: Path) -> None:
    clipped = given_to(await told(tmp_path / "clipped", sun_kw=3.0, sun_state=1.0)).available_kw
    free = given_to(await told(tmp_path / "free", sun_kw=3.0)).available_kw
    assert clipped[0] > 2.0 * free[0]


@pytest.mark.parametrize("safe_kw", [-2.0, None])
async def test_one_that_nobody_steers_is_planned_around(tmp_path: Path, safe_kw: float | None) -> None:
    site = yard(**{"devices.gateway.mode": "monitor", "devices.gateway.safe": {"setpoint_kw": safe_kw}})
    found: Any = (await told(tmp_path, site)).inputs["roof"]
    assert found.demand_kw[0] == -9.0
    if safe_kw is None:
        assert found.demand_kw.min() < -5.0 and found.demand_kw.max() == 0.0
    else:
        assert found.demand_kw[-1] == -2.0


# ---- plan -----------------------------------------------------------------------------------------------------


async def test_a_plan_stores_the_sun_that_does_not_pass_the_inverter(tmp_path: Path) -> None:
    problem = await told(tmp_path)
    n = len(problem.slots)
    kept = tuple(asset for asset in problem.assets if asset.id in {"houses", "roof"})
    inputs = given_to(problem)
    sun = np.where(np.arange(n) < 8, 28.0, 0.0)
    question = replace(
        problem,
        assets=kept,
        inputs={
            "roof": replace(inputs, available_kw=sun, store=replace(inputs.store, energy_kwh=5.0)),
            "houses": replace(problem.inputs["houses"], demand_kw=np.full(n, 6.0)),
        },
        tariff=replace(problem.tariff, import_price=np.full(n, 0.3), export_price=np.full(n, 0.1)),
        network=None,
        previous=None,
    )
    plan = Planner(None, tmp_path).plan(question, NOW)
    assert isinstance(plan, Plan)
    assert check_plan(question, plan) == ()
    roof = plan.schedules["roof"]
    stored_kw = roof.states["sun_kw"] + roof.power_kw / 0.96
    assert stored_kw[:8].max() > 28.0 - 20.0 / 0.96 - 1e-6
    assert roof.power_kw[8] == pytest.approx(-6.0, abs=0.01)
    more = replace(roof, states={**roof.states, "sun_kw": roof.states["sun_kw"] + 1.0})
    assert check_plan(question, replace(plan, schedules={**plan.schedules, "roof": more}))


# ---- fast loop ------------------------------------------------------------------------------------------------


def decided(
    measured: dict[str, Any] | None = None, planned_kw: float | None = -9.0, grid_kw: float = 20.0, **grid: Any
):
    site = yard(**({"grid": {**SITE.file.grid.model_dump(exclude_defaults=True), **grid}} if grid else {}))
    plan = None
    if planned_kw is not None:
        plan = make_plan({**POWERS, "roof": planned_kw}, grid_kw=grid_kw, rows=voltage_rows(limit_pu=2.0))
    steering = Steering(site, bind(site), build_levers(site, bind(site)))
    return steering.decide(SceneMaker(site)({**SUNNY, **(measured or {})}, plan=plan)).decisions["roof"]


def test_a_plan_is_followed_at_the_grid_side() -> None:
    told = decided(planned_kw=-14.0)
    assert (told.kw, told.rung) == (-14.0, Rung.PLAN)
    assert "give 14.0 kW" in told.reason
    assert "take 6.0 kW" in decided(planned_kw=6.0).reason


@pytest.mark.parametrize(
    ("measured", "planned_kw", "kw"),
    [
        ({"gateway.soc_pct": 10.0}, -20.0, -12.0 * 0.96),
        ({"gateway.soc_pct": 10.0, "gateway.sun_kw": 0.0, "gateway.power_kw": 0.0}, -20.0, 0.0),
        ({"gateway.soc_pct": 11.0, "gateway.sun_kw": 1.0}, -20.0, -16.0 * 0.96),
        ({}, -20.0, -20.0),
        ({"gateway.soc_pct": 90.0}, 5.0, 0.0),
        ({"gateway.soc_pct": 50.0}, 12.0, 8.0),
    ],
    ids=["empty by day", "empty by night", "nearly empty", "rating", "full", "rating, taking"],
)
def test_it_is_told_no_more_than_sun_and_battery_can(measured, planned_kw: float, kw: float) -> None:
    assert decided(measured, planned_kw).kw == pytest.approx(kw, abs=0.06)


@pytest.mark.parametrize("role", ["soc_pct", "sun_kw", "sun_state"])
def test_it_is_safe_while_a_reading_is_missing(role: str) -> None:
    told = decided({f"gateway.{role}": None})
    assert (told.kw, told.rung) == (-2.0, Rung.SAFE)
    assert f"no good value of {role}" in told.reason


def test_it_gives_more_where_the_import_limit_presses() -> None:
    """The plan would let the loads draw 31 kW of the grid with the other battery at rest; only 25 are allowed."""
    told = decided({"meter.power_kw": 20.0, "store.soc_pct": 5.0}, 2.0, 25.0, import_limit_kw=25.0)
    assert told.kw is not None and told.kw < 2.0
    assert told.rung is Rung.GRID


@pytest.mark.parametrize(
    ("measured", "kw"),
    [
        ({"meter.power_kw": -29.0, "gateway.soc_pct": 90.0, "store.soc_pct": 95.0}, -12.0 * 0.96),
        ({"meter.power_kw": -29.0, "gateway.soc_pct": 90.0, "store.soc_pct": 95.0, "gateway.sun_state": 1.0}, -20.0),
    ],
    ids=["it gives its sun", "it lets in what it holds back"],
)
def test_without_a_plan_it_gives_its_sun(measured, kw: float) -> None:
    told = decided(measured, None)
    assert told.rung is Rung.RULES
    assert told.kw == pytest.approx(kw, abs=0.06)


def test_without_a_plan_its_battery_takes_what_would_be_sold() -> None:
    """The site sells 6 kW, and 2 kW more once its warm room needs no heat: so it gives 8 kW less."""
    told = decided({"meter.power_kw": -6.0, "store.soc_pct": 95.0, "heater.temperature_c": 24.0}, None)
    assert told.rung is Rung.RULES
    assert told.kw == pytest.approx(-9.0 + 8.0, abs=0.06)


@settings(max_examples=60, deadline=None)
@given(st.floats(0.0, 100.0), st.floats(0.0, 35.0), st.booleans())
def test_its_bounds_hold_its_sun_and_lie_in_its_ratings(soc_pct: float, sun_kw: float, held: bool) -> None:
    assert isinstance(SPEC, HybridAsset)
    sun = SunNow(sun_kw, held)
    bound = hybrid_bound(SPEC, soc_pct, sun)
    assert -20.0 <= bound.lower_kw <= 0.0 <= bound.upper_kw <= 8.0
    assert bound.lower_kw <= -min(20.0, 0.96 * sun_kw) + 1e-9
    assert sun_at_grid_kw(SPEC, sun) <= 20.0
    if soc_pct <= HYBRID["soc_min_pct"]:  # type: ignore[operator]
        assert bound.lower_kw == pytest.approx(-min(20.0, 0.96 * sun_kw))
    if soc_pct >= HYBRID["soc_max_pct"]:  # type: ignore[operator]
        assert bound.upper_kw == 0.0
