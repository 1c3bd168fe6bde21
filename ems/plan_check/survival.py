"""Standing alone: opens the connection at many instants of every slot, and follows the loads as long as was asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from ems.plan_check.words import ENERGY_TOLERANCE_KWH, POWER_TOLERANCE_KW, beyond
from optimization.assets import Battery, BatteryInputs, Genset
from optimization.bands import Survival, Survived
from optimization.problem import Plan, Problem
from optimization.slots import Floats

INSTANTS = 13
"""At so many instants of each slot, both ends among them."""


def check_survival(problem: Problem, plan: Plan) -> Iterator[str]:
    """Say where what the plan keeps would not carry the loads."""
    asked, kept = problem.survival, plan.survived
    if asked is None or kept is None:
        if asked is not None or kept is not None:
            yield f"the plan {'says nothing' if kept is None else 'speaks'} of standing alone"
        return
    n = len(plan.slots)
    amounts = (kept.need_kwh, kept.missing_kwh, kept.missing_kw)
    if any(np.shape(each) != (n,) or not np.isfinite(each).all() for each in amounts):
        yield f"standing alone: what the plan keeps is not {n} finite numbers"
        return
    yield from beyond("standing alone: misses less than nothing", -np.min(amounts[1:], axis=0), POWER_TOLERANCE_KW, "")
    by_set_kw = _by_set_kw(asked, problem, plan)
    running_kw: Floats = np.sum([np.zeros(n), *by_set_kw.values()], axis=0)
    energy_kwh, power_kw = np.zeros(n), np.zeros(n)
    for s in range(n):
        for t in np.linspace(0.0, 1.0, INSTANTS):
            needed_kwh, peak_kw = _asked(asked, plan, s, float(t), running_kw[s])
            energy_kwh[s] = max(energy_kwh[s], needed_kwh - _stored_kwh(asked, problem, plan, s, float(t)))
            power_kw[s] = max(power_kw[s], peak_kw - running_kw[s] - _power_kw(asked, problem, plan, s))
    tolerance_kwh = ENERGY_TOLERANCE_KWH * (1 + len(asked.members))
    hidden_kwh = energy_kwh - kept.missing_kwh
    yield from beyond("standing alone: energy that is neither kept nor admitted", hidden_kwh, tolerance_kwh, "kWh")
    yield from beyond(
        "standing alone: power that is neither there nor admitted", power_kw - kept.missing_kw, POWER_TOLERANCE_KW, "kW"
    )
    yield from _spinning(asked, problem, plan, kept, by_set_kw)


def _spinning(
    asked: Survival, problem: Problem, plan: Plan, kept: Survived, by_set_kw: Mapping[str, Floats]
) -> Iterator[str]:
    """Say where the plan tells less of what rests on its sets than there is, or more than they could give."""
    told, n = kept.spinning, len(plan.slots)
    if (told.by_set_kw.keys() if told is not None else set()) != by_set_kw.keys():
        yield f"standing alone: the plan does not speak of the sets {sorted(by_set_kw)}"
        return
    if told is None:
        return
    parts = [*told.by_set_kw.values(), told.rests_kw, told.rests_kwh]
    if any(np.shape(each) != (n,) or not np.isfinite(each).all() for each in parts):
        yield f"standing alone: what rests on sets is not {n} finite numbers"
        return
    for name, able_kw in by_set_kw.items():
        gap_kw = np.abs(told.by_set_kw[name] - able_kw)
        yield from beyond(
            f"standing alone: {name} is not ready with what the plan says", gap_kw, POWER_TOLERANCE_KW, "kW"
        )
    rests_kwh, rests_kw = np.zeros(n), np.zeros(n)
    for s in range(n):
        for t in (0.0, 1.0):
            needed_kwh, peak_kw = _asked(asked, plan, s, t, 0.0)
            rests_kwh[s] = max(rests_kwh[s], needed_kwh - _stored_kwh(asked, problem, plan, s, t) - kept.missing_kwh[s])
            rests_kw[s] = max(rests_kw[s], peak_kw - _power_kw(asked, problem, plan, s) - kept.missing_kw[s])
    ready_kw: Floats = np.sum(list(by_set_kw.values()), axis=0)
    tolerance_kwh = ENERGY_TOLERANCE_KWH * (1 + len(asked.members))
    for what, hidden, tolerance, unit in (
        ("power that rests on sets and is not told", rests_kw - told.rests_kw, POWER_TOLERANCE_KW, "kW"),
        ("energy that rests on sets and is not told", rests_kwh - told.rests_kwh, tolerance_kwh, "kWh"),
        ("more rests on sets than they can give", told.rests_kw - ready_kw, POWER_TOLERANCE_KW, "kW"),
    ):
        yield from beyond(f"standing alone: {what}", hidden, tolerance, unit)


def _asked(asked: Survival, plan: Plan, s: int, t: float, running_kw: float) -> tuple[float, float]:
    """Give what batteries have to give [kWh], and what is taken at once [kW], from a part of a slot on."""
    slots = plan.slots
    begin_s = slots.offset_s[s] + t * slots.duration_s[s]
    ends_s = np.append(slots.offset_s[1:], np.inf)
    inside_s = np.minimum(ends_s, begin_s + asked.hold_s) - np.maximum(slots.offset_s, begin_s)
    lasting_s = np.maximum(inside_s, 0.0)
    rest_kw = np.maximum(asked.carried_kw - running_kw, 0.0)
    extra_kw = (asked.pickup_factor - 1.0) * asked.carried_kw[s]
    needed_kwh = (rest_kw @ lasting_s + extra_kw * asked.pickup_s) / 3600.0
    peak_kw = max(asked.pickup_factor * asked.carried_kw[s], float(asked.carried_kw[lasting_s > 0.0].max(initial=0.0)))
    return float(needed_kwh), peak_kw


def _by_set_kw(asked: Survival, problem: Problem, plan: Plan) -> dict[str, Floats]:
    """Give what each set that runs could give [kW]; one that the loads cannot take gives nothing."""
    found, slots = {}, plan.slots
    for asset in problem.assets:
        if asset.id in asked.members and isinstance(asset, Genset):
            able_kw = found[asset.id] = np.zeros(len(slots))
            for s in np.flatnonzero(plan.schedules[asset.id].states["is_running"] > 0.5):
                last_s = slots.offset_s[s] + slots.duration_s[s] + asked.hold_s
                later = (slots.offset_s < last_s - 1e-6) & (np.arange(len(slots)) >= s)
                able_kw[s] = asset.rated_kw if asset.least_kw <= asked.carried_kw[later].min() else 0.0
    return found


def _stored_kwh(asked: Survival, problem: Problem, plan: Plan, s: int, t: float) -> float:
    """Give what the batteries could give at their terminals above their least charge [kWh]."""
    total = 0.0
    for asset in problem.assets:
        inputs = problem.inputs[asset.id]
        if asset.id in asked.members and isinstance(asset, Battery) and isinstance(inputs, BatteryInputs):
            stored = plan.schedules[asset.id].states["energy_kwh"]
            before = stored[s - 1] if s else inputs.energy_kwh
            least = asset.capacity_kwh * asset.soc_min_pct / 100.0
            total += (before + t * (stored[s] - before) - least) * _efficiency(asset)
    return float(total)


def _efficiency(asset: Battery) -> float:
    """Give what of a stored kWh reaches its terminals at its worst piece; the curve is of mean efficiencies."""
    if not asset.discharge_curve:
        return asset.discharge_efficiency
    at_kw, mean = np.array(asset.discharge_curve).T
    return float(1.0 / np.max(np.diff(at_kw / mean, prepend=0.0) / np.diff(at_kw, prepend=0.0)))


def _power_kw(asked: Survival, problem: Problem, plan: Plan, s: int) -> float:
    """Give what the batteries could give at once [kW], less near empty where their power tapers."""
    total = 0.0
    for asset in problem.assets:
        inputs = problem.inputs[asset.id]
        if asset.id in asked.members and isinstance(asset, Battery) and isinstance(inputs, BatteryInputs):
            able_kw = asset.discharge_kw
            if asset.discharge_taper_pct:
                low_kwh, empty_kwh = asset.capacity_kwh * asset.discharge_taper_pct / 100.0, min(0.0, inputs.energy_kwh)
                stored = plan.schedules[asset.id].states["energy_kwh"][s]
                able_kw = min(able_kw, asset.discharge_kw * (stored - empty_kwh) / low_kwh)
            total += able_kw
    return float(total)
