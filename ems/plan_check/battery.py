"""A battery."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ems.plan_check.words import ENERGY_TOLERANCE_KWH, POWER_TOLERANCE_KW, beyond, slack, state_error
from optimization.assets import Battery, BatteryInputs
from optimization.problem import Schedule
from optimization.slots import Floats, Slots


def check(asset: Battery, inputs: BatteryInputs, schedule: Schedule, slots: Slots) -> Iterator[str]:
    """Say what is impossible about its schedule."""
    power, h = schedule.power_kw, slots.duration_h
    yield from beyond(f"{asset.id}: charges above its rating", power - asset.charge_kw, POWER_TOLERANCE_KW, "kW")
    over = -power - asset.discharge_kw
    yield from beyond(f"{asset.id}: discharges above its rating", over, POWER_TOLERANCE_KW, "kW")
    stored = inputs.energy_kwh + np.cumsum((_into_store_kw(asset, power) - asset.standby_kw) * h)
    tolerance_kwh = _tolerance_kwh(asset)
    yield from state_error(asset.id, "energy_kwh", schedule, stored, tolerance_kwh)
    # A measured start outside the band is no fault of the plan, as long as it never goes further away from it.
    low = min(asset.capacity_kwh * asset.soc_min_pct / 100.0, inputs.energy_kwh)
    high = max(asset.capacity_kwh * asset.soc_max_pct / 100.0, inputs.energy_kwh)
    # Nor that it falls by what it consumes itself, where nothing may charge it; that is admitted.
    below = slack(schedule, "below_band_kwh")
    own = np.cumsum(asset.standby_kw * h)
    yield from beyond(f"{asset.id}: falls below its band by more than it consumes", below - own, tolerance_kwh, "kWh")
    yield from beyond(f"{asset.id}: emptied below its band", low - stored - below, tolerance_kwh, "kWh")
    yield from beyond(f"{asset.id}: filled above its band", stored - high, tolerance_kwh, "kWh")
    yield from _way_back(asset, inputs, stored, own)
    yield from _tapers(asset, inputs, power, stored)
    yield from _admitted(asset, inputs, schedule, slots, stored)


def _way_back(asset: Battery, inputs: BatteryInputs, stored: Floats, own: Floats) -> Iterator[str]:
    """Say where it goes further out of its band than it was a slot before, by more than it consumes itself."""
    trajectory = np.append(inputs.energy_kwh, stored)
    below = np.maximum(asset.capacity_kwh * asset.soc_min_pct / 100.0 - trajectory, 0.0)
    above = np.maximum(trajectory - asset.capacity_kwh * asset.soc_max_pct / 100.0, 0.0)
    lost = np.maximum(np.diff(below) - np.diff(own, prepend=0.0), np.diff(above))
    yield from beyond(f"{asset.id}: loses what it had come back of its band", lost, _tolerance_kwh(asset), "kWh")


def _tolerance_kwh(asset: Battery) -> float:
    return ENERGY_TOLERANCE_KWH * (1.0 + 0.01 * asset.capacity_kwh)


def _into_store_kw(asset: Battery, power: Floats) -> Floats:
    """Give what the store gains by each power at the terminals; between two points of a curve lies a straight line."""
    charged = np.maximum(power, 0.0) * asset.charge_efficiency
    drawn = np.maximum(-power, 0.0) / asset.discharge_efficiency
    if asset.charge_curve:
        kw, eta = np.array(asset.charge_curve).T
        charged = np.interp(np.maximum(power, 0.0), np.append(0.0, kw), np.append(0.0, kw * eta))
    if asset.discharge_curve:
        kw, eta = np.array(asset.discharge_curve).T
        drawn = np.interp(np.maximum(-power, 0.0), np.append(0.0, kw), np.append(0.0, kw / eta))
    return np.asarray(charged - drawn)


def _tapers(asset: Battery, inputs: BatteryInputs, power: Floats, stored: Floats) -> Iterator[str]:
    """Say where it charges faster than it can near full, or discharges faster than it can near empty."""
    room_kwh = max(asset.capacity_kwh, inputs.energy_kwh) - stored
    left_kwh = stored - min(0.0, inputs.energy_kwh)
    for words, kw, rated_kw, part_pct, kwh in (
        ("charges faster than so near full", power, asset.charge_kw, 100.0 - asset.charge_taper_pct, room_kwh),
        ("discharges faster than so near empty", -power, asset.discharge_kw, asset.discharge_taper_pct, left_kwh),
    ):
        if part_pct > 0.0:
            per_kwh = rated_kw / (asset.capacity_kwh * part_pct / 100.0)
            over = np.where(kw > 0.0, kw - per_kwh * kwh, 0.0)
            tolerance_kw = POWER_TOLERANCE_KW + per_kwh * _tolerance_kwh(asset)
            yield from beyond(f"{asset.id}: {words}", over, tolerance_kw, "kW")


def _admitted(asset: Battery, inputs: BatteryInputs, schedule: Schedule, slots: Slots, stored: Floats) -> Iterator[str]:
    """Say what is missing of the reserve, or discharged beyond the warranty's budget, in silence."""
    if inputs.reserve_kwh is not None:
        hidden = inputs.reserve_kwh - stored - slack(schedule, "reserve_missing_kwh")
        yield from beyond(f"{asset.id}: a missing reserve is not admitted", hidden, _tolerance_kwh(asset), "kWh")
    if inputs.throughput_left_kwh is not None:
        discharged = np.cumsum(np.maximum(-schedule.power_kw, 0.0) * slots.duration_h)
        hidden = discharged - inputs.throughput_left_kwh - slack(schedule, "beyond_warranty_kwh")
        yield from beyond(f"{asset.id}: use beyond the warranty is not admitted", hidden, _tolerance_kwh(asset), "kWh")
