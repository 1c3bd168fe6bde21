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

from dataclasses import dataclass

from optimization.slots import Floats


@dataclass(frozen=True, slots=True)
class HeatPump:
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


@dataclass(frozen=True, slots=True, eq=False)
class HeatPumpInputs:
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
