"""Equations of `optimization.assets.hybrid` in Pyomo."""

from __future__ import annotations

from typing import Any

import pyomo.environ as pyo

from optimization.assets.asset import AssetShape
from optimization.assets.hybrid import Hybrid, HybridInputs
from optimization.blocks import battery
from optimization.blocks.parts import Columns, Group, add_coefficients
from optimization.problem import Schedule
from optimization.slots import Slots


def exclusive(shape: AssetShape) -> tuple[tuple[Group, Group], ...]:
    """Either taking or giving; and what excludes itself in the store."""
    return ((("take_kw",), ("give_kw",)), *battery.exclusive(shape))


def build(block: Any, parent: tuple[int, ...], shape: AssetShape) -> None:
    """Write the store, the inverter and the bus between them and the sun."""
    n = len(parent)
    battery.add_store(block, parent, shape)
    add_coefficients(block, n, "sun_max_kw", "give_min_kw", "give_max_kw", "take_min_kw", "take_max_kw")
    add_coefficients(block, n, "bus_per_given", "bus_per_taken")
    block.sun_kw = pyo.Var(range(n), bounds=lambda b, s: (0.0, b.sun_max_kw[s]))
    block.give_kw = pyo.Var(range(n), bounds=lambda b, s: (b.give_min_kw[s], b.give_max_kw[s]))
    block.take_kw = pyo.Var(range(n), bounds=lambda b, s: (b.take_min_kw[s], b.take_max_kw[s]))

    def bus(b: Any, s: int) -> Any:
        brought = b.sun_kw[s] + b.discharge_kw[s] + b.bus_per_taken[s] * b.take_kw[s]
        return brought == b.charge_kw[s] + b.bus_per_given[s] * b.give_kw[s]

    block.direct_current = pyo.Constraint(range(n), rule=bus)
    block.power_kw = pyo.Expression(range(n), rule=lambda b, s: b.take_kw[s] - b.give_kw[s])
    block.cost = pyo.Expression(expr=block.store_cost)


def schedule(asset: Hybrid, inputs: HybridInputs, slots: Slots, x: Columns) -> Schedule:
    """Read the power, what is stored, and what of the sun is used."""
    states = {"energy_kwh": x["energy_kwh"], "sun_kw": x["sun_kw"]}
    return Schedule(x["take_kw"] - x["give_kw"], states, battery.admitted(asset.battery, inputs.store, x))
