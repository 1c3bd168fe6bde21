"""What a site burns: its Scope 1 against an independent count, its place in the balance, and factors of fuels."""

from __future__ import annotations

import csv
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from written_site import FACTORS, QUARTERS, WrittenSite, local

from ems.config.errors import SiteError
from ems.config.loading import load_site
from ems.reports import meters
from ems.reports.carbon import CarbonReport, carbon_report
from ems.reports.factors import FactorError
from ems.reports.period import parse_period
from ems.reports.tables import to_csv

HOURS = QUARTERS // 4
DEVICES = """\
  set_gateway: {protocol: modbus, profile: genset, port: 15031, mode: control, safe: {setpoint_kw: 0}}
  burner_gateway: {protocol: modbus, profile: boiler, port: 15032, mode: control, safe: {setpoint_kw: 0}}
  tank_sensors: {protocol: modbus, profile: tank_sensors, port: 15033}
"""
ASSETS = """\
  set: {kind: genset, device: set_gateway, bus: busbar, rated_kw: 20, fuel_per_kw: 2.5, fuel_idle_kw: 4.0,
        fuel_price_per_kwh: 0.09}
  burner: {kind: boiler, device: burner_gateway, heat_node: cellar, rated_kw: 30, fuel_price_per_kwh: 0.08}
  tank: {kind: tank, device: tank_sensors, heat_node: cellar, capacity_kwh_per_k: 1.2, low_c: 50, high_c: 80,
         charge_kw: 40, discharge_kw: 40}
"""
FUELS = """\
  - {id: gas_2024, kind: fuel, assets: [set, burner], unit: kg/kWh, value: 0.202, source: an office, version: "3",
     recorded: 2025-01-02, valid_from: 2024-01-01}
  - {id: biogas, kind: fuel, assets: [set], unit: kg/kWh, value: 0.05, source: a supplier, version: "1",
     recorded: 2025-03-10, valid_from: 2025-03-16}
"""
COUNTED = ("set_gateway.energy_kwh", "set_gateway.fuel_kwh", "burner_gateway.fuel_kwh")


def add_burners(site: WrittenSite, *, without: tuple[str, ...] = ()) -> dict[str, np.ndarray]:
    """Give the site a generating set and a boiler, and what their registers counted; gives whole Wh by quarter-hour."""
    path = site.folder / "site.yaml"
    text = path.read_text().replace("\ndevices:\n", f"\ndevices:\n{DEVICES}", 1)
    path.write_text(text.replace("\nassets:\n", f"\nassets:\n{ASSETS}", 1))
    (site.folder / "evidence" / "factors.yaml").write_text(FACTORS + FUELS)
    rng = np.random.default_rng(3)
    number, found = QUARTERS + 192, {}
    for point in COUNTED:
        wh = rng.integers(0, 3000, number) * (rng.random(number) < 0.7)
        found[point] = wh[96:-96]
        if point not in without:
            site.columns[point] = [round(float(v) / 1000.0, 3) for v in np.concatenate([[0], np.cumsum(wh)])]
    site.write_history()
    return found


def made(site: WrittenSite) -> CarbonReport:
    return carbon_report(load_site(site.folder), parse_period("2025-03", ZoneInfo("Europe/Berlin")))


def rows(report: CarbonReport, table: str) -> list[dict[str, str]]:
    held = next(each for each in report.tables if each.name == table)
    return list(csv.DictReader(to_csv(held).decode().splitlines()))


def figure(report: CarbonReport, name: str) -> dict[str, str]:
    return next(row for row in rows(report, "summary") if row["figure"] == name)


def hourly_kwh(wh: np.ndarray) -> np.ndarray:
    return wh.reshape(-1, 4).sum(axis=1) / 1000.0


def set_factor(hour: int) -> float:
    return 0.05 if local(hour).date().day >= 16 else 0.202


def test_what_is_burnt_is_fuel_times_the_factor_of_its_day(written: WrittenSite) -> None:
    wh = add_burners(written)
    report = made(written)
    by_set, by_burner = (hourly_kwh(wh[point]) for point in COUNTED[1:])
    set_kg = [round(kwh * set_factor(hour), 3) for hour, kwh in enumerate(by_set)]
    expected = sum(set_kg) + np.round(0.202 * by_burner, 3).sum()
    assert float(figure(report, "scope1_fuel")["value"]) == pytest.approx(expected, abs=1e-6)
    assert figure(report, "scope1_fuel")["grade"] == "A"
    hours = rows(report, "scope1_hourly")
    assert len(hours) == 2 * HOURS
    mine = [row for row in hours if row["line"] == "set: fuel"]
    assert [float(row["fuel_kwh"]) for row in mine] == pytest.approx(by_set, abs=1e-9)
    assert [float(row["scope1_kg"]) for row in mine] == pytest.approx(set_kg, abs=1e-9)
    assert {row["factor"] for row in mine} == {"gas_2024", "biogas"}
    used = {row["factor"]: row for row in rows(report, "factors")}
    assert used["biogas"]["source"] == "a supplier"
    assert int(used["gas_2024"]["hours_fixed"]) + int(used["biogas"]["hours_fixed"]) == 2 * HOURS


def test_a_generating_set_stands_in_the_balance_and_its_fuel_does_not(written: WrittenSite) -> None:
    before = rows(made(written), "balance_hourly")
    wh = add_burners(written)
    after = rows(made(written), "balance_hourly")
    given = hourly_kwh(wh[COUNTED[0]])
    for was, now, kwh in zip(before, after, given, strict=True):
        assert "fuel_kwh" not in now
        assert float(now["genset_kwh"]) == pytest.approx(kwh, abs=1e-9)
        assert float(now["unaccounted_kwh"]) == pytest.approx(float(was["unaccounted_kwh"]) + kwh, abs=1e-6)


def test_an_hour_without_a_reading_of_fuel_keeps_its_balance(written: WrittenSite) -> None:
    add_burners(written)
    at = next(k for k in range(QUARTERS) if local(k // 4).day == 20)
    written.forget(COUNTED[1], at, at + 200)
    written.write_history()
    report = made(written)
    assert figure(report, "unaccounted")["grade"] == "B"
    assert float(figure(report, "scope1_fuel")["missing_pct"]) > 0.0
    assert any(row["scope1_kg"] == "" for row in rows(report, "scope1_hourly"))


def test_the_fuel_of_a_set_without_a_register_is_reckoned_and_graded_so(written: WrittenSite, monkeypatch) -> None:
    wh = add_burners(written, without=(COUNTED[1],))
    monkeypatch.setattr(meters, "_WAYS", {**meters._WAYS, "genset": meters._WAYS["genset"][:1]})
    report = made(written)
    ran_h = (wh[COUNTED[0]].reshape(-1, 4) > 0).sum(axis=1) / 4.0
    fuel = 2.5 * hourly_kwh(wh[COUNTED[0]]) + 4.0 * ran_h
    mine = [row for row in rows(report, "scope1_hourly") if row["line"] == "set: fuel"]
    assert [float(row["fuel_kwh"]) for row in mine] == pytest.approx(fuel, abs=6e-4), "rounded to the Wh"
    assert figure(report, "scope1_fuel")["grade"] == "B"
    assert "computed" in figure(report, "scope1_fuel")["note"]


def test_a_fuel_without_a_factor_is_refused_in_words(written: WrittenSite) -> None:
    add_burners(written)
    path = written.folder / "evidence" / "factors.yaml"
    path.write_text(FACTORS)
    with pytest.raises(
        FactorError, match=r"no factor of what 'set' burns holds on 2025-03-\d\d; write one of the kind"
    ):
        made(written)
    path.write_text(FACTORS + FUELS.replace("[set, burner]", "[set]"))
    with pytest.raises(FactorError, match="no factor of what 'burner' burns"):
        made(written)


def test_the_factor_of_a_fuel_is_never_taken_for_that_of_the_grid(written: WrittenSite) -> None:
    without = figure(made(written), "scope2_location_based")["value"]
    add_burners(written)
    assert figure(made(written), "scope2_location_based")["value"] == without


WRONG = {
    "a fuel without assets": ("kind: fuel, assets: [set, burner]", "kind: fuel", "`assets` names what burns a fuel"),
    "assets of the grid": ("kind: location_based, unit", "kind: location_based, assets: [set], unit", "`assets` names"),
    "a fuel by the hour": ("value: 0.05, source", "feed: carbon, source", "nobody publishes the factor of a fuel"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_entry_is_named_with_its_line(written: WrittenSite, name: str) -> None:
    add_burners(written)
    before, after, words = WRONG[name]
    path = Path(written.folder / "evidence" / "factors.yaml")
    path.write_text(path.read_text().replace(before, after, 1))
    with pytest.raises(SiteError, match=words) as caught:
        made(written)
    assert "evidence/factors.yaml:" in str(caught.value)


def test_a_zone_that_is_told_as_a_sum_needs_one_factor_for_its_fuels(written: WrittenSite) -> None:
    add_burners(written)
    path = written.folder / "site.yaml"
    text = path.read_text().replace("set: {kind: genset", "set: {kind: genset, zone: homes")
    text = text.replace("burner: {kind: boiler", "burner: {kind: boiler, zone: homes")
    path.write_text(text + "\nzones:\n  homes: {use: residential, privacy: personal}\n")
    with pytest.raises(FactorError, match="is a sum, but its fuels have the factors biogas, gas_2024 on 2025-03-"):
        made(written)
    (written.folder / "evidence" / "factors.yaml").write_text(FACTORS + FUELS.partition("  - {id: biogas")[0])
    assert {row["line"] for row in rows(made(written), "scope1_hourly")} == {"zone homes: fuel"}
