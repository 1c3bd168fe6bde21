"""A generating set that burns fuel, alone (a diesel, a gas engine) or with its heat used (a CHP unit).

    p[s] = -g[s],   q[s] = -(heat_per_kw * g[s] + heat_idle_kw * u[s])
    g, u, a and b follow the rows of `optimization.commitment`
    cost = (fuel_price + carbon_price * carbon_per_kwh) * (fuel_per_kw * g + fuel_idle_kw * u) * h
           + start_cost * a + run_per_h * u * h
    kg   = carbon_per_kwh * (fuel_per_kw * g + fuel_idle_kw * u) * h

Symbols: p [kW] into the asset, g [kW] generated, u whether it runs, a and b whether it starts and stops in the slot,
q [kW] heat into the asset (so never positive), fuel [kW of lower heating value], h [h]. Own derivation. Pyomo:
`optimization.blocks.genset`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from optimization import commitment
from optimization.assets.asset import AssetOf, AssetShape, Inputs, PowerBand, Values
from optimization.slots import Floats, Slots
from optimization.weights import Weights, quantised


@dataclass(frozen=True, slots=True, eq=False)
class GensetInputs(Inputs):
    """What is measured, and what its fuel costs.

    Args:
        is_running: now.
        since_s: for how long it has run or stood [s].
        fuel_price: of a kWh of lower heating value, its carbon included [currency/kWh], shape (n,).
        fuel_kg_per_kwh: what a kWh of fuel emits [kg]; it counts for a carbon budget.
    """

    is_running: bool
    since_s: float
    fuel_price: Floats
    fuel_kg_per_kwh: float = 0.0


@dataclass(frozen=True, slots=True)
class Genset(AssetOf[GensetInputs]):
    """A generating set.

    Args:
        id: asset id.
        bus: index of its bus in the grid.
        rated_kw: greatest electric power.
        least_kw: least power at which it may run.
        fuel_per_kw: fuel for each kW more.
        fuel_idle_kw: fuel that it burns at no load.
        heat_per_kw: useful heat for each kW of power; 0 where none is used.
        heat_idle_kw: useful heat at no load.
        heat_node: where its heat goes; empty where none is used.
        least_run_s: it runs at least so long.
        least_stand_s: it stands at least so long.
        start_cost: of a start, wear included [currency].
        run_per_h: of an hour of running, maintenance say [currency/h].
        power_factor: cos phi at its terminals.
    """

    id: str
    rated_kw: float
    least_kw: float
    fuel_per_kw: float
    bus: int = -1
    fuel_idle_kw: float = 0.0
    heat_per_kw: float = 0.0
    heat_idle_kw: float = 0.0
    heat_node: str = ""
    least_run_s: float = 0.0
    least_stand_s: float = 0.0
    start_cost: float = 0.0
    run_per_h: float = 0.0
    power_factor: float = 1.0

    given = GensetInputs
    is_source = True
    is_anchored = True
    burns = True
    positive = ("rated_kw", "fuel_per_kw")
    not_negative = (
        "least_kw",
        "fuel_idle_kw",
        "heat_per_kw",
        "heat_idle_kw",
        "least_run_s",
        "least_stand_s",
        "start_cost",
        "run_per_h",
    )

    def shape(self, inputs: GensetInputs, slots: Slots, most_in_any: int) -> AssetShape:
        """Its commitment rows look so many slots back as the shortest step may ask for."""
        reach = commitment.reach(self, slots)
        return AssetShape(type(self), self.bus, self.reactive_per_active, reach=reach, heat_node=self.heat_node)

    def coefficients(self, inputs: GensetInputs, shape: AssetShape, slots: Slots, weights: Weights) -> Values:
        """Derive the fuel's price, and what the least times leave of the choice at the start."""
        n, hours, fuel_price = len(slots), slots.duration_h, quantised(inputs.fuel_price)
        return commitment.coefficients(self, inputs, slots, shape.reach) | {
            "generation_min_kw": np.zeros(n),
            "generation_max_kw": np.full(n, self.rated_kw),
            "kw_cost": fuel_price * self.fuel_per_kw * hours,
            "on_cost": (fuel_price * self.fuel_idle_kw + self.run_per_h) * hours,
            "heat_per_kw": np.full(n, self.heat_per_kw),
            "heat_idle_kw": np.full(n, self.heat_idle_kw),
        }

    def fuel_kg(self, inputs: GensetInputs) -> tuple[float, float]:
        """Give the emissions of a kWh generated, and of an hour at no load."""
        return inputs.fuel_kg_per_kwh * self.fuel_per_kw, inputs.fuel_kg_per_kwh * self.fuel_idle_kw

    def reach(self, inputs: GensetInputs, slots: Slots) -> PowerBand:
        """Find what its generator carries."""
        return PowerBand(np.full(len(slots), -self.rated_kw), np.zeros(len(slots)))

    def settable_kw(self, kw: Floats) -> Floats:
        """It stands where less than its least power is asked for."""
        return np.where(np.abs(kw) < self.least_kw, 0.0, kw)

    def narrowed(self, own: Values, band: PowerBand) -> Values:
        """Hold the generation; where it is held, the least times give way."""
        on, low_kw = commitment.held(self, own, -band.high_kw, -band.low_kw)
        return on | {"generation_min_kw": low_kw, "generation_max_kw": -band.low_kw}

    def faults(self) -> Iterator[str]:
        """Check that it can run at all, and that heat has somewhere to go."""
        yield from commitment.faults(self)
        if (self.heat_per_kw or self.heat_idle_kw) and not self.heat_node:
            yield f"{self.id}.heat_node: its heat goes nowhere; name a node, or set its heat to 0"

    def input_faults(self, inputs: GensetInputs) -> Iterator[str]:
        """Check how long it has run."""
        yield from commitment.now_faults(self, inputs)
