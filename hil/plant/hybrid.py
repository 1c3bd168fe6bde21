"""Modules and a battery on one direct-current bus behind one inverter.

    sun_dc = module_kw * G / 1000 * (1 + gamma * (T_cell - 25))        as of a PV plant
    store = sun + bus,    bus = eta_take * p while p > 0, else p / eta_give
    p follows the power that it is told within -rated..take, with a lag of 2 s

The battery is the one of `hil.plant.battery`, its terminals on the bus. Sun that neither it nor the grid side takes is
held back; where it cannot take what the grid side brings, or give what the grid side wants, the grid side gives way.
Outside the charge that is set in it, it only comes back. Told nothing, it gives what sun there is. Own derivation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hil.plant.ambient import Ambient, approach
from hil.plant.battery import Battery
from hil.plant.draws import Floats, off
from hil.plant.pv import CELL_LAG_S, array_kw

LAG_S = 2.0
HELD_BACK_KW = 0.05


@dataclass(slots=True)
class Hybrid:
    """A hybrid as it truly is.

    Args:
        bus: name of its bus.
        rated_kw: most that its inverter gives to the grid. take_kw: most that it takes from there.
        give_efficiency, take_efficiency: of its inverter, from the direct-current bus to the grid and back.
        module_kw: power of the modules at 1000 W/m2 and 25 degC. temperature_per_k: its change per kelvin of the cells.
        battery: behind it.
        band_pct: charge that the battery is kept within [%].
        tan_phi: reactive over active power.
    """

    bus: str
    rated_kw: float
    take_kw: float
    give_efficiency: float
    take_efficiency: float
    module_kw: float
    temperature_per_k: float
    battery: Battery
    band_pct: tuple[float, float]
    tan_phi: float = 0.0
    power_kw: float = 0.0
    sun_kw: float = 0.0
    held_back_kw: float = 0.0
    taken_kwh: float = 0.0
    given_kwh: float = 0.0
    sun_kwh: float = 0.0
    setpoint_kw: float | None = None
    cell_c: float | None = None

    @classmethod
    def drawn(
        cls, rng: np.random.Generator, *, bus: str, rated_kw: float, take_kw: float, efficiencies: tuple[float, float],
        module_kw: float, per_k: float, battery: Battery, band_pct: tuple[float, float], tan_phi: float = 0.0,
    ) -> Hybrid:  # fmt: skip
        """Draw the true one around its site-file figures; dirt and ageing only ever take power away."""
        give, take = (1.0 - off(rng, 1.0 - each) for each in efficiencies)
        module_kw *= 1.0 - float(rng.uniform(0.05, 0.10))
        return cls(bus, rated_kw, take_kw, give, take, module_kw, off(rng, per_k), battery, band_pct, tan_phi)

    @property
    def reactive_kvar(self) -> float:
        """Reactive power into it [kvar]."""
        return self.power_kw * self.tan_phi

    def available_kw(self, irradiance_w_m2: float | Floats, cell_c: float | Floats) -> Floats:
        """Give what the sun may give at the grid side, had it no battery [kW]."""
        return np.minimum(self.give_efficiency * self.array_kw(irradiance_w_m2, cell_c), self.rated_kw)

    def array_kw(self, irradiance_w_m2: float | Floats, cell_c: float | Floats) -> Floats:
        """Give what the sun offers on the direct-current bus [kW]."""
        warm = np.asarray(irradiance_w_m2), np.asarray(cell_c)
        return np.maximum(array_kw(self.module_kw, self.temperature_per_k, *warm), 0.0)

    def command(self, power_kw: float | None) -> None:
        """Set the power at the grid side [kW], positive into it; None lets it give its sun."""
        self.setpoint_kw = power_kw

    def step(self, ambient: Ambient, dt_s: float) -> None:
        """Share out the sun, follow the set-point, keep the charge in its limits."""
        cell_c = ambient.outdoor_c + 0.03 * ambient.irradiance_w_m2
        self.cell_c = cell_c if self.cell_c is None else approach(self.cell_c, cell_c, dt_s, CELL_LAG_S)
        sun = array_kw(self.module_kw, self.temperature_per_k, ambient.irradiance_w_m2, self.cell_c)
        sun = max(0.0, sun) * ambient.pv_share
        wanted = 0.0
        if ambient.feeds(self.bus):
            told = -self.give_efficiency * sun if self.setpoint_kw is None else self.setpoint_kw
            wanted = approach(self.power_kw, min(max(told, -self.rated_kw), self.take_kw), dt_s, LAG_S)
        least, most = self._cells_kw()
        bus_kw = wanted * self.take_efficiency if wanted > 0.0 else wanted / self.give_efficiency
        store_kw = min(max(bus_kw + sun, least), most)
        self.sun_kw = min(max(store_kw - bus_kw, 0.0), sun)
        self.held_back_kw = sun - self.sun_kw
        bus_kw = store_kw - self.sun_kw
        self.power_kw = bus_kw / self.take_efficiency if bus_kw > 0.0 else bus_kw * self.give_efficiency
        self.battery.form(store_kw)
        self.battery.step(ambient, dt_s)
        self._count(dt_s / 3600.0)

    def _cells_kw(self) -> tuple[float, float]:
        """Give the least and the greatest power that the battery may take now [kW]."""
        (low, high), soc = self.band_pct, self.battery.soc_pct
        least, most = self.battery.limits_kw()
        return 0.0 if soc <= low else least, 0.0 if soc >= high else most

    def _count(self, hours: float) -> None:
        self.taken_kwh += max(self.power_kw, 0.0) * hours
        self.given_kwh += max(-self.power_kw, 0.0) * hours
        self.sun_kwh += self.sun_kw * hours

    def state(self) -> Mapping[str, float]:
        """Tell powers [kW], whether sun is held back, the charge [%], what is stored and what was counted [kWh]."""
        return {
            "power_kw": self.power_kw,
            "import_kwh": self.taken_kwh,
            "export_kwh": self.given_kwh,
            "sun_kw": self.sun_kw,
            "sun_kwh": self.sun_kwh,
            "sun_state": float(self.held_back_kw > HELD_BACK_KW),
            "store_kw": self.battery.power_kw,
            "store_in_kwh": self.battery.charged_kwh,
            "store_out_kwh": self.battery.discharged_kwh,
            "soc_pct": self.battery.soc_pct,
            "energy_kwh": self.battery.energy_kwh,
        }
