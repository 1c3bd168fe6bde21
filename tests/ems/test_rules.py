"""The rule set as tables: given what it sees, expect what it wants."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ems.fast.rules import (
    BatteryView,
    CarView,
    PriceSense,
    RuleSettings,
    RuleView,
    ZoneView,
    charge_car,
    decide,
    heat,
    price_sense,
    run_battery,
)

DAY = (0.20, 0.21, 0.22, 0.25, 0.30, 0.35, 0.40, 0.45)
CHEAP = PriceSense(cheap=True, dear=False, cheap_price=0.20, dear_price=0.40)
MIDDLING = PriceSense(cheap=False, dear=False, cheap_price=0.20, dear_price=0.40)
DEAR = PriceSense(cheap=False, dear=True, cheap_price=0.20, dear_price=0.40)
FLAT = PriceSense(cheap=True, dear=False, cheap_price=0.30, dear_price=0.31)
SETTINGS = RuleSettings(cheap_share=0.25, preheat_k=1.2, comfort_k=0.4, gain_kw_per_k=8.0)
"""Figures of their own, so that tuning moves no expectation."""
LIMIT_KW = 45.0


def battery(soc_pct: float = 50.0, **more) -> BatteryView:
    return BatteryView(soc_pct, 60.0, 30.0, 30.0, **{"round_trip": 0.9, "wear_per_kwh": 0.02, **more})


@pytest.mark.parametrize(
    ("price", "known", "cheap", "dear"),
    [
        (0.20, DAY, True, False),
        (0.21, DAY, True, False),
        (0.25, DAY, False, False),
        (0.35, DAY, False, True),
        (0.45, DAY, False, True),
        (0.30, (0.30,) * 24, False, False),
        (0.30, (), False, False),
        (-0.05, (-0.05, 0.1, 0.2), True, False),
    ],
)
def test_the_present_price_is_ranked_among_the_known_ones(price, known, cheap, dear):
    sense = price_sense(price, known, SETTINGS)
    assert (sense.cheap, sense.dear) == (cheap, dear)


@pytest.mark.parametrize(
    ("soc_pct", "sense", "net_kw", "expect_kw"),
    [
        # sun that would be sold is stored, whatever the price
        (50.0, DEAR, -12.0, 12.0),
        (50.0, MIDDLING, -50.0, 30.0),
        (95.0, CHEAP, -12.0, 0.0),
        # dear: it serves the load
        (50.0, DEAR, 12.0, -12.0),
        (50.0, DEAR, 44.0, -30.0),
        (5.0, DEAR, 12.0, 0.0),
        # cheap: it buys, within the limit that shaves peaks
        (50.0, CHEAP, 12.0, 30.0),
        (50.0, CHEAP, 35.0, 10.0),
        # cheap, but the spread does not pay for losses and wear
        (50.0, FLAT, 12.0, 0.0),
        # neither: half is kept for dear hours, the rest serves the load
        (80.0, MIDDLING, 12.0, -12.0),
        (40.0, MIDDLING, 12.0, 0.0),
        # peaks are shaved at any price
        (50.0, CHEAP, 60.0, -15.0),
        (40.0, MIDDLING, 60.0, -15.0),
    ],
)
def test_the_battery(soc_pct, sense, net_kw, expect_kw):
    assert run_battery(battery(soc_pct), sense, net_kw, LIMIT_KW, SETTINGS) == pytest.approx(expect_kw)


def test_without_a_spread_only_a_reserve_is_kept():
    sense = PriceSense(cheap=False, dear=False, cheap_price=0.30, dear_price=0.31)
    assert run_battery(battery(20.0), sense, 12.0, LIMIT_KW, SETTINGS) == -12.0
    assert run_battery(battery(14.0), sense, 12.0, LIMIT_KW, SETTINGS) == 0.0


@pytest.mark.parametrize(
    ("wanted_kwh", "left_h", "sense", "room_kw", "surplus_kw", "expect_kw"),
    [
        # cheap: at once, within the room
        (20.0, 10.0, CHEAP, 40.0, 0.0, 22.0),
        (20.0, 10.0, CHEAP, 11.0, 0.0, 11.0),
        (20.0, 10.0, CHEAP, 3.0, 0.0, 0.0),
        # otherwise from the sun that is left over
        (20.0, 10.0, DEAR, 40.0, 8.0, 8.0),
        (20.0, 10.0, DEAR, 40.0, 3.0, 0.0),
        (20.0, 10.0, MIDDLING, 40.0, -5.0, 0.0),
        # at the latest start, come what may
        (22.0, 1.7, DEAR, 0.0, -20.0, 22.0),
        (22.0, 1.8, DEAR, 0.0, -20.0, 0.0),
        (22.0, -1.0, DEAR, 0.0, -20.0, 22.0),
        # a car that has what it wants
        (0.0, 1.0, CHEAP, 40.0, 30.0, 0.0),
    ],
)
def test_a_car(wanted_kwh, left_h, sense, room_kw, surplus_kw, expect_kw):
    car = CarView(wanted_kwh, left_h, 22.0, 4.14)
    assert charge_car(car, sense, room_kw, surplus_kw, SETTINGS) == expect_kw


@pytest.mark.parametrize(
    ("temperature_c", "coming_c", "sense", "expect_kw"),
    [
        (20.0, 20.0, DEAR, 1.6),
        (20.3, 20.0, DEAR, 0.0),
        (20.3, 20.0, MIDDLING, 2.4),
        (20.3, 20.0, CHEAP, 8.8),
        (18.0, 20.0, CHEAP, 10.0),
        (21.5, 20.0, CHEAP, 0.0),
        # a higher floor is coming
        (20.0, 22.0, DEAR, 10.0),
    ],
)
def test_a_zone(temperature_c, coming_c, sense, expect_kw):
    zone = ZoneView(temperature_c, 20.0, 24.5, coming_c, 10.0)
    assert heat(zone, sense, SETTINGS) == pytest.approx(expect_kw)


def test_a_zone_is_never_heated_towards_its_ceiling():
    assert heat(ZoneView(20.4, 20.0, 20.8, 20.0, 10.0), CHEAP, SETTINGS) == 0.0


def view(**more) -> RuleView:
    base = RuleView(
        0.20,
        DAY,
        uncontrolled_kw=12.0,
        import_limit_kw=50.0,
        batteries={"battery": battery()},
        cars={"car": CarView(20.0, 8.0, 22.0, 4.14)},
        zones={"heat": ZoneView(21.5, 20.0, 24.5, 20.0, 10.0)},
        idle=("car2",),
        plants={"pv": 60.0},
    )
    return replace(base, **more)


def test_the_whole_site_in_a_cheap_hour_stays_under_its_limit():
    wishes = decide(view(), SETTINGS)
    assert wishes["car"] == pytest.approx(22.0)
    assert wishes["battery"] == pytest.approx(45.0 - 12.0 - 22.0)
    assert wishes["car2"] == 0.0
    assert wishes["pv"] == -60.0


def test_the_whole_site_with_surplus_serves_the_car_before_the_battery():
    wishes = decide(view(import_price=0.30, uncontrolled_kw=-20.0))
    assert wishes["car"] == pytest.approx(20.0)
    assert wishes["battery"] == pytest.approx(0.0)


@given(
    st.floats(-0.2, 1.0),
    st.lists(st.floats(-0.2, 1.0), max_size=48),
    st.floats(-80, 80),
    st.floats(0, 100),
    st.floats(-5, 40),
)
def test_law_rules_ask_for_nothing_that_the_devices_cannot_do(price, known, net_kw, soc_pct, zone_c):
    wishes = decide(
        view(
            import_price=price,
            known_prices=tuple(known),
            uncontrolled_kw=net_kw,
            batteries={"battery": battery(soc_pct)},
            zones={"heat": ZoneView(zone_c, 20.0, 24.5, 21.0, 10.0)},
        )
    )
    assert -30.0 <= wishes["battery"] <= 30.0
    assert wishes["car"] == 0.0 or 4.14 <= wishes["car"] <= 22.0
    assert 0.0 <= wishes["heat"] <= 10.0
    assert soc_pct > 5.0 or wishes["battery"] >= 0.0
    assert soc_pct < 95.0 or wishes["battery"] <= 0.0
