"""What a zone does when its heat pump is left to the thermostat that came with it.

    p = rated_kw * clip((floor + 1 K - T_air) / 1 K, 0, 1),    floor of the comfort band, as it will be in two hours

A usual proportional thermostat with a warm-up; the true one is not known. What it gets wrong shows in the errors of
earlier forecasts, which every scenario carries. The zone is the one of optimization/assets/heat_pump.py, in steps of a
slot by the trapezoidal rule.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from optimization.assets import HeatPump
from optimization.forecast.building import cop
from optimization.outlook import SLOT_S
from optimization.slots import Floats

BAND_K = 1.0
PIECES = 2


def left_alone(
    pump: HeatPump, minimum_kw: float, start_c: tuple[float, float], weather: tuple[Floats, Floats], floor_c: Floats
) -> tuple[Floats, Floats]:  # fmt: skip
    """Let a zone live under its thermostat.

    Args:
        pump: the heat pump with its zone.
        minimum_kw: least power at which it runs.
        start_c: temperature of air and mass now.
        weather: outdoor temperature [degC] and gains [kW], shape (n,) each.
        floor_c: what the thermostat holds, shape (n,).

    Returns:
        Mean power [kW] and mean air temperature [degC] of each slot, shape (n,) each.
    """
    outdoor_c, gains_kw = weather
    factor = cop(pump, outdoor_c)
    to_mass, to_air, from_mass = 1 / pump.air_mass_k_per_kw, 1 / pump.air_out_k_per_kw, 1 / pump.mass_out_k_per_kw
    per_h = np.array([[-to_mass - to_air, to_mass], [to_mass, -to_mass - from_mass]])
    per_h /= np.array([[pump.air_kwh_per_k], [pump.mass_kwh_per_k]])
    hours = SLOT_S / PIECES / 3600.0
    left = np.linalg.inv(np.eye(2) - per_h * hours / 2.0)
    keep = left @ (np.eye(2) + per_h * hours / 2.0)
    state = np.array(start_c)
    power, air = np.zeros((2, len(floor_c)))
    for slot in range(len(floor_c)):
        for _ in range(PIECES):
            wanted = pump.rated_kw * float(np.clip((floor_c[slot] + BAND_K - state[0]) / BAND_K, 0.0, 1.0))
            kw = wanted if wanted >= minimum_kw else (minimum_kw if wanted > 0.5 * minimum_kw else 0.0)
            heat = to_air * outdoor_c[slot] + factor[slot] * kw + gains_kw[slot]
            push = np.array([heat / pump.air_kwh_per_k, from_mass * outdoor_c[slot] / pump.mass_kwh_per_k])
            state = keep @ state + left @ push * hours
            power[slot] += kw / PIECES
            air[slot] += state[0] / PIECES
    return power, air


def ahead(floors_c: Sequence[float], slots: int) -> Floats:
    """Give the floor that a thermostat holds: the highest of now and the next slots, shape (len(floors) - slots,)."""
    return np.array([max(floors_c[k : k + slots + 1]) for k in range(len(floors_c) - slots)])
