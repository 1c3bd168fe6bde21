"""The small site with a hybrid in it: 20 kW of inverter before 30 kW of modules and 40 kWh."""

from __future__ import annotations

from typing import Any

from stage import make_site

from ems.config.site import Site

HYBRID = {
    "kind": "hybrid", "device": "gateway", "bus": "barn", "rated_kw": 20.0, "take_kw": 8.0, "give_efficiency": 0.96,
    "take_efficiency": 0.95, "module_kw": 30.0, "capacity_kwh": 40.0, "charge_kw": 15.0, "discharge_kw": 15.0,
    "soc_min_pct": 10.0, "soc_max_pct": 90.0, "wear_per_kwh": 0.01,
}  # fmt: skip
GATEWAY = {"protocol": "simulated", "profile": "hybrid_inverter", "port": 8, "mode": "control",
           "safe": {"setpoint_kw": -2.0}}  # fmt: skip
SUNNY = {
    "gateway.power_kw": -9.0, "gateway.soc_pct": 50.0, "gateway.sun_kw": 12.0, "gateway.sun_state": 0.0,
    "gateway.store_kw": 2.6,
}  # fmt: skip
"""With these the fixed loads take 37 kW: 20 - (-10) - 2 - (-9)."""


def yard(**changes: Any) -> Site:
    return make_site({"assets.roof": dict(HYBRID), "devices.gateway": dict(GATEWAY), **changes})
