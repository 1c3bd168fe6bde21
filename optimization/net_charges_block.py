"""Equations of `optimization.net_charges` in Pyomo."""

from __future__ import annotations

from typing import Any

import pyomo.environ as pyo

from optimization.blocks.parts import add_coefficients, carried
from optimization.steps_block import all_banks_kvar


def add_envelope(at: Any, block: Any, n: int) -> Any:
    """Add what lies outside of an envelope; returns what it costs."""
    add_coefficients(block, n, "low_kw", "high_kw", "over_cost")
    block.over_kw = pyo.Var(range(n), bounds=(0.0, None))
    block.above = pyo.Constraint(range(n), rule=lambda b, s: net(at, s) - b.over_kw[s] <= b.high_kw[s])
    block.below = pyo.Constraint(range(n), rule=lambda b, s: net(at, s) + b.over_kw[s] >= b.low_kw[s])
    return pyo.quicksum(block.over_cost[s] * block.over_kw[s] for s in range(n))


def add_imbalance(at: Any, block: Any, n: int) -> Any:
    """Add what is drawn beyond what was bought; returns what the deviation costs."""
    add_coefficients(block, n, "bought_kw", "over_cost", "net_cost", "bought_cost")
    block.over_kw = pyo.Var(range(n), bounds=(0.0, None))
    block.above = pyo.Constraint(range(n), rule=lambda b, s: net(at, s) - b.over_kw[s] <= b.bought_kw[s])
    return pyo.quicksum(
        block.over_cost[s] * block.over_kw[s] + block.net_cost[s] * net(at, s) - block.bought_cost[s] for s in range(n)
    )


def add_ramping(at: Any, block: Any, parent: tuple[int, ...]) -> Any:
    """Add the changes of the net power; returns what they cost."""
    slots = range(len(parent))
    add_coefficients(block, len(parent), "before_link", "before_kw", "over_cost")
    block.over_kw = pyo.Var(slots, bounds=(0.0, None))
    taken = [net(at, s) for s in slots]

    def change(b: Any, s: int) -> Any:
        return taken[s] - carried(b.before_link, taken, parent[s], s)

    block.up = pyo.Constraint(slots, rule=lambda b, s: change(b, s) - b.over_kw[s] <= b.before_kw[s])
    block.down = pyo.Constraint(slots, rule=lambda b, s: change(b, s) + b.over_kw[s] >= b.before_kw[s])
    return pyo.quicksum(block.over_cost[s] * block.over_kw[s] for s in slots)


def add_reactive_energy(m: Any, at: Any, block: Any, n: int, *, months: int, tans: tuple[float, ...]) -> Any:
    """Add the reactive energy beyond the free share, given tan phi of each asset; returns what it costs.

    The feeder and its capacitor banks are there already.
    """
    add_coefficients(block, months, "free_kvarh", "kvarh_cost")
    for name in ("size_hours", "free_hours"):
        block.add_component(name, pyo.Param(range(months), range(n), mutable=True, initialize=1.0))
    block.size_kvar = pyo.Var(range(n), bounds=(0.0, None))
    block.over_kvarh = pyo.Var(range(months), bounds=(0.0, None))

    def reactive(s: int) -> Any:
        return pyo.quicksum(tan * m.asset[i].power_kw[s] for i, tan in enumerate(tans) if tan) + all_banks_kvar(m, s)

    def beyond(b: Any, k: int) -> Any:
        used = pyo.quicksum(
            b.size_hours[k, s] * b.size_kvar[s] - b.free_hours[k, s] * (at.import_kw[s] + at.import_excess_kw[s])
            for s in range(n)
        )
        return used - b.over_kvarh[k] <= b.free_kvarh[k]

    block.lagging = pyo.Constraint(range(n), rule=lambda b, s: reactive(s) - b.size_kvar[s] <= 0.0)
    block.leading = pyo.Constraint(range(n), rule=lambda b, s: -reactive(s) - b.size_kvar[s] <= 0.0)
    block.beyond = pyo.Constraint(range(months), rule=beyond)
    return pyo.quicksum(block.kvarh_cost[k] * block.over_kvarh[k] for k in range(months))


def net(at: Any, s: int) -> Any:
    """Say what a connection takes in a slot, its excess included."""
    return at.import_kw[s] + at.import_excess_kw[s] - at.export_kw[s] - at.export_excess_kw[s]
