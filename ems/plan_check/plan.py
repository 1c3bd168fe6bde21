"""The independent verifier: re-simulates a plan from its question and says in words what is impossible about it.

Law 1: it shares no code with the model. Every equation is written again here, from the assets' docstrings.
Law 2: an empty answer is the only way to publication.
Law 3: what is elastic must be admitted: a limit may be passed only by the slack that the plan itself declares.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from ems.plan_check import (
    battery,
    charge_point,
    deferrable,
    genset,
    heat_load,
    heat_pump,
    heat_unit,
    hybrid,
    load,
    pipe,
    pv,
    tank,
    wind,
    zone,
)
from ems.plan_check.charges import charge_violations
from ems.plan_check.commitment import check_least_times
from ems.plan_check.groups import check_groups
from ems.plan_check.inverter import check_inverters
from ems.plan_check.reserves import check_reserves
from ems.plan_check.scenarios import check_scenarios
from ems.plan_check.sliding import check_sliding
from ems.plan_check.steps import check_steps
from ems.plan_check.supplies import connections, emitted_kg_per_h, pooled, supplied_arrays
from ems.plan_check.survival import check_survival
from ems.plan_check.words import POWER_TOLERANCE_KW, beyond
from optimization.assets import (
    Asset,
    Battery,
    Boiler,
    BoilerInputs,
    ChargePoint,
    Deferrable,
    ElectricBoiler,
    Genset,
    GensetInputs,
    HeatLoad,
    HeatPump,
    HeatSource,
    Hybrid,
    Load,
    Pipe,
    Pv,
    Tank,
    Wind,
    Zone,
)
from optimization.problem import DemandTerms, Plan, Problem, Schedule, SlidingDemand
from optimization.slots import Floats, Slots

CARBON_TOLERANCE_KG = 1e-2
PUBLISHABLE = ("feasible", "unavoidable_excess", "unchecked")


def check_plan(problem: Problem, plan: Plan) -> tuple[str, ...]:
    """Re-simulate a plan.

    Args:
        problem: the question.
        plan: the answer.

    Returns:
        One sentence a violation, each naming the thing, the amount and the slot; empty when the plan may be published.
    """
    shape = tuple(_shape_violations(problem, plan))
    if shape:
        return shape
    found = [*_verdict_violations(problem, plan)]
    for name, asked, answer in connections(problem, plan):
        here = f"{name}: " if name else ""
        found += [here + words for words in _of_connection(asked, answer)]
    found += [*_carbon_violations(problem, plan), *charge_violations(*pooled(problem, plan))]
    for asset in problem.assets:
        found.extend(_asset_violations(asset, problem, plan.schedules[asset.id]))
    found += [*_heat_violations(problem, plan), *check_groups(problem, plan)]
    found += [*check_inverters(problem, plan), *check_steps(problem, plan)]
    found += [*check_reserves(problem, plan), *check_survival(problem, plan)]
    return (*found, *check_scenarios(problem, plan, check_plan))


def _of_connection(problem: Problem, plan: Plan) -> Iterator[str]:
    yield from _connection_violations(problem, plan)
    yield from _demand_violations(problem, plan)
    yield from charge_violations(problem, plan)


def _shape_violations(problem: Problem, plan: Plan) -> Iterator[str]:
    yield from _slot_violations(problem.slots, plan.slots)
    fed = {supply.id for supply in problem.supplies}
    if fed != set(plan.supplies):
        yield f"the plan speaks of the supplies {sorted(plan.supplies)} instead of {sorted(fed)}"
    asked, given = {a.id for a in problem.assets}, set(plan.schedules)
    if asked != given:
        yield f"the schedules {sorted(given)} are not those of the assets {sorted(asked)}"
    n = len(problem.slots)
    for name, values in _arrays(plan):
        if np.shape(values) != (n,):
            yield f"{name} has the shape {np.shape(values)} instead of ({n},)"
        elif not np.isfinite(values).all():
            yield f"{name} is not a finite number in slot {int(np.argmin(np.isfinite(values)))}"
    if not np.isfinite(plan.objective):
        yield f"the objective is {plan.objective}"


def _slot_violations(asked: Slots, given: Slots) -> Iterator[str]:
    if given.start != asked.start:
        yield f"the plan starts at {given.start.isoformat()} instead of {asked.start.isoformat()}"
    same_shape = given.offset_s.shape == asked.offset_s.shape and given.duration_s.shape == asked.duration_s.shape
    if not same_shape or not (
        np.array_equal(given.offset_s, asked.offset_s) and np.array_equal(given.duration_s, asked.duration_s)
    ):
        yield "the plan's slots are not the slots that were asked for"


def _arrays(plan: Plan) -> Iterator[tuple[str, Floats]]:
    yield from (("import_kw", plan.import_kw), ("export_kw", plan.export_kw), ("excess_kw", plan.excess_kw))
    yield from supplied_arrays(plan)
    for asset_id, schedule in plan.schedules.items():
        yield f"{asset_id}.power_kw", schedule.power_kw
        for name, values in (*schedule.states.items(), *schedule.slack.items()):
            yield f"{asset_id}.{name}", values


def _verdict_violations(problem: Problem, plan: Plan) -> Iterator[str]:
    if plan.ac.status not in PUBLISHABLE:
        yield f"the AC verdict is {plan.ac.status!r}, which is never published"
    if plan.ac.status == "unchecked" and problem.network is not None:
        yield "the AC verdict is 'unchecked' although there is a grid"
    rows = plan.grid_rows
    if rows is None:
        return
    n, r, a = len(problem.slots), len(rows.names), len(rows.assets)
    shapes = (rows.coefficient.shape, rows.base.shape, rows.limit.shape)
    if shapes != ((r, a), (n, r), (r,)):
        yield f"the grid rows have the shapes {shapes} instead of {((r, a), (n, r), (r,))}"
    elif not all(np.isfinite(values).all() for values in (rows.coefficient, rows.base, rows.limit)):
        yield "the grid rows hold a number that is not finite"


def _connection_violations(problem: Problem, plan: Plan) -> Iterator[str]:
    total_kw = np.sum([plan.schedules[a.id].power_kw for a in problem.assets], axis=0)
    tolerance_kw = POWER_TOLERANCE_KW * (1 + len(problem.assets))
    yield from beyond("the power balance", np.abs(plan.import_kw - plan.export_kw - total_kw), tolerance_kw, "kW")
    for name, values in (
        ("import_kw", plan.import_kw),
        ("export_kw", plan.export_kw),
        ("excess_kw", plan.excess_kw),
    ):
        yield from beyond(f"{name} below zero", -values, POWER_TOLERANCE_KW, "kW")
    both = np.minimum(plan.import_kw, plan.export_kw)
    yield from beyond("import and export at once", both, POWER_TOLERANCE_KW, "kW")
    connection = problem.connection
    over = plan.import_kw - connection.import_limit_kw - plan.excess_kw
    yield from beyond("import above the connection limit", over, POWER_TOLERANCE_KW, "kW")
    over = plan.export_kw - connection.export_limit_kw - plan.excess_kw
    yield from beyond("export above the connection limit", over, POWER_TOLERANCE_KW, "kW")


def _demand_violations(problem: Problem, plan: Plan) -> Iterator[str]:
    """Meter the plan as the utility would, and compare the highest mean of the running month with what it promises."""
    demand, target_kw = problem.demand, plan.demand_target_kw
    if demand is None:
        if target_kw is not None:
            yield f"the plan promises a peak of {target_kw:g} kW although nobody asked for one"
        return
    if target_kw is None or not np.isfinite(target_kw):
        yield f"the plan promises a peak of {target_kw} kW; a number was asked for"
        return
    if isinstance(demand, SlidingDemand):
        yield from check_sliding("the promised peak", demand, plan, np.array([target_kw]))
        return
    below_kw = demand.free_kw[0] - target_kw
    yield from beyond("the promised peak below the free one", np.array([below_kw]), POWER_TOLERANCE_KW, "kW")
    above_kw = _metered_kw(plan, demand)[_metered_in_first_month(plan.slots, demand)] - target_kw
    yield from beyond("a metering interval above the promised peak", above_kw, POWER_TOLERANCE_KW, "kW")


def _metering_borders_s(slots: Slots, interval_s: float) -> Floats:
    first = slots.start.timestamp() // interval_s
    last = -(-slots.end.timestamp() // interval_s)
    return np.arange(first, last + 1.0) * interval_s - slots.start.timestamp()


def _metered_kw(plan: Plan, demand: DemandTerms) -> Floats:
    """Give the mean import of each metering interval; the running one holds what was imported before the plan."""
    slots, borders_s = plan.slots, _metering_borders_s(plan.slots, demand.interval_s)
    at_s = np.append(slots.offset_s, slots.offset_s[-1] + slots.duration_s[-1])
    read_kwh = np.concatenate([[0.0], np.cumsum(plan.import_kw * slots.duration_h)])
    energy_kwh = np.diff(np.interp(borders_s, at_s, read_kwh))
    energy_kwh[0] += demand.begun_kwh
    metered: Floats = energy_kwh / (demand.interval_s / 3600.0)
    return metered


def _metered_in_first_month(slots: Slots, demand: DemandTerms) -> NDArray[np.bool_]:
    """Say which intervals belong to the running month.

    The first slot that begins in an interval decides, else the one that holds it. An interval that outlasts the horizon
    is the next plan's, unless it is the one that runs.
    """
    borders_s = _metering_borders_s(slots, demand.interval_s)
    next_slot = np.searchsorted(slots.offset_s, borders_s[:-1] - 1e-6)
    begins = np.append(slots.offset_s, np.inf)[next_slot] < borders_s[1:] - 1e-6
    month = np.append(demand.month, 0)[np.where(begins, next_slot, next_slot - 1)]
    horizon_s = (slots.end - slots.start).total_seconds()
    whole = (borders_s[1:] <= horizon_s + 1e-6) | (np.arange(len(borders_s) - 1) == 0)
    inside: NDArray[np.bool_] = whole & (month == 0)
    return inside


def _carbon_violations(problem: Problem, plan: Plan) -> Iterator[str]:
    budget, excess = problem.carbon_budget, plan.carbon_excess_kg
    if budget is None:
        return
    if excess is None or np.shape(excess) != budget.left_kg.shape or not np.isfinite(excess).all():
        yield f"the plan admits carbon beyond the budget of {excess} kg; {len(budget.left_kg)} numbers were asked for"
        return
    emitted_kg = emitted_kg_per_h(problem, plan) * plan.slots.duration_h + _burnt_kg(problem, plan)
    hidden_kg = (budget.share * emitted_kg).sum(axis=1) - budget.left_kg - excess
    yield from beyond("carbon beyond the week's budget that is not admitted", hidden_kg, CARBON_TOLERANCE_KG, "kg")


def _burnt_kg(problem: Problem, plan: Plan) -> Floats:
    """Reckon what generating sets and boilers emit in each slot, shape (n,)."""
    kg = np.zeros(len(plan.slots))
    for asset in problem.assets:
        inputs, states = problem.inputs[asset.id], plan.schedules[asset.id].states
        match asset, inputs:
            case Genset(), GensetInputs():
                given_kw, runs = -plan.schedules[asset.id].power_kw, states.get("is_running", 0.0)
                kg += inputs.fuel_kg_per_kwh * (asset.fuel_per_kw * given_kw + asset.fuel_idle_kw * runs)
            case Boiler(), BoilerInputs():
                kg += inputs.fuel_kg_per_kwh * states["fuel_kw"]
    return kg * plan.slots.duration_h


CHECKS: Mapping[type[Asset], Callable[..., Iterator[str]]] = {
    Load: load.check,
    Pv: pv.check,
    Battery: battery.check,
    Hybrid: hybrid.check,
    ChargePoint: charge_point.check,
    HeatPump: heat_pump.check,
    Genset: genset.check,
    HeatLoad: heat_load.check,
    Boiler: heat_unit.check_boiler,
    ElectricBoiler: heat_unit.check_electric_boiler,
    HeatSource: heat_unit.check_source,
    Zone: zone.check,
    Tank: tank.check,
    Pipe: pipe.check,
    Deferrable: deferrable.check,
    Wind: wind.check,
}
"""What is checked of each kind of asset, in its own file; no kind is left out."""


CHECKS_OF_FREE: Mapping[type[Asset], Callable[..., Iterator[str]]] = {
    ChargePoint: charge_point.check_free,
    Genset: check_least_times,
    Boiler: check_least_times,
    ElectricBoiler: check_least_times,
    HeatSource: check_least_times,
}
"""What is checked besides where nobody holds the asset."""


def _asset_violations(asset: Asset, problem: Problem, schedule: Schedule) -> Iterator[str]:
    inputs = problem.inputs[asset.id]
    if not isinstance(inputs, asset.given):
        yield f"{asset.id} is a {type(asset).__name__} but its inputs are {type(inputs).__name__}"
        return
    yield from CHECKS[type(asset)](asset, inputs, schedule, problem.slots)
    if asset.id not in problem.held and type(asset) in CHECKS_OF_FREE:
        yield from CHECKS_OF_FREE[type(asset)](asset, inputs, schedule, problem.slots)
    yield from _held(asset.id, problem, schedule)


HEAT_AT = {"heat_node": "heat_kw", "cold_node": "cold_heat_kw", "to_node": "to_heat_kw"}
"""Which state of an asset is the heat into it at which of its nodes."""


def _heat_violations(problem: Problem, plan: Plan) -> Iterator[str]:
    """Add up the heat of each node: what it lacks or has too much of must be admitted."""
    taken_kw: dict[str, Floats] = {}
    for asset in problem.assets:
        for name, state in HEAT_AT.items():
            node = getattr(asset, name, "")
            if node:
                heat_kw = plan.schedules[asset.id].states.get(state, np.zeros(len(problem.slots)))
                taken_kw[node] = taken_kw.get(node, np.zeros(len(problem.slots))) + heat_kw
    if taken_kw.keys() != plan.unheated_kw.keys():
        yield f"the plan speaks of the heat nodes {sorted(plan.unheated_kw)} instead of {sorted(taken_kw)}"
        return
    tolerance_kw = POWER_TOLERANCE_KW * (1 + len(problem.assets))
    for node, kw in taken_kw.items():
        hidden_kw = np.abs(kw - plan.unheated_kw[node])
        yield from beyond(f"the heat balance of {node}", hidden_kw, tolerance_kw, "kW")


def _held(asset_id: str, problem: Problem, schedule: Schedule) -> Iterator[str]:
    band = problem.held.get(asset_id)
    if band is None:
        return
    off = np.maximum(band.low_kw - schedule.power_kw, schedule.power_kw - band.high_kw)
    yield from beyond(f"{asset_id}: not at the power it is held at", off, POWER_TOLERANCE_KW, "kW")
