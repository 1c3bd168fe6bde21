"""A tank on a heat node."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ems.plan_check.words import POWER_TOLERANCE_KW, beyond, slack, state_error
from optimization.assets import Tank, TankInputs
from optimization.problem import Schedule
from optimization.slots import Floats, Slots

TEMPERATURE_TOLERANCE_K = 0.02


def check(asset: Tank, inputs: TankInputs, schedule: Schedule, slots: Slots) -> Iterator[str]:
    """Say what is impossible about its schedule."""
    yield from beyond(f"{asset.id}: has power", np.abs(schedule.power_kw), POWER_TOLERANCE_KW, "kW")
    heat_kw = schedule.states.get("heat_kw")
    if heat_kw is None:
        yield f"{asset.id}: the plan says nothing of heat_kw"
        return
    over_kw = heat_kw - asset.charge_kw
    yield from beyond(f"{asset.id}: charges above its rating", over_kw, POWER_TOLERANCE_KW, "kW")
    over_kw = -heat_kw - asset.discharge_kw
    yield from beyond(f"{asset.id}: discharges above its rating", over_kw, POWER_TOLERANCE_KW, "kW")
    water_c, free_c = (_simulated(asset, inputs, kw, slots) for kw in (heat_kw, 0.0 * heat_kw))
    yield from state_error(asset.id, "temperature_c", schedule, water_c, TEMPERATURE_TOLERANCE_K)
    # A tank may drift out of its band, and may have been measured there: use never takes it further out.
    below_k = np.minimum(asset.low_c, free_c) - water_c
    yield from beyond(f"{asset.id}: cooled below its band", below_k, TEMPERATURE_TOLERANCE_K, "K")
    above_k = water_c - np.maximum(asset.high_c, free_c)
    yield from beyond(f"{asset.id}: heated above its band", above_k, TEMPERATURE_TOLERANCE_K, "K")
    hidden_k = np.maximum(asset.low_c - water_c, water_c - asset.high_c) - slack(schedule, "outside_k")
    yield from beyond(f"{asset.id}: outside its band, not admitted", hidden_k, TEMPERATURE_TOLERANCE_K, "K")
    if asset.hot_every_s:
        late = _late(asset, inputs, water_c, slots) - slack(schedule, "overdue")
        yield from beyond(f"{asset.id}: not hot in time, not admitted", late, 1e-3, "")


def _simulated(asset: Tank, inputs: TankInputs, heat_kw: Floats, slots: Slots) -> Floats:
    """Follow its temperature towards where each slot's heat and surroundings would settle it, shape (n,)."""
    water_c, now_c = np.empty(len(slots)), inputs.temperature_c
    for s, h in enumerate(slots.duration_h):
        if asset.loss_kw_per_k:
            settled_c = inputs.around_c[s] + heat_kw[s] / asset.loss_kw_per_k
            now_c = settled_c + (now_c - settled_c) * np.exp(-asset.loss_kw_per_k * h / asset.capacity_kwh_per_k)
        else:
            now_c += heat_kw[s] * h / asset.capacity_kwh_per_k
        water_c[s] = now_c
    return water_c


def _late(asset: Tank, inputs: TankInputs, water_c: Floats, slots: Slots) -> Floats:
    """Mark with 1 the slots by which it was last held hot too long ago, shape (n,)."""
    enough_c = asset.hot_c - TEMPERATURE_TOLERANCE_K
    is_hot = inputs.hot_for_s > 0.0 or inputs.temperature_c >= enough_c
    held_s, last_s, late = inputs.hot_for_s, -inputs.since_hot_s, np.zeros(len(slots))
    for s, at_s in enumerate(slots.offset_s):
        was_hot, is_hot = is_hot, bool(water_c[s] >= enough_c)
        held_s = held_s + slots.duration_s[s] if was_hot and is_hot else 0.0
        if is_hot and held_s >= asset.hot_hold_s - 1e-6:
            last_s = at_s
        late[s] = float(at_s - last_s >= asset.hot_every_s - 1e-6)
    return late
