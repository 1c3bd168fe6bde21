"""Refused only for an invalid question, and then with every reason at once."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest
from districts import BATTERY, LOAD, POINT, PUMP, PV, START, hours, problem, zone

from optimization.assets import BatteryInputs, ChargePointInputs, EvSession, LoadInputs, PvInputs
from optimization.problem import Refused
from optimization.slots import uniform
from optimization.solve import Solver
from optimization.weights import Weights

N = 4
STAY = EvSession(hours(0), hours(1), 5.0)


def valid():
    pairs = [
        (LOAD, LoadInputs(np.ones(N))),
        (PV, PvInputs(np.ones(N))),
        (BATTERY, BatteryInputs(5.0)),
        (POINT, ChargePointInputs((STAY,))),
        (PUMP, zone(N)),
    ]
    return problem(pairs, np.full(N, 0.3))


def with_inputs(asked, **inputs):
    return replace(asked, inputs={**asked.inputs, **inputs})


def with_asset(asked, asset):
    return replace(asked, assets=tuple(asset if a.id == asset.id else a for a in asked.assets))


def spoiled(value, at=1):
    series = np.ones(N)
    series[at] = value
    return series


CASES = {
    "nan in a price": (lambda p: replace(p, tariff=replace(p.tariff, import_price=spoiled(np.nan))), "import_price[1]"),
    "short price": (lambda p: replace(p, tariff=replace(p.tariff, export_price=np.ones(3))), "shape (3,)"),
    "negative carbon": (lambda p: replace(p, tariff=replace(p.tariff, carbon_kg_per_kwh=spoiled(-1))), "carbon_kg"),
    "carbon price": (lambda p: replace(p, tariff=replace(p.tariff, carbon_price=-1.0)), "carbon_price"),
    "endless limit": (lambda p: replace(p, connection=replace(p.connection, import_limit_kw=spoiled(np.inf))), "limit"),
    "negative weight": (lambda p: replace(p, weights=Weights(unserved=-1.0)), "weights.unserved"),
    "naive start": (lambda p: replace(p, slots=replace(p.slots, start=datetime(2026, 1, 1))), "time zone"),  # noqa: DTZ001
    "no duration": (lambda p: replace(p, slots=replace(p.slots, duration_s=spoiled(0.0))), "positive seconds"),
    "twice": (lambda p: replace(p, assets=(*p.assets, LOAD)), "more than once"),
    "unknown inputs": (lambda p: with_inputs(p, stranger=LoadInputs(np.ones(N))), "'stranger' is no asset"),
    "no inputs": (lambda p: replace(p, inputs={k: v for k, v in p.inputs.items() if k != "pv"}), "'pv' has none"),
    "other inputs": (lambda p: with_inputs(p, pv=LoadInputs(np.ones(N))), "LoadInputs where PvInputs"),
    "negative sun": (lambda p: with_inputs(p, pv=PvInputs(spoiled(-2.0))), "available_kw[1]: -2.0"),
    "nan load": (lambda p: with_inputs(p, load=LoadInputs(spoiled(np.nan))), "demand_kw[1]: nan"),
    "nan energy": (lambda p: with_inputs(p, battery=BatteryInputs(np.nan)), "battery.energy_kwh"),
    "capacity": (lambda p: with_asset(p, replace(BATTERY, capacity_kwh=-5.0)), "capacity_kwh: -5.0 is not greater"),
    "band": (lambda p: with_asset(p, replace(BATTERY, soc_min_pct=96.0)), "must rise"),
    "efficiency": (lambda p: with_asset(p, replace(BATTERY, charge_efficiency=1.2)), "greater than 1"),
    "standby": (lambda p: with_asset(p, replace(BATTERY, standby_kw=20.0)), "make good"),
    "power factor": (lambda p: with_asset(p, replace(LOAD, power_factor=0.0)), "load.power_factor"),
    "resistance": (lambda p: with_asset(p, replace(PUMP, air_out_k_per_kw=0.0)), "air_out_k_per_kw"),
    "comfort": (lambda p: with_inputs(p, pump=zone(N, low=25.0)), "comfort band of slot 0"),
    "nan zone": (lambda p: with_inputs(p, pump=zone(N, temperature=np.nan)), "temperature_c"),
    "naive car": (
        lambda p: with_inputs(p, point=ChargePointInputs((replace(STAY, departure=datetime(2026, 1, 6)),))),  # noqa: DTZ001
        "sessions[0].departure",
    ),
    "backwards": (
        lambda p: with_inputs(p, point=ChargePointInputs((replace(STAY, departure=hours(-0.1)),))),
        "before its arrival",
    ),
    "two cars": (lambda p: with_inputs(p, point=ChargePointInputs((STAY, STAY))), "one car at a time"),
    "car energy": (lambda p: with_inputs(p, point=ChargePointInputs((replace(STAY, energy_kwh=-1.0),))), "energy_kwh"),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_invalid_is_refused_by_name(name):
    spoil, words = CASES[name]
    answer = Solver().solve(spoil(valid()))
    assert isinstance(answer, Refused)
    assert any(words in reason for reason in answer.reasons), answer.reasons


def test_the_valid_one_is_answered():
    assert not isinstance(Solver().solve(valid()), Refused)


def test_a_car_that_leaves_as_it_arrives_is_told_as_short_and_not_refused():
    asked = with_inputs(valid(), point=ChargePointInputs((replace(STAY, departure=START),)))
    schedule = Solver().solve(asked).schedules["point"]
    assert schedule.power_kw.max() == 0.0
    assert schedule.slack["shortfall_kwh"].sum() == STAY.energy_kwh


def test_all_reasons_come_in_one_run():
    asked = with_inputs(valid(), battery=BatteryInputs(np.nan), load=LoadInputs(np.ones(7)))
    asked = replace(asked, weights=Weights(discomfort=np.nan))
    assert len(Solver().solve(asked).reasons) == 3


def test_an_empty_horizon_is_refused():
    asked = valid()
    none = replace(uniform(START, 1, 900.0), offset_s=np.empty(0), duration_s=np.empty(0))
    assert any("0 slots" in reason for reason in Solver().solve(replace(asked, slots=none)).reasons)
