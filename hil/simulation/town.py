"""The pretend world on the simulation's time, with what goes wrong in it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from ems.config.site import Site
from ems.store.requests import submit
from hil.endpoints.limit_gateway import LimitGateway
from hil.simulation.faults import ENDS, Fault, Kind
from hil.simulation.loop import SeededLoop, Wall
from hil.simulation.wires import Net, Wire, wires_of
from hil.wishes import car_requests
from hil.world import World

DISK = (Kind.DISK_FULL, Kind.DISK_FAILS)
OPERATOR = (Kind.OPERATOR_LIMIT, Kind.OPERATOR_SILENT)
SOLVER = (Kind.SOLVER_LATE, Kind.SOLVER_FAILS, Kind.SOLVER_LIES)


@dataclass(slots=True)
class Trouble:
    """What is wrong at present, by the schedule.

    Args:
        faults: by their beginning.
        wires: of the devices.
        wall: the clock on the wall.
    """

    faults: Sequence[Fault]
    wires: Mapping[str, Wire]
    wall: Wall
    resumed_s: float = 0.0
    """When the machine last went on after a stall [s]."""
    _on: list[Fault] = field(default_factory=list)
    _begun: int = 0

    def schedule(self, loop: SeededLoop) -> None:
        """Let faults begin and end on a loop; what is due already happens at once."""
        self.look(loop.time())
        for fault in self.faults[self._begun :]:
            loop.call_at(fault.at_s, self._happen, loop, fault)
        for fault in self._on + list(self.faults[self._begun :]):
            loop.call_at(fault.end_s, lambda: self.look(loop.time()))

    def _happen(self, loop: SeededLoop, fault: Fault) -> None:
        self.look(loop.time())
        if fault.kind is Kind.STALL:
            loop.pass_time(fault.seconds)
            self.resumed_s = loop.time()

    def look(self, now_s: float) -> None:
        """End what is over and begin what is due."""
        for fault in [fault for fault in self._on if fault.end_s <= now_s + 1e-9]:
            self._on.remove(fault)
            self._end(fault)
        while self._begun < len(self.faults) and self.faults[self._begun].at_s <= now_s + 1e-9:
            fault = self.faults[self._begun]
            self._begun += 1
            if fault.end_s > now_s and fault.kind not in (*ENDS, Kind.STALL):
                self._on.append(fault)
                self._begin(fault)

    def strike(self, fault: Fault, loop: SeededLoop) -> None:
        """Let something go wrong from now on that no schedule knew of; it takes the place of its like."""
        for like in [one for one in self._on if _are_alike(one, fault)]:
            self._on.remove(like)
            self._end(like)
        self.faults = (*self.faults[: self._begun], fault, *self.faults[self._begun :])
        self._happen(loop, fault)
        loop.call_at(fault.end_s, lambda: self.look(loop.time()))

    def of_solver(self) -> Kind | None:
        """Tell which failure of the solver is on."""
        return next((fault.kind for fault in self._on if fault.kind in SOLVER), None)

    def of_disk(self) -> Fault | None:
        """Tell what is wrong with the disk."""
        return next((fault for fault in self._on if fault.kind in DISK), None)

    def of_feed(self, name: str) -> Callable[[], bool]:
        """Give what tells whether a feed is lost now."""
        return lambda: any(fault.kind is Kind.FEED_LOST and fault.target == name for fault in self._on)

    def _begin(self, fault: Fault) -> None:
        if fault.kind is Kind.OPERATOR_LIMIT:
            gateway = self._gateway(fault)
            own_kw = gateway.own_kw
            gateway.allow(
                own_kw[0] and fault.size * own_kw[0] if fault.size >= 0.0 else None,
                own_kw[1] and (1.0 + fault.size) * own_kw[1] if fault.size < 0.0 else None,
            )
        elif fault.kind is Kind.OPERATOR_SILENT:
            self._gateway(fault).fall_silent(silent=True)
        elif fault.target in self.wires:
            self.wires[fault.target].begin(fault)
        elif fault.kind is Kind.CLOCK_JUMP:
            self.wall.skew_s += fault.size

    def _end(self, fault: Fault) -> None:
        if fault.kind is Kind.OPERATOR_LIMIT:
            self._gateway(fault).allow(None, None)
        elif fault.kind is Kind.OPERATOR_SILENT:
            self._gateway(fault).fall_silent(silent=False)
        elif fault.target in self.wires:
            self.wires[fault.target].end()
        elif fault.kind is Kind.CLOCK_JUMP:
            self.wall.skew_s -= fault.size

    def _gateway(self, fault: Fault) -> LimitGateway:
        gateway: LimitGateway = self.wires[fault.target].registers
        return gateway


def _are_alike(one: Fault, other: Fault) -> bool:
    """Tell whether two faults would be at the same place of the same thing."""
    on_wires = one.kind not in OPERATOR and other.kind not in OPERATOR
    return one.target == other.target != "" and (on_wires or one.kind is other.kind)


class Town:
    """The world, its wires and its trouble.

    The world lives on when somebody looks at it, in whole steps of its physics; what cars say on the way is submitted
    as any other process would.

    Args:
        world: the pretend world, at its start. site: the site. state: the daemon's state folder.
        faults: what goes wrong. seed: of chance. wall: the clock on the wall.
    """

    def __init__(
        self, world: World, site: Site, state: Path, *, faults: Sequence[Fault], seed: int, wall: Wall
    ) -> None:
        self.world, self._site, self._state = world, site, state
        self.wires = wires_of(world.registers, world.wires, seed, self.catch_up)
        self.trouble = Trouble(faults, self.wires, wall)
        self.stopped = False
        self.on_stop: Callable[[], None] = lambda: None
        self._loop: asyncio.AbstractEventLoop | None = None

    def net(self) -> Net:
        """Give all wires to a new process."""
        at: dict[str, dict[tuple[str, int], Wire]] = {"modbus": {}, "bacnet": {}}
        for name, wire in self.wires.items():
            device = self._site.file.devices[name]
            at[device.protocol][device.host, device.port] = wire
        return Net(at["modbus"], at["bacnet"])

    def live_on(self, loop: asyncio.AbstractEventLoop) -> None:
        """Go by the time of a loop from now on."""
        self._loop = loop

    def stop(self) -> None:
        """End the run: an invariant does not hold."""
        self.stopped = True
        self.on_stop()

    def now(self) -> datetime:
        """Give the world's UTC instant."""
        self.catch_up()
        return self.world.now

    def catch_up(self) -> None:
        """Let the world live until now, in whole steps."""
        if self._loop is not None:
            self.live_until(self._loop.time())

    def live_until(self, now_s: float) -> None:
        """Let the world live until an instant [s]; its cars' wishes go to the daemon's folder."""
        plant = self.world.plant
        step_s = plant.substep_s
        passing_s = now_s // step_s * step_s - plant.elapsed_s
        if passing_s < step_s:
            return
        self.world.advance(passing_s)
        for event in self.world.take_events():
            for request in car_requests(event.as_json()):
                submit(self._state, request)

    def written_s(self) -> dict[str, float]:
        """Tell when a write last arrived at each device [s since the start]."""
        return {device: wire.written_s for device, wire in self.wires.items()}

    def obeyed(self) -> dict[str, float | None]:
        """Tell what each asset truly obeys now [kW]; None while it goes by itself."""
        self.catch_up()
        return dict(self.world.plant.commands)
