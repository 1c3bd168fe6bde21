"""Lets faults begin and end in a world: on wires, in feeds, by the grid operator's gateway."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from ems.config.site import Site
from hil.endpoints.limit_gateway import LimitGateway
from hil.endpoints.modbus_server import Trouble
from hil.faults import ANY, AT_A_GATEWAY, AT_THE_CONNECTION, FEEDS, Fault, FaultKind
from hil.fronts import WorldError
from hil.plant.feeder import Plant
from hil.published import Published
from hil.scenario import Scenario
from hil.scenario_file import wrong_at

log = logging.getLogger(__name__)

DELAY_S = 2.0
GATEWAY = "limit_gateway"
"""The profile of a grid operator's gateway."""


class Wire(Protocol):
    """What a fault can be done to; `writes` counts the write requests that have come in."""

    writes: int

    @property
    def trouble(self) -> Trouble:
        """What is wrong with it at present."""

    async def open(self) -> None:
        """Plug it in."""

    async def close(self) -> None:
        """Pull the plug."""


class Faulty(Protocol):
    """What of a world faults are done to."""

    plant: Plant
    wires: dict[str, Wire]
    registers: dict[str, Any]
    published: Published

    async def replug(self, device: str) -> None:
        """Plug a device in or pull its plug, as it has power and no fault unplugs it."""

    def assets_of(self, device: str) -> tuple[str, ...]:
        """Name the assets that a device speaks for."""


class FaultCourse:
    """The faults of a world in their course.

    Args:
        world: to which they happen.
        faults: in the order in which they begin.

    Attributes:
        happened: each fault that has begun.
    """

    def __init__(self, world: Faulty, faults: Iterable[Fault]) -> None:
        self._world, self._waiting, self._running = world, list(faults), list[Fault]()
        self.happened: list[Fault] = []
        for fault in self._waiting:
            self._check(fault)

    def add(self, fault: Fault) -> None:
        """Order one more; raises `WorldError` for something that is not there."""
        self._check(fault)
        self._waiting.append(fault)

    async def settle(self, now_s: float) -> None:
        """Begin and end what is due [s since the start]."""
        for fault in [one for one in self._waiting if now_s >= one.at_s]:
            self._waiting.remove(fault)
            self._running.append(fault)
            self.happened.append(fault)
            log.info("%s: %s for %g s", fault.device, fault.kind, fault.seconds)
            await self._do(fault, begins=True)
        for fault in [one for one in self._running if now_s >= one.at_s + one.seconds]:
            self._running.remove(fault)
            log.info("%s: %s is over", fault.device, fault.kind)
            if not self.lasts(fault.kind, fault.device):
                await self._do(fault, begins=False)

    def lasts(self, kind: FaultKind, device: str) -> bool:
        """Tell whether a fault of this kind is in its course there: of two that overlap the later end counts."""
        return any((one.kind, one.device) == (kind, device) for one in self._running)

    def _check(self, fault: Fault) -> None:
        gateways = [name for name, front in self._world.registers.items() if isinstance(front, LimitGateway)]
        check_target(fault.kind, fault.device, tuple(self._world.wires), gateways, list(self._world.plant.after))

    async def _do(self, fault: Fault, *, begins: bool) -> None:
        world = self._world
        match fault.kind:
            case FaultKind.UNPLUG:
                await world.replug(fault.device)
            case FaultKind.REFUSE:
                world.wires[fault.device].trouble.refuse = begins
            case FaultKind.GARBAGE:
                world.wires[fault.device].trouble.garbage = begins
            case FaultKind.DELAY:
                world.wires[fault.device].trouble.delay_s = DELAY_S if begins else 0.0
            case FaultKind.IGNORE:
                for asset in world.assets_of(fault.device):
                    world.plant.be_deaf(asset, deaf=begins)
            case FaultKind.FEED_MISSING:
                world.published.hide(fault.device, hidden=begins)
            case FaultKind.OPERATOR_LIMIT:
                gateway: LimitGateway = world.registers[fault.device]
                gateway.allow(*((fault.import_limit_kw, fault.export_limit_kw) if begins else (None, None)))
            case FaultKind.OPERATOR_SILENT:
                world.registers[fault.device].fall_silent(silent=begins)
            case FaultKind.OUTAGE:
                lasting = (one.device for one in self._running if one.kind is FaultKind.OUTAGE)
                world.plant.fail(fault.device if begins else next(lasting, None))
            case _:
                self._switch(fault.kind, begins=begins)

    def _switch(self, kind: FaultKind, *, begins: bool) -> None:
        """Let the grid above, the connection or all power go, or come back."""
        connection, now_s = self._world.plant.connection, self._world.plant.elapsed_s
        match kind, begins:
            case FaultKind.GRID_LOSS, True:
                connection.lose_grid(now_s)
            case FaultKind.POWER_CUT, True:
                connection.cut(now_s)
            case FaultKind.OPEN_CONNECTION, True:
                connection.open(now_s)
            case FaultKind.OPEN_CONNECTION, False:
                connection.allow_closing(now_s)
            case _:
                connection.return_grid(now_s)


def check_faults(site: Site, scenario: Scenario, file: str) -> None:
    """Make sure, before anything runs, that what a scenario lets fail is there.

    Args:
        site: where.
        scenario: what.
        file: the scenario's name or file, for the place of what is wrong.

    Raises:
        ScenarioError: for the first fault that falls on nothing.
    """
    devices = site.file.devices
    gateways = [name for name, device in devices.items() if device.profile == GATEWAY]
    for number, fault in enumerate(scenario.faults):
        try:
            if fault.device != ANY:
                check_target(fault.kind, fault.device, list(devices), gateways, list(site.file.grid.outages))
        except WorldError as error:
            raise wrong_at(("faults", number), str(error), file, site.file.site.id) from error


def check_target(
    kind: FaultKind, target: str, devices: Sequence[str], gateways: Sequence[str], outages: Sequence[str]
) -> None:
    """Make sure that a fault falls on something that is there; raises `WorldError`."""
    if kind in AT_THE_CONNECTION:
        return
    known = {FaultKind.FEED_MISSING: FEEDS, FaultKind.OUTAGE: outages}.get(kind, devices)
    if target not in known:
        raise WorldError(f"{kind}: there is no {target!r}: {_choice(known)}")
    if kind in AT_A_GATEWAY and target not in gateways:
        words = ", ".join(gateways) or "none; add one to `plant:`, with the site's `grid_operator:`"
        raise WorldError(f"{kind}: {target} is no grid operator's gateway: those are {words}")


def _choice(known: Sequence[str]) -> str:
    return f"choose one of {', '.join(known)}" if known else "the site names none"
