"""What a site file may say of modules and a battery behind one inverter."""

from __future__ import annotations

from typing import Literal

from ems.config.on_phase import OnPhase
from ems.config.placed import Sheddable
from ems.config.planes import ModulePlane
from ems.config.strict import Finite, NotNegative, Percent, Positive, Share, later


class HybridAsset(Sheddable, OnPhase):
    """Modules and a battery on one direct-current bus behind one inverter; symbols as in optimization/assets/hybrid.py.

    `rated_kw` is the most that the inverter gives on its grid side, `take_kw` the most that it takes there; 0 where it
    never charges from the grid. `module_kw` are at 1000 W/m2 on their planes and 25 degC. What the battery can and
    loses counts on the direct-current bus. The device itself keeps the charge within `soc_min_pct` and `soc_max_pct`.
    `end_value_per_kwh` [currency/kWh] is what a kWh left at a plan's end is worth; None to take it from the prices.
    """

    kind: Literal["hybrid"]
    device: str
    bus: str
    rated_kw: Positive
    take_kw: NotNegative = 0.0
    give_efficiency: Share = 0.97
    take_efficiency: Share = 0.97
    module_kw: Positive
    temperature_per_k: Finite = -0.004
    capacity_kwh: Positive
    charge_kw: Positive
    discharge_kw: Positive
    charge_efficiency: Share = 0.97
    discharge_efficiency: Share = 0.97
    standby_kw: NotNegative = 0.0
    soc_min_pct: Percent = 5.0
    soc_max_pct: Percent = 95.0
    wear_per_kwh: NotNegative = 0.0
    power_factor: Share = 1.0
    planes: tuple[ModulePlane, ...] = later(())
    end_value_per_kwh: NotNegative | None = later(None)

    def at_grid_kw(self, bus_kw: float) -> float:
        """Give the power at its grid side that the direct-current bus gives or gets, within no limits [kW].

        Both are positive from the grid to the bus.
        """
        return bus_kw / self.take_efficiency if bus_kw > 0.0 else bus_kw * self.give_efficiency
