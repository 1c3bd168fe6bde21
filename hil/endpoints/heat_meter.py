"""A heat meter with the registers of Aquametro CALEC ST (facts only): IEEE floats, each with its unit code behind it.

100 energy [kWh], 500 power [kW], 800 supply and 810 return temperature [degC].
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

from hil.endpoints.modbus_server import Fault, ModbusFault, Table
from hil.endpoints.sunspec_devices import PlantFace

PLACES: Mapping[int, tuple[str, int]] = {
    100: ("heat_kwh", 0),
    500: ("heat_kw", 1),
    800: ("supply_c", 0),
    810: ("return_c", 0),
}
"""First register -> what it tells, and its unit code."""


class HeatMeter:
    """The registers of a heat meter; they are only read.

    Args:
        plant: the plant. asset: id of the heat pump whose heat it measures.
    """

    garbage_word = 0x7FC0  # not a number, in either half of a float

    def __init__(self, plant: PlantFace, asset: str) -> None:
        self.plant, self.asset = plant, asset

    def read(self, table: Table, address: int, count: int) -> bytes:
        """Give registers as of now; raises `ModbusFault`."""
        image = self._image() if table is Table.HOLDING else {}
        try:
            return struct.pack(f">{count}H", *(image[a] for a in range(address, address + count)))
        except KeyError:
            raise ModbusFault(Fault.ILLEGAL_ADDRESS) from None

    def write(self, address: int, values: tuple[int, ...]) -> None:  # noqa: ARG002 -- every register is the same to it
        """Refuse."""
        raise ModbusFault(Fault.ILLEGAL_ADDRESS)

    def tick(self, now_s: float) -> None:
        """Do nothing: a meter has no timers."""

    def _image(self) -> dict[int, int]:
        state = self.plant.state(self.asset)
        image = dict.fromkeys((*range(800, 813),), 0)
        for first, (name, unit) in PLACES.items():
            high, low = struct.unpack(">HH", struct.pack(">f", state[name]))
            image |= {first: high, first + 1: low, first + 2: unit}
        return image
