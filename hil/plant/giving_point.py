"""A charge point that also takes power back from the car that stands there.

    charging as any charge point;  giving: p = -min(asked, point, car) with a lag of `LAG_S`
    delivered' = p / efficiency while it gives
    the car's own electronics give nothing below `CAR_KEEPS` of its charge

Own derivation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hil.plant.ambient import Ambient, approach
from hil.plant.charge_point import LAG_S, RESUMES_S, ChargePoint

CAR_KEEPS = 0.1


@dataclass(slots=True)
class GivingPoint(ChargePoint):
    """A bidirectional charge point as it truly is.

    Args:
        discharge_kw: most that it takes back.
        back_efficiency: from the car to the terminals.
        discharge_kwh: taken back since the start.
        asked_kw: what it is told to take back now.
    """

    discharge_kw: float = 0.0
    back_efficiency: float = 0.92
    discharge_kwh: float = 0.0
    asked_kw: float = 0.0

    def command(self, power_kw: float | None) -> None:
        """Limit the charging, or ask for power back where it is below 0 [kW]; None offers everything."""
        self.asked_kw = 0.0 if power_kw is None else max(-power_kw, 0.0)
        ChargePoint.command(self, None if power_kw is None else max(power_kw, 0.0))

    def step(self, ambient: Ambient, dt_s: float) -> None:
        """Let cars come and go, and charge the one that stands here, or take from it."""
        if self.asked_kw == 0.0 and self.power_kw >= 0.0:
            ChargePoint.step(self, ambient, dt_s)
            return
        self._come_and_go(ambient.elapsed_s)
        self.current_a = 0.0
        if self.car is None or not ambient.feeds(self.bus, RESUMES_S):
            self.power_kw = 0.0
            return
        own_kw = self.car.phases * self.voltage_v * self.car.maximum_a / 1000.0
        target = min(self.asked_kw, self.discharge_kw, own_kw) if self._soc() > CAR_KEEPS else 0.0
        self.power_kw = approach(min(self.power_kw, 0.0), -target, dt_s, LAG_S)
        self.discharge_kwh -= self.power_kw * dt_s / 3600.0
        self.car.delivered_kwh += self.power_kw / self.back_efficiency * dt_s / 3600.0

    def _soc(self) -> float:
        car = self.car
        return 0.0 if car is None else car.soc + car.delivered_kwh / car.capacity_kwh

    def state(self) -> Mapping[str, float]:
        """Tell what any charge point tells, energy taken back [kWh], and charge [%] and capacity [kWh] of the car."""
        capacity_kwh = 0.0 if self.car is None else self.car.capacity_kwh
        own = {"discharge_kwh": self.discharge_kwh, "soc_pct": 100.0 * self._soc(), "capacity_kwh": capacity_kwh}
        return {**ChargePoint.state(self), **own}
