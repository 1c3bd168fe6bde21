"""A small site for tests on exact places: its lines are counted in them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ems.config.errors import SiteError
from ems.config.loading import load_site

DEMO = Path(__file__).resolve().parents[3] / "sites" / "demo_feeder"

SITE = """\
schema_version: 1
site:
  id: yard
  name: Yard
  timezone: Europe/Berlin
  currency: EUR
grid:
  file: grid.json
  import_limit_kw: 40
  export_limit_kw: 40
tariff: tariff.yaml
feeds:
  price: {source: "http://127.0.0.1:1/price"}
  carbon: {source: "http://127.0.0.1:1/carbon"}
  weather: {source: "http://127.0.0.1:1/weather"}
devices:
  meter: {protocol: modbus, profile: sunspec_meter, port: 15020}
  inverter:
    protocol: modbus
    profile: sunspec_battery
    port: 15022
    mode: control
    safe: {setpoint_kw: 0}
  wallbox:
    protocol: modbus
    profile: amperfied_wallbox
    port: 15023
    mode: control
    safe: {limit_a: 6}
assets:
  connection: {kind: grid_meter, device: meter, bus: busbar}
  houses: {kind: load, bus: houses, residual_share: 1}
  battery:
    kind: battery
    device: inverter
    bus: busbar
    capacity_kwh: 100
    charge_kw: 40
    discharge_kw: 40
  charge_point:
    kind: charge_point
    device: wallbox
    bus: houses
    charge_kw: 22
"""
TARIFF = """\
schema_version: 1
import:
  energy: feed
  adders: {grid_fee: 0.1}
  vat: 0.2
"""


def grid_json(*buses: str) -> str:
    """Write a grid file as pandapower lays it out, with nothing but buses."""
    table = {"columns": ["name", "vn_kv"], "index": list(range(len(buses))), "data": [[bus, 0.4] for bus in buses]}
    return json.dumps({"_object": {"bus": {"_object": json.dumps(table), "orient": "split"}}})


def problems(folder: Path, text: str | bytes | None = None) -> list[str]:
    """Write a site file, load its site and give what is wrong with it, line by line."""
    if isinstance(text, str):
        (folder / "site.yaml").write_text(text, encoding="utf-8")
    elif text is not None:
        (folder / "site.yaml").write_bytes(text)
    with pytest.raises(SiteError) as error:
        load_site(folder)
    return [str(problem) for problem in error.value.problems]
