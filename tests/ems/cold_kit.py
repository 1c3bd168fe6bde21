"""The small site with a node of cold: a chiller, a tank of cold water, a pipe to a second one, and rooms at its end."""

from __future__ import annotations

from typing import Any

from stage import make_site

from ems.config.site import Site

NODE: dict[str, Any] = {
    "assets.cooling": {"kind": "cold_load", "device": "cold_meter", "heat_node": "far"},
    "assets.near_tank": {"kind": "cold_tank", "device": "near_probes", "heat_node": "near", "capacity_kwh_per_k": 4.0,
                         "low_c": 6.0, "high_c": 13.0, "charge_kw": 40.0, "discharge_kw": 50.0,
                         "loss_kw_per_k": 0.01, "around_c": 25.0},
    "assets.far_tank": {"kind": "cold_tank", "device": "far_probes", "heat_node": "far", "capacity_kwh_per_k": 2.0,
                        "low_c": 8.0, "high_c": 14.0, "charge_kw": 40.0, "discharge_kw": 40.0, "around_c": 25.0},
    "assets.main": {"kind": "cold_pipe", "device": "main_pump", "bus": "busbar", "heat_node": "near", "to_node": "far",
                    "rated_kw": 30.0, "delay_s": 300.0, "loss_share": 0.03, "pump_kw_per_kw": 0.02},
    "assets.chiller": {"kind": "chiller", "device": "chiller_gateway", "bus": "busbar", "heat_node": "near",
                       "rated_kw": 10.0, "minimum_kw": 3.0, "supply_c": 6.0, "minimum_on_s": 600.0},
    "devices.cold_meter": {"protocol": "simulated", "profile": "heat_meter", "port": 21},
    "devices.near_probes": {"protocol": "simulated", "profile": "tank_sensors", "port": 22},
    "devices.far_probes": {"protocol": "simulated", "profile": "tank_sensors", "port": 23},
    "devices.main_pump": {"protocol": "simulated", "profile": "pipe_pump", "port": 24, "mode": "control",
                          "safe": {"setpoint_kw": 10.0}},
    "devices.chiller_gateway": {"protocol": "simulated", "profile": "electric_heater", "port": 25, "mode": "control",
                                "safe": {"setpoint_kw": 3.0}},
}  # fmt: skip
TOLD = {
    "cold_meter.heat_kw": 12.0, "near_probes.temperature_c": 10.0, "far_probes.temperature_c": 11.0,
    "main_pump.power_kw": 0.3, "main_pump.sent_kw": 12.0, "chiller_gateway.power_kw": 4.0, "heater.outdoor_c": 30.0,
}  # fmt: skip


def chilled(**changes: Any) -> Site:
    """Make the site; `assets__near_tank__low_c=7` changes a key."""
    parts = {path: dict(part) for path, part in NODE.items()}
    for place, value in changes.items():
        *path, key = place.split("__")
        parts[".".join(path)][key] = value
    return make_site(parts)
