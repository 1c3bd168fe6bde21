"""A boiler, of fuel or electric: it gives heat to a node.

    q[s] = -efficiency * y[s],   p[s] = y[s] if it is electric, 0 if it burns fuel
    the rest: `optimization.assets.heat_unit`

Symbols: q [kW] heat into the asset, so never positive, y [kW] fuel (of that heating value to which the efficiency and
the fuel's price refer) or power taken in, p [kW] power into the asset. Own derivation. Pyomo:
`optimization.blocks.heat_unit`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from optimization.assets.heat_unit import HeatUnit, HeatUnitInputs
from optimization.slots import Floats
from optimization.weights import quantised


@dataclass(frozen=True, slots=True, eq=False)
class BoilerInputs(HeatUnitInputs):
    """What is measured, and what its fuel costs.

    Args:
        is_running: now.
        since_s: for how long it has run or stood [s].
        fuel_price: of a kWh of fuel, its carbon included [currency/kWh], shape (n,).
        fuel_kg_per_kwh: what a kWh of fuel emits [kg]; it counts for a carbon budget.
    """

    is_running: bool
    since_s: float
    fuel_price: Floats
    fuel_kg_per_kwh: float = 0.0


@dataclass(frozen=True, slots=True)
class Boiler(HeatUnit[BoilerInputs]):
    """A boiler that burns fuel.

    Args:
        id: asset id.
        heat_node: where its heat goes.
        rated_kw: greatest fuel power.
        efficiency: heat for each kW of fuel; above 1 for a condensing boiler and the lower heating value.
        least_kw: least fuel power at which it may run.
        least_run_s: it runs at least so long.
        least_stand_s: it stands at least so long.
        start_cost: of a start, wear included [currency].
        bus: none; it takes no power.
        power_factor: of no power.
    """

    id: str
    heat_node: str
    rated_kw: float
    efficiency: float
    least_kw: float = 0.0
    least_run_s: float = 0.0
    least_stand_s: float = 0.0
    start_cost: float = 0.0
    bus: int = -1
    power_factor: float = 1.0

    given = BoilerInputs
    is_chosen = False
    has_power = False
    burns = True
    positive = ("rated_kw", "efficiency")

    def heat_per_kw(self, inputs: BoilerInputs) -> Floats:
        """Give the heat of its fuel."""
        return np.full(1, -self.efficiency)

    def price(self, inputs: BoilerInputs) -> Floats:
        """Give the price of its fuel."""
        return quantised(inputs.fuel_price)

    def fuel_kg(self, inputs: BoilerInputs) -> tuple[float, float]:
        """Give the emissions of a kWh of fuel; it burns none at no load."""
        return inputs.fuel_kg_per_kwh, 0.0


@dataclass(frozen=True, slots=True, eq=False)
class ElectricBoilerInputs(HeatUnitInputs):
    """What is measured.

    Args:
        is_running: now.
        since_s: for how long it has run or stood [s].
    """

    is_running: bool
    since_s: float


@dataclass(frozen=True, slots=True)
class ElectricBoiler(HeatUnit[ElectricBoilerInputs]):
    """A boiler that takes power: an electrode boiler, a heating rod.

    Args:
        id: asset id.
        heat_node: where its heat goes.
        rated_kw: greatest electric power.
        efficiency: heat for each kW of power, at most 1.
        least_kw: least power at which it may run.
        least_run_s: it runs at least so long.
        least_stand_s: it stands at least so long.
        start_cost: of a start, wear included [currency].
        bus: index of its bus in the grid.
        power_factor: cos phi at its terminals.
    """

    id: str
    heat_node: str
    rated_kw: float
    efficiency: float = 0.99
    least_kw: float = 0.0
    least_run_s: float = 0.0
    least_stand_s: float = 0.0
    start_cost: float = 0.0
    bus: int = -1
    power_factor: float = 1.0

    given = ElectricBoilerInputs
    is_anchored = True
    shares = ("power_factor", "efficiency")

    def heat_per_kw(self, inputs: ElectricBoilerInputs) -> Floats:
        """Give the heat of its power."""
        return np.full(1, -self.efficiency)
