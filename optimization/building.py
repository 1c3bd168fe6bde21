"""A building zone of two heat capacities: the numbers of the rows of `optimization.blocks.building`.

    C_air  dT_air/dt  = (T_mass - T_air) / R_am + (T_out - T_air) / R_ao + Q + gains
    C_mass dT_mass/dt = (T_air - T_mass) / R_am + (T_out - T_mass) / R_mo

Discretised exactly over each slot (zero-order hold, matrix exponential). Comfort: T_lo - k <= T_air <= T_hi + k at the
end of each slot, k >= 0 priced per kelvin-hour (`optimization.weights.standing_h`). Objective: less the value of the
heat left at the end, value * (C_air * (T_air - T_lo) + C_mass * (T_mass - T_lo)).

Symbols: T [degC], C [kWh/K], R [K/kW], Q [kW] heat that is chosen, gains [kW] heat that is not. Source of the
structure: Bacher and Madsen, Identifying suitable models for the heat dynamics of buildings, Energy and Buildings 43
(2011) 1511-1522.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from functools import lru_cache
from typing import Protocol

import numpy as np

from optimization.assets.asset import Values
from optimization.slots import Floats, Slots
from optimization.weights import Weights, quantised, standing_h

POSITIVE = ("air_kwh_per_k", "mass_kwh_per_k", "air_mass_k_per_kw", "air_out_k_per_kw", "mass_out_k_per_kw")


class Building(Hashable, Protocol):
    """What does not change of a zone."""

    @property
    def air_kwh_per_k(self) -> float:
        """Heat capacity of air and furniture."""

    @property
    def mass_kwh_per_k(self) -> float:
        """Heat capacity of the building's mass."""

    @property
    def air_mass_k_per_kw(self) -> float:
        """Resistance between the two."""

    @property
    def air_out_k_per_kw(self) -> float:
        """Resistance from air to outdoors (ventilation, windows)."""

    @property
    def mass_out_k_per_kw(self) -> float:
        """Resistance from mass to outdoors."""


class Weather(Protocol):
    """What is measured and foreseen of a zone; arrays of shape (n,)."""

    @property
    def temperature_c(self) -> float:
        """Zone air now."""

    @property
    def mass_c(self) -> float:
        """Building mass now (estimated)."""

    @property
    def outdoor_c(self) -> Floats:
        """Foreseen."""

    @property
    def comfort_low_c(self) -> Floats:
        """Lower end of the comfort band."""

    @property
    def comfort_high_c(self) -> Floats:
        """Upper end of the comfort band."""

    @property
    def end_value_per_kwh(self) -> float:
        """What a kWh of heat left above `comfort_low_c` is worth [currency/kWh heat]."""


def coefficients(
    zone: Building, inputs: Weather, slots: Slots, weights: Weights, *, gains_kw: Floats, heat_per_kw: Floats
) -> Values:
    """Derive the zone's exact discretisation, its comfort band and what heat left at the end is worth.

    Args:
        zone: what does not change.
        inputs: its state, weather and comfort.
        slots: the horizon.
        weights: the price of discomfort.
        gains_kw: heat that nobody chooses, shape (n,).
        heat_per_kw: heat for each kW that is chosen, shape (n,).
    """
    keep, heat, outdoor = thermal(zone, slots)
    measured = np.array([inputs.temperature_c, inputs.mass_c])
    start = (1.0 - slots.link)[:, None] * np.einsum("sij,j->si", keep, measured)
    fixed = start + outdoor * inputs.outdoor_c[:, None] + heat * gains_kw[:, None]
    linked, per_kw = keep * slots.link[:, None, None], heat * heat_per_kw[:, None]
    end = quantised(inputs.end_value_per_kwh) * slots.ends
    return {
        "air_keep": linked[:, 0, 0],
        "air_from_mass": linked[:, 0, 1],
        "mass_from_air": linked[:, 1, 0],
        "mass_keep": linked[:, 1, 1],
        "air_per_kw": per_kw[:, 0],
        "mass_per_kw": per_kw[:, 1],
        "air_fixed_c": fixed[:, 0],
        "mass_fixed_c": fixed[:, 1],
        "low_c": inputs.comfort_low_c,
        "high_c": inputs.comfort_high_c,
        "discomfort_cost": weights.discomfort * standing_h(slots),
        "end_air": end * zone.air_kwh_per_k,
        "end_mass": end * zone.mass_kwh_per_k,
        "end_fixed": -end * (zone.air_kwh_per_k + zone.mass_kwh_per_k) * inputs.comfort_low_c,
    }


def comfort_faults(asset_id: str, inputs: Weather) -> Iterator[str]:
    """Check the comfort band."""
    low, high = np.asarray(inputs.comfort_low_c), np.asarray(inputs.comfort_high_c)
    if low.shape == high.shape and (low > high).any():
        s = int((low > high).argmax())
        band = f"the comfort band of slot {s} is {low[s]}..{high[s]} degC"
        yield f"{asset_id}: {band}; the lower end must not be above"


def thermal(zone: Building, slots: Slots) -> tuple[Floats, Floats, Floats]:
    """Look up the exact discretisation of each slot: shapes (n, 2, 2), (n, 2) per kW heat, (n, 2) per degC outdoors."""
    lengths, which = np.unique(slots.duration_h, return_inverse=True)
    steps = [discretised(zone, float(h)) for h in lengths]
    keep, heat, outdoor = (np.array(part)[which] for part in zip(*steps, strict=True))
    return keep, heat, outdoor


@lru_cache(maxsize=1024)
def discretised(zone: Building, step_h: float) -> tuple[Floats, Floats, Floats]:
    """Discretise the two-capacity zone over one step with inputs held: x' = Ad x + b_heat * Q + b_out * T_out.

    Ad = exp(A h) through the eigenvectors (A is similar to a symmetric matrix, so they are real), B = A^-1 (Ad - I) b.
    """
    air, mass = zone.air_kwh_per_k, zone.mass_kwh_per_k
    am, ao, mo = 1 / zone.air_mass_k_per_kw, 1 / zone.air_out_k_per_kw, 1 / zone.mass_out_k_per_kw
    a = np.array([[-(am + ao) / air, am / air], [am / mass, -(am + mo) / mass]])
    values, vectors = np.linalg.eig(a)
    keep = (vectors * np.exp(values * step_h)) @ np.linalg.inv(vectors)
    held = np.linalg.solve(a, keep - np.eye(2))
    return keep, held @ np.array([1 / air, 0.0]), held @ np.array([ao / air, mo / mass])
