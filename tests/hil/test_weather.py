from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from hil.plant.market import Market
from hil.plant.weather import Cloud, Era, Kind, Weather, clear_sky_w_m2

BERLIN = ZoneInfo("Europe/Berlin")
MAY = datetime(2025, 5, 21, 22, tzinfo=UTC)
JANUARY = datetime(2025, 1, 27, 23, tzinfo=UTC)
DAY_S = 86400.0


def weather(kind: Kind, *, seed: int = 1, era: Era | None = None, clouds: tuple[Cloud, ...] = ()) -> Weather:
    start = MAY if kind is Kind.SUNNY else JANUARY
    return Weather(start, DAY_S, kind, era or Era(seed), clouds)


def series(of: Weather) -> np.ndarray:
    return np.array([of.irradiance_w_m2(s) for s in np.arange(0.0, DAY_S, 10.0)])


def test_the_sun_stands_highest_at_solar_noon_and_not_at_night() -> None:
    day = [datetime(2025, 6, 21, tzinfo=UTC) + timedelta(minutes=m) for m in range(1440)]
    clear = clear_sky_w_m2(day)
    assert 11.0 < np.argmax(clear) / 60.0 < 11.8  # 9.7 degrees east: noon is 21 minutes before 12 UTC
    assert 850.0 < clear.max() < 1100.0
    assert clear[0] == clear[-1] == 0.0


def test_a_june_day_gives_far_more_than_a_december_day() -> None:
    def energy(day: datetime) -> float:
        return float(clear_sky_w_m2([day + timedelta(minutes=m) for m in range(1440)]).sum()) / 60_000.0

    june, december = energy(datetime(2025, 6, 21, tzinfo=UTC)), energy(datetime(2025, 12, 21, tzinfo=UTC))
    assert 7.0 < june < 10.0
    assert 1.5 < december < 4.0


@pytest.mark.parametrize(("kind", "least", "most"), [(Kind.WINTER, -9.0, 3.0), (Kind.SUNNY, 11.0, 23.0)])
def test_temperatures_fit_the_kind_of_day(kind: Kind, least: float, most: float) -> None:
    means = [float(weather(kind, seed=seed).outdoor.truth[:24].mean()) for seed in range(10)]
    assert least < min(means) and max(means) < most


def test_a_sunny_day_has_steps_that_an_hourly_forecast_cannot_know() -> None:
    truth = series(weather(Kind.SUNNY))[11 * 360 : 15 * 360]
    assert np.abs(np.diff(truth)).max() > 20.0


def test_an_ordered_cloud_passes() -> None:
    cloud = Cloud(at_s=13.0 * 3600, seconds=300.0, depth=0.6)
    bare, shaded = series(weather(Kind.SUNNY)), series(weather(Kind.SUNNY, clouds=(cloud,)))
    under = slice(4680 + 5, 4680 + 25)
    assert shaded[under].mean() < 0.6 * bare[under].mean()
    assert shaded[:4680].tolist() == bare[:4680].tolist()
    assert shaded[4720:].tolist() == bare[4720:].tolist()


def test_an_altered_future_leaves_the_past_and_its_forecasts_alone() -> None:
    plain, other = weather(Kind.SUNNY), weather(Kind.SUNNY, era=Era(1, 12.0 * 3600, 99))
    assert series(plain)[:4320].tolist() == series(other)[:4320].tolist()
    assert np.abs(series(plain)[4320:] - series(other)[4320:]).max() > 50.0
    for issued in (0, 6, 11):
        for look in ("foreseen_outdoor_c", "foreseen_irradiance_w_m2"):
            assert (
                getattr(plain, look)(issued, issued, 36).tolist() == getattr(other, look)(issued, issued, 36).tolist()
            )


def test_the_forecast_of_irradiance_resembles_the_truth() -> None:
    found = weather(Kind.SUNNY)
    truth = series(found).reshape(24, 360).mean(axis=1)
    foreseen = found.foreseen_irradiance_w_m2(0, 0, 24)
    assert np.corrcoef(truth, foreseen)[0, 1] > 0.97
    assert np.abs(truth - foreseen).max() > 5.0


def test_an_altered_future_leaves_published_prices_alone() -> None:
    plain, other = (Market(weather(Kind.SUNNY), "solar", BERLIN, era) for era in (Era(1), Era(1, 12.0 * 3600, 99)))
    at = MAY + timedelta(hours=12)
    assert plain.foreseen_price(at, 0, 48).tolist() == other.foreseen_price(at, 0, 48).tolist()
    assert plain.price.truth.tolist() != other.price.truth.tolist()


@pytest.fixture
def sunny() -> Market:
    return Market(weather(Kind.SUNNY), "solar", BERLIN, Era(1))


def test_prices_peak_in_the_evening_and_dip_at_noon_below_zero(sunny: Market) -> None:
    local = {hour: sunny.price.truth[hour] for hour in range(24)}  # the world begins at local midnight
    assert min(local, key=local.__getitem__) in range(10, 16)
    assert max(local, key=local.__getitem__) in range(17, 22)
    assert min(local.values()) < 0.0 < 0.1 < max(local.values())


def test_winter_prices_have_two_peaks_and_stay_positive() -> None:
    price = Market(weather(Kind.WINTER), "winter", BERLIN, Era(1)).price.truth[:24]
    assert price.min() > 0.0
    assert price[8] > price[3] and price[19] > price[13] > price[3]


@pytest.mark.parametrize("kind", ["winter", "solar"])
def test_carbon_follows_the_residual_load(kind: str) -> None:
    found = weather(Kind.WINTER if kind == "winter" else Kind.SUNNY)
    carbon = Market(found, kind, BERLIN, Era(1)).carbon.truth[:24]
    assert carbon.min() >= 0.05 and carbon.max() <= 0.6
    assert carbon[19] > carbon[12]


@pytest.mark.parametrize(
    ("local", "last_hour"),
    [("2025-05-22T11:59", "2025-05-22T23:00"), ("2025-05-22T12:00", "2025-05-23T23:00")],
)
def test_the_auction_decides_at_noon(sunny: Market, local: str, last_hour: str) -> None:
    at = datetime.fromisoformat(local).replace(tzinfo=BERLIN)
    last = datetime.fromisoformat(last_hour).replace(tzinfo=BERLIN)
    assert MAY + timedelta(hours=sunny.decided_until(at)) == last


def test_prices_are_exact_as_far_as_they_are_decided(sunny: Market) -> None:
    at = MAY + timedelta(hours=8)
    foreseen, last = sunny.foreseen_price(at, 0, 48), sunny.decided_until(at)
    assert foreseen[: last + 1].tolist() == sunny.price.truth[: last + 1].tolist()
    assert np.abs(foreseen[last + 1 :] - sunny.price.truth[last + 1 : 48]).max() > 1e-3
    assert sunny.price_at(MAY + timedelta(hours=5, minutes=59)) == sunny.price.truth[5]


@pytest.mark.parametrize(
    ("day", "hours"), [(datetime(2025, 3, 29, 23, tzinfo=UTC), 23), (datetime(2025, 10, 25, 22, tzinfo=UTC), 25)]
)
def test_the_days_of_the_clock_change_have_their_own_length(day: datetime, hours: int) -> None:
    market = Market(Weather(day, DAY_S, Kind.SUNNY, Era(1)), "solar", BERLIN, Era(1))
    assert market.decided_until(day + timedelta(hours=3)) == hours - 1
