"""Equations of `optimization.assets.battery` in Pyomo."""

from __future__ import annotations

from typing import Any

import pyomo.environ as pyo

from optimization.assets.asset import AssetShape
from optimization.assets.battery import RECOVERING, Battery, BatteryInputs
from optimization.blocks.parts import Columns, Group, add_coefficients, carried
from optimization.problem import Schedule
from optimization.slots import Slots


def exclusive(shape: AssetShape) -> tuple[tuple[Group, Group], ...]:
    """Either charging or discharging."""
    return ((("charge_kw",), ("discharge_kw",)),)


def build(block: Any, parent: tuple[int, ...], shape: AssetShape) -> None:
    """Write a battery, and the way back of one that was measured outside its band."""
    n = len(parent)
    add_coefficients(block, n, "keep", "fixed_kwh", "gain_h", "drain_h", "charge_max_kw", "discharge_max_kw")
    add_coefficients(block, n, "charge_min_kw", "discharge_min_kw")
    add_coefficients(block, n, "energy_low_kwh", "energy_high_kwh", "charge_cost", "discharge_cost", "end_value")
    block.charge_kw = pyo.Var(range(n), bounds=lambda b, s: (b.charge_min_kw[s], b.charge_max_kw[s]))
    block.discharge_kw = pyo.Var(range(n), bounds=lambda b, s: (b.discharge_min_kw[s], b.discharge_max_kw[s]))
    block.energy_kwh = pyo.Var(range(n), bounds=lambda b, s: (b.energy_low_kwh[s], b.energy_high_kwh[s]))

    def recursion(b: Any, s: int) -> Any:
        moved = b.gain_h[s] * b.charge_kw[s] - b.drain_h[s] * b.discharge_kw[s]
        return b.energy_kwh[s] == carried(b.keep, b.energy_kwh, parent[s], s) + b.fixed_kwh[s] + moved

    block.recursion = pyo.Constraint(range(n), rule=recursion)
    block.power_kw = pyo.Expression(range(n), rule=lambda b, s: b.charge_kw[s] - b.discharge_kw[s])
    running = pyo.quicksum(
        block.charge_cost[s] * block.charge_kw[s]
        + block.discharge_cost[s] * block.discharge_kw[s]
        - block.end_value[s] * block.energy_kwh[s]
        for s in range(n)
    )
    block.cost = pyo.Expression(expr=running + (_recovery(block, parent) if RECOVERING in shape.traits else 0.0))


def _recovery(block: Any, parent: tuple[int, ...]) -> Any:
    """Let the energy lie outside the band by an amount that never grows, and price it."""
    n = len(parent)
    add_coefficients(block, n, "band_low_kwh", "band_high_kwh", "outside_start_kwh", "outside_cost")
    block.outside_kwh = pyo.Var(range(n), bounds=(0.0, None))
    block.above_floor = pyo.Constraint(
        range(n), rule=lambda b, s: b.energy_kwh[s] + b.outside_kwh[s] >= b.band_low_kwh[s]
    )
    block.below_ceiling = pyo.Constraint(
        range(n), rule=lambda b, s: b.energy_kwh[s] - b.outside_kwh[s] <= b.band_high_kwh[s]
    )

    def monotone(b: Any, s: int) -> Any:
        return b.outside_kwh[s] <= carried(b.keep, b.outside_kwh, parent[s], s) + b.outside_start_kwh[s]

    block.monotone = pyo.Constraint(range(n), rule=monotone)
    return pyo.quicksum(block.outside_cost[s] * block.outside_kwh[s] for s in range(n))


def schedule(asset: Battery, inputs: BatteryInputs, slots: Slots, x: Columns) -> Schedule:
    """Read the power and what is stored."""
    return Schedule(x["charge_kw"] - x["discharge_kw"], {"energy_kwh": x["energy_kwh"]})
