"""A site with two grid connections: the demo feeder, and a house beside it with a connection, a tariff and a feeder."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import yaml

from ems.config.loading import load_site
from ems.config.site import Site

DEMO = Path(__file__).resolve().parents[2] / "sites" / "demo_feeder"
NORTH: dict[str, Any] = {"import_limit_kw": 30, "export_limit_kw": 10, "tariff": "north.yaml"}
TARIFF: dict[str, Any] = {
    "schema_version": 1,
    "import": {
        "energy": 0.12,
        "adders": {"grid": 0.1},
        "vat": 0.19,
        "windows": {"day": {"from_h": 6, "to_h": 22, "energy": 0.3}},
    },
    "export": {"energy": 0.05},
    "demand": {"price_per_kw": 3.0, "interval_s": 900, "period": "month"},
}
DEVICES: dict[str, Any] = {
    "north_meter": {"protocol": "modbus", "profile": "sunspec_meter", "port": 15030, "mode": "monitor"},
    "north_submeter": {"protocol": "modbus", "profile": "sunspec_meter", "port": 15031, "mode": "monitor"},
    "north_inverter": {
        "protocol": "modbus", "profile": "sunspec_pv", "port": 15032, "mode": "control", "safe": {"limit_kw": 8},
    },
    "north_store": {
        "protocol": "modbus", "profile": "sunspec_battery", "port": 15033, "mode": "control",
        "safe": {"setpoint_kw": 0},
    },
}  # fmt: skip
ASSETS: dict[str, Any] = {
    "north_connection": {"kind": "grid_meter", "device": "north_meter", "bus": "north_busbar", "connection": "north"},
    "north_house": {"kind": "metered_load", "device": "north_submeter", "bus": "north", "connection": "north"},
    "north_pv": {
        "kind": "pv", "device": "north_inverter", "bus": "north", "rated_kw": 12, "module_kw": 14,
        "connection": "north",
    },
    "north_battery": {
        "kind": "battery", "device": "north_store", "bus": "north", "capacity_kwh": 30, "charge_kw": 10,
        "discharge_kw": 10, "wear_per_kwh": 0.02, "connection": "north",
    },
}  # fmt: skip


def content() -> dict[str, Any]:
    """The site file as plain values."""
    raw: dict[str, Any] = yaml.safe_load((DEMO / "site.yaml").read_text())
    raw["connections"] = {"north": dict(NORTH)}
    raw["devices"] |= DEVICES
    raw["assets"] |= ASSETS
    return raw


def write(folder: Path, raw: dict[str, Any] | None = None, *, with_grid: bool = True) -> Path:
    """Write the site into a folder."""
    shutil.copytree(DEMO, folder, dirs_exist_ok=True)
    (folder / "site.yaml").write_text(yaml.safe_dump(raw or content(), sort_keys=False))
    (folder / "north.yaml").write_text(yaml.safe_dump(TARIFF, sort_keys=False))
    loads = (folder / "series" / "load.csv").read_text().splitlines()
    told = [f"{loads[0]},north_house_kw", *(f"{line},{1.5 + 0.5 * (k % 7)}" for k, line in enumerate(loads[1:]))]
    (folder / "series" / "load.csv").write_text("\n".join(told) + "\n")
    if with_grid:
        _second_feeder(folder / "grid.json")
    return folder


def load(folder: Path) -> Site:
    """Write it and read it back."""
    return load_site(write(folder))


def _second_feeder(path: Path) -> None:
    """Add a feeder to a pandapower grid: an external grid, a transformer like the first one and a line."""
    import pandapower

    net = pandapower.from_json(path)
    head = pandapower.create_bus(net, float(net.bus.vn_kv.iloc[0]), name="north_mv")
    busbar = pandapower.create_bus(net, 0.4, name="north_busbar")
    far = pandapower.create_bus(net, 0.4, name="north")
    pandapower.create_ext_grid(net, head, vm_pu=float(net.ext_grid.vm_pu.iloc[0]))
    known = net.trafo.iloc[0]
    keys = ("sn_mva", "vn_hv_kv", "vn_lv_kv", "vk_percent", "vkr_percent", "pfe_kw", "i0_percent")
    own = {key: float(known[key]) for key in keys}
    pandapower.create_transformer_from_parameters(net, head, busbar, name="north trafo", **own)
    line = {key: float(net.line.iloc[0][key]) for key in ("r_ohm_per_km", "x_ohm_per_km", "c_nf_per_km", "max_i_ka")}
    pandapower.create_line_from_parameters(net, busbar, far, 0.2, name="north line", **line)
    pandapower.to_json(net, path)
