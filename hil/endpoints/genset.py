"""The gateway of a generating set by a map of its own; powers are what the set gives.

Input: 0..1 power [W], 2..3 energy [Wh], 4..5 fuel [Wh of lower heating value], 6..7 starts, 8 engine (0 stands,
1 starts, 2 runs, 3 cools), 9 version of the map. Holding: 20..21 power asked for [W], 22 remote (1 obeys it, 0 lets the
set stand), 23 lease [s, 0 is off], 24..25 safe power [W]. Without a command for a lease's time it takes the safe power.
"""

from __future__ import annotations

import struct

from hil.endpoints.modbus_server import Fault, ModbusFault, Table
from hil.endpoints.sunspec_devices import PlantFace

LAYOUT = 0x0100
FIRST, REMOTE, LEASE, SAFE, END = 20, 22, 23, 24, 26


class GensetGateway:
    """The registers of a generating set.

    Args:
        plant: the plant. asset: id of the set. rated_kw: greatest power that it lets be asked for.
    """

    garbage_word = 0x7FFF

    def __init__(self, plant: PlantFace, asset: str, *, rated_kw: float) -> None:
        self.plant, self.asset = plant, asset
        self._most_w = round(rated_kw * 1000.0)
        self._holding = [0] * (END - FIRST)
        self._told_at_s: float | None = None

    def read(self, table: Table, address: int, count: int) -> bytes:
        """Give registers as of now; raises `ModbusFault`."""
        words, first = (self._input(), 0) if table is Table.INPUT else (tuple(self._holding), FIRST)
        if not first <= address <= address + count <= first + len(words):
            raise ModbusFault(Fault.ILLEGAL_ADDRESS)
        return struct.pack(f">{count}H", *words[address - first : address - first + count])

    def write(self, address: int, values: tuple[int, ...]) -> None:
        """Take holding registers, all or none; raises `ModbusFault`."""
        if not FIRST <= address <= address + len(values) <= END:
            raise ModbusFault(Fault.ILLEGAL_ADDRESS)
        asked = self._holding.copy()
        asked[address - FIRST : address - FIRST + len(values)] = values
        if not all(0 <= _watts(asked, at) <= self._most_w for at in (FIRST, SAFE)):
            raise ModbusFault(Fault.ILLEGAL_VALUE)
        self._holding = asked
        if address < LEASE:
            self._told_at_s = self.plant.elapsed_s
        self._apply(FIRST if self._told_at_s is not None else SAFE)

    def tick(self, now_s: float) -> None:
        """Take the safe power where nobody has commanded it for too long."""
        lease_s = self._holding[LEASE - FIRST]
        if self._told_at_s is not None and lease_s and now_s - self._told_at_s > lease_s:
            self._told_at_s = None
            self._apply(SAFE)

    def _apply(self, place: int) -> None:
        remote = self._holding[REMOTE - FIRST] == 1
        self.plant.command(self.asset, -_watts(self._holding, place) / 1000.0 if remote else None)

    def _input(self) -> tuple[int, ...]:
        state = self.plant.state(self.asset)
        watts, watt_hours, fuel = (round(1000.0 * state[k]) for k in ("power_kw", "energy_kwh", "fuel_kwh"))
        told = struct.pack(
            ">iIIIHH", -watts, watt_hours, fuel, int(state["starts"]), int(state["engine_state"]), LAYOUT
        )
        return struct.unpack(">10H", told)


def _watts(holding: list[int], place: int) -> int:
    high, low = holding[place - FIRST : place - FIRST + 2]
    return int(struct.unpack(">i", struct.pack(">HH", high, low))[0])
