"""The pretend devices of the building on BACnet: an air handler's controller, and a building automation system.

Air handler: analog-input 1 power [kW], 2 zone temperature [degC], 3 outdoor temperature [degC], 4 energy [kWh];
analog-value 1 is the electric set-point [kW], with a real priority array. It refuses writes to inputs, values that are
not finite or beyond the rating, and priority 6 (reserved for minimum on/off times). BACnet ends no command by itself: a
slot holds until NULL is written to it.

Building automation: analog-value 1, 2 and so on are the limits that it publishes [kW]; nobody writes them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Protocol

from hil.endpoints.bacnet_links import BacnetLink, BindError, Plug
from hil.endpoints.bacnet_node import (
    ANALOG_INPUT,
    ANALOG_VALUE,
    DEGREES_CELSIUS,
    KILOWATT_HOURS,
    KILOWATTS,
    Analog,
    Code,
    Node,
)
from hil.endpoints.modbus_server import Trouble
from hil.endpoints.sunspec_devices import PlantFace

__all__ = ["BacnetDevice", "BindError", "BuildingAutomation", "OnBacnet"]
INPUTS = (
    ("power_kw", KILOWATTS),
    ("temperature_c", DEGREES_CELSIUS),
    ("outdoor_c", DEGREES_CELSIUS),
    ("energy_kwh", KILOWATT_HOURS),
)
RESERVED_PRIORITY = 6
SETPOINT = (ANALOG_VALUE, 1)


class OnBacnet:
    """What both have in common: a node on a link, with faults that can be done to it.

    Attributes:
        trouble: what is wrong with its wire.
        writes: writes to a commandable value that have come in, refused ones too.
    """

    def __init__(self, link: BacnetLink, node: Node) -> None:
        self.writes = 0
        self._link, self._plug = link, Plug(node)
        link.attach(self._plug)

    @property
    def plug(self) -> Plug:
        """Its place on the network."""
        return self._plug

    @property
    def trouble(self) -> Trouble:
        """What is wrong with its wire at present."""
        return self._plug.trouble

    async def open(self) -> None:
        """Plug it in; raises `BindError`."""
        await self._link.open()
        self._plug.is_in = True

    async def close(self) -> None:
        """Pull the plug: the controller lives on, its answers do not come out."""
        self._plug.is_in = False

    def shut_down(self) -> None:
        """Give the address back for good."""
        self._plug.is_in = False
        self._link.close()

    def tick(self, now_s: float) -> None:
        """Do nothing: this device has no timers."""


class BacnetDevice(OnBacnet):
    """The controller of a heat pump or air handler.

    Args:
        plant: the plant. asset: id of the heat pump. rated_kw: greatest set-point.
        link: where it is plugged in. instance: device instance number.
    """

    def __init__(self, plant: PlantFace, asset: str, *, rated_kw: float, link: BacnetLink, instance: int) -> None:
        self.plant, self.asset = plant, asset
        self._rated_kw, self._fresh_at_s = rated_kw, -1.0
        self._inputs = {name: Analog(name, units) for name, units in INPUTS}
        self._setpoint = Analog("setpoint_kw", KILOWATTS, accepts=self._verdict, obey=self._obey)
        objects = {(ANALOG_INPUT, i): thing for i, thing in enumerate(self._inputs.values(), start=1)}
        super().__init__(link, Node(instance, asset, {**objects, SETPOINT: self._setpoint}, self.refresh))

    def refresh(self) -> None:
        """Bring the inputs up to date."""
        if self._fresh_at_s != self.plant.elapsed_s:
            self._fresh_at_s = self.plant.elapsed_s
            state = self.plant.state(self.asset)
            for name, point in self._inputs.items():
                point.value = math.nan if self.trouble.garbage else state[name]

    def slots(self) -> Mapping[int, float]:
        """Tell the commanded slots of the priority array."""
        return dict(self._setpoint.slots)

    def _verdict(self, value: float | None, priority: int) -> Code | None:
        self.writes += 1
        if self.trouble.refuse or priority == RESERVED_PRIORITY:
            return Code.WRITE_ACCESS_DENIED
        fits = value is None or 0.0 <= value <= self._rated_kw  # NaN fits nothing
        return None if fits else Code.VALUE_OUT_OF_RANGE

    def _obey(self) -> None:
        slots = self._setpoint.slots
        self.plant.command(self.asset, slots[min(slots)] if slots else None)


class LimitsFace(Protocol):
    """What a building automation system needs of the plant."""

    def published_limits(self, asset_id: str) -> Mapping[str, float]:
        """Tell the limits that it publishes at this moment: role -> [kW]."""


class BuildingAutomation(OnBacnet):
    """A building automation system that publishes limits and takes no commands.

    Args:
        plant: the plant. asset: id of the building automation.
        roles: the limits' names, in the order of their objects.
        link: where it is plugged in. instance: device instance number.
    """

    def __init__(self, plant: LimitsFace, asset: str, roles: Sequence[str], *, link: BacnetLink, instance: int) -> None:
        self.plant, self.asset = plant, asset
        self._limits = {role: Analog(role, KILOWATTS) for role in roles}
        objects = {(ANALOG_VALUE, i): thing for i, thing in enumerate(self._limits.values(), start=1)}
        super().__init__(link, Node(instance, asset, objects, self.refresh))

    def refresh(self) -> None:
        """Bring the limits up to date; one that nobody has set reads as not a number."""
        told = self.plant.published_limits(self.asset)
        for role, point in self._limits.items():
            point.value = math.nan if self.trouble.garbage else told.get(role, math.nan)
