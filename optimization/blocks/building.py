"""Rows of `optimization.building` in Pyomo, for every zone of two heat capacities."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyomo.environ as pyo

from optimization.blocks.parts import add_coefficients, carried


def add_building(block: Any, parent: tuple[int, ...], driven: Callable[[Any, int], Any]) -> Any:
    """Write the air and the mass of a zone, and its comfort; returns the cost.

    Args:
        block: where to write.
        parent: the slots' parents.
        driven: what drives it in a slot, for a coefficient of that slot: a sum of it times variables.
    """
    n = len(parent)
    add_coefficients(block, n, "air_keep", "air_from_mass", "air_per_kw", "air_fixed_c")
    add_coefficients(block, n, "mass_keep", "mass_from_air", "mass_per_kw", "mass_fixed_c")
    add_coefficients(block, n, "low_c", "high_c", "discomfort_cost", "end_air", "end_mass", "end_fixed")
    block.air_c = pyo.Var(range(n))
    block.mass_c = pyo.Var(range(n))
    block.discomfort_k = pyo.Var(range(n), bounds=(0.0, None))

    def air(b: Any, s: int) -> Any:
        before = carried(b.air_keep, b.air_c, parent[s], s) + carried(b.air_from_mass, b.mass_c, parent[s], s)
        return b.air_c[s] == before + driven(b.air_per_kw[s], s) + b.air_fixed_c[s]

    def mass(b: Any, s: int) -> Any:
        before = carried(b.mass_keep, b.mass_c, parent[s], s) + carried(b.mass_from_air, b.air_c, parent[s], s)
        return b.mass_c[s] == before + driven(b.mass_per_kw[s], s) + b.mass_fixed_c[s]

    block.air = pyo.Constraint(range(n), rule=air)
    block.mass = pyo.Constraint(range(n), rule=mass)
    block.warm_enough = pyo.Constraint(range(n), rule=lambda b, s: b.air_c[s] + b.discomfort_k[s] >= b.low_c[s])
    block.cool_enough = pyo.Constraint(range(n), rule=lambda b, s: b.air_c[s] - b.discomfort_k[s] <= b.high_c[s])
    return pyo.quicksum(
        block.discomfort_cost[s] * block.discomfort_k[s]
        - block.end_air[s] * block.air_c[s]
        - block.end_mass[s] * block.mass_c[s]
        - block.end_fixed[s]
        for s in range(n)
    )
