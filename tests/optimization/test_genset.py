"""A generating set: whole starts, least times, fuel and heat, against a formulation of its own in scipy."""

from __future__ import annotations

import numpy as np
import pytest
from districts import LOAD, as_plan, hours, problem
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import Bounds, LinearConstraint, milp

from ems.plan_check import check_plan
from optimization.assets import Genset, GensetInputs, HeatLoad, HeatLoadInputs, LoadInputs
from optimization.exclusive import a_slot_on
from optimization.holding import hold, limited
from optimization.problem import Refused
from optimization.solve import Solver
from optimization.warm import WarmModel

N, H = 12, 0.25
ENGINE = Genset(
    "engine",
    rated_kw=30.0,
    least_kw=12.0,
    fuel_per_kw=2.2,
    fuel_idle_kw=9.0,
    least_run_s=2700.0,
    least_stand_s=1800.0,
    start_cost=1.5,
    run_per_h=0.4,
)
CHP = Genset(
    "chp", 20.0, 10.0, 2.0, fuel_idle_kw=8.0, heat_per_kw=1.1, heat_idle_kw=4.0, heat_node="house", start_cost=0.8
)
HOUSE = HeatLoad("house_heat", "house")


def now(is_running: bool = False, since_s: float = 86400.0, fuel_price: float = 0.09) -> GensetInputs:
    return GensetInputs(is_running, since_s, np.full(N, fuel_price))


def solved(pairs, price, **more):
    asked = problem(pairs, price, **more)
    solution = Solver().solve(asked)
    assert not isinstance(solution, Refused), solution
    assert check_plan(asked, as_plan(asked, solution)) == ()
    return asked, solution


def reference(engine, inputs, demand_kw, price, heat_kw=None, unheated=10.0):
    """x = import, g, u, starts, stops, lacking heat, surplus heat; the grid gives and takes nothing back."""
    one, zero = np.eye(N), np.zeros((N, N))
    lag = np.eye(N, k=-1)
    first = np.zeros(N)
    first[0] = float(inputs.is_running)
    runs, stands = (np.tril(one + sum(np.eye(N, k=-k) for k in range(1, N) if 900.0 * k < least)) for least in (
        engine.least_run_s, engine.least_stand_s))  # fmt: skip
    heat = np.zeros(N) if heat_kw is None else heat_kw
    rows = [
        (np.hstack([one, one, zero, zero, zero, zero, zero]), demand_kw, demand_kw),
        (np.hstack([zero, one, -engine.rated_kw * one, zero, zero, zero, zero]), -np.inf, 0.0),
        (np.hstack([zero, one, -engine.least_kw * one, zero, zero, zero, zero]), 0.0, np.inf),
        (np.hstack([zero, zero, one - lag, -one, one, zero, zero]), first, first),
        (np.hstack([zero, zero, -one, runs, zero, zero, zero]), -np.inf, 0.0),
        (np.hstack([zero, zero, one, zero, stands, zero, zero]), -np.inf, 1.0),
        (np.hstack([zero, engine.heat_per_kw * one, engine.heat_idle_kw * one, zero, zero, one, -one]), heat, heat),
    ]
    fuel, idle = inputs.fuel_price, inputs.fuel_price * engine.fuel_idle_kw + engine.run_per_h
    cost = np.concatenate([price * H, fuel * engine.fuel_per_kw * H, idle * H,
                           np.full(N, engine.start_cost), np.zeros(N), np.full(2 * N, unheated * H)])  # fmt: skip
    least_s = engine.least_run_s if inputs.is_running else engine.least_stand_s
    kept = 900.0 * np.arange(N) < least_s - inputs.since_s
    low = np.concatenate([np.zeros(2 * N), kept * float(inputs.is_running), np.zeros(4 * N)])
    high = np.concatenate([np.full(N, np.inf), np.full(N, engine.rated_kw), 1.0 - kept * float(not inputs.is_running),
                           np.ones(2 * N), np.full(2 * N, np.inf)])  # fmt: skip
    whole = np.concatenate([np.zeros(2 * N), np.ones(N), np.zeros(4 * N)])
    found = milp(
        cost, constraints=[LinearConstraint(*row) for row in rows], integrality=whole, bounds=Bounds(low, high)
    )
    assert found.status == 0
    return found.fun


prices = st.lists(st.integers(5, 60), min_size=N, max_size=N).map(lambda v: np.array(v) / 100.0)


@settings(max_examples=25)
@given(prices, st.booleans(), st.sampled_from([0.0, 600.0, 1500.0, 86400.0]), st.sampled_from([31.0, 60.0]))
def test_commitment_agrees_with_another_formulation(price, is_running, since_s, demand_kw) -> None:
    inputs = now(is_running, since_s)
    demand = np.full(N, demand_kw)
    _, solution = solved([(LOAD, LoadInputs(demand)), (ENGINE, inputs)], price, limit=100.0)
    expected = reference(ENGINE, inputs, demand, price)
    assert solution.objective == pytest.approx(expected, rel=1.5e-3, abs=1e-3)


@settings(max_examples=15)
@given(prices, st.lists(st.integers(0, 30), min_size=N, max_size=N).map(lambda v: np.array(v, float)))
def test_heat_and_power_agree_with_another_formulation(price, heat_kw) -> None:
    inputs, demand = now(True), np.full(N, 60.0)
    pairs = [(LOAD, LoadInputs(demand)), (CHP, inputs), (HOUSE, HeatLoadInputs(heat_kw))]
    _, solution = solved(pairs, price, limit=100.0)
    expected = reference(CHP, inputs, demand, price, heat_kw)
    assert solution.objective == pytest.approx(expected, rel=1.5e-3, abs=1e-2)


def test_it_runs_by_whole_starts_and_only_while_power_is_dear() -> None:
    price = np.where((np.arange(N) >= 4) & (np.arange(N) < 8), 0.9, 0.05)
    _, solution = solved([(LOAD, LoadInputs(np.full(N, 40.0))), (ENGINE, now())], price)
    assert solution.schedules["engine"].states["is_running"].tolist() == [0.0] * 4 + [1.0] * 4 + [0.0] * 4
    assert solution.schedules["engine"].power_kw[4:8].tolist() == pytest.approx([-30.0] * 4)


def test_the_next_plan_starts_from_what_the_last_one_ran(monkeypatch) -> None:
    given: list[tuple[int, int]] = []
    run, start = WarmModel._run_mixed, WarmModel._whole_start

    def seen(self, lp, whole, guess, deadline_s):
        found = start(self, lp, whole, guess, deadline_s)
        given.append((len(found), len(whole)))
        return found

    def told(self, lp, at, begun, deadline_s):
        assert len(begun) <= len(at)
        return run(self, lp, at, begun, deadline_s)

    monkeypatch.setattr(WarmModel, "_whole_start", seen)
    monkeypatch.setattr(WarmModel, "_run_mixed", told)
    price, solver = np.linspace(0.1, 0.6, N), Solver()
    asked = problem([(ENGINE, now()), (LOAD, LoadInputs(np.full(N, 10.0)))], price)
    first, second = solver.solve(asked), solver.solve(asked)
    assert given == [(0, N), (N, N)]
    assert second.objective <= first.objective + 1e-6


def test_whole_numbers_move_on_within_their_own_thing() -> None:
    moved = a_slot_on(np.array([3, 4, 5, 9, 10]), np.array([0.0, 1.0, 2.0, 7.0, 8.0]))
    assert moved.tolist() == [1.0, 2.0, 2.0, 8.0, 8.0]


def test_a_unit_that_has_just_started_goes_on() -> None:
    _, solution = solved([(LOAD, LoadInputs(np.full(N, 40.0))), (ENGINE, now(True, 900.0))], np.full(N, 0.01))
    assert solution.schedules["engine"].states["is_running"].tolist() == [1.0] * 2 + [0.0] * 10


def test_a_house_that_nobody_heats_is_told_as_cold() -> None:
    pairs = [(LOAD, LoadInputs(np.ones(N))), (HOUSE, HeatLoadInputs(np.full(N, 5.0)))]
    _, solution = solved(pairs, np.full(N, 0.3))
    assert solution.unheated_kw["house"].tolist() == [5.0] * N


@pytest.mark.parametrize(
    ("engine", "word"),
    [
        (Genset("e", 10.0, 12.0, 2.0), "least_kw"),
        (Genset("e", 10.0, 2.0, 2.0, heat_per_kw=1.0), "heat_node"),
        (Genset("e", 10.0, 2.0, -2.0), "fuel_per_kw"),
    ],
)
def test_an_impossible_unit_is_refused(engine, word) -> None:
    answer = Solver().solve(problem([(engine, now())], np.full(N, 0.3)))
    assert isinstance(answer, Refused)
    assert any(word in reason for reason in answer.reasons)


@settings(max_examples=25)
@given(prices, st.booleans(), st.sampled_from([-40.0, -20.0, -5.0, 0.0]), st.sampled_from([0.4, 1.1, None]))
def test_whatever_people_hold_it_at_there_is_a_plan(price, is_running, kw, until_h) -> None:
    inputs, demand = now(is_running, 300.0), LoadInputs(np.full(N, 40.0))
    slots = problem([(LOAD, demand)], price).slots
    limit_kw = np.where(np.arange(N) < 6, 8.0, np.inf)
    held = hold(ENGINE, inputs, slots, kw, None if until_h is None else hours(until_h))
    for band in (held, limited(ENGINE, inputs, slots, limit_kw, None), limited(ENGINE, inputs, slots, limit_kw, held)):
        solved([(LOAD, demand), (ENGINE, inputs)], price, held={"engine": band})
