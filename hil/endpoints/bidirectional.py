"""The gateway of a charge point that takes power back, by a map of its own; powers are positive into the car.

Input: 0..1 power [W], 2..3 energy charged and 4..5 given back [Wh], 6 charge [0.1 %] and 7 usable capacity [0.1 kWh] of
the car that stands there, 8 state (0 no car, 1 connected, 2 charges, 3 gives back), 9..10 mark and version of the map.
Holding: 18..19 the mark again, 20..21 power [W], 22 remote (1 obeys it, 0 charges as the car likes), 23 lease [s, 0 is
off], 24..25 safe power [W]. A power beyond what it can counts as the most that it can.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from hil.endpoints.leased_gateway import LeasedGateway, Places, marked
from hil.endpoints.sunspec_devices import PlantFace

MOVES_W = 50


class BidirectionalGateway(LeasedGateway):
    """The registers of a charge point that takes power back.

    Args:
        plant: the plant. asset: id of the point. charge_kw, discharge_kw: most that it can either way.
    """

    places = Places(first=20, remote=22, lease=23, safe=24, end=26)
    mark = marked("BC")

    def __init__(self, plant: PlantFace, asset: str, *, charge_kw: float, discharge_kw: float) -> None:
        super().__init__(plant, asset)
        self._most_w, self._least_w = round(charge_kw * 1000.0), -round(discharge_kw * 1000.0)

    def _asked_kw(self, holding: Sequence[int], place: int) -> float:
        return min(max(self._watts(holding, place), self._least_w), self._most_w) / 1000.0

    def _input(self) -> tuple[int, ...]:
        told = self.plant.state(self.asset)
        watts, charged, given = (round(1000.0 * told[key]) for key in ("power_kw", "energy_kwh", "discharge_kwh"))
        state = int(told["connected"]) * (2 if watts > MOVES_W else 3 if watts < -MOVES_W else 1)
        soc, capacity = round(10.0 * told["soc_pct"]), round(10.0 * told["capacity_kwh"])
        return struct.unpack(">9H", struct.pack(">iIIHHH", watts, charged, given, soc, capacity, state))
