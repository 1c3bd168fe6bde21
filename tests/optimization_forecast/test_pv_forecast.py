"""Sun to power: the formula against numbers by hand, the bounds, and the calibration by what was measured."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimization.forecast.past import Past
from optimization.forecast.pv import BOUNDS, Calibration, PvPlant, apply_calibration, calibrate, pv_power_kw

PLANT = PvPlant(module_kw=88.0, rated_kw=80.0, temperature_per_k=-0.004)
STEP_S = 300.0


@pytest.mark.parametrize(
    ("irradiance", "outdoor_c", "power_kw"),
    [
        (0.0, 10.0, 0.0),
        (500.0, 10.0, 44.0),  # cells at 25 degC
        (500.0, 35.0, 44.0 * 0.9),  # cells at 50 degC
        (200.0, -1.0, 17.6 * 1.08),  # cells at 5 degC
        (1000.0, -5.0, 80.0),  # cut at the inverter's rating
    ],
)
def test_the_formula(irradiance: float, outdoor_c: float, power_kw: float) -> None:
    got = pv_power_kw(PLANT, np.array([irradiance]), np.array([outdoor_c]))
    assert got[0] == pytest.approx(power_kw)


@settings(max_examples=100, deadline=None)
@given(st.floats(0, 1500), st.floats(-40, 60))
def test_it_stays_between_nothing_and_the_rating(irradiance: float, outdoor_c: float) -> None:
    got = pv_power_kw(PLANT, np.array([irradiance]), np.array([outdoor_c]))[0]
    assert 0.0 <= got <= PLANT.rated_kw


def share(measured_kw: list[float], computed_kw: list[float], limited: list[float] | None = None) -> Calibration:
    at_s = STEP_S * np.arange(len(measured_kw))
    held = np.zeros(len(measured_kw)) if limited is None else np.array(limited)
    past = Past(at_s, np.array(measured_kw), STEP_S)
    return calibrate(past, np.array(computed_kw), held, PLANT, float(STEP_S * len(measured_kw)))


def test_it_learns_a_dirty_roof_and_todays_clouds() -> None:
    day = [50.0] * 60
    assert share([45.0] * 60, day) == Calibration(pytest.approx(0.9), pytest.approx(0.9), pytest.approx(0.9))
    cloudy = share([45.0] * 48 + [20.0] * 12, day)
    assert cloudy.short == pytest.approx(0.4)
    assert cloudy.long == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("measured", "computed", "limited"),
    [
        ([10.0] * 12, [50.0] * 12, [1.0] * 12),  # held back by a limit
        ([0.0] * 12, [1.0] * 12, None),  # dusk
        ([np.nan] * 12, [50.0] * 12, None),  # not measured
        ([10.0] * 12, [np.nan] * 12, None),  # nothing was published
        ([60.0] * 12, [80.0] * 12, None),  # at the rating
    ],
)
def test_it_learns_nothing_from(measured: list[float], computed: list[float], limited: list[float] | None) -> None:
    assert share(measured, computed, limited) == Calibration(1.0, 1.0)


def test_it_is_bounded() -> None:
    assert share([0.0] * 12, [50.0] * 12).long == BOUNDS[0]
    assert share([70.0] * 12, [10.0] * 12).long == BOUNDS[1]


def test_the_short_share_fades_into_the_long_one() -> None:
    ahead_s = np.array([0.0, 7200.0, 1e6])
    got = apply_calibration(np.full(3, 50.0), Calibration(long=0.9, short=0.5), ahead_s, 80.0)
    assert got[0] == pytest.approx(25.0)
    assert got[1] == pytest.approx(50.0 * (0.9 - 0.4 * np.exp(-1.0)))
    assert got[2] == pytest.approx(45.0)
    assert apply_calibration(np.array([79.0]), Calibration(1.3, 1.3), np.array([0.0]), 80.0)[0] == 80.0


def test_a_cloud_that_passes_moves_the_last_hours_mean_and_not_its_median() -> None:
    day = [50.0] * 60
    found = share([45.0] * 57 + [9.0] * 3, day)
    assert found.short < 0.8
    assert found.usual == pytest.approx(0.9)
