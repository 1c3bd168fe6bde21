"""A PV inverter of SolarEdge: SunSpec model 103, and the maker's own block of dynamic power control (facts only).

From 0xF300, 32-bit values with their low word first: 0xF300 control on or off, 0xF304 rated power [W], 0xF30C the power
that 100 % mean [W], 0xF310 time without a new limit until the inverter falls back [s], 0xF312 to how much [%], 0xF322
the limit [%]. A new limit starts the time anew.
"""

from __future__ import annotations

import math
import struct

from hil.endpoints.modbus_server import Fault, ModbusFault, Table
from hil.endpoints.sunspec_devices import PlantFace, Reversion, SunSpecDevice

FIRST, COUNT = 0xF300, 0x24
ENABLE, RATED, BASE, TIMEOUT, FALLBACK, LIMIT = 0xF300, 0xF304, 0xF30C, 0xF310, 0xF312, 0xF322
WRITABLE = frozenset({ENABLE, *(each + i for each in (TIMEOUT, FALLBACK, LIMIT) for i in (0, 1))})


class SolarEdgeInverter(SunSpecDevice):
    """The inverter.

    Args:
        plant: the plant. asset: id of the PV plant. bus: its bus. rated_kw: what 100 % mean.
    """

    def __init__(self, plant: PlantFace, asset: str, bus: str, rated_kw: float) -> None:
        super().__init__(plant, asset, bus, (1, 103), {})
        self._rated_kw, self._timer = rated_kw, Reversion()
        self._block = [0] * COUNT
        for register, value in ((RATED, 1000.0 * rated_kw), (BASE, 1000.0 * rated_kw), (FALLBACK, 100.0)):
            self._put(register, struct.pack(">f", value))
        self._put(LIMIT, struct.pack(">f", 100.0))

    def refresh(self) -> None:
        """Read power and energy off the plant."""
        state = self.plant.state(self.asset)
        self.put_inverter(-state["power_kw"], state["energy_kwh"])

    def read(self, table: Table, address: int, count: int) -> bytes:
        """Give registers as of now; raises `ModbusFault`."""
        first = address - FIRST
        if first < 0:
            return super().read(table, address, count)
        if first + count > COUNT:
            raise ModbusFault(Fault.ILLEGAL_ADDRESS)
        return struct.pack(f">{count}H", *self._block[first : first + count])

    def write(self, address: int, values: tuple[int, ...]) -> None:
        """Take registers of the control block, all or none; raises `ModbusFault`."""
        touched = set(range(address, address + len(values)))
        if not touched <= WRITABLE:
            raise ModbusFault(Fault.ILLEGAL_ADDRESS)
        before = list(self._block)
        self._block[address - FIRST : address - FIRST + len(values)] = values
        if self._block[0] > 1 or not all(0.0 <= self._float(each) <= 100.0 for each in (FALLBACK, LIMIT)):
            self._block = before
            raise ModbusFault(Fault.ILLEGAL_VALUE)
        if touched & {ENABLE, LIMIT, LIMIT + 1}:
            seconds = struct.unpack(">I", self._octets(TIMEOUT))[0] if self._block[0] else 0
            self._timer.restart(self.plant.elapsed_s, seconds)
        self._apply()

    def tick(self, now_s: float) -> None:
        """Fall back when no new limit has come in time."""
        if self._timer.ended(now_s):
            self._put(LIMIT, self._octets(FALLBACK))
            self._apply()

    def _apply(self) -> None:
        limit_kw = self._rated_kw * self._float(LIMIT) / 100.0
        self.plant.command(self.asset, -limit_kw if self._block[0] else None)

    def _float(self, register: int) -> float:
        value = float(struct.unpack(">f", self._octets(register))[0])
        return value if math.isfinite(value) else -1.0

    def _octets(self, register: int) -> bytes:
        low, high = self._block[register - FIRST : register - FIRST + 2]
        return struct.pack(">HH", high, low)

    def _put(self, register: int, octets: bytes) -> None:
        high, low = struct.unpack(">HH", octets)
        self._block[register - FIRST : register - FIRST + 2] = (low, high)
