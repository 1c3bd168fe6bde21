"""Bills worked out by hand from quarter-hours, reproduced to the cent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimization.bill import bill
from optimization.invoice import invoice
from optimization.slots import uniform
from optimization.tariff_file import TariffError, load_tariff

BERLIN = ZoneInfo("Europe/Berlin")
CONTENT = {
    "schema_version": 1,
    "import": {
        "energy": 0.2235,
        "adders": {"grid": 0.0875, "levy": 0.0205},
        "vat": 0.19,
        "windows": {"peak": {"days": [0, 1, 2, 3, 4], "from_h": 7, "to_h": 20, "energy": 0.3127}},
        "tiers": {"second": {"above_kwh": 1000, "adder": 0.013}, "third": {"above_kwh": 2000, "adder": -0.021}},
    },
    "export": {"energy": 0.0785},
    "fixed_per_day": 0.345,
    "demand": {"price_per_kw": 9.37},
}
TARIFF = load_tariff(CONTENT, BERLIN)


def month(year, number, peak_kwh, other_kwh):
    """Quarter-hours of a local month, with one import on weekdays from 7 to 20 h and another at all other times."""
    begin = datetime(year, number, 1, tzinfo=BERLIN).astimezone(UTC)
    end = datetime(year, number + 1, 1, tzinfo=BERLIN).astimezone(UTC)
    times = [begin + timedelta(minutes=15 * k) for k in range(int((end - begin) / timedelta(minutes=15)) + 1)]
    local = [at.astimezone(BERLIN) for at in times[:-1]]
    peak = np.array([at.weekday() < 5 and 7 <= at.hour < 20 for at in local])
    return times, np.where(peak, peak_kwh, other_kwh)


def printed(written):
    found = invoice(written)
    return {item.name: str(amount) for item, amount in found.lines}, found


def test_january_by_hand():
    """22 working days of 13 h are 1144 quarter-hours of 1.253 kWh, the other 1832 have 0.417 kWh."""
    times, bought = month(2026, 1, 1.253, 0.417)
    sold = np.zeros(len(bought))
    sold[:100] = 0.333
    written = bill(TARIFF, times, bought, sold, np.zeros(len(bought)), zone=BERLIN)
    lines, found = printed(written)
    assert lines == {
        "energy peak": "448.23",  # 1433.432 kWh * 0.3127 = 448.2341...
        "energy": "170.74",  # 763.944 kWh * 0.2235 = 170.7414...
        "second 2026-01": "13.00",  # 1000 kWh * 0.013
        "third 2026-01": "-4.14",  # 197.376 kWh * -0.021 = -4.1448...
        "grid": "192.27",  # 2197.376 kWh * 0.0875 = 192.2704
        "levy": "45.05",  # 2197.376 kWh * 0.0205 = 45.0462...
        "fixed": "10.70",  # 31 d * 0.345 = 10.695, a half
        "demand 2026-01": "46.96",  # 1.253 kWh in a quarter are 5.012 kW * 9.37 = 46.9624...
        "export": "-2.61",  # 33.3 kWh * 0.0785 = 2.6140...
    }
    assert found.taxes == {0.19: Decimal("164.38")}  # 865.15 * 0.19 = 164.3785
    assert found.total == Decimal("1084.58")
    assert written.cents()["total"] == Decimal("1084.57")  # what is rounded once knows a cent less


def test_a_month_an_hour_short_by_hand():
    """March 2026: 22 working days again, 743 h, so 2972 - 1144 = 1828 other quarter-hours."""
    times, bought = month(2026, 3, 0.0, 1.0)
    lines, found = printed(bill(TARIFF, times, bought, 0 * bought, 0 * bought, zone=BERLIN))
    assert lines == {
        "energy": "408.56",  # 1828 kWh * 0.2235 = 408.558
        "second 2026-03": "10.76",  # 828 kWh * 0.013 = 10.764
        "grid": "159.95",  # 1828 kWh * 0.0875
        "levy": "37.47",  # 1828 kWh * 0.0205 = 37.474
        "fixed": "10.68",  # 743/24 d * 0.345 = 10.6806...
        "demand 2026-03": "37.48",  # 4 kW * 9.37
    }
    assert found.total == Decimal("782.08")  # 616.74 + 117.18 of tax + 10.68 + 37.48


def test_a_period_that_begins_in_a_tier_goes_on_in_it():
    times = uniform(datetime(2026, 1, 31, 21, tzinfo=UTC), 4, 3600.0)
    hours = [*times.starts, times.end]  # two hours of January and two of February, 60 kWh each
    written = bill(TARIFF, hours, np.full(4, 60.0), np.zeros(4), np.zeros(4), used_kwh=1950.0, zone=BERLIN)
    tiers = {item.name: (item.quantity, item.amount) for item in written.items if item.name[:2] in {"se", "th"}}
    assert tiers == {
        "second 2026-01": (50.0, pytest.approx(50.0 * 0.013)),
        "third 2026-01": (70.0, pytest.approx(-70.0 * 0.021)),
    }


@settings(max_examples=20)
@given(st.lists(st.floats(0.0, 50.0), min_size=96, max_size=96), st.floats(0.0, 3000.0))
def test_no_line_is_lost_and_each_costs_half_a_cent_at_most(kwh, used_kwh):
    slots = uniform(datetime(2026, 2, 28, 12, tzinfo=UTC), 96, 900.0)
    bought = np.array(kwh)
    written = bill(
        TARIFF, [*slots.starts, slots.end], bought, bought[::-1], np.zeros(96), used_kwh=used_kwh, zone=BERLIN
    )
    assert sum(item.amount * (1.0 + item.vat) for item in written.items) == pytest.approx(written.total)
    most = 0.005 * 1.19 * len(written.items) + 0.005
    assert float(invoice(written).total) == pytest.approx(written.total, abs=most + 1e-6)


@pytest.mark.parametrize(
    ("tiers", "key"),
    [
        ({"second": {"above_kwh": 500}}, "import.tiers.second.adder"),
        ({"second": {"above_kwh": -1, "adder": 0.1}}, "import.tiers.second.above_kwh"),
        ({"a": {"above_kwh": 5, "adder": 1}, "b": {"above_kwh": 5, "adder": 1}}, "import.tiers.b.above_kwh"),
        ({"second": {"above_kwh": 5, "adder": 1, "price": 2}}, "import.tiers.second.price"),
        ([1], "import.tiers"),
    ],
)
def test_a_tier_that_cannot_be_read_is_named(tiers, key):
    with pytest.raises(TariffError) as caught:
        load_tariff({"schema_version": 1, "import": {"tiers": tiers}})
    assert [found for found, _ in caught.value.problems] == [key]


SWISS = load_tariff(
    {
        "schema_version": 1,
        "import": {"energy": 0.0},
        "demand": {"price_per_kw": 2.0},
        "further_demands": {
            "winter peak": {
                "price_per_kw": 5.25, "months": [11, 12, 1, 2], "days": [0, 1, 2, 3, 4], "from_h": 7, "to_h": 20,
            },
            "summer noon": {"price_per_kw": 3.0, "interval_s": 1800, "months": [6, 7, 8], "from_h": 11, "to_h": 15},
        },
        "subscription": {"kw": 6.0, "price_per_kw_day": 0.11, "excess_per_kwh": 0.25},
    },
    BERLIN,
)  # fmt: skip


def test_several_demand_charges_and_a_subscribed_power_by_hand():
    """January: 5 kWh in one quarter-hour of a Sunday, 3 kWh in one of a Monday at 19:45, 4 kWh in one at 20:00."""
    times, bought = month(2026, 1, 0.5, 0.5)
    local = [at.astimezone(BERLIN) for at in times[:-1]]
    for day, hour, minute, kwh in ((4, 12, 0, 5.0), (5, 19, 45, 3.0), (5, 20, 0, 4.0)):
        bought[local.index(datetime(2026, 1, day, hour, minute, tzinfo=BERLIN))] = kwh
    written = bill(SWISS, times, bought, 0 * bought, 0 * bought, zone=BERLIN)
    lines, found = printed(written)
    assert {name: amount for name, amount in lines.items() if name != "energy"} == {
        "subscription": "20.46",  # 31 d * 6 kW * 0.11
        "above subscription": "0.13",  # the Sunday's hour draws 6.5 kWh: 0.5 kWh * 0.25 = 0.125, a half
        "demand 2026-01": "40.00",  # 20 kW * 2
        "winter peak 2026-01": "63.00",  # 12 kW * 5.25: neither the Sunday nor the quarter-hour from 20:00 counts
    }
    assert found.total == Decimal("123.59")
    assert written.total == pytest.approx(123.585)


def test_further_demand_charges_are_in_season_only():
    times, bought = month(2026, 7, 1.0, 1.0)
    names = [item.name for item in bill(SWISS, times, bought, 0 * bought, 0 * bought, zone=BERLIN).items]
    assert names == ["energy", "subscription", "demand 2026-07", "summer noon 2026-07"]


@pytest.mark.parametrize(
    ("content", "key"),
    [
        ({"further_demands": {"winter": {"price_per_kw": "4"}}}, "further_demands.winter.price_per_kw"),
        ({"further_demands": {"winter": {"price_per_kw": 4, "months": [13]}}}, "further_demands.winter.months"),
        ({"further_demands": {"winter": {"price_per_kw": 4, "at": 3}}}, "further_demands.winter.at"),
        ({"further_demands": {"winter": 4}}, "further_demands.winter"),
        ({"subscription": {"price_per_kw_day": 1}}, "subscription.kw"),
        ({"subscription": {"kw": 5, "interval_s": 60}}, "subscription.interval_s"),
        ({"subscription": {"kw": 5, "excess": 1}}, "subscription.excess"),
        ({"demand": {"price_per_kw": 4, "months": [1]}}, "demand.months"),
    ],
)
def test_a_charge_that_cannot_be_read_is_named(content, key):
    with pytest.raises(TariffError) as caught:
        load_tariff({"schema_version": 1, "import": {}} | content)
    assert key in [found for found, _ in caught.value.problems]
