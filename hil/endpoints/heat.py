"""Gateways of heat nodes by maps of their own: boilers that burn fuel, what makes heat of power, thermometers.

Input of a boiler: 0..1 fuel power [W], 2..3 fuel and 4..5 heat [Wh], 6..7 starts, 8 burner (0 stands, 1 burns, 2
purges), 9..10 mark and version of the map. Input of the others: 0..1 power [W], 2..3 energy and 4..5 heat [Wh], 9..10
mark and version. Holding of both: 18..19 the mark again, 20..21 power asked for [W], 22 remote (1 obeys it, 0 goes by
its own thermostat), 23 lease [s, 0 is off], 24..25 safe power [W]. A power beyond what it can counts as its most; as a
safe power it means its own thermostat. A pipe tells the heat that it sends [W] in 4..5. Thermometers: input 0 mean, 1
top, 2 bottom [0.1 degC], 9..10 mark and version.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from hil.endpoints.leased_gateway import LeasedGateway, Places, marked
from hil.endpoints.modbus_server import Fault, ModbusFault, Table
from hil.endpoints.sunspec_devices import PlantFace


class HeaterGateway(LeasedGateway):
    """The registers of what makes heat of power.

    Args:
        plant: the plant. asset: id of the maker. rated_kw: the most that it can.
    """

    places = Places(first=20, remote=22, lease=23, safe=24, end=26)
    mark = marked("EH")
    taken = ("power_kw", "energy_kwh")

    def __init__(self, plant: PlantFace, asset: str, *, rated_kw: float) -> None:
        super().__init__(plant, asset)
        self._most_w = round(rated_kw * 1000.0)

    def _asked_kw(self, holding: Sequence[int], place: int) -> float:
        watts = self._watts(holding, place)
        if watts < 0:
            raise ModbusFault(Fault.ILLEGAL_VALUE)
        return min(watts, self._most_w) / 1000.0

    def _apply(self, place: int) -> None:
        if place == self.places.safe and self._watts(self._holding, place) > self._most_w:
            self.plant.command(self.asset, None)
        else:
            super()._apply(place)

    def _input(self) -> tuple[int, ...]:
        state = self.plant.state(self.asset)
        power, counted = (round(1000.0 * state[key]) for key in self.taken)
        heat, starts = round(1000.0 * state["heat_kwh"]), int(state.get("starts", 0.0))
        told = struct.pack(">IIIIH", power, counted, heat, starts, int(state.get("burner_state", 0.0)))
        return struct.unpack(">9H", told)


class BoilerGateway(HeaterGateway):
    """The registers of a boiler that burns fuel; its powers are those of its fuel."""

    mark = marked("BO")
    taken = ("fuel_kw", "fuel_kwh")


class PipeGateway(HeaterGateway):
    """The registers of the pump of a pipe; what it is told is the most heat that it may send."""

    mark = marked("PP")

    def _input(self) -> tuple[int, ...]:
        state = self.plant.state(self.asset)
        power, energy, sent = (round(1000.0 * state[key]) for key in ("power_kw", "energy_kwh", "sent_kw"))
        return struct.unpack(">9H", struct.pack(">IIIIH", power, energy, sent, 0, 0))


class TankProbes:
    """The registers of a tank's thermometers; they are only read.

    Args:
        plant: the plant. asset: id of the tank.
    """

    garbage_word = 0x7FFF
    mark = marked("TS")

    def __init__(self, plant: PlantFace, asset: str) -> None:
        self.plant, self.asset = plant, asset

    def read(self, table: Table, address: int, count: int) -> bytes:
        """Give registers as of now; raises `ModbusFault`."""
        state = self.plant.state(self.asset)
        tenths = [round(10.0 * state[key]) for key in ("temperature_c", "top_c", "bottom_c")]
        image = struct.unpack(">11H", struct.pack(">3h", *tenths) + bytes(12) + struct.pack(">2H", *self.mark))
        if table is not Table.INPUT or not 0 <= address <= address + count <= len(image):
            raise ModbusFault(Fault.ILLEGAL_ADDRESS)
        return struct.pack(f">{count}H", *image[address : address + count])

    def write(self, address: int, values: tuple[int, ...]) -> None:  # noqa: ARG002 -- every register is the same to it
        """Refuse."""
        raise ModbusFault(Fault.ILLEGAL_ADDRESS)

    def tick(self, now_s: float) -> None:
        """Do nothing: thermometers have no timers."""
