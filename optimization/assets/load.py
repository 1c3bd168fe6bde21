"""A fixed load: power that is asked for, not chosen.

    p[s] = demand[s] - unserved[s],     0 <= unserved[s] <= max(demand[s], 0)

Symbols: p [kW] into the asset, demand [kW] foreseen, unserved [kW] priced above everything else. Own derivation.
Pyomo: `optimization.blocks.load`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from optimization.assets.asset import AssetOf, AssetShape, Inputs, PowerBand, Values
from optimization.slots import Floats, Slots
from optimization.weights import Weights


@dataclass(frozen=True, slots=True, eq=False)
class LoadInputs(Inputs):
    """The demand foreseen [kW], shape (n,); negative for a source that nobody steers now (a device out of control)."""

    demand_kw: Floats


@dataclass(frozen=True, slots=True)
class Load(AssetOf[LoadInputs]):
    """A fixed load.

    Args:
        id: asset id.
        bus: index of its bus in the grid.
        power_factor: cos phi, lagging.
    """

    id: str
    bus: int = -1
    power_factor: float = 0.97

    given = LoadInputs
    is_chosen = False

    def coefficients(self, inputs: LoadInputs, shape: AssetShape, slots: Slots, weights: Weights) -> Values:
        """What feeds in without being steered (a negative demand) has nothing to leave unserved."""
        return {
            "demand_kw": inputs.demand_kw,
            "unserved_max_kw": np.maximum(inputs.demand_kw, 0.0),
            "unserved_cost": weights.unserved * slots.duration_h,
        }

    def reach(self, inputs: LoadInputs, slots: Slots) -> PowerBand:
        """Find what it takes, or gives, or leaves unserved."""
        return PowerBand(np.minimum(inputs.demand_kw, 0.0), np.maximum(inputs.demand_kw, 0.0))
