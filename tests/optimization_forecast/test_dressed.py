"""Paths of errors get the spread that a calibrated forecast promises, and keep all else."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from optimization.forecast.dressed import MOST, dressed
from optimization.forecast.methods import LEVELS

SEEDS = st.integers(0, 1000)


def paths(seed: int, count: int = 41, leads: int = 6) -> np.ndarray:
    random = np.random.default_rng(seed)
    return np.cumsum(random.standard_t(4, (count, leads)) + random.normal(0.0, 1.0, leads), axis=1)


def own(errors: np.ndarray) -> np.ndarray:
    return np.quantile(errors, LEVELS, axis=0)


@given(SEEDS, st.floats(0.5, 2.0), st.floats(-5.0, 5.0))
@settings(max_examples=20)
def test_the_paths_have_the_quantiles_that_are_told(seed: int, wider: float, moved: float) -> None:
    told = own(paths(seed)) * wider + moved
    np.testing.assert_allclose(own(dressed(paths(seed), LEVELS, told)), told, atol=1e-9)


@given(SEEDS)
@settings(max_examples=20)
def test_each_path_keeps_its_place_among_the_others(seed: int) -> None:
    errors, told = paths(seed), np.array([[-3.0] * 6, [1.0] * 6, [2.0] * 6])
    found = dressed(errors, LEVELS, told)
    assert (np.argsort(found, axis=0) == np.argsort(errors, axis=0)).all()


def test_where_nothing_is_told_the_paths_stay_as_they_are() -> None:
    errors, told = paths(1), own(paths(2))
    told[0, 2:4] = np.nan
    found = dressed(errors, LEVELS, told)
    assert (found[:, 2:4] == errors[:, 2:4]).all()
    assert np.abs(found[:, :2] - errors[:, :2]).min() > 0.0


def test_what_lies_beyond_the_outer_quantiles_is_stretched_so_far_only_and_alike_paths_not_at_all() -> None:
    errors = paths(3)
    low, middle, high = own(errors)
    far = dressed(errors, LEVELS, np.array([[-1e3], [0.0], [1e3]]) * np.ones(6))
    np.testing.assert_allclose(np.maximum(far - 1e3, 0.0), MOST * np.maximum(errors - high, 0.0), atol=1e-9)
    np.testing.assert_allclose(np.maximum(-1e3 - far, 0.0), MOST * np.maximum(low - errors, 0.0), atol=1e-9)
    assert (far[errors > middle] > 0.0).all()
    alike = dressed(np.full((5, 2), 3.0), LEVELS, np.array([[-1.0], [0.5], [1.0]]) * np.ones(2))
    assert (alike == 0.5).all()
