"""A pipe between two heat nodes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ems.plan_check.words import POWER_TOLERANCE_KW, beyond, state_error
from optimization.assets import Pipe, PipeInputs
from optimization.problem import Schedule
from optimization.slots import Slots


def check(asset: Pipe, inputs: PipeInputs, schedule: Schedule, slots: Slots) -> Iterator[str]:
    """Say what is impossible about its schedule."""
    told_kw = schedule.states.get("heat_kw")
    if told_kw is None:
        yield f"{asset.id}: the plan says nothing of heat_kw"
        return
    sent_kw = -told_kw if asset.is_cold else told_kw
    yield from beyond(f"{asset.id}: flows backwards", -sent_kw, POWER_TOLERANCE_KW, "kW")
    yield from beyond(f"{asset.id}: sends more than it can", sent_kw - asset.rated_kw, POWER_TOLERANCE_KW, "kW")
    off_kw = np.abs(schedule.power_kw - asset.pump_kw_per_kw * sent_kw)
    yield from beyond(f"{asset.id}: its pump takes another power", off_kw, POWER_TOLERANCE_KW, "kW")
    # What was sent by an instant has arrived by that instant and the delay: the sums say so whatever the slots are.
    at_s = np.append(slots.offset_s, slots.offset_s[-1] + slots.duration_s[-1])
    sent_kwh = np.concatenate([[0.0], np.cumsum(sent_kw * slots.duration_h)])
    come_kw = np.diff(np.interp(at_s - asset.delay_s, at_s, sent_kwh)) / slots.duration_h
    arrives_kw = (1.0 - asset.loss_share) * (inputs.arriving_kw + come_kw) - asset.standing_kw
    yield from state_error(
        asset.id, "to_heat_kw", schedule, arrives_kw if asset.is_cold else -arrives_kw, 2.0 * POWER_TOLERANCE_KW
    )
