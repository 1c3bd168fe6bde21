"""Equations of `optimization.assets.genset` in Pyomo."""

from __future__ import annotations

from typing import Any

import pyomo.environ as pyo

from optimization.assets.asset import AssetShape
from optimization.assets.genset import Genset, GensetInputs
from optimization.blocks.parts import Columns, add_coefficients, ancestors, carried
from optimization.problem import Schedule
from optimization.slots import Slots


def build(block: Any, parent: tuple[int, ...], shape: AssetShape) -> None:
    """Write a generating set."""
    n = len(parent)
    add_coefficients(block, n, "keep", "on_start", "on_min", "on_max", "generation_min_kw", "generation_max_kw")
    add_coefficients(block, n, "kw_cost", "on_cost", "start_cost", "least_kw", "most_kw")
    add_coefficients(block, n, "heat_per_kw", "heat_idle_kw")
    block.generation_kw = pyo.Var(range(n), bounds=lambda b, s: (b.generation_min_kw[s], b.generation_max_kw[s]))
    block.on = pyo.Var(range(n), domain=pyo.Integers, bounds=lambda b, s: (b.on_min[s], b.on_max[s]))
    block.starts = pyo.Var(range(n), bounds=(0.0, 1.0))
    block.stops = pyo.Var(range(n), bounds=(0.0, 1.0))
    block.at_least = pyo.Constraint(range(n), rule=lambda b, s: b.generation_kw[s] >= b.least_kw[s] * b.on[s])
    block.at_most = pyo.Constraint(range(n), rule=lambda b, s: b.generation_kw[s] <= b.most_kw[s] * b.on[s])

    def change(b: Any, s: int) -> Any:
        return b.on[s] - carried(b.keep, b.on, parent[s], s) == b.on_start[s] + b.starts[s] - b.stops[s]

    block.change = pyo.Constraint(range(n), rule=change)
    run, stand = (ancestors(parent, reach) for reach in shape.reach)
    block.run_window = _window(run)
    block.stand_window = _window(stand)
    block.runs_on = pyo.Constraint(range(n), rule=lambda b, s: _seen(b.run_window, b.starts, run, s) <= b.on[s])
    block.stands_on = pyo.Constraint(
        range(n), rule=lambda b, s: _seen(b.stand_window, b.stops, stand, s) + b.on[s] <= 1.0
    )
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


def _window(lines: list[list[int]]) -> Any:
    return pyo.Param([(s, k) for s, line in enumerate(lines) for k in range(len(line))], mutable=True, initialize=1.0)


def _seen(window: Any, changes: Any, lines: list[list[int]], s: int) -> Any:
    return pyo.quicksum(window[s, k] * changes[t] for k, t in enumerate(lines[s]))


def schedule(asset: Genset, inputs: GensetInputs, slots: Slots, x: Columns) -> Schedule:
    """Read the power, the heat and whether it runs."""
    heat_kw = asset.heat_per_kw * x["generation_kw"] + asset.heat_idle_kw * x["on"]
    return Schedule(-x["generation_kw"], {"is_running": x["on"], "heat_kw": -heat_kw})
