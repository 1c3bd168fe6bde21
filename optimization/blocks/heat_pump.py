"""Equations of `optimization.assets.heat_pump` in Pyomo."""

from __future__ import annotations

from typing import Any

import pyomo.environ as pyo

from optimization.assets.asset import AssetShape
from optimization.assets.heat_pump import HeatPump, HeatPumpInputs
from optimization.blocks.building import add_building
from optimization.blocks.parts import Columns, add_coefficients
from optimization.problem import Schedule
from optimization.slots import Slots


def build(block: Any, parent: tuple[int, ...], shape: AssetShape) -> None:
    """Write a heat pump and the air and the mass of its zone."""
    n = len(parent)
    add_coefficients(block, n, "power_min_kw", "power_max_kw")
    block.heat_kw = pyo.Var(range(n), bounds=lambda b, s: (b.power_min_kw[s], b.power_max_kw[s]))
    block.cost = pyo.Expression(expr=add_building(block, parent, lambda k, s: k * block.heat_kw[s]))
    block.power_kw = pyo.Expression(range(n), rule=lambda b, s: b.heat_kw[s])


def schedule(asset: HeatPump, inputs: HeatPumpInputs, slots: Slots, x: Columns) -> Schedule:
    """Read the power and the zone."""
    states = {"temperature_c": x["air_c"], "mass_c": x["mass_c"]}
    return Schedule(x["heat_kw"], states, {"discomfort_k": x["discomfort_k"]})
