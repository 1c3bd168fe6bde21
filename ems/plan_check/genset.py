"""A generating set."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ems.plan_check.words import POWER_TOLERANCE_KW, beyond, state_error
from optimization.assets import Genset, GensetInputs
from optimization.problem import Schedule
from optimization.slots import Slots


def check(asset: Genset, inputs: GensetInputs, schedule: Schedule, slots: Slots) -> Iterator[str]:
    """Say what is impossible about its schedule."""
    yield from beyond(f"{asset.id}: consumes", schedule.power_kw, POWER_TOLERANCE_KW, "kW")
    on = schedule.states.get("is_running")
    if on is None:
        yield f"{asset.id}: the plan does not say when it runs"
        return
    yield from beyond(f"{asset.id}: runs by a part", np.minimum(np.abs(on), np.abs(1.0 - on)), 1e-4, "")
    runs, given_kw = on > 0.5, -schedule.power_kw
    over = np.where(runs, given_kw - asset.rated_kw, given_kw)
    yield from beyond(f"{asset.id}: gives more than it can", over, POWER_TOLERANCE_KW, "kW")
    under = np.where(runs, asset.least_kw - given_kw, 0.0)
    yield from beyond(f"{asset.id}: runs below its least power", under, POWER_TOLERANCE_KW, "kW")
    heat_kw = -(asset.heat_per_kw * given_kw + asset.heat_idle_kw * runs)
    yield from state_error(asset.id, "heat_kw", schedule, heat_kw, POWER_TOLERANCE_KW * (1.0 + asset.heat_per_kw))


def check_free(asset: Genset, inputs: GensetInputs, schedule: Schedule, slots: Slots) -> Iterator[str]:
    """Say which run or stand ends before its least time; people and limits may ask for that, a plan may not."""
    runs = schedule.states.get("is_running", np.zeros(len(slots))) > 0.5
    state, since_s = inputs.is_running, -inputs.since_s
    for s, at_s in enumerate(slots.offset_s):
        if bool(runs[s]) == state:
            continue
        least_s = asset.least_run_s if state else asset.least_stand_s
        if at_s - since_s < least_s - 1.0:
            yield f"{asset.id}: {'runs' if state else 'stands'} for {at_s - since_s:.0f} s only, up to slot {s}"
        state, since_s = bool(runs[s]), float(at_s)
