"""A wind turbine, or a park of equal ones, that can be curtailed.

    p[s] = -g[s],     0 <= g[s] <= min(available[s], rated)

Symbols: p [kW] into the asset (so never positive), g [kW] generated, available [kW] foreseen by its power curve
(`optimization.forecast.wind`). Own derivation. Its equations in Pyomo are those of a photovoltaic plant:
`optimization.blocks.pv`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from optimization.assets.asset import AssetOf, AssetShape, Inputs, PowerBand, Values
from optimization.slots import Floats, Slots
from optimization.weights import Weights


@dataclass(frozen=True, slots=True, eq=False)
class WindInputs(Inputs):
    """The generation that the wind allows [kW], shape (n,), not negative."""

    available_kw: Floats

    not_negative = ("available_kw",)


@dataclass(frozen=True, slots=True)
class Wind(AssetOf[WindInputs]):
    """A wind turbine.

    Args:
        id: asset id.
        rated_kw: electric rating.
        bus: index of its bus in the grid.
        power_factor: cos phi at the terminals.
    """

    id: str
    rated_kw: float
    bus: int = -1
    power_factor: float = 1.0

    given = WindInputs
    is_source = True
    positive = ("rated_kw",)

    def coefficients(self, inputs: WindInputs, shape: AssetShape, slots: Slots, weights: Weights) -> Values:
        """It generates between nothing and all that wind and rating allow."""
        return {"generation_min_kw": np.zeros(len(slots)), "generation_max_kw": self._most_kw(inputs)}

    def reach(self, inputs: WindInputs, slots: Slots) -> PowerBand:
        """Find what wind and rating allow."""
        return PowerBand(-self._most_kw(inputs), np.zeros(len(slots)))

    def narrowed(self, own: Values, band: PowerBand) -> Values:
        """Hold the generation."""
        return {"generation_min_kw": -band.high_kw, "generation_max_kw": -band.low_kw}

    def _most_kw(self, inputs: WindInputs) -> Floats:
        return np.minimum(inputs.available_kw, self.rated_kw)
