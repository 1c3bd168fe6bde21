"""The yard of the fast loop's tests with a second grid connection beside it: a house with sun and a battery."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daemon_show import Show
from stage import NOW, SITE, TARIFF, Yard, make_site

from ems.clock import SimulatedClock
from ems.config.site import Site
from optimization.tariff_file import load_tariff

NORTH_DEVICES = {
    "far_meter": {"protocol": "simulated", "profile": "sunspec_meter", "port": 11},
    "far_submeter": {"protocol": "simulated", "profile": "sunspec_meter", "port": 12},
    "far_inverter": {"protocol": "simulated", "profile": "sunspec_pv", "port": 13, "mode": "control",
                     "safe": {"limit_kw": 5.0}},
    "far_store": {"protocol": "simulated", "profile": "sunspec_battery", "port": 14, "mode": "control",
                  "safe": {"setpoint_kw": 0.0}},
}  # fmt: skip
NORTH_ASSETS = {
    "far_connection": {"kind": "grid_meter", "device": "far_meter", "bus": "barn"},
    "far_house": {"kind": "metered_load", "device": "far_submeter", "bus": "barn"},
    "far_pv": {"kind": "pv", "device": "far_inverter", "bus": "barn", "rated_kw": 20.0, "module_kw": 22.0},
    "far_battery": {"kind": "battery", "device": "far_store", "bus": "barn", "capacity_kwh": 30.0,
                    "charge_kw": 15.0, "discharge_kw": 15.0, "wear_per_kwh": 0.02},
}  # fmt: skip
LIMITS = {"import_limit_kw": 12.0, "export_limit_kw": 6.0}
NORTH_MEASURED = {
    "far_meter.power_kw": 5.0,
    "far_submeter.power_kw": 7.0,
    "far_inverter.power_kw": -2.0,
    "far_store.power_kw": 0.0,
    "far_store.soc_pct": 50.0,
}


def two(tariff: Mapping[str, Any] | None = None, changes: Mapping[str, Any] | None = None) -> Site:
    """The yard with a second connection, whose tariff is that of the yard with some keys changed."""
    hung = {name: {**asset, "connection": "north"} for name, asset in NORTH_ASSETS.items()}
    site = make_site(
        {
            "connections": {"north": LIMITS},
            "devices": {**SITE["devices"], **NORTH_DEVICES},
            "assets": {**SITE["assets"], **hung},
            **(changes or {}),
        }
    )
    return site.model_copy(update={"tariffs": {"north": load_tariff({**TARIFF, **(tariff or {})})}})


def far_alone() -> Site:
    """What hangs on the second connection, written as a site of its own: no part of the code takes it apart."""
    return make_site(
        {
            "grid": {"file": "grid.json", **LIMITS},
            "devices": NORTH_DEVICES,
            "assets": NORTH_ASSETS,
        }
    )


@dataclass
class TwoYards(Yard):
    """Its devices in memory, the far ones too: a house that takes `house_kw`."""

    house_kw: float = 7.0
    far_soc_kwh: float = 15.0
    far_import_kwh: float = 0.0

    @property
    def far_kw(self) -> float:
        return self.drivers["far_meter"].values["power_kw"] or 0.0

    def live(self, seconds: float) -> None:
        super().live(seconds)
        battery_kw = self.drivers["far_store"].commands["setpoint_kw"] or 0.0
        limit_kw = self.drivers["far_inverter"].commands["limit_kw"]
        pv_kw = -min(2.0, 20.0 if limit_kw is None else limit_kw)
        self.far_soc_kwh += battery_kw * seconds / 3600.0
        grid_kw = self.house_kw + pv_kw + battery_kw
        self.far_import_kwh += max(grid_kw, 0.0) * seconds / 3600.0
        self._show("far_meter", power_kw=grid_kw, import_kwh=self.far_import_kwh)
        self._show("far_submeter", power_kw=self.house_kw)
        self._show("far_inverter", power_kw=pv_kw)
        self._show("far_store", power_kw=battery_kw, soc_pct=self.far_soc_kwh / 0.3)


class TwoShow(Show):
    """The whole daemon on both yards."""

    yard: TwoYards

    def __init__(self, state: Path, site: Site, **yard: Any) -> None:
        self.site, self.state, self.clock = site, state, SimulatedClock(NOW)
        self.yard = TwoYards(site, self.clock, **yard)
        self.script, self.seen = {}, []
        self.daemon = self.build()
