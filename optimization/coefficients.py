"""From a problem to the numbers of its model: pure numpy, and every Param a derived coefficient.

The names are those of the Params in `optimization.model` and `optimization.blocks`. Prices are quantised
(`optimization.weights`), so that noise in the last digits of a feed cannot move a plan.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import numpy as np

from optimization.assets import BatteryInputs, ChargePointInputs
from optimization.assets.asset import Values
from optimization.charges import ChargeShape, charge_coefficients
from optimization.periods import carbon_coefficients, demand_coefficients
from optimization.problem import Charge, Plan, Problem, SlidingDemand
from optimization.reserves import reserve_coefficients
from optimization.sliding import sliding_coefficients
from optimization.slots import Floats, Slots
from optimization.structure import Structure, SupplyShape, is_anchored
from optimization.supplies import first_part, part
from optimization.survival import survival_coefficients
from optimization.weights import quantised

SPARE_KW = 1.0
FAR_KW = -1e3
"""What a far slot of a ring is held to at no cost: so far off that nothing turns about when a power changes sign."""


def coefficients(problem: Problem, shape: Structure) -> Values:
    """Derive the values of all Params, but for the feeder's limits (`optimization.network_block.limit_params`)."""
    values = connection(first_part(problem))
    for i, (asset, form) in enumerate(zip(problem.assets, shape.assets, strict=True)):
        own = asset.coefficients(problem.inputs[asset.id], form, problem.slots, problem.weights)
        if asset.id in problem.held:
            own |= asset.narrowed(own, problem.held[asset.id])
        values |= {f"asset[{i}].{name}": value for name, value in own.items()}
    if shape.heat_nodes:
        values["unheated_cost"] = problem.weights.unheated * problem.slots.duration_h
    if shape.groups:
        values["group_excess_cost"] = problem.weights.grid_limit * problem.slots.duration_h
        values["group_limit_kw"] = np.stack([group.limit_kw for group in problem.groups])
    stored = {name: np.array(i.energy_kwh) for name, i in problem.inputs.items() if isinstance(i, BatteryInputs)}
    if problem.survival is not None and shape.survival is not None:
        values |= survival_coefficients(problem.survival, shape.survival, problem.slots, problem.assets, stored)
    if shape.reserves:
        values |= reserve_coefficients(problem.reserves, shape.reserves, problem.slots, problem.assets, stored)
    values |= (
        anchor(problem, shape) | periods(problem, shape) | charges(problem.charges, shape.charges, problem, values)
    )
    return values | supplied(problem, shape, values) if shape.supplies else values


def supplied(problem: Problem, shape: Structure, first: Values) -> Values:
    """Derive the connections beside the first one, whose limits are given, and what is pooled over all of them."""
    found: Values = {}
    most_kw = first["import_limit_kw"] + first["import_beyond_kw"]
    for k, (supply, form) in enumerate(zip(problem.supplies, shape.supplies, strict=True)):
        alone = part(problem, supply)
        own = connection(alone) | periods(alone, form)
        own |= charges(alone.charges, form.charges, alone, own)
        if problem.carbon_budget is not None:
            hours = problem.carbon_budget.share * problem.slots.duration_h
            own["carbon_kg_per_kw"] = hours * supply.tariff.carbon_kg_per_kwh
        found |= {f"supply[{k}].{name}": value for name, value in own.items()}
        most_kw = most_kw + own["import_limit_kw"] + own["import_beyond_kw"]
    together = {"import_limit_kw": most_kw, "import_beyond_kw": np.zeros_like(most_kw)}
    pooled = charges(problem.pooled, shape.pooled, problem, together)
    return found | {f"pool.{name}": value for name, value in pooled.items()}


def periods(problem: Problem, shape: Structure | SupplyShape) -> Values:
    """Derive the demand charge and the carbon budget, where there are any."""
    demand, budget = problem.demand, problem.carbon_budget
    charged: Values = {}
    if isinstance(demand, SlidingDemand):
        charged = sliding_coefficients(demand, problem.slots, shape.demand_reach)
    elif demand is not None:
        charged = demand_coefficients(demand, problem.slots, shape.demand_reach)
    if budget is None:
        return charged
    assert isinstance(shape, Structure)
    burners = [problem.assets[i] for i in shape.burners]
    fuels_kg = [asset.fuel_kg(problem.inputs[asset.id]) for asset in burners]
    return charged | carbon_coefficients(budget, problem.slots, problem.tariff, fuels_kg)


def charges(asked: Sequence[Charge], shapes: Sequence[ChargeShape], problem: Problem, limits: Values) -> Values:
    """Derive the other charges of a connection, whose limits are among the values."""
    found: Values = {}
    for k, (charge, form) in enumerate(zip(asked, shapes, strict=True)):
        most_kw = limits["import_limit_kw"] + limits["import_beyond_kw"]
        own = charge_coefficients(charge, form, problem.slots, most_kw)
        found |= {f"charge[{k}].{name}": value for name, value in own.items()}
    return found


def connection(problem: Problem) -> Values:
    """Derive what energy costs at the connection, and how far powers can reach there at all."""
    tariff, hours = problem.tariff, problem.slots.duration_h
    carbon = quantised(tariff.carbon_price * tariff.carbon_kg_per_kwh)
    weight = problem.weights.grid_limit * hours
    taken, given = reach_kw(problem)
    import_limit, export_limit = problem.connection.import_limit_kw, problem.connection.export_limit_kw
    grid = {} if problem.network is None else {"grid_excess_cost": weight}
    return grid | {
        "import_limit_kw": np.minimum(import_limit, taken),
        "export_limit_kw": np.minimum(export_limit, given),
        "import_beyond_kw": np.maximum(taken - import_limit, 0.0),
        "export_beyond_kw": np.maximum(given - export_limit, 0.0),
        "import_cost": (quantised(tariff.import_price) + carbon) * hours,
        "export_gain": quantised(tariff.export_price) * hours,
        "excess_cost": weight,
    }


def anchor(problem: Problem, shape: Structure) -> Values:
    """Derive the powers of the previous plan in the first hours, and what a kW moved away from them costs."""
    slots, where = problem.slots, np.array(shape.anchor_slots, dtype=np.int64)
    near = is_anchored(problem)[where]
    held = replace(slots, offset_s=slots.offset_s[where[near]], duration_s=slots.duration_s[where[near]])
    powers, costs = np.zeros((2, len(shape.anchored), len(where)))
    powers[:, ~near] = FAR_KW
    for row, i in enumerate(shape.anchored):
        before = previous_kw(problem.previous, problem.assets[i].id, held)
        if before is not None and not _stood_empty(problem, problem.assets[i].id, before):
            powers[row, near] = np.nan_to_num(before)
            costs[row, near] = np.where(np.isnan(before), 0.0, _move_price(problem, held) * held.duration_h)
    return {"anchor_kw": powers, "move_cost": costs}


def _move_price(problem: Problem, held: Slots) -> Floats:
    """What a kWh moved costs in each of the slots that are held: more in what is left of a running one."""
    weights, runs = problem.weights, _is_running(problem)
    return np.where(runs & (held.offset_s <= 0.0), weights.commit, weights.move)


def _stood_empty(problem: Problem, asset_id: str, before: Floats) -> bool:
    """Say whether a car has come to a charge point that the previous plan lets stand idle: that binds nobody."""
    previous, inputs, slots = problem.previous, problem.inputs[asset_id], problem.slots
    if previous is None or not isinstance(inputs, ChargePointInputs) or np.nan_to_num(before).any():
        return False
    soon = slots.start + timedelta(seconds=float(slots.duration_s[0]))
    return any(not one.expected and previous.made_at < one.arrival < soon for one in inputs.sessions)


def _is_running(problem: Problem) -> bool:
    """Say whether the first slot is what is left of one of the previous plan."""
    previous, start = problem.previous, problem.slots.start
    at = None if previous is None else previous.slots.index_at(start)
    return previous is not None and at is not None and previous.slots.starts[at] < start


def previous_kw(previous: Plan | None, asset_id: str, slots: Slots) -> Floats | None:
    """Mean power of the previous plan in each new slot, by absolute time; nan where it says nothing."""
    if previous is None or asset_id not in previous.schedules:
        return None
    return resampled(previous.schedules[asset_id].power_kw, previous.slots, slots)


def resampled(values: Floats, old: Slots, slots: Slots) -> Floats:
    """Mean of a series of one horizon in each slot of another, by absolute time; nan where it says nothing."""
    edges = np.append(old.offset_s, old.offset_s[-1] + old.duration_s[-1])
    energy = np.concatenate([[0.0], np.cumsum(values * old.duration_s)])
    shift_s = (slots.start - old.start).total_seconds()
    begin, end = slots.offset_s + shift_s, slots.offset_s + slots.duration_s + shift_s
    mean = (np.interp(end, edges, energy) - np.interp(begin, edges, energy)) / slots.duration_s
    return np.where((begin >= edges[0]) & (end <= edges[-1]), mean, np.nan)


def reach_kw(problem: Problem) -> tuple[Floats, Floats]:
    """Find the most that all assets together can take and can give in each slot [kW], shape (n,) each.

    Tight bounds at the connection keep the binaries of inverted prices easy to solve.
    """
    taken, given = np.full((2, len(problem.slots)), SPARE_KW)
    for asset in problem.assets:
        band = asset.reach(problem.inputs[asset.id], problem.slots)
        taken += np.maximum(band.high_kw, 0.0)
        given += np.maximum(-band.low_kw, 0.0)
    return taken, given
