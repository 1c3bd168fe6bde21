"""Heat or cold that is asked for, not chosen: houses on a heat node, rooms to be cooled on a node of cold water.

    q[s] = demand[s],   of cold q[s] = -demand[s]

Symbols: q [kW] heat into the asset, demand [kW] foreseen. It takes no power; what its node lacks is priced there. Own
derivation. Pyomo: `optimization.blocks.heat_load`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from optimization.assets.asset import AssetOf, AssetShape, Inputs, PowerBand, Values
from optimization.slots import Floats, Slots
from optimization.weights import Weights


@dataclass(frozen=True, slots=True, eq=False)
class HeatLoadInputs(Inputs):
    """The heat foreseen [kW], shape (n,), not negative."""

    demand_kw: Floats

    not_negative = ("demand_kw",)


@dataclass(frozen=True, slots=True)
class HeatLoad(AssetOf[HeatLoadInputs]):
    """What takes heat from a node.

    Args:
        id: asset id.
        heat_node: where it takes it.
        bus: none; it takes no power.
        power_factor: of no power.
        is_cold: whether it asks for cold: it gives its heat to the node.
    """

    id: str
    heat_node: str
    bus: int = -1
    power_factor: float = 1.0
    is_cold: bool = False

    given = HeatLoadInputs
    is_chosen = False
    has_power = False

    def shape(self, inputs: HeatLoadInputs, slots: Slots, most_in_any: int) -> AssetShape:
        """Find its node."""
        return AssetShape(type(self), self.bus, 0.0, heat_node=self.heat_node)

    def coefficients(self, inputs: HeatLoadInputs, shape: AssetShape, slots: Slots, weights: Weights) -> Values:
        """It takes what is foreseen, or gives it where it asks for cold."""
        return {"demand_kw": self.heat_kw(inputs)}

    def heat_kw(self, inputs: HeatLoadInputs) -> Floats:
        """Give the heat into it, shape (n,)."""
        return -inputs.demand_kw if self.is_cold else inputs.demand_kw

    def reach(self, inputs: HeatLoadInputs, slots: Slots) -> PowerBand:
        """Find no power."""
        return PowerBand(np.zeros(len(slots)), np.zeros(len(slots)))

    def faults(self) -> Iterator[str]:
        """Check that it has a node."""
        if not self.heat_node:
            yield f"{self.id}.heat_node: it takes heat from nowhere; name a node"
