"""The words of what is impossible about a plan, and how far off it has to be."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from optimization.problem import Schedule
from optimization.slots import Floats

POWER_TOLERANCE_KW = 1e-3
ENERGY_TOLERANCE_KWH = 5e-3


def slack(schedule: Schedule, name: str) -> Floats:
    """Give an elastic amount that the plan admits, zeros where it admits none."""
    return schedule.slack.get(name, np.zeros_like(schedule.power_kw))


def state_error(asset_id: str, name: str, schedule: Schedule, simulated: Floats, tolerance: float) -> Iterator[str]:
    """Compare a trajectory that the plan tells with the one that follows from its powers."""
    if name not in schedule.states:
        yield f"{asset_id}: the plan says nothing of {name}"
        return
    unit = name.rpartition("_")[2]
    error = np.abs(schedule.states[name] - simulated)
    yield from beyond(f"{asset_id}: {name} against the re-simulation", error, tolerance, unit)


def beyond(what: str, amount: Floats, tolerance: float, unit: str) -> Iterator[str]:
    """Yield one sentence for the worst slot, if its amount is beyond the tolerance."""
    worst = int(np.argmax(amount))
    if amount[worst] > tolerance:
        yield f"{what}: {amount[worst]:.4g} {unit} in slot {worst}"
