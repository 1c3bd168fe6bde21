"""Builds the pretend world of a site: its plant, its devices on their sockets, and what goes wrong with them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from ems.config.site import (
    BatteryAsset,
    ChargePointAsset,
    GridMeter,
    HeatPumpAsset,
    LoadAsset,
    PvAsset,
    Site,
)
from hil.endpoints.bacnet_device import BacnetDevice
from hil.endpoints.modbus_server import ModbusServer, Registers, Trouble
from hil.endpoints.sunspec_devices import BatteryInverter, Meter, PvInverter
from hil.endpoints.wallbox import Wallbox
from hil.plant.charge_point import Car, ChargePoint
from hil.plant_build import build_plant
from hil.published import Published
from hil.scenario import Fault, FaultKind, Scenario

log = logging.getLogger(__name__)

DELAY_S = 2.0


class WorldError(Exception):
    """The world cannot be built: the message names the thing, the value and the remedy."""


class Wire(Protocol):
    """What a fault can be done to; `writes` counts the write requests that have come in."""

    trouble: Trouble
    writes: int

    async def open(self) -> None:
        """Plug it in."""

    async def close(self) -> None:
        """Pull the plug."""


@dataclass(frozen=True, slots=True)
class PlugIn:
    """A car that has come: at which charge point, what it wants and when it leaves."""

    asset: str
    at: datetime
    energy_kwh: float
    departure: datetime
    charge_kw: float

    def as_json(self) -> dict[str, Any]:
        """Write it as an event of the lock-step line."""
        return {
            "kind": "plug_in",
            "asset": self.asset,
            "at": self.at.isoformat(),
            "energy_kwh": self.energy_kwh,
            "departure": self.departure.isoformat(),
            "charge_kw": self.charge_kw,
        }


@dataclass(slots=True)
class _Trouble:
    """A fault in its course: until when [s], on which wire."""

    fault: Fault
    until_s: float = field(init=False)
    begun: bool = False

    def __post_init__(self) -> None:
        self.until_s = self.fault.at_s + self.fault.seconds


class World:
    """A site's pretend world.

    Args:
        site: the site; its addresses are bound.
        scenario: what it meets. seed: of chance.
        options: of `build_plant`: an altered future, no witness.
    """

    def __init__(self, site: Site, scenario: Scenario, seed: int, **options: Any) -> None:
        self.site, self.scenario = site, scenario
        self.plant = build_plant(site, scenario, seed, **options)
        self.published = Published(self.plant)
        self.plug_ins: list[PlugIn] = []
        self.registers = {spec.device: self._front(asset) for asset, spec in _wired(site).items()}
        self.wires: dict[str, Wire] = dict(self._wires())
        self._troubles = [_Trouble(fault) for fault in scenario.faults]
        for asset, device in self.plant.devices.items():
            if isinstance(device, ChargePoint):
                device.on_arrival = lambda car, asset=asset: self._plugged_in(asset, car)

    @property
    def now(self) -> datetime:
        """UTC instant of the world."""
        return self.plant.now

    async def open(self) -> None:
        """Bind every device; raises `OSError` for an address that is taken."""
        for wire in dict.fromkeys(self.wires.values()):
            await wire.open()

    async def close(self) -> None:
        """Unbind every device."""
        for wire in dict.fromkeys(self.wires.values()):
            await wire.close()
            if isinstance(wire, BacnetDevice):
                wire.shut_down()

    def advance(self, seconds: float) -> None:
        """Let time pass for the plant and the devices' own timers [s]."""
        self.plant.advance(seconds, before_each=self._tick)

    async def settle(self) -> None:
        """Begin and end the faults that are due."""
        now_s = self.plant.elapsed_s
        for trouble in tuple(self._troubles):
            if not trouble.begun and now_s >= trouble.fault.at_s:
                trouble.begun = True
                await self._begin(trouble.fault)
            if trouble.begun and now_s >= trouble.until_s:
                self._troubles.remove(trouble)
                await self._end(trouble.fault)

    async def inject(self, device: str, kind: FaultKind, seconds: float) -> None:
        """Make trouble from now on; raises `WorldError` for a device that has no wire."""
        if device not in self.wires:
            raise WorldError(f"there is no device {device!r}: choose one of {', '.join(self.wires)}")
        self._troubles.append(_Trouble(Fault(at_s=self.plant.elapsed_s, device=device, kind=kind, seconds=seconds)))
        await self.settle()

    def take_plug_ins(self) -> list[PlugIn]:
        """Give the cars that have come since the last time."""
        taken, self.plug_ins = self.plug_ins, []
        return taken

    def _tick(self, now_s: float) -> None:
        for registers in self.registers.values():
            registers.tick(now_s)

    def _plugged_in(self, asset: str, car: Car) -> None:
        departure = self.plant.start + timedelta(seconds=car.departure_s)
        charge_kw = car.phases * 230.0 * car.maximum_a / 1000.0
        self.plug_ins.append(PlugIn(asset, self.now, car.energy_kwh, departure, charge_kw))
        log.info("%s plugs in at %s: %.1f kWh until %s", asset, self.now, car.energy_kwh, departure)

    async def _begin(self, fault: Fault) -> None:
        wire = self.wires[fault.device]
        log.info("%s: %s for %g s", fault.device, fault.kind, fault.seconds)
        match fault.kind:
            case FaultKind.UNPLUG:
                await wire.close()
            case FaultKind.REFUSE:
                wire.trouble.refuse = True
            case FaultKind.GARBAGE:
                wire.trouble.garbage = True
            case FaultKind.DELAY:
                wire.trouble.delay_s = DELAY_S

    async def _end(self, fault: Fault) -> None:
        wire = self.wires[fault.device]
        log.info("%s: %s is over", fault.device, fault.kind)
        match fault.kind:
            case FaultKind.UNPLUG:
                await wire.open()
            case FaultKind.REFUSE:
                wire.trouble.refuse = False
            case FaultKind.GARBAGE:
                wire.trouble.garbage = False
            case FaultKind.DELAY:
                wire.trouble.delay_s = 0.0

    def _front(self, asset: str) -> Any:
        """Put the registers or objects that the device's profile promises in front of an asset."""
        spec = self.site.file.assets[asset]
        plant = self.plant
        match spec:
            case GridMeter():
                return Meter(plant, asset, spec.bus)
            case PvAsset():
                return PvInverter(plant, asset, spec.bus, spec.rated_kw)
            case BatteryAsset():
                return BatteryInverter(plant, asset, spec.bus, spec.charge_kw, spec.capacity_kwh)
            case ChargePointAsset():
                return Wallbox(plant, asset, spec.bus, phases=spec.phases, voltage_v=spec.voltage_v)
            case HeatPumpAsset():
                device = self.site.file.devices[spec.device]
                return BacnetDevice(
                    plant, asset, rated_kw=spec.rated_kw, host=device.host, port=device.port,
                    instance=device.device_instance or 0,
                )  # fmt: skip
            case LoadAsset():
                raise WorldError(f"{asset} is a load without a device")

    def _wires(self) -> Mapping[str, Wire]:
        """Give every device its wire; devices on one address share it under their unit numbers."""
        wires: dict[str, Wire] = {}
        shared: dict[tuple[str, int], dict[int, Registers]] = {}
        for name, registers in self.registers.items():
            device = self.site.file.devices[name]
            if isinstance(registers, BacnetDevice):
                wires[name] = registers
            else:
                shared.setdefault((device.host, device.port), {})[device.unit] = registers
        servers = {address: ModbusServer(*address, units) for address, units in shared.items()}
        for name in self.registers.keys() - wires.keys():
            device = self.site.file.devices[name]
            wires[name] = servers[device.host, device.port]
        return dict(sorted(wires.items()))


def _wired(site: Site) -> dict[str, Any]:
    return {name: spec for name, spec in site.file.assets.items() if not isinstance(spec, LoadAsset)}
