"""Keys of batteries, charge points and groups: question, plan, record, resume, and the fast loop's bounds."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from planning_kit import NOW, Loop, build_loop, demo_site
from stage import SceneMaker, levers_of, make_plan, make_site, voltage_rows

from ems.config.assets import BatteryAsset, ChargePointAsset, FixedLoad
from ems.config.binding import bind
from ems.config.site import Group, Site
from ems.fast.rows import RowsMaker, build_rows
from ems.fast.steering import Steering
from ems.plan_check import check_plan
from ems.slow.plan_record import plan_record
from ems.slow.plan_resumed import read_plan
from ems.slow.throughput import left_kwh
from ems.store.encoding import to_json
from optimization.assets import BatteryInputs, ChargePointInputs, EvSession, Load, LoadInputs
from optimization.forecast.past import Past, epoch_s
from optimization.problem import Plan, Problem
from optimization.rolling import Planner

DAY_S = 86400.0


def demo_with(groups: dict[str, Group] | None = None, **assets: dict[str, Any]) -> Site:
    """Give the demo feeder with keys of some assets changed, and its plans without the grid's margin."""
    site = demo_site()
    changed = {name: site.file.assets[name].model_copy(update=keys) for name, keys in assets.items()}
    grid = site.file.grid.model_copy(update={"planning_margin_pct": 0.0})
    file = site.file.model_copy(
        update={"assets": {**site.file.assets, **changed}, "groups": groups or {}, "grid": grid}
    )
    return site.model_copy(update={"file": file})


async def asked(folder: Path, site: Site, **changes: Any) -> tuple[Loop, Problem]:
    loop = build_loop(folder, site)
    await loop.plan(**changes)
    return loop, loop.problem


def solved(folder: Path, problem: Problem) -> Plan:
    """Solve a question without its feeder, and let the verifier look at it."""
    plan = Planner(None, folder).plan(replace(problem, network=None), NOW)
    assert isinstance(plan, Plan), plan
    assert check_plan(replace(problem, network=None), plan) == ()
    return plan


async def test_a_site_without_these_keys_asks_what_it_always_asked(tmp_path: Path) -> None:
    _, problem = await asked(tmp_path, demo_site(), wallbox__state=1.0)
    assert problem.groups == ()
    assert not any(asset.shape(problem.inputs[asset.id], problem.slots, 1).traits for asset in problem.assets)


async def test_a_battery_s_physics_reach_the_question_and_bind_in_the_plan(tmp_path: Path) -> None:
    keys = {
        "charge_curve": ((20.0, 0.97), (40.0, 0.93)),
        "charge_taper_pct": 60.0,
        "depth_wear": ((40.0, 0.0), (100.0, 0.5)),
        "outage_reserve_pct": 50.0,
        "warranty_kwh_per_day": 1.0,
        "over_warranty_per_kwh": 0.01,
        "end_value_per_kwh": 5.0,
    }
    site = demo_with(battery=keys)
    _, problem = await asked(tmp_path, site, battery_inverter__soc_pct=45.0)
    (model,) = [asset for asset in problem.assets if asset.id == "battery"]
    spec, given_ = site.file.assets["battery"], problem.inputs["battery"]
    assert isinstance(spec, BatteryAsset) and isinstance(given_, BatteryInputs)
    traits = model.shape(given_, problem.slots, 1).traits
    assert traits == {"losses by power", "taper", "wear by depth", "outage reserve", "warranty budget"}
    assert given_.end_value_per_kwh == 5.0
    assert given_.reserve_kwh is not None and (given_.reserve_kwh == 0.5 * spec.capacity_kwh).all()
    # Nothing is known of a past yet: what the horizon's days allow is left.
    assert given_.throughput_left_kwh == pytest.approx(float(problem.slots.duration_s.sum()) / DAY_S)
    plan = solved(tmp_path, problem)
    stored, power = plan.schedules["battery"].states["energy_kwh"], plan.schedules["battery"].power_kw
    # A kWh is worth 5 at the end: it is filled as far as the taper lets it, and the reserve is there soon.
    allowed = spec.charge_kw * (spec.capacity_kwh - stored) / (0.4 * spec.capacity_kwh)
    assert (power <= allowed + 1e-6).all()
    assert (np.abs(power - np.minimum(allowed, spec.charge_kw)) < 1e-3).any()
    assert plan.schedules["battery"].slack["reserve_missing_kwh"][8:].max() < 1e-6


async def test_a_dearer_point_is_served_first_and_whole_powers_are_planned(tmp_path: Path) -> None:
    site = demo_with(charge_point={"keeps_minimum": True, "shortfall_per_kwh": 7.0})
    car = EvSession(NOW - timedelta(hours=1), NOW + timedelta(hours=3), 9.0, 11.0)
    own = replace(car, arrival=car.departure, departure=car.departure + timedelta(hours=1), shortfall_price=9.0)
    loop = build_loop(tmp_path, site)
    await loop.plan(wallbox__state=1.0, sessions={"charge_point": (car, own)})
    given_ = loop.problem.inputs["charge_point"]
    assert isinstance(given_, ChargePointInputs)
    assert given_.sessions[0].shortfall_price == 7.0
    spec = site.file.assets["charge_point"]
    assert isinstance(spec, ChargePointAsset)
    power = solved(tmp_path, loop.problem).schedules["charge_point"].power_kw
    least_kw = spec.minimum_a * spec.voltage_v * spec.least_phases / 1000.0
    running = power[power > 1e-6]
    assert running.size and running.min() >= least_kw - 1e-6


async def test_a_group_binds_in_the_plan_and_its_excess_survives_a_restart(tmp_path: Path) -> None:
    # The houses alone take more than their feeder's limit: the plan says by how much, and charges no car there.
    group = {"feeder": Group(members=("houses_near", "charge_point"), limit_kw=4.0)}
    _, problem = await asked(tmp_path, demo_with(group), grid_meter__power_kw=40.0)
    (planned,) = problem.groups
    assert (planned.id, planned.members, set(planned.limit_kw)) == ("feeder", group["feeder"].members, {4.0})
    plan = solved(tmp_path, problem)
    together = sum(plan.schedules[name].power_kw for name in group["feeder"].members)
    np.testing.assert_allclose(plan.group_excess_kw["feeder"], np.maximum(np.abs(together) - 4.0, 0.0), atol=1e-6)
    assert plan.group_excess_kw["feeder"].max() > 1.0
    foresight: Any = SimpleNamespace(degraded=False, labels={}, methods={})
    body = json.loads(to_json(plan_record(problem, plan, foresight, {})))
    back = read_plan(body)
    np.testing.assert_allclose(back.group_excess_kw["feeder"], plan.group_excess_kw["feeder"], atol=1e-4)
    assert back.unheated_kw == {} and len(back.charged) == len(plan.charged)


@given(kwh=st.lists(st.floats(-40.0, 40.0) | st.just(float("nan")), min_size=1, max_size=2500))
def test_the_warranty_counts_what_was_discharged_in_a_week(kwh: list[float]) -> None:
    step_s = 300.0
    at_s = epoch_s(NOW) - step_s * np.arange(len(kwh), 0, -1)
    left = left_kwh(10.0, Past(at_s, np.array(kwh), step_s), NOW, DAY_S)
    recent = [kw for kw, at in zip(kwh, at_s, strict=True) if at >= epoch_s(NOW) - 7.0 * DAY_S and kw == kw]
    first = next((at for kw, at in zip(kwh, at_s, strict=True) if at >= epoch_s(NOW) - 7 * DAY_S and kw == kw), None)
    days = 1.0 if first is None else 1.0 + (epoch_s(NOW) - first) / DAY_S
    used = sum(-kw for kw in recent if kw < 0.0) * step_s / 3600.0
    assert left == pytest.approx(max(0.0, 10.0 * days - used), abs=1e-6)


# ---- the fast loop ----------------------------------------------------------------------------------------------


def decided(keys: dict[str, Any], soc_pct: float, power_kw: float, *, grid_kw: float = 20.0, **changes: Any) -> Any:
    site = make_site({f"assets.battery.{key}": value for key, value in keys.items()} | changes)
    # The fixed load makes up what the grid shows beyond the others.
    measured = {"store.soc_pct": soc_pct, "meter.power_kw": grid_kw}
    plan = make_plan({"battery": power_kw, "houses": 20.0, "shop": 8.0, "pv": -10.0, "car": 0.0, "heat": 2.0})
    steering = Steering(site, bind(site), levers_of(site))
    return steering.decide(SceneMaker(site)(measured, plan=plan)).decisions["battery"]


@pytest.mark.parametrize(("soc_pct", "kw"), [(60.0, -8.0), (30.0, 0.0), (29.0, 0.0)])
def test_what_is_kept_for_an_outage_is_given_to_no_plan(soc_pct: float, kw: float) -> None:
    decision = decided({"outage_reserve_pct": 30.0}, soc_pct, -8.0)
    assert decision.kw == pytest.approx(kw, abs=0.11)
    assert ("kept for an outage" in decision.reason) == (kw == 0.0)


def test_a_limit_may_use_what_is_kept_for_an_outage() -> None:
    assert decided({"outage_reserve_pct": 30.0}, 25.0, 0.0, grid_kw=60.0).kw < -5.0
    assert decided({}, 25.0, 0.0, grid_kw=60.0).kw < -5.0


@pytest.mark.parametrize(("soc_pct", "kw"), [(70.0, 30.0), (90.0, 15.0), (94.0, 9.0)])
def test_near_full_no_more_is_told_than_the_taper_leaves(soc_pct: float, kw: float) -> None:
    told = decided({"charge_taper_pct": 80.0}, soc_pct, 30.0, grid_kw=-10.0)
    assert told.kw == pytest.approx(kw, abs=0.11)


def test_a_group_is_a_row_in_both_directions() -> None:
    groups = {"far": Group(members=("car", "houses"), limit_kw=10.0)}
    rows = build_rows(["car", "pv", "houses"], voltage_rows(), 0, (50.0, 40.0), groups=groups)
    assert rows.names[2:4] == ("limit of far", "limit of far")
    np.testing.assert_allclose(rows.coefficient[2:4], [[1, 0, 1], [-1, 0, -1]])
    np.testing.assert_allclose(rows.target[2:4], [9.5, 9.5])
    kept = RowsMaker(groups=groups).build(["car", "pv", "houses"], voltage_rows(), 0, (50.0, 40.0), unexplained_kw=1.0)
    np.testing.assert_allclose(kept.constant, [1.0, -1.0, 0.0, 0.0, *rows.constant[4:]])


def test_between_two_plans_a_group_s_limit_is_kept() -> None:
    site = make_site({"groups": {"far": {"members": ["heat", "battery"], "limit_kw": 12.0}}})
    plan = make_plan({"battery": 20.0, "houses": 20.0, "shop": 8.0, "pv": -10.0, "car": 0.0, "heat": 2.0})
    steering = Steering(site, bind(site), levers_of(site))
    told = steering.decide(SceneMaker(site)({"meter.power_kw": 5.0}, plan=plan)).decisions
    assert (told["battery"].kw or 0.0) + (told["heat"].kw or 0.0) <= 12.0
    assert "limit of far" in told["battery"].reason


# ---- the order of fixed loads -----------------------------------------------------------------------------------


async def test_a_rank_of_a_fixed_load_orders_what_a_plan_leaves_unserved(tmp_path: Path) -> None:
    names = [name for name, spec in demo_site().file.assets.items() if isinstance(spec, FixedLoad)]
    last, first = names[0], names[1]
    site = demo_with(**{first: {"shed_rank": 5}, last: {"shed_rank": 1, "critical": True}})
    _, problem = await asked(tmp_path, site)
    assert {asset.id: asset.order for asset in problem.assets if isinstance(asset, Load)}[last] == 2.0
    n = len(problem.slots)
    # No battery, no sun, and a connection that cannot exceed its limit for less than a load costs.
    kept = tuple(asset for asset in problem.assets if asset.id in names)
    short = replace(
        problem,
        network=None,
        assets=kept,
        inputs={name: LoadInputs(np.full(n, 10.0)) for name in names},
        connection=replace(problem.connection, import_limit_kw=np.full(n, 10.0 * len(names) - 5.0)),
        weights=replace(problem.weights, grid_limit=1000.0),
    )
    plan = solved(tmp_path, short)
    unserved = {name: schedule.slack["unserved_kw"] for name, schedule in plan.schedules.items()}
    np.testing.assert_allclose(unserved[first], 5.0, atol=1e-6)
    assert all(unserved[name].max() < 1e-6 for name in names if name != first)


def test_the_alarm_names_ranked_loads_in_their_order() -> None:
    ranks = {"assets.houses.shed_rank": 7, "assets.shop.shed_rank": 2}
    named = make_site(ranks), make_site(ranks | {"assets.shop.critical": True}), make_site()
    orders = []
    for site in named:
        steering = Steering(site, bind(site), levers_of(site))
        scene = SceneMaker(site)({"meter.power_kw": 110.0, "store.soc_pct": 5.0, "wallbox.power_kw": 0.0})
        orders.append(steering.decide(scene).by_hand)
    assert orders[0][:2] == ("shop", "houses")
    assert orders[1] == ("houses",)
    assert orders[2] == ()
