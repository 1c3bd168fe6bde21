"""The unmeasured temperature of a building's mass, from the measured air: an observer on the two-capacity zone.

    x = (T_air, T_mass),    dx/dt = A x + B u     (A, B as in optimization/assets/heat_pump.py)
    x- = F x + G u,         P- = F P F' + Q * dt
    x  = x- + K (y - x-_air),    K = P- c / (c' P- c + R),    P = (I - K c') P-

Symbols: y [degC] measured air, u [kW, degC] heat, gains and outdoors, P [K2] the estimate's covariance, Q [K2/s] what
the model does not know (open doors, parameters some per cent off), R [K2] of the thermometer. It is a Luenberger
observer whose gain K follows from the steps' lengths. Source: Kalman, A new approach to linear filtering and prediction
problems, Journal of Basic Engineering 82 (1960) 35-45.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from optimization.assets.heat_pump import HeatPump
from optimization.slots import Floats

NOISE_K2_PER_S = np.diag([2e-5, 2e-6])
THERMOMETER_K2 = 0.01
FIRST_K2 = np.diag([0.01, 4.0])
LARGEST_STEP_S = 900.0
SOLAR_TRANSMITTANCE = 0.6


@dataclass(frozen=True, slots=True, eq=False)
class ZoneEstimate:
    """State carried from plan to plan.

    Args:
        at_s: instant of the estimate [s since 1970].
        air_c: zone air [degC].
        mass_c: building mass [degC].
        covariance_k2: of both [K2], shape (2, 2).
    """

    at_s: float
    air_c: float
    mass_c: float
    covariance_k2: Floats


@dataclass(frozen=True, slots=True)
class ZoneStep:
    """What was measured over a step that ends at `at_s` [s since 1970].

    Args:
        at_s: end of the step.
        temperature_c: zone air at the end, None where unknown.
        heat_kw: heat of the heat pump, mean over the step.
        gains_kw: sun, people, appliances, mean over the step.
        outdoor_c: outdoors, mean over the step.
    """

    at_s: float
    temperature_c: float | None
    heat_kw: float
    gains_kw: float
    outdoor_c: float


def cop(pump: HeatPump, outdoor_c: Floats | float) -> Floats:
    """Give the coefficient of performance at an outdoor temperature [1], bounded to 1.5..6."""
    return np.clip(pump.cop_0 + pump.cop_slope * np.asarray(outdoor_c, dtype=float), 1.5, 6.0)


def zone_gains_kw(constant_kw: float, window_m2: float, irradiance_w_m2: Floats) -> Floats:
    """Give sun through windows (transmittance 0.6) plus people and appliances [kW], shape of the irradiance."""
    return constant_kw + SOLAR_TRANSMITTANCE * window_m2 * irradiance_w_m2 / 1000.0


def first_estimate(at_s: float, temperature_c: float) -> ZoneEstimate:
    """Begin with mass as warm as the air, and say how little is known of it."""
    return ZoneEstimate(at_s, temperature_c, temperature_c, FIRST_K2)


def observe(pump: HeatPump, estimate: ZoneEstimate, steps: Sequence[ZoneStep]) -> ZoneEstimate:
    """Carry an estimate over measured steps; those that end at or before the estimate are passed over."""
    for step in steps:
        if step.at_s > estimate.at_s:
            estimate = _correct(_predict(pump, estimate, step), step.temperature_c)
    return estimate


def _predict(pump: HeatPump, estimate: ZoneEstimate, step: ZoneStep) -> ZoneEstimate:
    a, b = _zone(pump, step)
    state, p = np.array([estimate.air_c, estimate.mass_c]), estimate.covariance_k2
    total_s = step.at_s - estimate.at_s
    count = max(1, int(np.ceil(total_s / LARGEST_STEP_S)))
    f, g = _trapezoid(a, b, total_s / count / 3600.0)
    for _ in range(count):
        state, p = f @ state + g, f @ p @ f.T + NOISE_K2_PER_S * total_s / count
    return ZoneEstimate(step.at_s, float(state[0]), float(state[1]), p)


def _zone(pump: HeatPump, step: ZoneStep) -> tuple[Floats, Floats]:
    """Give A [1/h] and B u [K/h] of the zone, shapes (2, 2) and (2,)."""
    air_mass, air_out, mass_out = 1 / pump.air_mass_k_per_kw, 1 / pump.air_out_k_per_kw, 1 / pump.mass_out_k_per_kw
    capacity = np.array([pump.air_kwh_per_k, pump.mass_kwh_per_k])
    a = np.array([[-air_mass - air_out, air_mass], [air_mass, -air_mass - mass_out]]) / capacity[:, None]
    heat = np.array([air_out * step.outdoor_c + step.heat_kw + step.gains_kw, mass_out * step.outdoor_c])
    return a, heat / capacity


def _trapezoid(a: Floats, b: Floats, step_h: float) -> tuple[Floats, Floats]:
    """Discretise by the trapezoidal rule: stable for every step, and of second order."""
    left = np.linalg.inv(np.eye(2) - a * step_h / 2.0)
    return left @ (np.eye(2) + a * step_h / 2.0), left @ b * step_h


def _correct(estimate: ZoneEstimate, temperature_c: float | None) -> ZoneEstimate:
    if temperature_c is None or not np.isfinite(temperature_c):
        return estimate
    p = estimate.covariance_k2
    gain = p[:, 0] / (p[0, 0] + THERMOMETER_K2)
    error_k = temperature_c - estimate.air_c
    return ZoneEstimate(
        estimate.at_s,
        estimate.air_c + float(gain[0]) * error_k,
        estimate.mass_c + float(gain[1]) * error_k,
        p - np.outer(gain, p[0, :]),
    )
