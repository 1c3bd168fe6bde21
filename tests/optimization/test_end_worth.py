"""What is left in a store is worth less a kWh the more it is: against another formulation, by the best of lines."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from districts import as_plan, problem
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from ems.plan_check import check_plan
from optimization.assets import (
    Battery,
    BatteryInputs,
    ElectricBoiler,
    ElectricBoilerInputs,
    HeatLoad,
    HeatLoadInputs,
    HeatSource,
    HeatSourceInputs,
    Load,
    LoadInputs,
    Tank,
    TankInputs,
)
from optimization.problem import Refused
from optimization.solve import Solver
from optimization.structure import structure

N, H = 8, 1.0
TANK = Tank("tank", "water", 0.6, 40.0, 90.0, 9.0, 6.0, loss_kw_per_k=0.01)
ROD = ElectricBoiler("rod", "water", 8.0, 1.0)
SHOWER = HeatLoad("shower", "water")
DROPS = ((50.0, 0.03), (60.0, 0.05), (75.0, 0.1))
STORE = Battery("store", 40.0, 8.0, 8.0, soc_min_pct=10.0, soc_max_pct=100.0, charge_efficiency=0.9)


def solved(pairs, price):
    asked = problem(pairs, price, step_s=3600.0 * H)
    solution = Solver().solve(asked)
    assert not isinstance(solution, Refused), solution
    plan = as_plan(asked, solution)
    assert check_plan(asked, plan) == ()
    return asked, plan


def lines(value, drops):
    """Give the lines of which the least is the worth: slope, and what it is at nothing."""
    slope, level = value - np.cumsum([0.0, *(less for _, less in drops)]), np.array([0.0, *(at for at, _ in drops)])
    return slope, np.concatenate([[0.0], np.cumsum(-np.diff(slope) * level[1:])])


def tank_optimum(inputs, price, drawn_kw):
    """Columns: rod, flow and one worth, which no line lies below; the water at the end is a sum over the flows."""
    keep = np.exp(-TANK.loss_kw_per_k * H / TANK.capacity_kwh_per_k)
    gain = np.array([[(s >= t) * keep ** (s - t) for t in range(N)] for s in range(N)])
    gain *= (1.0 - keep) / TANK.loss_kw_per_k
    free = inputs.around_c + (inputs.temperature_c - inputs.around_c) * keep ** np.arange(1, N + 1)
    slope, at = lines(
        inputs.end_value_per_kwh, [(TANK.capacity_kwh_per_k * (c - 40.0), p) for c, p in inputs.end_drops]
    )
    kwh = TANK.capacity_kwh_per_k
    worth = np.hstack([np.zeros((len(slope), N)), -np.outer(slope, kwh * gain[-1]), np.ones((len(slope), 1))])
    water = np.hstack([np.zeros((N, N)), gain, np.zeros((N, 1))])
    found = linprog(
        np.concatenate([price * H, np.zeros(N), [-1.0]]),
        A_ub=np.vstack([worth, water, -water]),
        b_ub=np.concatenate([at + slope * kwh * (free[-1] - 40.0), 90.0 - free, free - 40.0]),
        A_eq=np.hstack([np.eye(N), -np.eye(N), np.zeros((N, 1))]),
        b_eq=drawn_kw,
        bounds=[(0.0, 8.0)] * N + [(-6.0, 9.0)] * N + [(None, None)],
    )
    assert found.status == 0
    return found.fun


prices = st.lists(st.integers(5, 40), min_size=N, max_size=N).map(lambda v: np.array(v) / 100.0)


@settings(max_examples=8, deadline=None)
@given(prices, st.floats(45.0, 80.0), st.sampled_from([0.2, 0.35]))
def test_a_tank_agrees_with_another_formulation(price, water, value) -> None:
    inputs, drawn_kw = TankInputs(water, np.full(N, 15.0), 0.0, value, end_drops=DROPS), np.full(N, 2.0)
    pairs = [(TANK, inputs), (ROD, ElectricBoilerInputs(False, 0.0)), (SHOWER, HeatLoadInputs(drawn_kw))]
    _, plan = solved(pairs, price)
    assert plan.objective == pytest.approx(tank_optimum(inputs, price, drawn_kw), rel=1e-5, abs=1e-4)


@settings(max_examples=8, deadline=None)
@given(prices, st.floats(5.0, 39.0))
def test_a_battery_agrees_with_another_formulation(price, energy_kwh) -> None:
    drops = ((10.0, 0.06), (20.0, 0.05), (30.0, 0.1))
    inputs = BatteryInputs(energy_kwh, 0.3, end_drops=drops)
    _, plan = solved([(Load("load"), LoadInputs(np.full(N, 9.0))), (STORE, inputs)], price)
    slope, at = lines(0.3, drops)
    total, eta = np.tril(np.ones((N, N))), STORE.discharge_efficiency
    stored = np.hstack([0.9 * H * total, -H * total / eta, np.zeros((N, 1))])
    worth = np.hstack([-np.outer(slope, stored[-1, :-1]), np.ones((len(slope), 1))])
    found = linprog(
        np.concatenate([price, -price, [-1.0]]),
        A_ub=np.vstack([worth, stored, -stored]),
        b_ub=np.concatenate([at + slope * energy_kwh, np.full(N, 40.0 - energy_kwh), np.full(N, energy_kwh - 4.0)]),
        bounds=[(0.0, 8.0)] * 2 * N + [(None, None)],
    )
    assert plan.objective == pytest.approx(found.fun + 9.0 * float(price.sum()), rel=1e-3, abs=1e-2)


@pytest.mark.parametrize(("value", "left_c"), [(0.11, 50.0), (0.149, 60.0), (0.19, 75.0)])
def test_it_is_filled_to_where_a_kwh_is_worth_what_it_costs(value, left_c) -> None:
    inputs = TankInputs(45.0, np.full(N, 15.0), 0.0, value, end_drops=DROPS)
    pairs = [(TANK, inputs), (ROD, ElectricBoilerInputs(False, 0.0)), (SHOWER, HeatLoadInputs(np.zeros(N)))]
    _, plan = solved(pairs, np.full(N, 0.1))
    assert plan.schedules["tank"].states["temperature_c"][-1] == pytest.approx(left_c, abs=1e-3)


def test_cold_is_heat_in_a_mirror() -> None:
    inputs = TankInputs(10.0, np.full(N, 25.0), 0.0, -0.08, end_drops=((9.0, 0.04), (6.0, 0.03)))
    water = Tank("tank", "water", 2.0, 4.0, 14.0, 30.0, 30.0, loss_kw_per_k=0.001)
    chiller = HeatSource("chiller", "water", 5.0, is_chiller=True)
    told = HeatSourceInputs(False, 0.0, np.full(N, 25.0), np.full(N, 5.0))
    _, plan = solved([(water, inputs), (chiller, told)], np.full(N, 0.1))
    figure = float(chiller.heat_per_kw(told)[0])
    assert 0.01 < 0.1 / figure < 0.04
    assert plan.schedules["tank"].states["temperature_c"][-1] == pytest.approx(6.0, abs=1e-3)


def test_without_levels_the_programme_is_as_ever() -> None:
    plain = TankInputs(50.0, np.full(N, 15.0), 0.0, 0.2)
    for inputs, traits, pieces in ((plain, 0, ()), (replace(plain, end_drops=DROPS), 1, (3,))):
        asked = problem([(TANK, inputs), (ROD, ElectricBoilerInputs(False, 0.0))], np.full(N, 0.2), step_s=3600.0)
        shape = next(each for each in structure(asked).assets if each.kind is Tank)
        assert (len(shape.traits), shape.pieces) == (traits, pieces)


@pytest.mark.parametrize(
    ("drops", "word"),
    [(((60.0, 0.1), (50.0, 0.1)), "must be finite and rise"), (((50.0, -0.1),), "makes more worth more")],
)
def test_nonsense_is_refused(drops, word) -> None:
    inputs = TankInputs(50.0, np.full(N, 15.0), 0.0, 0.2, end_drops=drops)
    found = Solver().solve(problem([(TANK, inputs), (ROD, ElectricBoilerInputs(False, 0.0))], np.full(N, 0.2)))
    assert isinstance(found, Refused)
    assert word in found.reasons[0]
