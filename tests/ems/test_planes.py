"""Modules with planes on their way: feed, foresight, ladder and question; and a site without a weather feed."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from planning_kit import StoredFeed, demo_site, feeds
from pvlib import irradiance
from pvlib.location import Location
from question_kit import asked
from stage import NOW, make_site
from stage import SITE as STAGE
from test_load_ladders import Journal

from ems.clock import SimulatedClock
from ems.config.loading import load_site
from ems.config.planes import ModulePlane
from ems.config.site import Site
from ems.slow.feed_desk import GHI, IRRADIANCE, POINTS, FeedDesk
from ems.slow.foreseen_kinds import CLEAR_SKY, Known, kinds_of
from ems.slow.load_ladders import LoadLadders
from ems.slow.sunshine import clear_skies
from ems.study import past_series
from ems.study.bench import Period
from ems.study.past_series import site_series
from optimization.forecast.methods import Asked
from optimization.forecast.past import QUARTER_S, Past
from optimization.forecast.published import Issue, PublishedPast
from optimization.forecast.quarters import Calendar
from optimization.problem import Problem
from optimization.slots import uniform

SITES = Path(__file__).resolve().parents[2] / "sites"
PLACE = {"site.latitude_deg": 52.4, "site.longitude_deg": 9.7, "site.altitude_m": 60.0}
WHERE = Location(52.4, 9.7, altitude=60.0)
EAST, SOUTH, WEST = ({"tilt_deg": 30.0, "azimuth_deg": azimuth} for azimuth in (90.0, 180.0, 270.0))
TOMORROW = datetime(2025, 5, 21, tzinfo=UTC)


def facing(*planes: Mapping[str, float], **changes: Any) -> Site:
    each = [{**plane, "share": 1.0 / len(planes)} for plane in planes]
    return make_site({**PLACE, "planning.horizon_h": 40.0, "assets.pv.planes": each, **changes})


def without_weather(*planes: Mapping[str, float]) -> Site:
    kept = {name: feed for name, feed in STAGE["feeds"].items() if name != "weather"}
    assets = {name: asset for name, asset in STAGE["assets"].items() if name != "heat"}
    site = {**STAGE["site"], "latitude_deg": 52.4, "longitude_deg": 9.7, "altitude_m": 60.0}
    assets["pv"] = {**assets["pv"], "planes": [{**plane, "share": 1.0 / len(planes)} for plane in planes]}
    return make_site({"feeds": kept, "assets": assets, "site": site})


def ghi(hour: float) -> float:
    """Publish three quarters of a cloudless sky, as means over hours of UTC."""
    times = pd.to_datetime(3600.0 * hour + 150.0 + 300.0 * np.arange(12), unit="s", utc=True)
    return float(0.75 * WHERE.get_clearsky(times)["ghi"].mean())


def sunny(hours: int = 60, **formulas: Any) -> dict[str, StoredFeed]:
    told = feeds()
    outdoor = told["weather"].formulas["outdoor_c"]
    told["weather"] = StoredFeed({"outdoor_c": outdoor, **(formulas or {GHI: ghi})}, hours)
    return told


def foreseen(problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """Give the middles of the slots of tomorrow [h of UTC] and what the plant may give in them [kW]."""
    slots = problem.slots
    hour = (slots.start - TOMORROW).total_seconds() / 3600.0 + (slots.offset_s + slots.duration_s / 2.0) / 3600.0
    told: Any = problem.inputs["pv"]
    kept = (hour > 0.0) & (hour < 24.0)
    return hour[kept], told.available_kw[kept]


def by_pvlib(plane: Mapping[str, float], hours: np.ndarray) -> np.ndarray:
    """Compute what 66 kW of modules give tomorrow, from the published hours, each taken at its own middle."""
    middles = pd.to_datetime(TOMORROW.timestamp() + 3600.0 * (np.arange(24) + 0.5), unit="s", utc=True)
    sun, whole = WHERE.get_solarposition(middles), np.array([ghi(t.timestamp() // 3600.0) for t in middles])
    split = irradiance.erbs(whole, sun["apparent_zenith"], middles)
    light = irradiance.get_total_irradiance(
        plane["tilt_deg"], plane["azimuth_deg"], sun["apparent_zenith"], sun["azimuth"], split["dni"], whole,
        split["dhi"], dni_extra=irradiance.get_extra_radiation(middles), model="haydavies",
    )["poa_global"].fillna(0.0)  # fmt: skip
    outdoor = 2.0 + 3.0 * np.sin((np.arange(24) - 9.0) / 24.0 * 2.0 * np.pi)
    power = 66.0 * light / 1000.0 * (1.0 - 0.004 * (outdoor + 0.03 * light - 25.0))
    return np.interp(hours, np.arange(24) + 0.5, power)


# ---- what is published of the horizontal


@pytest.mark.parametrize("plane", [EAST, SOUTH, WEST], ids=["east", "south", "west"])
async def test_the_question_foresees_a_plane_from_the_sun_on_the_horizontal(tmp_path: Path, plane: Any) -> None:
    problem = await asked(tmp_path, facing(plane), {"inverter.limit_kw": 60.0}, feeds_=sunny())
    hours, got_kw = foreseen(problem)
    told_kw = by_pvlib(plane, hours)
    bright = (hours > 6.0) & (hours < 17.0)
    share = got_kw[bright] / told_kw[bright]
    # It has given 10 kW so far, and is taken to go on giving that share of what is reckoned.
    assert share.std() < 0.05 * share.mean()
    assert (got_kw[(hours < 2.5) | (hours > 20.0)] == 0.0).all()


async def test_one_that_faces_east_peaks_before_noon_and_one_that_faces_west_after_it(tmp_path: Path) -> None:
    peaks = []
    for number, plane in enumerate((EAST, SOUTH, WEST)):
        hours, got_kw = foreseen(await asked(tmp_path / str(number), facing(plane), {}, feeds_=sunny()))
        peaks.append(hours[got_kw.argmax()])
    assert peaks[0] < peaks[1] - 1.0 < peaks[1] + 1.0 < peaks[2]
    assert peaks[1] == pytest.approx(11.3, abs=0.8)


async def test_windows_see_the_mean_of_all_modules(tmp_path: Path) -> None:
    one, other, both = [
        await asked(tmp_path / str(n), facing(*planes, **{"assets.heat.window_m2": 20.0}), {}, feeds_=sunny())
        for n, planes in enumerate(((EAST,), (WEST,), (EAST, WEST)))
    ]
    gains = [problem.inputs["heat"].gains_kw for problem in (one, other, both)]  # type: ignore[attr-defined]
    np.testing.assert_allclose(gains[2], (gains[0] + gains[1]) / 2.0)
    assert gains[2].max() > gains[2].min()


async def test_direct_and_diffuse_light_count_where_they_are_published(tmp_path: Path) -> None:
    def overcast(hour: float) -> dict[str, float]:
        return {GHI: ghi(hour), "dni_w_m2": 0.0, "dhi_w_m2": ghi(hour)}

    formulas = {point: lambda hour, point=point: overcast(hour)[point] for point in overcast(0.0)}
    hours, got_kw = foreseen(await asked(tmp_path, facing(EAST), {}, feeds_=sunny(**formulas)))
    # Without direct light east is no better than west.
    assert hours[got_kw.argmax()] == pytest.approx(11.3, abs=0.8)


@pytest.mark.parametrize(("points", "lost"), [((GHI,), ""), ((IRRADIANCE,), ""), ((), "publishes no irradiance_w_m2")])
async def test_of_the_sun_either_form_is_enough(points: tuple[str, ...], lost: str, caplog: Any) -> None:
    told = sunny(**{"outdoor_c": lambda _: 10.0, **dict.fromkeys(points, lambda _: 300.0)})
    desk = FeedDesk(told, dict.fromkeys(POINTS, 48.0), SimulatedClock(NOW), 5.0, planes=True)
    await desk.refresh(NOW)
    assert (lost in caplog.text) if lost else not caplog.text


async def test_irradiance_on_the_plane_of_the_modules_is_taken_as_ever(tmp_path: Path) -> None:
    told = {IRRADIANCE: lambda hour: max(0.0, 500.0 * np.sin((hour % 24 - 6.0) / 12.0 * np.pi))}
    with_planes = await asked(tmp_path / "a", facing(EAST), {}, feeds_=sunny(**told))
    without = await asked(tmp_path / "b", make_site({"planning.horizon_h": 40.0}), {}, feeds_=sunny(**told))
    np.testing.assert_allclose(foreseen(with_planes)[1], foreseen(without)[1])


# ---- behind the end of what is published, and without it


async def test_behind_the_end_of_the_weather_the_cloudless_sky_goes_on(tmp_path: Path) -> None:
    hours, got_kw = foreseen(await asked(tmp_path, facing(SOUTH), {"inverter.limit_kw": 60.0}, feeds_=sunny(hours=34)))
    late = hours > 10.5
    clear_kw = clear_skies(facing(SOUTH))["pv"].clear_kw(TOMORROW.timestamp() + 3600.0 * hours)
    share = got_kw[late].sum() / clear_kw[late].sum()
    np.testing.assert_allclose(got_kw[late], share * clear_kw[late], rtol=0.01, atol=0.01)
    assert share > 0.1
    assert (got_kw[(hours > 6.0) & (hours < 9.0)] > 0.0).all()


@pytest.mark.parametrize("plane", [EAST, WEST], ids=["east", "west"])
async def test_without_a_weather_feed_it_is_the_cloudless_sky_as_clear_as_it_was(tmp_path: Path, plane: Any) -> None:
    site = without_weather(plane)
    told = {name: feed for name, feed in feeds().items() if name != "weather"}
    problem = await asked(tmp_path, site, {"inverter.limit_kw": 60.0}, feeds_=told)
    hours, got_kw = foreseen(problem)
    sky = clear_skies(site)["pv"]
    clear_kw = sky.clear_kw(TOMORROW.timestamp() + 3600.0 * hours)
    at_s = NOW.timestamp() + 300.0 * np.arange(3) + 150.0
    share = 30.0 / sky.clear_kw(at_s).sum()
    np.testing.assert_allclose(got_kw, np.minimum(share * clear_kw, 60.0), rtol=0.05, atol=0.3)
    assert bool(hours[got_kw.argmax()] < 11.0) is (plane is EAST)


async def test_a_site_that_has_no_weather_feed_is_not_told_that_it_lacks_one(tmp_path: Path, caplog: Any) -> None:
    told = {name: feed for name, feed in feeds().items() if name != "weather"}
    with caplog.at_level(logging.WARNING):
        problem = await asked(tmp_path, without_weather(SOUTH), {}, feeds_=told)
    assert "weather" not in caplog.text and "pv is foreseen" not in caplog.text
    assert len(problem.slots) > 0


# ---- the ladder


@cache
def recorded() -> Past:
    """Read what the demo house's plant gave, under a sky of its own geometry: 12 kW, 30 degrees, south."""
    house = load_site(SITES / "demo_house")
    start = datetime(2025, 3, 1, tzinfo=UTC)
    power = site_series(house, Period(start, start + timedelta(days=35)))["pv"].past
    return Past(power.at_s, power.value * 66.0 / 12.0, QUARTER_S)


def lived_through(site: Site) -> tuple[LoadLadders, np.ndarray, np.ndarray]:
    """Live through four weeks of it, and tell what was foreseen at every look of the last two weeks, and what came."""
    ladders, known = LoadLadders(site, Journal()), recorded()
    now, told, came = datetime(2025, 3, 3, tzinfo=UTC), [], []
    for _ in range(28 * 6):
        now += timedelta(hours=4)
        ladders.look({"pv": Known(known.before(now.timestamp()))}, now)
        ahead_s = now.timestamp() + QUARTER_S * (np.arange(96) + 0.5)
        if now > datetime(2025, 3, 17, tzinfo=UTC):
            told.append(ladders.foresee("pv", ahead_s, now, np.full(96, np.nan)).median)
            came.append(known.at(ahead_s))
    return ladders, np.array(told), np.array(came)


@pytest.mark.parametrize("site", [facing(SOUTH), without_weather(SOUTH)], ids=["no issue", "no feed"])
def test_the_cloudless_sky_is_chosen_by_skill_under_a_sky_that_pvlib_did_not_make(site: Site) -> None:
    ladders, told, came = lived_through(site)
    assert ladders.speaks("pv") == CLEAR_SKY
    loss = ladders._loads["pv"].ladder.losses()
    assert loss[CLEAR_SKY] < 0.7 * loss["persistence"]
    yesterday = recorded().at(recorded().at_s - 86400.0)
    by_yesterday = np.nanmean(np.abs(recorded().value - yesterday)[-14 * 96 :])
    assert np.nanmean(np.abs(told - came)) < 0.85 * by_yesterday


def test_where_the_planes_are_wrong_another_method_proves_better() -> None:
    ladders, _, _ = lived_through(without_weather({"tilt_deg": 90.0, "azimuth_deg": 0.0}))
    assert ladders.speaks("pv") not in ("", CLEAR_SKY)


def test_persistence_stays_a_rung_and_the_cloudless_sky_speaks_where_no_skill_is_known() -> None:
    with_feed, without = (kinds_of(site)["pv"] for site in (facing(SOUTH), without_weather(SOUTH)))
    assert (with_feed.usual, with_feed.young, with_feed.model) == ("sun", "sun", "sun")
    assert (without.usual, without.young, without.model) == (CLEAR_SKY, CLEAR_SKY, "")
    assert list(with_feed.beside) == list(without.beside) == [CLEAR_SKY]
    assert kinds_of(make_site())["pv"].beside == {}
    ladders = LoadLadders(facing(SOUTH), Journal())
    at_s = NOW.timestamp() - QUARTER_S * np.arange(300, 0, -1)
    sky = clear_skies(facing(SOUTH))["pv"]
    ladders.look({"pv": Known(Past(at_s, 0.5 * sky.clear_kw(at_s + 450.0), QUARTER_S))}, NOW)
    ahead_s = NOW.timestamp() + QUARTER_S * (np.arange(8) + 0.5)
    told = ladders.foresee("pv", ahead_s, NOW, np.full(8, np.nan))
    assert set(told.method) == {CLEAR_SKY}
    methods = ladders._loads["pv"].ladder.methods
    assert {"persistence", "calendar", "sun", "corrected", CLEAR_SKY} <= methods.keys()


# ---- on what is recorded


def demo_house(*planes: Mapping[str, float]) -> Site:
    house = load_site(SITES / "demo_house")
    roof: Any = house.file.assets["pv"]
    roof = roof.model_copy(update={"planes": tuple(ModulePlane(**plane) for plane in planes)})
    who = house.file.site.model_copy(update={"latitude_deg": 52.4, "longitude_deg": 9.7, "altitude_m": 60.0})
    return house.model_copy(
        update={"file": house.file.model_copy(update={"site": who, "assets": {**house.file.assets, "pv": roof}})}
    )


def test_a_study_tries_planes_with_what_was_published_of_the_horizontal(monkeypatch: Any) -> None:
    start_s, hours = datetime(2025, 3, 10, tzinfo=UTC).timestamp(), 24 * 8
    whole = np.array([ghi(start_s / 3600.0 + hour) for hour in range(hours)])
    told = {GHI: whole, "outdoor_c": np.full(hours, 5.0)}
    shelf = {name: PublishedPast(np.array([start_s]), (Issue(start_s, 3600.0, v),)) for name, v in told.items()}
    monkeypatch.setattr(past_series, "read_published", lambda _: shelf)
    start = datetime(2025, 3, 10, tzinfo=UTC)
    now_s = start_s + 6 * 86400.0
    at_s = now_s + QUARTER_S * (np.arange(96) + 0.5)
    peaks = []
    for plane in (EAST, WEST):
        series = site_series(demo_house(plane), Period(start, start + timedelta(days=8)))["pv"]
        assert list(series.methods) == [CLEAR_SKY, "sun"]
        calendar = Calendar(ZoneInfo("Europe/Berlin"))
        asked_for = Asked(series.past.before(now_s), at_s, now_s, calendar, beside=series.beside)
        sun, clear = (series.methods[name](asked_for)[1] for name in ("sun", CLEAR_SKY))
        # What was published are hours, and no cloud of these days was.
        assert np.corrcoef(sun, clear)[0, 1] > 0.9
        peaks.append(sun.argmax())
    assert peaks[0] < peaks[1] - 8
    assert list(site_series(demo_house(), Period(start, start + timedelta(days=8)))["pv"].methods) == []


# ---- who declares nothing


def test_a_site_without_planes_brings_no_pvlib_along() -> None:
    script = (
        "import sys\nfrom pathlib import Path\nfrom ems.config.loading import load_site\n"
        "import ems.core\nfrom ems.slow.foreseen_kinds import kinds_of\n"
        f"kinds_of(load_site(Path({str(demo_site().folder)!r})))\n"
        "sys.exit('pvlib' in sys.modules or 'pandas' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


async def test_the_published_irradiance_of_a_site_without_planes_is_passed_on_untouched(tmp_path: Path) -> None:
    told = {"weather": StoredFeed({"outdoor_c": lambda _: 10.0, IRRADIANCE: lambda hour: 10.0 * (hour % 24)})}
    desk = FeedDesk(told, dict.fromkeys(POINTS, 48.0), SimulatedClock(NOW), 5.0)
    await desk.refresh(NOW)
    from ems.slow.sunshine import Sunshine

    slots = uniform(NOW, 8, 900.0)
    filled, label = desk.foresee(IRRADIANCE, slots, NOW)
    got, labels = Sunshine(make_site(), desk).foresee({IRRADIANCE: filled.value}, {IRRADIANCE: label}, slots, NOW)
    assert got[IRRADIANCE] is filled.value and labels == {IRRADIANCE: label}
