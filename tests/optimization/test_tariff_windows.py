"""Rates by the hour of the local calendar: in the file, in the planner's prices and on the bill."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimization.bill import bill
from optimization.calendar_windows import CalendarWindow, window_shares
from optimization.slots import chain, uniform
from optimization.tariff_file import TariffError, load_tariff

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC")
NIGHT = {"from_h": 22, "to_h": 6, "energy": 0.2}
PEAK = {"months": [11, 12, 1, 2, 3], "days": [0, 1, 2, 3, 4], "from_h": 7, "to_h": 20, "adders": {"grid": 0.09}}


def tariff(windows, **more):
    bought = {"energy": 0.3, "adders": {"grid": 0.05, "levy": 0.02}, "vat": 0.2, "windows": windows} | more
    return load_tariff({"schema_version": 1, "import": bought}, BERLIN)


def price_at(owner, year, month, day, hour, minute=0):
    at = datetime(year, month, day, hour, minute, tzinfo=BERLIN).astimezone(UTC)
    return owner.import_price(np.zeros(1), uniform(at, 1, 900.0))[0]


@pytest.mark.parametrize(
    ("when", "net"),
    [
        ((2026, 1, 5, 6, 45), 0.37),  # a Monday in winter, before 7 h
        ((2026, 1, 5, 7, 0), 0.41),
        ((2026, 1, 5, 19, 45), 0.41),
        ((2026, 1, 5, 20, 0), 0.37),
        ((2026, 1, 4, 12), 0.37),  # a Sunday
        ((2026, 7, 6, 12), 0.37),  # a Monday in summer
        ((2026, 7, 6, 22, 0), 0.27),
        ((2026, 7, 7, 5, 45), 0.27),
        ((2026, 7, 7, 6, 0), 0.37),
    ],
)
def test_the_first_window_that_holds_the_local_hour_gives_the_price(when, net):
    assert price_at(tariff({"peak": PEAK, "night": NIGHT}), *when) == pytest.approx(net * 1.2)


def test_the_end_of_a_window_past_midnight_belongs_to_the_day_and_month_on_which_it_opened():
    saturday = tariff({"cheap": {"days": [5], "months": [1], "from_h": 22, "to_h": 6, "energy": 0.0}})
    assert price_at(saturday, 2026, 1, 31, 23) == pytest.approx(0.07 * 1.2)  # the last Saturday of January
    assert price_at(saturday, 2026, 2, 1, 5) == pytest.approx(0.07 * 1.2)  # and the Sunday of February after it
    assert price_at(saturday, 2026, 1, 31, 5) == pytest.approx(0.37 * 1.2)
    assert price_at(saturday, 2026, 2, 7, 23) == pytest.approx(0.37 * 1.2)


@pytest.mark.parametrize(
    ("day", "hours", "night_h"),
    [((2026, 3, 29), 23, 7.0), ((2026, 10, 25), 25, 9.0), ((2026, 6, 1), 24, 8.0)],
)
def test_a_night_of_the_day_the_clocks_change_is_as_long_as_it_is(day, hours, night_h):
    begin = datetime(*day, tzinfo=BERLIN).astimezone(UTC)
    slots = uniform(begin, 4 * hours, 900.0)
    assert slots.end == (datetime(*day, tzinfo=BERLIN) + timedelta(days=1)).astimezone(UTC)
    inside, outside = window_shares([CalendarWindow(from_h=22.0, to_h=6.0)], slots, BERLIN)
    assert inside @ slots.duration_h == pytest.approx(night_h)
    assert outside @ slots.duration_h == pytest.approx(hours - night_h)
    owner = tariff({"night": NIGHT})
    kwh = np.ones(4 * hours)
    written = bill(owner, [*slots.starts, slots.end], kwh, 0.0 * kwh, 0.0 * kwh, zone=BERLIN)
    assert written.energy == pytest.approx(4 * (night_h * 0.2 + (hours - night_h) * 0.3))
    assert {item.name: round(item.quantity, 9) for item in written.items if item.name.startswith("energy")} == {
        "energy night": 4 * night_h,
        "energy": 4 * (hours - night_h),
    }


def test_the_hour_that_comes_twice_is_in_its_window_twice_and_the_skipped_one_never():
    window = [CalendarWindow(from_h=2.0, to_h=3.0)]
    autumn = window_shares(window, uniform(datetime(2026, 10, 25, 0, tzinfo=UTC), 3, 3600.0), BERLIN)[0]
    assert autumn.tolist() == [1.0, 1.0, 0.0]
    spring = window_shares(window, uniform(datetime(2026, 3, 28, 22, tzinfo=UTC), 8, 3600.0), BERLIN)[0]
    assert spring.tolist() == [0.0] * 8


def test_a_slot_that_a_window_holds_in_part_has_the_mean_price():
    at = datetime(2026, 7, 6, 19, 30, tzinfo=UTC)  # 21:30 in Berlin
    bought = tariff({"night": NIGHT}).import_price(np.zeros(2), chain(at, [3600.0, 600.0]))
    assert bought == pytest.approx([(0.5 * 0.37 + 0.5 * 0.27) * 1.2, 0.27 * 1.2])


@settings(max_examples=50)
@given(
    st.sampled_from(ZONES),
    st.integers(0, 2 * 365 * 86400).map(lambda s: datetime(2025, 1, 1, tzinfo=UTC) + timedelta(seconds=s)),
    st.lists(st.sampled_from([17.0, 300.0, 900.0, 3600.0, 5400.0, 21600.0]), min_size=1, max_size=8),
    st.integers(0, 95),
    st.integers(1, 96),
)
def test_shares_agree_with_a_look_at_the_wall_every_so_often(zone, start, durations, opens, closes):
    zone = ZoneInfo(zone)
    if opens == closes:
        return
    slots = chain(start, durations)
    window = CalendarWindow(days=(0, 2, 5), from_h=opens / 4, to_h=closes / 4)
    shares = window_shares([window], slots, zone)
    np.testing.assert_allclose(shares.sum(axis=0), 1.0)
    for s, (begin, length_s) in enumerate(zip(slots.starts, slots.duration_s, strict=True)):
        step_s = length_s / 60
        middles = [begin + timedelta(seconds=(k + 0.5) * step_s) for k in range(60)]
        looked = np.mean([_open(window, at.astimezone(zone)) for at in middles])
        assert abs(shares[0, s] - looked) <= (2 + length_s / 21600 * 2) / 60


def _open(window, local):
    hour = local.hour + local.minute / 60 + local.second / 3600
    if window.from_h < window.to_h:
        return window.from_h <= hour < window.to_h and local.weekday() in window.days
    if hour >= window.from_h:
        return local.weekday() in window.days
    return hour < window.to_h and (local.weekday() - 1) % 7 in window.days


@settings(max_examples=15)
@given(st.lists(st.floats(0.0, 30.0), min_size=192, max_size=192), st.integers(0, 360))
def test_the_bill_is_the_metered_energy_at_the_planners_prices(kwh, day):
    slots = uniform(datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=day), 192, 900.0)
    owner, kwh, feed = tariff({"peak": PEAK, "night": NIGHT}), np.array(kwh), np.linspace(-0.1, 0.4, 192)
    bought, sold = owner.series(slots, feed)
    written = bill(owner, [*slots.starts, slots.end], kwh, 0.5 * kwh, feed, zone=BERLIN)
    assert written.total == pytest.approx(kwh @ bought - 0.5 * kwh @ sold)
    assert written.total == pytest.approx(sum(item.amount * (1.0 + item.vat) for item in written.items))


def test_what_is_sold_has_windows_too():
    owner = load_tariff(
        {
            "schema_version": 1,
            "import": {"energy": 0.3},
            "export": {"energy": 0.08, "factor": 0.5, "windows": {"noon": {"from_h": 11, "to_h": 15, "energy": 0.0}}},
        },
        BERLIN,
    )
    slots = uniform(datetime(2026, 6, 1, 8, 30, tzinfo=UTC), 2, 3600.0)
    assert owner.export_price(np.zeros(2), slots) == pytest.approx([0.02, 0.0])


def test_a_price_that_depends_on_the_hour_wants_to_know_when():
    with pytest.raises(ValueError, match="give the slots"):
        tariff({"night": NIGHT}).import_price(np.zeros(3))


@pytest.mark.parametrize(
    ("windows", "key", "words"),
    [
        ({"night": {"from_h": 22.1, "energy": 0.2}}, "import.windows.night.from_h", "in quarters"),
        ({"night": {"to_h": 25, "energy": 0.2}}, "import.windows.night.to_h", "0 to 24"),
        ({"night": {"to_h": "22:00", "energy": 0.2}}, "import.windows.night.to_h", "write a local hour"),
        ({"night": {"from_h": 6, "to_h": 6, "energy": 0.2}}, "import.windows.night.to_h", "where it opens"),
        ({"night": {"from_h": 6}}, "import.windows.night", "changes no price"),
        ({"night": {"months": [0], "energy": 0.2}}, "import.windows.night.months", "1 to 12"),
        ({"night": {"days": [], "energy": 0.2}}, "import.windows.night.days", "0 to 6"),
        ({"night": {"days": 5, "energy": 0.2}}, "import.windows.night.days", "0 to 6"),
        ({"night": {"days": [[1]], "energy": 0.2}}, "import.windows.night.days", "0 to 6"),
        ({"night": {"energy": "spot"}}, "import.windows.night.energy", "feed"),
        ({"night": {"adders": {"gird": 0.1}}}, "import.windows.night.adders.gird", "grid, levy"),
        ({"night": {"frm_h": 3, "energy": 0.1}}, "import.windows.night.frm_h", "no key"),
        ({"night": 3}, "import.windows.night", "no section"),
        ([NIGHT], "import.windows", "by name"),
    ],
)
def test_a_window_that_cannot_be_read_is_named(windows, key, words):
    with pytest.raises(TariffError) as caught:
        tariff(windows)
    assert [found for found, text in caught.value.problems if words in text] == [key]
