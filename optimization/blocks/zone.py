"""Equations of `optimization.assets.zone` in Pyomo."""

from __future__ import annotations

from typing import Any

import pyomo.environ as pyo

from optimization.assets.asset import AssetShape
from optimization.assets.zone import Zone, ZoneInputs
from optimization.blocks.building import add_building
from optimization.blocks.parts import Columns, Group, add_coefficients
from optimization.problem import Schedule
from optimization.slots import Slots


def build(block: Any, parent: tuple[int, ...], shape: AssetShape) -> None:
    """Write a zone; an emitter that it does not have gives 0 kW."""
    slots = range(len(parent))
    add_coefficients(block, len(parent), "emitter_kw", "cooler_kw")
    block.warming_kw = pyo.Var(slots, bounds=lambda b, s: (0.0, b.emitter_kw[s]))
    block.cooling_kw = pyo.Var(slots, bounds=lambda b, s: (0.0, b.cooler_kw[s]))

    def driven(k: Any, s: int) -> Any:
        return k * block.warming_kw[s] - k * block.cooling_kw[s]

    block.cost = pyo.Expression(expr=add_building(block, parent, driven))
    block.power_kw = pyo.Expression(slots, rule=0.0)
    block.heat_kw = pyo.Expression(slots, rule=lambda b, s: b.warming_kw[s])
    block.other_heat_kw = pyo.Expression(slots, rule=lambda b, s: -b.cooling_kw[s])


def exclusive(shape: AssetShape) -> tuple[tuple[Group, Group], ...]:
    """Where it has both, it is not warmed and cooled at once."""
    return ((("warming_kw",), ("cooling_kw",)),) if shape.heat_node and shape.other_node else ()


def schedule(asset: Zone, inputs: ZoneInputs, slots: Slots, x: Columns) -> Schedule:
    """Read the heat and the zone."""
    states = {
        "heat_kw": x["warming_kw"],
        "cold_heat_kw": -x["cooling_kw"],
        "temperature_c": x["air_c"],
        "mass_c": x["mass_c"],
    }
    return Schedule(0.0 * x["warming_kw"], states, {"discomfort_k": x["discomfort_k"]})
