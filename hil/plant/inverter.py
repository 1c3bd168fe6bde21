"""What an inverter does with its reactive power by itself: curves as a grid operator has them set.

    q_wanted = |p| * tan(acos(c(|p| / rated_kw)))    or    most_kvar * f(v),    or what it is told in place of both,
               at most what its rating leaves beside p
    q follows q_wanted with a lag of 5 s; what it may give follows rated_kw * g(v) likewise

p [kW] and q [kvar] into the device, v [pu] where it is connected a moment ago, of three phases their mean. Between its
points a curve is straight, beyond them flat. The lag is that of a first-order response, which the operators of
low-voltage grids ask for so that curves do not swing against each other; own derivation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hil.plant.ambient import approach

LAG_S = 5.0

Points = tuple[tuple[float, float], ...]


@dataclass(slots=True)
class Inverter:
    """An inverter with its curves; without any it runs at unity.

    Args:
        rated_kva: apparent power.
        rated_kw: active power that the curves refer to.
        cos_phi_of_power: pairs of a share of `rated_kw` and cos phi, under-excited; empty for none.
        reactive_of_voltage: pairs of a voltage [pu] and a share of `most_kvar`; empty for none.
        most_kvar: reactive power either way.
        power_of_voltage: pairs of a voltage [pu] and a share of `rated_kw`; empty for no ceiling.
        told_kvar: what it is told; None to follow its curves.
    """

    rated_kva: float
    rated_kw: float
    cos_phi_of_power: Points = ()
    reactive_of_voltage: Points = ()
    most_kvar: float = 0.0
    power_of_voltage: Points = ()
    told_kvar: float | None = None
    kvar: float = 0.0
    most_given_kw: float = math.inf

    def step(self, power_kw: float, v_pu: float, dt_s: float) -> None:
        """Follow the curves for a moment [s] at a power into the device [kW] and a voltage [pu]."""
        wanted = 0.0
        if self.told_kvar is not None:
            wanted = self.told_kvar
        elif self.cos_phi_of_power:
            wanted = abs(power_kw) * math.tan(math.acos(_on(self.cos_phi_of_power, abs(power_kw) / self.rated_kw)))
        elif self.reactive_of_voltage:
            wanted = self.most_kvar * _on(self.reactive_of_voltage, v_pu)
        room = math.sqrt(max(0.0, self.rated_kva**2 - power_kw**2))
        self.kvar = approach(self.kvar, min(max(wanted, -room), room), dt_s, LAG_S)
        if self.power_of_voltage:
            ceiling = self.rated_kw * _on(self.power_of_voltage, v_pu)
            self.most_given_kw = approach(min(self.most_given_kw, self.rated_kw), ceiling, dt_s, LAG_S)


def _on(points: Sequence[tuple[float, float]], at: float) -> float:
    x, y = zip(*points, strict=True)
    return float(np.interp(at, x, y))
