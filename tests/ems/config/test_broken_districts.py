"""A table of broken districts: zones, what only tells, routed devices, coarse steps and series, each at its place."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_site import TARIFF, grid_json, problems

from ems.config.binding import bind
from ems.config.loading import load_site

DISTRICT = """\
schema_version: 1
site:
  id: quarter
  name: Quarter
  timezone: Europe/Berlin
  currency: EUR
planning:
  horizon_h: 48
  coarse_after_h: 12
  coarse_step_s: 3600
grid:
  file: grid.json
  import_limit_kw: 40
  export_limit_kw: 40
tariff: tariff.yaml
feeds:
  price: {source: "http://127.0.0.1:1/price"}
  carbon: {source: "http://127.0.0.1:1/carbon"}
  weather: {source: "http://127.0.0.1:1/weather"}
series: {load: load.csv}
zones:
  school:
    use: public
    privacy: public
    comfort:
      low_c: 17
      high_c: 26
      occupied_low_c: 20
      occupied_high_c: 25
  homes: {use: residential, privacy: personal}
devices:
  meter: {protocol: modbus, profile: sunspec_meter, port: 15020}
  school_meter: {protocol: modbus, profile: sunspec_meter, port: 15021}
  pump:
    protocol: bacnet
    profile: heat_pump
    port: 47840
    bacnet_network: 2001
    bacnet_mac: 5
    mode: control
    safe: {setpoint_kw: null}
  fan:
    protocol: bacnet
    profile: heat_pump
    port: 47840
    bacnet_network: 2001
    bacnet_mac: 6
  heat_counter: {protocol: modbus, profile: heat_meter, port: 15022}
  management: {protocol: bacnet, profile: building_automation, port: 47832}
assets:
  connection: {kind: grid_meter, device: meter, bus: busbar}
  houses: {kind: load, bus: houses, zone: homes, residual_share: 1}
  school_load: {kind: metered_load, device: school_meter, bus: houses, zone: school}
  heat_pump:
    kind: heat_pump
    device: pump
    bus: houses
    zone: school
    rated_kw: 12
    air_kwh_per_k: 4
    mass_kwh_per_k: 40
    air_mass_k_per_kw: 0.25
    air_out_k_per_kw: 1.4
    mass_out_k_per_kw: 3.5
  heat: {kind: heat_meter, device: heat_counter, of: heat_pump}
  automation:
    kind: building_automation
    device: management
    limits: {hvac_limit_kw: heat_pump}
    fallback_kw: {hvac_limit_kw: 6}
"""
SERIES = "start,houses_kw,school_load_kw\n2025-01-01T00:00:00Z,1,2\n2025-01-01T00:15:00Z,1,2\n"

BROKEN = {
    "unknown zone": (
        "bus: houses, zone: homes,",
        "bus: houses, zone: hmes,",
        "site.yaml:52:37  houses.zone: there is no zone 'hmes' (did you mean `homes`?); known are school, homes",
    ),
    "no zone for the comfort": (
        "    zone: school\n    rated",
        "    zone: scool\n    rated",
        "site.yaml:58:5  heat_pump.zone: there is no zone 'scool' (did you mean `school`?)",
    ),
    "a zone without comfort": (
        "    zone: school\n    rated",
        "    zone: homes\n    rated",
        "site.yaml:54:3  heat_pump.comfort: is missing; add a block `comfort:` with low_c, high_c, occupied_low_c,",
    ),
    "neither zone nor comfort": (
        "    zone: school\n    rated",
        "    rated",
        "site.yaml:54:3  heat_pump.comfort: is missing; add a block `comfort:`",
    ),
    "broken comfort of a zone": (
        "      low_c: 17\n",
        "      low_c: cool\n",
        "site.yaml:26:7  zones.school.comfort.low_c: 'cool' is not a number; write the temperature in degrees Celsius",
    ),
    "misspelled comfort of a zone": (
        "    comfort:\n",
        "    comfrt:\n",
        "site.yaml:25:5  zones.school.comfrt: is not a known key here (did you mean `comfort`?)",
    ),
    "upside-down comfort of a zone": (
        "      low_c: 17\n",
        "      low_c: 27\n",
        "site.yaml:26:7  zones.school.comfort.low_c: 27 is not below `high_c`, which is 26; write a smaller low_c",
    ),
    "unknown use": (
        "use: residential",
        "use: private",
        "site.yaml:30:11  zones.homes.use: 'private' is not one of public, business, residential",
    ),
    "unknown privacy": (
        "privacy: personal",
        "privacy: secret",
        "site.yaml:30:29  zones.homes.privacy: 'secret' is not one of public, internal, personal",
    ),
    "heat meter of nothing": (
        "of: heat_pump",
        "of: heat_pmp",
        "site.yaml:65:50  heat.of: there is no asset 'heat_pmp' (did you mean `heat_pump`?); write one of heat_pump",
    ),
    "heat meter of a load": (
        "of: heat_pump",
        "of: houses",
        "site.yaml:65:50  heat.of: houses is a load; write one of heat_pump",
    ),
    "limit of nothing": (
        "limits: {hvac_limit_kw: heat_pump}",
        "limits: {hvac_limit_kw: heating}",
        "site.yaml:69:14  automation.limits.hvac_limit_kw: there is no asset 'heating'",
    ),
    "limit of what is not commanded": (
        "limits: {hvac_limit_kw: heat_pump}",
        "limits: {hvac_limit_kw: school_load}",
        "site.yaml:69:14  automation.limits.hvac_limit_kw: school_load is a metered_load; write one of heat_pump",
    ),
    "limit without a fallback": (
        "fallback_kw: {hvac_limit_kw: 6}",
        "fallback_kw: {}",
        "site.yaml:70:5  automation.fallback_kw: declares none for hvac_limit_kw; add `hvac_limit_kw:`",
    ),
    "fallback of no limit": (
        "fallback_kw: {hvac_limit_kw: 6}",
        "fallback_kw: {hvac_limit_kw: 6, hvac_limt_kw: 5}",
        "site.yaml:70:37  automation.fallback_kw.hvac_limt_kw: limits name no hvac_limt_kw (did you mean",
    ),
    "fallback below zero": (
        "fallback_kw: {hvac_limit_kw: 6}",
        "fallback_kw: {hvac_limit_kw: -6}",
        "site.yaml:70:19  automation.fallback_kw.hvac_limit_kw: -6 is below 0; write the power in kW",
    ),
    "a limit that the profile does not publish": (
        "limits: {hvac_limit_kw: heat_pump}\n    fallback_kw: {hvac_limit_kw: 6}",
        "limits: {havc_limit_kw: heat_pump}\n    fallback_kw: {havc_limit_kw: 6}",
        "site.yaml:69:14  automation.limits.havc_limit_kw: building_automation publishes no such limit in kW "
        "(did you mean `hvac_limit_kw`?); known are charging_limit_kw, hvac_limit_kw",
    ),
    "a network without an address": (
        "    bacnet_mac: 6\n",
        "",
        "site.yaml:46:5  fan.bacnet_network: a device behind a router needs its network and its address there; "
        "write bacnet_mac too",
    ),
    "an address without a network": (
        "    bacnet_network: 2001\n    bacnet_mac: 6\n",
        "    bacnet_mac: 6\n",
        "site.yaml:46:5  fan.bacnet_mac: a device behind a router needs its network and its address there; "
        "write bacnet_network too",
    ),
    "a router in front of Modbus": (
        "profile: heat_meter, port: 15022}",
        "profile: heat_meter, port: 15022, bacnet_network: 7, bacnet_mac: 1}",
        "site.yaml:48:89  heat_counter.bacnet_mac: only a bacnet device is behind a BACnet router; leave it out",
    ),
    "one address twice behind a router": (
        "bacnet_mac: 6",
        "bacnet_mac: 5",
        "site.yaml:45:5  fan.port: 127.0.0.1:47840 bacnet_network 2001 bacnet_mac 5 is also the address of pump",
    ),
    "coarse steps beyond the horizon": (
        "coarse_after_h: 12",
        "coarse_after_h: 48",
        "site.yaml:9:3  planning.coarse_after_h: 48 h is not below `horizon_h`, which is 48; write a smaller",
    ),
    "coarse steps from within a step": (
        "coarse_after_h: 12",
        "coarse_after_h: 12.1",
        "site.yaml:9:3  planning.coarse_after_h: 12.1 h does not hold a whole number of steps of 900 s",
    ),
    "coarse steps that are no multiple": (
        "coarse_step_s: 3600",
        "coarse_step_s: 1200",
        "site.yaml:10:3  planning.coarse_step_s: 1200 s is no multiple of step_s, 900 s, that divides an hour",
    ),
    "coarse steps that stride over hours": (
        "coarse_step_s: 3600",
        "coarse_step_s: 4500",
        "site.yaml:10:3  planning.coarse_step_s: 4500 s is no multiple of step_s, 900 s, that divides an hour",
    ),
    "no history": (
        "series: {load: load.csv}",
        "series: {load: load.csv, history: past}",
        "site.yaml:20:26  series.history: there is no folder 'past' in yard/",
    ),
    "a metered load in control": (
        "profile: sunspec_meter, port: 15021}",
        "profile: sunspec_meter, port: 15021, mode: control}",
        "site.yaml:33:73  school_meter.mode: is control, yet a metered_load takes no commands; write monitor",
    ),
    "a heat meter that advises": (
        "profile: heat_meter, port: 15022}",
        "profile: heat_meter, port: 15022, mode: advise}",
        "site.yaml:48:70  heat_counter.mode: is advise, yet a heat_meter takes no commands; write monitor",
    ),
    "building automation in control": (
        "profile: building_automation, port: 47832}",
        "profile: building_automation, port: 47832, mode: control}",
        "site.yaml:49:77  management.mode: is control, yet a building_automation takes no commands; write monitor",
    ),
    "profile of another device": (
        "profile: heat_meter, port",
        "profile: sunspec_meter, port",
        "site.yaml:48:36  heat_counter.profile: sunspec_meter has no role heat_kw, which a heat_meter needs",
    ),
}


@pytest.fixture
def quarter(yard: Path) -> Path:
    """Give the folder of the small district."""
    (yard / "site.yaml").write_text(DISTRICT, encoding="utf-8")
    (yard / "tariff.yaml").write_text(TARIFF, encoding="utf-8")
    (yard / "grid.json").write_text(grid_json("mv", "busbar", "houses"), encoding="utf-8")
    (yard / "series").mkdir()
    (yard / "series" / "load.csv").write_text(SERIES, encoding="utf-8")
    return yard


def test_a_whole_district_loads(quarter: Path) -> None:
    site = load_site(quarter)
    assert site.file.assets["heat_pump"].comfort == site.file.zones["school"].comfort
    assert bind(site).measure("automation", "charging_limit_kw") == "management.charging_limit_kw"
    assert bind(site).measure("heat", "heat_kwh") == "heat_counter.heat_kwh"
    assert bind(site).command("school_load") is None


@pytest.mark.parametrize("case", BROKEN)
def test_one_slip_in_a_district_gives_one_problem_at_its_place(quarter: Path, case: str) -> None:
    old, new, expected = BROKEN[case]
    assert DISTRICT.count(old) == 1
    found = problems(quarter, DISTRICT.replace(old, new))
    assert len(found) == 1, found
    assert found[0].startswith(expected), found


def test_all_slips_of_a_district_come_in_one_run(quarter: Path) -> None:
    cases = [
        "unknown zone",
        "upside-down comfort of a zone",
        "unknown use",
        "heat meter of a load",
        "limit without a fallback",
        "one address twice behind a router",
        "coarse steps beyond the horizon",
        "a metered load in control",
    ]
    text = DISTRICT
    for old, new, _ in (BROKEN[case] for case in cases):
        text = text.replace(old, new)
    found = problems(quarter, text)
    for case in cases:
        assert any(line.startswith(BROKEN[case][2]) for line in found), (case, found)
    assert len(found) == len(cases)


def test_an_asset_may_have_a_band_of_its_own(quarter: Path) -> None:
    own = "{low_c: 5, high_c: 30, occupied_low_c: 6, occupied_high_c: 29}"
    text = DISTRICT.replace("    rated_kw: 12", f"    rated_kw: 12\n    comfort: {own}")
    (quarter / "site.yaml").write_text(text.replace("    zone: school\n    rated", "    rated"), encoding="utf-8")
    assert load_site(quarter).file.assets["heat_pump"].comfort.low_c == 5.0


@pytest.mark.parametrize("series", ["start,total_kw,school_load_kw\n", SERIES])
def test_unmetered_loads_come_in_a_total_or_one_by_one(quarter: Path, series: str) -> None:
    (quarter / "series" / "load.csv").write_text(series, encoding="utf-8")
    assert load_site(quarter).file.series.load == "load.csv"


@pytest.mark.parametrize(
    ("header", "missing"),
    [
        ("start,total_kw", "school_load_kw"),
        ("start,school_load_kw", "houses_kw"),
        ("start,school_kw", "school_load_kw, houses_kw"),
        ("", "school_load_kw, houses_kw"),
    ],
)
def test_a_load_without_a_column_is_said_at_the_series(quarter: Path, header: str, missing: str) -> None:
    (quarter / "series" / "load.csv").write_text(f"{header}\n", encoding="utf-8")
    (found,) = problems(quarter)
    assert found.startswith(f"site.yaml:20:10  series.load: load.csv has no column {missing}; add it")


def test_a_series_that_is_no_text_is_left_to_its_reader(quarter: Path) -> None:
    (quarter / "series" / "load.csv").write_bytes(b"\xff\xfe\x00")
    assert load_site(quarter).file.site.id == "quarter"
