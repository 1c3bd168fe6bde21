"""What runs whole or stands: the rows of `optimization.commitment`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ems.plan_check.words import POWER_TOLERANCE_KW, beyond
from optimization.problem import Schedule
from optimization.slots import Floats, Slots


def check_whole(unit: Any, schedule: Schedule, level_kw: Floats) -> Iterator[str]:
    """Say where a unit runs by a part, or at a power at which it cannot run."""
    on = schedule.states.get("is_running")
    if on is None:
        yield f"{unit.id}: the plan does not say when it runs"
        return
    yield from beyond(f"{unit.id}: runs by a part", np.minimum(np.abs(on), np.abs(1.0 - on)), 1e-4, "")
    runs = on > 0.5
    over = np.where(runs, level_kw - unit.rated_kw, level_kw)
    yield from beyond(f"{unit.id}: gives more than it can", over, POWER_TOLERANCE_KW, "kW")
    under = np.where(runs, unit.least_kw - level_kw, 0.0)
    yield from beyond(f"{unit.id}: runs below its least power", under, POWER_TOLERANCE_KW, "kW")


def check_least_times(unit: Any, inputs: Any, schedule: Schedule, slots: Slots) -> Iterator[str]:
    """Say which run or stand ends before its least time; people and limits may ask for that, a plan may not."""
    runs = schedule.states.get("is_running", np.zeros(len(slots))) > 0.5
    state, since_s = inputs.is_running, -inputs.since_s
    for s, at_s in enumerate(slots.offset_s):
        if bool(runs[s]) == state:
            continue
        least_s = unit.least_run_s if state else unit.least_stand_s
        if at_s - since_s < least_s - 1.0:
            yield f"{unit.id}: {'runs' if state else 'stands'} for {at_s - since_s:.0f} s only, up to slot {s}"
        state, since_s = bool(runs[s]), float(at_s)
