"""A wind turbine's power from the wind speed, and the wind at its hub from that of a forecast.

    p(v) = rated_kw * (v^3 - v_in^3) / (v_rated^3 - v_in^3)   for v_in <= v < v_rated
    p(v) = rated_kw   for v_rated <= v < v_out,      p(v) = 0   elsewhere
    v(z) = v(z0) * (z / z0)^alpha

Symbols: v [m/s] at the hub, mean of a slot; v_in, v_rated, v_out [m/s] cut-in, rated and cut-out speed of the data
sheet; z, z0 [m] heights above the ground; alpha [1], 0.2 for the normal wind profile. Sources: the cubic curve in
V. Sohoni, S. C. Gupta and R. K. Nema, A critical review on wind turbine power curve modelling techniques, Journal of
Energy 2016, 8519785; the profile in IEC 61400-1, 6.3.1.2. At the standard density of air, 1.225 kg/m3.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from optimization.slots import Floats

NORMAL_PROFILE = 0.2


@dataclass(frozen=True, slots=True)
class WindPlant:
    """A turbine's power curve; raises `ValueError` unless 0 <= cut-in < rated < cut-out and its rating is positive.

    Args:
        rated_kw: electric rating.
        cut_in_m_s: it gives nothing below.
        rated_m_s: it gives its rating from here on.
        cut_out_m_s: it stands still from here on.
    """

    rated_kw: float
    cut_in_m_s: float
    rated_m_s: float
    cut_out_m_s: float

    def __post_init__(self) -> None:
        if not self.rated_kw > 0.0:
            raise ValueError(f"rated_kw: {self.rated_kw} is not greater than 0")
        if not 0.0 <= self.cut_in_m_s < self.rated_m_s < self.cut_out_m_s < np.inf:
            speeds = f"{self.cut_in_m_s}, {self.rated_m_s}, {self.cut_out_m_s} m/s"
            raise ValueError(f"cut-in, rated and cut-out speed are {speeds}; each must be greater than the one before")


def wind_power_kw(plant: WindPlant, wind_m_s: Floats) -> Floats:
    """Compute generation from the wind at the hub [kW], same shape; nan where the wind is unknown."""
    low, high = plant.cut_in_m_s**3, plant.rated_m_s**3
    rising = np.clip((wind_m_s**3 - low) / (high - low), 0.0, 1.0)
    return np.where(wind_m_s >= plant.cut_out_m_s, 0.0, plant.rated_kw * rising)


def wind_at_hub_m_s(wind_m_s: Floats, measured_m: float, hub_m: float, *, alpha: float = NORMAL_PROFILE) -> Floats:
    """Carry wind from the height it is foreseen at to the hub; raises `ValueError` for heights not above 0 m."""
    if not (measured_m > 0.0 and hub_m > 0.0):
        raise ValueError(f"heights of {measured_m} m and {hub_m} m: both must be greater than 0")
    higher: Floats = wind_m_s * (hub_m / measured_m) ** alpha
    return higher
