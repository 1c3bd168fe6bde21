"""A photovoltaic plant."""

from __future__ import annotations

from collections.abc import Iterator

from ems.plan_check.words import POWER_TOLERANCE_KW, beyond
from optimization.assets import Pv, PvInputs
from optimization.problem import Schedule
from optimization.slots import Slots


def check(asset: Pv, inputs: PvInputs, schedule: Schedule, slots: Slots) -> Iterator[str]:
    """Say what is impossible about its schedule."""
    yield from beyond(f"{asset.id}: consumes", schedule.power_kw, POWER_TOLERANCE_KW, "kW")
    over = -schedule.power_kw - inputs.available_kw
    yield from beyond(f"{asset.id}: generates more than the sun allows", over, POWER_TOLERANCE_KW, "kW")
