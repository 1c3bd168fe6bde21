from __future__ import annotations

import numpy as np
import pytest
from feeder_days import LIMITS
from hypothesis import given, settings
from hypothesis import strategies as st

from optimization import ac_check
from optimization.ac_check import worst_case
from optimization.network import GridError

POWERS = st.lists(st.floats(-40, 40), min_size=12, max_size=12)


def _stressed(slots: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    p_kw = rng.uniform(-40.0, 40.0, (6, slots))
    return p_kw, p_kw * rng.uniform(-0.3, 0.4, (6, slots))


def test_agrees_with_runpp_over_stressed_injections(case) -> None:
    p_kw, q_kvar = _stressed(200)
    result = case.ac.check(p_kw, q_kvar)
    assert result.converged.all()
    assert result.loading_pct.max() > 150
    extremes = {int(result.v_pu.min(axis=0).argmin()), int(result.v_pu.max(axis=0).argmax())}
    for slot in {*extremes, int(result.loading_pct.max(axis=0).argmax()), *range(0, 200, 25)}:
        v_pu, loading_pct = case.ac.witness(p_kw, q_kvar, slot)
        assert np.abs(v_pu - result.v_pu[:, slot]).max() <= 1e-8
        assert np.abs(loading_pct - result.loading_pct[:, slot]).max() <= 1e-5


@settings(deadline=None, max_examples=50)
@given(POWERS)
def test_power_is_balanced_at_every_bus(case, powers) -> None:
    p_kw, q_kvar = np.array(powers[:6])[:, None], 0.25 * np.array(powers[6:])[:, None]
    voltage, converged = case.ac.voltages(p_kw, q_kvar)
    assert converged.all()
    injected = voltage * np.conj(case.ac.y_bus @ voltage) * case.ac.base_kva
    assert np.abs(injected + p_kw + 1j * q_kvar)[1:].max() < 1e-6


@settings(deadline=None, max_examples=50)
@given(POWERS, st.integers(1, 5), st.floats(0.5, 20))
def test_more_load_at_a_bus_lowers_its_voltage(case, powers, bus, more_kw) -> None:
    p_kw = np.repeat(np.array(powers[:6])[:, None], 2, axis=1)
    p_kw[bus, 1] += more_kw
    v_pu = case.ac.check(p_kw, np.zeros_like(p_kw)).v_pu[bus]
    assert v_pu[1] < v_pu[0]


def test_flow_points_down_for_import_and_up_for_export(case) -> None:
    p_kw = np.zeros((6, 2))
    p_kw[case.ac.bus_names.index("barn")] = 30.0, -30.0
    flow = case.ac.check(p_kw, np.zeros_like(p_kw)).flow_pct[0].real
    assert flow[0] > 40
    assert flow[1] < -40


def test_what_the_batch_cannot_solve_goes_to_newton(case, monkeypatch) -> None:
    p_kw, q_kvar = _stressed(2, seed=3)
    good = case.ac.check(p_kw, q_kvar)
    monkeypatch.setattr(ac_check, "MOST_ITERATIONS", 2)
    fallback = case.ac.check(p_kw, q_kvar)
    assert fallback.converged.all()
    assert np.abs(fallback.v_pu - good.v_pu).max() <= 1e-8
    assert np.abs(fallback.flow_pct - good.flow_pct).max() <= 1e-5


def test_what_has_no_solution_is_unconverged_and_leaves_its_neighbours_alone(case) -> None:
    p_kw, q_kvar = _stressed(3)
    p_kw[5, 1] = 3000.0
    result = case.ac.check(p_kw, q_kvar)
    assert result.converged.tolist() == [True, False, True]
    assert np.isnan(result.v_pu[:, 1]).all()
    assert np.isfinite(result.v_pu[:, [0, 2]]).all()


#   injections by bus [kW, kvar]                                      words expected
WORST_CASES = [
    ({}, []),
    ({"barn": (-35.0, 0.0), "houses_far": (4.1, 0.6)}, []),
    ({"barn": (-80.0, 0.0)}, ["voltage at barn is 1.0", "transformer is loaded to 1"]),
    ({"houses_far": (60.0, 15.0)}, ["voltage at houses_far is 0.9", "transformer is loaded to 10"]),
    ({"busbar": (5000.0, 0.0)}, ["no solution"]),
]


@pytest.mark.parametrize(("injections", "expected"), WORST_CASES)
def test_the_worst_case_is_said_in_words(case, injections, expected) -> None:
    words = worst_case(case.ac, LIMITS, injections)
    assert len(words) >= len(expected)
    assert bool(words) == bool(expected)
    assert all(any(part in line for line in words) for part in expected)


def test_an_unknown_bus_is_named_with_the_known_ones(case) -> None:
    with pytest.raises(GridError, match=r"'attic' is not in .*grid.json; its buses are mv, busbar"):
        worst_case(case.ac, LIMITS, {"attic": (1.0, 0.0)})
