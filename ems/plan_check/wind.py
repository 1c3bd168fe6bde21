"""A wind turbine."""

from __future__ import annotations

from collections.abc import Iterator

from ems.plan_check.words import POWER_TOLERANCE_KW, beyond
from optimization.assets import Wind, WindInputs
from optimization.problem import Schedule
from optimization.slots import Slots


def check(asset: Wind, inputs: WindInputs, schedule: Schedule, slots: Slots) -> Iterator[str]:
    """Say what is impossible about its schedule."""
    yield from beyond(f"{asset.id}: consumes", schedule.power_kw, POWER_TOLERANCE_KW, "kW")
    over = -schedule.power_kw - inputs.available_kw
    yield from beyond(f"{asset.id}: generates more than the wind allows", over, POWER_TOLERANCE_KW, "kW")
    over = -schedule.power_kw - asset.rated_kw
    yield from beyond(f"{asset.id}: generates more than its rating", over, POWER_TOLERANCE_KW, "kW")
