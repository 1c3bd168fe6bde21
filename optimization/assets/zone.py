"""A building zone that takes its heat from a node, and its cold from another one, through an emitter each.

    T_air, T_mass and comfort follow the rows of `optimization.building` with Q = qh - qc and
    gains = gains_kw + window_m2 * sun
    q[s] = qh[s],  0 <= qh <= emitter_kw on its heat node;   q[s] = -qc[s],  0 <= qc <= cooler_kw on its cold node
    never both in one slot: heat that a node has too much of is not cooled away

Symbols: q [kW] heat into the asset at a node, qh and qc [kW] heat given to and taken from the zone's air, sun [kW/m2]
on its windows, window_m2 their area times the share that comes in. It takes no power. Own derivation. Pyomo:
`optimization.blocks.zone`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from optimization import building
from optimization.assets.asset import AssetOf, AssetShape, Inputs, PowerBand, Values
from optimization.slots import Floats, Slots
from optimization.weights import Weights


@dataclass(frozen=True, slots=True, eq=False)
class ZoneInputs(Inputs):
    """What is measured and foreseen; arrays of shape (n,).

    Args:
        temperature_c: air now.
        mass_c: building mass now (estimated).
        outdoor_c: foreseen.
        gains_kw: people and appliances, foreseen.
        sun_kw_m2: irradiance on its windows, foreseen, not negative.
        comfort_low_c: lower end of the comfort band, from its calendar.
        comfort_high_c: upper end of the comfort band.
        end_value_per_kwh: what a kWh of heat left in the building above `comfort_low_c` is worth [currency/kWh heat].
    """

    temperature_c: float
    mass_c: float
    outdoor_c: Floats
    gains_kw: Floats
    sun_kw_m2: Floats
    comfort_low_c: Floats
    comfort_high_c: Floats
    end_value_per_kwh: float = 0.0

    not_negative = ("sun_kw_m2",)


@dataclass(frozen=True, slots=True)
class Zone(AssetOf[ZoneInputs]):
    """A zone on heat nodes.

    Args:
        id: asset id.
        heat_node: where it takes heat; empty for a zone that is only cooled.
        emitter_kw: greatest heat of its radiators or floor; 0 for none.
        air_kwh_per_k: heat capacity of air and furniture.
        mass_kwh_per_k: heat capacity of the building's mass.
        air_mass_k_per_kw: resistance between the two.
        air_out_k_per_kw: resistance from air to outdoors (ventilation, windows).
        mass_out_k_per_kw: resistance from mass to outdoors.
        window_m2: area of its windows times the share of the sun that comes in.
        cold_node: where it gives the heat that is taken from it; empty for a zone that is only heated.
        cooler_kw: greatest heat that is taken from it; 0 for none.
        bus: none; it takes no power.
        power_factor: of no power.
    """

    id: str
    heat_node: str
    emitter_kw: float
    air_kwh_per_k: float
    mass_kwh_per_k: float
    air_mass_k_per_kw: float
    air_out_k_per_kw: float
    mass_out_k_per_kw: float
    window_m2: float = 0.0
    cold_node: str = ""
    cooler_kw: float = 0.0
    bus: int = -1
    power_factor: float = 1.0

    given = ZoneInputs
    is_chosen = False
    has_power = False
    positive = building.POSITIVE
    not_negative = ("emitter_kw", "cooler_kw", "window_m2")

    def shape(self, inputs: ZoneInputs, slots: Slots, most_in_any: int) -> AssetShape:
        """Find its nodes."""
        return AssetShape(type(self), self.bus, 0.0, heat_node=self.heat_node, other_node=self.cold_node)

    def coefficients(self, inputs: ZoneInputs, shape: AssetShape, slots: Slots, weights: Weights) -> Values:
        """Derive its rows and what its emitters can do."""
        n = len(slots)
        gains_kw = inputs.gains_kw + self.window_m2 * inputs.sun_kw_m2
        rows = building.coefficients(self, inputs, slots, weights, gains_kw=gains_kw, heat_per_kw=np.ones(n))
        return rows | {"emitter_kw": np.full(n, self.emitter_kw), "cooler_kw": np.full(n, self.cooler_kw)}

    def reach(self, inputs: ZoneInputs, slots: Slots) -> PowerBand:
        """Find no power."""
        return PowerBand(np.zeros(len(slots)), np.zeros(len(slots)))

    def faults(self) -> Iterator[str]:
        """Check that each emitter has a node, and that they are two."""
        for emitter, node in (("emitter_kw", "heat_node"), ("cooler_kw", "cold_node")):
            if getattr(self, emitter) and not getattr(self, node):
                yield f"{self.id}.{node}: its {emitter} of {getattr(self, emitter)} has no node; name one"
        if self.heat_node and self.heat_node == self.cold_node:
            yield f"{self.id}.cold_node: {self.cold_node!r} is its heat node, too; cold water needs a node of its own"

    def input_faults(self, inputs: ZoneInputs) -> Iterator[str]:
        """Check the comfort band."""
        yield from building.comfort_faults(self.id, inputs)
