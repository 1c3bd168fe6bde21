"""A building zone on heat nodes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ems.plan_check.building import check_zone
from ems.plan_check.words import POWER_TOLERANCE_KW, beyond
from optimization.assets import Zone, ZoneInputs
from optimization.problem import Schedule
from optimization.slots import Slots


def check(asset: Zone, inputs: ZoneInputs, schedule: Schedule, slots: Slots) -> Iterator[str]:
    """Say what is impossible about its schedule."""
    yield from beyond(f"{asset.id}: has power", np.abs(schedule.power_kw), POWER_TOLERANCE_KW, "kW")
    warmed_kw, cooled_kw = schedule.states.get("heat_kw"), schedule.states.get("cold_heat_kw")
    if warmed_kw is None or cooled_kw is None:
        yield f"{asset.id}: the plan says nothing of heat_kw or cold_heat_kw"
        return
    over_kw = np.maximum(warmed_kw - asset.emitter_kw, -cooled_kw - asset.cooler_kw)
    yield from beyond(f"{asset.id}: more than its emitters can give or take", over_kw, POWER_TOLERANCE_KW, "kW")
    backwards_kw = np.maximum(-warmed_kw, cooled_kw)
    yield from beyond(f"{asset.id}: heat flows backwards", backwards_kw, POWER_TOLERANCE_KW, "kW")
    both_kw = np.minimum(warmed_kw, -cooled_kw)
    yield from beyond(f"{asset.id}: is warmed and cooled at once", both_kw, POWER_TOLERANCE_KW, "kW")
    gains_kw = inputs.gains_kw + asset.window_m2 * inputs.sun_kw_m2
    yield from check_zone(asset, inputs, schedule, slots, warmed_kw + cooled_kw + gains_kw)
