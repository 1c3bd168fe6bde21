"""A fixed load."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ems.plan_check.words import POWER_TOLERANCE_KW, beyond, slack
from optimization.assets import Load, LoadInputs
from optimization.problem import Schedule
from optimization.slots import Slots


def check(asset: Load, inputs: LoadInputs, schedule: Schedule, slots: Slots) -> Iterator[str]:
    """Say what is impossible about its schedule."""
    unserved = slack(schedule, "unserved_kw")
    error = np.abs(schedule.power_kw - inputs.demand_kw + unserved)
    yield from beyond(f"{asset.id}: demand minus unserved against power", error, POWER_TOLERANCE_KW, "kW")
    yield from beyond(f"{asset.id}: unserved below zero", -unserved, POWER_TOLERANCE_KW, "kW")
    over = unserved - np.maximum(inputs.demand_kw, 0.0)
    yield from beyond(f"{asset.id}: more unserved than asked for", over, POWER_TOLERANCE_KW, "kW")
