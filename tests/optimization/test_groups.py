"""Groups: assets behind one limit, elastic and priced, against a formulation of their own in scipy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from districts import BATTERY, LOAD, POINT, as_plan, hours, problem
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from ems.plan_check import check_plan
from optimization.assets import BatteryInputs, ChargePointInputs, EvSession, LoadInputs
from optimization.groups import PowerGroup
from optimization.problem import Refused
from optimization.solve import Solver
from optimization.structure import structure

N, H = 8, 0.25
POINTS = (POINT, replace(POINT, id="second"))
SOLVER = Solver()
SHORTFALL = 3.0


def parked(price, limit_kw, *, load_kw=5.0, energy_kwh=(12.0, 9.0), members=("point", "second"), **more):
    cars = [EvSession(hours(0), hours(N * H), kwh, 11.0) for kwh in energy_kwh]
    pairs = [(LOAD, LoadInputs(np.full(N, load_kw)))]
    pairs += [(point, ChargePointInputs((car,))) for point, car in zip(POINTS, cars, strict=True)]
    groups = (PowerGroup("park", members, np.broadcast_to(limit_kw, N).astype(float)),)
    return problem(pairs, price, groups=groups, limit=100.0, **more)


def solved(asked):
    solution = SOLVER.solve(asked)
    assert not isinstance(solution, Refused), solution
    assert check_plan(asked, as_plan(asked, solution)) == ()
    return solution


def reference(price, limit_kw, energy_kwh):
    """x = charging of the one, of the other, shortfall of each."""
    one = np.eye(N)
    above = np.hstack([one, one, np.zeros((N, 2))])
    filled = np.zeros((2, 2 * N + 2))
    for k in range(2):
        filled[k, k * N : (k + 1) * N], filled[k, 2 * N + k] = 0.92 * H, 1.0
    cost = np.concatenate([price * H, price * H, [SHORTFALL, SHORTFALL]])
    bounds = [(0.0, 11.0)] * (2 * N) + [(0.0, kwh) for kwh in energy_kwh]
    found = linprog(cost, A_ub=above, b_ub=limit_kw, A_eq=filled, b_eq=energy_kwh, bounds=bounds)
    assert found.status == 0
    return found.fun + 5.0 * H * price.sum()


series = st.lists(st.integers(5, 60), min_size=N, max_size=N).map(lambda v: np.array(v) / 100.0)
limits = st.lists(st.integers(0, 24), min_size=N, max_size=N).map(lambda v: np.array(v, float))


@settings(max_examples=20)
@given(series, limits, st.tuples(st.integers(0, 20), st.integers(0, 20)))
def test_a_car_park_agrees_with_another_formulation(price, limit_kw, energy_kwh) -> None:
    solution = solved(parked(price, limit_kw, energy_kwh=energy_kwh))
    assert solution.objective == pytest.approx(reference(price, limit_kw, energy_kwh), rel=1e-4, abs=2e-3)
    assert solution.group_excess_kw["park"].max() == pytest.approx(0.0, abs=1e-6)


def test_cars_share_the_feeder_of_their_park() -> None:
    price = np.where(np.arange(N) < 4, 0.1, 0.5)
    both = sum(solved(parked(price, 8.0)).schedules[i].power_kw for i in ("point", "second"))
    assert both[:4].tolist() == pytest.approx([8.0] * 4)
    assert both.max() <= 8.0 + 1e-6


def test_a_kw_more_of_the_limit_is_worth_what_the_cheap_hours_save() -> None:
    price = np.where(np.arange(N) < 4, 0.1, 0.5)
    limits = Solver(priced=True).solve(parked(price, 8.0, energy_kwh=(7.0, 5.0))).prices.limits
    worth = next(limit.worth for limit in limits if limit.name == "power_kw:park" and limit.side == "most")
    assert worth.tolist() == pytest.approx([0.4 * H] * 4 + [0.0] * 4, abs=1e-3)


def test_what_cannot_be_kept_is_told_and_never_refused() -> None:
    asked = parked(np.full(N, 0.3), 3.0, members=("load", "point"))
    solution = solved(asked)
    assert solution.group_excess_kw["park"].tolist() == pytest.approx([2.0] * N)


def test_a_limit_holds_in_both_directions() -> None:
    pairs = [(LOAD, LoadInputs(np.zeros(N))), (BATTERY, BatteryInputs(18.0))]
    groups = (PowerGroup("store", ("battery",), np.full(N, 2.0)),)
    solution = solved(problem(pairs, np.linspace(0.9, 0.1, N), groups=groups, export=np.linspace(0.8, 0.0, N)))
    assert solution.schedules["battery"].power_kw.min() == pytest.approx(-2.0)


def test_a_question_without_groups_has_the_structure_of_before() -> None:
    assert structure(replace(parked(np.full(N, 0.3), 3.0), groups=())).groups == ()


@pytest.mark.parametrize(
    ("group", "word"),
    [
        (PowerGroup("park", ("nobody",), np.ones(N)), "'nobody' is no asset"),
        (PowerGroup("park", (), np.ones(N)), "at least one asset"),
        (PowerGroup("park", ("point", "point"), np.ones(N)), "each once"),
        (PowerGroup("park", ("point",), -np.ones(N)), "group park.limit_kw[0]"),
        (PowerGroup("park", ("point",), np.ones(3)), "shape (3,)"),
        (PowerGroup("other", ("point",), np.ones(N)), "more than once"),
    ],
)
def test_what_cannot_be_is_refused_in_words(group, word) -> None:
    asked = replace(parked(np.full(N, 0.3), 3.0), groups=(group, PowerGroup("other", ("second",), np.ones(N))))
    answer = SOLVER.solve(asked)
    assert isinstance(answer, Refused)
    assert any(word in reason for reason in answer.reasons), answer.reasons


@pytest.mark.parametrize(
    ("excess", "limit_kw", "words"),
    [
        ({"park": np.zeros(N)}, 1.0, "group park above its limit"),
        ({"park": np.full(N, -1.0)}, 8.0, "excess below zero"),
        ({"park": np.zeros(3)}, 8.0, "not 8 finite numbers"),
        ({}, 8.0, "speaks of the groups"),
    ],
)
def test_a_mutant_of_a_plan_is_caught(excess, limit_kw, words) -> None:
    asked = parked(np.full(N, 0.3), 8.0)
    plan = replace(as_plan(asked, solved(asked)), group_excess_kw=excess)
    found = check_plan(replace(asked, groups=(replace(asked.groups[0], limit_kw=np.full(N, limit_kw)),)), plan)
    assert any(words in sentence for sentence in found), found
