"""A fixed load: power that is asked for, not chosen.

    p[s] = demand[s] - unserved[s],     0 <= unserved[s] <= max(demand[s], 0)

Symbols: p [kW] into the asset, demand [kW] foreseen, unserved [kW] priced above everything else. Own derivation.
Pyomo: `optimization.blocks.load`.
"""

from __future__ import annotations

from dataclasses import dataclass

from optimization.slots import Floats


@dataclass(frozen=True, slots=True)
class Load:
    """A fixed load.

    Args:
        id: asset id.
        bus: index of its bus in the grid.
        power_factor: cos phi, lagging.
    """

    id: str
    bus: int = -1
    power_factor: float = 0.97


@dataclass(frozen=True, slots=True, eq=False)
class LoadInputs:
    """The demand foreseen [kW], shape (n,); negative for a source that nobody steers now (a device out of control)."""

    demand_kw: Floats
