"""The small site with a heat node: a heat pump, an electric and a fuel boiler, a tank and the houses that it heats."""

from __future__ import annotations

from typing import Any

from stage import make_site

from ems.config.site import Site

NODE: dict[str, Any] = {
    "assets.warmth": {"kind": "heat_load", "device": "heat_meter", "heat_node": "net"},
    "assets.tank": {"kind": "tank", "device": "probes", "heat_node": "net", "capacity_kwh_per_k": 2.0, "low_c": 50.0,
                    "high_c": 80.0, "charge_kw": 60.0, "discharge_kw": 60.0, "loss_kw_per_k": 0.01},
    "assets.boiler": {"kind": "boiler", "device": "burner", "heat_node": "net", "rated_kw": 40.0, "efficiency": 0.9,
                      "minimum_kw": 8.0, "fuel_price_per_kwh": 0.08, "fuel_kg_per_kwh": 0.2, "minimum_on_s": 600.0},
    "assets.rod": {"kind": "electric_boiler", "device": "heating_rod", "bus": "busbar", "heat_node": "net",
                   "rated_kw": 10.0},
    "assets.pump": {"kind": "heat_source", "device": "pump_gateway", "bus": "busbar", "heat_node": "net",
                    "rated_kw": 8.0, "minimum_kw": 2.0, "supply_c": 60.0},
    "devices.heat_meter": {"protocol": "simulated", "profile": "heat_meter", "port": 21},
    "devices.probes": {"protocol": "simulated", "profile": "tank_sensors", "port": 22},
    "devices.burner": {"protocol": "simulated", "profile": "boiler", "port": 23, "mode": "control",
                       "safe": {"setpoint_kw": None}},
    "devices.heating_rod": {"protocol": "simulated", "profile": "electric_heater", "port": 24, "mode": "control",
                            "safe": {"setpoint_kw": 0.0}},
    "devices.pump_gateway": {"protocol": "simulated", "profile": "electric_heater", "port": 25, "mode": "control",
                             "safe": {"setpoint_kw": 3.0}},
    "planning.carbon_price_per_kg": 0.1,
}  # fmt: skip
TOLD = {
    "heat_meter.heat_kw": 20.0, "probes.temperature_c": 60.0, "burner.fuel_kw": 0.0, "heating_rod.power_kw": 0.0,
    "pump_gateway.power_kw": 4.0,
}  # fmt: skip


def heated(**changes: Any) -> Site:
    """Make the site; `assets__tank__low_c=40` changes a key, None removes a part."""
    parts = {path: dict(part) if isinstance(part, dict) else part for path, part in NODE.items()}
    for place, value in changes.items():
        *path, key = place.split("__")
        whole = ".".join((*path, key))
        if value is None and whole in parts:
            del parts[whole]
        elif ".".join(path) in parts:
            parts[".".join(path)][key] = value
        else:
            parts[whole] = value
    return make_site(parts)
