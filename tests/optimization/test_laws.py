"""Laws of every plan, on random small districts.

1. A valid question is answered, whatever was measured: never refused, never infeasible.
2. What the plan says is physics: balances and recursions hold, ratings are kept, nothing goes both ways at once.
3. A warm model, a cold one and one built anew find the same optimum.
4. A store outside its band never goes further out, and comes back monotonically where the connection lets it.
"""

from __future__ import annotations

import numpy as np
import pytest
from districts import BATTERY, LOAD, assert_physical, districts, problem, series
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from optimization.affine import compile_model
from optimization.assets import BatteryInputs, LoadInputs
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
    equal = lp.row_lower == lp.row_upper
    up, down = ~equal & np.isfinite(lp.row_upper), ~equal & np.isfinite(lp.row_lower)
    matrix = lp.matrix.tocsr()
    rebuilt = linprog(
        lp.cost,
        A_ub=np.concatenate([matrix[up].toarray(), -matrix[down].toarray()]),
        b_ub=np.concatenate([lp.row_upper[up], -lp.row_lower[down]]),
        A_eq=matrix[equal],
        b_eq=lp.row_lower[equal],
        bounds=np.stack([lp.col_lower, lp.col_upper], axis=1),
    )
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
