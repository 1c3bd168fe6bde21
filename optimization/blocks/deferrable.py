"""Equations of `optimization.assets.deferrable` in Pyomo."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyomo.environ as pyo

from optimization.assets.asset import AssetShape
from optimization.assets.deferrable import Deferrable, DeferrableInputs
from optimization.blocks.commitment import back
from optimization.blocks.parts import Columns, add_coefficients, ancestors
from optimization.problem import Schedule
from optimization.slots import Slots


def build(block: Any, parent: tuple[int, ...], shape: AssetShape) -> None:
    """Write a load whose run may wait."""
    n, runs, lines = len(parent), range(shape.room), ancestors(parent, shape.reach[0])
    add_coefficients(block, n, "keep", "running_kw")
    for name in ("at_start", "start_max", "start_cost", "left_cost"):
        block.add_component(name, pyo.Param(runs, range(n), mutable=True, initialize=1.0))
    block.mean_kw = pyo.Param([(j, *at) for j in runs for at in back(lines)], mutable=True, initialize=1.0)
    block.busy = pyo.Param([(j, *at) for j in runs[:-1] for at in back(lines)], mutable=True, initialize=1.0)
    block.starts = pyo.Var(runs, range(n), domain=pyo.Integers, bounds=lambda b, j, s: (0.0, b.start_max[j, s]))
    block.started = pyo.Var(runs, range(n), bounds=(0.0, 1.0))

    def change(b: Any, j: int, s: int) -> Any:
        before = b.keep[s] * b.started[j, parent[s]] if parent[s] >= 0 else 0.0
        return b.started[j, s] - before - b.starts[j, s] == b.at_start[j, s]

    def in_turn(b: Any, j: int, s: int) -> Any:
        running = pyo.quicksum(b.busy[j, s, -k] * b.starts[j, t] for k, t in enumerate(lines[s]))
        return b.started[j + 1, s] <= b.started[j, s] - running

    def drawn(b: Any, t: int) -> Any:
        of_starts = (b.mean_kw[j, t, -k] * b.starts[j, s] for j in runs for k, s in enumerate(lines[t]))
        return b.running_kw[t] + pyo.quicksum(of_starts)

    block.change = pyo.Constraint(runs, range(n), rule=change)
    block.in_turn = pyo.Constraint(runs[:-1], range(n), rule=in_turn)
    block.power_kw = pyo.Expression(range(n), rule=drawn)
    block.cost = pyo.Expression(
        expr=pyo.quicksum(
            block.start_cost[j, s] * block.starts[j, s] + block.left_cost[j, s] * (1.0 - block.started[j, s])
            for j in runs
            for s in range(n)
        )
    )


def schedule(asset: Deferrable, inputs: DeferrableInputs, slots: Slots, x: Columns) -> Schedule:
    """Read what has started when, what it draws, and what can start no more."""
    form = (len(asset.programmes), len(slots))
    started = x["started"].reshape(form)
    closed = np.array([window.latest < slots.end for window in inputs.windows])
    not_run = slots.ends * (closed[:, None] * (1.0 - started)).sum(axis=0)
    power_kw = asset.drawn_kw(inputs, slots, x["starts"].reshape(form))
    return Schedule(power_kw, {"programmes_started": started.sum(axis=0)}, {"programmes_not_run": not_run})
