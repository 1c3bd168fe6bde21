"""The tariff file, the bill to the cent, and the carbon."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from optimization.slots import uniform
from optimization.tariff import Tariff, TariffError, bill, carbon_kg, load_tariff

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
    lines = {"energy": "1.50", "adders": "1.50", "vat": "0.57", "export": "0.69", "fixed": "0.70", "total": "3.58"}
    assert written.cents() == {name: Decimal(text) for name, text in lines.items()}
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
            }
        )
    assert sorted(key for key, _ in caught.value.problems) == [
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


@pytest.mark.parametrize("content", [None, [], {"schema_version": 1}, {"schema_version": 1, "import": 3}])
def test_what_is_no_tariff_is_said_so(content):
    with pytest.raises(TariffError, match="no section"):
        load_tariff(content)
