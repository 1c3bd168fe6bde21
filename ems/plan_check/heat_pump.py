"""A heat pump and its zone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ems.plan_check.building import check_zone
from ems.plan_check.words import POWER_TOLERANCE_KW, beyond
from optimization.assets import HeatPump, HeatPumpInputs
from optimization.problem import Schedule
from optimization.slots import Slots


def check(asset: HeatPump, inputs: HeatPumpInputs, schedule: Schedule, slots: Slots) -> Iterator[str]:
    """Say what is impossible about its schedule."""
    yield from beyond(f"{asset.id}: feeds back", -schedule.power_kw, POWER_TOLERANCE_KW, "kW")
    over = schedule.power_kw - asset.rated_kw
    yield from beyond(f"{asset.id}: draws above its rating", over, POWER_TOLERANCE_KW, "kW")
    performance = np.clip(asset.cop_0 + asset.cop_slope * inputs.outdoor_c, 1.5, 6.0)
    yield from check_zone(asset, inputs, schedule, slots, performance * schedule.power_kw + inputs.gains_kw)
