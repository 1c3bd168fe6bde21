"""What a carbon report states, against an independent count of the same readings."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import re
import subprocess
import sys
import zipfile
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from written_site import FACTORS, QUARTERS, START, WrittenSite, fact, local, personal

from ems.cli import main
from ems.config.errors import SiteError
from ems.config.loading import load_site
from ems.reports.bundle import contents
from ems.reports.carbon import CarbonReport, ReportError, carbon_report
from ems.reports.evidence import read_factors, read_meters
from ems.reports.factors import FactorError
from ems.reports.ledger import bounds
from ems.reports.period import PeriodError, parse_period
from ems.reports.tables import to_csv
from optimization.bill import bill
from optimization.tariff import carbon_kg

BERLIN = ZoneInfo("Europe/Berlin")
HOURS = QUARTERS // 4
Rows = list[dict[str, str]]
March = tuple[WrittenSite, CarbonReport]


def made(site: WrittenSite, period: str = "2025-03", factor: str | None = None) -> CarbonReport:
    return carbon_report(load_site(site.folder), parse_period(period, BERLIN), factor=factor)


def rows(report: CarbonReport, table: str) -> Rows:
    held = next(each for each in report.tables if each.name == table)
    return list(csv.DictReader(to_csv(held).decode().splitlines()))


def hourly_wh(site: WrittenSite, point: str) -> np.ndarray:
    return site.wh[point].reshape(-1, 4).sum(axis=1)


def figure(report: CarbonReport, name: str) -> dict[str, str]:
    return next(row for row in rows(report, "summary") if row["figure"] == name)


@pytest.mark.parametrize(
    ("text", "hours", "first"),
    [("2025-03", 743, "2025-02-28T23:00:00+00:00"), ("2025-10", 745, "2025-09-30T22:00:00+00:00"),
     ("2025-12", 744, "2025-11-30T23:00:00+00:00"), ("2025-03-30", 23, "2025-03-29T23:00:00+00:00")],
)  # fmt: skip
def test_periods_are_cut_on_the_local_calendar(text: str, hours: int, first: str) -> None:
    period = parse_period(text, BERLIN)
    assert len(period.hours) == hours
    assert period.start.isoformat() == first
    assert len(bounds(period)) == 4 * hours + 1


@pytest.mark.parametrize("text", ["2025-13", "2025", "March", "2025-02-30", ""])
def test_what_is_no_period_is_refused(text: str) -> None:
    with pytest.raises(PeriodError, match="write a month like 2025-03"):
        parse_period(text, BERLIN)


def test_every_hour_of_the_balance_is_what_was_counted(march: March) -> None:
    written, report = march
    found = rows(report, "balance_hourly")
    assert len(found) == HOURS == 743
    columns = {"grid_import_kwh": "grid_meter.import_kwh", "grid_export_kwh": "grid_meter.export_kwh",
               "pv_kwh": "pv_inverter.energy_kwh", "ev_kwh": "wallbox.energy_kwh",
               "heat_pump_kwh": "air_handler.energy_kwh"}  # fmt: skip
    for column, point in columns.items():
        assert [round(1000 * float(row[column])) for row in found] == hourly_wh(written, point).tolist()
    assert [row["start_local"] for row in found] == [local(h).isoformat() for h in range(HOURS)]
    assert found[0]["start_utc"] == "2025-02-28T23:00:00Z"
    assert {row["origin"] for row in found} == {"measured"}


def test_what_is_unaccounted_for_is_the_load_that_nobody_meters_with_its_sign(march: March) -> None:
    written, report = march
    found = rows(report, "balance_hourly")
    rest = written.rest_wh.reshape(-1, 4).sum(axis=1)
    assert [round(1000 * float(row["unaccounted_kwh"])) for row in found] == rest.tolist()
    signs = {"grid_import_kwh": 1, "grid_export_kwh": -1, "pv_kwh": 1, "battery_discharge_kwh": 1,
             "battery_charge_kwh": -1, "ev_kwh": -1, "heat_pump_kwh": -1}  # fmt: skip
    for row in found:
        assert sum(sign * Decimal(row[name]) for name, sign in signs.items()) == Decimal(row["unaccounted_kwh"])


def test_a_negative_remainder_is_not_clamped(written: WrittenSite) -> None:
    readings = written.columns["grid_meter.import_kwh"]
    written.columns["grid_meter.import_kwh"] = [readings[0]] * len(readings)
    written.write_history()
    report = made(written)
    lowest = min(float(row["unaccounted_kwh"]) for row in rows(report, "balance_hourly"))
    assert lowest < -5.0
    assert float(figure(report, "unaccounted")["value"]) < 0.0


def test_emissions_are_import_times_the_factor_that_was_true(march: March) -> None:
    written, report = march
    imported = hourly_wh(written, "grid_meter.import_kwh") / 1000.0
    factors = np.array([fact(written, h) for h in range(HOURS)])
    found = rows(report, "scope2_hourly")
    assert [float(row["factor_kg_per_kwh"]) for row in found] == factors.tolist()
    assert {row["factor_basis"] for row in found} == {"actual"}
    assert sum(Decimal(row["scope2_kg"]) for row in found) == Decimal(figure(report, "scope2_location_based")["value"])
    total = float(figure(report, "scope2_location_based")["value"])
    assert total == pytest.approx(carbon_kg(imported, factors), abs=0.0005 * HOURS)
    assert all(row["factor_issued_utc"] > row["start_utc"] for row in found)


def test_attributed_parts_add_up_to_the_whole_in_every_hour(march: March) -> None:
    _, report = march
    whole = {row["start_utc"]: row for row in rows(report, "scope2_hourly")}
    parts: dict[str, list[Decimal]] = {at: [Decimal(0), Decimal(0)] for at in whole}
    for row in rows(report, "scope2_by_meter_hourly"):
        parts[row["start_utc"]][0] += Decimal(row["import_kwh"])
        parts[row["start_utc"]][1] += Decimal(row["scope2_kg"])
    for at, row in whole.items():
        assert parts[at] == [Decimal(row["grid_import_kwh"]), Decimal(row["scope2_kg"])]
    table = rows(report, "scope2_by_meter")
    assert [row["line"] for row in table][-2:] == ["unaccounted", "not attributed"]
    assert sum(Decimal(row["scope2_kg"]) for row in table) == Decimal(figure(report, "scope2_location_based")["value"])


def test_a_fixed_factor_can_be_asked_for(written: WrittenSite) -> None:
    report = made(written, factor="mean_2024")
    imported = hourly_wh(written, "grid_meter.import_kwh").sum() / 1000.0
    assert float(figure(report, "scope2_location_based")["value"]) == pytest.approx(0.4 * imported, abs=0.4)
    (row,) = rows(report, "factors")
    assert (row["factor"], row["source"], row["version"], row["hours_fixed"]) == ("mean_2024", "somebody", "7", "743")


def test_a_factor_that_was_never_issued_for_its_hour_afterwards_is_called_a_forecast(written: WrittenSite) -> None:
    path = written.folder / "series" / "published" / "carbon-2025-03.json.gz"
    documents = json.loads(gzip.decompress(path.read_bytes()))
    late = [d for d in documents if d["series"][0]["issued_at"] < "2025-03-31T00:00:00Z"]
    path.write_bytes(gzip.compress(json.dumps(late).encode(), mtime=0))
    report = made(written)
    bases = [row["factor_basis"] for row in rows(report, "scope2_hourly")]
    assert bases[:12] == ["actual"] * 12
    assert bases[-4:] == ["forecast"] * 4
    assert figure(report, "scope2_location_based")["grade"] == "C"


def test_hours_without_a_factor_have_no_emissions_and_are_said_to_be_missing(written: WrittenSite) -> None:
    (written.folder / "series" / "published" / "carbon-2025-03.json.gz").unlink()
    report = made(written)
    assert {row["scope2_kg"] for row in rows(report, "scope2_hourly")} == {""}
    assert figure(report, "scope2_location_based")["missing_pct"] == "100.00"
    assert figure(report, "scope2_location_based")["grade"] == "E"


def test_a_gap_of_a_register_is_substituted_and_its_energy_kept(march: March, written: WrittenSite) -> None:
    whole = Decimal(figure(march[1], "ev")["value"])
    written.forget("wallbox.energy_kwh", 41, 57)
    written.write_history()
    report = made(written)
    assert Decimal(figure(report, "ev")["value"]) == whole
    origins = [r["origin"] for r in rows(report, "meter_hourly") if r["line"] == "charge_point: ev"]
    assert [h for h, origin in enumerate(origins) if origin == "substituted"] == [10, 11, 12, 13, 14]
    (meter,) = [row for row in rows(report, "meters") if row["line"] == "charge_point: ev"]
    assert (meter["hours_expected"], meter["hours_substituted"], meter["hours_missing"]) == ("743", "5", "0")
    assert (meter["serial"], meter["direction"]) == ("W-1", "consumption")
    assert figure(report, "ev")["grade"] == "B"


def test_a_gap_of_a_power_and_a_long_gap_of_a_register_stay_missing(written: WrittenSite) -> None:
    written.forget("battery_inverter.power_kw", 100, 103)
    written.forget("wallbox.energy_kwh", 400, 600)
    written.write_history()
    report = made(written)
    balance = rows(report, "balance_hourly")
    assert [h for h, row in enumerate(balance) if row["battery_charge_kwh"] == ""] == [24, 25]
    missing = [h for h, row in enumerate(balance) if row["ev_kwh"] == ""]
    assert missing == list(range(99, 151))
    assert all(balance[h]["unaccounted_kwh"] == "" and balance[h]["origin"] == "missing" for h in [24, 25, *missing])
    known = [h for h in range(HOURS) if h not in missing]
    assert round(1000 * float(figure(report, "ev")["value"])) == hourly_wh(written, "wallbox.energy_kwh")[known].sum()
    assert figure(report, "ev")["grade"] == "D"


def test_a_register_that_began_anew_is_named_and_its_hour_missing(written: WrittenSite) -> None:
    readings = written.columns["wallbox.energy_kwh"]
    place = 96 + 50
    written.columns["wallbox.energy_kwh"] = [
        v if k <= place else round(v - readings[place], 3) for k, v in enumerate(readings)
    ]
    written.write_history()
    report = made(written)
    (step,) = rows(report, "register_steps")
    assert (step["line"], step["step"], step["reading_before_kwh"]) == (
        "charge_point: ev",
        "reset",
        f"{readings[place]:.3f}",
    )
    assert [h for h, row in enumerate(rows(report, "balance_hourly")) if row["ev_kwh"] == ""] == [12]


def test_the_bill_is_that_of_the_one_bill_function(march: March) -> None:
    written, report = march
    site = load_site(written.folder)
    price = np.array([0.01 * ((k // 4) % 24) for k in range(QUARTERS)])
    period = parse_period("2025-03", BERLIN)
    imported, exported = (written.wh[f"grid_meter.{n}_kwh"] / 1000.0 for n in ("import", "export"))
    expected = bill(site.tariff, bounds(period), imported, exported, price, zone=BERLIN).cents()
    found = {name: figure(report, f"bill_{name}")["value"] for name in expected}
    assert found == {name: f"{amount:.3f}" for name, amount in expected.items()}


def test_the_bill_settles_what_was_bought_and_says_that_nobody_metered_reactive_energy(written: WrittenSite) -> None:
    tariff = written.folder / "tariff.yaml"
    tariff.write_text(
        f"{tariff.read_text()}\nreactive: {{price_per_kvarh: 0.01}}\n"
        "imbalance: {short_per_kwh: 0.05, long_per_kwh: 0.03}\n"
    )
    path = written.folder / "site.yaml"
    path.write_text(path.read_text().replace("feeds:\n", "feeds:\n  bought: {source: 'http://127.0.0.1:1/bought'}\n"))
    assert figure(made(written), "bill")["note"] == "what was bought: 2972 of 2972 quarter-hours are missing"
    one = {"point": "bought", "unit": "kW", "issued_at": "2025-02-28T12:00:00Z", "valid_from": "2025-02-28T23:00:00Z"}
    documents = [{"schema_version": 1, "series": [{**one, "step_s": 86400, "values": [2.0] * 31}]}]
    shelf = written.folder / "series" / "published" / "bought-2025-03.json.gz"
    shelf.write_bytes(gzip.compress(json.dumps(documents).encode(), mtime=0))
    report = made(written)
    net_kwh = (written.wh["grid_meter.import_kwh"] - written.wh["grid_meter.export_kwh"]) / 1000.0 - 0.5
    expected = 0.05 * np.maximum(net_kwh, 0.0).sum() + 0.03 * np.maximum(-net_kwh, 0.0).sum()
    assert float(figure(report, "bill_settlement")["value"]) == pytest.approx(expected, abs=0.006)
    assert figure(report, "bill_reactive")["value"] == ""
    assert "no meter of the site counts it" in figure(report, "bill_reactive")["note"]


def test_without_all_prices_there_is_no_bill_and_the_reason_is_said(written: WrittenSite) -> None:
    (written.folder / "series" / "published" / "price-2025-03.json.gz").unlink()
    row = figure(made(written), "bill")
    assert row["value"] == ""
    assert row["note"] == "published prices: 2972 of 2972 quarter-hours are missing"


def test_personal_zones_are_told_as_sums_only(written: WrittenSite) -> None:
    personal(written.folder)
    report = made(written, "2025-03-30")
    files = contents(report, factor=None)
    everything = b"\n".join(files.values()).decode("utf-8", "replace")
    with zipfile.ZipFile(io.BytesIO(files["report.xlsx"])) as book:
        everything += "".join(book.read(name).decode() for name in book.namelist())
    for word in ("wallbox", "air_handler", "charge_point:", "heat_pump:", "W-1"):
        assert word not in everything
    (car,) = [row for row in rows(report, "meters") if row["line"] == "zone homes: ev"]
    assert (car["point"], car["first_reading_kwh"], car["meters"]) == ("", "", "1")
    assert len(rows(report, "balance_hourly")) == 23


def test_all_written_forms_hold_the_same_figures(written: WrittenSite) -> None:
    report = made(written, "2025-03-30")
    files = contents(report, factor=None)
    for table in report.tables:
        held = pq.read_table(io.BytesIO(files[f"{table.name}.parquet"]))
        assert held.column_names == [column.name for column in table.columns]
        assert held.num_rows == len(table.rows)
        for place, column in enumerate(table.columns):
            assert held.column(column.name).to_pylist() == [row[place] for row in table.rows]
    balance = next(t for t in report.tables if t.name == "balance_hourly")
    with zipfile.ZipFile(io.BytesIO(files["report.xlsx"])) as book:
        number = [t.name for t in report.tables].index("balance_hourly") + 1
        sheet = book.read(f"xl/worksheets/sheet{number}.xml").decode()
    cells = re.findall(r'<c r="C(\d+)"[^>]*><v>([^<]*)</v>', sheet)
    shown = {int(row): float(value) for row, value in cells if int(row) > 1}
    assert shown == {k: row[2] for k, row in enumerate(balance.rows, start=2)}
    assert b"Simulated" in files["report.html"]


def test_a_period_without_data_is_named_with_what_there_is(written: WrittenSite) -> None:
    with pytest.raises(
        ReportError, match=r"2025-07 has no readings of the grid meter: history/ holds 2025-03 to 2025-03"
    ):
        made(written, "2025-07")


def test_an_unknown_factor_is_named_with_those_that_there_are(written: WrittenSite) -> None:
    with pytest.raises(FactorError, match=r"no carbon factor 'gas' holds on 2025-03-01.*mean_2024 .*hourly"):
        made(written, factor="gas")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("unit: kg/kWh, value", "unit: g/kWh, value"), "factors.0.unit: 'g/kWh' cannot be used"),
        (("value: 0.4, ", ""), "factors.0: a factor has either `value` or `feed`; write one of them"),
        (('version: "7",', ""), "factors.0.version: is missing"),
        (("source: a grid", "sauce: a grid"), "factors.1.sauce: is no key here"),
        (("2024-01-01", "last year"), "factors.0.valid_from: 'last year' cannot be used"),
    ],
)
def test_evidence_that_cannot_be_used_is_named_at_its_place(
    tmp_path: Path, change: tuple[str, str], words: str
) -> None:
    assert change[0] in FACTORS
    (tmp_path / "evidence").mkdir()
    (tmp_path / "evidence" / "factors.yaml").write_text(FACTORS.replace(*change))
    with pytest.raises(SiteError) as error:
        read_factors(tmp_path)
    assert words in str(error.value)
    assert re.match(r"evidence/factors\.yaml:\d+:\d+  ", str(error.value))


def test_missing_evidence_is_named(tmp_path: Path) -> None:
    with pytest.raises(SiteError, match=r"evidence/factors\.yaml:1:1"):
        read_factors(tmp_path)
    assert read_meters(tmp_path) == ()


def test_same_inputs_give_same_bytes_whatever_the_process_and_its_surroundings(
    written: WrittenSite, tmp_path: Path
) -> None:
    surroundings = (
        {"PYTHONHASHSEED": "1", "TZ": "UTC", "LC_ALL": "C"},
        {"PYTHONHASHSEED": "77", "TZ": "Asia/Shanghai", "LC_ALL": "de_DE.UTF-8", "LANG": "de_DE.UTF-8"},
    )
    for number, extra in enumerate(surroundings):
        words = [sys.executable, "-m", "ems.cli", "report", "carbon", str(written.folder), "--period", "2025-03-30"]
        subprocess.run(
            [*words, "--out", str(tmp_path / str(number))], check=True, env=os.environ | extra, capture_output=True
        )
    one, two = ({p.name: p.read_bytes() for p in (tmp_path / str(n)).iterdir()} for n in (0, 1))
    assert one == two
    assert len(one) == 21


def test_a_folder_with_other_things_is_left_alone_and_an_earlier_report_replaced(
    written: WrittenSite, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    command = ["report", "carbon", str(written.folder), "--period", "2025-03-30", "--out", str(out)]
    assert main(command) == 0
    assert main([*command, "--factor", "mean_2024"]) == 0
    (out / "notes.txt").write_text("mine")
    capsys.readouterr()
    assert main(command) == 1
    assert "notes.txt, which is no part of a report" in capsys.readouterr().err
    assert (out / "notes.txt").read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "manifest.json").write_text('{"schema": "of somebody else"}')
    assert main([*command[:-1], str(tmp_path / "other")]) == 1
    assert "manifest.json, which is no part of a report" in capsys.readouterr().err


def test_the_commands_answer_is_one_object(
    written: WrittenSite, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["report", "carbon", str(written.folder), "--period", "2025-03-30", "--out", str(tmp_path / "r"), "--json"]
    assert main(words) == 0
    body = yaml.safe_load(capsys.readouterr().out)
    assert body["schema"] == "ems.report/1"
    assert (body["ok"], body["hours"], body["simulated"]) == (True, 23, True)
    assert {f["figure"] for f in body["figures"]} >= {"grid_import", "unaccounted", "scope2_location_based"}
    assert START.isoformat() not in body["files"]
