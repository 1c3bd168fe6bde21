"""What cannot be backfilled is written down: meters at the start, registers with the first reading, factors once."""

from __future__ import annotations

from datetime import UTC, datetime

from stage import Journal, make_site, snapshot

from drivers.feeds import ForecastSeries
from drivers.points import Point
from ems.config.binding import bind
from ems.evidence import Evidence

POINTS = {name: Point(name, unit) for name, unit in [("meter.import_kwh", "kWh"), ("meter.power_kw", "kW")]}
ISSUED = datetime(2025, 5, 20, 10, tzinfo=UTC)


def evidence():
    journal, site = Journal(), make_site()
    one = Evidence(site, bind(site), journal.record)
    one.observe(snapshot({"meter.power_kw": 3.0}), lambda: POINTS)
    return one, journal, site


def test_the_meters_are_named_with_the_configuration_they_belong_to():
    _, journal, site = evidence()
    (body,) = journal.bodies("meter_register")
    assert body["config_hash"] == site.config_hash
    assert [meter["device"] for meter in body["meters"]] == list(site.file.devices)
    registers = {meter["device"]: meter["registers"] for meter in body["meters"]}
    assert registers["meter"] == ["meter.import_kwh"]


def test_registers_are_kept_with_the_first_reading_and_then_when_asked():
    one, journal, _ = evidence()
    assert journal.bodies("energy_register") == []
    one.observe(snapshot({"meter.import_kwh": 100.0}), dict)
    one.observe(snapshot({"meter.import_kwh": 101.0}), dict)
    one.keep(snapshot({"meter.import_kwh": 102.0}))
    assert [body["meter.import_kwh"] for body in journal.bodies("energy_register")] == [100.0, 102.0]


def test_factors_and_prices_are_kept_with_source_and_version_and_weather_is_not():
    one, journal, _ = evidence()
    for point, unit in [("carbon", "kg/kWh"), ("price", "EUR/kWh"), ("outdoor_c", "degC")]:
        one.issue(ForecastSeries(point, unit, ISSUED, ISSUED, 3600.0, (0.2, None), source="grid", version="7"))
    bodies = journal.bodies("factor")
    assert [(body["point"], body["source"], body["version"]) for body in bodies] == [
        ("carbon", "grid", "7"), ("price", "grid", "7"),
    ]  # fmt: skip
    assert bodies[0]["values"] == (0.2, None)


def test_what_was_bought_ahead_is_kept_as_the_bill_counts_from_it():
    one, journal, _ = evidence()
    one.issue(ForecastSeries("bought", "kW", ISSUED, ISSUED, 900.0, (12.0, None, -3.0), source="trader"))
    (body,) = journal.bodies("factor")
    assert (body["point"], body["unit"], body["values"]) == ("bought", "kW", (12.0, None, -3.0))
