"""Equations of `optimization.assets.ev` in Pyomo."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np
import pyomo.environ as pyo

from optimization.assets.asset import AssetShape
from optimization.assets.ev import GIVES_BACK, KEEPS_MINIMUM, LEAVES_EARLIER, ChargePoint, ChargePointInputs
from optimization.assets.ev_session import MOST_EARLIER
from optimization.blocks.parts import Columns, Group, add_coefficients
from optimization.problem import Schedule
from optimization.slots import Floats, Slots


def exclusive(shape: AssetShape) -> tuple[tuple[Group, Group], ...]:
    """Name what excludes each other: charging and giving back."""
    return ((("charge_kw",), ("discharge_kw",)),) if GIVES_BACK in shape.traits else ()


def build(block: Any, parent: tuple[int, ...], shape: AssetShape) -> None:
    """Write a charge point with its room for sessions; unused ones want nothing."""
    n, every, gives = len(parent), range(shape.room), GIVES_BACK in shape.traits
    add_coefficients(block, n, "gain_h", "charge_cost")
    add_coefficients(block, shape.room, "wanted_kwh", "shortfall_cost")
    _add_by_car(block, (every, range(n)), "charge_max_kw", "charge_min_kw")
    block.charge_kw = pyo.Var(every, range(n), bounds=lambda b, k, s: (b.charge_min_kw[k, s], b.charge_max_kw[k, s]))
    given = _add_giving(block, parent, every) if gives else 0.0
    most = "shortfall_max_kwh" if gives else "wanted_kwh"
    block.shortfall_kwh = pyo.Var(every, bounds=lambda b, k: (0.0, getattr(b, most)[k]))

    def delivery(b: Any, k: int) -> Any:
        delivered = pyo.quicksum(b.gain_h[s] * b.charge_kw[k, s] for s in range(n))
        given_kwh = pyo.quicksum(b.drain_h[k, s] * b.discharge_kw[k, s] for s in range(n)) if gives else 0.0
        return delivered - given_kwh + b.shortfall_kwh[k] == b.wanted_kwh[k]

    def power(b: Any, s: int) -> Any:
        taken = pyo.quicksum(b.charge_kw[k, s] for k in every)
        return taken - pyo.quicksum(b.discharge_kw[k, s] for k in every) if gives else taken

    block.delivery = pyo.Constraint(every, rule=delivery)
    block.power_kw = pyo.Expression(range(n), rule=power)
    if KEEPS_MINIMUM in shape.traits:
        _add_minimum(block, n, every)
    missed = _add_leaving(block, n, every, gives=gives) if LEAVES_EARLIER in shape.traits else 0.0
    shortfall = pyo.quicksum(block.shortfall_cost[k] * block.shortfall_kwh[k] for k in every)
    charging = pyo.quicksum(block.charge_cost[s] * block.charge_kw[k, s] for k in every for s in range(n))
    block.cost = pyo.Expression(expr=shortfall + charging + given + missed)


def _add_by_car(block: Any, index: tuple[range, ...], *names: str) -> None:
    for name in names:
        block.add_component(name, pyo.Param(*index, mutable=True, initialize=1.0))


def _add_minimum(block: Any, n: int, every: range) -> None:
    """Let each car charge at nothing or at its least power."""
    index = (every, range(n))
    _add_by_car(block, index, "least_kw", "on_min", "on_max")
    block.on = pyo.Var(*index, domain=pyo.Integers, bounds=lambda b, k, s: (b.on_min[k, s], b.on_max[k, s]))
    block.at_least = pyo.Constraint(*index, rule=lambda b, k, s: b.charge_kw[k, s] >= b.least_kw[k, s] * b.on[k, s])
    block.at_most = pyo.Constraint(*index, rule=lambda b, k, s: b.charge_kw[k, s] <= b.charge_max_kw[k, s] * b.on[k, s])


def _add_giving(block: Any, parent: tuple[int, ...], every: range) -> Any:
    """Write what is stored in each car and what it gives; returns what that costs."""
    n = len(parent)
    index = (every, range(n))
    add_coefficients(block, n, "keep")
    add_coefficients(block, len(every), "stored_low_kwh", "stored_high_kwh", "shortfall_max_kwh")
    _add_by_car(block, index, "stored_start_kwh", "drain_h", "discharge_cost", "discharge_min_kw", "discharge_max_kw")
    block.discharge_kw = pyo.Var(*index, bounds=lambda b, k, s: (b.discharge_min_kw[k, s], b.discharge_max_kw[k, s]))
    block.stored_kwh = pyo.Var(*index, bounds=lambda b, k, _: (b.stored_low_kwh[k], b.stored_high_kwh[k]))

    def recursion(b: Any, k: int, s: int) -> Any:
        before = b.keep[s] * b.stored_kwh[k, parent[s]] if parent[s] >= 0 else 0.0
        moved = b.gain_h[s] * b.charge_kw[k, s] - b.drain_h[k, s] * b.discharge_kw[k, s]
        return b.stored_kwh[k, s] == before + b.stored_start_kwh[k, s] + moved

    block.recursion = pyo.Constraint(*index, rule=recursion)
    return pyo.quicksum(block.discharge_cost[k, s] * block.discharge_kw[k, s] for k in every for s in range(n))


def _add_leaving(block: Any, n: int, every: range, *, gives: bool) -> Any:
    """Write what is missing should a car leave earlier; returns what that costs by its probability."""
    outcomes = (every, range(MOST_EARLIER))
    _add_by_car(block, (*outcomes, range(n)), "got_h", *(("gave_h",) if gives else ()))
    _add_by_car(block, outcomes, "missed_cost")
    block.missed_kwh = pyo.Var(*outcomes, bounds=(0.0, None))

    def missing(b: Any, k: int, j: int) -> Any:
        got = pyo.quicksum(b.got_h[k, j, s] * b.charge_kw[k, s] for s in range(n))
        gave = pyo.quicksum(b.gave_h[k, j, s] * b.discharge_kw[k, s] for s in range(n)) if gives else 0.0
        return b.missed_kwh[k, j] + got - gave >= b.wanted_kwh[k]

    block.missing = pyo.Constraint(*outcomes, rule=missing)
    return pyo.quicksum(block.missed_cost[k, j] * block.missed_kwh[k, j] for k in every for j in range(MOST_EARLIER))


def schedule(asset: ChargePoint, inputs: ChargePointInputs, slots: Slots, x: Columns) -> Schedule:
    """Add up the sessions; each one's expected shortfall is reported in the slots in which the car may leave."""
    charged = x["charge_kw"].reshape(-1, len(slots))
    power, gained_kw = charged.sum(axis=0), asset.efficiency * charged.sum(axis=0)
    if asset.discharge_kw > 0.0:
        given = x["discharge_kw"].reshape(charged.shape)
        power = power - given.sum(axis=0)
        for session, kw in zip(inputs.sessions, given, strict=False):
            gained_kw = gained_kw - (0.0 if session.gives_back is None else kw / session.gives_back.efficiency)
    delivered = np.cumsum(gained_kw * slots.duration_h)
    return Schedule(power, {"delivered_kwh": delivered}, {"shortfall_kwh": _shortfall(inputs, slots, x)})


def _shortfall(inputs: ChargePointInputs, slots: Slots, x: Columns) -> Floats:
    shortfall = np.zeros(len(slots))
    may_leave = any(session.earlier for session in inputs.sessions)
    missed = x["missed_kwh"].reshape(-1, MOST_EARLIER) if may_leave else np.zeros((len(inputs.sessions), MOST_EARLIER))
    for session, missing, early in zip(inputs.sessions, x["shortfall_kwh"], missed, strict=False):
        rest = 1.0
        for (at, chance), kwh in zip(session.chances(slots), early, strict=False):
            shortfall[_slot_at(at, slots)] += chance * kwh
            rest -= chance
        shortfall[_slot_at(session.departure, slots)] += rest * missing
    return shortfall


def _slot_at(at: datetime, slots: Slots) -> int:
    index = slots.index_at(at)
    return -1 if index is None else index
