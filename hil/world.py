"""Builds the pretend world of a site: its plant, its devices on their sockets, and what goes wrong with them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from ems.config.assets import BatteryAsset, GensetAsset, GridMeter
from ems.config.site import Site
from hil.endpoints.bacnet_device import OnBacnet
from hil.endpoints.limit_gateway import LimitGateway
from hil.endpoints.modbus_server import ModbusServer, Registers
from hil.fault_course import FaultCourse, Wire
from hil.faults import Fault, FaultKind, drawn_faults
from hil.fronts import Fronts, WorldError
from hil.plant.charge_point import Car, ChargePoint
from hil.plant.draws import stream
from hil.plant_build import build_plant
from hil.published import DrawnPublished, Published, RecordedPublished
from hil.scenario import Scenario

log = logging.getLogger(__name__)

BOOTS_S = (5.0, 30.0)
"""A device needs so long from its bus being live to its answers."""


@dataclass(frozen=True, slots=True)
class CarEvent:
    """What a car does: `waiting` for a park's free point, `plug_in`, `left` or `gave_up` waiting.

    Args:
        kind: which of these.
        car: its name. park: the car park, None for a charge point of its own. asset: the charge point, None in a queue.
        at: UTC instant.
        energy_kwh: what it wants. departure: when it leaves. charge_kw: what it takes at the most.
        waited: whether it waited before.
    """

    kind: str
    car: str
    park: str | None
    asset: str | None
    at: datetime
    energy_kwh: float
    departure: datetime
    charge_kw: float
    waited: bool = False

    def as_json(self) -> dict[str, Any]:
        """Write it as an event of the lock-step line."""
        return asdict(self) | {"at": self.at.isoformat(), "departure": self.departure.isoformat()}


class World:
    """A site's pretend world.

    Args:
        site: the site; its addresses are bound.
        scenario: what it meets. seed: of chance.
        documents: what was published, in place of what the drawn nature foresees (see `hil/published.py`).
        real: devices that stand elsewhere: they have no wire here, and their powers are told by `plant.carry`.
        options: of `build_plant`: an altered future, no witness, a recorded nature.
    """

    def __init__(
        self, site: Site, scenario: Scenario, seed: int, *,
        documents: Mapping[str, Iterable[Mapping[str, Any]]] | None = None, real: Collection[str] = (), **options: Any,
    ) -> None:  # fmt: skip
        self.site, self.scenario = site, scenario
        self.plant = build_plant(site, scenario, seed, **options)
        self.published: Published = (
            DrawnPublished(self.plant) if documents is None else RecordedPublished(documents, lambda: self.now)
        )
        self._events: list[CarEvent] = []
        fronts = Fronts(site, self.plant).by_device()
        self.registers = {device: front for device, front in fronts.items() if device not in real}
        self.wires: dict[str, Wire] = dict(self._wires())
        self.course = FaultCourse(self, drawn_faults(scenario.faults, seed, tuple(self.wires)))
        self._seed, self._dark = seed, set[str]()
        self._own_supply, self._switches = self._of_the_island()
        self._listen()

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
            if isinstance(wire, OnBacnet):
                wire.shut_down()

    def advance(self, seconds: float) -> None:
        """Let time pass for the plant and the devices' own timers [s]."""
        self.plant.advance(seconds, before_each=self._tick)

    async def settle(self) -> None:
        """Begin and end the faults that are due."""
        await self.course.settle(self.plant.elapsed_s)
        if self.plant.connection.events:
            await self._power()

    async def inject(self, device: str, kind: FaultKind, seconds: float) -> None:
        """Make trouble from now on; raises `WorldError` for a device that has no wire."""
        self.course.add(Fault(at_s=self.plant.elapsed_s, device=device, kind=kind, seconds=seconds))
        await self.settle()

    def take_events(self) -> list[CarEvent]:
        """Give what cars have done since the last time."""
        taken, self._events = self._events, []
        return taken

    def call_cars(self, *, called: bool = True) -> None:
        """Let drivers of waiting cars wait until they are called to a point, or again take their turn by themselves."""
        for park in self.plant.parks.values():
            park.called = called

    def assets_of(self, device: str) -> tuple[str, ...]:
        """Name the assets that a device speaks for."""
        return tuple(name for name, spec in self.site.file.assets.items() if getattr(spec, "device", None) == device)

    def assign(self, park: str, car: str, point: str) -> bool:
        """Call a waiting car to a charge point; tells whether it went there. Raises `WorldError` for unknown names."""
        found = self.plant.parks.get(park)
        if found is None or point not in found.points:
            known = {name: list(each.points) for name, each in self.plant.parks.items()}
            raise WorldError(f"there is no charge point {point!r} in a park {park!r}: the parks are {known}")
        return found.assign(car, point, self.plant.elapsed_s)

    async def _power(self) -> None:
        """Let devices lose their power with their bus, and boot when it is back; some have a supply of their own."""
        switch, now_s = self.plant.connection, self.plant.elapsed_s
        for device in self.wires.keys() - self._own_supply:
            boots_s = float(stream(self._seed, f"boot {device}").uniform(*BOOTS_S))
            up = switch.live_s(now_s) >= boots_s
            if up != (device not in self._dark):
                (self._dark.discard if up else self._dark.add)(device)
                await self.replug(device)

    async def replug(self, device: str) -> None:
        """Plug a device in or pull its plug: it answers while it has power and no fault unplugs it."""
        wire, is_in = self.wires[device], device not in self._dark and not self.course.lasts(FaultKind.UNPLUG, device)
        await (wire.open() if is_in else wire.close())

    def _tick(self, now_s: float) -> None:
        for gateway in self._switches:
            gateway.close_contact(1, closed=self.plant.connection.is_open)
        for registers in self.registers.values():
            registers.tick(now_s)

    def _of_the_island(self) -> tuple[frozenset[str], list[LimitGateway]]:
        """Name the devices with a supply of their own, and give the gateways whose second contact is the switch.

        A set that goes on in an island has its starter's battery.
        """
        spec, assets = self.site.file.island, self.site.file.assets
        if spec is None:
            return frozenset(), []
        meters = {one.device for one in assets.values() if isinstance(one, GridMeter)}
        forming = assets[spec.forming]
        named = [assets[name] for name in (spec.survives.sets or () if spec.survives is not None else ())]
        sets = {one.device for one in named if isinstance(one, GensetAsset)}
        own = {spec.device, *meters, *sets, *([forming.device] if isinstance(forming, BatteryAsset) else [])}
        return frozenset(own), [front for front in self.registers.values() if isinstance(front, LimitGateway)]

    def _listen(self) -> None:
        """Hear of every car that comes, waits and goes."""
        parks = {name: park for park, spec in self.plant.parks.items() for name in spec.points}
        for asset, device in self.plant.devices.items():
            if isinstance(device, ChargePoint):
                device.on_arrival = self._teller("plug_in", parks.get(asset), asset)
                device.on_departure = self._teller("left", parks.get(asset), asset)
        for park, spec in self.plant.parks.items():
            spec.on_waiting = self._teller("waiting", park, None)
            spec.on_give_up = self._teller("gave_up", park, None)

    def _teller(self, kind: str, park: str | None, asset: str | None) -> Callable[[Car], None]:
        def tell(car: Car) -> None:
            departure = self.plant.start + timedelta(seconds=car.departure_s)
            charge_kw = car.phases * 230.0 * car.maximum_a / 1000.0
            self._events.append(
                CarEvent(kind, car.name, park, asset, self.now, car.energy_kwh, departure, charge_kw,
                         waited=car.waited_s > 0.0)
            )  # fmt: skip
            log.info("%s %s at %s: %.1f kWh until %s", car.name, kind, asset or park, car.energy_kwh, departure)

        return tell

    def _wires(self) -> Mapping[str, Wire]:
        """Give every device its wire; devices on one address share it under their unit numbers."""
        wires: dict[str, Wire] = {}
        shared: dict[tuple[str, int], dict[int, Registers]] = {}
        for name, registers in self.registers.items():
            device = self.site.file.devices[name]
            if isinstance(registers, OnBacnet):
                wires[name] = registers
            else:
                shared.setdefault((device.host, device.port), {})[device.unit] = registers
        servers = {address: ModbusServer(*address, units) for address, units in shared.items()}
        for name in self.registers.keys() - wires.keys():
            device = self.site.file.devices[name]
            wires[name] = servers[device.host, device.port]
        return dict(sorted(wires.items()))
