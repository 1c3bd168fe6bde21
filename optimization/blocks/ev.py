"""Equations of `optimization.assets.ev` in Pyomo."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyomo.environ as pyo

from optimization.assets.asset import AssetShape
from optimization.assets.ev import ChargePoint, ChargePointInputs
from optimization.blocks.parts import Columns, add_coefficients
from optimization.problem import Schedule
from optimization.slots import Slots


def build(block: Any, parent: tuple[int, ...], shape: AssetShape) -> None:
    """Write a charge point with its room for sessions; unused ones want nothing."""
    n, every = len(parent), range(shape.room)
    add_coefficients(block, n, "gain_h", "charge_cost")
    add_coefficients(block, shape.room, "wanted_kwh", "shortfall_cost")
    block.charge_max_kw = pyo.Param(every, range(n), mutable=True, initialize=1.0)
    block.charge_min_kw = pyo.Param(every, range(n), mutable=True, initialize=1.0)
    block.charge_kw = pyo.Var(every, range(n), bounds=lambda b, k, s: (b.charge_min_kw[k, s], b.charge_max_kw[k, s]))
    block.shortfall_kwh = pyo.Var(every, bounds=lambda b, k: (0.0, b.wanted_kwh[k]))

    def delivery(b: Any, k: int) -> Any:
        delivered = pyo.quicksum(b.gain_h[s] * b.charge_kw[k, s] for s in range(n))
        return delivered + b.shortfall_kwh[k] == b.wanted_kwh[k]

    block.delivery = pyo.Constraint(every, rule=delivery)
    block.power_kw = pyo.Expression(range(n), rule=lambda b, s: pyo.quicksum(b.charge_kw[k, s] for k in every))
    shortfall = pyo.quicksum(block.shortfall_cost[k] * block.shortfall_kwh[k] for k in every)
    charging = pyo.quicksum(block.charge_cost[s] * block.charge_kw[k, s] for k in every for s in range(n))
    block.cost = pyo.Expression(expr=shortfall + charging)


def schedule(asset: ChargePoint, inputs: ChargePointInputs, slots: Slots, x: Columns) -> Schedule:
    """Add up the sessions; each one's shortfall is reported in the slot in which the car leaves."""
    power = x["charge_kw"].reshape(-1, len(slots)).sum(axis=0)
    shortfall = np.zeros(len(slots))
    for session, missing in zip(inputs.sessions, x["shortfall_kwh"], strict=False):
        leaves = slots.index_at(session.departure)
        shortfall[-1 if leaves is None else leaves] += missing
    delivered = np.cumsum(asset.efficiency * power * slots.duration_h)
    return Schedule(power, {"delivered_kwh": delivered}, {"shortfall_kwh": shortfall})
