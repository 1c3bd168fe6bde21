"""What no thermometer shows of a building, from the measured air: an observer on the two-capacity zone.

    x = (T_air, T_mass, d),    dx/dt = A x + B u     (A, B of the temperatures as in optimization/assets/heat_pump.py)
    C_air dT_air/dt = ... + d,    dd/dt = -d / tau
    x- = F x + G u,         P- = F P F' + Q * dt
    x  = x- + K (y - x-_air),    K = P- c / (c' P- c + R),    P = (I - K c') P-

Symbols: y [degC] measured air, u [kW, degC] heat, gains and outdoors, d [kW] heat into the air that the model does not
explain, tau [s] the time in which it fades, P the estimate's covariance, Q a second what the model does not know (open
doors, parameters some per cent off), R [K2] of the thermometer.

Without d a plan repeats the model's error for ever, and its zone lies as far below the floor as that error is; with d
the next quarter-hour is met however wrong a parameter is. What is unknown follows the heat pump's power and the sun, so
it is believed for hours, not for days. Sources: Kalman, A new approach to linear filtering and prediction problems,
Journal of Basic Engineering 82 (1960) 35-45; Pannocchia and Rawlings, Disturbance models for offset-free
model-predictive control, AIChE Journal 49 (2003) 426-437.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from optimization.assets.heat_pump import HeatPump
from optimization.slots import Floats

NOISE_K2_PER_S = 2e-6
"""Of both temperatures."""
THERMOMETER_K2 = 0.01
FIRST_K2 = (0.01, 4.0)
"""Of air and mass."""
FADES_S = 4.0 * 3600.0
UNKNOWN_SHARE = 0.05
"""Standard deviation of the unknown heat at first, as a share of the heat pump's rated heat at 0 degC ..."""
DRIFT_SHARE_PER_H = 0.03
"""... and how fast it drifts: that of its change in an hour."""
LARGEST_STEP_S = 900.0
FORGOTTEN_S = 30 * 86400.0
"""After so long nothing is left of what a zone was: a gap of years takes no longer to cross [s]."""
SOLAR_TRANSMITTANCE = 0.6


@dataclass(frozen=True, slots=True, eq=False)
class ZoneEstimate:
    """State carried from plan to plan.

    Args:
        at_s: instant of the estimate [s since 1970].
        air_c: zone air [degC].
        mass_c: building mass [degC].
        unknown_kw: heat into the air that the model does not explain [kW].
        covariance: of the three, shape (3, 3).
    """

    at_s: float
    air_c: float
    mass_c: float
    unknown_kw: float
    covariance: Floats


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


def fading_kw(unknown_kw: float, ahead_s: Floats) -> Floats:
    """Foresee the unknown heat at instants ahead [kW], shape as given; before now it is as now."""
    return unknown_kw * np.exp(-np.maximum(ahead_s, 0.0) / FADES_S)


def first_estimate(pump: HeatPump, at_s: float, temperature_c: float) -> ZoneEstimate:
    """Begin with mass as warm as the air and no unknown heat, and say how little is known of them."""
    covariance = np.diag([*FIRST_K2, (UNKNOWN_SHARE * _rated_heat_kw(pump)) ** 2])
    return ZoneEstimate(at_s, temperature_c, temperature_c, 0.0, covariance)


def observe(pump: HeatPump, estimate: ZoneEstimate, steps: Sequence[ZoneStep]) -> ZoneEstimate:
    """Carry an estimate over measured steps; those that end at or before the estimate are passed over."""
    for step in steps:
        if step.at_s > estimate.at_s:
            estimate = _correct(_predict(pump, estimate, step), step.temperature_c)
    return estimate


def _rated_heat_kw(pump: HeatPump) -> float:
    return pump.cop_0 * pump.rated_kw


def _predict(pump: HeatPump, estimate: ZoneEstimate, step: ZoneStep) -> ZoneEstimate:
    a, b = _zone(pump, step)
    state, p = np.array([estimate.air_c, estimate.mass_c, estimate.unknown_kw]), estimate.covariance
    drift_kw2_per_s = (DRIFT_SHARE_PER_H * _rated_heat_kw(pump)) ** 2 / 3600.0
    noise_per_s = np.diag([NOISE_K2_PER_S, NOISE_K2_PER_S, drift_kw2_per_s])
    total_s = min(step.at_s - estimate.at_s, FORGOTTEN_S)
    count = max(1, int(np.ceil(total_s / LARGEST_STEP_S)))
    f, g = _trapezoid(a, b, total_s / count / 3600.0)
    for _ in range(count):
        state, p = f @ state + g, f @ p @ f.T + noise_per_s * total_s / count
    return ZoneEstimate(step.at_s, float(state[0]), float(state[1]), float(state[2]), p)


def _zone(pump: HeatPump, step: ZoneStep) -> tuple[Floats, Floats]:
    """Give A and B u of air, mass [K/h] and unknown heat [kW/h], shapes (3, 3) and (3,)."""
    air_mass, air_out, mass_out = 1 / pump.air_mass_k_per_kw, 1 / pump.air_out_k_per_kw, 1 / pump.mass_out_k_per_kw
    a = np.zeros((3, 3))
    a[0] = np.array([-air_mass - air_out, air_mass, 1.0]) / pump.air_kwh_per_k
    a[1, :2] = np.array([air_mass, -air_mass - mass_out]) / pump.mass_kwh_per_k
    a[2, 2] = -3600.0 / FADES_S
    air_kw, mass_kw = air_out * step.outdoor_c + step.heat_kw + step.gains_kw, mass_out * step.outdoor_c
    return a, np.array([air_kw / pump.air_kwh_per_k, mass_kw / pump.mass_kwh_per_k, 0.0])


def _trapezoid(a: Floats, b: Floats, step_h: float) -> tuple[Floats, Floats]:
    """Discretise by the trapezoidal rule: stable for every step, and of second order."""
    one = np.eye(len(a))
    left = np.linalg.inv(one - a * step_h / 2.0)
    return left @ (one + a * step_h / 2.0), left @ b * step_h


def _correct(estimate: ZoneEstimate, temperature_c: float | None) -> ZoneEstimate:
    if temperature_c is None or not np.isfinite(temperature_c):
        return estimate
    p = estimate.covariance
    gain = p[:, 0] / (p[0, 0] + THERMOMETER_K2)
    error_k = temperature_c - estimate.air_c
    return ZoneEstimate(
        estimate.at_s,
        estimate.air_c + float(gain[0]) * error_k,
        estimate.mass_c + float(gain[1]) * error_k,
        estimate.unknown_kw + float(gain[2]) * error_k,
        p - np.outer(gain, p[0, :]),
    )
