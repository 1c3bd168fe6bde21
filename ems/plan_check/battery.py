"""A battery."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ems.plan_check.words import ENERGY_TOLERANCE_KWH, POWER_TOLERANCE_KW, beyond, state_error
from optimization.assets import Battery, BatteryInputs
from optimization.problem import Schedule
from optimization.slots import Slots


def check(asset: Battery, inputs: BatteryInputs, schedule: Schedule, slots: Slots) -> Iterator[str]:
    """Say what is impossible about its schedule."""
    power, h = schedule.power_kw, slots.duration_h
    yield from beyond(f"{asset.id}: charges above its rating", power - asset.charge_kw, POWER_TOLERANCE_KW, "kW")
    over = -power - asset.discharge_kw
    yield from beyond(f"{asset.id}: discharges above its rating", over, POWER_TOLERANCE_KW, "kW")
    charged = np.maximum(power, 0.0) * asset.charge_efficiency
    drawn = np.maximum(-power, 0.0) / asset.discharge_efficiency
    stored = inputs.energy_kwh + np.cumsum((charged - drawn - asset.standby_kw) * h)
    tolerance_kwh = ENERGY_TOLERANCE_KWH * (1.0 + 0.01 * asset.capacity_kwh)
    yield from state_error(asset.id, "energy_kwh", schedule, stored, tolerance_kwh)
    # A measured start outside the band is no fault of the plan, as long as it never goes further away from it.
    low = min(asset.capacity_kwh * asset.soc_min_pct / 100.0, inputs.energy_kwh)
    high = max(asset.capacity_kwh * asset.soc_max_pct / 100.0, inputs.energy_kwh)
    yield from beyond(f"{asset.id}: emptied below its band", low - stored, tolerance_kwh, "kWh")
    yield from beyond(f"{asset.id}: filled above its band", stored - high, tolerance_kwh, "kWh")
