"""The report of a site with two grid connections: each has its meter, its bill and its balance; carbon is one sum."""

from __future__ import annotations

from datetime import UTC
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import yaml
from written_site import WrittenSite, write_site

from ems.config.loading import load_site
from ems.reports.bundle import write_bundle
from ems.reports.carbon import CarbonReport, carbon_report
from ems.reports.ledger import bounds, keep_ledger
from ems.reports.period import parse_period
from ems.reports.published import read_issues
from ems.reports.verify import verify
from optimization.bill import bill

BERLIN = ZoneInfo("Europe/Berlin")
PERIOD = parse_period("2025-03", BERLIN)
TARIFF = {
    "schema_version": 1,
    "import": {"energy": 0.22, "adders": {"grid": 0.08}, "vat": 0.1},
    "export": {"energy": 0.05},
    "demand": {"price_per_kw": 4.0, "interval_s": 900, "period": "month"},
}
DEVICE = {"protocol": "modbus", "profile": "sunspec_meter", "mode": "monitor"}


def with_north(written: WrittenSite) -> WrittenSite:
    """Add a connection with a meter, a metered load behind it, and 100 Wh a quarter that nobody meters."""
    path = written.folder / "site.yaml"
    raw = yaml.safe_load(path.read_text())
    raw["connections"] = {"north": {"import_limit_kw": 30, "export_limit_kw": 10, "tariff": "north.yaml"}}
    raw["devices"] |= {"north_meter": {**DEVICE, "port": 15030}, "north_submeter": {**DEVICE, "port": 15031}}
    raw["assets"] |= {
        "north_connection": {"kind": "grid_meter", "device": "north_meter", "bus": "barn", "connection": "north"},
        "north_house": {"kind": "metered_load", "device": "north_submeter", "bus": "barn", "connection": "north"},
    }
    path.write_text(yaml.safe_dump(raw, sort_keys=False))
    (written.folder / "north.yaml").write_text(yaml.safe_dump(TARIFF))
    series = written.folder / "series" / "load.csv"
    lines = series.read_text().splitlines()
    series.write_text("\n".join([f"{lines[0]},north_house_kw", *(f"{line},1" for line in lines[1:])]) + "\n")
    wh = np.random.default_rng(3).integers(0, 3000, len(written.columns["grid_meter.import_kwh"]) - 1)
    for point, each in (("north_submeter.import_kwh", wh), ("north_meter.import_kwh", wh + 100)):
        written.columns[point] = [round(float(v), 3) for v in (1e6 + np.append(0, np.cumsum(each))) / 1000.0]
        written.wh[point] = each[96:-96]
    written.columns["north_meter.export_kwh"] = [5.0] * (len(wh) + 1)
    written.wh["north_meter.export_kwh"] = 0 * written.wh["north_meter.import_kwh"]
    written.write_history()
    return written


@pytest.fixture(scope="module")
def north(tmp_path_factory: pytest.TempPathFactory) -> tuple[WrittenSite, CarbonReport]:
    written = with_north(write_site(tmp_path_factory.mktemp("sites") / "demo_feeder"))
    return written, carbon_report(load_site(written.folder), PERIOD)


def _rows(report: CarbonReport, name: str) -> list[dict[str, object]]:
    (table,) = [table for table in report.tables if table.name == name]
    return [dict(zip([column.name for column in table.columns], row, strict=True)) for row in table.rows]


def _figures(report: CarbonReport) -> dict[str, object]:
    return {str(each["figure"]): each["value"] for each in report.figures()}


def test_each_connection_is_billed_to_the_cent_by_its_own_tariff(north) -> None:
    written, report = north
    site, found = load_site(written.folder), _figures(report)
    times = bounds(PERIOD)
    price = read_issues(site, "price", PERIOD).values([at.astimezone(UTC) for at in times[:-1]])
    for head, meter, tariff in (
        ("bill", "grid_meter", site.tariff),
        ("north_bill", "north_meter", site.tariffs["north"]),
    ):
        bought, sold = (written.wh[f"{meter}.{way}_kwh"] / 1000.0 for way in ("import", "export"))
        expected = bill(tariff, times, bought, sold, price, zone=BERLIN).cents()
        assert {name: Decimal(str(found[f"{head}_{name}"])) for name in expected} == expected
    assert float(found["north_bill_demand"]) > 0.0
    total = float(found["bill_total"]) + float(found["north_bill_total"])
    assert found["bills_total"] == pytest.approx(total, abs=0.005)


def test_the_first_connections_bill_is_what_it_was_without_a_second(north, tmp_path) -> None:
    alone = carbon_report(load_site(write_site(tmp_path / "demo_feeder").folder), PERIOD)
    before, after = _figures(alone), _figures(north[1])
    bills = [name for name in before if name.startswith("bill")]
    assert bills
    assert {name: before[name] for name in bills} == {name: after[name] for name in bills}
    assert "connections" not in {table.name for table in alone.tables}


def test_each_connection_has_a_balance_and_its_carbon(north) -> None:
    written, report = north
    first, other = _rows(report, "connections")
    assert (first["connection"], other["connection"]) == ("first", "north")
    assert float(other["import_kwh"]) == pytest.approx(written.wh["north_meter.import_kwh"].sum() / 1000.0, abs=0.01)
    assert float(other["unaccounted_kwh"]) == pytest.approx(0.1 * len(written.wh["north_meter.import_kwh"]), abs=0.01)
    assert float(first["unaccounted_kwh"]) == pytest.approx(written.rest_wh.sum() / 1000.0, abs=0.01)
    whole = float(str(_figures(report)["scope2_location_based"]))
    assert float(first["scope2_kg"]) + float(other["scope2_kg"]) == pytest.approx(whole, abs=0.002)
    assert float(other["scope2_kg"]) > 0.0


def test_what_is_drawn_at_one_connection_is_laid_to_nothing_behind_another(north) -> None:
    written, report = north
    parts = {str(row["line"]): row for row in _rows(report, "scope2_by_meter")}
    mine = ("north_house: metered_load", "unaccounted at north", "not attributed at north")
    drawn = sum(float(parts[name]["import_kwh"]) for name in mine)
    assert drawn == pytest.approx(written.wh["north_meter.import_kwh"].sum() / 1000.0, abs=0.01)
    every = sum(float(row["scope2_kg"]) for row in parts.values())
    assert every == pytest.approx(float(str(_figures(report)["scope2_location_based"])), abs=1e-6)


def test_the_report_can_be_made_again(north, tmp_path) -> None:
    from ems.reports.bundle import contents

    written, report = north
    write_bundle(tmp_path / "report", contents(report, factor=None))
    site = load_site(written.folder)
    assert verify(tmp_path / "report", site).differences == ()
    (written.folder / "north.yaml").write_text(yaml.safe_dump({**TARIFF, "fixed_per_day": 1.0}))
    try:
        changed = verify(tmp_path / "report", load_site(written.folder)).differences
        assert any("north.yaml" in difference.file for difference in changed)
    finally:
        (written.folder / "north.yaml").write_text(yaml.safe_dump(TARIFF))


def test_an_hour_that_lacks_the_second_meter_has_no_bill_there_alone(tmp_path) -> None:
    written = with_north(write_site(tmp_path / "demo_feeder"))
    written.forget("north_meter.import_kwh", 10, 200)
    written.write_history()
    site = load_site(written.folder)
    found = _figures(carbon_report(site, PERIOD))
    assert found["bill_total"] is not None
    assert found["north_bill"] is None
    assert "bills_total" not in found
    assert np.isnan(keep_ledger(site, PERIOD).at("north").quarter_kwh[0]).any()
