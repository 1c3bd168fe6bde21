"""The gateway of a load whose run may wait, by a map of its own.

Input: 0..1 power [W], 2..3 energy [Wh], 4..5 for how long this run has run [s], 6..7 runs that have ended, 8 state (0
nothing to run, 1 waits, 2 runs), 9..10 mark and version of the map. Holding: 18..19 the mark again, 20 run (1) or wait
(0), 21 remote (1 obeys it, 0 lets the load start as it likes), 22 lease [s, 0 is off], 23 run or wait when nobody has
commanded it for a lease's time.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from hil.endpoints.leased_gateway import LeasedGateway, Places, marked
from hil.endpoints.modbus_server import Fault, ModbusFault
from hil.endpoints.sunspec_devices import PlantFace


class MachineGateway(LeasedGateway):
    """The registers of a load whose run may wait.

    Args:
        plant: the plant. asset: id of the load. run_kw: the power that stands for a run.
    """

    places = Places(first=20, remote=21, lease=22, safe=23, end=24)
    mark = marked("DL")

    def __init__(self, plant: PlantFace, asset: str, *, run_kw: float) -> None:
        super().__init__(plant, asset)
        self._run_kw = run_kw

    def _asked_kw(self, holding: Sequence[int], place: int) -> float:
        word = holding[place - self.places.first]
        if word not in (0, 1):
            raise ModbusFault(Fault.ILLEGAL_VALUE)
        return word * self._run_kw

    def _input(self) -> tuple[int, ...]:
        state = self.plant.state(self.asset)
        watts, watt_hours = (round(1000.0 * state[key]) for key in ("power_kw", "energy_kwh"))
        run_s, ended = int(state["run_s"]), int(state["runs_ended"])
        return struct.unpack(">9H", struct.pack(">iIIIH", watts, watt_hours, run_s, ended, int(state["state"])))
