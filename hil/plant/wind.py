"""A wind turbine.

    v_hub = v_10 * ln(z / z0) / ln(10 / z0),     p_wind = rated * (v_hub / v_rated)^3 * rho / 1.225
    available = min(rated, p_wind * (1 - (v_in / v_hub)^2))      between cut-in and cut-out, as the gust of the last
    `STORM_S` shows them; after a storm it turns again below `CALM` of the cut-out speed
    p follows -min(available, limit) with a lag of `LAG_S`, as the rotor stores its momentum

v_10 [m/s] the wind 10 m above the ground, z [m] the hub, z0 [m] the roughness of fields (0.05, open farm land), rho
[kg/m3] the density of air at its temperature. Log law: R. B. Stull, An Introduction to Boundary Layer Meteorology
(1988), 9.7. The loss near cut-in and the lag are an own derivation.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hil.plant.ambient import Ambient, approach
from hil.plant.draws import Floats, off
from hil.plant.inverter import Inverter
from hil.plant.phase_places import seen_pu

ROUGH_M = 0.05
MEASURED_M = 10.0
LAG_S = 8.0
STORM_S = 60.0
CALM = 0.85
NORMAL_KG_M3, NORMAL_K = 1.225, 288.15


@dataclass(slots=True)
class Turbine:
    """A wind turbine as it truly is.

    Args:
        bus: name of its bus. rated_kw: nameplate. hub_m: height of its hub.
        cut_in_m_s, full_m_s, cut_out_m_s: it gives nothing below, its rating from, and stands from these on.
        limit_kw: most generation that it is told; None for no limit.
        stormed: whether it stands because of a storm.
    """

    bus: str
    rated_kw: float
    hub_m: float
    cut_in_m_s: float
    full_m_s: float
    cut_out_m_s: float
    power_kw: float = 0.0
    energy_kwh: float = 0.0
    limit_kw: float | None = None
    stormed: bool = False
    inverter: Inverter | None = None
    _gust_m_s: float = 0.0

    @classmethod
    def drawn(
        cls, rng: np.random.Generator, *, bus: str, rated_kw: float, hub_m: float,
        speeds_m_s: tuple[float, float, float], inverter: Inverter | None = None,
    ) -> Turbine:  # fmt: skip
        """Draw the true turbine around its site-file figures; dirty blades only ever take power away."""
        cut_in, full, cut_out = speeds_m_s
        cut_in, full = off(rng, cut_in), full * (1.0 + float(rng.uniform(0.01, 0.05)))
        return cls(bus, rated_kw, hub_m, cut_in, full, cut_out, inverter=inverter)

    @property
    def reactive_kvar(self) -> float:
        """Reactive power [kvar]: that of its converter's curves; none without any."""
        return self.inverter.kvar if self.inverter is not None else 0.0

    def hub_m_s(self, wind_m_s: float | Floats) -> Floats:
        """Give the wind at the hub [m/s] from that at 10 m."""
        up = math.log(self.hub_m / ROUGH_M) / math.log(MEASURED_M / ROUGH_M)
        return np.asarray(wind_m_s, dtype=float) * up

    def available_kw(self, wind_m_s: float | Floats, outdoor_c: float | Floats) -> Floats:
        """Give the power that the wind allows, storms aside [kW]: wind at 10 m [m/s], outdoor temperature [degC]."""
        hub = self.hub_m_s(wind_m_s)
        density = NORMAL_KG_M3 * NORMAL_K / (273.15 + np.asarray(outdoor_c, dtype=float))
        turning = 1.0 - (self.cut_in_m_s / np.maximum(hub, self.cut_in_m_s)) ** 2
        blown = self.rated_kw * (hub / self.full_m_s) ** 3 * density / NORMAL_KG_M3 * turning
        return np.where(hub >= self.cut_out_m_s, 0.0, np.clip(blown, 0.0, self.rated_kw))

    def command(self, power_kw: float | None) -> None:
        """Limit the generation [kW, either sign]; None lifts the limit."""
        self.limit_kw = None if power_kw is None else abs(power_kw)

    def step(self, ambient: Ambient, dt_s: float) -> None:
        """Follow wind and limit; stand in a storm, and dark."""
        hub = float(self.hub_m_s(ambient.wind_m_s))
        self._gust_m_s = max(hub, approach(self._gust_m_s, hub, dt_s, STORM_S))
        self.stormed = self._gust_m_s >= (CALM if self.stormed else 1.0) * self.cut_out_m_s
        turns = ambient.feeds(self.bus) and not self.stormed
        available = float(self.available_kw(ambient.wind_m_s, ambient.outdoor_c)) if turns else 0.0
        target = available if self.limit_kw is None else min(available, self.limit_kw)
        if self.inverter is not None:
            self.inverter.step(self.power_kw, seen_pu(ambient.voltage_pu, self.bus), dt_s)
            target = min(target, self.inverter.most_given_kw)
        self.power_kw = approach(self.power_kw, -ambient.pv_share * target, dt_s, LAG_S) if turns else 0.0
        self.energy_kwh -= self.power_kw * dt_s / 3600.0

    def state(self) -> Mapping[str, float]:
        """Tell power [kW] and energy generated since the start [kWh]."""
        return {"power_kw": self.power_kw, "energy_kwh": self.energy_kwh}
