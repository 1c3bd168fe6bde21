"""The independent verifier: re-simulates a plan from its question and says in words what is impossible about it.

Law 1: it shares no code with the model. Every equation is written again here, from the assets' docstrings.
Law 2: an empty answer is the only way to publication.
Law 3: what is elastic must be admitted: a limit may be passed only by the slack that the plan itself declares.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from optimization.assets import (
    Asset,
    Battery,
    BatteryInputs,
    ChargePoint,
    ChargePointInputs,
    EvSession,
    HeatPump,
    HeatPumpInputs,
    Inputs,
    Load,
    LoadInputs,
    Pv,
    PvInputs,
)
from optimization.problem import DemandTerms, Plan, Problem, Schedule
from optimization.slots import Floats, Slots

POWER_TOLERANCE_KW = 1e-3
ENERGY_TOLERANCE_KWH = 5e-3
SESSION_TOLERANCE_KWH = 0.05
TEMPERATURE_TOLERANCE_K = 0.02
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
    found = [*_verdict_violations(problem, plan), *_connection_violations(problem, plan)]
    found += [*_demand_violations(problem, plan), *_carbon_violations(problem, plan)]
    for asset in problem.assets:
        found.extend(_asset_violations(asset, problem, plan.schedules[asset.id]))
    return tuple(found)


def _shape_violations(problem: Problem, plan: Plan) -> Iterator[str]:
    yield from _slot_violations(problem.slots, plan.slots)
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
    yield from _beyond("the power balance", np.abs(plan.import_kw - plan.export_kw - total_kw), tolerance_kw, "kW")
    for name, values in (
        ("import_kw", plan.import_kw),
        ("export_kw", plan.export_kw),
        ("excess_kw", plan.excess_kw),
    ):
        yield from _beyond(f"{name} below zero", -values, POWER_TOLERANCE_KW, "kW")
    both = np.minimum(plan.import_kw, plan.export_kw)
    yield from _beyond("import and export at once", both, POWER_TOLERANCE_KW, "kW")
    connection = problem.connection
    over = plan.import_kw - connection.import_limit_kw - plan.excess_kw
    yield from _beyond("import above the connection limit", over, POWER_TOLERANCE_KW, "kW")
    over = plan.export_kw - connection.export_limit_kw - plan.excess_kw
    yield from _beyond("export above the connection limit", over, POWER_TOLERANCE_KW, "kW")


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
    below_kw = demand.free_kw[0] - target_kw
    yield from _beyond("the promised peak below the free one", np.array([below_kw]), POWER_TOLERANCE_KW, "kW")
    above_kw = _metered_kw(plan, demand)[_metered_in_first_month(plan.slots, demand)] - target_kw
    yield from _beyond("a metering interval above the promised peak", above_kw, POWER_TOLERANCE_KW, "kW")


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
    emitted_kg = plan.import_kw * problem.tariff.carbon_kg_per_kwh * plan.slots.duration_h
    hidden_kg = (budget.share * emitted_kg).sum(axis=1) - budget.left_kg - excess
    yield from _beyond("carbon beyond the week's budget that is not admitted", hidden_kg, CARBON_TOLERANCE_KG, "kg")


def _asset_violations(asset: Asset, problem: Problem, schedule: Schedule) -> Sequence[str]:
    inputs: Inputs = problem.inputs[asset.id]
    match asset, inputs:
        case Load(), LoadInputs():
            found = _load(asset, inputs, schedule)
        case Pv(), PvInputs():
            found = _pv(asset, inputs, schedule)
        case Battery(), BatteryInputs():
            found = _battery(asset, inputs, schedule, problem.slots)
        case ChargePoint(), ChargePointInputs():
            found = _charge_point(asset, inputs, schedule, problem.slots)
        case HeatPump(), HeatPumpInputs():
            found = _heat_pump(asset, inputs, schedule, problem.slots)
        case _:
            return [f"{asset.id} is a {type(asset).__name__} but its inputs are {type(inputs).__name__}"]
    return [*found, *_held(asset.id, problem, schedule)]


def _held(asset_id: str, problem: Problem, schedule: Schedule) -> Iterator[str]:
    band = problem.held.get(asset_id)
    if band is None:
        return
    off = np.maximum(band.low_kw - schedule.power_kw, schedule.power_kw - band.high_kw)
    yield from _beyond(f"{asset_id}: not at the power it is held at", off, POWER_TOLERANCE_KW, "kW")


def _load(asset: Load, inputs: LoadInputs, schedule: Schedule) -> Iterator[str]:
    unserved = _slack(schedule, "unserved_kw")
    error = np.abs(schedule.power_kw - inputs.demand_kw + unserved)
    yield from _beyond(f"{asset.id}: demand minus unserved against power", error, POWER_TOLERANCE_KW, "kW")
    yield from _beyond(f"{asset.id}: unserved below zero", -unserved, POWER_TOLERANCE_KW, "kW")
    over = unserved - np.maximum(inputs.demand_kw, 0.0)
    yield from _beyond(f"{asset.id}: more unserved than asked for", over, POWER_TOLERANCE_KW, "kW")


def _pv(asset: Pv, inputs: PvInputs, schedule: Schedule) -> Iterator[str]:
    yield from _beyond(f"{asset.id}: consumes", schedule.power_kw, POWER_TOLERANCE_KW, "kW")
    over = -schedule.power_kw - inputs.available_kw
    yield from _beyond(f"{asset.id}: generates more than the sun allows", over, POWER_TOLERANCE_KW, "kW")


def _battery(asset: Battery, inputs: BatteryInputs, schedule: Schedule, slots: Slots) -> Iterator[str]:
    power, h = schedule.power_kw, slots.duration_h
    yield from _beyond(f"{asset.id}: charges above its rating", power - asset.charge_kw, POWER_TOLERANCE_KW, "kW")
    over = -power - asset.discharge_kw
    yield from _beyond(f"{asset.id}: discharges above its rating", over, POWER_TOLERANCE_KW, "kW")
    charged = np.maximum(power, 0.0) * asset.charge_efficiency
    drawn = np.maximum(-power, 0.0) / asset.discharge_efficiency
    stored = inputs.energy_kwh + np.cumsum((charged - drawn - asset.standby_kw) * h)
    tolerance_kwh = ENERGY_TOLERANCE_KWH * (1.0 + 0.01 * asset.capacity_kwh)
    yield from _state_error(asset.id, "energy_kwh", schedule, stored, tolerance_kwh)
    # A measured start outside the band is no fault of the plan, as long as it never goes further away from it.
    low = min(asset.capacity_kwh * asset.soc_min_pct / 100.0, inputs.energy_kwh)
    high = max(asset.capacity_kwh * asset.soc_max_pct / 100.0, inputs.energy_kwh)
    yield from _beyond(f"{asset.id}: emptied below its band", low - stored, tolerance_kwh, "kWh")
    yield from _beyond(f"{asset.id}: filled above its band", stored - high, tolerance_kwh, "kWh")


def _charge_point(asset: ChargePoint, inputs: ChargePointInputs, schedule: Schedule, slots: Slots) -> Iterator[str]:
    yield from _beyond(f"{asset.id}: feeds back", -schedule.power_kw, POWER_TOLERANCE_KW, "kW")
    ceiling_kw = np.zeros(len(slots))
    for session in inputs.sessions:
        most_kw = min(asset.charge_kw, session.charge_kw if session.charge_kw is not None else asset.charge_kw)
        ceiling_kw += most_kw * _present(session, slots)
    over = schedule.power_kw - np.minimum(ceiling_kw, asset.charge_kw)
    yield from _beyond(f"{asset.id}: charges more than the cars that stand there take", over, POWER_TOLERANCE_KW, "kW")
    delivered = np.cumsum(asset.efficiency * schedule.power_kw * slots.duration_h)
    yield from _state_error(asset.id, "delivered_kwh", schedule, delivered, ENERGY_TOLERANCE_KWH * len(slots) / 10.0)
    shortfall = _slack(schedule, "shortfall_kwh")
    yield from _beyond(f"{asset.id}: shortfall below zero", -shortfall, ENERGY_TOLERANCE_KWH, "kWh")
    wanted = sum(session.energy_kwh for session in inputs.sessions)
    if delivered[-1] - wanted > SESSION_TOLERANCE_KWH:
        yield f"{asset.id}: {delivered[-1] - wanted:.3f} kWh more than the cars want"
    yield from _missing_energy(asset, inputs.sessions, delivered, shortfall, slots)


def _missing_energy(
    asset: ChargePoint, sessions: Sequence[EvSession], delivered: Floats, shortfall: Floats, slots: Slots
) -> Iterator[str]:
    """Compare what each car that leaves within the horizon wants with what it gets and what is admitted to be missing.

    A slot in which one car leaves and the next arrives is shared between them, so that its energy is counted in favour;
    so is a shortfall that is admitted in the slot that begins as the car leaves.
    """
    for session in sessions:
        if session.departure > slots.end:
            continue
        present = np.flatnonzero(_present(session, slots) > 0.0)
        if present.size:
            first, last = int(present[0]), int(present[-1])
            got_kwh = float(delivered[last] - (delivered[first - 1] if first else 0.0))
            admitted_kwh = float(shortfall[first : last + 2].sum())
        else:
            got_kwh, admitted_kwh = 0.0, float(shortfall.sum())
        missing_kwh = session.energy_kwh - got_kwh - admitted_kwh
        if missing_kwh > SESSION_TOLERANCE_KWH:
            yield f"{asset.id}: {missing_kwh:.3f} kWh missing at {session.departure.isoformat()} are not admitted"


def _present(session: EvSession, slots: Slots) -> Floats:
    """Give the share of each slot in which the car stands there, shape (n,)."""
    start = slots.offset_s
    arrival, departure = (_elapsed_s(at, slots) for at in (session.arrival, session.departure))
    overlap = np.minimum(start + slots.duration_s, departure) - np.maximum(start, arrival)
    return np.clip(overlap / slots.duration_s, 0.0, 1.0)


def _elapsed_s(at: datetime, slots: Slots) -> float:
    return (at - slots.start).total_seconds()


def _heat_pump(asset: HeatPump, inputs: HeatPumpInputs, schedule: Schedule, slots: Slots) -> Iterator[str]:
    yield from _beyond(f"{asset.id}: feeds back", -schedule.power_kw, POWER_TOLERANCE_KW, "kW")
    over = schedule.power_kw - asset.rated_kw
    yield from _beyond(f"{asset.id}: draws above its rating", over, POWER_TOLERANCE_KW, "kW")
    air, mass = _simulate_zone(asset, inputs, schedule.power_kw, slots)
    yield from _state_error(asset.id, "temperature_c", schedule, air, TEMPERATURE_TOLERANCE_K)
    yield from _state_error(asset.id, "mass_c", schedule, mass, TEMPERATURE_TOLERANCE_K)
    outside = np.maximum(inputs.comfort_low_c - air, air - inputs.comfort_high_c)
    hidden = outside - _slack(schedule, "discomfort_k")
    yield from _beyond(f"{asset.id}: discomfort not admitted", hidden, TEMPERATURE_TOLERANCE_K, "K")


def _simulate_zone(asset: HeatPump, inputs: HeatPumpInputs, power_kw: Floats, slots: Slots) -> tuple[Floats, Floats]:
    """Integrate both temperatures exactly over each slot, in the zone's two natural modes; shape (n,) each.

    Two heat capacities joined by resistances have real, different, negative eigenvalues, so that each mode z follows
    z(h) = z_inf + (z(0) - z_inf) * exp(lambda * h).
    """
    to_mass, to_out, mass_to_out = (
        1.0 / r for r in (asset.air_mass_k_per_kw, asset.air_out_k_per_kw, asset.mass_out_k_per_kw)
    )
    rate = np.array(
        [
            [-(to_mass + to_out) / asset.air_kwh_per_k, to_mass / asset.air_kwh_per_k],
            [to_mass / asset.mass_kwh_per_k, -(to_mass + mass_to_out) / asset.mass_kwh_per_k],
        ]
    )
    eigenvalue, mode = np.linalg.eig(rate)
    inverse: NDArray[np.float64] = np.linalg.inv(mode)
    performance = np.clip(asset.cop_0 + asset.cop_slope * inputs.outdoor_c, 1.5, 6.0)
    heat_kw = performance * power_kw + inputs.gains_kw
    drive = np.stack(
        [
            (to_out * inputs.outdoor_c + heat_kw) / asset.air_kwh_per_k,
            mass_to_out * inputs.outdoor_c / asset.mass_kwh_per_k,
        ]
    )
    settled = -(inverse @ drive) / eigenvalue[:, None]
    decay = np.exp(np.outer(eigenvalue, slots.duration_h))
    z = inverse @ np.array([inputs.temperature_c, inputs.mass_c])
    trajectory = np.empty((2, len(slots)))
    for s in range(len(slots)):
        z = settled[:, s] + (z - settled[:, s]) * decay[:, s]
        trajectory[:, s] = mode @ z
    return trajectory[0], trajectory[1]


def _slack(schedule: Schedule, name: str) -> Floats:
    return schedule.slack.get(name, np.zeros_like(schedule.power_kw))


def _state_error(asset_id: str, name: str, schedule: Schedule, simulated: Floats, tolerance: float) -> Iterator[str]:
    if name not in schedule.states:
        yield f"{asset_id}: the plan says nothing of {name}"
        return
    unit = name.rpartition("_")[2]
    error = np.abs(schedule.states[name] - simulated)
    yield from _beyond(f"{asset_id}: {name} against the re-simulation", error, tolerance, unit)


def _beyond(what: str, amount: Floats, tolerance: float, unit: str) -> Iterator[str]:
    """Yield one sentence for the worst slot, if its amount is beyond the tolerance."""
    worst = int(np.argmax(amount))
    if amount[worst] > tolerance:
        yield f"{what}: {amount[worst]:.4g} {unit} in slot {worst}"
