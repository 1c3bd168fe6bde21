"""Wind turbines: the power curve against its data sheet, the plan against linprog, and its mutants."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from districts import LOAD, as_plan, hours, problem
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from ems.plan_check import check_plan
from optimization.assets import LoadInputs, Wind, WindInputs
from optimization.forecast.wind import WindPlant, wind_at_hub_m_s, wind_power_kw
from optimization.holding import hold, limited
from optimization.problem import Refused
from optimization.solve import Solver

N, H = 6, 0.25
TURBINE = Wind("turbine", rated_kw=40.0)
PLANT = WindPlant(40.0, 3.0, 12.0, 25.0)
steps = st.lists(st.integers(0, 12), min_size=N, max_size=N).map(lambda v: 5.0 * np.array(v))


@pytest.mark.parametrize(
    ("wind_m_s", "expected_kw"),
    [
        (0.0, 0.0),
        (3.0, 0.0),
        (7.5, 40.0 * (7.5**3 - 27.0) / (1728.0 - 27.0)),
        (12.0, 40.0),
        (24.9, 40.0),
        (25.0, 0.0),
        (-1.0, 0.0),
        (np.nan, np.nan),
    ],
)
def test_the_power_curve_meets_its_data_sheet(wind_m_s, expected_kw) -> None:
    np.testing.assert_allclose(wind_power_kw(PLANT, np.array([wind_m_s])), [expected_kw])


@given(st.floats(0.0, 24.9), st.floats(0.0, 24.9))
def test_more_wind_below_the_cut_out_never_gives_less(a, b) -> None:
    low, high = wind_power_kw(PLANT, np.array(sorted((a, b))))
    assert 0.0 <= low <= high <= 40.0


def test_wind_grows_with_height() -> None:
    np.testing.assert_allclose(wind_at_hub_m_s(np.array([5.0]), 10.0, 80.0), [5.0 * 8.0**0.2])
    with pytest.raises(ValueError, match="greater than 0"):
        wind_at_hub_m_s(np.array([5.0]), 0.0, 80.0)


@pytest.mark.parametrize("speeds", [(12.0, 3.0, 25.0), (3.0, 12.0, 12.0), (-1.0, 12.0, 25.0), (3.0, 12.0, np.inf)])
def test_a_curve_out_of_order_is_told(speeds) -> None:
    with pytest.raises(ValueError, match="cut-in, rated and cut-out"):
        WindPlant(40.0, *speeds)


def solved(available_kw, demand_kw, price, export, limit=30.0, **more):
    pairs = [(LOAD, LoadInputs(demand_kw)), (TURBINE, WindInputs(available_kw))]
    asked = problem(pairs, price, limit=limit, export=export, **more)
    solution = Solver().solve(asked)
    assert not isinstance(solution, Refused), solution
    assert check_plan(asked, as_plan(asked, solution)) == ()
    return asked, solution


@settings(max_examples=20)
@given(steps, steps, st.sampled_from([-0.2, 0.05]), st.sampled_from([0.0, 30.0]))
def test_it_agrees_with_another_formulation(available_kw, demand_kw, export, limit) -> None:
    """x = import, export, generation, excess of import and of export; slot by slot."""
    price = np.linspace(0.1, 0.4, N)
    _, solution = solved(available_kw, demand_kw, price, export, limit)
    expected = 0.0
    for s in range(N):
        cost = H * np.array([price[s], -export, 0.0, price[s] + 50.0, -export + 50.0, 100.0])
        tops = [limit, limit, min(available_kw[s], 40.0), None, None, demand_kw[s]]
        found = linprog(
            cost, A_eq=[[1.0, -1.0, 1.0, 1.0, -1.0, 1.0]], b_eq=[demand_kw[s]], bounds=[(0.0, top) for top in tops]
        )
        assert found.status == 0
        expected += found.fun
    assert solution.objective == pytest.approx(expected, abs=1e-6)


def test_it_is_curtailed_where_feeding_in_costs_money_and_its_rating_binds() -> None:
    _, solution = solved(np.full(N, 55.0), np.full(N, 10.0), np.full(N, 0.3), -0.1)
    np.testing.assert_allclose(solution.schedules["turbine"].power_kw, -10.0, atol=1e-6)
    _, solution = solved(np.full(N, 55.0), np.full(N, 60.0), np.full(N, 0.3), -0.1)
    np.testing.assert_allclose(solution.schedules["turbine"].power_kw, -40.0, atol=1e-6)


@settings(max_examples=15)
@given(steps, st.sampled_from([-60.0, -12.0, 0.0]), st.sampled_from([0.4, None]))
def test_whatever_people_hold_it_at_there_is_a_plan(available_kw, kw, until_h) -> None:
    inputs = WindInputs(available_kw)
    slots = problem([(TURBINE, inputs)], np.full(N, 0.3)).slots
    held = hold(TURBINE, inputs, slots, kw, None if until_h is None else hours(until_h))
    for band in (held, limited(TURBINE, inputs, slots, np.full(N, 8.0), held)):
        solved(available_kw, np.full(N, 20.0), np.full(N, 0.3), 0.1, held={"turbine": band})


@pytest.mark.parametrize(
    ("kw", "words"), [(1.0, "consumes"), (-20.0, "more than the wind allows"), (-41.0, "more than its rating")]
)
def test_a_mutant_is_caught(kw, words) -> None:
    available = np.full(N, 19.0 if kw > -40.0 else 60.0)
    asked, solution = solved(available, np.full(N, 50.0), np.full(N, 0.3), 0.1)
    plan = as_plan(asked, solution)
    moved = plan.schedules["turbine"].power_kw.copy()
    moved[2] = kw
    schedules = {**plan.schedules, "turbine": replace(plan.schedules["turbine"], power_kw=moved)}
    assert any(words in sentence for sentence in check_plan(asked, replace(plan, schedules=schedules)))


def test_wind_below_nothing_is_refused() -> None:
    answer = Solver().solve(problem([(TURBINE, WindInputs(np.full(N, -1.0)))], np.full(N, 0.3)))
    assert isinstance(answer, Refused)
    assert any("available_kw" in reason for reason in answer.reasons)
