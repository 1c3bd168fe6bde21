"""The fast loop at several grid connections: each by its own meter, limits, prices and interval, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stage import MEASURED, NOW, SITE, TARIFF, SceneMaker, levers_of, make_plan, make_site, snapshot
from two_yards import LIMITS, NORTH_ASSETS, NORTH_DEVICES, NORTH_MEASURED, far_alone, two

from ems.config.binding import bind
from ems.config.site_parts import FIRST, RowsAt, connection_of, parts_of, plan_at
from ems.control import Desks
from ems.fast.connected import Connected, steering_of
from ems.fast.decisions import Rung
from ems.fast.demand import DemandDesk
from ems.fast.emergency import EmergencyDesk
from ems.fast.outcome import Outcome
from ems.fast.plausible import plausible_ranges
from ems.fast.prices import Prices
from ems.fast.scene import Beside
from ems.fast.steering import Steering
from ems.fast.turns import Turn, Turns
from ems.limits.in_force import Direction, InForce, State
from optimization.problem import GridRows, Supplied
from optimization.tariff_file import load_tariff

NO_ROWS = GridRows((), (), np.zeros((0, 0)), np.zeros((1, 0)), np.zeros(0))
"""A feeder that bounds nothing."""
PRICES = Prices(0.3, 0.1, (0.2, 0.25, 0.3, 0.35, 0.4))
FAR_PRICES = Prices(0.5, -0.2, (0.2, 0.25, 0.3, 0.35, 0.5))


BOTH, ALONE, FAR = two(), make_site(), far_alone()


def scene(changes=None, *, plan=None, beside=None, site=BOTH, **more):
    made = SceneMaker(site)({**NORTH_MEASURED, **(changes or {})}, plan=plan, **more)
    return replace(made, elsewhere={"north": beside or Beside(PRICES)})


def decide(*args, **more) -> Outcome:
    return Connected(BOTH, bind(BOTH), levers_of(BOTH)).decide(scene(*args, **more))


def plan_for_both(far_kw, *, grid_kw=4.0, target_kw=None, rows=None):
    powers = {"pv": -10.0, "battery": 6.0, "car": 0.0, "heat": 3.0, "houses": 20.0, "shop": 8.0, **far_kw}
    plan = make_plan(powers, rows=rows)
    side = np.full(len(plan.slots), grid_kw)
    told = Supplied(np.maximum(side, 0.0), np.maximum(-side, 0.0), 0.0 * side, target_kw)
    return replace(plan, supplies={"north": told})


def test_a_site_with_one_connection_is_decided_as_ever():
    assert isinstance(steering_of(ALONE, bind(ALONE), levers_of(ALONE)), Steering)
    assert isinstance(steering_of(BOTH, bind(BOTH), levers_of(BOTH)), Connected)
    assert parts_of(ALONE) == {FIRST: ALONE}
    assert parts_of(ALONE)[FIRST] is ALONE


powers = st.floats(-30.0, 45.0)


@given(
    near=st.tuples(powers, powers, st.floats(5.0, 95.0)),
    far=st.tuples(powers, st.floats(0.0, 30.0), st.floats(-18.0, 0.0), st.floats(5.0, 95.0)),
    held=st.floats(-14.0, 14.0),
    planned=st.none() | st.tuples(st.floats(-10.0, 10.0), st.floats(-10.0, 10.0)),
)
@settings(max_examples=25, deadline=None)
def test_each_connection_is_decided_as_if_it_were_the_only_one(near, far, held, planned):
    """Against two sites with one connection each, which know nothing of one another."""
    here = {"meter.power_kw": near[0], "store.power_kw": near[1], "store.soc_pct": near[2]}
    there = dict(
        zip(
            ("far_meter.power_kw", "far_submeter.power_kw", "far_inverter.power_kw", "far_store.soc_pct"),
            far,
            strict=True,
        )
    )
    there["far_store.power_kw"] = held
    plan = near_plan = far_plan = None
    if planned is not None:
        plan = plan_for_both({"far_pv": -2.0, "far_battery": planned[0], "far_house": 7.0}, grid_kw=planned[1])
        near_plan = replace(plan, schedules={a: s for a, s in plan.schedules.items() if "far" not in a}, supplies={})
        far_plan = replace(
            plan,
            schedules={a: s for a, s in plan.schedules.items() if "far" in a},
            import_kw=plan.supplies["north"].import_kw,
            export_kw=plan.supplies["north"].export_kw,
            supplies={},
        )
    holds = {"held_kw": {"battery": near[1], "far_battery": held}}
    together = decide({**here, **there}, plan=plan, beside=Beside(FAR_PRICES), **holds)
    alone = Steering(ALONE, bind(ALONE), levers_of(ALONE)).decide(
        SceneMaker(ALONE)(here, plan=near_plan, held_kw={"battery": near[1]})
    )
    elsewhere = Steering(FAR, bind(FAR), levers_of(FAR)).decide(
        SceneMaker(FAR)({**NORTH_MEASURED, **there}, plan=far_plan, prices=FAR_PRICES, held_kw={"far_battery": held})
    )
    assert together.decisions == {**alone.decisions, **elsewhere.decisions}
    assert together.excess == (*alone.excess, *(f"at north: {words}" for words in elsewhere.excess))
    assert together.elsewhere["north"].decisions == elsewhere.decisions
    assert together.powers.grid_kw == alone.powers.grid_kw


@given(house=st.floats(0.0, 26.0), sun=st.floats(-20.0, 0.0), soc=st.floats(20.0, 80.0), store=st.floats(-14.0, 14.0))
@settings(max_examples=25, deadline=None)
def test_no_command_takes_a_connection_over_its_limit_while_something_can_relieve_it(house, sun, soc, store):
    net = house + sun + store
    changes = {
        "far_meter.power_kw": net, "far_submeter.power_kw": house, "far_inverter.power_kw": sun,
        "far_store.power_kw": store, "far_store.soc_pct": soc,
    }  # fmt: skip
    plan = plan_for_both({"far_pv": -20.0, "far_battery": 15.0, "far_house": 0.0}, grid_kw=30.0)
    found = Connected(BOTH, bind(BOTH), levers_of(BOTH), lambda _: NO_ROWS).decide(scene(changes, plan=plan))
    battery, pv = found.decisions["far_battery"].kw, found.decisions["far_pv"].kw
    after = house + max(sun, pv) + battery
    told = any("north" in words for words in found.excess)
    assert told or -LIMITS["export_limit_kw"] - 1e-6 <= after <= LIMITS["import_limit_kw"] + 1e-6


def test_room_at_one_connection_is_none_at_another():
    """30 kW of load behind a limit of 12: the far battery gives all it can, whatever the first one could still take."""
    plan = plan_for_both({"far_battery": 5.0, "far_pv": -2.0}, grid_kw=30.0)
    found = decide({"far_meter.power_kw": 28.0, "far_submeter.power_kw": 30.0}, plan=plan)
    assert found.decisions["far_battery"].kw == -15.0
    assert found.decisions["far_battery"].rung is Rung.GRID
    assert (found.decisions["battery"].kw, found.decisions["battery"].rung) == (6.0, Rung.PLAN)
    assert found.excess == ("at north: import limit of the grid connection",)


def test_a_lost_meter_makes_its_own_connection_safe_and_no_other():
    far = decide({"far_meter.power_kw": None}, plan=plan_for_both({"far_battery": 3.0, "far_pv": -1.0}))
    assert far.unsafe == "at north: the grid meter cannot be read"
    assert {far.decisions[name].rung for name in ("far_battery", "far_pv")} == {Rung.SAFE}
    assert (far.decisions["battery"].kw, far.decisions["battery"].rung) == (6.0, Rung.PLAN)
    near = decide({"meter.power_kw": None}, plan=plan_for_both({"far_battery": 3.0, "far_pv": -1.0}))
    assert near.unsafe == "the grid meter cannot be read"
    assert near.decisions["battery"].rung is Rung.SAFE
    assert near.decisions["far_battery"].rung is Rung.PLAN
    both = decide({"meter.power_kw": None, "far_meter.power_kw": None})
    assert both.unsafe == "the grid meter cannot be read; at north: the grid meter cannot be read"


def test_a_connection_of_which_the_plan_says_nothing_is_steered_by_rules():
    plan = make_plan({"pv": -10.0, "battery": 6.0, "heat": 3.0, "far_battery": 9.0})
    found = decide(plan=plan)
    assert found.decisions["battery"].rung is Rung.PLAN
    assert found.decisions["far_battery"].rung is Rung.RULES
    assert plan_at(None, FIRST, {}) is None
    assert plan_at(replace(plan, supplies={"south": Supplied(*[np.zeros(8)] * 3)}), "north", {}) is None


def test_the_interval_of_one_connection_moves_nothing_behind_another():
    """A demand target of 2 kW at the far one: its battery gives, the near one keeps its plan."""
    site = BOTH.model_copy(
        update={"tariffs": {"north": load_tariff({**TARIFF, "demand": {"price_per_kw": 90.0, "interval_s": 900,
                                                                       "period": "month"}})}}
    )  # fmt: skip
    plan = plan_for_both({"far_battery": 0.0, "far_pv": -2.0, "far_house": 7.0}, grid_kw=5.0, target_kw=2.0)
    desk = DemandDesk(parts_of(site)["north"], bind(site), lambda *_: None)
    desks = Desks(desk, Turns(parts_of(site)["north"], {}, bind(site)), lambda _: FAR_PRICES)
    desks.beside(snapshot(NORTH_MEASURED, at=NOW - timedelta(seconds=5), now_s=995.0), plan.supplies["north"])
    beside = desks.beside(snapshot(NORTH_MEASURED), plan.supplies["north"])
    assert beside.demand is not None
    assert beside.demand.target_kw == 2.0
    assert beside.prices is FAR_PRICES
    found = Connected(site, bind(site), levers_of(site)).decide(scene(plan=plan, beside=beside, site=site))
    assert found.decisions["far_battery"].rung is Rung.DEMAND
    assert found.decisions["far_battery"].kw < -2.0
    assert (found.decisions["battery"].kw, found.decisions["battery"].rung) == (6.0, Rung.PLAN)


def test_power_that_comes_back_at_one_connection_lets_the_other_go_on():
    settling = Beside(PRICES, turn=Turn(settling=frozenset({"far_connection"})))
    found = decide(plan=plan_for_both({"far_battery": 3.0, "far_pv": -1.0}), beside=settling)
    assert found.settling
    assert found.decisions["far_battery"].rung is Rung.SAFE
    assert found.decisions["battery"].rung is Rung.PLAN


def test_what_the_grid_operator_allows_holds_at_the_first_connection():
    limit = InForce(Direction.IMPORT, State.LIMITED, 10.0, "the grid operator allows 10 kW", "api")
    plan = plan_for_both({"far_battery": 3.0, "far_pv": -1.0})
    found = Connected(BOTH, bind(BOTH), levers_of(BOTH)).decide(replace(scene(plan=plan), limits=(limit,)))
    assert found.limits == (limit,)
    assert found.elsewhere["north"].limits == ()
    assert found.decisions["battery"].rung is Rung.GRID
    assert found.decisions["far_battery"].rung is not Rung.GRID
    told: list[str] = []
    near = {name: lever for name, lever in levers_of(BOTH).items() if connection_of(BOTH, name) == FIRST}
    EmergencyDesk(near, BOTH.file.grid, lambda _, body: told.append(str(body.get("asset", "")))).look(NOW, found, None)
    assert "battery" in told
    assert not any("far" in asset for asset in told)


def test_each_feeders_rows_go_to_the_connection_that_moves_them():
    assets = ("battery", "far_battery")
    coefficient = np.array([[1.0, 1e-7], [1e-9, 0.8], [0.0, 0.0]])
    rows = GridRows(
        ("near", "far", "still"), assets, coefficient, np.arange(6.0).reshape(2, 3), np.array([9.0, 8.0, 7.0])
    )
    far = RowsAt({"far_battery": None})
    found = far.of(rows)
    assert (found.names, found.assets) == (("far", "still"), ("far_battery",))
    np.testing.assert_array_equal(found.coefficient, [[0.8], [0.0]])
    np.testing.assert_array_equal(found.base, [[1.0, 2.0], [4.0, 5.0]])
    later = far.of(replace(rows, base=rows.base + 1.0))
    assert later.coefficient is found.coefficient
    np.testing.assert_array_equal(later.base, found.base + 1.0)
    plan = plan_for_both({"far_battery": 3.0}, rows=rows)
    assert plan_at(plan, "north", {"far_battery": None}).grid_rows.names == ("far", "still")
    assert plan_at(plan, FIRST, {"battery": None}).grid_rows.names == ("near", "still")


def test_a_voltage_of_the_far_feeder_is_kept_by_what_stands_there():
    """Without a plan the eye looks: its row of the far feeder presses, and only the far battery gives way."""
    rows = GridRows(
        ("voltage_min:far", "loading:near"), ("battery", "far_battery"),
        np.array([[0.0, 0.01], [1.0, 0.0]]), np.array([[-0.86, 5.0]]), np.array([-0.95, 80.0]),
    )  # fmt: skip
    seen: list[set[str]] = []

    def eye(power_kw):
        seen.append(set(power_kw))
        return rows

    found = Connected(BOTH, bind(BOTH), levers_of(BOTH), eye).decide(scene())
    assert found.decisions["far_battery"].rung is Rung.GRID
    assert found.decisions["far_battery"].kw < 0.0
    assert found.decisions["battery"].rung is not Rung.GRID
    assert any("far_house" in powers for powers in seen)
    blind = Connected(BOTH, bind(BOTH), levers_of(BOTH), lambda _: None).decide(scene())
    assert blind.decisions["far_battery"].rung is not Rung.GRID


def test_a_part_is_a_site_with_what_hangs_there():
    parts = parts_of(BOTH)
    assert list(parts[FIRST].file.assets) == list(SITE["assets"])
    assert list(parts["north"].file.assets) == list(NORTH_ASSETS)
    assert (parts["north"].file.grid.import_limit_kw, parts[FIRST].file.grid.import_limit_kw) == (12.0, 50.0)
    assert parts["north"].tariff is BOTH.tariffs["north"]
    assert parts["north"].file.grid_operator is None


def test_buildings_limits_are_kept_where_their_assets_hang():
    devices = {**SITE["devices"], **NORTH_DEVICES,
               "bas": {"protocol": "simulated", "profile": "building_automation", "port": 15}}  # fmt: skip
    hung = {name: {**asset, "connection": "north"} for name, asset in NORTH_ASSETS.items()}
    building = {
        "kind": "building_automation", "device": "bas",
        "limits": {"ahu_limit_kw": "far_battery", "ev_limit_kw": "battery"},
        "fallback_kw": {"ahu_limit_kw": 1.0, "ev_limit_kw": 2.0},
    }  # fmt: skip
    site = make_site(
        {"connections": {"north": LIMITS}, "devices": devices, "assets": {**SITE["assets"], **hung, "bas": building}}
    ).model_copy(update={"tariffs": {"north": load_tariff(TARIFF)}})
    parts = parts_of(site)
    assert dict(parts["north"].file.assets["bas"].limits) == {"ahu_limit_kw": "far_battery"}
    assert dict(parts[FIRST].file.assets["bas"].limits) == {"ev_limit_kw": "battery"}
    assert dict(parts[FIRST].file.assets["bas"].fallback_kw) == {"ev_limit_kw": 2.0}


@pytest.mark.parametrize(("meter", "most_kw"), [("meter", 3.0 * 122.0 + 1.0), ("far_meter", 3.0 * 35.0 + 1.0)])
def test_a_meter_is_believed_what_its_own_connection_can_carry(meter, most_kw):
    assert plausible_ranges(BOTH, bind(BOTH))[f"{meter}.power_kw"][1] == pytest.approx(most_kw)
    assert MEASURED["meter.power_kw"] < most_kw
