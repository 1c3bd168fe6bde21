"""Equations of `optimization.assets.pv` in Pyomo."""

from __future__ import annotations

from typing import Any

import pyomo.environ as pyo

from optimization.assets.asset import AssetShape
from optimization.assets.pv import Pv, PvInputs
from optimization.blocks.parts import Columns, add_coefficients
from optimization.problem import Schedule
from optimization.slots import Slots


def build(block: Any, parent: tuple[int, ...], shape: AssetShape) -> None:
    """Write a photovoltaic plant that may be curtailed at no cost."""
    n = len(parent)
    add_coefficients(block, n, "generation_min_kw", "generation_max_kw")
    block.generation_kw = pyo.Var(range(n), bounds=lambda b, s: (b.generation_min_kw[s], b.generation_max_kw[s]))
    block.power_kw = pyo.Expression(range(n), rule=lambda b, s: -b.generation_kw[s])
    block.cost = pyo.Expression(expr=0.0)


def schedule(asset: Pv, inputs: PvInputs, slots: Slots, x: Columns) -> Schedule:
    """Read the generation."""
    return Schedule(-x["generation_kw"])
