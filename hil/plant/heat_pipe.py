"""A heat pipe as it truly is: parcels of water that follow one another from one tank to another, and cool on the way.

    flow = heat / (T_top of the near tank - T_return),  at most that of its rating over `SPREAD_K`
    what is let in pushes as much out;  each parcel: dT/dt = -cooling * (T - T_ground)
    pump:  p = p_rated * (flow / flow_rated)^2.5, at least a trifle while it turns

So the time on the way depends on the flow, and the loss on how long a parcel lies there. The return pipe takes water
of the far tank's bottom back at once; its losses are in `cooling`. Own derivation. Between tanks of cold the sign of
all temperatures is turned, as theirs is.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from hil.plant.ambient import Ambient, approach
from hil.plant.draws import off
from hil.plant.heat import CHILLED, Tank
from hil.plant.heat_makers import Thermostat

SPREAD_K = 14.0
GROUND_C = 9.0
SUMMER_GROUND_C = 16.0
"""The ground about a pipe of cold, which is needed in summer."""
MEAN_SHARE = 0.5
"""The delay of the site file is that at so large a share of the greatest flow."""
PUMP_LAG_S = 5.0
PUMP_POWER = 2.5


@dataclass(slots=True)
class HeatPipe:
    """A pipe with its pump.

    Args:
        bus: of the pump. rated_kw: greatest heat. volume: heat capacity of the water in it [kWh/K].
        cooling_per_h: of a parcel. pump_kw: at the greatest flow. near, far: the tanks at its ends.
        thermostat: by which it goes alone: the far tank's.
        sent_kw, sent_kwh: heat that left the near tank. come_kw: what reaches the far one.
        setpoint_kw: the most heat that it may send; None leaves it alone.
        spread_k: kelvins at the greatest flow.
    """

    bus: str
    rated_kw: float
    volume: float
    cooling_per_h: float
    pump_kw: float
    near: Tank
    far: Tank
    thermostat: Thermostat
    tan_phi: float = 0.0
    setpoint_kw: float | None = None
    power_kw: float = 0.0
    energy_kwh: float = 0.0
    sent_kw: float = 0.0
    sent_kwh: float = 0.0
    come_kw: float = 0.0
    flow: float = 0.0
    parcels: deque[list[float]] = field(default_factory=deque)
    spread_k: float = SPREAD_K

    @classmethod
    def drawn(
        cls, rng: np.random.Generator, near: Tank, far: Tank, thermostat: Thermostat, *, bus: str, rated_kw: float,
        delay_s: float, loss_share: float, pump_share: float, tan_phi: float,
    ) -> HeatPipe:  # fmt: skip
        """Draw the true pipe around its site-file figures."""
        spread_k = SPREAD_K * (CHILLED if near.sign < 0.0 else 1.0)
        mean_flow = MEAN_SHARE * rated_kw / spread_k
        hours = max(delay_s, 60.0) / 3600.0
        volume = off(rng, mean_flow * hours, 0.03, 0.1)
        # The share that it loses is of its kelvins above what comes back; it cools by those above the ground.
        lost_k = loss_share * (near.mean_c - far.mean_c + spread_k)
        cooling = off(rng, max(lost_k, 1e-3) / max(near.mean_c - ground_c(near), 2.0) / hours, 0.05, 0.15)
        pipe = cls(bus, off(rng, rated_kw, 0.01, 0.04), volume, cooling, off(rng, pump_share * rated_kw), near, far,
                   thermostat, tan_phi, spread_k=spread_k)  # fmt: skip
        pipe.parcels.append([volume, far.top_c])
        return pipe

    @property
    def reactive_kvar(self) -> float:
        """Reactive power of its pump [kvar]."""
        return self.power_kw * self.tan_phi

    @property
    def heat_kw(self) -> float:
        """Heat that reaches the far tank [kW]."""
        return self.come_kw

    def command(self, power_kw: float | None) -> None:
        """Tell it the most heat to send [kW]; None leaves it alone."""
        self.setpoint_kw = power_kw

    def step(self, ambient: Ambient, dt_s: float) -> None:
        """Turn the pump."""
        asked_kw = self.setpoint_kw
        if asked_kw is None:
            asked_kw = self.rated_kw if self.thermostat.wants() else 0.0
        lift_k = self.near.top_c - self.far.bottom_c
        most_flow = self.rated_kw / self.spread_k
        runs = ambient.feeds(self.bus) and lift_k > 1.0 and not self.thermostat.trips()
        target = min(min(asked_kw, self.rated_kw) / lift_k, most_flow) if runs else 0.0
        self.flow = approach(self.flow, target, dt_s, PUMP_LAG_S) if ambient.feeds(self.bus) else 0.0
        self.power_kw = self.pump_kw * (self.flow / most_flow) ** PUMP_POWER
        self.energy_kwh += self.power_kw * dt_s / 3600.0

    @property
    def return_c(self) -> float:
        """The water that comes back from the far tank."""
        return self.far.bottom_c

    def wanted_kw(self, elapsed_s: float) -> float:  # noqa: ARG002 -- whoever draws from a tank is asked so
        """Give the heat that its flow draws now [kW]."""
        return self.flow * max(self.near.top_c - self.return_c, 0.0)

    def get(self, heat_kw: float, wanted_kw: float, supply_c: float, dt_s: float) -> None:  # noqa: ARG002
        """Let water in at one end and out at the other; what leaves warms the far tank."""
        hours, back_c, about_c = dt_s / 3600.0, self.return_c, ground_c(self.near)
        kept = math.exp(-self.cooling_per_h * hours)
        for parcel in self.parcels:
            parcel[1] = about_c + (parcel[1] - about_c) * kept
        amount, come_kwh = self.flow * hours, 0.0
        self.sent_kw = heat_kw
        self.sent_kwh += self.sent_kw * hours
        if amount > 0.0:
            self._let_in(amount, back_c + heat_kw / self.flow)
        while amount > 1e-12 and self.parcels:
            size, water_c = self.parcels[0]
            taken = min(size, amount)
            come_kwh += taken * max(water_c - back_c, 0.0)
            amount -= taken
            if taken >= size - 1e-12:
                self.parcels.popleft()
            else:
                self.parcels[0][0] = size - taken
        self.come_kw = come_kwh / hours

    def _let_in(self, amount: float, water_c: float) -> None:
        """Put water behind the last parcel, into it where it is about as warm and small."""
        last = self.parcels[-1] if self.parcels else None
        if last is not None and last[0] < self.volume / 50.0:
            last[1] = (last[0] * last[1] + amount * water_c) / (last[0] + amount)
            last[0] += amount
        else:
            self.parcels.append([amount, water_c])

    def state(self) -> Mapping[str, float]:
        """Tell its pump's power [kW] and energy [kWh], and the heat that it sends [kW, kWh]."""
        return {
            "power_kw": self.power_kw,
            "energy_kwh": self.energy_kwh,
            "sent_kw": self.sent_kw,
            "sent_kwh": self.sent_kwh,
        }


def ground_c(near: Tank) -> float:
    """Give the ground about a pipe, turned as its tanks are."""
    return GROUND_C if near.sign > 0.0 else -SUMMER_GROUND_C
