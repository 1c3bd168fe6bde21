"""Which waiting car gets which charge point next. Pure, synchronous, deterministic.

Cars are jobs on parallel machines that cannot be interrupted: a car that plugs in at t at a point of power P keeps it
until it is full and moved away, or until it leaves,

    occupied to  = min(departure, t + energy / P + MOVE_S)
    delivered    = min(energy, P * (departure - t))

and it is short if delivered < 95 % of its energy. Wanted is the order that leaves the fewest cars short, then misses
the least energy, then lets them wait the least; an order is turned into a timetable by giving each car in turn the
point at which it is full first.

Few cars are ordered by trying every order. Many are ordered by improving several starts: arrival, latest start, length,
and the latest starts without those whose length makes others late (J. M. Moore, "An n job, one machine sequencing
algorithm for minimizing the number of late jobs", Management Science 15, 1968), the best of them by moving single cars
while that helps. The search is repeated at every event, so that it needs to be right about the next car only.

All times are seconds from one origin that the caller chooses.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations
from math import inf

SHORT_SHARE = 0.95
"""A car that got less of its energy is short."""
MOVE_S = 450.0
"""A full car is moved away within a quarter of an hour: half of that is counted on [s]."""
FEW = 5
"""So many cars are ordered by trying every order."""
ROUNDS = 5
NEAR = 10
"""Only so many next cars are moved singly: those behind them are ordered again long before it is their turn."""


@dataclass(frozen=True, slots=True)
class Bay:
    """A charge point.

    Args:
        point: its id.
        charge_kw: greatest power into a car's battery [kW].
        free_s: from when it is free [s].
    """

    point: str
    charge_kw: float
    free_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Waiting:
    """A car that waits.

    Args:
        car: its name.
        arrival_s: since when [s].
        departure_s: when it leaves, served or not [s].
        energy_kwh: what it wants in its battery [kWh].
        charge_kw: most that it takes [kW].
    """

    car: str
    arrival_s: float
    departure_s: float
    energy_kwh: float
    charge_kw: float


@dataclass(frozen=True, slots=True)
class Turn:
    """When and where a car charges, as far as is known now.

    Args:
        car: its name.
        point: the charge point; None if it leaves before any is free.
        start_s: when it can plug in [s]; its departure if it never can.
        delivered_kwh: what it gets [kWh].
        in_time: whether it gets enough before it leaves: it is not short.
    """

    car: str
    point: str | None
    start_s: float
    delivered_kwh: float
    in_time: bool


Cost = tuple[int, float, float]
"""Cars that are short, energy that is missing [kWs], sum of the starts [s]."""


@dataclass(frozen=True, slots=True)
class _Job:
    """A car with its time to be full [s] and its power [kW] at each point."""

    car: Waiting
    needs_s: tuple[float, ...]
    powers_kw: tuple[float, ...]

    @property
    def shortest_s(self) -> float:
        return min(self.needs_s)

    @property
    def latest_start_s(self) -> float:
        return self.car.departure_s - SHORT_SHARE * self.shortest_s


_Start = tuple[int, float]
"""The index of a point, negative for none, and the instant at which a car plugs in there [s]."""


def assign(bays: Sequence[Bay], waiting: Sequence[Waiting], now_s: float) -> tuple[Turn, ...]:
    """Order the waiting cars.

    Args:
        bays: the charge points of a park; one that is occupied is free at a later time.
        waiting: the cars.
        now_s: nobody plugs in before [s].

    Returns:
        A turn for every car, in the order of their starts; those that leave unserved come last.
    """
    free_s = [max(bay.free_s, now_s) for bay in bays]
    jobs = _jobs(bays, waiting)
    best = min(_orders(jobs, free_s), key=lambda order: _cost(order, free_s)) if bays else jobs
    return tuple(sorted(_turns(bays, best, free_s), key=lambda turn: (turn.point is None, turn.start_s)))


def first_come(bays: Sequence[Bay], waiting: Sequence[Waiting], now_s: float) -> tuple[Turn, ...]:
    """Give the points to whoever waits longest: the policy to compare with."""
    return tuple(_turns(bays, _jobs(bays, waiting), [max(bay.free_s, now_s) for bay in bays]))


def _jobs(bays: Sequence[Bay], waiting: Sequence[Waiting]) -> list[_Job]:
    """Work out each car's times, in the order of arrival."""
    jobs = []
    for car in sorted(waiting, key=lambda one: (one.arrival_s, one.car)):
        powers_kw = tuple(min(bay.charge_kw, car.charge_kw) for bay in bays)
        jobs.append(_Job(car, tuple(3600.0 * car.energy_kwh / kw for kw in powers_kw), powers_kw))
    return jobs


def _orders(jobs: Sequence[_Job], free_s: Sequence[float]) -> Iterator[Sequence[_Job]]:
    """List orders worth comparing; the order of arrival is the first, so that it wins where nothing else is better."""
    if len(jobs) <= FEW:
        yield from permutations(jobs)
        return
    urgent = sorted(jobs, key=lambda job: job.latest_start_s)
    short = sorted(jobs, key=lambda job: job.shortest_s)
    starts = (jobs, urgent, short, _thinned(urgent, free_s))
    start = min(starts, key=lambda order: _cost(order, free_s))
    yield start
    yield _improved(start, free_s)


def _thinned(urgent: Sequence[_Job], free_s: Sequence[float]) -> list[_Job]:
    """Put off the longest of those served so far whenever one of them would be late."""
    kept: list[_Job] = []
    late: list[_Job] = []
    for job in urgent:
        kept.append(job)
        if _cost(kept, free_s)[0]:
            longest = max(kept, key=lambda one: one.shortest_s)
            kept.remove(longest)
            late.append(longest)
    return kept + late


def _improved(start: Sequence[_Job], free_s: Sequence[float]) -> list[_Job]:
    """Move single cars to other places while that makes the order better."""
    best, rest = list(start[:NEAR]), list(start[NEAR:])
    cost = _cost(best, free_s)
    for _ in range(ROUNDS):
        before = cost
        for order in _moves(best):
            if (tried := _cost(order, free_s)) < cost:
                cost, best = tried, order
        if cost == before:
            break
    return best + rest


def _moves(order: Sequence[_Job]) -> Iterator[list[_Job]]:
    for index in range(len(order)):
        rest = [*order[:index], *order[index + 1 :]]
        for place in range(len(order)):
            if place != index:
                yield [*rest[:place], order[index], *rest[place:]]


def _starts(order: Sequence[_Job], free_s: Sequence[float]) -> Iterator[_Start]:
    """Give each car in turn the point at which it is full first."""
    free = list(free_s)
    for job in order:
        full_s = [start + need for start, need in zip(free, job.needs_s, strict=True)]
        first_s = min(full_s, default=inf)
        index = full_s.index(first_s) if full_s else -1
        if index < 0 or free[index] >= job.car.departure_s:
            yield -1, job.car.departure_s
            continue
        yield index, free[index]
        free[index] = min(job.car.departure_s, first_s + MOVE_S)


def _cost(order: Sequence[_Job], free_s: Sequence[float]) -> Cost:
    short, missing_s, waited_s = 0, 0.0, 0.0
    for job, (index, start_s) in zip(order, _starts(order, free_s), strict=True):
        waited_s += start_s
        need_s = job.needs_s[index]
        had_s = 0.0 if index < 0 else job.car.departure_s - start_s
        short += had_s < SHORT_SHARE * need_s
        if had_s < need_s:
            missing_s += (need_s - had_s) * job.powers_kw[index]
    return short, round(missing_s, 3), round(waited_s, 3)


def _turns(bays: Sequence[Bay], order: Sequence[_Job], free_s: Sequence[float]) -> list[Turn]:
    return [_turn(bays, job, start) for job, start in zip(order, _starts(order, free_s), strict=True)]


def _turn(bays: Sequence[Bay], job: _Job, start: _Start) -> Turn:
    index, start_s = start
    car = job.car
    if index < 0:
        return Turn(car.car, None, car.departure_s, 0.0, False)
    delivered_kwh = min(car.energy_kwh, job.powers_kw[index] * (car.departure_s - start_s) / 3600.0)
    return Turn(car.car, bays[index].point, start_s, delivered_kwh, delivered_kwh >= SHORT_SHARE * car.energy_kwh)
