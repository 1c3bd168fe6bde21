"""Equations of `optimization.assets.ev` in Pyomo."""

from __future__ import annotations

from typing import Any

import pyomo.environ as pyo

from optimization.blocks.parts import add_coefficients


def build(block: Any, parent: tuple[int, ...], *, sessions: int) -> None:
    """Write a charge point with room for `sessions` sessions; unused ones want nothing."""
    n, every = len(parent), range(sessions)
    add_coefficients(block, n, "gain_h", "charge_cost")
    add_coefficients(block, sessions, "wanted_kwh", "shortfall_cost")
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
