"""What people hold an asset at: planned as it is ordered, as far as its state allows, and never refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from districts import BATTERY, LOAD, POINT, PUMP, PV, assert_physical, hours, problem, zone
from hypothesis import given, settings
from hypothesis import strategies as st

from optimization.assets import BatteryInputs, ChargePointInputs, EvSession, LoadInputs, PvInputs
from optimization.assets.asset import PowerBand
from optimization.holding import held_share, hold
from optimization.solve import Solver
from optimization.structure import structure
from optimization.validation import faults

N = 12
SOLVER = Solver()


CAR = EvSession(hours(-1), hours(2), 9.0, 11.0)


def asked(energy=10.0, *, cars=(CAR,)):
    pairs = [
        (LOAD, LoadInputs(np.full(N, 3.0))),
        (PV, PvInputs(np.linspace(0.0, 20.0, N))),
        (BATTERY, BatteryInputs(energy, 0.15)),
        (POINT, ChargePointInputs(tuple(cars))),
        (PUMP, zone(N)),
    ]
    return problem(pairs, 0.2 + 0.1 * np.sin(np.arange(N)))


def held(free, until_h, **powers_kw):
    until = None if until_h is None else hours(until_h)
    assets = {asset.id: asset for asset in free.assets}
    bands = {a: hold(assets[a], free.inputs[a], free.slots, kw, until) for a, kw in powers_kw.items()}
    return replace(free, held=bands)


def powers(question, asset):
    solution = SOLVER.solve(question)
    assert_physical(question, solution, 1e-4)
    return solution.schedules[asset].power_kw


def test_a_battery_is_planned_at_its_override_and_free_afterwards():
    free = asked()
    question = held(free, 0.5, battery=5.0)
    assert structure(question) == structure(free)
    kw = powers(question, "battery")
    np.testing.assert_allclose(kw[:2], 5.0, atol=1e-6)
    assert abs(powers(free, "battery")[:2] - 5.0).min() > 1.0
    assert abs(kw[2:] - 5.0).max() > 1.0


def test_a_slot_in_which_it_ends_is_held_by_its_share():
    band = held(asked(), 1 / 3, battery=5.0).held["battery"]
    np.testing.assert_allclose(held_share(asked().slots, hours(1 / 3))[:3], [1.0, 1 / 3, 0.0])
    np.testing.assert_allclose(band.low_kw[:3], [5.0, 5 / 3 - 8 * 2 / 3, -8.0])
    np.testing.assert_allclose(band.high_kw[:3], [5.0, 5 / 3 + 10 * 2 / 3, 10.0])


@pytest.mark.parametrize(
    ("asset", "kw", "expected"),
    [
        ("pv", -6.0, -np.minimum(6.0, np.linspace(0.0, 20.0, N))),  # a limit: no more than the sun gives
        ("pump", 2.5, 2.5),
        ("pump", 99.0, 6.0),  # no more than its rating
        ("point", 2.0, 0.0),  # a car pauses below its least power
        ("point", 6.0, 6.0),
        ("battery", -99.0, -8.0),
    ],
)
def test_each_asset_is_held_at_what_it_can_do(asset, kw, expected):
    np.testing.assert_allclose(
        powers(held(asked(), 0.5, **{asset: kw}), asset)[:2], np.resize(expected, N)[:2], atol=1e-5
    )


def test_a_full_store_and_a_satisfied_car_take_no_more():
    band = held(asked(18.0), None, battery=10.0).held["battery"]
    np.testing.assert_allclose(band.high_kw[0], (1.0 / 0.25 + BATTERY.standby_kw) / BATTERY.charge_efficiency)
    np.testing.assert_allclose(band.high_kw[1:], BATTERY.standby_kw / BATTERY.charge_efficiency)
    question = held(asked(18.0), None, battery=10.0, point=11.0)
    solution = SOLVER.solve(question)
    assert solution.schedules["battery"].states["energy_kwh"].max() <= 19.0 + 1e-6
    assert POINT.efficiency * solution.schedules["point"].power_kw.sum() * 0.25 == pytest.approx(9.0)


@settings(max_examples=40, deadline=None)
@given(
    energy=st.floats(-1.0, 21.0),
    until_h=st.none() | st.floats(-0.5, 4.0),
    kw=st.fixed_dictionaries({a: st.floats(-30.0, 30.0) for a in ("pv", "battery", "point", "pump")}),
    wish_kwh=st.floats(0.0, 30.0),
    swap_h=st.floats(0.1, 2.9),
)
def test_whatever_is_ordered_and_measured_there_is_a_plan_within_the_band(energy, until_h, kw, wish_kwh, swap_h):
    cars = (
        EvSession(hours(-1), hours(swap_h), wish_kwh, 7.4),
        EvSession(hours(swap_h + 0.05), hours(4), wish_kwh),
    )
    question = held(asked(energy, cars=cars), until_h, **kw)
    assert not faults(question)
    solution = SOLVER.solve(question)
    assert_physical(question, solution, 1e-4)
    for asset, band in question.held.items():
        power = solution.schedules[asset].power_kw
        assert (power >= band.low_kw - 1e-5).all()
        assert (power <= band.high_kw + 1e-5).all()


def test_only_what_is_steered_can_be_held():
    free = asked()
    with pytest.raises(TypeError, match="cannot be held"):
        hold(LOAD, free.inputs["load"], free.slots, 1.0, None)
    zero = np.zeros(N)
    assert any(
        "'load' is no asset that can be steered" in f
        for f in faults(replace(free, held={"load": PowerBand(zero, zero)}))
    )
    assert any("low_kw lies above" in f for f in faults(replace(free, held={"pump": PowerBand(zero + 1.0, zero)})))
    assert any("[0]: nan" in f for f in faults(replace(free, held={"pump": PowerBand(zero * np.nan, zero)})))
