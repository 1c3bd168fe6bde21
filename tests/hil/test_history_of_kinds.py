"""A simulated past of sites with wind, heat and fuel: what their devices tell is in it, and forecasts of the wind."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from kinds_stage import site_with
from test_history_command import frame, issues
from test_pretend_turbines import TURBINE

from ems.config.loading import load_site
from ems.config.site import Site
from ems.config.sites import find_site
from ems.study.bench import Period
from ems.study.past_series import site_series
from hil.history import Order, write_history
from optimization.forecast.features import quarter_means
from optimization.forecast.methods import Asked
from optimization.forecast.quarters import Calendar

UTC_DAYS = Calendar(UTC)


def lived(site: Site, folder: Path) -> Path:
    first, last = (datetime(2025, 2, day) for day in (3, 4))  # noqa: DTZ001 - local days
    write_history(Order(site, 3, first, last, "none", 300.0), folder)
    return folder


@pytest.fixture(scope="module")
def heat(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    return frame(lived(load_site(find_site("demo_heat")), tmp_path_factory.mktemp("heat")))


@pytest.mark.parametrize(
    ("power", "register"),
    [
        ("heat_meter.heat_kw", "heat_meter.heat_kwh"),
        ("far_meter.heat_kw", "far_meter.heat_kwh"),
        ("boiler_gateway.fuel_kw", "boiler_gateway.fuel_kwh"),
    ],
)
def test_heat_and_fuel_are_means_of_what_their_registers_count(heat: pd.DataFrame, power: str, register: str) -> None:
    whole = heat[[power, register]].iloc[1:].dropna()
    assert len(whole) > 60 and heat[power].max() > 5.0
    assert np.isnan(heat[power].iloc[0])  # nothing has passed yet
    grown = heat[register].diff().iloc[1:].dropna() * 4.0
    np.testing.assert_allclose(heat[power].loc[grown.index], grown, atol=0.011)


def test_every_power_and_state_of_a_heat_site_has_a_series(heat: pd.DataFrame) -> None:
    assert heat.notna().any().all()
    assert {"main_pump.sent_kw", "engine_gateway.power_kw", "tank_probes.top_c"} <= set(heat.columns)


def test_the_wind_its_forecasts_and_what_a_turbine_gave_are_there(tmp_path: Path) -> None:
    folder = lived(site_with(tmp_path / "site", TURBINE), tmp_path / "past")
    told = frame(folder)
    wind, power = told["weather.wind_m_s"].iloc[1:], told["turbine.power_kw"].iloc[1:]
    assert 0.0 <= wind.min() < wind.max() < 40.0
    known = power.notna()
    assert np.corrcoef(wind[known] ** 3, -power[known])[0, 1] > 0.8
    published = [series for series in issues(folder, "weather") if series.point == "wind_m_s"]
    assert {series.unit for series in published} == {"m/s"} and len(published) >= 4
    first = published[0]
    assert first.issued_at == datetime(2025, 2, 2, 23, tzinfo=UTC) and len(first.values) == 54
    ahead = np.array([value for value in first.values[:24] if value is not None])
    true = wind.to_numpy().reshape(24, 4).mean(axis=1)
    assert 0.01 < np.abs(ahead - true).mean() < 4.0  # it is a forecast, and no other wind
    shutil.copytree(folder, tmp_path / "site", dirs_exist_ok=True)
    site = load_site(tmp_path / "site")
    start = datetime(2025, 2, 3, 12, tzinfo=UTC)
    series = site_series(site, Period(start, start + timedelta(hours=6)))["turbine"]
    at_s = start.timestamp() + 900.0 * (np.arange(24) + 0.5)
    (by_model, *_) = series.methods["wind"](Asked(series.past, at_s, start.timestamp(), UTC_DAYS, beside=series.beside))
    came = quarter_means(series.past, at_s)
    assert np.nanmean(np.abs(by_model - came)) < np.nanmean(np.abs(came)) + 1.0
    assert series.bounds == (0.0, 15.0)


def test_loads_of_heat_are_tried_on_what_is_recorded() -> None:
    site, start = load_site(find_site("demo_heat")), datetime(2025, 2, 3, 12, tzinfo=UTC)
    loads = {name for name, spec in site.file.assets.items() if spec.kind == "heat_load"}
    found = site_series(site, Period(start, start + timedelta(hours=6)))
    assert loads and loads <= set(found)
