"""What of a stated island rests on generating sets that run: `optimization.survival` has the rows and the symbols.

    rests_kw[s]  = min(max(0, peak[s] - sum over batteries of what they can give - short[s]), sum of rated * u)
    rests_kwh[s] = min(max(0, need[s] - missing[s] - least of (e - e_min) / slope at both ends), hold * most run[s])

Own derivation.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from optimization.assets import Battery, BatteryInputs, Genset
from optimization.bands import Spinning, Survival
from optimization.problem import Problem, Schedule
from optimization.slots import Floats
from optimization.survival import able_kw, needs


def spinning(
    problem: Problem, schedules: Mapping[str, Schedule], missing_kwh: Floats, missing_kw: Floats
) -> Spinning | None:
    """Tell what rests on the sets of a solution; None of a question without any.

    Args:
        problem: the question, with `survival`.
        schedules: by asset id.
        missing_kwh: what is missing of the energy.
        missing_kw: what is missing of the power.
    """
    survival = problem.survival
    sets = [each for each in problem.assets if _is_member(survival, each.id) and isinstance(each, Genset)]
    if survival is None or not sets:
        return None
    need_kwh, peak_kw, floor_kw = needs(survival, problem.slots)
    runs = {each.id: schedules[each.id].states["is_running"] > 0.5 for each in sets}
    by_set_kw = {each.id: np.where(runs[each.id], able_kw(each, floor_kw), 0.0) for each in sets}
    ready_kw: Floats = np.sum(list(by_set_kw.values()), axis=0)
    stored_kwh, given_kw = _stored(problem, survival, schedules)
    lasting_kwh = survival.hold_s / 3600.0 * np.minimum(ready_kw, floor_kw)
    return Spinning(
        by_set_kw,
        np.clip(peak_kw - given_kw - missing_kw, 0.0, ready_kw),
        np.clip(need_kwh - stored_kwh - missing_kwh, 0.0, lasting_kwh),
    )


def _is_member(survival: Survival | None, name: str) -> bool:
    return survival is not None and name in survival.members


def _stored(problem: Problem, survival: Survival, schedules: Mapping[str, Schedule]) -> tuple[Floats, Floats]:
    """Give what the batteries could give in each slot: energy [kWh] and power [kW]."""
    slots, kwh, kw = problem.slots, np.zeros(len(problem.slots)), np.zeros(len(problem.slots))
    for asset in problem.assets:
        inputs = problem.inputs[asset.id]
        if asset.id in survival.members and isinstance(asset, Battery) and isinstance(inputs, BatteryInputs):
            end_kwh = schedules[asset.id].states["energy_kwh"]
            before_kwh = np.where(slots.parent < 0, inputs.energy_kwh, end_kwh[slots.parent])
            kwh += (np.minimum(before_kwh, end_kwh) - asset.band_kwh[0]) / max(asset.discharging.slopes)
            kw += _given_kw(asset, inputs.energy_kwh, end_kwh)
    return kwh, kw


def _given_kw(battery: Battery, measured_kwh: float, energy_kwh: Floats) -> Floats:
    """Give what a battery can give at the end of each slot [kW], less near empty where its power tapers."""
    tapers_kwh = battery.capacity_kwh * battery.discharge_taper_pct / 100.0
    if not tapers_kwh:
        return np.full(len(energy_kwh), battery.discharge_kw)
    left = (energy_kwh - min(0.0, measured_kwh)) / tapers_kwh
    return np.asarray(battery.discharge_kw * np.clip(left, 0.0, 1.0))
