"""What goes wrong in a simulation, when and for how long: drawn from the seed alone, so that a seed is the whole story.

Source of the kinds: the catalogue of faults F1 to F15 of the project's issue on reliability.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random

DAY_S = 86400.0
FIRST_S = 120.0
"""Nothing goes wrong before the daemon has had a look round."""
OFTENEST_CRASH_S = DAY_S
"""At most one crash a simulated day."""
RESTART_SHARE = 0.25
"""So many ends of the process are in good order."""


class Kind(StrEnum):
    """What can go wrong; the first nine happen to one device's wire."""

    DROP_OUT = "drop_out"
    RESET = "reset"
    ONE_WAY = "one_way"
    LOSSY = "lossy"
    SLOW = "slow"
    GARBAGE = "garbage"
    FREEZE = "freeze"
    REFUSE = "refuse"
    IGNORE = "ignore"
    CRASH = "crash"
    STALL = "stall"
    CLOCK_JUMP = "clock_jump"
    SOLVER_LATE = "solver_late"
    SOLVER_FAILS = "solver_fails"
    SOLVER_LIES = "solver_lies"
    FEED_LOST = "feed_lost"
    DISK_FULL = "disk_full"
    DISK_FAILS = "disk_fails"
    OPERATOR_LIMIT = "operator_limit"
    OPERATOR_SILENT = "operator_silent"
    RESTART = "restart"


LONGEST_STALL_S = 90.0
"""Longer than the site is owned without a renewal."""
ENDS = (Kind.CRASH, Kind.RESTART)
"""What ends the daemon's process."""
WIRE = (Kind.DROP_OUT, Kind.SLOW, Kind.GARBAGE, Kind.FREEZE, Kind.REFUSE, Kind.IGNORE)
"""Those that are drawn; the catalogue of faults puts in the others, and more garbage, by hand."""
FEEDS = ("price", "carbon", "weather")
JUMPS_S = (-3600.0, -60.0, -1.5, 1.5, 60.0, 3600.0, 86400.0, -86400.0, 3.2e8, -3.2e8)


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault.

    Args:
        at_s: when it begins [s since the start of the simulation].
        seconds: how long it lasts [s]; of a crash or a restart, how long the daemon is down.
        kind: what.
        target: the device or feed; empty for the rest.
        size: of a slow device its delay [s], of a jump of the wall clock its height [s], of garbage its pattern's
            number, of a lossy wire the share of packets that are lost; 0 otherwise.
    """

    at_s: float
    seconds: float
    kind: Kind
    target: str = ""
    size: float = 0.0

    @property
    def end_s(self) -> float:
        """When it is over [s]."""
        return self.at_s + self.seconds

    def __str__(self) -> str:
        """Say it in a line."""
        size = f" {self.size:g}" if self.size else ""
        return f"{self.at_s:9.1f} s  {self.kind}{size} {self.target} for {self.seconds:.1f} s"


@dataclass(frozen=True, slots=True)
class Rates:
    """How often each sort of trouble comes, on average [per simulated day]; a device has its own wire's rate.

    Args:
        wire: of each device.
        clock: jumps of the wall clock.
        solver: failures of the solver, each of a few plans.
        feed: of each feed.
        crash: chance in a day that the process ends: three times by a kill, once in good order.
        stall: how often the machine stands still, as one that is suspended.
        disk: how often the disk is full or fails.
        operator: limits of the grid operator, and losses of his heartbeat, each.
    """

    wire: float = 6.0
    clock: float = 1.0
    solver: float = 6.0
    feed: float = 1.0
    crash: float = 0.8
    stall: float = 0.3
    disk: float = 1.0
    operator: float = 6.0

    def times(self, factor: float) -> Rates:
        """Give rates so many times as high; crashes stay at one a day at most."""
        return Rates(
            factor * self.wire, factor * self.clock, factor * self.solver, factor * self.feed,
            min(1.0, factor * self.crash), factor * self.stall, factor * self.disk, factor * self.operator,
        )  # fmt: skip


NONE = Rates(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


def draw(
    seed: int, devices: Sequence[str], seconds: float, rates: Rates | None = None, *, gateway: str = ""
) -> tuple[Fault, ...]:
    """Draw the faults of a run.

    Args:
        seed: of chance.
        devices: ids of the devices.
        seconds: length of the run [s].
        rates: how often; None for the usual.
        gateway: the grid operator's among the devices; empty for none.

    Returns:
        The faults by their beginning; those of one wire do not overlap.
    """
    rates = rates or Rates()
    found: list[Fault] = []
    for device in devices:
        rng = Random(f"{seed}/wire/{device}")
        found += _not_overlapping(_wire(rng, device, at_s) for at_s in _instants(rng, rates.wire, seconds))
    rng = Random(f"{seed}/solver")
    kinds = (Kind.SOLVER_LATE, Kind.SOLVER_FAILS, Kind.SOLVER_LIES)
    found += [
        Fault(at_s, _length_s(rng, 60.0, 7200.0), rng.choice(kinds)) for at_s in _instants(rng, rates.solver, seconds)
    ]
    for feed in FEEDS:
        rng = Random(f"{seed}/feed/{feed}")
        lost = (Fault(at_s, _length_s(rng, 300.0, DAY_S), Kind.FEED_LOST, feed)
                for at_s in _instants(rng, rates.feed, seconds))  # fmt: skip
        found += _not_overlapping(lost)
    rng = Random(f"{seed}/clock")
    found += [
        Fault(at_s, _length_s(rng, 30.0, 4 * 3600.0), Kind.CLOCK_JUMP, "", rng.choice(JUMPS_S))
        for at_s in _instants(rng, rates.clock, seconds)
    ]
    rng = Random(f"{seed}/stall")
    found += [
        Fault(at_s, _length_s(rng, 1.0, LONGEST_STALL_S), Kind.STALL) for at_s in _instants(rng, rates.stall, seconds)
    ]
    found += _disk(Random(f"{seed}/disk"), rates.disk, seconds)
    if gateway:
        found += _operator(Random(f"{seed}/operator"), gateway, rates.operator, seconds)
    return tuple(sorted([*found, *_crashes(Random(f"{seed}/crash"), rates.crash, seconds)], key=_rank))


def _rank(fault: Fault) -> tuple[float, str, str]:
    return fault.at_s, fault.kind, fault.target


def _instants(rng: Random, per_day: float, seconds: float) -> Iterator[float]:
    """Give the instants of a Poisson process."""
    at_s = FIRST_S
    while per_day > 0.0 and (at_s := at_s + rng.expovariate(per_day / DAY_S)) < seconds:
        yield at_s


def _length_s(rng: Random, least_s: float, most_s: float) -> float:
    """Draw a length over orders of magnitude: many short ones, few long ones."""
    return float(least_s * (most_s / least_s) ** rng.random())


def _wire(rng: Random, device: str, at_s: float) -> Fault:
    kind = rng.choice(WIRE)
    size = {Kind.SLOW: _length_s(rng, 0.1, 30.0), Kind.GARBAGE: float(rng.randrange(1, 7))}.get(kind, 0.0)
    return Fault(at_s, _length_s(rng, 1.0, 4 * 3600.0), kind, device, size)


def _disk(rng: Random, per_day: float, seconds: float) -> list[Fault]:
    """Draw a disk that is full, or on which every so-many-th row fails."""
    kinds = (Kind.DISK_FULL, Kind.DISK_FAILS)
    return _not_overlapping(
        Fault(at_s, _length_s(rng, 5.0, 4 * 3600.0), rng.choice(kinds), size=float(rng.randrange(2, 40)))
        for at_s in _instants(rng, per_day, seconds)
    )


def _operator(rng: Random, gateway: str, per_day: float, seconds: float) -> list[Fault]:
    limits = (
        Fault(
            at_s,
            _length_s(rng, 60.0, 4 * 3600.0),
            Kind.OPERATOR_LIMIT,
            gateway,
            rng.choice((0.0, -1.0, rng.random(), -rng.random())),
        )
        for at_s in _instants(rng, per_day, seconds)
    )
    silences = (
        Fault(at_s, _length_s(rng, 20.0, 3 * 3600.0), Kind.OPERATOR_SILENT, gateway)
        for at_s in _instants(rng, per_day, seconds)
    )
    return [*_not_overlapping(limits), *_not_overlapping(silences)]


def _not_overlapping(faults: Iterator[Fault]) -> list[Fault]:
    kept: list[Fault] = []
    for fault in faults:
        if not kept or fault.at_s >= kept[-1].end_s:
            kept.append(fault)
    return kept


def _crashes(rng: Random, chance: float, seconds: float) -> Iterator[Fault]:
    """Draw at most one end of the process in each day's length, never two closer than that."""
    last_s = -OFTENEST_CRASH_S
    day_s = 0.0
    while day_s < seconds:
        at_s = day_s + FIRST_S + rng.random() * (min(OFTENEST_CRASH_S, seconds - day_s) - FIRST_S)
        down_s = rng.uniform(0.5, 8.0)
        if rng.random() < chance and at_s - last_s >= OFTENEST_CRASH_S and FIRST_S < at_s < seconds:
            yield Fault(at_s, down_s, Kind.RESTART if rng.random() < RESTART_SHARE else Kind.CRASH)
            last_s = at_s
        day_s += OFTENEST_CRASH_S


def by_kind(faults: Sequence[Fault]) -> Mapping[str, int]:
    """Count the faults of each kind."""
    return {kind.value: sum(fault.kind is kind for fault in faults) for kind in Kind}
