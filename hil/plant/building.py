"""A building zone of two heat capacities with a heat pump and the thermostat that came with it.

    C_a dT_a/dt = (T_m - T_a) / R_am + (T_out - T_a) / R_ao + Q + gains + 0.7 * sun
    C_m dT_m/dt = (T_a - T_m) / R_am + (T_out - T_m) / R_mo + 0.3 * sun
    Q = COP(T_out, p) * p,   COP = (c0 + c1 * T_out) * (1.06 - 0.12 * p / rated), bounded to 1.5..6

A commanded compressor runs at what it is told, but not below its minimum; half of that or less stops it. Left alone,
the thermostat holds the floor of the comfort band and warms up two hours before people come. Whatever is commanded,
it protects the extremes: off at 27 degC, full below the unoccupied floor less 2.5 K. Explicit Euler: the fastest time
constant is an hour. Own derivation on the structure of Bacher and Madsen, Energy and Buildings 43 (2011) 1511-1522.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hil.plant.ambient import Ambient, approach
from hil.plant.draws import off
from hil.plant.hydronics import Hydronics

LAG_S = 6.0
RESTS_S = 120.0
"""A compressor does not start earlier after its power was away."""
HOT_C = 27.0
FROST_BELOW_FLOOR_K = 2.5
WARM_UP_H = 2.0
FULL_WITHIN_K = 1.0


@dataclass(frozen=True, slots=True)
class Shell:
    """Heat capacities [kWh/K], resistances [K/kW] and gains of a zone."""

    air_kwh_per_k: float
    mass_kwh_per_k: float
    air_mass_k_per_kw: float
    air_out_k_per_kw: float
    mass_out_k_per_kw: float
    gains_kw: float
    window_m2: float

    def drawn(self, rng: np.random.Generator) -> Shell:
        """Draw the true shell around these figures."""
        return Shell(*(off(rng, getattr(self, name)) for name in self.__slots__))


@dataclass(frozen=True, slots=True)
class Occupancy:
    """The comfort floor by local time of day [degC]; days 0 is Monday."""

    low_c: float
    occupied_low_c: float
    from_h: float
    to_h: float
    days: tuple[int, ...]

    def floor_c(self, weekday: int, hour: float, *, ahead_h: float = 0.0) -> float:
        """Give the floor at a local time, with the occupied one beginning `ahead_h` early."""
        occupied = weekday in self.days and self.from_h - ahead_h <= hour < self.to_h
        return self.occupied_low_c if occupied else self.low_c


@dataclass(slots=True)
class Building:
    """A heat pump and its zone as they truly are.

    Args:
        bus: name of its bus.
        rated_kw: nameplate, electric. minimum_kw: least power of the compressor.
        cop_0: COP at 0 degC. cop_slope: its change per kelvin.
        shell: the true shell. occupancy: what the local thermostat knows.
        air_c: air. mass_c: mass.
        water: the circuit that a heat meter looks at; None without one.
    """

    bus: str
    rated_kw: float
    minimum_kw: float
    cop_0: float
    cop_slope: float
    shell: Shell
    occupancy: Occupancy
    tan_phi: float
    air_c: float
    mass_c: float
    power_kw: float = 0.0
    energy_kwh: float = 0.0
    outdoor_c: float = 0.0
    setpoint_kw: float | None = None
    water: Hydronics | None = None

    @property
    def reactive_kvar(self) -> float:
        """Reactive power [kvar]."""
        return self.power_kw * self.tan_phi

    def cop(self, outdoor_c: float, power_kw: float) -> float:
        """Give the true coefficient of performance."""
        part = 1.06 - 0.12 * power_kw / self.rated_kw
        return min(6.0, max(1.5, (self.cop_0 + self.cop_slope * outdoor_c) * part))

    def command(self, power_kw: float | None) -> None:
        """Set the electric power [kW]; None leaves it to the thermostat."""
        self.setpoint_kw = power_kw

    def step(self, ambient: Ambient, dt_s: float) -> None:
        """Run the compressor and let heat flow."""
        self.outdoor_c = ambient.outdoor_c
        target_kw = self._target_kw(ambient) if ambient.feeds(self.bus, RESTS_S) else 0.0
        self.power_kw = approach(self.power_kw, target_kw, dt_s, LAG_S)
        self.energy_kwh += self.power_kw * dt_s / 3600.0
        heat_kw = self.cop(ambient.outdoor_c, self.power_kw) * self.power_kw
        self._flow(ambient, heat_kw, dt_s / 3600.0)
        if self.water is not None:
            self.water.step(heat_kw, self.air_c, dt_s)

    def state(self) -> Mapping[str, float]:
        """Tell power [kW], energy [kWh], air, mass and outdoor temperatures [degC], and metered heat."""
        told = {
            "power_kw": self.power_kw,
            "energy_kwh": self.energy_kwh,
            "temperature_c": self.air_c,
            "mass_c": self.mass_c,
            "outdoor_c": self.outdoor_c,
        }
        return told if self.water is None else told | self.water.state()

    def _flow(self, ambient: Ambient, heat_kw: float, hours: float) -> None:
        shell = self.shell
        sun_kw = shell.window_m2 * ambient.irradiance_w_m2 / 1000.0
        exchange = (self.mass_c - self.air_c) / shell.air_mass_k_per_kw
        air = exchange + (ambient.outdoor_c - self.air_c) / shell.air_out_k_per_kw + heat_kw
        mass = -exchange + (ambient.outdoor_c - self.mass_c) / shell.mass_out_k_per_kw + 0.3 * sun_kw
        self.air_c += (air + shell.gains_kw + 0.7 * sun_kw) * hours / shell.air_kwh_per_k
        self.mass_c += mass * hours / shell.mass_kwh_per_k

    def _target_kw(self, ambient: Ambient) -> float:
        if self.air_c >= HOT_C:
            return 0.0
        if self.air_c <= self.occupancy.low_c - FROST_BELOW_FLOOR_K:
            return self.rated_kw
        wanted = self._thermostat_kw(ambient) if self.setpoint_kw is None else self.setpoint_kw
        if wanted < self.minimum_kw:
            return self.minimum_kw if wanted > 0.5 * self.minimum_kw else 0.0
        return min(wanted, self.rated_kw)

    def _thermostat_kw(self, ambient: Ambient) -> float:
        """Modulate between off at the target and full a kelvin below it, the target lying above the floor."""
        floor = self.occupancy.floor_c(ambient.weekday, ambient.local_hour, ahead_h=WARM_UP_H)
        return self.rated_kw * min(1.0, max(0.0, (floor + FULL_WITHIN_K - self.air_c) / FULL_WITHIN_K))
