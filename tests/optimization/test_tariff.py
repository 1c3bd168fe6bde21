"""The tariff file, the bill to the cent, and the carbon."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from optimization.bill import bill, demand_ahead
from optimization.slots import uniform
from optimization.tariff import (
    DemandCharge,
    Tariff,
    carbon_kg,
    interval_means_kw,
    interval_starts_s,
    peak_kw,
)
from optimization.tariff_file import TariffError, load_tariff

START = datetime(2026, 3, 28, 23, tzinfo=UTC)
DEMO = Path(__file__).resolve().parents[2] / "sites" / "demo_feeder" / "tariff.yaml"


def demo():
    return load_tariff(yaml.safe_load(DEMO.read_text()))


def test_prices_follow_the_published_one():
    bought, sold = demo().series(uniform(START, 3, 3600.0), np.array([0.10, 0.0, -0.20]))
    np.testing.assert_allclose(bought, [(0.10 + 0.10) * 1.19, 0.10 * 1.19, -0.10 * 1.19])
    np.testing.assert_allclose(sold, [0.9 * 0.10 - 0.004, -0.004, -0.184])


def test_a_fixed_price_needs_no_feed():
    flat = load_tariff({"schema_version": 1, "import": {"energy": 0.3}, "export": {"energy": 0.08}})
    bought, sold = flat.series(uniform(START, 2, 900.0), np.array([9.0, -9.0]))
    assert (bought.tolist(), sold.tolist()) == ([0.3, 0.3], [0.08, 0.08])


def test_a_price_is_wanted_for_each_slot():
    with pytest.raises(ValueError, match="give one a slot"):
        demo().series(uniform(START, 3, 900.0), np.ones(4))


def test_a_bill_by_hand():
    times = [START + timedelta(hours=h) for h in (0, 12, 24, 48)]
    written = bill(demo(), times, np.array([10.0, 0.0, 5.0]), np.array([0.0, 8.0, 0.0]), np.array([0.2, 0.1, -0.1]))
    lines = {
        "energy": "1.50",
        "adders": "1.50",
        "vat": "0.57",
        "export": "0.69",
        "fixed": "0.70",
        "demand": "0.00",
        "total": "3.58",
    }
    assert written.cents() == {"demand": Decimal("0.00")} | {name: Decimal(text) for name, text in lines.items()}
    assert written.total == pytest.approx(1.5 + 1.5 + 0.57 - 8 * 0.086 + 0.7)


@given(st.lists(st.tuples(*[st.floats(0, 100)] * 2, st.floats(-0.5, 1.0)), min_size=1, max_size=20))
def test_a_bill_is_the_sum_of_its_parts_and_of_its_prices(rows):
    bought, sold, price = (np.array(column) for column in zip(*rows, strict=True))
    times = [START + timedelta(minutes=15 * k) for k in range(len(rows) + 1)]
    tariff = demo()
    written = bill(tariff, times, bought, sold, price)
    import_price, export_price = tariff.series(uniform(START, len(rows), 900.0), price)
    days = len(rows) / 96
    assert written.total == pytest.approx(bought @ import_price - sold @ export_price + 0.35 * days, abs=1e-9)
    assert written.cents()["total"] == pytest.approx(Decimal(written.total), abs=Decimal("0.00501"))


def test_a_bill_wants_series_that_fit_and_zones():
    times = [START, START + timedelta(hours=1)]
    with pytest.raises(ValueError, match="intervals"):
        bill(Tariff(), times, np.ones(2), np.ones(2), np.ones(2))
    with pytest.raises(ValueError, match="time zone"):
        bill(Tariff(), [at.replace(tzinfo=None) for at in times], np.ones(1), np.ones(1), np.ones(1))


def test_carbon_is_import_times_factor():
    assert carbon_kg(np.array([2.0, 3.0]), np.array([0.5, 0.1])) == pytest.approx(1.3)
    with pytest.raises(ValueError, match="give one each"):
        carbon_kg(np.ones(2), np.ones(3))


def test_all_problems_come_in_one_run_and_name_their_keys():
    with pytest.raises(TariffError) as caught:
        load_tariff(
            {
                "schema_version": 2,
                "import": {"energy": "spot", "adders": {"fee": "7 ct"}, "vta": 0.19, "vat": -0.1},
                "export": {"adders": 3, "factor": float("nan")},
                "fixed_per_day": True,
                "demand": {"price_per_kw": "9", "interval_s": 600, "period": "year", "floor": 3},
            }
        )
    assert sorted(key for key, _ in caught.value.problems) == [
        "demand.floor",
        "demand.interval_s",
        "demand.period",
        "demand.price_per_kw",
        "export.adders",
        "export.factor",
        "fixed_per_day",
        "import.adders.fee",
        "import.energy",
        "import.vat",
        "import.vta",
        "schema_version",
    ]
    assert "write `feed` or a price per kWh" in str(caught.value)
    assert "write 900 or 1800" in str(caught.value)


@pytest.mark.parametrize("content", [None, [], {"schema_version": 1}, {"schema_version": 1, "import": 3}])
def test_what_is_no_tariff_is_said_so(content):
    with pytest.raises(TariffError, match="no section"):
        load_tariff(content)


HALF_HOURS = Tariff(demand=DemandCharge(9.0, 1800))


def quarters(count, start=START):
    return [start + timedelta(minutes=15 * k) for k in range(count + 1)]


def test_a_demand_section_is_read():
    base = {"schema_version": 1, "import": {}}
    assert load_tariff(base).demand is None
    assert load_tariff({**base, "demand": {"price_per_kw": 9}}).demand == DemandCharge(9.0, 900, "month")
    with pytest.raises(TariffError, match=r"demand.price_per_kw: None is not a number"):
        load_tariff({**base, "demand": {}})
    with pytest.raises(TariffError, match="demand: None is no section"):
        load_tariff({**base, "demand": None})


def test_demand_by_hand():
    bought = np.array([1.0, 3.0, 2.0, 2.5, 0.0, 4.0])
    nothing = np.zeros(6)
    np.testing.assert_allclose(interval_means_kw(quarters(6), bought, 1800), [8.0, 9.0, 8.0])
    written = bill(HALF_HOURS, quarters(6), bought, nothing, nothing)
    assert (written.demand, written.total) == (81.0, 81.0)
    assert written.cents()["demand"] == Decimal("81.00")
    assert bill(HALF_HOURS, quarters(6), bought, nothing, nothing, peak_before_kw=8.5).demand == 4.5
    assert bill(HALF_HOURS, quarters(6), bought, nothing, nothing, peak_before_kw=12.0).demand == 0.0


@pytest.mark.parametrize(
    ("first", "days", "peak_before_kw", "ahead"),
    [
        ("2025-01-01", 1, 0.0, 180.0 * 30 / 31),
        ("2025-01-31", 1, 0.0, 0.0),
        ("2025-01-01", 31, 0.0, 0.0),
        ("2025-01-31", 2, 0.0, 180.0 * 27 / 28),  # January's charge is its own; February's has 27 days to go
        ("2025-01-31", 2, 15.0, 180.0 * 27 / 28),  # and knows no peak before it
        ("2025-01-23", 1, 15.0, 45.0 * 8 / 9),
        ("2025-01-23", 1, 25.0, 0.0),
        ("2025-03-30", 1, 0.0, 180.0 * 24 / 47),  # a day of 23 hours, then one of 24
    ],
)
def test_a_peak_that_is_paid_for_serves_its_month_to_the_end(
    first: str, days: int, peak_before_kw: float, ahead: float
) -> None:
    berlin = ZoneInfo("Europe/Berlin")
    begin = datetime.fromisoformat(first).replace(tzinfo=berlin)
    end = (begin + timedelta(days=days)).astimezone(UTC)
    begin = begin.astimezone(UTC)
    times = [begin + timedelta(minutes=15 * k) for k in range(int((end - begin) / timedelta(minutes=15)) + 1)]
    bought = np.full(len(times) - 1, 5.0)
    charge = DemandCharge(9.0, 900, "month")
    found = demand_ahead(charge, times, bought, peak_before_kw=peak_before_kw, zone=berlin)
    assert found == pytest.approx(ahead)
    assert demand_ahead(None, times, bought, zone=berlin) == 0.0


def test_a_part_of_an_interval_gets_no_more_than_its_energy():
    begun = [START + timedelta(minutes=m) for m in (10, 15, 30, 40)]
    np.testing.assert_allclose(interval_means_kw(begun, np.array([1.0, 2.0, 1.0]), 900), [4.0, 8.0, 4.0])
    assert interval_starts_s(begun, 900)[0] == START.timestamp()
    assert peak_kw([START], np.zeros(0), 900) == 0.0


def test_each_local_month_has_a_peak_of_its_own():
    turn = datetime(2026, 4, 30, 22, tzinfo=UTC)
    times = quarters(8, turn - timedelta(hours=1))
    bought = np.array([5.0, 0, 0, 0, 0, 0, 0, 2.0])
    args = (Tariff(demand=DemandCharge(9.0)), times, bought, np.zeros(8), np.zeros(8))
    assert bill(*args).demand == 180.0
    assert bill(*args, zone=ZoneInfo("Europe/Berlin")).demand == 9.0 * (20.0 + 8.0)
    assert bill(*args, zone=ZoneInfo("Europe/Berlin"), peak_before_kw=18.0).demand == 9.0 * (2.0 + 8.0)
    assert bill(*args, zone=ZoneInfo("America/New_York")).demand == 180.0


@given(st.lists(st.floats(0, 50), min_size=1, max_size=40), st.integers(0, 3), st.sampled_from([900, 1800]))
def test_interval_means_keep_the_energy_and_know_no_finer_count(bought, late, interval_s):
    times = quarters(len(bought), START + timedelta(minutes=15 * late))
    means = interval_means_kw(times, np.array(bought), interval_s)
    assert means.sum() * interval_s / 3600 == pytest.approx(sum(bought), abs=1e-9)
    fine = [times[0] + timedelta(minutes=5 * k) for k in range(3 * len(bought) + 1)]
    finer = interval_means_kw(fine, np.repeat(np.array(bought) / 3, 3), interval_s)
    np.testing.assert_allclose(means, finer, atol=1e-9)
