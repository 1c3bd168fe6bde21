"""The sun on planes: against pvlib called another way round, and laws that hold at any place and hour."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pvlib import irradiance
from pvlib.location import Location
from pvlib.modelchain import ModelChain
from pvlib.pvsystem import Array, FixedMount, PVSystem

from optimization.forecast.clear_sky import sunlight_at
from optimization.forecast.planes import Light, Place, Plane
from optimization.forecast.sunlight import ROOM, Sunlight

HANOVER = Place(52.4, 9.7, 60.0)
DAY = datetime(2025, 5, 20, tzinfo=UTC).timestamp()
QUARTERS = 450.0 + 900.0 * np.arange(96)
PLANES = (Plane(30.0, 180.0), Plane(15.0, 90.0), Plane(15.0, 270.0), Plane(90.0, 0.0))

places = st.builds(Place, st.floats(-65, 65), st.floats(-180, 180), st.floats(0, 2500))
instants = st.integers(0, 365 * 96 - 1).map(lambda quarter: DAY + 450.0 + 900.0 * quarter)
planes = st.builds(Plane, st.floats(0, 90), st.floats(0, 360))


def only_global(w_m2: np.ndarray) -> Light:
    nothing = np.full(len(w_m2), np.nan)
    return Light(w_m2, nothing, nothing)


def hazy(place: Place, at_s: np.ndarray, share: float = 0.7) -> np.ndarray:
    return share * sunlight_at(place).at(at_s).clear.global_w_m2


# ---- pairs


@pytest.mark.parametrize("plane", PLANES, ids=str)
def test_with_all_three_published_it_is_what_pvlibs_model_chain_says(plane: Plane) -> None:
    at_s = DAY + QUARTERS
    times = pd.to_datetime(at_s, unit="s", utc=True)
    site = Location(HANOVER.latitude_deg, HANOVER.longitude_deg, altitude=HANOVER.altitude_m)
    weather = 0.8 * site.get_clearsky(times)
    modules = {"pdc0": 1.0, "gamma_pdc": -0.004}
    array = Array(
        FixedMount(plane.tilt_deg, plane.azimuth_deg),
        module_parameters=modules,
        temperature_model_parameters={"a": -3.5, "b": -0.06, "deltaT": 3.0},
    )
    chain = ModelChain(
        PVSystem([array], inverter_parameters={"pdc0": 1.0}), site, aoi_model="no_loss", spectral_model="no_loss"
    )
    chain.prepare_inputs(weather)
    light = Light(*(weather[key].to_numpy() for key in ("ghi", "dni", "dhi")))
    got = sunlight_at(HANOVER).on_planes([plane], at_s, light)[0]
    np.testing.assert_allclose(got, chain.results.total_irrad["poa_global"].fillna(0.0), atol=1e-6)


def test_of_the_global_alone_the_rest_is_reckoned_as_pvlib_does() -> None:
    at_s = DAY + QUARTERS
    times = pd.to_datetime(at_s, unit="s", utc=True)
    sun = Location(HANOVER.latitude_deg, HANOVER.longitude_deg, altitude=HANOVER.altitude_m).get_solarposition(times)
    whole = hazy(HANOVER, at_s)
    split = irradiance.erbs(whole, sun["apparent_zenith"], times)
    high = (sun["apparent_zenith"] < 80.0).to_numpy()
    for plane in PLANES:
        told = irradiance.get_total_irradiance(
            plane.tilt_deg, plane.azimuth_deg, sun["apparent_zenith"], sun["azimuth"],
            split["dni"], whole, split["dhi"], dni_extra=irradiance.get_extra_radiation(times), model="haydavies",
        )  # fmt: skip
        got = sunlight_at(HANOVER).on_planes([plane], at_s, only_global(whole))[0]
        np.testing.assert_allclose(got[high], told["poa_global"].to_numpy()[high], rtol=1e-9)
    assert high.sum() > 40


def test_the_cloudless_sky_is_pvlibs() -> None:
    at_s = DAY + QUARTERS
    site = Location(HANOVER.latitude_deg, HANOVER.longitude_deg, altitude=HANOVER.altitude_m)
    told = site.get_clearsky(pd.to_datetime(at_s, unit="s", utc=True))
    clear = sunlight_at(HANOVER).at(at_s).clear
    # Location takes the earth's distance from another series, and turbidity within the month from another line.
    np.testing.assert_allclose(clear.global_w_m2, told["ghi"], rtol=0.01, atol=2.0)
    np.testing.assert_allclose(clear.direct_w_m2, told["dni"], rtol=0.02, atol=5.0)


@pytest.mark.parametrize("beside", ["direct", "diffuse"])
def test_one_published_share_closes_the_sum(beside: str) -> None:
    at_s = DAY + QUARTERS
    clear = sunlight_at(HANOVER).at(at_s).clear
    nothing = np.full(96, np.nan)
    one = Light(
        clear.global_w_m2,
        clear.direct_w_m2 if beside == "direct" else nothing,
        clear.diffuse_w_m2 if beside == "diffuse" else nothing,
    )
    got, told = (sunlight_at(HANOVER).on_planes(PLANES, at_s, light) for light in (one, clear))
    np.testing.assert_allclose(got, told, atol=15.0)
    noon = slice(36, 56)
    np.testing.assert_allclose(got[:, noon], told[:, noon], rtol=1e-6)


# ---- laws


@settings(max_examples=40, deadline=None)
@given(places, instants, planes, st.floats(0, 1200))
def test_while_the_sun_is_down_nothing_falls_on_anything(place: Place, at_s: float, plane: Plane, w_m2: float) -> None:
    light, instant = Sunlight(place), np.array([at_s])
    if light.at(instant).zenith_deg[0] >= 90.0:
        assert light.on_planes([plane], instant, only_global(np.array([w_m2])))[0, 0] == 0.0
        assert light.clear_on_planes([plane], instant)[0, 0] == 0.0


@settings(max_examples=40, deadline=None)
@given(places, instants, st.floats(0, 1.1))
def test_a_flat_roof_gets_what_falls_on_the_horizontal(place: Place, at_s: float, share: float) -> None:
    instant = np.array([at_s])
    whole = hazy(place, instant, share)
    got = sunlight_at(place).on_planes([Plane(0.0, 123.0)], instant, only_global(whole))[0]
    np.testing.assert_allclose(got, whole, atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(places, instants, st.floats(0, 90), st.floats(0, 180), st.floats(0, 1.1))
def test_to_the_left_and_to_the_right_of_the_sun_it_is_one(
    place: Place, at_s: float, tilt: float, off: float, share: float
) -> None:
    instant = np.array([at_s])
    towards = sunlight_at(place).at(instant).azimuth_deg[0]
    pair = [Plane(tilt, (towards + side * off) % 360.0) for side in (-1.0, 1.0)]
    left, right = sunlight_at(place).on_planes(pair, instant, only_global(hazy(place, instant, share)))
    np.testing.assert_allclose(left, right, atol=1e-6)


def test_at_noon_the_sun_stands_in_the_south_so_that_east_and_west_are_one() -> None:
    at_s = DAY + 60.0 * np.arange(1440)
    noon = at_s[[np.argmin(sunlight_at(HANOVER).at(at_s).zenith_deg)]]
    assert abs(sunlight_at(HANOVER).at(noon).azimuth_deg[0] - 180.0) < 0.5
    east, west = sunlight_at(HANOVER).clear_on_planes(PLANES[1:3], noon)
    np.testing.assert_allclose(east, west, rtol=0.005)


@settings(max_examples=60, deadline=None)
@given(places, instants, planes, st.floats(0, 1500))
def test_whatever_is_published_nothing_outshines_the_sun(place: Place, at_s: float, plane: Plane, w_m2: float) -> None:
    instant, light = np.array([at_s]), sunlight_at(place)
    sun = light.at(instant)
    most = sun.extra_w_m2[0] * np.maximum(np.cos(np.radians(sun.zenith_deg[0])), 0.0)
    whole = np.array([min(w_m2, most)])
    got = light.on_planes([plane], instant, only_global(whole))[0, 0]
    assert 0.0 <= got <= 1.15 * sun.extra_w_m2[0]
    if sun.zenith_deg[0] >= 80.0:
        low = 1.1 * sun.clear.direct_w_m2[0]
        # The circumsolar part of the diffuse light is a share of it, and comes from where the direct light does.
        assert got <= low + whole[0] * (2.0 + low / sun.extra_w_m2[0] * 57.3)


def test_a_mean_over_the_hour_of_sunrise_makes_no_flash_on_a_facade() -> None:
    minutes = DAY + 60.0 * np.arange(360)
    low = minutes[[np.argmin(np.abs(sunlight_at(HANOVER).at(minutes).zenith_deg - 86.5))]]
    sun = sunlight_at(HANOVER).at(low)
    whole = np.array([80.0])
    by_erbs = irradiance.erbs(whole, sun.zenith_deg, 140)["dni"][0]
    got = sunlight_at(HANOVER).on_planes([Plane(90.0, float(sun.azimuth_deg[0]))], low, only_global(whole))[0, 0]
    assert by_erbs > 1000.0
    assert got < 400.0


def test_where_nothing_was_published_nothing_is_known_by_day() -> None:
    at_s = DAY + QUARTERS
    got = sunlight_at(HANOVER).on_planes(PLANES, at_s, only_global(np.full(96, np.nan)))
    up = sunlight_at(HANOVER).at(at_s).is_up > 0.0
    assert np.isnan(got[:, up]).all() and (got[:, ~up] == 0.0).all()


@pytest.mark.parametrize("day", ["2025-03-30", "2025-10-26"])
def test_the_sun_knows_nothing_of_summer_time(day: str) -> None:
    start_s = datetime.fromisoformat(f"{day}T00:00+00:00").timestamp()
    before, after = (sunlight_at(HANOVER).clear_on_planes(PLANES, start_s + by + QUARTERS) for by in (-86400.0, 0.0))
    assert (np.abs(before.argmax(axis=1) - after.argmax(axis=1)) <= 1).all()
    np.testing.assert_allclose(before.sum(axis=1), after.sum(axis=1), rtol=0.03)


def test_what_was_reckoned_once_is_remembered_and_old_days_are_forgotten() -> None:
    light, at_s = Sunlight(HANOVER), DAY + QUARTERS
    first = light.at(at_s)
    year = DAY + 900.0 * np.arange(ROOM)
    light.at(year)
    again = light.at(at_s)
    np.testing.assert_array_equal(again.zenith_deg, first.zenith_deg)
    assert len(light._at_s) <= ROOM + 96
