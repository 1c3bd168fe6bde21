"""A heat pump that gives heat to a node, or a chiller that takes heat from one.

    heat pump:  q[s] = -COP[s] * p[s],   COP = carnot_share * T_hot / lift (at least 1)
    chiller:    q[s] = +COP[s] * p[s],   COP = carnot_share * T_cold / lift
    lift = max(T_hot - T_cold, 15 K);    the rest: `optimization.assets.heat_unit` with y = p
    heat pump:  T_hot = T_supply + approach_k,   T_cold = T_source - approach_k
    chiller:    T_cold = T_supply - approach_k,  T_hot = T_source + approach_k

Symbols: q [kW] heat into the asset, p [kW] electric power into it, T_supply the water of the node, T_source the outdoor
air, ground or water that heat is taken from or given to, T absolute in a quotient [K], approach_k [K] between water or
air and the refrigerant. Cold has no sign of its own: it is heat taken away. On a node of chilled water a chiller takes
heat, so that its q is positive, and a room that is cooled gives it. The COP depends on both temperatures, not on how
hard the compressor works.

Source of the share of Carnot's figure: Arpagaus et al., High temperature heat pumps, Energy 152 (2018) 985-1010 (40 to
60 % in what is sold); below a lift of 15 K measured figures rise no further: Staffell et al., A review of domestic heat
pumps, Energy and Environmental Science 5 (2012) 9291-9306. Pyomo: `optimization.blocks.heat_unit`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from optimization.assets.heat_unit import HeatUnit, HeatUnitInputs
from optimization.slots import Floats

ZERO_C_IN_K = 273.15
LEAST_LIFT_K = 15.0


@dataclass(frozen=True, slots=True, eq=False)
class HeatSourceInputs(HeatUnitInputs):
    """What is measured and foreseen; arrays of shape (n,).

    Args:
        is_running: now.
        since_s: for how long it has run or stood [s].
        source_c: air, ground or water that heat is taken from, or given to by a chiller.
        supply_c: water that it gives to its node.
    """

    is_running: bool
    since_s: float
    source_c: Floats
    supply_c: Floats


@dataclass(frozen=True, slots=True)
class HeatSource(HeatUnit[HeatSourceInputs]):
    """A heat pump or a chiller on a node.

    Args:
        id: asset id.
        heat_node: where it gives heat, or takes it.
        rated_kw: greatest electric power of its compressor.
        is_chiller: whether it takes heat from its node.
        carnot_share: its COP over that of Carnot between the same two temperatures of the refrigerant.
        approach_k: temperature difference between the refrigerant and what it exchanges heat with.
        least_kw: least electric power at which it may run.
        least_run_s: it runs at least so long.
        least_stand_s: it stands at least so long.
        start_cost: of a start, wear included [currency].
        bus: index of its bus in the grid.
        power_factor: cos phi, lagging.
    """

    id: str
    heat_node: str
    rated_kw: float
    is_chiller: bool = False
    carnot_share: float = 0.45
    approach_k: float = 3.0
    least_kw: float = 0.0
    least_run_s: float = 0.0
    least_stand_s: float = 0.0
    start_cost: float = 0.0
    bus: int = -1
    power_factor: float = 0.97

    given = HeatSourceInputs
    is_anchored = True
    not_negative = (*HeatUnit.not_negative, "approach_k")
    shares = ("power_factor", "carnot_share")

    def heat_per_kw(self, inputs: HeatSourceInputs) -> Floats:
        """Give the heat of its power: below zero for a heat pump, above it for a chiller."""
        return cop(self, inputs) if self.is_chiller else -cop(self, inputs)


def cop(asset: HeatSource, inputs: HeatSourceInputs) -> Floats:
    """Find its coefficient of performance from both temperatures, shape (n,)."""
    sign = -1.0 if asset.is_chiller else 1.0
    supply_c = inputs.supply_c + sign * asset.approach_k
    source_c = inputs.source_c - sign * asset.approach_k
    lift_k = np.maximum(sign * (supply_c - source_c), LEAST_LIFT_K)
    figure: Floats = asset.carnot_share * (supply_c + ZERO_C_IN_K) / lift_k
    return figure if asset.is_chiller else np.maximum(figure, 1.0)
