"""The district's slow loop: metered loads, parks, what a building allows, and the terms of month and week."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from district_kit import START, DistrictLoop, district, district_bindings, district_loop, seen
from planning_kit import IdleSolver, feeds, prepare_grid

from drivers.points import Measurement
from ems.clock import SimulatedClock
from ems.planning import Planning
from ems.slow.planning_setup import build_planning, history_path, stored_past
from ems.slow.situation import building_limits_kw
from ems.store.history import History
from ems.store.journal import FILE, Journal
from optimization.assets import ChargePointInputs, HeatPumpInputs, LoadInputs
from optimization.forecast.past import Past, empty
from optimization.problem import Plan, Problem, Refused


def watched(loop: DistrictLoop, minutes: float, **changes: float | None) -> None:
    """Let the slow loop see a snapshot without planning."""
    loop.clock.advance_to(minutes * 60.0)
    loop.planning.observe(seen(loop.clock.now(), **changes))


async def planned(loop: DistrictLoop, minutes: float = 0.0, **changes: float | None) -> Problem:
    loop.clock.advance_to(minutes * 60.0)
    answer = await loop.planning.plan_once(seen(loop.clock.now(), **changes), {})
    assert isinstance(loop.solver, IdleSolver)
    assert isinstance(answer, Plan), loop.planning.trouble
    return loop.solver.asked[-1]


async def test_the_horizon_is_two_days_in_84_slots(tmp_path: Path) -> None:
    problem = await planned(district_loop(tmp_path))
    assert len(problem.slots) == 84
    assert len(problem.assets) == 25


async def test_a_metered_load_is_foreseen_from_its_own_meter_and_leaves_the_rest_alone(tmp_path: Path) -> None:
    base = district_loop(tmp_path / "base")
    more = district_loop(tmp_path / "more")
    # The works draw 12 kW more, and so does the whole site.
    changes = {"works_load__power_kw": 20.0, "connection__power_kw": 72.0}
    for minute in range(0, 60, 5):
        watched(base, minute)
        watched(more, minute, **changes)
    asked, told = await planned(base, 60), await planned(more, 60, **changes)

    def near(problem: Problem, name: str) -> float:
        inputs = problem.inputs[name]
        assert isinstance(inputs, LoadInputs)
        return float(inputs.demand_kw[0])

    assert near(told, "works_load") - near(asked, "works_load") == pytest.approx(12.0, abs=1.5)
    for name in ("school_load", "homes_block", "homes_1", "homes_7"):
        assert near(told, name) == pytest.approx(near(asked, name), abs=1e-6)


async def test_the_stored_past_of_each_metered_load_is_its_own_column() -> None:
    stored = stored_past(district())
    assert set(stored.metered) == {"school_load", "works_load", "homes_block"}
    at_s = stored.load.at_s[:12]
    together = sum(past.at(at_s) for past in stored.metered.values()) + stored.load.at(at_s)
    assert (together > stored.load.at(at_s)).all()
    assert set(stored.places) == {"market", "works"}
    assert len(stored.sessions) == sum(len(stays) for stays in stored.places.values())


async def test_a_metered_load_of_which_nothing_is_known_is_named(tmp_path: Path) -> None:
    loop = district_loop(tmp_path)
    foreseer = loop.planning._parts.foreseer
    metered = {name: empty(300.0) for name in foreseer._stored.metered}
    foreseer._stored = replace(
        foreseer._stored, metered={**metered, "school_load": Past(np.zeros(1), np.ones(1), 300.0)}
    )
    answer = await loop.planning.plan_once(seen(START, works_load__power_kw=None, homes_block__power_kw=None), {})
    assert isinstance(answer, Refused)
    assert [reason.split(":")[0] for reason in answer.reasons] == [
        "nothing is known of works_load",
        "nothing is known of homes_block",
    ]


async def test_the_cars_of_a_park_are_shared_out_over_its_points(tmp_path: Path) -> None:
    evening = START.replace(hour=4)
    problem = await planned(district_loop(tmp_path, at=evening))
    cars = {}
    for name in ("market_1", "market_2", "market_3", "market_4", "works_1", "works_2"):
        inputs = problem.inputs[name]
        assert isinstance(inputs, ChargePointInputs)
        cars[name] = inputs.sessions
    market = [car for name in cars if name.startswith("market") for car in cars[name]]
    assert len(cars["market_1"]) >= 1
    assert len(set(market)) == len(market)  # no car is expected twice


# ---- what a building allows


async def test_a_limit_holds_for_an_hour_and_then_as_on_the_day_before(tmp_path: Path) -> None:
    loop = district_loop(tmp_path)
    for minute in range(0, 24 * 60, 5):
        # At night the building allows 8 kW, by day 20 kW.
        hour = (START + timedelta(minutes=minute)).hour
        watched(loop, minute, school_bas__hvac_limit_kw=8.0 if hour < 6 else 20.0)
    problem = await planned(loop, 24 * 60, school_bas__hvac_limit_kw=12.0)
    high = problem.held["school_heat_pump"].high_kw
    starts = problem.slots.starts
    assert (high[:4] == 12.0).all()
    by_hour = {start: kw for start, kw in zip(starts, high, strict=True) if start >= starts[0] + timedelta(hours=1)}
    for start, kw in by_hour.items():
        assert kw == (8.0 if start.hour < 6 else 20.0), start
    pump = next(asset for asset in problem.assets if asset.id == "school_heat_pump")
    assert isinstance(problem.inputs["school_heat_pump"], HeatPumpInputs)
    assert (problem.held["school_heat_pump"].low_kw == 0.0).all()
    assert pump.rated_kw > 20.0


async def test_without_a_past_no_limit_is_foreseen_after_an_hour_and_below_its_least_power_a_car_pauses(
    tmp_path: Path,
) -> None:
    problem = await planned(district_loop(tmp_path), school_bas__charging_limit_kw=3.0)
    high = problem.held["market_4"].high_kw
    assert (high[:4] == 0.0).all()
    assert (high[5:] == 22.0).all()


def test_an_unread_limit_is_its_fallback() -> None:
    snapshot = seen(START, school_bas__hvac_limit_kw=None, school_bas__charging_limit_kw=-2.0)
    limits = building_limits_kw(district(), district_bindings(), snapshot)
    assert limits == {"school_heat_pump": 30.0, "market_4": 0.0}


# ---- month and week


async def test_the_terms_follow_the_meter(tmp_path: Path) -> None:
    loop, register = district_loop(tmp_path), 1000.0
    await planned(loop, 0, connection__power_kw=90.0, connection__import_kwh=register)
    for minute in (15, 30, 45):
        watched(loop, minute, connection__power_kw=90.0, connection__import_kwh=register + 1.5 * minute)
    problem = await planned(loop, 55, connection__power_kw=90.0, connection__import_kwh=register + 1.5 * 55)
    problem = await planned(loop, 60, connection__power_kw=90.0, connection__import_kwh=register + 1.5 * 60)
    demand, budget = problem.demand, problem.carbon_budget
    assert demand is not None and budget is not None
    now = loop.planning.accounts
    assert now.peak_so_far_kw == pytest.approx(90.0)
    assert now.peak_target_kw is not None
    assert demand.free_kw[0] == pytest.approx(max(90.0, now.peak_target_kw), abs=1e-3)
    assert now.week_carbon_kg == pytest.approx(90.0 * 0.4, rel=0.01)
    assert budget.left_kg[0] < (district().file.planning.carbon_budget_kg_per_week or 0.0)
    assert budget.share.sum() == pytest.approx(84.0)
    kinds = [kind for kind, _, _ in loop.journal.records]
    assert kinds.count("month_ahead") == 2  # once an hour
    body = next(body for kind, body, _ in reversed(loop.journal.records) if kind == "plan")
    assert {"accounts", "demand_free_kw", "carbon_left_kg"} <= body.keys()


async def test_in_the_last_two_days_of_a_month_the_next_one_has_its_own_target(tmp_path: Path) -> None:
    loop = district_loop(tmp_path, at=datetime.fromisoformat("2025-03-30T12:00:00+00:00"))
    problem = await planned(loop)
    demand = problem.demand
    assert demand is not None
    assert set(demand.month) == {0, 1}
    assert demand.free_kw[1] > 0.0
    first_of_april = problem.slots.starts[int(np.argmax(demand.month))]
    assert first_of_april.isoformat() == "2025-03-31T22:00:00+00:00"


async def test_without_an_answer_about_the_month_the_horizon_gets_its_even_share(tmp_path: Path) -> None:
    class Shortsighted(IdleSolver):
        async def look_ahead(self, question: object, deadline_s: float) -> None:
            return None

    loop = district_loop(tmp_path, Shortsighted())
    problem = await planned(loop)
    assert problem.demand is not None and problem.carbon_budget is not None
    assert problem.demand.free_kw.tolist() == [0.0, 0.0]
    budget_kg = district().file.planning.carbon_budget_kg_per_week or 0.0
    # Thursday 10:00 to Sunday midnight: 86 hours are left; what was not metered took its share with it.
    assert problem.carbon_budget.left_kg[0] == pytest.approx(budget_kg * 48 / 168, rel=0.03)
    assert loop.planning.accounts.peak_target_kw is None


async def test_a_restart_takes_month_and_week_from_the_journal_and_the_history(tmp_path: Path) -> None:
    prepare_grid(district(), tmp_path)
    clock = SimulatedClock(START)
    journal, history = Journal(tmp_path / FILE, clock, durable=False), History(history_path(tmp_path), durable=False)
    point = district_bindings().measure("connection", "import_kwh")
    assert point is not None

    def built() -> Planning:
        return build_planning(
            district(), district_bindings(), clock,
            solver=IdleSolver(), journal=journal, state_dir=tmp_path, feeds=feeds(),
        )  # fmt: skip

    before = built()
    for minute in range(0, 31, 5):
        clock.advance_to(minute * 60.0)
        seen_now = seen(clock.now(), connection__power_kw=60.0, connection__import_kwh=1000.0 + minute)
        before.observe(seen_now)
    assert isinstance(await before.plan_once(seen_now, {}), Plan), before.trouble
    # The core goes on for a while without a plan, and keeps its scans.
    for second in range(1800, 3601, 30):
        at = START + timedelta(seconds=second)
        kwh = 1030.0 + 90.0 * (second - 1800) / 3600.0
        history.append(at, [Measurement(point, kwh, at, float(second))]).result()
    journal.close()
    history.close()
    journal = Journal(tmp_path / FILE, clock, durable=False)
    clock.advance_to(3600.0)
    after = built().accounts
    assert after.peak_so_far_kw == pytest.approx(90.0)
    assert after.week_carbon_kg == pytest.approx((30.0 + 45.0) * 0.4)
    assert after.tally.carbon_known_s == pytest.approx(3600.0)
    journal.close()
