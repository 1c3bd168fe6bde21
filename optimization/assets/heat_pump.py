"""A heat pump that heats one building zone of two heat capacities.

    T_air, T_mass and comfort follow the rows of `optimization.building` with Q = COP(T_out) * p
    0 <= p <= rated_kw,     COP = cop_0 + cop_slope * T_out (bounded to 1.5..6)

Symbols: T [degC], Q and p [kW] (p electric, into the asset). Own derivation. Pyomo: `optimization.blocks.heat_pump`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from optimization import building
from optimization.assets.asset import AssetOf, AssetShape, Inputs, PowerBand, Values
from optimization.slots import Floats, Slots
from optimization.weights import Weights

COP_BOUNDS = (1.5, 6.0)


@dataclass(frozen=True, slots=True, eq=False)
class HeatPumpInputs(Inputs):
    """What is measured and foreseen; arrays of shape (n,).

    Args:
        temperature_c: zone air now.
        mass_c: building mass now (estimated).
        outdoor_c: foreseen.
        gains_kw: sun, people and appliances, foreseen.
        comfort_low_c: lower end of the comfort band.
        comfort_high_c: upper end of the comfort band.
        end_value_per_kwh: what a kWh of heat left in the building above `comfort_low_c` is worth [currency/kWh heat].
    """

    temperature_c: float
    mass_c: float
    outdoor_c: Floats
    gains_kw: Floats
    comfort_low_c: Floats
    comfort_high_c: Floats
    end_value_per_kwh: float = 0.0


@dataclass(frozen=True, slots=True)
class HeatPump(AssetOf[HeatPumpInputs]):
    """A heat pump and its zone.

    Args:
        id: asset id.
        bus: index of its bus in the grid.
        rated_kw: greatest electric power.
        cop_0: COP at 0 degC outdoors.
        cop_slope: change of COP per kelvin outdoors.
        air_kwh_per_k: heat capacity of air and furniture.
        mass_kwh_per_k: heat capacity of the building's mass.
        air_mass_k_per_kw: resistance between the two.
        air_out_k_per_kw: resistance from air to outdoors (ventilation, windows).
        mass_out_k_per_kw: resistance from mass to outdoors.
        power_factor: cos phi, lagging.
    """

    id: str
    rated_kw: float
    air_kwh_per_k: float
    mass_kwh_per_k: float
    air_mass_k_per_kw: float
    air_out_k_per_kw: float
    mass_out_k_per_kw: float
    bus: int = -1
    cop_0: float = 3.0
    cop_slope: float = 0.07
    power_factor: float = 0.97

    given = HeatPumpInputs
    is_anchored = True
    positive = ("rated_kw", *building.POSITIVE)
    finite = ("cop_0", "cop_slope")

    def coefficients(self, inputs: HeatPumpInputs, shape: AssetShape, slots: Slots, weights: Weights) -> Values:
        """Derive the zone's exact discretisation, its comfort band and what heat left at the end is worth."""
        cop = np.clip(self.cop_0 + self.cop_slope * inputs.outdoor_c, *COP_BOUNDS)
        zone = building.coefficients(self, inputs, slots, weights, gains_kw=inputs.gains_kw, heat_per_kw=cop)
        return zone | {"power_min_kw": np.zeros(len(slots)), "power_max_kw": np.full(len(slots), self.rated_kw)}

    def reach(self, inputs: HeatPumpInputs, slots: Slots) -> PowerBand:
        """Find what its compressor can take."""
        return PowerBand(np.zeros(len(slots)), np.full(len(slots), self.rated_kw))

    def narrowed(self, own: Values, band: PowerBand) -> Values:
        """Hold the power."""
        return {"power_min_kw": band.low_kw, "power_max_kw": band.high_kw}

    def input_faults(self, inputs: HeatPumpInputs) -> Iterator[str]:
        """Check the comfort band."""
        yield from building.comfort_faults(self.id, inputs)
