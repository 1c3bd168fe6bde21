"""A pipe between two heat nodes: what is sent arrives once, later and less; against scipy's linprog."""

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
    Boiler,
    BoilerInputs,
    ElectricBoiler,
    ElectricBoilerInputs,
    HeatLoad,
    HeatLoadInputs,
    Pipe,
    PipeInputs,
)
from optimization.problem import Refused
from optimization.solve import Solver

N, H = 12, 0.25
PLANT = Boiler("plant", "plant_hall", 40.0, 0.9)
PIPE = Pipe("pipe", "plant_hall", "village", 20.0, 1800.0, 0.05, 0.4, 0.01)
ROD = ElectricBoiler("rod", "village", 6.0, 1.0)
VILLAGE = HeatLoad("houses", "village")
FREE = ElectricBoilerInputs(False, 0.0)


def solved(demand_kw, price, *, pipe=PIPE, arriving=0.0, end=0.0, durations=None):
    n = len(price)
    pairs = [
        (PLANT, BoilerInputs(False, 0.0, np.full(n, 0.09))),
        (pipe, PipeInputs(np.full(n, float(arriving)), end)),
        (ROD, FREE),
        (VILLAGE, HeatLoadInputs(demand_kw)),
    ]
    asked = problem(pairs, price, durations=durations)
    solution = Solver().solve(asked)
    assert not isinstance(solution, Refused), solution
    plan = as_plan(asked, solution)
    assert check_plan(asked, plan) == ()
    return asked, plan


def reference(demand_kw, price, lag, arriving, end, unheated=10.0):
    """x = plant's fuel, sent, rod, lack and surplus of the hall, then of the village."""
    one, zero = np.eye(N), np.zeros((N, N))
    late = np.eye(N, k=-lag)
    gone = np.append(np.zeros(N - lag), np.ones(lag)) if lag else np.zeros(N)
    equal = np.vstack(
        [
            np.hstack([0.9 * one, -one, zero, one, -one, zero, zero]),
            np.hstack([zero, 0.95 * late, one, zero, zero, one, -one]),
        ]
    )
    right = np.concatenate([np.zeros(N), demand_kw + 0.4 - 0.95 * arriving])
    sending = 0.01 * price * H - end * 0.95 * H * gone
    cost = np.concatenate([np.full(N, 0.09 * H), sending, price * H, np.full(4 * N, unheated * H)])
    bounds = [(0, 40)] * N + [(0, 20)] * N + [(0, 6)] * N + [(0, None)] * (4 * N)
    found = linprog(cost, A_eq=equal, b_eq=right, bounds=bounds)
    assert found.status == 0
    return found.fun


prices = st.lists(st.integers(5, 60), min_size=N, max_size=N).map(lambda v: np.array(v) / 100.0)
heats = st.lists(st.integers(0, 30), min_size=N, max_size=N).map(lambda v: np.array(v, float))


@settings(max_examples=12)
@given(prices, heats, st.integers(0, 4), st.sampled_from([0.0, 5.0]), st.sampled_from([0.0, 0.12]))
def test_it_agrees_with_another_formulation(price, demand_kw, lag, arriving, end) -> None:
    pipe = replace(PIPE, delay_s=900.0 * lag)
    _, plan = solved(demand_kw, price, pipe=pipe, arriving=arriving, end=end)
    expected = reference(demand_kw, price, lag, arriving, end)
    assert plan.objective == pytest.approx(expected, rel=1e-6, abs=1e-6)


@settings(max_examples=10)
@given(
    st.lists(st.sampled_from([300.0, 900.0, 1800.0, 3600.0]), min_size=5, max_size=9),
    st.sampled_from([0.0, 420.0, 900.0, 2000.0, 9000.0, 90000.0]),
    st.randoms(use_true_random=False),
)
def test_each_kwh_arrives_once_whatever_the_slots_are(durations, delay_s, random) -> None:
    n = len(durations)
    demand = np.array([random.uniform(0.0, 25.0) for _ in range(n)])
    pipe = replace(PIPE, delay_s=delay_s, loss_share=0.0, standing_kw=0.0)
    asked, plan = solved(demand, np.full(n, 0.4), pipe=pipe, durations=durations)
    states, hours = plan.schedules["pipe"].states, asked.slots.duration_h
    end_s = asked.slots.offset_s + asked.slots.duration_s
    sent_kwh, arrived_kwh = np.cumsum(states["heat_kw"] * hours), -np.cumsum(states["to_heat_kw"] * hours)
    assert (arrived_kwh <= sent_kwh + 1e-6).all()
    by_then = np.interp(end_s - delay_s, np.append(0.0, end_s), np.append(0.0, sent_kwh))
    np.testing.assert_allclose(arrived_kwh, by_then, atol=1e-6)


def test_heat_is_sent_ahead_of_the_peak_and_the_rod_helps_until_it_is_there() -> None:
    demand_kw = np.full(N, 5.0)
    _, plan = solved(demand_kw, np.full(N, 0.5))
    rod, pipe = plan.schedules["rod"], plan.schedules["pipe"]
    assert rod.power_kw.tolist() == pytest.approx([5.4] * 2 + [0.0] * 10, abs=1e-6)
    assert pipe.states["heat_kw"].tolist() == pytest.approx([5.4 / 0.95] * 10 + [0.0] * 2, abs=1e-6)
    assert pipe.power_kw[0] == pytest.approx(0.01 * 5.4 / 0.95)
    assert plan.unheated_kw["village"].tolist() == pytest.approx([0.0] * N, abs=1e-6)


@pytest.mark.parametrize(
    ("pipe", "word"),
    [
        (replace(PIPE, to_node=""), "name two nodes"),
        (replace(PIPE, to_node="plant_hall"), "name two nodes"),
        (replace(PIPE, loss_share=1.0), "loss_share"),
        (replace(PIPE, delay_s=-1.0), "delay_s"),
    ],
)
def test_nonsense_is_refused(pipe, word) -> None:
    answer = Solver().solve(problem([(pipe, PipeInputs(np.zeros(N)))], np.full(N, 0.3)))
    assert isinstance(answer, Refused)
    assert any(word in reason for reason in answer.reasons)


def _mutant(plan, *, power=lambda p: p, **states):
    schedule = plan.schedules["pipe"]
    changed = {**schedule.states, **{name: change(schedule.states[name]) for name, change in states.items()}}
    mutant = replace(schedule, power_kw=power(schedule.power_kw), states=changed)
    return replace(plan, schedules={**plan.schedules, "pipe": mutant})


def test_a_mutant_of_a_good_plan_is_caught() -> None:
    asked, plan = solved(np.linspace(5.0, 18.0, N), np.full(N, 0.5))
    for words, mutant in (
        ("flows backwards", _mutant(plan, heat_kw=lambda q: q - 20.0)),
        ("sends more than it can", _mutant(plan, heat_kw=lambda q: q + 20.0)),
        ("its pump takes another power", _mutant(plan, power=lambda p: 1.1 * p)),
        ("to_heat_kw against", _mutant(plan, to_heat_kw=lambda q: np.roll(q, -1))),
        ("to_heat_kw against", _mutant(plan, to_heat_kw=lambda q: q / 0.95)),
        ("to_heat_kw against", _mutant(plan, to_heat_kw=lambda q: q - 0.4)),
        ("heat balance of village", _mutant(plan, to_heat_kw=lambda q: q - 0.4)),
        ("heat balance of plant_hall", _mutant(plan, heat_kw=lambda q: q + 1.0)),
    ):
        assert any(words in sentence for sentence in check_plan(asked, mutant)), words
