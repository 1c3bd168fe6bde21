"""A photovoltaic plant that can be curtailed.

    p[s] = -g[s],     0 <= g[s] <= available[s]

Symbols: p [kW] into the asset (so never positive), g [kW] generated, available [kW] foreseen. Own derivation.
Pyomo: `optimization.blocks.pv`.
"""

from __future__ import annotations

from dataclasses import dataclass

from optimization.slots import Floats


@dataclass(frozen=True, slots=True)
class Pv:
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


@dataclass(frozen=True, slots=True, eq=False)
class PvInputs:
    """The generation that sun and inverter allow [kW], shape (n,), not negative."""

    available_kw: Floats
