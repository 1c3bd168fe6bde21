"""Boilers, heat pumps and chillers on a node."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ems.plan_check.commitment import check_whole
from ems.plan_check.words import POWER_TOLERANCE_KW, beyond, state_error
from optimization.assets import (
    Boiler,
    BoilerInputs,
    ElectricBoiler,
    ElectricBoilerInputs,
    HeatSource,
    HeatSourceInputs,
)
from optimization.problem import Schedule
from optimization.slots import Floats, Slots

Unit = Boiler | ElectricBoiler | HeatSource


def check_boiler(asset: Boiler, inputs: BoilerInputs, schedule: Schedule, slots: Slots) -> Iterator[str]:
    """Say what is impossible about the schedule of a boiler that burns fuel."""
    yield from beyond(f"{asset.id}: has power", np.abs(schedule.power_kw), POWER_TOLERANCE_KW, "kW")
    fuel_kw = schedule.states.get("fuel_kw")
    if fuel_kw is None:
        yield f"{asset.id}: the plan says nothing of fuel_kw"
        return
    yield from _check(asset, schedule, fuel_kw, -asset.efficiency * fuel_kw)


def check_electric_boiler(
    asset: ElectricBoiler, inputs: ElectricBoilerInputs, schedule: Schedule, slots: Slots
) -> Iterator[str]:
    """Say what is impossible about the schedule of an electric boiler."""
    yield from _check(asset, schedule, schedule.power_kw, -asset.efficiency * schedule.power_kw)


def check_source(asset: HeatSource, inputs: HeatSourceInputs, schedule: Schedule, slots: Slots) -> Iterator[str]:
    """Say what is impossible about the schedule of a heat pump or a chiller."""
    if asset.is_chiller:
        cold_c, hot_c = inputs.supply_c - asset.approach_k, inputs.source_c + asset.approach_k
        performance = asset.carnot_share * (cold_c + 273.15) / np.maximum(hot_c - cold_c, 15.0)
        heat_kw = performance * schedule.power_kw
    else:
        hot_c, cold_c = inputs.supply_c + asset.approach_k, inputs.source_c - asset.approach_k
        performance = np.maximum(asset.carnot_share * (hot_c + 273.15) / np.maximum(hot_c - cold_c, 15.0), 1.0)
        heat_kw = -performance * schedule.power_kw
    yield from _check(asset, schedule, schedule.power_kw, heat_kw)


def _check(asset: Unit, schedule: Schedule, taken_kw: Floats, heat_kw: Floats) -> Iterator[str]:
    yield from beyond(f"{asset.id}: takes less than nothing", -taken_kw, POWER_TOLERANCE_KW, "kW")
    yield from beyond(f"{asset.id}: takes above its rating", taken_kw - asset.rated_kw, POWER_TOLERANCE_KW, "kW")
    yield from state_error(asset.id, "heat_kw", schedule, heat_kw, 10.0 * POWER_TOLERANCE_KW)
    if asset.least_kw or asset.least_run_s or asset.least_stand_s or asset.start_cost:
        yield from check_whole(asset, schedule, taken_kw)
