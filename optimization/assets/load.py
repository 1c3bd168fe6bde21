"""A fixed load: power that is asked for, not chosen.

    p[s] = demand[s] - unserved[s],     0 <= unserved[s] <= max(demand[s], 0)
    cost = weight * order * unserved * h
    order = 1 with no rank,   (3 + rank / 100) / 4 with a rank of 1 to 99,   2 where it is critical

Symbols: p [kW] into the asset, demand [kW] foreseen, unserved [kW] priced above everything else, h [h]. Where a slot is
short of power at the connection, a lower rank goes before a higher one, then what has no rank, and what is critical
last. Within a rank, and where the feeder is short (there a kW counts by its place), no order is kept. Own derivation.
Pyomo: `optimization.blocks.load`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from optimization.assets.asset import AssetOf, AssetShape, Inputs, PowerBand, Values
from optimization.slots import Floats, Slots
from optimization.weights import Weights

RANKS = range(1, 100)
CRITICAL = 2.0
"""What is critical is left unserved at so many times the price of a load with no rank."""


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
        shed_rank: a lower one gives way first; None for after all that have one.
        critical: it gives way last, whatever its rank.
    """

    id: str
    bus: int = -1
    power_factor: float = 0.97
    shed_rank: int | None = None
    critical: bool = False

    given = LoadInputs
    is_chosen = False

    @property
    def order(self) -> float:
        """Its place in a shortage: what a kWh of it counts against one of a load with no rank."""
        if self.critical:
            return CRITICAL
        return 1.0 if self.shed_rank is None else 0.25 * (3.0 + self.shed_rank / 100.0)

    def coefficients(self, inputs: LoadInputs, shape: AssetShape, slots: Slots, weights: Weights) -> Values:
        """What feeds in without being steered (a negative demand) has nothing to leave unserved."""
        return {
            "demand_kw": inputs.demand_kw,
            "unserved_max_kw": np.maximum(inputs.demand_kw, 0.0),
            "unserved_cost": weights.unserved * self.order * slots.duration_h,
        }

    def reach(self, inputs: LoadInputs, slots: Slots) -> PowerBand:
        """Find what it takes, or gives, or leaves unserved."""
        return PowerBand(np.minimum(inputs.demand_kw, 0.0), np.maximum(inputs.demand_kw, 0.0))

    def faults(self) -> Iterator[str]:
        """Check its rank."""
        if self.shed_rank is not None and self.shed_rank not in RANKS:
            yield f"{self.id}.shed_rank: {self.shed_rank} is no whole number from {RANKS[0]} to {RANKS[-1]}"
