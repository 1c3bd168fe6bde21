"""What anybody would say a plan has to do, on days that can be reckoned by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from districts import BATTERY, LOAD, POINT, PV, as_plan, hours, money, problem

from ems.plan_check import check_plan
from optimization.assets import BatteryInputs, ChargePointInputs, EvSession, LoadInputs, PvInputs
from optimization.problem import Connection, DemandTerms
from optimization.solve import Solver
from optimization.weights import Weights

N = 24
NO_TIES = Weights(move=0.0)


def solved(asked):
    solution = Solver().solve(asked)
    assert check_plan(asked, as_plan(asked, solution)) == ()
    return solution


@pytest.mark.parametrize("end_value", [0.15, 0.001])
def test_sun_is_stored_rather_than_curtailed_however_full_the_store_ends(end_value):
    """Nothing may be sold. What is left at the end has a value, and no level to be met."""
    sun = np.where(np.arange(N) < 16, 9.0, 0.0)
    pairs = [
        (LOAD, LoadInputs(np.full(N, 1.0))),
        (PV, PvInputs(sun)),
        (replace(BATTERY, wear_per_kwh=0.0), BatteryInputs(5.0, end_value)),
    ]
    asked = problem(pairs, np.full(N, 0.3), export=0.0)
    asked = replace(asked, connection=Connection(np.full(N, 50.0), np.zeros(N)))
    solution = solved(asked)
    stored = solution.schedules["battery"].states["energy_kwh"]
    assert stored[15] == pytest.approx(19.0)
    assert stored[-1] > 5.0 + 10.0
    curtailed = sun + solution.schedules["pv"].power_kw
    assert curtailed[stored < 19.0 - 1e-6].max() == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize(("dear", "moves"), [(0.25, False), (0.31, True)])
def test_a_spread_that_does_not_pay_wear_and_losses_moves_no_battery(dear, moves):
    """Of a kWh bought for 0.2 comes back 0.96 x 0.96 kWh, each for 0.05 of wear: from 0.267 on it pays."""
    price = np.where(np.arange(N) < N // 2, 0.2, dear)
    battery = replace(BATTERY, standby_kw=0.0, wear_per_kwh=0.05)
    pairs = [(LOAD, LoadInputs(np.full(N, 6.0))), (battery, BatteryInputs(1.0, 0.0))]
    power = solved(problem(pairs, price, export=0.0)).schedules["battery"].power_kw
    assert (np.abs(power).max() > 1.0) == moves
    if not moves:
        np.testing.assert_allclose(power, 0.0, atol=1e-6)


def test_over_equal_dear_hours_a_store_is_emptied_at_once_and_without_a_break():
    price = np.where(np.arange(N) < 8, 0.2, 0.4)
    pairs = [(LOAD, LoadInputs(np.full(N, 30.0))), (BATTERY, BatteryInputs(19.0, 0.0))]
    power = solved(problem(pairs, price, export=0.0)).schedules["battery"].power_kw[8:]
    out = power < -0.1
    np.testing.assert_allclose(power[:8], -8.0, atol=1e-5)
    assert np.flatnonzero(np.diff(out.astype(int))).tolist() == [int(out.sum()) - 1]


def purposes():
    """A day with a peak to be paid for, two prices, sun to be used and a car to be charged."""
    hour = np.arange(N)
    pairs = [
        (LOAD, LoadInputs(np.where((hour > 15) & (hour < 20), 14.0, 5.0))),
        (PV, PvInputs(np.where((hour > 7) & (hour < 15), 12.0, 0.0))),
        (BATTERY, BatteryInputs(6.0, 0.15)),
        (POINT, ChargePointInputs((EvSession(hours(1), hours(20), 25.0, 11.0),))),
    ]
    demand = DemandTerms(3.0, 3600.0, np.zeros(N, int), np.array([6.0]))
    price = np.where((hour > 5) & (hour < 21), 0.35, 0.18)
    return problem(pairs, price, step_s=3600.0, export=0.08, weights=NO_TIES, demand=demand)


def test_one_plan_of_all_purposes_costs_less_than_any_of_one_alone():
    """What it is asked for adds up in one sum: none of it has to be switched off for another."""
    whole = purposes()
    flat = replace(whole.tariff, import_price=np.full(N, 0.25))
    alone = {
        "the prices": replace(whole, demand=None),
        "the peak": replace(whole, tariff=flat),
        "the sun": replace(whole, demand=None, tariff=flat),
    }
    together = cost(whole, solved(whole))
    for purpose, asked in alone.items():
        assert together < cost(whole, solved(asked)) - 0.1, purpose


def cost(asked, solution):
    """Judge any powers by all that the day is paid for."""
    peak_kw = np.array([max(6.0, solution.import_kw.max())])
    assert solution.schedules["point"].slack["shortfall_kwh"].max() <= 1e-6
    return money(asked, replace(solution, peak_kw=peak_kw))
