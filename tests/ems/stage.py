"""A small site of devices in memory with just enough physics, for the tests of the fast loop."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from drivers.points import Quality, Setpoint, WriteResult
from drivers.registry import profile_points
from drivers.simulated import SimulatedDriver
from ems.clock import SimulatedClock
from ems.config.binding import Bindings, bind
from ems.config.site import Site, SiteFile
from ems.fast.decisions import Held, Lever
from ems.fast.levers import build_levers
from ems.fast.prices import Prices
from ems.fast.scene import Scene
from ems.fast.sessions import Car
from ems.process_image import Reading, Snapshot
from ems.standing import Override, Standing
from optimization.problem import AcVerdict, GridRows, Plan, Schedule
from optimization.slots import uniform
from optimization.tariff_file import load_tariff

DEMO = Path(__file__).resolve().parents[2] / "sites" / "demo_feeder"
NOW = datetime(2025, 5, 20, 10, 0, tzinfo=UTC)
"""Noon in Berlin on a Tuesday."""

SITE: dict[str, Any] = {
    "schema_version": 1,
    "site": {"id": "yard", "name": "Yard", "timezone": "Europe/Berlin", "currency": "EUR"},
    "control": {"stale_after_s": 30.0, "lease_s": 60.0},
    "planning": {"every_s": 300.0, "max_plan_age_s": 7200.0},
    "grid": {"file": "grid.json", "import_limit_kw": 50.0, "export_limit_kw": 40.0},
    "tariff": "tariff.yaml",
    "feeds": {name: {"source": f"{name}.json"} for name in ("price", "carbon", "weather")},
    "devices": {
        "meter": {"protocol": "simulated", "profile": "sunspec_meter", "port": 1},
        "inverter": {"protocol": "simulated", "profile": "sunspec_pv", "port": 2, "mode": "control",
                     "safe": {"limit_kw": 20.0}},
        "store": {"protocol": "simulated", "profile": "sunspec_battery", "port": 3, "mode": "control",
                  "safe": {"setpoint_kw": 0.0}},
        "wallbox": {"protocol": "simulated", "profile": "amperfied_wallbox", "port": 4, "mode": "control",
                    "safe": {"limit_a": 6.0}},
        "heater": {"protocol": "simulated", "profile": "heat_pump", "port": 5, "mode": "control",
                   "safe": {"setpoint_kw": None}},
    },
    "assets": {
        "connection": {"kind": "grid_meter", "device": "meter", "bus": "busbar"},
        "houses": {"kind": "load", "bus": "houses_near", "residual_share": 0.75},
        "shop": {"kind": "load", "bus": "office", "residual_share": 0.25},
        "pv": {"kind": "pv", "device": "inverter", "bus": "barn", "rated_kw": 60.0, "module_kw": 66.0},
        "battery": {"kind": "battery", "device": "store", "bus": "busbar", "capacity_kwh": 60.0,
                    "charge_kw": 30.0, "discharge_kw": 30.0, "wear_per_kwh": 0.02},
        "car": {"kind": "charge_point", "device": "wallbox", "bus": "houses_far", "charge_kw": 22.0},
        "heat": {"kind": "heat_pump", "device": "heater", "bus": "office", "rated_kw": 10.0, "air_kwh_per_k": 4.0,
                 "mass_kwh_per_k": 40.0, "air_mass_k_per_kw": 0.25, "air_out_k_per_kw": 1.4,
                 "mass_out_k_per_kw": 3.5,
                 "comfort": {"low_c": 18.0, "high_c": 25.0, "occupied_low_c": 20.5, "occupied_high_c": 24.5}},
    },
}  # fmt: skip

TARIFF = {"schema_version": 1, "import": {"energy": "feed", "adders": {"grid": 0.1}}, "export": {"energy": "feed"}}

MEASURED: Mapping[str, float] = {
    "meter.power_kw": 20.0,
    "inverter.power_kw": -10.0,
    "store.power_kw": 0.0,
    "store.soc_pct": 50.0,
    "wallbox.power_kw": 0.0,
    "wallbox.state": 0.0,
    "wallbox.energy_kwh": 100.0,
    "heater.power_kw": 2.0,
    "heater.temperature_c": 21.0,
}
"""With these the fixed loads take 28 kW: 20 - (-10) - 2."""


def make_site(changes: Mapping[str, Any] | None = None, folder: Path = DEMO) -> Site:
    """Make the site; `{"devices.store.mode": "advise"}` changes it by dotted paths."""
    content = copy.deepcopy(SITE)
    for path, value in (changes or {}).items():
        *parents, key = path.split(".")
        block = content
        for parent in parents:
            block = block[parent]
        block[key] = value
    file = SiteFile.model_validate(content)
    return Site(file=file, folder=folder, tariff=load_tariff(TARIFF), config_hash="hash")


def levers_of(site: Site) -> dict[str, Lever]:
    return build_levers(site, bind(site))


def snapshot(
    changes: Mapping[str, float | None] | None = None,
    *,
    at: datetime = NOW,
    now_s: float = 1000.0,
    unavailable: Sequence[str] = (),
) -> Snapshot:
    """Freeze the usual measurements; None makes a point bad."""
    values = {**MEASURED, **(changes or {})}
    readings = {
        point: Reading(point, value, at, now_s, Quality.GOOD)
        if value is not None
        else Reading(point, None, None, now_s, Quality.BAD, "timeout", at)
        for point, value in values.items()
    }
    return Snapshot(at, now_s, readings, frozenset(unavailable))


def make_standing(site: Site, *, overrides: Mapping[str, float] | None = None, released: str = "") -> Standing:
    modes = {name: device.mode for name, device in site.file.devices.items()}
    orders = {asset: Override(kw, "override by Ada: test") for asset, kw in (overrides or {}).items()}
    return Standing(modes, {}, released, orders)


def make_plan(
    powers_kw: Mapping[str, float | Sequence[float]],
    *,
    grid_kw: float = 10.0,
    made_at: datetime = NOW,
    slots: int = 8,
    rows: GridRows | None = None,
    name: str = "plan-1",
) -> Plan:
    """Make a plan of quarter hours; a single power holds for all of them."""
    full = {a: np.broadcast_to(np.asarray(kw, dtype=float), (slots,)) for a, kw in powers_kw.items()}
    return Plan(
        id=name,
        made_at=made_at,
        slots=uniform(made_at, slots, 900.0),
        schedules={asset: Schedule(kw) for asset, kw in full.items()},
        import_kw=np.full(slots, max(grid_kw, 0.0)),
        export_kw=np.full(slots, max(-grid_kw, 0.0)),
        excess_kw=np.zeros(slots),
        objective=1.0,
        ac=AcVerdict("feasible"),
        grid_rows=rows,
    )


def voltage_rows(limit_pu: float = 1.05, slots: int = 8) -> GridRows:
    """One voltage row that PV lifts by 0.001 pu a kW and load lowers by 0.0005, and one loading row of a feeder."""
    assets = ("houses", "shop", "pv", "battery", "car", "heat")
    voltage = [-0.0005, -0.0005, -0.001, -0.0002, -0.0008, -0.0005]
    loading = [1.0, 1.0, 1.0, 0.0, 1.0, 1.0]
    return GridRows(
        ("voltage_max:barn", "loading:line 1 import"),
        assets,
        np.array([voltage, loading]),
        np.tile([1.02, 20.0], (slots, 1)),
        np.array([limit_pu, 100.0]),
    )


@dataclass
class SceneMaker:
    """Makes scenes of one site."""

    site: Site = field(default_factory=make_site)

    def __call__(
        self,
        changes: Mapping[str, float | None] | None = None,
        *,
        plan: Plan | None = None,
        prices: Prices | None = None,
        cars: Mapping[str, Car] | None = None,
        held_kw: Mapping[str, float] | None = None,
        standing: Standing | None = None,
        at: datetime = NOW,
        unavailable: Sequence[str] = (),
    ) -> Scene:
        return Scene(
            snapshot=snapshot(changes, at=at, unavailable=unavailable),
            standing=standing or make_standing(self.site),
            plan=plan,
            prices=prices or Prices(0.3, 0.1, (0.2, 0.25, 0.3, 0.35, 0.4)),
            cars=cars or {},
            held={asset: Held(kw, 0.0) for asset, kw in (held_kw or {}).items()},
        )


class Journal:
    """A journal in memory; `hold` keeps commits back."""

    def __init__(self) -> None:
        self.records: list[tuple[str, Mapping[str, Any]]] = []
        self.hold = False
        self.error: Exception | None = None

    def record(self, kind: str, body: Mapping[str, Any], *, at: datetime | None = None) -> Future[int]:
        self.records.append((kind, body))
        future: Future[int] = Future()
        if self.error is not None:
            future.set_exception(self.error)
        elif not self.hold:
            future.set_result(len(self.records))
        return future

    def bodies(self, kind: str) -> list[Mapping[str, Any]]:
        return [body for name, body in self.records if name == kind]


class Device(SimulatedDriver):
    """A device in memory that counts how often it is written."""

    writes = 0

    async def write(self, setpoints: Sequence[Setpoint], lease_s: float) -> Sequence[WriteResult]:
        self.writes += 1
        return await super().write(setpoints, lease_s)


@dataclass
class Yard:
    """The site's devices in memory, and physics for them: call `live` to let seconds pass."""

    site: Site
    clock: SimulatedClock
    load_kw: Callable[[float], float] = lambda _s: 12.0
    sun_kw: Callable[[float], float] = lambda _s: 0.0
    car_in: Callable[[float], bool] = lambda _s: False
    soc_kwh: float = 30.0
    drivers: dict[str, Device] = field(default_factory=dict)
    import_kwh: float = 0.0
    car_kwh: float = 0.0
    stuck: dict[str, float] = field(default_factory=dict)
    """Devices that take commands and ignore them, with the power that they show."""

    def __post_init__(self) -> None:
        for name, device in self.site.file.devices.items():
            info = profile_points(device.protocol, device.profile)
            self.drivers[name] = Device(name, info, self.clock, safe=device.safe)
        self.live(0.0)

    @property
    def bindings(self) -> Bindings:
        return bind(self.site)

    def live(self, seconds: float) -> None:
        """Let every device do what it is told for so long, then show it."""
        at_s = self.clock.monotonic() + seconds
        pv_kw = self._pv_kw(at_s)
        battery_kw = self.stuck.get("store", self.drivers["store"].commands["setpoint_kw"] or 0.0)
        car_kw = self._car_kw(at_s)
        told_kw = self.drivers["heater"].commands["setpoint_kw"]
        heat_kw = 3.0 if told_kw is None else told_kw
        self.soc_kwh += battery_kw * seconds / 3600.0
        self.car_kwh += car_kw * seconds / 3600.0
        grid_kw = self.load_kw(at_s) + pv_kw + battery_kw + car_kw + heat_kw
        self.import_kwh += max(grid_kw, 0.0) * seconds / 3600.0
        self._show("meter", power_kw=grid_kw, import_kwh=self.import_kwh)
        self._show("inverter", power_kw=pv_kw)
        self._show("store", power_kw=battery_kw, soc_pct=self.soc_kwh / 0.6)
        state = 0.0 if not self.car_in(at_s) else 2.0 if car_kw > 0.1 else 1.0
        self._show("wallbox", power_kw=car_kw, state=state, energy_kwh=self.car_kwh)
        self._show("heater", power_kw=heat_kw, temperature_c=21.0, outdoor_c=8.0)

    def _pv_kw(self, at_s: float) -> float:
        limit_kw = self.drivers["inverter"].commands["limit_kw"]
        return -min(self.sun_kw(at_s), 60.0 if limit_kw is None else limit_kw)

    def _car_kw(self, at_s: float) -> float:
        limit_a = self.drivers["wallbox"].commands["limit_a"]
        asked_kw = 22.0 if limit_a is None else limit_a * 0.69
        return min(asked_kw, 11.0) if self.car_in(at_s) and asked_kw >= 4.1 else 0.0

    def _show(self, device: str, **values: float) -> None:
        self.drivers[device].values.update(values)

    @property
    def writes(self) -> dict[str, int]:
        return {name: driver.writes for name, driver in self.drivers.items()}

    @property
    def grid_kw(self) -> float:
        return self.drivers["meter"].values["power_kw"] or 0.0


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)
