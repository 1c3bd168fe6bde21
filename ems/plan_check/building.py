"""A building zone of two heat capacities: the rows of `optimization.building`."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ems.plan_check.words import beyond, slack, state_error
from optimization.assets import HeatPump, HeatPumpInputs, Zone, ZoneInputs
from optimization.problem import Schedule
from optimization.slots import Floats, Slots

TEMPERATURE_TOLERANCE_K = 0.02

Zoned = HeatPump | Zone
ZonedInputs = HeatPumpInputs | ZoneInputs


def check_zone(asset: Zoned, inputs: ZonedInputs, schedule: Schedule, slots: Slots, heat_kw: Floats) -> Iterator[str]:
    """Say what does not follow from the heat into a zone's air, gains included, shape (n,)."""
    air, mass = _simulated(asset, inputs, heat_kw, slots)
    yield from state_error(asset.id, "temperature_c", schedule, air, TEMPERATURE_TOLERANCE_K)
    yield from state_error(asset.id, "mass_c", schedule, mass, TEMPERATURE_TOLERANCE_K)
    outside = np.maximum(inputs.comfort_low_c - air, air - inputs.comfort_high_c)
    hidden = outside - slack(schedule, "discomfort_k")
    yield from beyond(f"{asset.id}: discomfort not admitted", hidden, TEMPERATURE_TOLERANCE_K, "K")


def _simulated(asset: Zoned, inputs: ZonedInputs, heat_kw: Floats, slots: Slots) -> tuple[Floats, Floats]:
    """Integrate both temperatures exactly over each slot, in the zone's two natural modes; shape (n,) each.

    Two heat capacities joined by resistances have real, different, negative eigenvalues, so that each mode z follows
    z(h) = z_inf + (z(0) - z_inf) * exp(lambda * h).
    """
    to_mass, to_out, mass_to_out = (
        1.0 / r for r in (asset.air_mass_k_per_kw, asset.air_out_k_per_kw, asset.mass_out_k_per_kw)
    )
    rate = np.array(
        [
            [-(to_mass + to_out) / asset.air_kwh_per_k, to_mass / asset.air_kwh_per_k],
            [to_mass / asset.mass_kwh_per_k, -(to_mass + mass_to_out) / asset.mass_kwh_per_k],
        ]
    )
    eigenvalue, mode = np.linalg.eig(rate)
    inverse: NDArray[np.float64] = np.linalg.inv(mode)
    drive = np.stack(
        [
            (to_out * inputs.outdoor_c + heat_kw) / asset.air_kwh_per_k,
            mass_to_out * inputs.outdoor_c / asset.mass_kwh_per_k,
        ]
    )
    settled = -(inverse @ drive) / eigenvalue[:, None]
    decay = np.exp(np.outer(eigenvalue, slots.duration_h))
    z = inverse @ np.array([inputs.temperature_c, inputs.mass_c])
    trajectory = np.empty((2, len(slots)))
    for s in range(len(slots)):
        z = settled[:, s] + (z - settled[:, s]) * decay[:, s]
        trajectory[:, s] = mode @ z
    return trajectory[0], trajectory[1]
