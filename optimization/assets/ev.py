"""A charge point with the sessions that stand or are expected at it.

    p[s] = sum over sessions k of c[k, s],     0 <= c[k, s] <= charge_kw * present[k, s]
    sum over s of eta * c[k, s] * h[s] + shortfall[k] = energy[k],     0 <= shortfall[k]

Symbols: c [kW] at the terminals, present the share of the slot in which the car stands there, eta the car's charging
efficiency, h [h], shortfall [kWh] priced, energy [kWh] what is wanted within the horizon: a car takes no more than it
wants, also at negative prices. Of a stay that outlasts the horizon, the share in time is wanted within it. Own
derivation. Pyomo: `optimization.blocks.ev`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from optimization.assets.asset import AssetOf, AssetShape, Inputs, PowerBand, Values
from optimization.faults import instant, number
from optimization.slots import Floats, Slots
from optimization.weights import Weights, early_cost


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

    def presence(self, slots: Slots) -> Floats:
        """Share of each slot in which the car stands there, shape (n,)."""
        arrival_s = (self.arrival - slots.start).total_seconds()
        departure_s = (self.departure - slots.start).total_seconds()
        ends = slots.offset_s + slots.duration_s
        inside = np.minimum(ends, departure_s) - np.maximum(slots.offset_s, arrival_s)
        return np.clip(inside / slots.duration_s, 0.0, 1.0)


@dataclass(frozen=True, slots=True, eq=False)
class ChargePointInputs(Inputs):
    """The sessions at this point, in order of arrival, not overlapping."""

    sessions: tuple[EvSession, ...] = ()


@dataclass(frozen=True, slots=True)
class ChargePoint(AssetOf[ChargePointInputs]):
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

    given = ChargePointInputs
    is_anchored = True
    positive = ("charge_kw",)
    not_negative = ("minimum_kw",)
    shares = ("efficiency", "power_factor")

    def shape(self, inputs: ChargePointInputs, slots: Slots, most_in_any: int) -> AssetShape:
        """Every point has room for as many cars."""
        return AssetShape(type(self), self.bus, self.reactive_per_active, room=most_in_any)

    def room_wanted(self, inputs: ChargePointInputs) -> int:
        """Count the cars."""
        return len(inputs.sessions)

    def most_kw(self, session: EvSession) -> float:
        """Greatest power of a car here [kW]."""
        return self.charge_kw if session.charge_kw is None else min(self.charge_kw, session.charge_kw)

    def limits_kw(self, inputs: ChargePointInputs, slots: Slots) -> Floats:
        """Greatest mean power of each car in each slot [kW], shape (sessions, n)."""
        limits = np.zeros((len(inputs.sessions), len(slots)))
        for k, session in enumerate(inputs.sessions):
            limits[k] = self.most_kw(session) * session.presence(slots)
        return limits

    def wanted_kwh(self, session: EvSession, slots: Slots) -> float:
        """Energy to deliver within the horizon [kWh]: all of it, or the share in time of a stay that outlasts it."""
        beyond_h = (session.departure - max(slots.end, session.arrival)).total_seconds() / 3600.0
        if beyond_h <= 0:
            return session.energy_kwh
        inside_h = float(session.presence(slots) @ slots.duration_h)
        later_kwh = self.most_kw(session) * self.efficiency * beyond_h
        return max(session.energy_kwh - later_kwh, session.energy_kwh * inside_h / (inside_h + beyond_h))

    def coefficients(self, inputs: ChargePointInputs, shape: AssetShape, slots: Slots, weights: Weights) -> Values:
        """Derive what each session may draw and wants within the horizon; room that is left wants nothing."""
        limit, wanted, count = np.zeros((shape.room, len(slots))), np.zeros(shape.room), len(inputs.sessions)
        limit[:count] = self.limits_kw(inputs, slots)
        wanted[:count] = [self.wanted_kwh(session, slots) for session in inputs.sessions]
        return {
            "gain_h": self.efficiency * slots.duration_h,
            "charge_cost": early_cost(slots),
            "wanted_kwh": wanted,
            "shortfall_cost": np.full(shape.room, weights.ev_shortfall),
            "charge_min_kw": np.zeros_like(limit),
            "charge_max_kw": limit,
        }

    def reach(self, inputs: ChargePointInputs, slots: Slots) -> PowerBand:
        """Find what the cars can take."""
        return PowerBand(np.zeros(len(slots)), self.limits_kw(inputs, slots).sum(axis=0))

    def carries(self, inputs: ChargePointInputs, slots: Slots) -> PowerBand:
        """Find what the point itself can give."""
        return PowerBand(np.zeros(len(slots)), np.full(len(slots), self.charge_kw))

    def narrowed(self, own: Values, band: PowerBand) -> Values:
        """Cars that share a slot take in their order: one after the other up to its limit."""
        limit = own["charge_max_kw"]
        before = np.cumsum(limit, axis=0) - limit
        return {
            "charge_min_kw": np.clip(band.low_kw - before, 0.0, limit),
            "charge_max_kw": np.clip(band.high_kw - before, 0.0, limit),
        }

    def settable_kw(self, kw: Floats) -> Floats:
        """A car pauses below the least power at which it charges."""
        return np.where(kw < self.minimum_kw, 0.0, kw)

    def as_held(self, inputs: ChargePointInputs, slots: Slots, band: PowerBand, share: Floats) -> PowerBand:
        """Hold the car that stands there as long as it wants; between two cars of a slot only the top is held."""
        limit, low = self.limits_kw(inputs, slots), band.low_kw.copy()
        wanted = [self.wanted_kwh(session, slots) for session in inputs.sessions]
        for s in np.flatnonzero(share):
            cars, gain_h = np.flatnonzero(limit[:, s]), self.efficiency * slots.duration_h[s]
            if len(cars) == 1:
                low[s] = min(low[s], wanted[cars[0]] / gain_h)
                wanted[cars[0]] -= gain_h * low[s]
            else:
                low[s] = 0.0
        return PowerBand(low, band.high_kw)

    def input_faults(self, inputs: ChargePointInputs) -> Iterator[str]:
        """Check each stay, and that no two overlap."""
        naive = False
        for k, session in enumerate(inputs.sessions):
            label = f"{self.id}.sessions[{k}]"
            yield from number(f"{label}.energy_kwh", session.energy_kwh, low=0.0)
            if session.charge_kw is not None:
                yield from number(f"{label}.charge_kw", session.charge_kw, low=0.0)
            for name in ("arrival", "departure"):
                naive = naive or getattr(session, name).tzinfo is None
                yield from instant(f"{label}.{name}", getattr(session, name))
        if not naive:
            yield from _overlaps(self.id, inputs.sessions)


def _overlaps(asset_id: str, sessions: tuple[EvSession, ...]) -> Iterator[str]:
    for k, session in enumerate(sessions):
        if session.departure <= session.arrival:
            yield f"{asset_id}.sessions[{k}]: departs {session.departure}, not after its arrival {session.arrival}"
        if k and session.arrival < sessions[k - 1].departure:
            yield (
                f"{asset_id}.sessions[{k}]: arrives {session.arrival}, before the car ahead leaves "
                f"({sessions[k - 1].departure}); a point takes one car at a time"
            )
