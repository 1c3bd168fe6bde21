"""What makes heat or cold for a tank, as it truly is: a burner, a heating rod, a heat pump, a chiller.

    burner:     heat follows (eta - bend * (T_bottom - 50 degC)) * fuel with a lag, after a purge of `PURGE_S`
    rod:        heat = eta * p
    heat pump:  heat = share * T_hot / (T_hot - T_cold) * p,   T_hot = outlet + Q / ua,  T_cold = source - Q / ua
    chiller:    cold = share * T_cold / (T_hot - T_cold) * p,  T_cold = outlet - Q / ua,  T_hot = source + (Q + p) / ua

T absolute in the quotient, Q [kW] the heat or cold given a moment ago, ua [kW/K] of a heat exchanger, outlet the water
that leaves for the tank: its bottom, warmed by Q over the charging flow. So the figure falls with the load and with the
tank's heat. Each stops by itself at a safety thermostat above the tank's band; left alone it heats from `ON` to `OFF`
of the band. Own derivation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from hil.plant.ambient import Ambient, approach
from hil.plant.draws import off
from hil.plant.heat import Tank

ON, OFF = 0.1, 0.5
SAFETY_K = 6.0
PURGE_S = 25.0
FLAME = 0.03
"""A burner changes by so large a share of its rating in a second."""
WATER_LAG_S = 60.0
ROD_LAG_S = 4.0
COMPRESSOR_LAG_S = 15.0
EXCHANGED_K = 4.0
"""Each heat exchanger of a heat pump is laid out for so many kelvins at full load."""
FROST_C = (-4.0, 4.0)
FROST_SHARE = 0.93
ZERO_K = 273.15


@dataclass(slots=True)
class Thermostat:
    """What a maker does by itself; `band_c` is that of its tank."""

    tank: Tank
    band_c: tuple[float, float]
    heats: bool = False

    def wants(self) -> bool:
        """Tell whether it heats while it is left alone."""
        low_c, high_c = self.band_c
        share = (self.tank.mean_c - low_c) / (high_c - low_c)
        self.heats = share < ON or (self.heats and share < OFF)
        return self.heats

    def trips(self) -> bool:
        """Tell whether the safety thermostat stops it."""
        return self.tank.mean_c > self.band_c[1] + SAFETY_K


class Burner(IntEnum):
    """What a burner does."""

    STANDS = 0
    BURNS = 1
    PURGES = 2


@dataclass(slots=True)
class Boiler:
    """A boiler that burns fuel; it has no power.

    Args:
        rated_kw, least_kw: fuel. eta: heat for a kW of fuel into cool water. bend: less of it for each kelvin.
        thermostat: by which it goes alone, and stops.
        setpoint_kw: fuel that it is told to burn; None leaves it alone.
    """

    rated_kw: float
    least_kw: float
    eta: float
    bend: float
    thermostat: Thermostat
    setpoint_kw: float | None = None
    fuel_kw: float = 0.0
    fuel_kwh: float = 0.0
    heat_kw: float = 0.0
    heat_kwh: float = 0.0
    starts: int = 0
    burner: Burner = Burner.STANDS
    _for_s: float = 0.0

    bus: str = ""
    power_kw: float = 0.0
    reactive_kvar: float = 0.0

    @classmethod
    def drawn(
        cls, rng: np.random.Generator, thermostat: Thermostat, *, rated_kw: float, least_kw: float, efficiency: float
    ) -> Boiler:
        """Draw the true boiler around its site-file figures."""
        eta = efficiency * float(rng.uniform(0.96, 1.02))
        return cls(off(rng, rated_kw, 0.01, 0.04), least_kw, eta, float(rng.uniform(0.0005, 0.0015)), thermostat)

    def command(self, power_kw: float | None) -> None:
        """Tell it how much fuel to burn [kW]; None leaves it alone."""
        self.setpoint_kw = power_kw

    def step(self, ambient: Ambient, dt_s: float) -> None:  # noqa: ARG002 -- it stands at no bus
        """Purge, burn, give heat."""
        asked_kw = self.setpoint_kw
        if asked_kw is None:
            asked_kw = self.rated_kw if self.thermostat.wants() else 0.0
        wanted_kw = min(asked_kw, self.rated_kw)
        runs = wanted_kw > 0.0 and wanted_kw >= self.least_kw - 1e-6 and not self.thermostat.trips()
        self._for_s += dt_s
        self._turn(runs=runs)
        reach_kw = FLAME * self.rated_kw * dt_s
        if self.burner is Burner.BURNS:
            near_kw = min(max(wanted_kw, self.fuel_kw - reach_kw), self.fuel_kw + reach_kw)
            self.fuel_kw = max(near_kw, self.least_kw)
        else:
            self.fuel_kw = 0.0
        eta = self.eta - self.bend * (self.thermostat.tank.bottom_c - 50.0)
        self.heat_kw = approach(self.heat_kw, eta * self.fuel_kw, dt_s, WATER_LAG_S)
        self.fuel_kwh += self.fuel_kw * dt_s / 3600.0
        self.heat_kwh += self.heat_kw * dt_s / 3600.0

    def _turn(self, *, runs: bool) -> None:
        if not runs:
            self.burner = Burner.STANDS
        elif self.burner is Burner.STANDS:
            self.burner, self._for_s = Burner.PURGES, 0.0
        elif self.burner is Burner.PURGES and self._for_s >= PURGE_S:
            self.burner, self.starts = Burner.BURNS, self.starts + 1

    def state(self) -> Mapping[str, float]:
        """Tell fuel and heat [kW, kWh], starts, and what the burner does."""
        return {
            "fuel_kw": self.fuel_kw,
            "fuel_kwh": self.fuel_kwh,
            "heat_kwh": self.heat_kwh,
            "starts": float(self.starts),
            "burner_state": float(self.burner),
        }


@dataclass(slots=True)
class Rod:
    """An electric boiler.

    Args:
        bus: name of its bus. rated_kw, least_kw: electric. eta: heat for a kW of power.
        thermostat: by which it goes alone, and stops. setpoint_kw: None leaves it alone.
    """

    bus: str
    rated_kw: float
    least_kw: float
    eta: float
    thermostat: Thermostat
    tan_phi: float = 0.0
    setpoint_kw: float | None = None
    power_kw: float = 0.0
    energy_kwh: float = 0.0
    heat_kw: float = 0.0
    heat_kwh: float = 0.0
    lag_s: float = ROD_LAG_S

    @property
    def reactive_kvar(self) -> float:
        """Reactive power into it [kvar]."""
        return self.power_kw * self.tan_phi

    def command(self, power_kw: float | None) -> None:
        """Tell it a power [kW]; None leaves it alone."""
        self.setpoint_kw = power_kw

    def step(self, ambient: Ambient, dt_s: float) -> None:
        """Take power, give heat."""
        asked_kw = self.setpoint_kw
        if asked_kw is None:
            asked_kw = self.rated_kw if self.thermostat.wants() else 0.0
        target_kw = min(asked_kw, self.rated_kw)
        if target_kw < self.least_kw - 1e-6 or self.thermostat.trips() or not ambient.feeds(self.bus):
            target_kw = 0.0
        self.power_kw = approach(self.power_kw, target_kw, dt_s, self.lag_s) if ambient.feeds(self.bus) else 0.0
        self.heat_kw = approach(self.heat_kw, self.figure(ambient) * self.power_kw, dt_s, WATER_LAG_S)
        self.energy_kwh += self.power_kw * dt_s / 3600.0
        self.heat_kwh += self.heat_kw * dt_s / 3600.0

    def figure(self, ambient: Ambient) -> float:  # noqa: ARG002 -- a heat pump's depends on the weather
        """Give the heat for a kW of power."""
        return self.eta

    def state(self) -> Mapping[str, float]:
        """Tell power [kW] and energy [kWh], heat [kWh]."""
        return {"power_kw": self.power_kw, "energy_kwh": self.energy_kwh, "heat_kwh": self.heat_kwh}


@dataclass(slots=True)
class Lifter(Rod):
    """A heat pump on a tank.

    Args:
        share: of Carnot's figure between the temperatures of its refrigerant.
        ua_kw_per_k: of each heat exchanger. source_c: ground or water; None for outdoor air.
    """

    share: float = 0.45
    ua_kw_per_k: float = 1.0
    source_c: float | None = None

    def figure(self, ambient: Ambient) -> float:
        """Give the heat for a kW of power from both temperatures and the load of a moment ago."""
        source_c = ambient.outdoor_c if self.source_c is None else self.source_c
        tank = self.thermostat.tank
        outlet_c = tank.bottom_c + self.heat_kw / tank.charge_flow
        hot_k = outlet_c + self.heat_kw / self.ua_kw_per_k + ZERO_K
        cold_k = source_c - max(self.heat_kw - self.power_kw, 0.0) / self.ua_kw_per_k + ZERO_K
        figure = self.share * hot_k / max(hot_k - cold_k, 12.0)
        frosts = self.source_c is None and FROST_C[0] < source_c < FROST_C[1]
        return max(figure * (FROST_SHARE if frosts else 1.0), 1.0)


@dataclass(slots=True)
class Chiller(Lifter):
    """A chiller on a tank of cold: what it takes out of the water it gives to its source."""

    def figure(self, ambient: Ambient) -> float:
        """Give the cold for a kW of power from both temperatures and the load of a moment ago."""
        source_c = ambient.outdoor_c if self.source_c is None else self.source_c
        tank = self.thermostat.tank
        outlet_c = tank.sign * (tank.bottom_c + self.heat_kw / tank.charge_flow)
        cold_k = outlet_c - self.heat_kw / self.ua_kw_per_k + ZERO_K
        hot_k = source_c + (self.heat_kw + self.power_kw) / self.ua_kw_per_k + ZERO_K
        return self.share * cold_k / max(hot_k - cold_k, 12.0)
