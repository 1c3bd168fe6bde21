"""The cloudless sky times what the plant itself has lately found of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from optimization.forecast.clear_sky import CLOUDS_S, ClearSky, OnPlanes, sunlight_at
from optimization.forecast.methods import LEVELS, Asked, TooLittleKnown
from optimization.forecast.past import DAY_S, QUARTER_S, Past
from optimization.forecast.planes import Light, Place, Plane
from optimization.forecast.published import Issue, PublishedPast
from optimization.forecast.pv import PvPlant, pv_foreseen, pv_power_kw
from optimization.forecast.quarters import Calendar

LIGHT = sunlight_at(Place(52.4, 9.7, 60.0))
NOON = datetime(2025, 5, 20, 11, 0, tzinfo=UTC).timestamp()
BERLIN = Calendar(ZoneInfo("Europe/Berlin"))
SOUTH = ClearSky(PvPlant(66.0, 60.0, -0.004), (Plane(30.0, 180.0),), LIGHT)
AHEAD_S = NOON + QUARTER_S * (np.arange(96) + 0.5)


def measured(sky: ClearSky, share: np.ndarray | float) -> Past:
    """Measure three days up to noon."""
    at_s = NOON - QUARTER_S * np.arange(288, 0, -1)
    return Past(at_s, np.minimum(share * sky.clear_kw(at_s + QUARTER_S / 2.0), sky.plant.rated_kw), QUARTER_S)


def facing(*azimuth_deg: float, tilt_deg: float = 30.0) -> ClearSky:
    share = 1.0 / len(azimuth_deg)
    planes = tuple(Plane(tilt_deg, each, share) for each in azimuth_deg)
    return ClearSky(PvPlant(66.0, 60.0, -0.004, (share,) * len(planes)), planes, LIGHT)


def peak_h(kw: np.ndarray) -> float:
    return float((AHEAD_S[kw.argmax()] % DAY_S) / 3600.0)


def test_a_sky_that_was_half_clear_stays_so_day_and_night() -> None:
    got = SOUTH(Asked(measured(SOUTH, 0.5), AHEAD_S, NOON, BERLIN))
    assert got.shape == (len(LEVELS), 96)
    np.testing.assert_allclose(got[1], 0.5 * SOUTH.clear_kw(AHEAD_S))
    assert (got[:, LIGHT.at(AHEAD_S).is_up == 0.0] == 0.0).all()


def test_what_was_seen_of_the_sky_spreads_the_quantiles_more_and_more() -> None:
    seen = measured(SOUTH, np.tile([0.2, 0.5, 0.8], 96))
    low, middle, high = SOUTH(Asked(seen, AHEAD_S, NOON, BERLIN))
    clear = np.maximum(SOUTH.clear_kw(AHEAD_S), 1e-9)
    up = clear > 5.0
    assert (low[up] < middle[up]).all() and (middle[up] < high[up]).all()
    assert (high - low)[up][0] / clear[up][0] < 0.1
    assert (high - low)[80] / clear[80] == pytest.approx(0.6, abs=0.02)
    np.testing.assert_allclose(middle, SOUTH.foreseen_kw(seen, AHEAD_S, NOON))
    assert ((low >= 0.0) & (high <= 60.0)).all()


def test_the_last_hour_counts_for_hours_and_the_last_days_after_that() -> None:
    share = np.where(np.arange(288) >= 284, 0.1, 0.8)
    got = SOUTH.foreseen_kw(measured(SOUTH, share), AHEAD_S, NOON) / np.maximum(SOUTH.clear_kw(AHEAD_S), 1e-9)
    assert 0.1 < got[0] < 0.16
    long = got[80]
    assert 0.6 < long < 0.8
    assert got[8] == pytest.approx(long + (0.1 - long) * np.exp(-(AHEAD_S[8] - NOON) / CLOUDS_S), rel=0.02)


def test_where_no_sun_was_measured_nothing_is_said() -> None:
    at_s = NOON - QUARTER_S * np.arange(288, 0, -1)
    for value in (np.full(288, np.nan), np.empty(0)):
        with pytest.raises(TooLittleKnown, match="no sun of the last three days"):
            SOUTH.foreseen_kw(Past(at_s[: len(value)], value, QUARTER_S), AHEAD_S, NOON)


def test_a_small_inverter_hides_nothing_of_a_dim_day_and_is_never_exceeded() -> None:
    small = replace(SOUTH, plant=replace(SOUTH.plant, rated_kw=30.0))
    dim, bright = (small.foreseen_kw(measured(small, share), AHEAD_S, NOON) for share in (0.4, 1.0))
    np.testing.assert_allclose(dim, np.minimum(0.4 * SOUTH.clear_kw(AHEAD_S), 30.0))
    assert dim.max() < 30.0
    assert bright.max() == 30.0


def test_one_that_faces_east_peaks_before_noon_and_one_that_faces_west_after_it() -> None:
    east, south, west = (peak_h(facing(each).clear_kw(AHEAD_S)) for each in (90.0, 180.0, 270.0))
    assert east < south - 1.0 < south + 1.0 < west
    assert south == pytest.approx(11.3, abs=0.3)  # at 9.7 degrees east


def test_two_planes_behind_one_inverter_add_up() -> None:
    both, east, west = facing(90.0, 270.0), facing(90.0), facing(270.0)
    got = both.clear_kw(AHEAD_S)
    np.testing.assert_allclose(got, (east.clear_kw(AHEAD_S) + west.clear_kw(AHEAD_S)) / 2.0)
    assert got.max() < max(east.clear_kw(AHEAD_S).max(), west.clear_kw(AHEAD_S).max())


def test_each_plane_has_a_temperature_of_its_own() -> None:
    plant = PvPlant(66.0, 60.0, -0.004, (0.25, 0.75))
    got = pv_power_kw(plant, np.array([[800.0], [200.0]]), np.array([20.0]))[0]
    one, other = (66.0 * g / 1000.0 * (1.0 - 0.004 * (20.0 + 0.03 * g - 25.0)) for g in (800.0, 200.0))
    assert got == pytest.approx(0.25 * one + 0.75 * other)


def test_published_light_on_the_horizontal_is_told_on_planes_as_it_was_known() -> None:
    start_s, sky = NOON - 11 * 3600.0, facing(90.0, 270.0)
    at_s = start_s + QUARTER_S * np.arange(96)
    whole = 0.7 * LIGHT.at(at_s + 450.0).clear.global_w_m2
    issue = Issue(start_s, QUARTER_S, whole)
    lit = OnPlanes(LIGHT, sky.planes, PublishedPast(np.array([start_s]), (issue,)))
    nothing = np.full(96, np.nan)
    told = lit.told(at_s, np.full(96, QUARTER_S), NOON)
    np.testing.assert_allclose(told, LIGHT.on_planes(sky.planes, at_s + 450.0, Light(whole, nothing, nothing)))
    assert np.isnan(lit.told(at_s, np.full(96, QUARTER_S), start_s - 1.0)[:, 44]).all()
    warm = PublishedPast(np.array([start_s]), (Issue(start_s, QUARTER_S, np.full(96, 15.0)),))
    ahead_s = at_s[48:] + 450.0
    power = pv_power_kw(sky.plant, told, np.full(96, 15.0))
    past = Past(at_s, 0.9 * power, QUARTER_S)
    got = pv_foreseen(sky.plant, past, (lit, warm), ahead_s, at_s[48])
    np.testing.assert_allclose(got, 0.9 * power[48:], rtol=1e-9)
