"""What takes heat, or asks for cold and gives it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ems.plan_check.words import POWER_TOLERANCE_KW, beyond, state_error
from optimization.assets import HeatLoad, HeatLoadInputs
from optimization.problem import Schedule
from optimization.slots import Slots


def check(asset: HeatLoad, inputs: HeatLoadInputs, schedule: Schedule, slots: Slots) -> Iterator[str]:
    """Say what is impossible about its schedule."""
    yield from beyond(f"{asset.id}: has power", np.abs(schedule.power_kw), POWER_TOLERANCE_KW, "kW")
    asked_kw = (-1.0 if asset.is_cold else 1.0) * inputs.demand_kw
    yield from state_error(asset.id, "heat_kw", schedule, asked_kw, POWER_TOLERANCE_KW)
