"""A stationary battery: losses by power, taper, standby, lag.

    stored' = p - loss(p) - standby,      loss(p) = a * |p| + b * p^2 / rated
    charging power tapers from 80 % state of charge to a fifth of the rating at 100 %
    discharging power tapers below 8 %

Where its maker tells curves of efficiency, loss(p) lies on straight lines between the losses at their points; where he
tells tapers, the power falls to nothing at 100 % and at 0 % from where the true cells begin.

p [kW] at the terminals, positive while charging; the lag of the inverter is 2 s. Own derivation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hil.plant.ambient import Ambient, approach
from hil.plant.draws import off
from hil.plant.inverter import Inverter
from hil.plant.phase_places import seen_pu

LAG_S = 2.0

Points = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Datasheet:
    """What a maker tells of a battery beyond its ratings.

    Args:
        charge_curve: pairs of power [kW] and one-way efficiency; empty for none.
        discharge_curve: likewise.
        taper_pct: state of charge from which charging, and below which discharging, falls [%]; None for none.
    """

    charge_curve: Points = ()
    discharge_curve: Points = ()
    taper_pct: tuple[float, float] | None = None

    def drawn(self, rng: np.random.Generator) -> Datasheet:
        """Draw the true one: losses and tapers are off."""
        taper_pct = self.taper_pct
        if taper_pct is not None:
            taper_pct = 100.0 - off(rng, 100.0 - taper_pct[0]), off(rng, taper_pct[1])
        share = off(rng, 1.0) if self.charge_curve or self.discharge_curve else 1.0
        charge, discharge = (
            tuple((kw, 1.0 - share * (1.0 - efficiency)) for kw, efficiency in curve)
            for curve in (self.charge_curve, self.discharge_curve)
        )
        return Datasheet(charge, discharge, taper_pct)

    def loss_kw(self, power_kw: float) -> float | None:
        """Give what is lost at a power at the terminals [kW]; None without a curve."""
        curve = self.charge_curve if power_kw > 0.0 else self.discharge_curve
        if not curve:
            return None
        powers = [0.0, *(kw for kw, _ in curve)]
        if power_kw > 0.0:
            losses = [0.0, *(kw * (1.0 - efficiency) for kw, efficiency in curve)]
        else:
            losses = [0.0, *(kw / efficiency - kw for kw, efficiency in curve)]
        return float(np.interp(abs(power_kw), powers, losses))

    def limits(self, soc_pct: float) -> tuple[float, float]:
        """Give the shares of the ratings that charging and discharging have left at a state of charge."""
        full, empty = self.taper_pct or (80.0, 8.0)
        least_up = 0.2 if self.taper_pct is None else 0.0
        up = 1.0 - (1.0 - least_up) * (soc_pct - full) / (100.0 - full) if full < 100.0 else 1.0
        down = soc_pct / empty if empty > 0.0 else 1.0
        return min(1.0, max(least_up, up)), min(1.0, max(0.0, down))


@dataclass(slots=True)
class Battery:
    """A battery as it truly is.

    Args:
        bus: name of its bus.
        capacity_kwh: true energy between 0 and 100 %.
        charge_kw: nameplate. discharge_kw: nameplate.
        loss_share: proportional loss. loss_square: loss that grows with the square of the power, as a share at rating.
        standby_kw: own consumption, always.
        energy_kwh: stored now.
    """

    bus: str
    capacity_kwh: float
    charge_kw: float
    discharge_kw: float
    loss_share: float
    loss_square: float
    standby_kw: float
    energy_kwh: float
    power_kw: float = 0.0
    charged_kwh: float = 0.0
    discharged_kwh: float = 0.0
    setpoint_kw: float | None = None
    formed_kw: float | None = None
    datasheet: Datasheet = Datasheet()
    inverter: Inverter | None = None

    @classmethod
    def drawn(
        cls,
        rng: np.random.Generator,
        *,
        bus: str,
        capacity_kwh: float,
        rated_kw: tuple[float, float],
        loss: float,
        standby_kw: float,
        soc_pct: float,
        datasheet: Datasheet = Datasheet(),
        inverter: Inverter | None = None,
    ) -> Battery:
        """Draw the true battery around its site-file figures (`loss`: one minus the one-way efficiency)."""
        capacity_kwh = off(rng, capacity_kwh, 0.05, 0.10)
        true_loss = off(rng, loss)
        return cls(
            bus, capacity_kwh, *rated_kw, 0.6 * true_loss, 0.8 * true_loss, off(rng, standby_kw),
            capacity_kwh * soc_pct / 100.0, datasheet=datasheet.drawn(rng), inverter=inverter,
        )  # fmt: skip

    @property
    def soc_pct(self) -> float:
        """State of charge [%]."""
        return 100.0 * self.energy_kwh / self.capacity_kwh

    @property
    def reactive_kvar(self) -> float:
        """Reactive power [kvar]: that of its inverter's curves; none without any."""
        return self.inverter.kvar if self.inverter is not None else 0.0

    def command(self, power_kw: float | None) -> None:
        """Set the power [kW], positive charges; None idles."""
        self.setpoint_kw = power_kw

    def form(self, power_kw: float | None) -> None:
        """Hold the bus of an island and take what it leaves over [kW]; None follows commands again."""
        self.formed_kw = power_kw

    def limits_kw(self) -> tuple[float, float]:
        """Give the least and the greatest power that the cells allow now [kW]."""
        soc = self.soc_pct
        taper_up, taper_down = self.datasheet.limits(soc)
        return -self.discharge_kw * taper_down, (self.charge_kw * taper_up if soc < 100.0 else 0.0)

    def step(self, ambient: Ambient, dt_s: float) -> None:
        """Follow the setpoint within what the cells allow, or hold an island."""
        lower, upper = self.limits_kw()
        target = min(max(self.setpoint_kw or 0.0, lower), upper)
        self.power_kw = approach(self.power_kw, target if ambient.feeds(self.bus) else 0.0, dt_s, LAG_S)
        if self.formed_kw is not None:
            self.power_kw = self.formed_kw
        if self.inverter is not None:
            self.inverter.step(self.power_kw, seen_pu(ambient.voltage_pu, self.bus), dt_s)
        rated = self.charge_kw if self.power_kw > 0.0 else self.discharge_kw
        told = self.datasheet.loss_kw(self.power_kw)
        loss = (
            self.loss_share * abs(self.power_kw) + self.loss_square * self.power_kw**2 / rated if told is None else told
        )
        hours = dt_s / 3600.0
        self.energy_kwh = min(max(self.energy_kwh + (self.power_kw - loss - self.standby_kw) * hours, 0.0),
                              self.capacity_kwh)  # fmt: skip
        self.charged_kwh += max(self.power_kw, 0.0) * hours
        self.discharged_kwh += max(-self.power_kw, 0.0) * hours

    def state(self) -> Mapping[str, float]:
        """Tell power [kW], state of charge [%], stored energy and throughput [kWh]."""
        return {
            "power_kw": self.power_kw,
            "soc_pct": self.soc_pct,
            "energy_kwh": self.energy_kwh,
            "charged_kwh": self.charged_kwh,
            "discharged_kwh": self.discharged_kwh,
        }
