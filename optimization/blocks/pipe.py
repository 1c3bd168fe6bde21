"""Equations of `optimization.assets.pipe` in Pyomo."""

from __future__ import annotations

from typing import Any

import pyomo.environ as pyo

from optimization.assets.asset import AssetShape
from optimization.assets.pipe import Pipe, PipeInputs
from optimization.blocks.commitment import seen, window
from optimization.blocks.parts import Columns, add_coefficients, ancestors
from optimization.problem import Schedule
from optimization.slots import Slots


def build(block: Any, parent: tuple[int, ...], shape: AssetShape) -> None:
    """Write a pipe."""
    slots, lines = range(len(parent)), ancestors(parent, shape.reach[0])
    add_coefficients(block, len(parent), "sent_max_kw", "pump_kw_per_kw", "fixed_kw", "end_value", "turn")
    block.arrival = window(lines)
    block.sent_kw = pyo.Var(slots, bounds=lambda b, s: (0.0, b.sent_max_kw[s]))
    block.arrives_kw = pyo.Var(slots)
    block.arrived = pyo.Constraint(
        slots, rule=lambda b, s: b.arrives_kw[s] == seen(b.arrival, b.sent_kw, lines, s) - b.fixed_kw[s]
    )
    block.power_kw = pyo.Expression(slots, rule=lambda b, s: b.pump_kw_per_kw[s] * b.sent_kw[s])
    block.heat_kw = pyo.Expression(slots, rule=lambda b, s: b.turn[s] * b.sent_kw[s])
    block.other_heat_kw = pyo.Expression(slots, rule=lambda b, s: -b.turn[s] * b.arrives_kw[s])
    block.cost = pyo.Expression(expr=-pyo.quicksum(block.end_value[s] * block.sent_kw[s] for s in slots))


def schedule(asset: Pipe, inputs: PipeInputs, slots: Slots, x: Columns) -> Schedule:
    """Read what is sent and what arrives."""
    states = {"heat_kw": asset.turn * x["sent_kw"], "to_heat_kw": -asset.turn * x["arrives_kw"]}
    return Schedule(asset.pump_kw_per_kw * x["sent_kw"], states)
