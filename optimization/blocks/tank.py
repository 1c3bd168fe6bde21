"""Equations of `optimization.assets.tank` in Pyomo."""

from __future__ import annotations

from typing import Any

import pyomo.environ as pyo

from optimization.assets.asset import AssetShape
from optimization.assets.end_worth import DROPPING
from optimization.assets.tank import HOT, Tank, TankInputs
from optimization.blocks.commitment import back, seen, window
from optimization.blocks.end_worth import add_drops
from optimization.blocks.parts import Columns, add_coefficients, ancestors, carried
from optimization.problem import Schedule
from optimization.slots import Slots


def build(block: Any, parent: tuple[int, ...], shape: AssetShape) -> None:
    """Write a tank, and that it has to become hot where it is time."""
    n, slots = len(parent), range(len(parent))
    add_coefficients(block, n, "keep", "fixed_c", "per_kw", "charge_kw", "discharge_kw", "least_c", "most_c")
    add_coefficients(block, n, "low_c", "high_c", "outside_cost", "end_value", "end_fixed")
    block.flow_kw = pyo.Var(slots, bounds=lambda b, s: (-b.discharge_kw[s], b.charge_kw[s]))
    block.water_c = pyo.Var(slots, bounds=lambda b, s: (b.least_c[s], b.most_c[s]))
    block.outside_k = pyo.Var(slots, bounds=(0.0, None))

    def water(b: Any, s: int) -> Any:
        before = carried(b.keep, b.water_c, parent[s], s)
        return b.water_c[s] == before + b.fixed_c[s] + b.per_kw[s] * b.flow_kw[s]

    block.water = pyo.Constraint(slots, rule=water)
    block.above_low = pyo.Constraint(slots, rule=lambda b, s: b.water_c[s] + b.outside_k[s] >= b.low_c[s])
    block.below_high = pyo.Constraint(slots, rule=lambda b, s: b.water_c[s] - b.outside_k[s] <= b.high_c[s])
    block.power_kw = pyo.Expression(slots, rule=0.0)
    block.heat_kw = pyo.Expression(slots, rule=lambda b, s: b.flow_kw[s])
    cost = pyo.quicksum(
        block.outside_cost[s] * block.outside_k[s] - block.end_value[s] * block.water_c[s] - block.end_fixed[s]
        for s in slots
    )
    cost += _hot_in_time(block, parent, shape) if HOT in shape.traits else 0.0
    if DROPPING in shape.traits:
        add_coefficients(block, n, "fuller")
        cost += add_drops(block, n, shape.pieces[0], [block.fuller[s] * block.water_c[s] for s in slots])
    block.cost = pyo.Expression(expr=cost)


def _hot_in_time(block: Any, parent: tuple[int, ...], shape: AssetShape) -> Any:
    """Let each slot see one by whose end the tank was held hot, or pay."""
    n, slots = len(parent), range(len(parent))
    add_coefficients(block, n, "hot_most", "hot_due", "overdue_cost")
    lines, held = (ancestors(parent, reach) for reach in shape.reach)
    block.hot_window, block.hot_rise_k = window(lines), window(held)
    block.is_hot = pyo.Var(slots, domain=pyo.Integers, bounds=lambda b, s: (0.0, b.hot_most[s]))
    block.missed = pyo.Var(slots, bounds=(0.0, 1.0))

    def hot(b: Any, s: int, k: int) -> Any:
        t = held[s][-k]
        return b.water_c[t] - b.hot_rise_k[s, k] * b.is_hot[s] >= b.least_c[t]

    block.hot = pyo.Constraint(back(held), rule=hot)
    block.in_time = pyo.Constraint(
        slots, rule=lambda b, s: seen(b.hot_window, b.is_hot, lines, s) + b.missed[s] >= b.hot_due[s]
    )
    return pyo.quicksum(block.overdue_cost[s] * block.missed[s] for s in slots)


def schedule(asset: Tank, inputs: TankInputs, slots: Slots, x: Columns) -> Schedule:
    """Read the heat and the temperature."""
    slack = {"outside_k": x["outside_k"]} | ({"overdue": x["missed"]} if asset.is_due(inputs, slots) else {})
    return Schedule(0.0 * x["flow_kw"], {"heat_kw": x["flow_kw"], "temperature_c": x["water_c"]}, slack)
