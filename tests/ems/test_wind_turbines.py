"""A wind turbine on its way: site file, feed, foresight, question, plan and fast loop, where it is one with PV."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from planning_kit import StoredFeed, feeds
from question_kit import asked
from stage import NOW, SceneMaker, make_plan, make_site, voltage_rows
from stage import SITE as STAGE

from ems.clock import SimulatedClock
from ems.config.binding import bind
from ems.config.site import Site
from ems.failsafe import failsafe_extremes
from ems.fast.decisions import AssetKind
from ems.fast.levers import build_levers
from ems.fast.steering import Steering
from ems.plan_check import check_plan
from ems.slow.feed_desk import POINTS, WIND, FeedDesk
from ems.slow.generation import generation_kw
from optimization.assets import Wind, WindInputs
from optimization.forecast.published import Rung
from optimization.forecast.wind import WindPlant, wind_power_kw
from optimization.problem import Plan, Problem
from optimization.rolling import Planner
from optimization.slots import uniform

TURBINE = {"kind": "wind", "device": "nacelle", "bus": "barn", "rated_kw": 20.0, "hub_m": 30.0, "rated_m_s": 11.0}
NACELLE = {"protocol": "simulated", "profile": "sunspec_pv", "port": 8, "mode": "control", "safe": {"limit_kw": 5.0}}


def yard(**changes: Any) -> Site:
    return make_site({"assets.mill": TURBINE, "devices.nacelle": NACELLE, **changes})


SITE, SITE_GRID = yard(), STAGE["grid"]
BLOWS = {"nacelle.power_kw": -12.0, "nacelle.limit_kw": 20.0}


def windy(speed_m_s: float | None) -> dict[str, StoredFeed]:
    told = feeds()
    if speed_m_s is not None:
        told["weather"] = StoredFeed({**told["weather"].formulas, WIND: lambda _: speed_m_s})
    return told


# ---- site file ------------------------------------------------------------------------------------------------


def test_it_is_told_the_most_that_it_may_give_as_a_pv_plant_is() -> None:
    command, lever = bind(SITE).commands["mill"], build_levers(SITE, bind(SITE))["mill"]
    assert (command.role, command.lower_kw, command.upper_kw) == ("limit_kw", -20.0, 0.0)
    assert (command.to_point(-12.0), command.to_kw(12.0)) == (12.0, -12.0)
    assert (lever.kind, lever.rating_kw, lever.safe_kw) == (AssetKind.PV, 20.0, -5.0)
    highest, lowest = failsafe_extremes(SITE, bind(SITE))
    assert (highest.power_kw["mill"], lowest.power_kw["mill"]) == (0.0, -5.0)


# ---- feed and foresight ---------------------------------------------------------------------------------------


def test_power_follows_the_wind_at_the_hub() -> None:
    spec: Any = SITE.file.assets["mill"]
    wind = np.array([0.0, 2.0, 5.0, 8.0, 20.0, 24.0])
    plant = WindPlant(20.0, 3.0, 11.0, 25.0)
    assert generation_kw(spec, {WIND: wind}) == pytest.approx(wind_power_kw(plant, wind * 3.0**0.2))


@pytest.mark.parametrize("is_windy", [True, False])
async def test_the_weather_feed_owes_the_wind_only_where_a_turbine_stands(is_windy: bool, caplog) -> None:
    ages = dict.fromkeys(POINTS, 48.0)
    desk = FeedDesk(windy(None), ages, SimulatedClock(NOW), 5.0, windy=is_windy)
    await desk.refresh(NOW)
    assert ("it publishes no wind_m_s" in caplog.text) is is_windy
    if is_windy:
        filled, label = desk.foresee(WIND, uniform(NOW, 4, 900.0), NOW)
        assert (filled.value == 0.0).all() and label.rung is Rung.FLAT


async def test_the_question_foresees_it_from_the_published_wind(tmp_path: Path) -> None:
    problem = await asked(tmp_path, SITE, BLOWS, feeds_=windy(7.0))
    told = problem.inputs["mill"]
    assert isinstance(told, WindInputs)
    assert [asset.rated_kw for asset in problem.assets if isinstance(asset, Wind)] == [20.0]
    curve = float(generation_kw(SITE.file.assets["mill"], {WIND: np.array([7.0])})[0])  # type: ignore[arg-type]
    assert 8.0 < curve < 11.0
    # In this wind it has given 12 kW so far, so that is what it is taken to give.
    assert told.available_kw == pytest.approx(np.full(len(problem.slots), 12.0))


async def test_without_published_wind_none_is_foreseen(tmp_path: Path) -> None:
    problem = await asked(tmp_path, SITE, BLOWS, feeds_=windy(None))
    assert (problem.inputs["mill"].available_kw == 0.0).all()  # type: ignore[attr-defined]


async def test_one_that_nobody_steers_is_planned_around(tmp_path: Path) -> None:
    problem = await asked(tmp_path, yard(**{"devices.nacelle.mode": "monitor"}), BLOWS, feeds_=windy(9.0))
    told: Any = problem.inputs["mill"]
    assert not [asset for asset in problem.assets if isinstance(asset, Wind)]
    assert (told.demand_kw < -5.0).all()


# ---- plan and fast loop ---------------------------------------------------------------------------------------


def alone(problem: Problem) -> Problem:
    kept = tuple(asset for asset in problem.assets if asset.id in {"houses", "mill"})
    return replace(
        problem, network=None, assets=kept, inputs={asset.id: problem.inputs[asset.id] for asset in kept}, previous=None
    )


async def test_the_plan_holds_it_back_where_selling_costs_money(tmp_path: Path) -> None:
    problem = alone(await asked(tmp_path, SITE, BLOWS, feeds_=windy(14.0)))
    n = len(problem.slots)
    costly = np.arange(n) % 2 == 0
    prices = replace(problem.tariff, import_price=np.full(n, 0.3), export_price=np.where(costly, -0.1, 0.05))
    less = {**problem.inputs, "houses": replace(problem.inputs["houses"], demand_kw=np.full(n, 4.0))}
    question = replace(problem, tariff=prices, inputs=less)
    plan = Planner(None, tmp_path).plan(question, NOW)
    assert isinstance(plan, Plan)
    assert check_plan(question, plan) == ()
    given_kw = -plan.schedules["mill"].power_kw
    assert given_kw[costly] == pytest.approx(4.0)
    assert given_kw[~costly] == pytest.approx(question.inputs["mill"].available_kw[~costly])  # type: ignore[attr-defined]
    too_much = replace(plan.schedules["mill"], power_kw=np.full(n, -21.0))
    assert check_plan(question, replace(plan, schedules={**plan.schedules, "mill": too_much}))


@pytest.mark.parametrize(("limit_kw", "held_back"), [(40.0, True), (200.0, False)])
def test_the_fast_loop_holds_sun_and_wind_back_at_the_export_limit(limit_kw: float, held_back: bool) -> None:
    site = yard(**{"grid": {**SITE_GRID, "export_limit_kw": limit_kw}})
    steering = Steering(site, bind(site), build_levers(site, bind(site)))
    full = {"store.soc_pct": 95.0, "meter.power_kw": -60.0, "inverter.power_kw": -60.0, "nacelle.power_kw": -20.0}
    powers = {"pv": -60.0, "mill": -20.0, "battery": 0.0, "car": 0.0, "heat": 2.0, "houses": 15.0, "shop": 5.0}
    plan = make_plan(powers, grid_kw=-60.0, rows=voltage_rows(limit_pu=2.0))
    told = steering.decide(SceneMaker(site)(full, plan=plan)).decisions
    if held_back:
        assert -(told["mill"].kw + told["pv"].kw + told["heat"].kw) - 18.0 <= 40.0
        assert any("the grid stands no more" in each.reason for each in told.values())
    else:
        assert (told["mill"].kw, told["pv"].kw) == (-20.0, -60.0)
