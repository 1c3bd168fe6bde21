"""Laws of every plan, on random small districts.

1. A valid question is answered, whatever was measured: never refused, never infeasible.
2. What the plan says is physics: balances and recursions hold, ratings are kept, nothing goes both ways at once.
3. A warm model, a cold one and one built anew find the same optimum.
4. A store outside its band never goes further out than it was a moment before, and comes back where the connection
   lets it; once back it stays, as one that never left.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from districts import BATTERY, LOAD, PV, as_plan, assert_physical, districts, problem, series
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from ems.plan_check import check_plan
from optimization.affine import compile_model
from optimization.assets import BatteryInputs, LoadInputs, PvInputs
from optimization.model import build_model
from optimization.solve import Solver, values_of
from optimization.structure import structure

WARM = Solver()
FEW = settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])


@FEW
@given(districts())
def test_a_valid_question_gets_a_physical_answer(asked):
    assert_physical(asked, WARM.solve(asked))


@FEW
@given(districts(negative_prices=False))
def test_warm_cold_and_rebuilt_agree(asked):
    warm, cold = WARM.solve(asked), Solver().solve(asked)
    shape = structure(asked)
    lp = compile_model(build_model(shape, None)).fill(values_of(asked, shape))
    bounds = np.stack([lp.col_lower, lp.col_upper], axis=1)
    rebuilt = linprog(lp.cost, *_inequalities(lp), *_equalities(lp), bounds=bounds)
    scale = max(1.0, abs(cold.objective))
    assert abs(warm.objective - cold.objective) <= 1e-7 * scale
    if not cold.solve["binaries"]:
        assert abs(rebuilt.fun + lp.offset - cold.objective) <= 1e-7 * scale


@FEW
@given(
    st.floats(-5.0, 30.0),
    st.lists(st.floats(-0.3, 3.0), min_size=12, max_size=12),
    st.sampled_from([0.0, 3.0, 50.0]),
)
def test_a_store_outside_its_band_goes_no_further_out(energy_kwh, price, limit):
    asked = problem(
        [(BATTERY, BatteryInputs(energy_kwh, 0.1)), (LOAD, LoadInputs(np.full(12, 2.0)))], price, limit=limit
    )
    solution = WARM.solve(asked)
    outside = outside_kwh(solution, energy_kwh)
    assert outside.max() <= outside[0] + 1e-6
    assert_physical(asked, solution)


@pytest.mark.parametrize("energy_kwh", [0.3, 0.9])
def test_a_store_below_its_band_is_not_emptied_further_to_keep_a_limit(energy_kwh):
    """There is energy that it could give, and a kilowatt-hour above the limit is dearer than one below the band."""
    load = np.where(np.arange(12) < 6, 2.0, 0.5)
    asked = problem([(BATTERY, BatteryInputs(energy_kwh, 0.1)), (LOAD, LoadInputs(load))], np.full(12, 0.3), limit=1.0)
    solution = WARM.solve(asked)
    outside = outside_kwh(solution, energy_kwh)
    assert outside[0] > 0.05
    assert outside.max() <= outside[0] + 1e-6
    assert solution.excess_kw[1:6].min() > 0.9


@FEW
@given(st.floats(-5.0, 30.0), series(12, 0.0, 0.6))
def test_a_store_outside_its_band_comes_back_monotonically(energy_kwh, price):
    asked = problem([(BATTERY, BatteryInputs(energy_kwh, 0.1)), (LOAD, LoadInputs(np.full(12, 2.0)))], price)
    outside = outside_kwh(WARM.solve(asked), energy_kwh)
    assert (np.diff(outside) <= 1e-6).all()
    assert outside[-1] <= 1e-6


@FEW
@given(
    st.one_of(st.floats(-2.0, 0.99), st.floats(19.01, 22.0)),
    series(12, -0.2, 0.6),
    series(12, 0.0, 4.0),
    series(12, 0.0, 12.0),
    st.sampled_from([0.0, 1.0, 3.0]),
    st.booleans(),
)
def test_a_store_never_loses_what_it_has_come_back_of_its_band(energy_kwh, price, load, sun, limit, tapers):
    """However full the connection: what a store in its band may not do, one that came back into it may not either."""
    battery = replace(BATTERY, charge_taper_pct=80.0, discharge_taper_pct=10.0) if tapers else BATTERY
    pairs = [(battery, BatteryInputs(energy_kwh, 0.1)), (LOAD, LoadInputs(load)), (PV, PvInputs(sun))]
    asked = problem(pairs, price, limit=limit)
    solution = WARM.solve(asked)
    assert np.diff(outside_kwh(solution, energy_kwh)).max() <= 1e-5
    assert_physical(asked, solution)
    assert check_plan(asked, as_plan(asked, solution)) == ()


@pytest.mark.parametrize("energy_kwh", [0.3, 0.9])
def test_where_the_connection_is_full_a_store_that_came_back_does_not_lose_it_again(energy_kwh):
    """There is room to come back before the limit presses, and each time that it does."""
    load = np.tile(np.repeat([0.5, 3.0], 3), 2)
    asked = problem([(BATTERY, BatteryInputs(energy_kwh, 0.1)), (LOAD, LoadInputs(load))], np.full(12, 0.3), limit=1.0)
    solution = WARM.solve(asked)
    outside = outside_kwh(solution, energy_kwh)
    assert np.diff(outside).max() <= 1e-6
    assert outside[3] < outside[0] - 0.05
    energy = solution.schedules["battery"].states["energy_kwh"]
    if energy_kwh > 0.5:
        assert energy[2] > 1.2, "it comes back, with something to give"
        assert energy[[5, 11]] == pytest.approx(1.0, abs=1e-6), "which it gives, and no more"


@pytest.mark.parametrize("energy_kwh", [0.3, 0.9, 19.4])
@pytest.mark.parametrize("limit", [1.0, 2.0])
def test_the_way_back_is_the_cheapest_of_all_that_cross_the_end_of_the_band_once(energy_kwh, limit):
    """Without whole numbers: one linear programme for each slot in which it may be back for the first time."""
    load, price = np.tile([0.5, 0.5, 3.0], 3), np.array([0.5, 0.1, 0.4, 0.2, 0.6, 0.1, 0.3, 0.3, 0.5])
    sun = np.where(np.arange(9) % 3 == 1, 9.0 if energy_kwh > 1.0 else 0.0, 0.0)
    pairs = [(BATTERY, BatteryInputs(energy_kwh, 0.1)), (LOAD, LoadInputs(load)), (PV, PvInputs(sun))]
    asked = problem(pairs, price, limit=limit)
    shape = structure(asked)
    compiled = compile_model(build_model(shape, None))
    lp, found = compiled.fill(values_of(asked, shape)), []
    for crossing in range(10):
        upper = lp.col_upper.copy()
        upper[compiled.columns["asset[0].inside_kwh"]][:crossing] = 0.0
        upper[compiled.columns["asset[0].outside_kwh"]][crossing:] = 0.0
        answer = linprog(lp.cost, *_inequalities(lp), *_equalities(lp), bounds=np.stack([lp.col_lower, upper], axis=1))
        found += [answer.fun + lp.offset] if answer.status == 0 else []
    assert Solver().solve(asked).objective == pytest.approx(min(found), rel=1e-3)


def _inequalities(lp):
    equal, matrix = lp.row_lower == lp.row_upper, lp.matrix.tocsr()
    up, down = ~equal & np.isfinite(lp.row_upper), ~equal & np.isfinite(lp.row_lower)
    rows = np.concatenate([matrix[up].toarray(), -matrix[down].toarray()])
    return rows, np.concatenate([lp.row_upper[up], -lp.row_lower[down]])


def _equalities(lp):
    equal = lp.row_lower == lp.row_upper
    return lp.matrix.tocsr()[equal].toarray(), lp.row_lower[equal]


@pytest.mark.parametrize(("end_kwh", "beyond_kwh"), [(0.0, -1e-9), (20.0, 1e-9)])
def test_a_store_a_hair_beyond_its_end_is_planned_as_if_it_stood_there(end_kwh, beyond_kwh):
    """The last plan's rounding is the next one's start."""
    price = np.linspace(0.5, 0.1, 12)
    at, beyond = (
        WARM.solve(problem([(BATTERY, BatteryInputs(kwh, 0.1)), (LOAD, LoadInputs(np.full(12, 2.0)))], price))
        for kwh in (end_kwh, end_kwh + beyond_kwh)
    )
    assert beyond.objective == pytest.approx(at.objective, rel=1e-6)
    np.testing.assert_allclose(beyond.schedules["battery"].power_kw, at.schedules["battery"].power_kw, atol=1e-5)


def outside_kwh(solution, start_kwh):
    """How far a 20 kWh store lies outside 5..95 %, at the start and after each slot."""
    trajectory = np.concatenate([[start_kwh], solution.schedules["battery"].states["energy_kwh"]])
    return np.maximum(np.maximum(1.0 - trajectory, trajectory - 19.0), 0.0)


def test_a_store_below_its_band_recovers_at_once_where_the_connection_allows():
    asked = problem([(BATTERY, BatteryInputs(0.0))], np.linspace(0.5, 0.1, 8))
    energy = WARM.solve(asked).schedules["battery"].states["energy_kwh"]
    assert energy[0] >= 1.0 - 1e-6
