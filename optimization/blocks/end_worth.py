"""Equations of `optimization.assets.end_worth` in Pyomo."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyomo.environ as pyo

from optimization.blocks.parts import add_coefficients


def add_drops(block: Any, n: int, levels: int, kept: Sequence[Any]) -> Any:
    """Write what lies beyond each level; returns what it costs. `kept` is the state of each slot, more of it fuller."""
    size = levels * n
    add_coefficients(block, size, "drop_level", "drop_cost")
    block.beyond_level = pyo.Var(range(size), bounds=(0.0, None))
    block.beyond = pyo.Constraint(range(size), rule=lambda b, k: kept[k % n] - b.beyond_level[k] <= b.drop_level[k])
    return pyo.quicksum(block.drop_cost[k] * block.beyond_level[k] for k in range(size))
