"""A generating set."""

from __future__ import annotations

from collections.abc import Iterator

from ems.plan_check.commitment import check_whole
from ems.plan_check.words import POWER_TOLERANCE_KW, beyond, state_error
from optimization.assets import Genset, GensetInputs
from optimization.problem import Schedule
from optimization.slots import Slots


def check(asset: Genset, inputs: GensetInputs, schedule: Schedule, slots: Slots) -> Iterator[str]:
    """Say what is impossible about its schedule."""
    yield from beyond(f"{asset.id}: consumes", schedule.power_kw, POWER_TOLERANCE_KW, "kW")
    given_kw = -schedule.power_kw
    yield from check_whole(asset, schedule, given_kw)
    if "is_running" in schedule.states:
        runs = schedule.states["is_running"] > 0.5
        heat_kw = -(asset.heat_per_kw * given_kw + asset.heat_idle_kw * runs)
        yield from state_error(asset.id, "heat_kw", schedule, heat_kw, POWER_TOLERANCE_KW * (1.0 + asset.heat_per_kw))
