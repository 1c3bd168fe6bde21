"""A heat pump that heats one building zone of two heat capacities.

    C_air  dT_air/dt  = (T_mass - T_air) / R_am + (T_out - T_air) / R_ao + Q_heat + gains
    C_mass dT_mass/dt = (T_air - T_mass) / R_am + (T_out - T_mass) / R_mo
    Q_heat = COP(T_out) * p,     0 <= p <= rated_kw,     COP = cop_0 + cop_slope * T_out (bounded to 1.5..6)

Discretised exactly over each slot (zero-order hold, matrix exponential). Comfort: T_lo - k <= T_air <= T_hi + k at the
end of each slot, k >= 0 priced per kelvin-hour. Objective: less the value of the heat left at the end,
value * (C_air * (T_air - T_lo) + C_mass * (T_mass - T_lo)).

Symbols: T [degC], C [kWh/K], R [K/kW], Q and p [kW] (p electric, into the asset), gains [kW].
Source of the structure: Bacher and Madsen, Identifying suitable models for the heat dynamics of buildings, Energy and
Buildings 43 (2011) 1511-1522. Pyomo: `optimization.blocks.heat_pump`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from optimization.assets.asset import AssetOf, AssetShape, Inputs, PowerBand, Values
from optimization.slots import Floats, Slots
from optimization.weights import Weights

COP_BOUNDS = (1.5, 6.0)


@dataclass(frozen=True, slots=True, eq=False)
class HeatPumpInputs(Inputs):
    """What is measured and foreseen; arrays of shape (n,).

    Args:
        temperature_c: zone air now.
        mass_c: building mass now (estimated).
        outdoor_c: foreseen.
        gains_kw: sun, people and appliances, foreseen.
        comfort_low_c: lower end of the comfort band.
        comfort_high_c: upper end of the comfort band.
        end_value_per_kwh: what a kWh of heat left in the building above `comfort_low_c` is worth [currency/kWh heat].
    """

    temperature_c: float
    mass_c: float
    outdoor_c: Floats
    gains_kw: Floats
    comfort_low_c: Floats
    comfort_high_c: Floats
    end_value_per_kwh: float = 0.0


@dataclass(frozen=True, slots=True)
class HeatPump(AssetOf[HeatPumpInputs]):
    """A heat pump and its zone.

    Args:
        id: asset id.
        bus: index of its bus in the grid.
        rated_kw: greatest electric power.
        cop_0: COP at 0 degC outdoors.
        cop_slope: change of COP per kelvin outdoors.
        air_kwh_per_k: heat capacity of air and furniture.
        mass_kwh_per_k: heat capacity of the building's mass.
        air_mass_k_per_kw: resistance between the two.
        air_out_k_per_kw: resistance from air to outdoors (ventilation, windows).
        mass_out_k_per_kw: resistance from mass to outdoors.
        power_factor: cos phi, lagging.
    """

    id: str
    rated_kw: float
    air_kwh_per_k: float
    mass_kwh_per_k: float
    air_mass_k_per_kw: float
    air_out_k_per_kw: float
    mass_out_k_per_kw: float
    bus: int = -1
    cop_0: float = 3.0
    cop_slope: float = 0.07
    power_factor: float = 0.97

    given = HeatPumpInputs
    is_anchored = True
    positive = (
        "rated_kw",
        "air_kwh_per_k",
        "mass_kwh_per_k",
        "air_mass_k_per_kw",
        "air_out_k_per_kw",
        "mass_out_k_per_kw",
    )
    finite = ("cop_0", "cop_slope")

    def coefficients(self, inputs: HeatPumpInputs, shape: AssetShape, slots: Slots, weights: Weights) -> Values:
        """Derive the zone's exact discretisation, its comfort band and what heat left at the end is worth."""
        keep, heat, outdoor = thermal(self, slots)
        cop = np.clip(self.cop_0 + self.cop_slope * inputs.outdoor_c, *COP_BOUNDS)
        measured = np.array([inputs.temperature_c, inputs.mass_c])
        start = (1.0 - slots.link)[:, None] * np.einsum("sij,j->si", keep, measured)
        fixed = start + outdoor * inputs.outdoor_c[:, None] + heat * inputs.gains_kw[:, None]
        linked, per_kw = keep * slots.link[:, None, None], heat * cop[:, None]
        end = inputs.end_value_per_kwh * slots.ends
        return {
            "air_keep": linked[:, 0, 0],
            "air_from_mass": linked[:, 0, 1],
            "mass_from_air": linked[:, 1, 0],
            "mass_keep": linked[:, 1, 1],
            "air_per_kw": per_kw[:, 0],
            "mass_per_kw": per_kw[:, 1],
            "air_fixed_c": fixed[:, 0],
            "mass_fixed_c": fixed[:, 1],
            "power_min_kw": np.zeros(len(slots)),
            "power_max_kw": np.full(len(slots), self.rated_kw),
            "low_c": inputs.comfort_low_c,
            "high_c": inputs.comfort_high_c,
            "discomfort_cost": weights.discomfort * slots.duration_h,
            "end_air": end * self.air_kwh_per_k,
            "end_mass": end * self.mass_kwh_per_k,
            "end_fixed": -end * (self.air_kwh_per_k + self.mass_kwh_per_k) * inputs.comfort_low_c,
        }

    def reach(self, inputs: HeatPumpInputs, slots: Slots) -> PowerBand:
        """Find what its compressor can take."""
        return PowerBand(np.zeros(len(slots)), np.full(len(slots), self.rated_kw))

    def narrowed(self, own: Values, band: PowerBand) -> Values:
        """Hold the power."""
        return {"power_min_kw": band.low_kw, "power_max_kw": band.high_kw}

    def input_faults(self, inputs: HeatPumpInputs) -> Iterator[str]:
        """Check the comfort band."""
        low, high = np.asarray(inputs.comfort_low_c), np.asarray(inputs.comfort_high_c)
        if low.shape == high.shape and (low > high).any():
            s = int((low > high).argmax())
            band = f"the comfort band of slot {s} is {low[s]}..{high[s]} degC"
            yield f"{self.id}: {band}; the lower end must not be above"


def thermal(asset: HeatPump, slots: Slots) -> tuple[Floats, Floats, Floats]:
    """Look up the exact discretisation of each slot: shapes (n, 2, 2), (n, 2) per kW heat, (n, 2) per degC outdoors."""
    lengths, which = np.unique(slots.duration_h, return_inverse=True)
    steps = [discretised(asset, float(h)) for h in lengths]
    keep, heat, outdoor = (np.array(part)[which] for part in zip(*steps, strict=True))
    return keep, heat, outdoor


@lru_cache(maxsize=1024)
def discretised(asset: HeatPump, step_h: float) -> tuple[Floats, Floats, Floats]:
    """Discretise the two-capacity zone over one step with inputs held: x' = Ad x + b_heat * Q + b_out * T_out.

    Ad = exp(A h) through the eigenvectors (A is similar to a symmetric matrix, so they are real), B = A^-1 (Ad - I) b.
    """
    air, mass = asset.air_kwh_per_k, asset.mass_kwh_per_k
    am, ao, mo = 1 / asset.air_mass_k_per_kw, 1 / asset.air_out_k_per_kw, 1 / asset.mass_out_k_per_kw
    a = np.array([[-(am + ao) / air, am / air], [am / mass, -(am + mo) / mass]])
    values, vectors = np.linalg.eig(a)
    keep = (vectors * np.exp(values * step_h)) @ np.linalg.inv(vectors)
    held = np.linalg.solve(a, keep - np.eye(2))
    return keep, held @ np.array([1 / air, 0.0]), held @ np.array([ao / air, mo / mass])
