"""Rows of `optimization.commitment` in Pyomo, for every unit that runs whole or stands."""

from __future__ import annotations

from typing import Any

import pyomo.environ as pyo

from optimization.assets.asset import AssetShape
from optimization.blocks.parts import add_coefficients, ancestors, carried


def add_commitment(block: Any, parent: tuple[int, ...], shape: AssetShape, level: Any) -> None:
    """Write `on`, `starts` and `stops` of a unit; `level` is its power [kW], never negative."""
    n = len(parent)
    add_coefficients(block, n, "keep", "on_start", "on_min", "on_max", "least_kw", "most_kw", "start_cost")
    block.on = pyo.Var(range(n), domain=pyo.Integers, bounds=lambda b, s: (b.on_min[s], b.on_max[s]))
    block.starts = pyo.Var(range(n), bounds=(0.0, 1.0))
    block.stops = pyo.Var(range(n), bounds=(0.0, 1.0))
    block.at_least = pyo.Constraint(range(n), rule=lambda b, s: level[s] >= b.least_kw[s] * b.on[s])
    block.at_most = pyo.Constraint(range(n), rule=lambda b, s: level[s] <= b.most_kw[s] * b.on[s])

    def change(b: Any, s: int) -> Any:
        return b.on[s] - carried(b.keep, b.on, parent[s], s) == b.on_start[s] + b.starts[s] - b.stops[s]

    block.change = pyo.Constraint(range(n), rule=change)
    run, stand = (ancestors(parent, reach) for reach in shape.reach)
    block.run_window = window(run)
    block.stand_window = window(stand)
    block.runs_on = pyo.Constraint(range(n), rule=lambda b, s: seen(b.run_window, b.starts, run, s) <= b.on[s])
    block.stands_on = pyo.Constraint(
        range(n), rule=lambda b, s: seen(b.stand_window, b.stops, stand, s) + b.on[s] <= 1.0
    )


def window(lines: list[list[int]]) -> Any:
    """Declare the Param that says which of the slots before are seen: `Slots.began_within`."""
    return pyo.Param(back(lines), mutable=True, initialize=1.0)


def back(lines: list[list[int]]) -> list[tuple[int, int]]:
    """Name each slot with each one before it, counted downwards from 0: a key's last number that rises is a slot."""
    return [(s, -k) for s, line in enumerate(lines) for k in range(len(line))]


def seen(window: Any, changes: Any, lines: list[list[int]], s: int) -> Any:
    """Add up what happened in the slots that slot s sees."""
    return pyo.quicksum(window[s, -k] * changes[t] for k, t in enumerate(lines[s]))
