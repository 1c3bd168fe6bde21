"""Equations of `optimization.assets.genset` in Pyomo."""

from __future__ import annotations

from typing import Any

import pyomo.environ as pyo

from optimization.assets.asset import AssetShape
from optimization.assets.genset import Genset, GensetInputs
from optimization.blocks.commitment import add_commitment
from optimization.blocks.parts import Columns, add_coefficients
from optimization.problem import Schedule
from optimization.slots import Slots


def build(block: Any, parent: tuple[int, ...], shape: AssetShape) -> None:
    """Write a generating set."""
    n = len(parent)
    add_coefficients(block, n, "generation_min_kw", "generation_max_kw", "kw_cost", "on_cost")
    add_coefficients(block, n, "heat_per_kw", "heat_idle_kw")
    block.generation_kw = pyo.Var(range(n), bounds=lambda b, s: (b.generation_min_kw[s], b.generation_max_kw[s]))
    add_commitment(block, parent, shape, block.generation_kw)
    block.power_kw = pyo.Expression(range(n), rule=lambda b, s: -b.generation_kw[s])
    block.heat_kw = pyo.Expression(
        range(n), rule=lambda b, s: -b.heat_per_kw[s] * b.generation_kw[s] - b.heat_idle_kw[s] * b.on[s]
    )
    block.cost = pyo.Expression(
        expr=pyo.quicksum(
            block.kw_cost[s] * block.generation_kw[s]
            + block.on_cost[s] * block.on[s]
            + block.start_cost[s] * block.starts[s]
            for s in range(n)
        )
    )


def burner(block: Any, slot: int) -> tuple[Any, Any]:
    """Give what it generates and whether it runs: its fuel goes with both."""
    return block.generation_kw[slot], block.on[slot]


def schedule(asset: Genset, inputs: GensetInputs, slots: Slots, x: Columns) -> Schedule:
    """Read the power, the heat and whether it runs."""
    heat_kw = asset.heat_per_kw * x["generation_kw"] + asset.heat_idle_kw * x["on"]
    return Schedule(-x["generation_kw"], {"is_running": x["on"], "heat_kw": -heat_kw})
