"""Equations of `optimization.assets.heat_pump` in Pyomo."""

from __future__ import annotations

from typing import Any

import pyomo.environ as pyo

from optimization.assets.asset import AssetShape
from optimization.assets.heat_pump import HeatPump, HeatPumpInputs
from optimization.blocks.parts import Columns, add_coefficients, carried
from optimization.problem import Schedule
from optimization.slots import Slots


def build(block: Any, parent: tuple[int, ...], shape: AssetShape) -> None:
    """Write a heat pump and the air and the mass of its zone."""
    n = len(parent)
    add_coefficients(block, n, "air_keep", "air_from_mass", "air_per_kw", "air_fixed_c")
    add_coefficients(block, n, "mass_keep", "mass_from_air", "mass_per_kw", "mass_fixed_c")
    add_coefficients(block, n, "low_c", "high_c", "discomfort_cost", "end_air", "end_mass", "end_fixed")
    add_coefficients(block, n, "power_min_kw", "power_max_kw")
    block.heat_kw = pyo.Var(range(n), bounds=lambda b, s: (b.power_min_kw[s], b.power_max_kw[s]))
    block.air_c = pyo.Var(range(n))
    block.mass_c = pyo.Var(range(n))
    block.discomfort_k = pyo.Var(range(n), bounds=(0.0, None))

    def air(b: Any, s: int) -> Any:
        before = carried(b.air_keep, b.air_c, parent[s], s) + carried(b.air_from_mass, b.mass_c, parent[s], s)
        return b.air_c[s] == before + b.air_per_kw[s] * b.heat_kw[s] + b.air_fixed_c[s]

    def mass(b: Any, s: int) -> Any:
        before = carried(b.mass_keep, b.mass_c, parent[s], s) + carried(b.mass_from_air, b.air_c, parent[s], s)
        return b.mass_c[s] == before + b.mass_per_kw[s] * b.heat_kw[s] + b.mass_fixed_c[s]

    block.air = pyo.Constraint(range(n), rule=air)
    block.mass = pyo.Constraint(range(n), rule=mass)
    block.warm_enough = pyo.Constraint(range(n), rule=lambda b, s: b.air_c[s] + b.discomfort_k[s] >= b.low_c[s])
    block.cool_enough = pyo.Constraint(range(n), rule=lambda b, s: b.air_c[s] - b.discomfort_k[s] <= b.high_c[s])
    block.power_kw = pyo.Expression(range(n), rule=lambda b, s: b.heat_kw[s])
    block.cost = pyo.Expression(
        expr=pyo.quicksum(
            block.discomfort_cost[s] * block.discomfort_k[s]
            - block.end_air[s] * block.air_c[s]
            - block.end_mass[s] * block.mass_c[s]
            - block.end_fixed[s]
            for s in range(n)
        )
    )


def schedule(asset: HeatPump, inputs: HeatPumpInputs, slots: Slots, x: Columns) -> Schedule:
    """Read the power and the zone."""
    states = {"temperature_c": x["air_c"], "mass_c": x["mass_c"]}
    return Schedule(x["heat_kw"], states, {"discomfort_k": x["discomfort_k"]})
