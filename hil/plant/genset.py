"""A generating set: it takes time to start, keeps a least load, and burns more the harder it works.

    told to run -> cranks for `START_S` -> takes load at RAMP of its rating a second, never below its least load
    told to stand -> gives up its load at the same pace, then runs on empty for `COOL_S`
    running in an island, its governor answers the frequency: p = told + rated * (50 - f) / DROOP_HZ, lag GOVERNOR_S
    fuel = idle + a * p + b * p^2 / rated       [kW of lower heating value], while the engine turns

p [kW] generated, f [Hz]. Nobody runs it below its least load: a smaller command is a stand. The droop is that of the
battery that holds the bus, so that both share a load by what they can give. Own derivation; that sets of this size take
their full load in one step and are back in band within 3 to 5 s is typical by UFGS 16264A (diesel-generator sets).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from hil.plant.ambient import NOMINAL_HZ, Ambient, approach
from hil.plant.draws import off

START_S = 12.0
COOL_S = 60.0
RAMP = 0.05
GOVERNOR_S = 3.0
DROOP_HZ = 0.5
CURVED = 0.1
"""Share of the fuel at full load that grows with the square of the power."""


class Engine(IntEnum):
    """What the engine does."""

    STANDS = 0
    STARTS = 1
    RUNS = 2
    COOLS = 3


@dataclass(slots=True)
class Genset:
    """A generating set as it truly is.

    Args:
        bus: name of its bus.
        rated_kw: nameplate. least_kw: least load that it takes.
        idle_kw: fuel at no load. slope: fuel for each kW. bend: fuel for the square of the load, at full load.
        tan_phi: reactive over active power.
        fuel_kwh: burnt since the start of the world.
        setpoint_kw: generation that it is told; None lets it stand.
    """

    bus: str
    rated_kw: float
    least_kw: float
    idle_kw: float
    slope: float
    bend: float
    tan_phi: float = 0.0
    power_kw: float = 0.0
    energy_kwh: float = 0.0
    fuel_kwh: float = 0.0
    run_h: float = 0.0
    starts: int = 0
    setpoint_kw: float | None = None
    engine: Engine = Engine.STANDS
    _for_s: float = 0.0
    _loaded_kw: float = 0.0
    _governed_kw: float = 0.0

    @classmethod
    def drawn(
        cls, rng: np.random.Generator, *, bus: str, rated_kw: float, least_kw: float, fuel: tuple[float, float],
        tan_phi: float = 0.0,
    ) -> Genset:  # fmt: skip
        """Draw the true set around its site-file figures; `fuel` is burnt at no load [kW] and for each kW."""
        idle_kw, per_kw = fuel
        slope = off(rng, per_kw, 0.02, 0.08)
        bend = CURVED * slope
        return cls(bus, rated_kw, least_kw, off(rng, idle_kw), slope - bend, bend, tan_phi)

    @property
    def reactive_kvar(self) -> float:
        """Reactive power into it [kvar]."""
        return self.power_kw * self.tan_phi

    def command(self, power_kw: float | None) -> None:
        """Set the generation [kW, either sign]; None lets it stand."""
        self.setpoint_kw = None if power_kw is None else abs(power_kw)

    def step(self, ambient: Ambient, dt_s: float) -> None:
        """Start, take load, give it up or cool down."""
        wanted_kw = min(self.setpoint_kw or 0.0, self.rated_kw)
        runs = wanted_kw > 0.0 and wanted_kw >= self.least_kw - 1e-9 and ambient.feeds(self.bus)
        self._for_s += dt_s
        self._turn(runs=runs)
        given_kw = self._load(wanted_kw if runs else 0.0, ambient.frequency_hz, dt_s)
        if not ambient.feeds(self.bus):
            self._loaded_kw = self._governed_kw = 0.0
        self.power_kw = -given_kw if ambient.feeds(self.bus) else 0.0
        hours = dt_s / 3600.0
        self.energy_kwh += given_kw * hours
        if self.engine is not Engine.STANDS:
            load = self.slope * given_kw + self.bend * given_kw**2 / self.rated_kw
            self.fuel_kwh += (self.idle_kw + load) * hours
            self.run_h += hours

    def _load(self, wanted_kw: float, frequency_hz: float, dt_s: float) -> float:
        """Take what it is told at its pace, and what its governor adds at the governor's; gives the power [kW]."""
        if self.engine is not Engine.RUNS:
            self._loaded_kw = self._governed_kw = 0.0
            return 0.0
        least_kw, reach_kw = self.least_kw if wanted_kw > 0.0 else 0.0, RAMP * self.rated_kw * dt_s
        self._loaded_kw = min(max(wanted_kw, self._loaded_kw - reach_kw), max(self._loaded_kw + reach_kw, least_kw))
        told_kw = self._loaded_kw
        if wanted_kw <= 0.0:
            self._governed_kw = 0.0
            return told_kw
        answer_kw = self.rated_kw * (NOMINAL_HZ - frequency_hz) / DROOP_HZ
        answer_kw = min(max(answer_kw, self.least_kw - told_kw), self.rated_kw - told_kw)
        self._governed_kw = approach(self._governed_kw, answer_kw, dt_s, GOVERNOR_S)
        return min(max(told_kw + self._governed_kw, self.least_kw), self.rated_kw) if self._governed_kw else told_kw

    def _turn(self, *, runs: bool) -> None:
        """Go from one state of the engine to the next."""
        match self.engine:
            case Engine.STANDS | Engine.COOLS if runs:
                self._become(Engine.STARTS if self.engine is Engine.STANDS else Engine.RUNS)
            case Engine.STARTS if not runs:
                self._become(Engine.STANDS)
            case Engine.STARTS if self._for_s >= START_S:
                self.starts += 1
                self._become(Engine.RUNS)
            case Engine.RUNS if not runs and self.power_kw == 0.0:
                self._become(Engine.COOLS)
            case Engine.COOLS if self._for_s >= COOL_S:
                self._become(Engine.STANDS)
            case _:
                pass

    def _become(self, engine: Engine) -> None:
        self.engine, self._for_s = engine, 0.0

    def state(self) -> Mapping[str, float]:
        """Tell power [kW], energy generated and fuel burnt [kWh], starts and hours, and what the engine does."""
        return {
            "power_kw": self.power_kw,
            "energy_kwh": self.energy_kwh,
            "fuel_kwh": self.fuel_kwh,
            "run_h": self.run_h,
            "starts": float(self.starts),
            "engine_state": float(self.engine),
        }
