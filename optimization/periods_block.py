"""Equations of `optimization.periods` in Pyomo."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pyomo.environ as pyo

from optimization.blocks.parts import add_coefficients
from optimization.sliding import Reach

Burner = Callable[[int], tuple[Any, Any]]


def add_demand(m: Any, rows: int, months: int, pairs: Reach, block: Any = None) -> Any:
    """Add the highest mean import of each month to a model that has a connection; returns what it costs.

    The rows stand in the model itself, or in a block of it.
    """
    block = m if block is None else block
    add_coefficients(block, months, "peak_free_kw", "peak_cost", "peak_free_cost")
    add_coefficients(block, rows, "demand_begun_kw")
    block.peak_of_month = pyo.Param(range(rows), range(months), mutable=True, initialize=1.0)
    block.demand_share = pyo.Param(list(pairs), mutable=True, initialize=1.0)
    block.peak_kw = pyo.Var(range(months), bounds=lambda b, k: (b.peak_free_kw[k], None))
    seen: dict[int, list[int]] = {}
    for row, slot in pairs:
        seen.setdefault(row, []).append(slot)

    def above(b: Any, row: int) -> Any:
        mean = pyo.quicksum(b.demand_share[row, t] * (m.import_kw[t] + m.import_excess_kw[t]) for t in seen[row])
        peak = pyo.quicksum(b.peak_of_month[row, k] * b.peak_kw[k] for k in range(months))
        return mean - peak <= -b.demand_begun_kw[row]

    block.peak = pyo.Constraint(range(rows), rule=above)
    return pyo.quicksum(block.peak_cost[k] * block.peak_kw[k] - block.peak_free_cost[k] for k in range(months))


def add_carbon_budget(m: Any, n: int, weeks: int, burners: Sequence[Burner], supplies: Sequence[Any] = ()) -> Any:
    """Add the budget of each week to a model that has a connection; returns what the excess costs.

    Args:
        m: the model.
        n: its slots.
        weeks: with a budget.
        burners: give of each asset that burns fuel, in a slot, what drives it [kW] and whether it runs.
        supplies: the blocks of the other connections, whose import counts too.
    """
    add_coefficients(m, weeks, "carbon_left_kg", "carbon_excess_cost")
    for b in (m, *supplies):
        b.carbon_kg_per_kw = pyo.Param(range(weeks), range(n), mutable=True, initialize=1.0)
    m.carbon_excess_kg = pyo.Var(range(weeks), bounds=(0.0, None))
    for name in ("fuel_kg_per_kw", "fuel_kg_running") if burners else ():
        index = (range(len(burners)), range(weeks), range(n))
        m.add_component(name, pyo.Param(*index, mutable=True, initialize=1.0))

    def burnt(b: Any, w: int, s: int) -> Any:
        told = [(k, *burner(s)) for k, burner in enumerate(burners)]
        return sum(b.fuel_kg_per_kw[k, w, s] * kw + b.fuel_kg_running[k, w, s] * runs for k, kw, runs in told)

    def drawn(b: Any, w: int) -> Any:
        return pyo.quicksum(b.carbon_kg_per_kw[w, s] * (b.import_kw[s] + b.import_excess_kw[s]) for s in range(n))

    def within(b: Any, w: int) -> Any:
        kg = drawn(b, w)
        for supply in supplies:
            kg += drawn(supply, w)
        kg += pyo.quicksum(burnt(b, w, s) for s in range(n)) if burners else 0.0
        return kg - b.carbon_excess_kg[w] <= b.carbon_left_kg[w]

    m.carbon_budget = pyo.Constraint(range(weeks), rule=within)
    return pyo.quicksum(m.carbon_excess_cost[w] * m.carbon_excess_kg[w] for w in range(weeks))
