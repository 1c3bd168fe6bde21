"""A heat pump behind a Daikin HomeHub (register map: facts only, addresses as on the wire).

Input: 49 room temperature [0.01 degC], 50 electric power [0.01 kW]. Holding: 55 mode of the smart grid: 0 runs freely,
1 forced off, 2 recommended on, 3 forced on. It keeps the mode until another one is written.
"""

from __future__ import annotations

import struct

from hil.endpoints.modbus_server import Fault, ModbusFault, Table
from hil.endpoints.sunspec_devices import PlantFace

MODE = 55
FREE, FORCED_OFF, RECOMMENDED, FORCED_ON = range(4)
RECOMMENDED_SHARE = 0.93
"""What it truly takes when it is recommended to run, as a share of what its owner wrote down."""


class HomeHub:
    """The registers of a HomeHub.

    Args:
        plant: the plant. asset: id of the heat pump.
        recommended_kw: what its owner thinks that it takes when it is recommended to run. rated_kw: nameplate.
    """

    garbage_word = 0x8000

    def __init__(self, plant: PlantFace, asset: str, *, recommended_kw: float, rated_kw: float) -> None:
        self.plant, self.asset = plant, asset
        self.mode = FREE
        self._kw = {
            FREE: None,
            FORCED_OFF: 0.0,
            RECOMMENDED: RECOMMENDED_SHARE * recommended_kw,
            FORCED_ON: rated_kw,
        }

    def read(self, table: Table, address: int, count: int) -> bytes:
        """Give registers as of now; raises `ModbusFault`."""
        image = {MODE: self.mode} if table is Table.HOLDING else self._input()
        try:
            return struct.pack(f">{count}h", *(image[a] for a in range(address, address + count)))
        except KeyError:
            raise ModbusFault(Fault.ILLEGAL_ADDRESS) from None

    def write(self, address: int, values: tuple[int, ...]) -> None:
        """Take a mode; raises `ModbusFault`."""
        if address != MODE or len(values) != 1:
            raise ModbusFault(Fault.ILLEGAL_ADDRESS)
        if values[0] not in self._kw:
            raise ModbusFault(Fault.ILLEGAL_VALUE)
        self.mode = values[0]
        self.plant.command(self.asset, self._kw[self.mode])

    def tick(self, now_s: float) -> None:
        """Do nothing: it has no watchdog."""

    def _input(self) -> dict[int, int]:
        state = self.plant.state(self.asset)
        return {49: round(state["temperature_c"] * 100.0), 50: round(state["power_kw"] * 100.0)}
