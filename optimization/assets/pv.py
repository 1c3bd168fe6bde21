"""A photovoltaic plant that can be curtailed.

    p[s] = -g[s],     0 <= g[s] <= available[s]

Symbols: p [kW] into the asset (so never positive), g [kW] generated, available [kW] foreseen. Own derivation.
Pyomo: `optimization.blocks.pv`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from optimization.assets.asset import AssetOf, AssetShape, Inputs, PowerBand, Values
from optimization.slots import Floats, Slots
from optimization.weights import Weights


@dataclass(frozen=True, slots=True, eq=False)
class PvInputs(Inputs):
    """The generation that sun and inverter allow [kW], shape (n,), not negative."""

    available_kw: Floats

    not_negative = ("available_kw",)


@dataclass(frozen=True, slots=True)
class Pv(AssetOf[PvInputs]):
    """A photovoltaic plant behind one inverter.

    Args:
        id: asset id.
        bus: index of its bus in the grid.
        rated_kw: AC rating of the inverter.
        power_factor: cos phi at the terminals.
    """

    id: str
    rated_kw: float
    bus: int = -1
    power_factor: float = 1.0

    given = PvInputs
    is_source = True
    positive = ("rated_kw",)

    def coefficients(self, inputs: PvInputs, shape: AssetShape, slots: Slots, weights: Weights) -> Values:
        """It generates between nothing and all that the sun allows."""
        return {"generation_min_kw": np.zeros(len(slots)), "generation_max_kw": inputs.available_kw}

    def reach(self, inputs: PvInputs, slots: Slots) -> PowerBand:
        """Find what the sun allows."""
        return PowerBand(-inputs.available_kw, np.zeros(len(slots)))

    def narrowed(self, own: Values, band: PowerBand) -> Values:
        """Hold the generation."""
        return {"generation_min_kw": -band.high_kw, "generation_max_kw": -band.low_kw}
