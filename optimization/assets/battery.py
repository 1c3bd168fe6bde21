"""A stationary battery.

    e[s] = e[parent] + (eta_c * c[s] - d[s] / eta_d - standby) * h[s]
    p[s] = c[s] - d[s],     0 <= c[s] <= charge_kw,  0 <= d[s] <= discharge_kw
    e_min - o[s] <= e[s] <= e_max + o[s],     0 <= o[s] <= o[parent]
    at most one of c[s] and d[s] above zero

Symbols: e [kWh] stored at the end of the slot, c and d [kW] at the terminals, eta one-way efficiencies, standby [kW],
h [h], o [kWh] how far outside its band the store may be: what was measured at first, never growing, and priced.
Objective: wear [currency/kWh] on d, and the value of the energy left at the end of the horizon. Own derivation.
Pyomo: `optimization.blocks.battery`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Battery:
    """A stationary battery behind one inverter.

    Args:
        id: asset id.
        bus: index of its bus in the grid.
        capacity_kwh: usable energy between 0 and 100 % state of charge.
        charge_kw: greatest charging power at the terminals.
        discharge_kw: greatest discharging power at the terminals.
        charge_efficiency: one way, 0..1.
        discharge_efficiency: one way, 0..1.
        standby_kw: own consumption taken from the store.
        soc_min_pct: lower end of the planning band.
        soc_max_pct: upper end of the planning band.
        wear_per_kwh: cost of a kWh discharged [currency/kWh].
    """

    id: str
    capacity_kwh: float
    charge_kw: float
    discharge_kw: float
    bus: int = -1
    charge_efficiency: float = 0.96
    discharge_efficiency: float = 0.96
    standby_kw: float = 0.0
    soc_min_pct: float = 5.0
    soc_max_pct: float = 95.0
    wear_per_kwh: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class BatteryInputs:
    """What is measured and what the end is worth.

    Args:
        energy_kwh: measured now; any value is accepted, also outside the band.
        end_value_per_kwh: what a kWh left at the end of the horizon is worth [currency/kWh].
    """

    energy_kwh: float
    end_value_per_kwh: float = 0.0
