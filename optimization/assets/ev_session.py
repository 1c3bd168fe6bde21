"""A car's stay at a charge point: what it wants, until when, at which price, and what it may give back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from optimization.faults import instant, number
from optimization.slots import Floats, Slots

MOST_EARLIER = 4
"""How many earlier departures of a stay are told apart."""


@dataclass(frozen=True, slots=True)
class GivesBack:
    """What a car may give back (V2G), and what its driver keeps.

    Args:
        discharge_kw: greatest power that the car gives at the terminals.
        stored_kwh: in its battery now, or at its arrival where that lies ahead; any measured value is accepted.
        capacity_kwh: usable energy of its battery.
        floor_kwh: what the driver keeps at any time; a car below it gives nothing.
        efficiency: from the car to the terminals, 0..1.
        wear_per_kwh: of a kWh given, at the terminals [currency/kWh].
    """

    discharge_kw: float
    stored_kwh: float
    capacity_kwh: float
    floor_kwh: float = 0.0
    efficiency: float = 0.92
    wear_per_kwh: float = 0.0

    @property
    def spare_kwh(self) -> float:
        """Stored above what the driver keeps."""
        return max(0.0, self.stored_kwh - self.floor_kwh)

    @property
    def room_kwh(self) -> float:
        """What its battery can still take."""
        return max(0.0, self.capacity_kwh - self.stored_kwh)

    def faults(self, label: str) -> Iterator[str]:
        """Say what is wrong with its numbers."""
        for name in ("discharge_kw", "floor_kwh", "wear_per_kwh"):
            yield from number(f"{label}.{name}", getattr(self, name), low=0.0)
        yield from number(f"{label}.stored_kwh", self.stored_kwh)
        yield from number(f"{label}.capacity_kwh", self.capacity_kwh, above=0.0)
        yield from number(f"{label}.efficiency", self.efficiency, above=0.0, high=1.0)


@dataclass(frozen=True, slots=True)
class EvSession:
    """One car's stay.

    Args:
        arrival: UTC; in the past for a car that stands there.
        departure: UTC; later than the arrival. Where it is not certain, the latest.
        energy_kwh: still wanted in the car's battery.
        charge_kw: what this car accepts at the most; None where unknown.
        expected: True for a forecast session, False for a car that stands there.
        shortfall_price: of a kWh missing at its departure [currency/kWh]; a higher one is served first; None for the
            planner's weight.
        gives_back: None for a car that only charges.
        earlier: instants between arrival and departure at which it may leave, with the probability of each; it leaves
            at `departure` with the rest.
    """

    arrival: datetime
    departure: datetime
    energy_kwh: float
    charge_kw: float | None = None
    expected: bool = False
    shortfall_price: float | None = None
    gives_back: GivesBack | None = None
    earlier: tuple[tuple[datetime, float], ...] = ()

    def presence(self, slots: Slots, until: datetime | None = None) -> Floats:
        """Share of each slot in which the car stands there, should it leave then, shape (n,)."""
        arrival_s = (self.arrival - slots.start).total_seconds()
        departure_s = ((until or self.departure) - slots.start).total_seconds()
        ends = slots.offset_s + slots.duration_s
        inside = np.minimum(ends, departure_s) - np.maximum(slots.offset_s, arrival_s)
        return np.clip(inside / slots.duration_s, 0.0, 1.0)

    def chances(self, slots: Slots) -> list[tuple[datetime, float]]:
        """Give the earlier departures within the horizon, of a car that has not left before it.

        Those that are past did not come true: the probability of the others grows in proportion. Those beyond the
        horizon count to the last one, whose probability is what these leave.
        """
        ahead = 1.0 - sum(chance for at, chance in self.earlier if at <= slots.start)
        return [(at, chance / ahead) for at, chance in self.earlier if slots.start < at <= slots.end and ahead > 1e-9]

    def faults(self, label: str) -> Iterator[str]:
        """Say what is wrong with its numbers and instants."""
        yield from number(f"{label}.energy_kwh", self.energy_kwh, low=0.0)
        for name in ("charge_kw", "shortfall_price"):
            if getattr(self, name) is not None:
                yield from number(f"{label}.{name}", getattr(self, name), low=0.0)
        if self.gives_back is not None:
            yield from self.gives_back.faults(f"{label}.gives_back")
        for name in ("arrival", "departure"):
            yield from instant(f"{label}.{name}", getattr(self, name))
        for j, (at, chance) in enumerate(self.earlier):
            yield from instant(f"{label}.earlier[{j}]", at)
            yield from number(f"{label}.earlier[{j}]", chance, low=0.0, high=1.0)
        if len(self.earlier) > MOST_EARLIER:
            yield f"{label}.earlier: {len(self.earlier)} instants; {MOST_EARLIER} are told apart, so join some"
        total = sum(chance for _, chance in self.earlier)
        if total > 1.0 + 1e-9:
            yield f"{label}.earlier: the probabilities add up to {total:g}; no more than 1 can leave"

    def disorder(self, label: str) -> Iterator[str]:
        """Say which of its instants, all in UTC, are in the wrong order."""
        if self.departure < self.arrival:
            yield f"{label}: departs {self.departure}, before its arrival {self.arrival}"
        for at, _ in self.earlier:
            if not self.arrival < at < self.departure:
                yield f"{label}.earlier: {at} is not between its arrival {self.arrival} and departure {self.departure}"

    @property
    def is_naive(self) -> bool:
        """Whether an instant knows no zone."""
        return any(at.tzinfo is None for at in (self.arrival, self.departure, *(at for at, _ in self.earlier)))
