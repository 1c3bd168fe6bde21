"""The gateway of modules and battery behind one inverter, by a map of its own.

Input: 0..1 power [W, positive from the grid], 2..3 energy taken from and 4..5 given to the grid [Wh], 6..7 power [W]
and 8..9 energy [Wh] of the sun that is used, 10..11 power of the battery [W, positive while it charges], 12..13 energy
into and 14..15 out of it [Wh], 16 charge [0.1 %], 17 whether sun is held back (1), 18..19 mark and version of the map.
Holding: 18..19 the mark again, 20..21 power [W], 22 remote (1 obeys it, 0 gives its sun), 23 lease [s, 0 is off],
24..25 safe power [W]. A power beyond what it can counts as the most that it can.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from hil.endpoints.leased_gateway import LeasedGateway, Places, marked
from hil.endpoints.sunspec_devices import PlantFace

WORDS = ">iIIIIiIIHH"
TOLD = ("power_kw", "import_kwh", "export_kwh", "sun_kw", "sun_kwh", "store_kw", "store_in_kwh", "store_out_kwh")


class HybridGateway(LeasedGateway):
    """The registers of a hybrid inverter.

    Args:
        plant: the plant. asset: id of the hybrid. rated_kw, take_kw: most that it gives to and takes from the grid.
    """

    places = Places(first=20, remote=22, lease=23, safe=24, end=26)
    mark = marked("HB")

    def __init__(self, plant: PlantFace, asset: str, *, rated_kw: float, take_kw: float) -> None:
        super().__init__(plant, asset)
        self._least_w, self._most_w = -round(rated_kw * 1000.0), round(take_kw * 1000.0)

    def _asked_kw(self, holding: Sequence[int], place: int) -> float:
        return min(max(self._watts(holding, place), self._least_w), self._most_w) / 1000.0

    def _input(self) -> tuple[int, ...]:
        state = self.plant.state(self.asset)
        told = [round(1000.0 * state[key]) for key in TOLD]
        packed = struct.pack(WORDS, *told, round(10.0 * state["soc_pct"]), int(state["sun_state"]))
        return struct.unpack(f">{len(packed) // 2}H", packed)
