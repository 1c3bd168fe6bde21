"""The water between a heat pump and its building: what a heat meter in the pipe sees.

    flow * (supply - return) follows the heat of the compressor with a lag of 3 min
    mean water = air + heat / emission

flow [kW/K] is the heat that the stream carries per kelvin of spread, emission [kW/K] what floors and radiators give per
kelvin of excess temperature. Own derivation; the figures are those of floor heating at 35/29 degC and full load.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hil.plant.ambient import approach
from hil.plant.draws import off

LAG_S = 180.0
SPREAD_K = 6.0
EXCESS_K = 11.0


@dataclass(slots=True)
class Hydronics:
    """A hydronic circuit.

    Args:
        flow_kw_per_k: heat per kelvin of spread. emission_kw_per_k: heat per kelvin of excess temperature.
        heat_kw: passing the meter now. heat_kwh: since the start. air_c: of the zone that it warms.
    """

    flow_kw_per_k: float
    emission_kw_per_k: float
    heat_kw: float = 0.0
    heat_kwh: float = 0.0
    air_c: float = 20.0

    @classmethod
    def drawn(cls, rng: np.random.Generator, full_heat_kw: float) -> Hydronics:
        """Draw a circuit that was laid out for so much heat [kW]."""
        return cls(off(rng, full_heat_kw / SPREAD_K), off(rng, full_heat_kw / EXCESS_K))

    def step(self, heat_kw: float, air_c: float, dt_s: float) -> None:
        """Let the heat of the compressor reach the meter [kW]."""
        self.heat_kw = approach(self.heat_kw, heat_kw, dt_s, LAG_S)
        self.heat_kwh += self.heat_kw * dt_s / 3600.0
        self.air_c = air_c

    def state(self) -> dict[str, float]:
        """Tell heat [kW] and [kWh], supply and return temperature [degC]."""
        mean_c, half_k = self.air_c + self.heat_kw / self.emission_kw_per_k, self.heat_kw / self.flow_kw_per_k / 2.0
        return {
            "heat_kw": self.heat_kw,
            "heat_kwh": self.heat_kwh,
            "supply_c": mean_c + half_k,
            "return_c": mean_c - half_k,
        }
