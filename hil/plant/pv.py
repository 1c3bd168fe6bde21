"""A photovoltaic plant.

    dc = module_kw * G / 1000 * (1 + gamma * (T_cell - 25)),    ac = dc - a - b * dc - c * dc^2 / rated
    T_cell follows T_out + 0.03 * G with a lag of 5 min
    p = -min(ac, rated, limit)       with a lag of 2 s

G [W/m2] on the plane. Inverter losses: quadratic model, Schmidt and Sauer, Wechselrichter-Wirkungsgrade praxisgerecht
modellieren und simulieren, Sonnenenergie 4 (1996). Cell temperature: nominal operating cell temperature model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from hil.plant.ambient import Ambient, approach
from hil.plant.draws import Floats, off
from hil.plant.inverter import Inverter
from hil.plant.phase_places import seen_pu

LAG_S = 2.0
CELL_LAG_S = 300.0

Numbers = TypeVar("Numbers", float, Floats)


def array_kw(module_kw: float, per_k: float, irradiance_w_m2: Numbers, cell_c: Numbers) -> Numbers:
    """Give the DC power of modules, of one instant or of many [kW]."""
    return module_kw * irradiance_w_m2 / 1000.0 * (1.0 + per_k * (cell_c - 25.0))


@dataclass(slots=True)
class Pv:
    """A PV plant as it truly is.

    Args:
        bus: name of its bus.
        rated_kw: nameplate of the inverter.
        module_kw: DC power at 1000 W/m2 and 25 degC.
        temperature_per_k: change of the DC power per kelvin of the cells.
    """

    bus: str
    rated_kw: float
    module_kw: float
    temperature_per_k: float
    power_kw: float = 0.0
    energy_kwh: float = 0.0
    limit_kw: float | None = None
    cell_c: float | None = None
    inverter: Inverter | None = None

    @classmethod
    def drawn(
        cls, rng: np.random.Generator, *, bus: str, rated_kw: float, module_kw: float, per_k: float,
        inverter: Inverter | None = None,
    ) -> Pv:  # fmt: skip
        """Draw the true plant around its site-file figures; dirt and ageing only ever take power away."""
        module_kw *= 1.0 - float(rng.uniform(0.05, 0.10))
        return cls(bus, rated_kw, module_kw, off(rng, per_k), inverter=inverter)

    @property
    def reactive_kvar(self) -> float:
        """Reactive power [kvar]: that of its inverter's curves; none without any."""
        return self.inverter.kvar if self.inverter is not None else 0.0

    def available_kw(self, irradiance_w_m2: float | Floats, cell_c: float | Floats) -> Floats:
        """Give the AC power that sun and inverter allow [kW]."""
        dc = array_kw(self.module_kw, self.temperature_per_k, np.asarray(irradiance_w_m2), np.asarray(cell_c))
        loss = 0.003 * self.rated_kw + 0.01 * dc + 0.012 * dc * dc / self.rated_kw
        return np.clip(dc - loss, 0.0, self.rated_kw)

    def command(self, power_kw: float | None) -> None:
        """Limit the generation [kW, either sign]; None lifts the limit."""
        self.limit_kw = None if power_kw is None else abs(power_kw)

    def step(self, ambient: Ambient, dt_s: float) -> None:
        """Follow sun, cell temperature and limit."""
        cell_c = ambient.outdoor_c + 0.03 * ambient.irradiance_w_m2
        self.cell_c = cell_c if self.cell_c is None else approach(self.cell_c, cell_c, dt_s, CELL_LAG_S)
        share = ambient.pv_share if ambient.feeds(self.bus) else 0.0
        available = share * self._available_kw(ambient.irradiance_w_m2, self.cell_c)
        target = available if self.limit_kw is None else min(available, self.limit_kw)
        if self.inverter is not None:
            self.inverter.step(self.power_kw, seen_pu(ambient.voltage_pu, self.bus), dt_s)
            target = min(target, self.inverter.most_given_kw)
        self.power_kw = max(-available, approach(self.power_kw, -target, dt_s, LAG_S))
        self.energy_kwh -= self.power_kw * dt_s / 3600.0

    def state(self) -> Mapping[str, float]:
        """Tell power [kW] and energy generated since the start [kWh]."""
        return {"power_kw": self.power_kw, "energy_kwh": self.energy_kwh}

    def _available_kw(self, irradiance_w_m2: float, cell_c: float) -> float:
        """Give the same as `available_kw` for one instant: arrays of one cost twenty times as much."""
        dc = array_kw(self.module_kw, self.temperature_per_k, irradiance_w_m2, cell_c)
        loss = 0.003 * self.rated_kw + 0.01 * dc + 0.012 * dc * dc / self.rated_kw
        return min(max(dc - loss, 0.0), self.rated_kw)
