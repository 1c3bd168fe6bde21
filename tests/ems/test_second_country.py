"""A site of another country is data alone: other money, hours, tariff, grid and carbon factors, no line of Python."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from ems.comfort import comfort_band
from ems.commands.understood import clock_changes, understood
from ems.config.binding import bind
from ems.config.loading import load_site
from ems.config.site import Site
from ems.failsafe import judge
from ems.reports.evidence import factor_for, read_factors, read_meters
from ems.slow.planning_setup import stored_past
from optimization.bill import bill
from optimization.slots import uniform

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "tests" / "cases" / "second_country"
LONDON = ZoneInfo("Europe/London")
UNIT_RATE = (0.165 + 0.041 + 0.00775) * 1.2


@pytest.fixture(scope="module")
def site() -> Site:
    return load_site(FOLDER)


def test_its_grid_stands_all_devices_in_failsafe(site: Site, tmp_path: Path) -> None:
    verdict = judge(site, tmp_path, datetime(2025, 1, 2, tzinfo=UTC))
    assert verdict.passed, verdict.problems


def test_its_money_and_its_clock_are_its_own(site: Site) -> None:
    now = datetime(2025, 3, 1, tzinfo=UTC)
    facts = understood(site, bind(site), now)
    assert facts["tariff"]["currency"] == "GBP"
    assert facts["tariff"]["import_per_kwh"] == pytest.approx(UNIT_RATE)
    assert facts["tariff"]["export_per_kwh"] == pytest.approx(0.055)
    spring, autumn = clock_changes(LONDON, now)
    assert (spring["at"], spring["day_h"]) == (datetime(2025, 3, 30, 1, tzinfo=UTC), 23)
    assert (autumn["at"], autumn["day_h"]) == (datetime(2025, 10, 26, 1, tzinfo=UTC), 25)


def test_the_published_price_does_not_touch_a_fixed_rate(site: Site) -> None:
    published = np.array([-0.5, 0.0, 3.0])
    assert site.tariff.import_price(published) == pytest.approx(np.full(3, UNIT_RATE))
    assert site.tariff.export_price(published) == pytest.approx(np.full(3, 0.055))


def test_its_bill_charges_the_highest_half_hour_of_each_local_month(site: Site) -> None:
    """The clocks have gone forward: 23:00 UTC of 31 March is the first half-hour of April in London."""
    start = datetime(2025, 3, 31, 21, tzinfo=UTC)
    times = [start + timedelta(minutes=15 * k) for k in range(17)]
    import_kwh = np.zeros(16)
    import_kwh[0:2] = 8.0, 2.0
    import_kwh[8:10] = 3.0, 3.0
    written = bill(site.tariff, times, import_kwh, np.zeros(16), np.zeros(16), zone=LONDON)
    assert written.demand == pytest.approx(3.2 * (20.0 + 12.0))
    assert written.energy + written.adders + written.vat == pytest.approx(16.0 * UNIT_RATE)
    assert written.fixed == pytest.approx(0.95 * 4 / 24)


@pytest.mark.parametrize(
    ("day", "first_utc_h"), [(datetime(2025, 3, 28, tzinfo=UTC), 9), (datetime(2025, 3, 31, tzinfo=UTC), 8)]
)
def test_its_comfort_follows_local_hours_in_summer_and_winter(site: Site, day: datetime, first_utc_h: int) -> None:
    comfort = site.file.assets["shop_heat_pump"].comfort
    assert comfort == site.file.zones["farm"].comfort
    low_c, _ = comfort_band(comfort, uniform(day, 24, 3600.0), LONDON)
    assert low_c[first_utc_h - 2 : first_utc_h].tolist() == [14.0, 18.0]


def test_its_series_and_evidence_are_read(site: Site) -> None:
    past = stored_past(site)
    assert past.load.at_s[0] == datetime(2024, 12, 1, tzinfo=UTC).timestamp()
    assert np.isfinite(past.load.value).all()
    factors = read_factors(site.folder)
    day = date(2025, 3, 1)
    chosen = factor_for(factors, day, None)
    assert chosen is not None
    assert (chosen.id, chosen.value, chosen.version) == ("uk_2024", 0.20705, "2024")
    assert factor_for(factors, day, "hourly") == factors[0]
    points = {point for roles in bind(site).points.values() for point in roles.values()}
    assert {meter.point for meter in read_meters(site.folder)} <= points


def test_no_python_knows_of_that_country() -> None:
    rooms = ("drivers", "ems", "hil", "optimization")
    texts = {path: path.read_text() for room in rooms for path in (ROOT / room).rglob("*.py")}
    assert texts
    assert not [path for path, text in texts.items() if "Europe/London" in text or "GBP" in text]
