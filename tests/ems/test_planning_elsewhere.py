"""Several grid connections in the slow loop and in the whole daemon: what is asked, kept, told and taken up again."""

from __future__ import annotations

import asyncio
import hashlib
import json
from dataclasses import fields, replace
from datetime import timedelta
from types import SimpleNamespace

import numpy as np
import pytest
from planning_kit import IdleSolver, ListJournal, feeds
from question_kit import asked
from stage import NOW, make_plan
from two_yards import LIMITS, NORTH_ASSETS, NORTH_MEASURED, TwoShow, two

from drivers.points import Quality
from ems.clock import SimulatedClock
from ems.commands.plan_compared import compared, comparison_lines
from ems.commands.plan_explained import explained, explanation_lines
from ems.commands.plan_kept import Kept
from ems.commands.plan_shown import table_lines
from ems.commands.status import describe
from ems.config.binding import bind
from ems.fast.decisions import Rung
from ems.plan_check import check_plan
from ems.process_image import Reading, Snapshot
from ems.slow.plan_record import _feed, digest, plan_record
from ems.slow.plan_resumed import read_plan
from ems.slow.planning_setup import build_planning
from ems.store.encoding import to_json
from ems.store.journal import read_records
from ems.stores import journal_path
from optimization.problem import Plan, Supplied
from optimization.rolling import Planner

DEMAND = {"demand": {"price_per_kw": 3.0, "interval_s": 900, "period": "month"}}
DEAR = {
    "import": {"energy": 0.5, "adders": {"grid": 0.1}, "tiers": {"more": {"above_kwh": 100, "adder": 0.2}}},
    **DEMAND,
}
EVENT = {"starts_at": "2025-05-20T15:00", "ends_at": "2025-05-20T16:00", "promised_kw": 5.0, "penalty_per_kwh": 0.5,
         "baseline_kw": 30.0}  # fmt: skip
NEAR = {"pv": 0.0, "battery": 5.0, "car": 0.0, "heat": 3.0, "far_pv": -2.0}
FORESIGHT = SimpleNamespace(degraded=(), labels={}, methods={})


@pytest.fixture(scope="module")
def site():
    return two(DEAR)


@pytest.fixture(scope="module")
def question(tmp_path_factory, site):
    return asyncio.run(asked(tmp_path_factory.mktemp("state"), site, NORTH_MEASURED))


@pytest.fixture(scope="module")
def plan(tmp_path_factory, question):
    """The library's own answer, without a feeder, which the demo's grid file knows one of."""
    found = Planner(None, tmp_path_factory.mktemp("models")).plan(replace(question, network=None), NOW)
    assert isinstance(found, Plan), found
    return found


def kept(site, question, plan, name="p1"):
    body = plan_record(question, replace(plan, id=name), FORESIGHT, {})
    return Kept.of(json.loads(to_json(body)), site)


def test_the_question_states_what_hangs_where(site, question):
    (north,) = question.supplies
    assert (north.id, north.members) == ("north", tuple(NORTH_ASSETS)[1:])
    share = 1.0 - site.file.grid.planning_margin_pct / 100.0
    assert north.connection.import_limit_kw[0] == LIMITS["import_limit_kw"] * share
    assert question.connection.import_limit_kw[0] == 50.0 * share
    np.testing.assert_allclose(north.tariff.import_price, 0.6)
    assert not np.allclose(question.tariff.import_price, 0.6)
    assert north.demand.price_per_kw == 3.0
    assert question.demand is None
    (tiers,) = north.charges
    assert tiers.left_kwh[0, 0] <= 100.0
    assert question.charges == ()
    assert question.pooled == ()


def test_what_no_meter_shows_is_told_by_the_first_meter_alone(question):
    """20 kW at the first connection, 10 of sun and 2 of heat behind it: 28 kW, whatever the far house draws."""
    rest = question.inputs["houses"].demand_kw + question.inputs["shop"].demand_kw
    assert rest[0] == pytest.approx(28.0, abs=1.0)
    assert question.inputs["far_house"].demand_kw[0] == pytest.approx(7.0, abs=0.5)


def test_a_store_is_worth_what_its_own_connection_charges(question):
    assert question.inputs["far_battery"].end_value_per_kwh > question.inputs["battery"].end_value_per_kwh


async def test_an_event_is_answered_by_all_connections_together(tmp_path):
    found = await asked(tmp_path, two(changes={"demand_response": {"spring": EVENT}}), NORTH_MEASURED)
    assert [charge.name for charge in found.pooled] == ["demand_response.spring"]
    assert found.charges == ()


def test_the_plan_passes_its_check_and_survives_the_journal(site, question, plan):
    assert check_plan(replace(question, network=None), plan) == ()
    body = json.loads(to_json(plan_record(question, plan, FORESIGHT, {})))
    back = read_plan(body)
    told, found = plan.supplies["north"], back.supplies["north"]
    np.testing.assert_allclose(found.import_kw, told.import_kw, atol=1e-4)
    assert found.demand_target_kw == told.demand_target_kw
    assert len(found.charged) == 1
    assert body["connections"]["north"]["charged_names"] == ["import.tiers"]
    assert digest(question) != digest(replace(question, supplies=()))


def test_a_question_with_one_connection_has_the_digest_it_always_had(question):
    """What came with supplies is hashed only where it is used: here the walk is made again without it."""
    alone = replace(question, supplies=(), previous=None)
    assert alone.steps == {}  # they too are hashed only where they are used
    sha = hashlib.sha256()
    sha.update(b"<Problem")
    for field in fields(alone):
        if field.name not in {"supplies", "pooled", "steps"}:
            sha.update(f".{field.name}=".encode())
            _feed(sha, getattr(alone, field.name))
    assert digest(alone) == sha.hexdigest()


def test_every_connection_is_shown(site, question, plan):
    one = kept(site, question, plan)
    lines = list(table_lines(site, one, 0.0))
    (about,) = [line for line in lines if line.startswith("at        north")]
    assert "import up to" in about
    assert "highest mean import" in about
    (head,) = [line for line in lines if line.startswith("time")]
    for column in ("grid_kw", "north_grid_kw", "north_price", "north_kwh_worth", "far_battery_kw"):
        assert column in head.split()


def test_an_asset_is_explained_at_its_own_connection(site, question, plan):
    one = kept(site, question, plan)
    near, far = (explained(site, one, asset, 0) for asset in ("battery", "far_battery"))
    assert far["import_price"] == pytest.approx(0.6)
    assert near["import_price"] == pytest.approx(float(question.tariff.import_price[0]), abs=1e-5)
    assert far["energy_value"] == pytest.approx(float(plan.prices.supplied_value["north"][0]), abs=1e-3)
    prices = dict(one.body["prices"])
    at = {"asset": "", "side": "most", "at": [0], "worth": [1.5]}
    prices["limits"] = [{**at, "name": "import_limit_kw"}, {**at, "name": "import_limit_kw:north"}]
    pressed = Kept(one.plan, {**one.body, "prices": prices})
    (mine,) = explained(site, pressed, "battery", 0)["limits"]
    (other,) = explained(site, pressed, "far_battery", 0)["limits"]
    assert (mine["name"], mine["key"]) == ("import_limit_kw", "grid.import_limit_kw")
    assert (other["name"], other["key"]) == ("import_limit_kw:north", "connections.north.import_limit_kw")
    lines = explanation_lines(site, explained(site, pressed, "far_battery", 0))
    assert any("connections.north.import_limit_kw" in line for line in lines)


def test_two_plans_are_compared_at_every_connection(site, question, plan):
    told = plan.supplies["north"]
    more = replace(plan, supplies={"north": replace(told, import_kw=told.import_kw + 1.0, demand_target_kw=9.5)})
    body = compared(site, kept(site, question, plan), kept(site, question, more, "p2"))
    moved = body["moved"]["connection north"]
    assert moved["up_kwh"] == pytest.approx(float(plan.slots.duration_h.sum()), rel=1e-3)
    assert body["money"]["by_powers"] == pytest.approx(0.6 * moved["up_kwh"], rel=1e-3)
    assert any(one["input"] == "connections.north.demand_target_kw" for one in body["inputs"])
    assert any(line.startswith("moved     connection north") for line in comparison_lines(site, body))


def _planning(tmp_path, site):
    clock = SimulatedClock(NOW)
    solver = IdleSolver(answer=lambda _problem, _now: None)
    journal = ListJournal()
    return clock, build_planning(
        site, bind(site), clock, solver=solver, journal=journal, state_dir=tmp_path, feeds=feeds()
    )


def _observed(planning, clock, minutes, **powers):
    for minute in range(0, minutes + 1):
        clock.advance_to(minute * 60.0)
        at = NOW + timedelta(minutes=minute)
        told = {"meter.power_kw": powers["near"], "far_meter.power_kw": powers["far"]}
        readings = {point: Reading(point, kw, at, minute * 60.0, Quality.GOOD) for point, kw in told.items()}
        planning.observe(Snapshot(at, minute * 60.0, readings))


async def test_one_budget_counts_the_carbon_of_all_connections_and_each_its_own_peak(tmp_path):
    site = two(DEMAND, {"planning": {"carbon_budget_kg_per_week": 100.0}})
    clock, planning = _planning(tmp_path, site)
    await planning.desk.refresh(NOW)
    _observed(planning, clock, 61, near=20.0, far=5.0)
    periods, (north,) = planning._parts.periods, planning._parts.elsewhere
    now = clock.now()
    first, far = periods.accounts.tally(now), north.periods.accounts.tally(now)
    assert far.peak_kw == pytest.approx(5.0)
    assert first.peak_kw == pytest.approx(20.0)
    assert first.carbon_kg == pytest.approx(4.0 * far.carbon_kg, rel=1e-6)
    assert planning.accounts.week_carbon_kg == pytest.approx(first.carbon_kg + far.carbon_kg)
    assert planning.accounts_elsewhere["north"].peak_so_far_kw == pytest.approx(5.0)
    assert far.carbon_kg > 0.0


async def test_the_whole_daemon_keeps_each_limit_and_tells_of_each_connection(tmp_path):
    """A plan that would charge the far battery at 12 kW behind a limit of 12: the far meter holds it."""
    show = TwoShow(tmp_path / "state", two(DEMAND), load_kw=lambda _: 12.0)
    try:
        plan = make_plan({**NEAR, "far_battery": 12.0}, slots=16)
        told = Supplied(np.full(16, 17.0), np.zeros(16), np.zeros(16), 30.0)
        show.publish(replace(plan, supplies={"north": told}))
        far: list[float] = []
        for end_s in range(100, 1901, 100):
            await show.run_until(float(end_s))
            far.append(show.yard.far_kw)
        assert max(far[1:]) <= LIMITS["import_limit_kw"]
        assert min(far[1:]) > 0.9 * LIMITS["import_limit_kw"], "and the room there is used"
        assert show.command("store") == 5.0
        last = show.daemon.loop.last
        assert last.outcome.decisions["far_battery"].rung is Rung.GRID
        assert show.alarms() == set()
        view = show.daemon._view(last)
        own = view["connections"]["north"]
        assert own["kw"] == pytest.approx(far[-1], abs=0.5)
        assert own["planned_kw"] == 17.0
        assert own["demand"]["target_kw"] == 30.0
        assert view["assets"]["far_connection"]["kw"] == own["kw"]
        assert view["assets"]["connection"]["kw"] == pytest.approx(show.yard.grid_kw, abs=0.5)
        assert view["assets"]["far_battery"]["connection"] == "north"
        assert "north" in view["accounts_elsewhere"]
        text = "\n".join(describe({**view, "points": {}}, 0.0, []))
        assert "at        north: measured" in text
    finally:
        await show.daemon.stop()


async def test_a_lost_far_meter_is_told_and_leaves_the_first_connection_alone(tmp_path):
    show = TwoShow(tmp_path / "state", two(), load_kw=lambda _: 12.0)
    try:
        plan = make_plan({**NEAR, "far_battery": 3.0}, slots=16)
        show.publish(replace(plan, supplies={"north": Supplied(np.full(16, 8.0), np.zeros(16), np.zeros(16))}))
        await show.run_until(60.0)
        assert show.command("far_store") == 3.0
        show.yard.drivers["far_meter"].offline = "connection refused"
        await show.run_until(130.0)
        assert show.command("far_store") == 0.0
        assert show.command("store") == 5.0
        assert "at north: the grid meter cannot be read" in show.daemon.state
    finally:
        await show.daemon.stop()


async def test_a_restart_knows_each_connections_peak(tmp_path):
    show = TwoShow(tmp_path / "state", two(DEMAND, {"tariff": "tariff.yaml"}), load_kw=lambda _: 12.0)
    try:
        await show.run_until(1900.0)
        bodies = [body for kind, body in _demand_records(show)]
        assert {body.get("connection", "") for body in bodies} == {"north"}, "the yard's own tariff has no demand"
        show.restart(20.0)
        await show.run_until(2000.0)
        demand = show.daemon.loop.last.elsewhere["north"].demand
        assert demand is not None
        assert demand.peak_kw == pytest.approx(max(body["mean_kw"] for body in bodies), abs=0.05)
    finally:
        await show.daemon.stop()


def _demand_records(show):
    return [(record.kind, record.body) for record in read_records(journal_path(show.state), kind="demand_interval")]
