"""Equations of `optimization.assets.heat_unit` in Pyomo: boilers, heat pumps and chillers on a node."""

from __future__ import annotations

from typing import Any

import pyomo.environ as pyo

from optimization.assets.asset import AssetShape
from optimization.assets.heat_unit import HeatUnit, HeatUnitInputs
from optimization.blocks.commitment import add_commitment
from optimization.blocks.parts import Columns, add_coefficients
from optimization.commitment import WHOLE, is_whole
from optimization.problem import Schedule
from optimization.slots import Slots


def build(block: Any, parent: tuple[int, ...], shape: AssetShape) -> None:
    """Write a unit that takes in power or fuel."""
    slots = range(len(parent))
    add_coefficients(block, len(parent), "input_min_kw", "input_max_kw", "heat_per_kw", "input_cost")
    block.input_kw = pyo.Var(slots, bounds=lambda b, s: (b.input_min_kw[s], b.input_max_kw[s]))
    cost = pyo.quicksum(block.input_cost[s] * block.input_kw[s] for s in slots)
    if WHOLE in shape.traits:
        add_commitment(block, parent, shape, block.input_kw)
        cost += pyo.quicksum(block.start_cost[s] * block.starts[s] for s in slots)
    block.power_kw = pyo.Expression(slots, rule=lambda b, s: b.input_kw[s] if shape.kind.has_power else 0.0)
    block.heat_kw = pyo.Expression(slots, rule=lambda b, s: b.heat_per_kw[s] * b.input_kw[s])
    block.cost = pyo.Expression(expr=cost)


def burner(block: Any, slot: int) -> tuple[Any, Any]:
    """Give what it takes in; at no load it takes nothing."""
    return block.input_kw[slot], 0.0


def schedule(asset: HeatUnit[Any], inputs: HeatUnitInputs, slots: Slots, x: Columns) -> Schedule:
    """Read what it takes in, its heat and, where it is told, whether it runs."""
    taken_kw = x["input_kw"]
    states = {"heat_kw": asset.heat_per_kw(inputs) * taken_kw} | ({"is_running": x["on"]} if is_whole(asset) else {})
    if asset.has_power:
        return Schedule(taken_kw, states)
    return Schedule(0.0 * taken_kw, states | {"fuel_kw": taken_kw})
