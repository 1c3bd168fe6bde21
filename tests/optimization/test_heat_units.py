"""Boilers, heat pumps and chillers on a heat node, against a formulation of their own in scipy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from districts import LOAD, as_plan, hours, problem
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import Bounds, LinearConstraint, milp

from ems.plan_check import check_plan
from optimization.assets import (
    Boiler,
    BoilerInputs,
    ElectricBoiler,
    ElectricBoilerInputs,
    HeatLoad,
    HeatLoadInputs,
    HeatSource,
    HeatSourceInputs,
    LoadInputs,
)
from optimization.assets.heat_source import cop
from optimization.holding import hold, limited
from optimization.problem import Connection, DemandTerms, Refused
from optimization.solve import Solver

N, H = 10, 0.25
GAS = Boiler("gas", "house", 20.0, 0.92, least_kw=6.0, least_run_s=1800.0, start_cost=0.05)
PLAIN_GAS = Boiler("gas", "house", 8.0, 0.92)
ROD = ElectricBoiler("rod", "house", 6.0)
PUMP = HeatSource("pump", "house", 5.0, least_kw=2.0, least_run_s=2700.0, least_stand_s=1800.0, start_cost=0.02)
CHILLER = HeatSource("chiller", "cold", 4.0, is_chiller=True)
HOUSE = HeatLoad("house_heat", "house")
OUTDOOR_C = np.linspace(-8.0, 6.0, N)

prices = st.lists(st.integers(5, 60), min_size=N, max_size=N).map(lambda v: np.array(v) / 100.0)
heats = st.lists(st.integers(0, 24), min_size=N, max_size=N).map(lambda v: np.array(v, float))


def gas(is_running=False, since_s=86400.0, price=0.12):
    return BoilerInputs(is_running, since_s, np.full(N, price))


def air(is_running=False, since_s=86400.0, supply_c=45.0, source_c=OUTDOOR_C):
    return HeatSourceInputs(is_running, since_s, source_c, np.full(N, supply_c))


def solved(pairs, price, **more):
    asked = problem([(LOAD, LoadInputs(np.full(N, 3.0))), *pairs], price, **more)
    solution = Solver().solve(asked)
    assert not isinstance(solution, Refused), solution
    plan = as_plan(asked, solution)
    assert check_plan(asked, plan) == ()
    return asked, plan


def reference(units, heat_kw, price, unheated=10.0, most_kw=np.inf):
    """Minimise over y, u, a, b of each unit, then the lacking and the surplus heat of the node.

    A unit is (asset, heat given for a kW, price of a kWh, whether it runs, since when). None where there is nothing
    with at most so much lacking or surplus.
    """
    one, zero = np.eye(N), np.zeros((N, N))
    blocks = 4 * len(units) + 2
    rows, cost, low, high = [], [], [], []

    def row(parts, least, most):
        matrix = np.hstack([parts.get(k, zero) for k in range(blocks)])
        rows.append(LinearConstraint(matrix, least, most))

    node = {blocks - 2: one, blocks - 1: -one}
    for i, (unit, heat, price_kwh, is_running, since_s) in enumerate(units):
        y, u, a, b = range(4 * i, 4 * i + 4)
        node[y] = np.diag(np.broadcast_to(heat, N))
        first = np.zeros(N)
        first[0] = float(is_running)
        runs, stands = (
            np.tril(sum(np.eye(N, k=-k) for k in range(N) if k == 0 or 900.0 * k < least))
            for least in (unit.least_run_s, unit.least_stand_s)
        )
        row({y: one, u: -unit.rated_kw * one}, -np.inf, 0.0)
        row({y: one, u: -unit.least_kw * one}, 0.0, np.inf)
        row({u: one - np.eye(N, k=-1), a: -one, b: one}, first, first)
        row({u: -one, a: runs}, -np.inf, 0.0)
        row({u: one, b: stands}, -np.inf, 1.0)
        kept = 900.0 * np.arange(N) < (unit.least_run_s if is_running else unit.least_stand_s) - since_s
        cost += [price_kwh * H * np.ones(N), np.zeros(N), np.full(N, unit.start_cost), np.zeros(N)]
        low += [np.zeros(N), kept * float(is_running), np.zeros(2 * N)]
        high += [np.full(N, unit.rated_kw), 1.0 - kept * float(not is_running), np.ones(2 * N)]
    row(node, heat_kw, heat_kw)
    cost.append(np.full(2 * N, unheated * H))
    low.append(np.zeros(2 * N))
    high.append(np.full(2 * N, most_kw))
    whole = np.zeros(blocks * N)
    for i in range(len(units)):
        whole[(4 * i + 1) * N : (4 * i + 2) * N] = 1.0
    bounds = Bounds(np.concatenate(low), np.concatenate(high))
    found = milp(np.concatenate(cost), constraints=rows, integrality=whole, bounds=bounds)
    if most_kw == 0.0 and found.status == 2:
        return None
    assert found.status == 0
    return found.fun + float(3.0 * H * price.sum())


@settings(max_examples=8)
@given(prices, heats, st.booleans(), st.sampled_from([0.0, 1000.0, 86400.0]))
def test_a_pump_and_a_boiler_agree_with_another_formulation(price, heat_kw, is_running, since_s) -> None:
    pump, boiler = air(is_running, since_s), gas(not is_running, since_s)
    _, plan = solved([(PUMP, pump), (GAS, boiler), (HOUSE, HeatLoadInputs(heat_kw))], price)
    units = [
        (PUMP, 0.45 * (45.0 + 3.0 + 273.15) / (45.0 - OUTDOOR_C + 6.0), price, is_running, since_s),
        (GAS, 0.92, 0.12, not is_running, since_s),
    ]
    assert plan.objective == pytest.approx(reference(units, heat_kw, price), rel=1.5e-3, abs=1e-2)


@settings(max_examples=15)
@given(prices, heats)
def test_units_without_least_times_need_no_whole_numbers(price, heat_kw) -> None:
    pairs = [(ROD, ElectricBoilerInputs(False, 0.0)), (PLAIN_GAS, gas()), (HOUSE, HeatLoadInputs(heat_kw))]
    _, plan = solved(pairs, price)
    units = [(ROD, 0.99, price, False, 0.0), (PLAIN_GAS, 0.92, 0.12, False, 0.0)]
    assert plan.objective == pytest.approx(reference(units, heat_kw, price), rel=1e-6, abs=1e-6)
    assert plan.solve.get("binaries", 0) == 0


@settings(max_examples=12)
@given(prices, heats, st.sampled_from([0.0, 30.0]))
def test_no_start_outweighs_heat_that_can_be_had(price, heat_kw, start_cost) -> None:
    dear = replace(GAS, start_cost=start_cost)
    pairs = [(ROD, ElectricBoilerInputs(False, 0.0)), (dear, gas()), (HOUSE, HeatLoadInputs(heat_kw))]
    _, plan = solved(pairs, price)
    units = [(ROD, 0.99, price, False, 0.0), (dear, 0.92, 0.12, False, 86400.0)]
    held = reference(units, heat_kw, price, most_kw=0.0)
    expected = reference(units, heat_kw, price) if held is None else held
    assert plan.objective == pytest.approx(expected, rel=1.5e-3, abs=1e-2)
    assert held is None or plan.unheated_kw["house"].tolist() == pytest.approx([0.0] * N, abs=1e-5)


def test_no_demand_of_a_month_outweighs_heat_that_can_be_had() -> None:
    terms = DemandTerms(900.0, 900.0, np.zeros(N, dtype=int), np.array([3.0]), 0.0)
    pairs = [(ROD, ElectricBoilerInputs(False, 0.0)), (HOUSE, HeatLoadInputs(np.where(np.arange(N) == 4, 5.0, 0.0)))]
    asked, plan = solved(pairs, np.full(N, 0.3), demand=terms)
    assert plan.unheated_kw["house"].tolist() == pytest.approx([0.0] * N, abs=1e-6)
    assert plan.import_kw[4] == pytest.approx(3.0 + 5.0 / 0.99)
    narrow = replace(asked, connection=Connection(np.full(N, 5.0), np.full(N, 5.0)))
    lacking = Solver().solve(narrow)
    assert lacking.excess_kw.tolist() == [0.0] * N, "a limit of the connection ranks above heat"
    assert lacking.unheated_kw["house"][4] == pytest.approx(5.0), "what cannot be had is as its price has it"


def test_the_prices_of_a_plan_are_those_of_the_solution_that_was_taken() -> None:
    """Where forbidding everything has no solution, they are the cheapest one's."""
    heat_kw, price = np.full(N, 30.0), 0.1 + 0.05 * np.arange(N)
    pairs = [(ROD, ElectricBoilerInputs(False, 0.0)), (GAS, gas()), (HOUSE, HeatLoadInputs(heat_kw))]
    asked, _ = solved(pairs, price)
    plan = Solver(priced=True).solve(asked)
    assert plan.unheated_kw["house"].tolist() == pytest.approx([30.0 - 0.99 * 6.0 - 0.92 * 20.0] * N)
    assert plan.prices.energy_value.tolist() == pytest.approx(price.tolist())


def test_the_cop_follows_both_temperatures_and_no_lift_is_too_small() -> None:
    pump = replace(PUMP, carnot_share=0.5, approach_k=0.0)
    inputs = HeatSourceInputs(False, 0.0, np.array([0.0, 0.0, 34.0, -20.0]), np.array([35.0, 55.0, 35.0, 300.0]))
    assert cop(pump, inputs).tolist() == pytest.approx([0.5 * 308.15 / 35, 0.5 * 328.15 / 55, 0.5 * 308.15 / 15, 1.0])
    chiller = replace(pump, is_chiller=True)
    inputs = HeatSourceInputs(False, 0.0, np.array([35.0, 10.0]), np.array([7.0, 7.0]))
    assert cop(chiller, inputs).tolist() == pytest.approx([0.5 * 280.15 / 28, 0.5 * 280.15 / 15])


def test_a_chiller_takes_the_heat_that_a_cold_node_is_given() -> None:
    inputs = air(supply_c=7.0, source_c=np.full(N, 32.0))
    given = replace(HOUSE, heat_node="cold")
    _, plan = solved([(CHILLER, inputs), (given, HeatLoadInputs(np.zeros(N)))], np.full(N, 0.3))
    assert plan.schedules["chiller"].power_kw.tolist() == [0.0] * N
    share = cop(CHILLER, inputs)
    assert share[0] == pytest.approx(0.45 * (4.0 + 273.15) / 31.0)
    slots = problem([(LOAD, LoadInputs(np.zeros(N)))], np.full(N, 0.3)).slots
    _, held = solved(
        [(CHILLER, inputs), (given, HeatLoadInputs(np.zeros(N)))],
        np.full(N, 0.3),
        held={"chiller": hold(CHILLER, inputs, slots, 2.0, None)},
    )
    assert held.schedules["chiller"].states["heat_kw"].tolist() == pytest.approx((2.0 * share).tolist())
    assert held.unheated_kw["cold"].tolist() == pytest.approx((2.0 * share).tolist())


@settings(max_examples=6)
@given(prices, st.booleans(), st.sampled_from([0.0, 1.0, 3.0, 9.0]), st.sampled_from([0.4, 1.1, None]))
def test_whatever_people_hold_a_pump_at_there_is_a_plan(price, is_running, kw, until_h) -> None:
    inputs, heat = air(is_running, 300.0), HeatLoadInputs(np.full(N, 6.0))
    slots = problem([(LOAD, LoadInputs(np.zeros(N)))], price).slots
    limit_kw = np.where(np.arange(N) < 6, 1.5, np.inf)
    held = hold(PUMP, inputs, slots, kw, None if until_h is None else hours(until_h))
    for band in (held, limited(PUMP, inputs, slots, limit_kw, None), limited(PUMP, inputs, slots, limit_kw, held)):
        solved([(PUMP, inputs), (HOUSE, heat)], price, held={"pump": band})


@pytest.mark.parametrize(
    ("unit", "inputs", "word"),
    [
        (replace(PUMP, least_kw=9.0), air(), "least_kw"),
        (replace(PUMP, heat_node=""), air(), "heat_node"),
        (replace(PUMP, carnot_share=1.2), air(), "carnot_share"),
        (replace(GAS, efficiency=0.0), gas(), "efficiency"),
        (replace(ROD, efficiency=1.1), ElectricBoilerInputs(False, 0.0), "efficiency"),
        (PUMP, air(since_s=-1.0), "since_s"),
    ],
)
def test_nonsense_is_refused(unit, inputs, word) -> None:
    answer = Solver().solve(problem([(unit, inputs)], np.full(N, 0.3)))
    assert isinstance(answer, Refused)
    assert any(word in reason for reason in answer.reasons)


def _mutant(plan, asset, *, power=None, **states):
    schedule = plan.schedules[asset]
    changed = replace(schedule, states={**schedule.states, **{k: f(schedule.states[k]) for k, f in states.items()}})
    if power is not None:
        changed = replace(changed, power_kw=power(changed.power_kw))
    return replace(plan, schedules={**plan.schedules, asset: changed})


def test_a_mutant_of_a_good_plan_is_caught() -> None:
    price = np.where(np.arange(N) < 5, 0.1, 0.6)
    pairs = [(PUMP, air()), (GAS, gas()), (ROD, ElectricBoilerInputs(False, 0.0))]
    asked, plan = solved([*pairs, (HOUSE, HeatLoadInputs(np.full(N, 12.0)))], price)
    assert plan.schedules["pump"].states["is_running"][0] == 1.0
    assert plan.schedules["gas"].states["is_running"].max() == 1.0
    only_now = np.eye(N)[0]
    for words, mutant in (
        ("pump: heat_kw", _mutant(plan, "pump", heat_kw=lambda q: 1.1 * q)),
        ("gas: heat_kw", _mutant(plan, "gas", heat_kw=lambda q: q - 0.5)),
        ("rod: heat_kw", _mutant(plan, "rod", power=lambda p: p + 0.5)),
        ("rod: takes above its rating", _mutant(plan, "rod", power=lambda p: p + 7.0)),
        ("rod: takes less than nothing", _mutant(plan, "rod", power=lambda p: p - 7.0)),
        ("gas: has power", _mutant(plan, "gas", power=lambda p: p + 1.0)),
        ("gas: takes above its rating", _mutant(plan, "gas", fuel_kw=lambda y: y + 20.0)),
        ("pump: runs below its least power", _mutant(plan, "pump", power=lambda p: 0.2 * p)),
        ("pump: runs by a part", _mutant(plan, "pump", is_running=lambda u: 0.5 * u)),
        ("pump: gives more than it can", _mutant(plan, "pump", is_running=lambda u: 0.0 * u)),
        ("pump: runs for 900 s only", _mutant(plan, "pump", is_running=lambda u: only_now)),
        ("the heat balance of house", _mutant(plan, "house_heat", heat_kw=lambda q: q - 1.0)),
    ):
        assert any(words in sentence for sentence in check_plan(asked, mutant)), words
