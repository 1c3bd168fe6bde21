"""The ladder's rungs, its sentences, the battery at the meter, and the energy of a slot."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stage import NOW, after, levers_of, make_plan, make_site

from ems.fast.decisions import AssetKind, Rung
from ems.fast.ladder import (
    PlanNow,
    SlotEnergy,
    Teller,
    action,
    keep_grid_side,
    plan_now,
    plan_wish,
    rule_wishes,
    safe_wish,
    share_by_room,
)
from ems.fast.prices import Prices
from ems.fast.rules import RuleView

LEVERS = levers_of(make_site())
TELLER = Teller("EUR", ZoneInfo("Europe/Berlin"))
DAY = (0.20, 0.21, 0.25, 0.30, 0.35, 0.40)


@pytest.mark.parametrize(
    ("age_s", "rung"),
    [
        (0.0, Rung.PLAN),
        (600.0, Rung.PLAN),
        (601.0, Rung.SHIFTED_PLAN),
        (7199.0, Rung.SHIFTED_PLAN),
        (7200.0, None),
        (9000.0, None),
    ],
)
def test_a_plan_ages_down_the_ladder(age_s, rung):
    at = plan_now(make_plan({}), after(age_s), every_s=300.0, max_age_s=7200.0)
    assert (at.rung if at else None) is rung


def test_a_plan_is_read_in_the_slot_that_holds_now():
    plan = make_plan({"battery": list(range(8))})
    at = plan_now(plan, after(1000.0), every_s=3600.0, max_age_s=7200.0)
    assert at is not None
    assert at.power_kw("battery") == 1.0
    assert at.power_kw("stranger") is None
    assert plan_now(None, NOW, every_s=300.0, max_age_s=7200.0) is None
    assert plan_now(plan, NOW - timedelta(seconds=1), every_s=300.0, max_age_s=7200.0) is None


@pytest.mark.parametrize(
    ("kw", "price", "sentence"),
    [
        (12.0, 0.20, "plan 12:00: charge 12.0 kW, energy is cheap now (0.20 EUR/kWh)"),
        (-8.5, 0.40, "plan 12:00: discharge 8.5 kW, energy is dear now (0.40 EUR/kWh)"),
        (0.02, 0.25, "plan 12:00: rest, energy is at a middling price (0.25 EUR/kWh)"),
        (0.0, None, "plan 12:00: rest"),
    ],
)
def test_a_plan_says_why_in_local_time(kw, price, sentence):
    at = PlanNow(make_plan({"battery": kw}), 0, Rung.PLAN)
    assert plan_wish(at, LEVERS["battery"], kw, Prices(price, 0.1, DAY), TELLER).reason == sentence


def test_an_old_plan_says_that_it_is_the_last_one():
    at = PlanNow(make_plan({"battery": 5.0}), 0, Rung.SHIFTED_PLAN)
    assert plan_wish(at, LEVERS["battery"], 5.0, Prices(), TELLER).reason == "last plan, of 12:00: charge 5.0 kW"


@pytest.mark.parametrize(
    ("kind", "kw", "words"),
    [
        (AssetKind.CHARGE_POINT, 0.0, "let the car wait"),
        (AssetKind.CHARGE_POINT, 6.9, "let the car charge at 6.9 kW"),
        (AssetKind.HEAT_PUMP, 0.0, "do not heat"),
        (AssetKind.HEAT_PUMP, 3.0, "heat with 3.0 kW"),
        (AssetKind.PV, -40.0, "generate up to 40.0 kW"),
        (AssetKind.BATTERY, -0.04, "rest"),
    ],
)
def test_every_asset_has_its_words(kind, kw, words):
    assert action(kind, kw) == words


@pytest.mark.parametrize(
    ("planned_grid_kw", "battery_kw", "others_kw", "expect_kw"),
    [
        # a plan that exchanges nothing is followed at the meter
        (0.0, -8.0, 9.5, -9.5),
        (0.0, 8.0, -6.0, 6.0),
        (0.2, 0.0, 3.0, -3.0),
        # buying: the battery never sells, and keeps its planned power otherwise
        (10.0, 12.0, 5.0, 12.0),
        (10.0, -8.0, 20.0, -8.0),
        (10.0, -8.0, 3.0, -3.0),
        (10.0, 0.0, -4.0, 4.0),
        # selling: the battery never buys
        (-10.0, -12.0, 5.0, -12.0),
        (-10.0, 8.0, -20.0, 8.0),
        (-10.0, 8.0, -3.0, 3.0),
    ],
)
def test_a_deviation_does_not_turn_buying_into_selling(planned_grid_kw, battery_kw, others_kw, expect_kw):
    assert keep_grid_side(planned_grid_kw, battery_kw, others_kw) == pytest.approx(expect_kw)


def test_safe_values_say_what_and_why():
    wish = safe_wish(LEVERS["pv"], "the grid meter cannot be read")
    assert (wish.kw, wish.rung) == (-20.0, Rung.SAFE)
    assert wish.reason == "safe value (generate up to 20.0 kW): the grid meter cannot be read"
    assert safe_wish(LEVERS["heat"], "x").reason == "safe value (its own control): x"
    assert safe_wish(LEVERS["heat"], "x").kw is None


def test_rules_speak_for_the_assets_that_they_see():
    view = RuleView(0.2, DAY, 10.0, 50.0, plants={"pv": 60.0}, idle=("car", "unknown"))
    wishes = rule_wishes(view, LEVERS, Prices(0.2, 0.1, DAY), TELLER)
    assert set(wishes) == {"pv", "car"}
    assert wishes["car"].reason == ("rules, as no plan is valid: let the car wait, energy is cheap now (0.20 EUR/kWh)")


class TestSlotEnergy:
    def power(self, quota, planned_kw, register_kwh, *, at_s=0.0, name="plan-1"):
        plan = make_plan({"car": planned_kw}, name=name)
        slot = plan.slots.index_at(after(at_s))
        return quota.power_kw(LEVERS["car"], PlanNow(plan, slot, Rung.PLAN), register_kwh, after(at_s))

    @pytest.mark.parametrize(
        ("planned_kw", "expect_kw"), [(0.0, 0.0), (4.14, 4.14), (7.0, 11 * 0.69), (6.9, 6.9), (22.0, 22.0)]
    )
    def test_from_its_least_power_on_a_car_is_driven_in_whole_amperes_upwards(self, planned_kw, expect_kw):
        assert self.power(SlotEnergy(), planned_kw, 0.0) == pytest.approx(expect_kw)

    def test_below_it_the_car_charges_at_the_least_until_the_energy_is_delivered(self):
        quota = SlotEnergy()
        due_kwh = 2.0 * 0.25
        assert self.power(quota, 2.0, 100.0) == pytest.approx(4.14)
        assert self.power(quota, 2.0, 100.0 + due_kwh - 0.03, at_s=400.0) == pytest.approx(4.14)
        assert self.power(quota, 2.0, 100.0 + due_kwh, at_s=440.0) == 0.0
        assert self.power(quota, 2.0, 100.0 + due_kwh, at_s=899.0) == 0.0

    def test_the_next_slot_and_the_next_plan_are_counted_anew(self):
        quota = SlotEnergy()
        self.power(quota, 2.0, 100.0)
        assert self.power(quota, 2.0, 100.5, at_s=450.0) == 0.0
        assert self.power(quota, 2.0, 100.5, at_s=900.0) == pytest.approx(4.14)
        assert self.power(quota, 2.0, 101.0, at_s=1200.0) == 0.0
        assert self.power(quota, 2.0, 101.0, at_s=1200.0, name="plan-2") == pytest.approx(4.14)

    def test_a_plan_that_comes_in_the_middle_of_a_slot_owes_the_rest_of_it(self):
        quota = SlotEnergy()
        assert self.power(quota, 2.0, 100.0, at_s=450.0) == pytest.approx(4.14)
        assert self.power(quota, 2.0, 100.25, at_s=700.0) == 0.0


ROOMS = st.dictionaries(
    st.sampled_from(["a", "b", "c"]), st.tuples(st.floats(-60.0, 0.0), st.floats(0.0, 60.0)), min_size=1
)


@given(kw=st.floats(-200.0, 200.0), rooms=ROOMS)
def test_a_deviation_is_answered_once_however_many_batteries_share_it(
    kw: float, rooms: dict[str, tuple[float, float]]
) -> None:
    shares = share_by_room(kw, rooms)
    room = sum(up if kw > 0.0 else down for down, up in rooms.values())
    assert sum(shares.values()) == pytest.approx(min(kw, room) if kw > 0.0 else max(kw, room), abs=1e-9)
    assert all(rooms[asset][0] - 1e-9 <= share <= rooms[asset][1] + 1e-9 for asset, share in shares.items())


def test_a_battery_outside_its_bounds_takes_no_share() -> None:
    assert share_by_room(10.0, {"full": (-5.0, -1.0), "free": (-5.0, 20.0)}) == {"full": 0.0, "free": 10.0}
