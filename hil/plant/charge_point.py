"""A charge point and the cars that come to it.

    current = min(limit, car, taper),   0 when the limit is below 6 A: a car never charges with 0 < I < 6 A
    p = phases * V * I * power factor,  delivered' = efficiency * p, until the car has what it came for
    taper: above 80 % state of charge the car's own limit falls linearly, to 6 A at the least

Without control the point offers its full current. Own derivation; figures as in IEC 61851-1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from hil.plant.ambient import Ambient, approach
from hil.plant.draws import off

LAG_S = 3.0
MINIMUM_A = 6.0
POWER_FACTOR = 0.99
LONGEST_MOVE_S = 900.0
RESUMES_S = 60.0
"""After its power was away a car and its point need so long to agree on charging again."""


@dataclass(slots=True)
class Car:
    """One car's stay; instants count since the start of the world [s].

    Args:
        arrival_s: when it comes. departure_s: when it leaves.
        energy_kwh: what it wants in its battery.
        phases: 1 or 3. maximum_a: what its charger takes per phase.
        capacity_kwh: its battery. soc: its state of charge on arrival, 0..1.
        name: of the car.
        moves_after_s: how long its driver needs to drive off once told that it is full and others wait [s].
        waited_s: how long it waited for a free point [s].
    """

    arrival_s: float
    departure_s: float
    energy_kwh: float
    phases: int
    maximum_a: float
    capacity_kwh: float
    soc: float
    delivered_kwh: float = 0.0
    name: str = ""
    moves_after_s: float = 600.0
    waited_s: float = 0.0

    @classmethod
    def drawn(
        cls, rng: np.random.Generator, *, stay_s: tuple[float, float], energy_kwh: float, charge_kw: float,
        name: str = "",
    ) -> Car:  # fmt: skip
        """Draw a car that takes `charge_kw` and will be nearly full with `energy_kwh` more."""
        phases = 1 if charge_kw < 8.0 else 3
        capacity_kwh = max(float(rng.choice([42.0, 58.0, 77.0])), energy_kwh * 1.15)
        soc = max(0.02, float(rng.uniform(0.80, 0.92)) - energy_kwh / capacity_kwh)
        maximum_a, moves_after_s = charge_kw * 1000.0 / (phases * 230.0), float(rng.uniform(180.0, LONGEST_MOVE_S))
        return cls(*stay_s, energy_kwh, phases, maximum_a, capacity_kwh, soc, name=name, moves_after_s=moves_after_s)

    @property
    def missing_kwh(self) -> float:
        """What it still wants [kWh]."""
        return max(0.0, self.energy_kwh - self.delivered_kwh)

    def accepts_a(self) -> float:
        """Current that it would take now [A per phase]."""
        if self.missing_kwh <= 0.0:
            return 0.0
        soc = self.soc + self.delivered_kwh / self.capacity_kwh
        return max(MINIMUM_A, self.maximum_a * min(1.0, max(0.0, (1.0 - soc) / 0.2)))


@dataclass(frozen=True, slots=True)
class Departure:
    """A car that has left: when [s], what it wanted and what it got [kWh], how long it waited for a point [s]."""

    at_s: float
    wanted_kwh: float
    delivered_kwh: float
    waited_s: float = 0.0


@dataclass(slots=True)
class ChargePoint:
    """A charge point as it truly is.

    Args:
        bus: name of its bus.
        maximum_a: greatest current per phase.
        efficiency: of the cars' chargers.
        phases: of the point, to turn a commanded power into a current. voltage_v: phase to neutral, nominal.
        cars: in order of arrival; none at a point of a car park, which sends its own.
        in_use: phases that it is switched to.
    """

    bus: str
    maximum_a: float
    efficiency: float
    phases: int
    voltage_v: float
    cars: Sequence[Car]
    in_use: int = 3
    limit_a: float | None = None
    power_kw: float = 0.0
    current_a: float = 0.0
    energy_kwh: float = 0.0
    car: Car | None = None
    departures: list[Departure] = field(default_factory=list)
    on_arrival: Callable[[Car], None] | None = None
    on_departure: Callable[[Car], None] | None = None
    _next: int = 0

    @classmethod
    def drawn(
        cls,
        rng: np.random.Generator,
        *,
        bus: str,
        maximum_a: float,
        efficiency: float,
        phases: int,
        voltage_v: float,
        cars: Sequence[Car],
    ) -> ChargePoint:
        """Draw the true point: the losses of charging are off, the nameplate is not."""
        return cls(bus, maximum_a, 1.0 - off(rng, 1.0 - efficiency), phases, voltage_v, cars)

    @property
    def reactive_kvar(self) -> float:
        """Reactive power [kvar]."""
        return self.power_kw * 0.1425  # tan(acos(0.99))

    @property
    def offered_a(self) -> float:
        """Current that the point offers [A]: a limit below 6 A is a pause."""
        limit = self.maximum_a if self.limit_a is None else min(self.limit_a, self.maximum_a)
        return limit if limit >= MINIMUM_A else 0.0

    def command(self, power_kw: float | None) -> None:
        """Limit the power [kW]; None offers everything."""
        self.limit_a = None if power_kw is None else power_kw * 1000.0 / (self.phases * self.voltage_v)

    def use_phases(self, phases: int) -> None:
        """Switch to so many phases."""
        self.in_use = phases

    def step(self, ambient: Ambient, dt_s: float) -> None:
        """Let cars come and go, and charge the one that stands here."""
        self._come_and_go(ambient.elapsed_s)
        target = min(self.offered_a, self.car.accepts_a()) if self.car and ambient.feeds(self.bus, RESUMES_S) else 0.0
        self.current_a = approach(self.current_a, target, dt_s, LAG_S) if self.car else 0.0
        if self.car is None or (target == 0.0 and self.current_a < MINIMUM_A):
            self.current_a = self.power_kw = 0.0
            return
        voltage_v = self.voltage_v * ambient.voltage_pu.get(self.bus, 1.0)
        phases = min(self.car.phases, self.phases, self.in_use)
        self.power_kw = phases * voltage_v * self.current_a * POWER_FACTOR / 1000.0
        self.energy_kwh += self.power_kw * dt_s / 3600.0
        self.car.delivered_kwh += self.power_kw * self.efficiency * dt_s / 3600.0

    def state(self) -> Mapping[str, float]:
        """Tell power [kW], current [A] and the session: missing energy [kWh] and the departure [s since the start]."""
        told = {
            "power_kw": self.power_kw,
            "current_a": self.current_a,
            "energy_kwh": self.energy_kwh,
            "connected": float(self.car is not None),
        }
        if self.car is None:
            return told
        return told | {
            "missing_kwh": self.car.missing_kwh,
            "delivered_kwh": self.car.delivered_kwh,
            "departure_s": self.car.departure_s,
            "accepts_kw": min(self.car.phases, self.phases) * self.voltage_v * self.car.maximum_a / 1000.0,
        }

    def free_at(self, elapsed_s: float) -> bool:
        """Tell whether nobody stands here, or only who leaves at this instant [s since the start]."""
        return self.car is None or elapsed_s >= self.car.departure_s

    def plug_in(self, car: Car, elapsed_s: float) -> None:
        """Let a car stand here [s since the start]; raises `ValueError` where another one stands."""
        if not self.free_at(elapsed_s):
            raise ValueError(f"{car.name} cannot plug in: another car stands here")
        self.unplug(elapsed_s)
        self.car = car
        if self.on_arrival is not None:
            self.on_arrival(car)

    def unplug(self, elapsed_s: float) -> None:
        """Let the car that stands here drive off [s since the start]."""
        if (car := self.car) is None:
            return
        self.departures.append(Departure(elapsed_s, car.energy_kwh, car.delivered_kwh, car.waited_s))
        self.car = None
        if self.on_departure is not None:
            self.on_departure(car)

    def _come_and_go(self, elapsed_s: float) -> None:
        if self.car is not None and elapsed_s >= self.car.departure_s:
            self.unplug(elapsed_s)
        if self.car is None and self._next < len(self.cars) and elapsed_s >= self.cars[self._next].arrival_s:
            self.plug_in(self.cars[self._next], elapsed_s)
            self._next += 1
