"""Reserve bands: whether a call could be followed, at any instant and for as long as was promised."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from ems.plan_check.words import ENERGY_TOLERANCE_KWH, POWER_TOLERANCE_KW, beyond
from optimization.assets import (
    Asset,
    Battery,
    BatteryInputs,
    ChargePoint,
    Genset,
    Inputs,
    Pv,
    PvInputs,
    Wind,
    WindInputs,
)
from optimization.bands import Held, Reserve
from optimization.problem import Plan, Problem
from optimization.slots import Floats


def check_reserves(problem: Problem, plan: Plan) -> Iterator[str]:
    """Say what of the bands that a plan speaks of could not be followed."""
    asked = {reserve.id for reserve in problem.reserves}
    if asked != plan.held_reserves.keys():
        yield f"the plan speaks of the reserves {sorted(plan.held_reserves)} instead of {sorted(asked)}"
        return
    wrong = [words for reserve in problem.reserves for words in _wrong(reserve, plan)]
    yield from wrong
    if wrong or not problem.reserves:
        return
    up_kw, down_kw = _by_asset(problem, plan, "up_kw"), _by_asset(problem, plan, "down_kw")
    yield from _limits(problem, plan, _added_up(up_kw), _added_up(down_kw))
    for asset in problem.assets:
        if asset.id in up_kw:
            yield from _spared(asset, problem, plan, up_kw[asset.id], down_kw[asset.id])
            if isinstance(asset, Battery):
                yield from _stored(asset, problem, plan)


def _wrong(reserve: Reserve, plan: Plan) -> Iterator[str]:
    held, n = plan.held_reserves[reserve.id], len(plan.slots)
    for side, by_member, missing_kw, wanted_kw in (
        ("up", held.up_kw, held.up_missing_kw, reserve.up_kw),
        ("down", held.down_kw, held.down_missing_kw, reserve.down_kw),
    ):
        name = f"reserve {reserve.id} {side}"
        if by_member.keys() != set(reserve.members):
            yield f"{name}: held by {sorted(by_member)} instead of {sorted(reserve.members)}"
            continue
        parts = [*by_member.values(), missing_kw]
        if any(np.shape(kw) != (n,) or not np.isfinite(kw).all() for kw in parts):
            yield f"{name}: is not {n} finite numbers"
            continue
        least_kw = np.min(parts, axis=0)
        yield from beyond(f"{name}: less than nothing", -least_kw, POWER_TOLERANCE_KW, "kW")
        short_kw = wanted_kw - np.sum(parts, axis=0)
        yield from beyond(f"{name}: neither held nor admitted", short_kw, POWER_TOLERANCE_KW * len(parts), "kW")


def _by_asset(problem: Problem, plan: Plan, side: str) -> dict[str, Floats]:
    total: dict[str, Floats] = {}
    for held in plan.held_reserves.values():
        by_member: Mapping[str, Floats] = getattr(held, side)
        for name, kw in by_member.items():
            total[name] = total.get(name, np.zeros(len(plan.slots))) + kw
    return total


def _added_up(kw: Mapping[str, Floats]) -> Floats:
    return np.asarray(np.sum(list(kw.values()), axis=0))


def _limits(problem: Problem, plan: Plan, up_kw: Floats, down_kw: Floats) -> Iterator[str]:
    net_kw, limits = plan.import_kw - plan.export_kw, problem.connection
    tolerance_kw = POWER_TOLERANCE_KW * (1 + len(problem.assets))
    exported = np.where(up_kw > tolerance_kw, up_kw - net_kw - limits.export_limit_kw - plan.excess_kw, 0.0)
    yield from beyond("reserves up: a call exceeds the export limit", exported, tolerance_kw, "kW")
    imported = np.where(down_kw > tolerance_kw, down_kw + net_kw - limits.import_limit_kw - plan.excess_kw, 0.0)
    yield from beyond("reserves down: a call exceeds the import limit", imported, tolerance_kw, "kW")


def _spared(asset: Asset, problem: Problem, plan: Plan, up_kw: Floats, down_kw: Floats) -> Iterator[str]:
    """Compare with how far its power can go at all."""
    low_kw, high_kw = _reach(asset, problem, plan)
    if asset.id in problem.held:
        low_kw = np.maximum(low_kw, problem.held[asset.id].low_kw)
        high_kw = np.minimum(high_kw, problem.held[asset.id].high_kw)
    power_kw = plan.schedules[asset.id].power_kw
    for side, kw, room_kw in (("up", up_kw, power_kw - low_kw), ("down", down_kw, high_kw - power_kw)):
        hidden_kw = np.where(kw > POWER_TOLERANCE_KW, kw - room_kw, 0.0)
        yield from beyond(f"{asset.id}: a call {side} beyond what it can do", hidden_kw, 2 * POWER_TOLERANCE_KW, "kW")


def _reach(asset: Asset, problem: Problem, plan: Plan) -> tuple[Floats, Floats]:
    """Give the least and the most power that a call can bring it to."""
    inputs, schedule = problem.inputs[asset.id], plan.schedules[asset.id]
    if isinstance(asset, Battery):
        return _battery_reach(asset, _measured_kwh(inputs), schedule.states["energy_kwh"])
    if isinstance(asset, Genset):
        runs = schedule.states["is_running"] > 0.5
        return np.where(runs, -asset.rated_kw, 0.0), np.where(runs, -asset.least_kw, 0.0)
    if isinstance(asset, Pv | Wind):
        assert isinstance(inputs, PvInputs | WindInputs)
        most_kw = inputs.available_kw if isinstance(asset, Pv) else np.minimum(inputs.available_kw, asset.rated_kw)
        return -most_kw, np.zeros(len(plan.slots))
    assert isinstance(asset, ChargePoint)
    return np.minimum(schedule.power_kw, 0.0), schedule.power_kw


def _measured_kwh(inputs: Inputs) -> float:
    assert isinstance(inputs, BatteryInputs)
    return inputs.energy_kwh


def _battery_reach(asset: Battery, measured_kwh: float, energy_kwh: Floats) -> tuple[Floats, Floats]:
    discharge_kw, charge_kw = np.full(len(energy_kwh), asset.discharge_kw), np.full(len(energy_kwh), asset.charge_kw)
    empty_kwh, full_kwh = min(0.0, measured_kwh), max(asset.capacity_kwh, measured_kwh)
    if asset.discharge_taper_pct > 0.0:
        left_kwh = asset.capacity_kwh * asset.discharge_taper_pct / 100.0
        discharge_kw = np.minimum(discharge_kw, asset.discharge_kw * (energy_kwh - empty_kwh) / left_kwh)
    if asset.charge_taper_pct < 100.0:
        room_kwh = asset.capacity_kwh * (1.0 - asset.charge_taper_pct / 100.0)
        charge_kw = np.minimum(charge_kw, asset.charge_kw * (full_kwh - energy_kwh) / room_kwh)
    return -discharge_kw, charge_kw


def _stored(asset: Battery, problem: Problem, plan: Plan) -> Iterator[str]:
    """Follow a call from each slot on: the energy must do until it ends, whenever in the slot it comes."""
    slots, measured_kwh = plan.slots, _measured_kwh(problem.inputs[asset.id])
    energy_kwh = plan.schedules[asset.id].states["energy_kwh"]
    low_kwh = min(asset.capacity_kwh * asset.soc_min_pct / 100.0, measured_kwh)
    high_kwh = max(asset.capacity_kwh * asset.soc_max_pct / 100.0, measured_kwh)
    worst = np.zeros((2, len(slots)))
    for s in range(len(slots)):
        end_s = slots.offset_s[s] + slots.duration_s[s]
        before_kwh = measured_kwh if slots.parent[s] < 0 else energy_kwh[slots.parent[s]]
        taken_kwh, brought_kwh = _called(asset, problem, plan, s, 0.0)
        worst[:, s] = low_kwh - before_kwh + taken_kwh, before_kwh + brought_kwh - high_kwh
        for t in range(s, len(slots)):
            taken_kwh, brought_kwh = _called(asset, problem, plan, s, float(slots.offset_s[t] - end_s))
            over = low_kwh - energy_kwh[t] + taken_kwh, energy_kwh[t] + brought_kwh - high_kwh
            worst[:, s] = np.maximum(worst[:, s], np.where([taken_kwh > 0.0, brought_kwh > 0.0], over, 0.0))
    yield from beyond(f"{asset.id}: a call up empties it", worst[0], 2 * ENERGY_TOLERANCE_KWH, "kWh")
    yield from beyond(f"{asset.id}: a call down overfills it", worst[1], 2 * ENERGY_TOLERANCE_KWH, "kWh")


def _called(asset: Battery, problem: Problem, plan: Plan, s: int, after_s: float) -> tuple[float, float]:
    """Give what the calls of a slot take and bring that last for longer than a time after its end [kWh]."""
    worst_out = asset.discharge_efficiency
    worst_in = asset.charge_efficiency
    if asset.discharge_curve:
        worst_out = _least_marginal(asset.discharge_curve, outwards=True)
    if asset.charge_curve:
        worst_in = _least_marginal(asset.charge_curve, outwards=False)
    taken_kwh = brought_kwh = 0.0
    for reserve in problem.reserves:
        held: Held = plan.held_reserves[reserve.id]
        if asset.id in reserve.members and after_s < reserve.hold_s - 1e-6:
            hold_h = reserve.hold_s / 3600.0
            taken_kwh += float(held.up_kw[asset.id][s]) * hold_h / worst_out
            brought_kwh += float(held.down_kw[asset.id][s]) * hold_h * worst_in
    return taken_kwh, brought_kwh


def _least_marginal(curve: tuple[tuple[float, float], ...], *, outwards: bool) -> float:
    """Give the efficiency of the steepest piece of a curve: of what leaves or enters the store by power."""
    kw = np.array([0.0, *(point[0] for point in curve)])
    eta = np.array([point[1] for point in curve])
    inside = np.concatenate([[0.0], kw[1:] / eta if outwards else kw[1:] * eta])
    slope = float((np.diff(inside) / np.diff(kw)).max())
    return 1.0 / slope if outwards else slope
