"""Equations of `optimization.charges` in Pyomo."""

from __future__ import annotations

from typing import Any

import pyomo.environ as pyo

from optimization.blocks.parts import add_coefficients
from optimization.charges import ChargeShape
from optimization.net_charges_block import add_envelope, add_imbalance, add_ramping, add_reactive_energy
from optimization.periods_block import add_demand
from optimization.problem import DemandTerms, Envelope, Imbalance, Ramping, ReactiveEnergy, SlidingDemand, Subscription


def add_charge(
    m: Any, at: Any, block: Any, *, parent: tuple[int, ...], shape: ChargeShape, tans: tuple[float, ...]
) -> Any:
    """Add a charge to a model; returns what it costs.

    Args:
        m: the model, with its assets.
        at: the block of the connection that is charged.
        block: where the charge stands.
        parent: the slots' parents.
        shape: of the charge.
        tans: tan phi of each asset, 0 of one that hangs elsewhere.
    """
    n = len(parent)
    if shape.kind in {DemandTerms, SlidingDemand}:
        return add_demand(at, shape.rows, shape.months, shape.reach, block)
    if shape.kind is Envelope:
        return add_envelope(at, block, n)
    if shape.kind is Imbalance:
        return add_imbalance(at, block, n)
    if shape.kind is Ramping:
        return add_ramping(at, block, parent)
    if shape.kind is ReactiveEnergy:
        return add_reactive_energy(m, at, block, n, months=shape.months, tans=tans)
    return _add_subscription(at, block, n) if shape.kind is Subscription else _add_tiers(at, block, n, shape)


def _add_subscription(at: Any, block: Any, n: int) -> Any:
    add_coefficients(block, n, "over_cost", "subscribed_kw")
    block.over_kw = pyo.Var(range(n), bounds=(0.0, None))

    def above(b: Any, s: int) -> Any:
        return at.import_kw[s] + at.import_excess_kw[s] - b.over_kw[s] <= b.subscribed_kw[s]

    block.above = pyo.Constraint(range(n), rule=above)
    return pyo.quicksum(block.over_cost[s] * block.over_kw[s] for s in range(n))


def _add_tiers(at: Any, block: Any, n: int, shape: ChargeShape) -> Any:
    steps, months, falling = range(shape.steps), range(shape.months), range(len(shape.falling))
    block.tier_hours = pyo.Param(months, range(n), mutable=True, initialize=1.0)
    for name in ("tier_left_kwh", "tier_cost"):
        block.add_component(name, pyo.Param(steps, months, mutable=True, initialize=1.0))
    block.over_kwh = pyo.Var(steps, months, bounds=(0.0, None))

    def bought(b: Any, month: int) -> Any:
        return pyo.quicksum(b.tier_hours[month, s] * (at.import_kw[s] + at.import_excess_kw[s]) for s in range(n))

    def above(b: Any, k: int, month: int) -> Any:
        return bought(b, month) - b.over_kwh[k, month] <= b.tier_left_kwh[k, month]

    block.above = pyo.Constraint(steps, months, rule=above)
    if shape.falling:
        for name in ("tier_needs_kwh", "tier_most_kwh"):
            block.add_component(name, pyo.Param(falling, months, mutable=True, initialize=1.0))
        block.is_reached = pyo.Var(falling, months, domain=pyo.Integers, bounds=(0.0, 1.0))

        def no_more(b: Any, j: int, month: int) -> Any:
            needed = b.tier_needs_kwh[j, month] * b.is_reached[j, month]
            return b.over_kwh[shape.falling[j], month] + needed - bought(b, month) <= 0.0

        def if_reached(b: Any, j: int, month: int) -> Any:
            return b.over_kwh[shape.falling[j], month] - b.tier_most_kwh[j, month] * b.is_reached[j, month] <= 0.0

        block.no_more = pyo.Constraint(falling, months, rule=no_more)
        block.if_reached = pyo.Constraint(falling, months, rule=if_reached)
    return pyo.quicksum(block.tier_cost[k, month] * block.over_kwh[k, month] for k in steps for month in months)
