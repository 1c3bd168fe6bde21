"""The pretend wind and its turbine, and a house whose daemon plans with one at the export limit."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kinds_stage import site_with, steered

from hil.plant.ambient import Ambient
from hil.plant.draws import stream
from hil.plant.recorded import RecordedWeather, RecordError, Track
from hil.plant.weather import GUSTS, Era, Kind, Weather
from hil.plant.wind import Turbine

START = datetime(2025, 1, 20, tzinfo=UTC)
TURBINE = {
    "planning": {"horizon_h": 6},
    "devices": {"turbine": {"protocol": "modbus", "profile": "sunspec_pv", "port": 17033, "mode": "control",
                            "safe": {"limit_kw": 4}}},
    "assets": {"turbine": {"kind": "wind", "device": "turbine", "bus": "house", "rated_kw": 15, "hub_m": 30}},
}  # fmt: skip


def made() -> Turbine:
    return Turbine("house", 10.0, 10.0, 3.0, 12.0, 25.0)


def blown(turbine: Turbine, wind_m_s: float, seconds: float = 120.0, **ambient) -> float:
    for _ in range(int(seconds / 2.0)):
        turbine.step(Ambient(wind_m_s=wind_m_s, outdoor_c=15.0, **ambient), 2.0)
    return -turbine.power_kw


def test_its_curve_rises_with_the_cube_and_is_cut_at_both_ends() -> None:
    turbine = made()
    given_kw = turbine.available_kw(np.array([0.0, 2.9, 6.0, 12.0, 13.0, 24.9, 25.0]), 15.0)
    expected = [0.0, 0.0, 10.0 / 8.0 * 0.75, 10.0 * (1.0 - 1.0 / 16.0), 10.0, 10.0, 0.0]
    assert given_kw == pytest.approx(expected)
    assert turbine.available_kw(8.0, -15.0) > turbine.available_kw(8.0, 30.0)
    assert Turbine("house", 10.0, 40.0, 3.0, 12.0, 25.0).hub_m_s(5.0) > 6.0


def test_it_follows_wind_and_limit_slowly_and_stands_in_storm_and_darkness() -> None:
    turbine = made()
    assert 0.0 < blown(turbine, 14.0, 4.0) < 10.0
    assert blown(turbine, 14.0) == pytest.approx(10.0)
    turbine.command(-4.0)
    assert blown(turbine, 14.0) == pytest.approx(4.0)
    turbine.command(None)
    assert blown(turbine, 14.0, dark=frozenset({"house"})) == 0.0
    assert blown(turbine, 26.0) == 0.0 and turbine.stormed
    assert blown(turbine, 24.0) == 0.0
    assert blown(turbine, 15.0, 600.0) == pytest.approx(10.0)


@settings(max_examples=30)
@given(wind=st.lists(st.floats(0.0, 40.0), min_size=1, max_size=10), limit=st.none() | st.floats(0.0, 20.0))
def test_it_never_takes_power_and_never_gives_more_than_its_rating(wind, limit) -> None:
    turbine = made()
    turbine.command(limit)
    for speed in wind:
        assert 0.0 <= blown(turbine, speed, 20.0) <= min(10.0, 10.0 if limit is None else limit) + 1e-9


def test_wind_is_foreseen_in_part_and_gusts_are_not() -> None:
    weather = Weather(START, 6 * 3600.0, Kind.WINTER, Era(3))
    wind = np.array([weather.wind_m_s(10.0 * n) for n in range(6 * 360)])
    assert wind.min() >= 0.0 and 1.0 < wind.mean() < 15.0
    slow = np.interp(np.arange(len(wind)) / 360.0, np.arange(7), weather.wind.truth[:7])
    assert (wind / slow).std() == pytest.approx(GUSTS, rel=0.3)
    assert weather.foreseen_wind_m_s(5, 0, 5) == pytest.approx((slow[0:1800:360] + slow[360:2160:360]) / 2.0)
    altered = Weather(START, 6 * 3600.0, Kind.WINTER, Era(3, 3 * 3600.0, 4))
    assert altered.wind_m_s(3 * 3600.0 - 10.0) == weather.wind_m_s(3 * 3600.0 - 10.0)
    assert altered.wind_m_s(6 * 3600.0 - 10.0) != weather.wind_m_s(6 * 3600.0 - 10.0)


def test_a_history_holds_no_wind_and_says_so() -> None:
    flat = Track("outdoor", START, 3600.0, np.ones(4))
    weather = RecordedWeather(START, 7200.0, outdoor=flat, irradiance=flat)
    with pytest.raises(RecordError, match="nothing is recorded of it 60 s after the start; leave the turbine out"):
        weather.wind_m_s(60.0)


def test_a_drawn_turbine_is_no_better_than_its_data_sheet() -> None:
    for seed in range(4):
        turbine = Turbine.drawn(stream(seed, "t"), bus="house", rated_kw=10.0, hub_m=30.0, speeds_m_s=(3.0, 12.0, 25.0))
        assert turbine.full_m_s > 12.0 and turbine.rated_kw == 10.0


def test_the_daemon_foresees_wind_and_holds_the_turbine_back_at_the_export_limit(tmp_path: Path) -> None:
    site = site_with(tmp_path / "house", {**TURBINE, "grid": {"export_limit_kw": 1.5}})
    arm, world = steered(site, 0.5, "winter_day", seed=2, start=START.replace(tzinfo=None) + timedelta(hours=1))
    published = world.published.document("weather", world.now)
    assert [series["point"] for series in published["series"]] == ["outdoor_c", "irradiance_w_m2", "wind_m_s"]
    given_kw = -np.array(arm.track["turbine:kw"])
    free_kw = world.plant.truth(world.plant.start, world.now)["available_kw:turbine"]
    assert free_kw.max() > 2.0
    assert 0.5 < given_kw.max() < 1.5
    assert given_kw.min() >= 0.0 and (given_kw <= free_kw + 1.5).all()
    assert arm.verdict["peak_export_kw"] <= 1.5
    assert arm.counters["setpoints"]["verified"] >= 0.95 * arm.counters["setpoints"]["issued"]
