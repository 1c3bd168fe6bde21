"""A photovoltaic plant from published irradiance and outdoor temperature.

    p = module_kw * G / 1000 * (1 + gamma * (T_cell - 25)),   T_cell = T_out + 0.03 * G,   0 <= p <= rated_kw
    p = sum over planes of share * p(G of the plane), bounded likewise, where modules face several ways
    available(t) = p(t) * (long + (short - long) * exp(-(t - now) / tau))

Symbols: G [W/m2] on the plane, T [degC], gamma [1/K], long the measured share of the computed energy over the last
days (soiling, a wrong module_kw), short the same over the last hour (today's clouds); both only from steps in which the
sun shone and the inverter was not limited, bounded to 0.3..1.5. Source of the cell temperature: the NOCT model, with
0.03 K m2/W for an open rack (Ross, Proc. 14th IEEE PVSC (1980) 1130-1132).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from optimization.forecast.past import QUARTER_S, Past
from optimization.slots import Floats

CELL_K_PER_W_M2 = 0.03
SHORT_S = 3600.0
DECAY_S = 2.0 * 3600.0
LONG_S = 3.0 * 86400.0
LEAST_SHARE = 0.05
BOUNDS = (0.3, 1.5)
PLANES = 2
"""Dimensions of irradiance on several planes."""


@dataclass(frozen=True, slots=True)
class PvPlant:
    """What is computed with: `module_kw` at 1000 W/m2 and 25 degC, `rated_kw` of the inverter, `temperature_per_k`.

    `shares` are those of its planes, which together are 1.
    """

    module_kw: float
    rated_kw: float
    temperature_per_k: float
    shares: tuple[float, ...] = (1.0,)


class Told(Protocol):
    """What was published when, as `PublishedPast` has it."""

    def told(self, start_s: Floats, duration_s: Floats, now_s: float) -> Floats:
        """Give what was known of slots at an instant, `nan` where nothing was."""


class Rated(Protocol):
    """A plant with a rating: of sun or of wind."""

    @property
    def rated_kw(self) -> float:
        """Greatest power [kW]."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Measured over computed energy: of the last days and of the last hour [1].

    `usual` is the median of the last hour's shares, step by step: a cloud that passes does not move it.
    """

    long: float = 1.0
    short: float = 1.0
    usual: float = 1.0


def pv_power_kw(plant: PvPlant, irradiance_w_m2: Floats, outdoor_c: Floats) -> Floats:
    """Compute generation at the inverter [kW], not negative, shape of the temperature.

    Args:
        plant: the plant.
        irradiance_w_m2: on its modules, shape (n,), or on each of its planes, shape (planes, n) [W/m2].
        outdoor_c: shape (n,) [degC].
    """
    cell_c = outdoor_c + CELL_K_PER_W_M2 * irradiance_w_m2
    power_kw = plant.module_kw * irradiance_w_m2 / 1000.0 * (1.0 + plant.temperature_per_k * (cell_c - 25.0))
    if irradiance_w_m2.ndim == PLANES:
        power_kw = np.array(plant.shares) @ power_kw
    return np.clip(power_kw, 0.0, plant.rated_kw)


def calibrate(
    measured: Past,
    computed_kw: Floats,
    limited: Floats,
    plant: Rated,
    now_s: float,
    *,
    otherwise: float = 1.0,
    bounds: tuple[float, float] = BOUNDS,
) -> Calibration:
    """Compare measured with computed generation.

    Args:
        measured: generation [kW], positive, on equal steps.
        computed_kw: what the model said of the same steps, `nan` where it was not asked.
        limited: 1 where the inverter was held back by a limit, same shape.
        plant: the plant.
        now_s: the present instant [s since 1970].
        otherwise: what the share is taken for where nothing is known.
        bounds: of the shares.
    """
    usable = np.isfinite(measured.value) & np.isfinite(computed_kw) & (limited == 0.0)
    usable &= computed_kw >= LEAST_SHARE * plant.rated_kw
    # At the inverter's rating both are cut alike and say nothing about the modules.
    usable &= computed_kw < plant.rated_kw
    long = _share(measured, computed_kw, usable & (measured.at_s >= now_s - LONG_S), otherwise, bounds)
    newest = usable & (measured.at_s >= now_s - SHORT_S)
    ratios = measured.value[newest] / computed_kw[newest]
    usual = float(np.clip(np.median(ratios), *bounds)) if ratios.size else long
    return Calibration(long, _share(measured, computed_kw, newest, long, bounds), usual)


def _share(measured: Past, computed_kw: Floats, usable: Floats, otherwise: float, bounds: tuple[float, float]) -> float:
    chosen = usable.astype(bool)
    if not chosen.any():
        return otherwise
    return float(np.clip(measured.value[chosen].sum() / computed_kw[chosen].sum(), *bounds))


def apply_calibration(power_kw: Floats, calibration: Calibration, ahead_s: Floats, rated_kw: float) -> Floats:
    """Scale computed generation by the calibration, `ahead_s` after now [s]; not above the inverter's rating [kW]."""
    return np.minimum(power_kw * share_ahead(calibration, ahead_s, DECAY_S), rated_kw)


def share_ahead(calibration: Calibration, ahead_s: Floats, decay_s: float) -> Floats:
    """Give the share that is foreseen so long after now [s]: the short one, which fades into the long one."""
    fading = (calibration.short - calibration.long) * np.exp(-np.maximum(ahead_s, 0.0) / decay_s)
    return np.asarray(calibration.long + fading)


def pv_foreseen(plant: PvPlant, past: Past, weather: tuple[Told, Told], at_s: Floats, now_s: float) -> Floats:
    """Foresee a plant that nobody limits from what was published of the weather.

    Args:
        plant: the plant.
        past: measured generation [kW]; cut at `now_s` first.
        weather: irradiance on the modules, or on each of their planes [W/m2], and outdoor temperature [degC].
        at_s: middle of each quarter-hour that is asked for [s since 1970], shape (n,).
        now_s: the present instant [s since 1970].

    Returns:
        Generation [kW], `nan` where no weather was published, shape (n,).
    """
    known = past.before(now_s).since(now_s - LONG_S)

    def computed(start_s: Floats, step_s: float) -> Floats:
        told = [each.told(start_s, np.full(len(start_s), step_s), now_s) for each in weather]
        return pv_power_kw(plant, told[0], told[1])

    share = calibrate(known, computed(known.at_s, past.step_s), np.zeros(len(known.at_s)), plant, now_s)
    return apply_calibration(computed(at_s - QUARTER_S / 2.0, QUARTER_S), share, at_s - now_s, plant.rated_kw)
