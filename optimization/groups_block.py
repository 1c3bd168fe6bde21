"""Equations of `optimization.groups` in Pyomo."""

from __future__ import annotations

from typing import Any

import pyomo.environ as pyo

from optimization.blocks.parts import add_coefficients


def add_groups(m: Any, n: int, groups: tuple[tuple[int, ...], ...]) -> Any:
    """Add the limits of groups of assets, by their indices; returns what goes beyond them costs."""
    index = (range(len(groups)), range(n))
    add_coefficients(m, n, "group_excess_cost")
    m.group_limit_kw = pyo.Param(*index, mutable=True, initialize=1.0)
    m.group_excess_kw = pyo.Var(*index, bounds=(0.0, None))

    def power(b: Any, g: int, s: int) -> Any:
        return pyo.quicksum(b.asset[i].power_kw[s] for i in groups[g])

    m.group_most = pyo.Constraint(
        *index, rule=lambda b, g, s: power(b, g, s) - b.group_excess_kw[g, s] <= b.group_limit_kw[g, s]
    )
    m.group_least = pyo.Constraint(
        *index, rule=lambda b, g, s: power(b, g, s) + b.group_excess_kw[g, s] >= -b.group_limit_kw[g, s]
    )
    return pyo.quicksum(m.group_excess_cost[s] * m.group_excess_kw[g, s] for g in index[0] for s in range(n))
