"""A charge point with the sessions that stand or are expected at it.

    p[s] = sum over sessions k of c[k, s],     0 <= c[k, s] <= charge_kw * present[k, s]
    sum over s of eta * c[k, s] * h[s] + shortfall[k] = energy[k],     0 <= shortfall[k]

Symbols: c [kW] at the terminals, present the share of the slot in which the car stands there, eta the car's charging
efficiency, h [h], shortfall [kWh] priced, energy [kWh] what is wanted within the horizon: a car takes no more than it
wants, also at negative prices. Of a stay that outlasts the horizon, the share in time is wanted within it. Own
derivation. Pyomo: `optimization.blocks.ev`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class ChargePoint:
    """One charge point.

    Args:
        id: asset id.
        bus: index of its bus in the grid.
        charge_kw: greatest power of the point.
        minimum_kw: least power at which a car charges; below it the car pauses.
        efficiency: from terminals into the car, 0..1.
        power_factor: cos phi.
    """

    id: str
    charge_kw: float
    bus: int = -1
    minimum_kw: float = 4.1
    efficiency: float = 0.92
    power_factor: float = 0.99


@dataclass(frozen=True, slots=True)
class EvSession:
    """One car's stay.

    Args:
        arrival: UTC; in the past for a car that stands there.
        departure: UTC; later than the arrival.
        energy_kwh: still wanted in the car's battery.
        charge_kw: what this car accepts at the most; None where unknown.
        expected: True for a forecast session, False for a car that stands there.
    """

    arrival: datetime
    departure: datetime
    energy_kwh: float
    charge_kw: float | None = None
    expected: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class ChargePointInputs:
    """The sessions at this point, in order of arrival, not overlapping."""

    sessions: tuple[EvSession, ...] = ()
