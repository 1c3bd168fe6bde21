"""Equations of `optimization.assets.load` in Pyomo."""

from __future__ import annotations

from typing import Any

import pyomo.environ as pyo

from optimization.assets.asset import AssetShape
from optimization.assets.load import Load, LoadInputs
from optimization.blocks.parts import Columns, add_coefficients
from optimization.problem import Schedule
from optimization.slots import Slots


def build(block: Any, parent: tuple[int, ...], shape: AssetShape) -> None:
    """Write a fixed load."""
    n = len(parent)
    add_coefficients(block, n, "demand_kw", "unserved_max_kw", "unserved_cost")
    block.unserved_kw = pyo.Var(range(n), bounds=lambda b, s: (0.0, b.unserved_max_kw[s]))
    block.power_kw = pyo.Expression(range(n), rule=lambda b, s: b.demand_kw[s] - b.unserved_kw[s])
    block.cost = pyo.Expression(expr=pyo.quicksum(block.unserved_cost[s] * block.unserved_kw[s] for s in range(n)))


def schedule(asset: Load, inputs: LoadInputs, slots: Slots, x: Columns) -> Schedule:
    """Read what is served."""
    return Schedule(inputs.demand_kw - x["unserved_kw"], slack={"unserved_kw": x["unserved_kw"]})
