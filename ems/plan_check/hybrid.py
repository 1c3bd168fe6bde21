"""A photovoltaic plant and a battery behind one inverter."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ems.plan_check import battery
from ems.plan_check.words import POWER_TOLERANCE_KW, beyond
from optimization.assets import Hybrid, HybridInputs
from optimization.problem import Schedule
from optimization.slots import Slots


def check(asset: Hybrid, inputs: HybridInputs, schedule: Schedule, slots: Slots) -> Iterator[str]:
    """Say what is impossible about its schedule; what the bus leaves over is what the battery takes."""
    power, sun = schedule.power_kw, schedule.states.get("sun_kw")
    if sun is None:
        yield f"{asset.id}: the plan does not say what it uses of the sun"
        return
    yield from beyond(f"{asset.id}: takes above its rating", power - asset.take_kw, POWER_TOLERANCE_KW, "kW")
    yield from beyond(f"{asset.id}: gives above its rating", -power - asset.rated_kw, POWER_TOLERANCE_KW, "kW")
    yield from beyond(f"{asset.id}: uses less than no sun", -sun, POWER_TOLERANCE_KW, "kW")
    over = sun - inputs.available_kw
    yield from beyond(f"{asset.id}: uses more than the sun allows", over, POWER_TOLERANCE_KW, "kW")
    to_bus = np.where(power > 0.0, power * asset.take_efficiency, power / asset.give_efficiency)
    stored = Schedule(to_bus + sun, schedule.states, schedule.slack)
    yield from battery.check(asset.battery, inputs.store, stored, slots)
