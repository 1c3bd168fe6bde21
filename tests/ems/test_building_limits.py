"""Metered loads, heat meters and the live limits of building automation in the fast loop."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stage import NOW, SceneMaker, levers_of, make_plan, make_site, make_standing

from ems.config.binding import bind
from ems.fast.building import read_limits
from ems.fast.decisions import Rung
from ems.fast.outcome import Outcome
from ems.fast.powers import read_powers
from ems.fast.rows import build_rows
from ems.fast.sessions import Car, CarWish
from ems.fast.steering import Steering
from ems.fast.watchman import Watchman
from ems.health import Alarms, Health

ROLES = {"hvac_limit_kw": "hvac_limit_kw", "charging_limit_kw": "charging_limit_kw"}
SITE = make_site(
    {
        "devices.school_meter": {"protocol": "simulated", "profile": "sunspec_meter", "port": 6},
        "devices.heat_counter": {"protocol": "simulated", "profile": "sunspec_meter", "port": 7},
        "devices.bas": {"protocol": "simulated", "profile": "heat_pump", "port": 8, "roles": ROLES},
        "assets.school": {"kind": "metered_load", "device": "school_meter", "bus": "office"},
        "assets.heat_counter": {"kind": "heat_meter", "device": "heat_counter", "of": "heat"},
        "assets.school_bas": {
            "kind": "building_automation",
            "device": "bas",
            "limits": {"hvac_limit_kw": "heat", "charging_limit_kw": "car"},
            "fallback_kw": {"hvac_limit_kw": 2.0, "charging_limit_kw": 0.0},
        },
    }
)
FREE = {
    "school_meter.power_kw": 8.0,
    "heat_counter.power_kw": 99.0,
    "bas.hvac_limit_kw": 20.0,
    "bas.charging_limit_kw": 20.0,
}
scene = SceneMaker(SITE)


def decide(changes=None, **kwargs) -> Outcome:
    return Steering(SITE, bind(SITE), levers_of(SITE)).decide(scene(FREE | (changes or {}), **kwargs))


def a_car() -> Car:
    return Car(NOW, 100.0, 100.0, 22.0, CarWish(1, 20.0, NOW.replace(hour=20), NOW))


def test_a_metered_load_explains_its_power_and_an_onlooker_explains_none():
    powers = read_powers(SITE, bind(SITE), scene(FREE).snapshot)
    assert powers.metered_kw == {"pv": -10.0, "battery": 0.0, "car": 0.0, "heat": 2.0, "school": 8.0}
    assert sum(powers.loads_kw.values()) == pytest.approx(20.0)
    assert "school" not in decide().decisions


def test_a_metered_load_that_is_lost_becomes_part_of_the_rest():
    powers = read_powers(SITE, bind(SITE), scene(FREE | {"school_meter.power_kw": None}).snapshot)
    assert sum(powers.loads_kw.values()) == pytest.approx(28.0)


def test_a_lost_heat_meter_changes_no_power():
    both = [read_powers(SITE, bind(SITE), scene(FREE | {"heat_counter.power_kw": kw}).snapshot) for kw in (99.0, None)]
    assert both[0] == both[1]


@given(unexplained_kw=st.floats(-20, 20), powers_kw=st.lists(st.floats(-30, 30), min_size=1, max_size=5))
def test_the_connections_rows_begin_at_what_its_meter_shows(unexplained_kw, powers_kw):
    names = [f"a{index}" for index in range(len(powers_kw))]
    rows = build_rows(names, None, 0, (50.0, 40.0), unexplained_kw=unexplained_kw)
    value = rows.constant + rows.coefficient @ powers_kw
    assert value == pytest.approx([unexplained_kw + sum(powers_kw), -unexplained_kw - sum(powers_kw)])


def test_a_limit_is_obeyed_in_the_cycle_that_reads_it_past_deadband_ramp_and_hold():
    plan = make_plan({"pv": -10.0, "battery": 0.0, "car": 0.0, "heat": 8.0, "houses": 15.0, "shop": 5.0})
    before = decide(plan=plan, held_kw={"heat": 8.0}).decisions["heat"]
    assert (before.kw, before.rung) == (8.0, Rung.PLAN)
    after = decide({"bas.hvac_limit_kw": 7.8}, plan=plan, held_kw={"heat": 8.0}).decisions["heat"]
    assert (after.kw, after.rung, after.reason) == (7.8, Rung.BUILDING, "school_bas allows 7.8 kW")


def test_an_operator_cannot_pass_the_building():
    standing = make_standing(SITE, overrides={"heat": 9.0})
    decision = decide({"bas.hvac_limit_kw": 3.0}, standing=standing).decisions["heat"]
    assert (decision.kw, decision.rung) == (3.0, Rung.BUILDING)


def test_a_limit_below_the_least_power_lets_the_car_wait():
    here = {"wallbox.state": 1.0, "bas.charging_limit_kw": 3.0}
    plan = make_plan({"car": 11.0})
    decision = decide(here, plan=plan, cars={"car": a_car()}).decisions["car"]
    assert (decision.kw, decision.rung, decision.reason) == (0.0, Rung.BUILDING, "school_bas allows 3.0 kW")


def test_a_limit_that_cannot_be_read_falls_to_the_declared_power_and_says_so():
    outcome = decide({"bas.hvac_limit_kw": None}, plan=make_plan({"heat": 8.0}))
    decision = outcome.decisions["heat"]
    assert (decision.kw, decision.rung) == (2.0, Rung.BUILDING)
    assert decision.reason == "school_bas cannot be read, its fallback allows 2.0 kW"
    troubles = [limit.trouble for limit in outcome.building]
    assert troubles[0] == (
        "school_bas: hvac_limit_kw of heat cannot be read (timeout); 2.0 kW are allowed until it can"
    )
    assert troubles[1] == ""


def test_the_alarm_of_an_unread_limit_comes_and_goes_once():
    told = []
    alarms = Alarms(lambda kind, body: told.append((body["key"], body["event"])))
    watchman = Watchman(alarms, Health(lambda *_: None), {})
    levers = levers_of(SITE)
    from ems.fast.following import Following

    for hvac_kw in (5.0, None, None, 5.0):
        outcome = decide({"bas.hvac_limit_kw": hvac_kw})
        snapshot = scene(FREE).snapshot
        watchman.judge(outcome, make_standing(SITE), Following(levers, 1.0), snapshot)
    assert told == [("building:school_bas.hvac_limit_kw", "raised"), ("building:school_bas.hvac_limit_kw", "ended")]


@given(limit_kw=st.floats(-5, 30), planned_kw=st.floats(0, 10), held_kw=st.floats(0, 10))
def test_no_decision_ever_passes_the_building(limit_kw, planned_kw, held_kw):
    outcome = decide({"bas.hvac_limit_kw": limit_kw}, plan=make_plan({"heat": planned_kw}), held_kw={"heat": held_kw})
    assert outcome.decisions["heat"].kw <= max(limit_kw, 0.0) + 1e-9


def test_a_stale_grid_meter_still_tells_the_limits():
    outcome = decide({"meter.power_kw": None})
    assert outcome.unsafe
    assert [limit.kw for limit in outcome.building] == [20.0, 20.0]


def test_a_limit_without_a_role_on_the_wire_is_told_as_such():
    bindings = bind(SITE)
    points = {name: dict(roles) for name, roles in bindings.points.items()}
    del points["school_bas"]["hvac_limit_kw"]
    limits = read_limits(SITE, dataclasses.replace(bindings, points=points), scene(FREE).snapshot)
    assert "its profile has no such role" in limits[0].trouble
