"""Equations of `optimization.assets.heat_load` in Pyomo."""

from __future__ import annotations

from typing import Any

import pyomo.environ as pyo

from optimization.assets.asset import AssetShape
from optimization.assets.heat_load import HeatLoad, HeatLoadInputs
from optimization.blocks.parts import Columns, add_coefficients
from optimization.problem import Schedule
from optimization.slots import Slots


def build(block: Any, parent: tuple[int, ...], shape: AssetShape) -> None:
    """Write what takes heat; what its node lacks is priced there."""
    n = len(parent)
    add_coefficients(block, n, "demand_kw")
    block.power_kw = pyo.Expression(range(n), rule=0.0)
    block.heat_kw = pyo.Expression(range(n), rule=lambda b, s: b.demand_kw[s])
    block.cost = pyo.Expression(expr=0.0)


def schedule(asset: HeatLoad, inputs: HeatLoadInputs, slots: Slots, x: Columns) -> Schedule:
    """Tell the heat."""
    return Schedule(0.0 * inputs.demand_kw, {"heat_kw": asset.heat_kw(inputs)})
