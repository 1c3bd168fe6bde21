"""The gateway of a generating set by a map of its own; powers are what the set gives.

Input: 0..1 power [W], 2..3 energy [Wh], 4..5 fuel [Wh of lower heating value], 6..7 starts, 8 engine (0 stands,
1 starts, 2 runs, 3 cools), 9..10 mark and version of the map. Holding: 18..19 the mark again, 20..21 power asked for
[W], 22 remote (1 obeys it, 0 lets the set stand), 23 lease [s, 0 is off], 24..25 safe power [W]. Without a command for
a lease's time it takes the safe power.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from hil.endpoints.leased_gateway import LeasedGateway, Places, marked
from hil.endpoints.modbus_server import Fault, ModbusFault
from hil.endpoints.sunspec_devices import PlantFace


class GensetGateway(LeasedGateway):
    """The registers of a generating set.

    Args:
        plant: the plant. asset: id of the set. rated_kw: greatest power that it lets be asked for.
    """

    places = Places(first=20, remote=22, lease=23, safe=24, end=26)
    mark = marked("GS")

    def __init__(self, plant: PlantFace, asset: str, *, rated_kw: float) -> None:
        super().__init__(plant, asset)
        self._most_w = round(rated_kw * 1000.0)

    def _asked_kw(self, holding: Sequence[int], place: int) -> float:
        watts = self._watts(holding, place)
        if not 0 <= watts <= self._most_w:
            raise ModbusFault(Fault.ILLEGAL_VALUE)
        return -watts / 1000.0

    def _input(self) -> tuple[int, ...]:
        state = self.plant.state(self.asset)
        watts, watt_hours, fuel = (round(1000.0 * state[k]) for k in ("power_kw", "energy_kwh", "fuel_kwh"))
        told = struct.pack(">iIIIH", -watts, watt_hours, fuel, int(state["starts"]), int(state["engine_state"]))
        return struct.unpack(">9H", told)
