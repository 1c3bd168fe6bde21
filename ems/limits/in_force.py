"""What the grid operator allows at the connection now, by direction, in figures and in words. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from math import inf
from types import MappingProxyType

import numpy as np

from ems.limits.failsafe_machine import Line, State
from optimization.slots import Floats


class Direction(StrEnum):
    """Which way power flows at the connection."""

    IMPORT = "import"
    EXPORT = "export"


@dataclass(frozen=True, slots=True)
class InForce:
    """What holds in one direction.

    Args:
        direction: import or export.
        state: `failsafe` while any source is lost, else `limited` if any limits, else `unlimited`.
        kw: the lowest limit of all sources, a magnitude [kW]; None where there is none.
        source: through which it came, for example `api` or `registers.control_box`; empty where there is none.
        ends_at: UTC instant at which it is released by itself; None for none, or where none is known.
        reason: a sentence for the operator; empty where there is no limit.
        trouble: who is lost since when, and the remedy; empty while nobody is.
    """

    direction: Direction
    state: State
    kw: float | None = None
    source: str = ""
    ends_at: datetime | None = None
    reason: str = ""
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Instant:
    """The present on both axes: for records, and for deadlines [monotonic s]."""

    at: datetime
    monotonic_s: float

    def when(self, monotonic_s: float) -> datetime:
        """Turn a monotonic instant into UTC."""
        return self.at + timedelta(seconds=monotonic_s - self.monotonic_s)


def in_force(
    direction: Direction, lines: Mapping[str, Line], now: Instant, unread: Mapping[str, str] = MappingProxyType({})
) -> InForce:
    """Put together what all sources say of one direction: the lowest limit holds.

    Args:
        direction: import or export.
        lines: by source, at least one, advanced to the present.
        now: the present.
        unread: why a source's newest reading said nothing that can be kept, by source.
    """
    states = {line.state for line in lines.values()}
    worst = next(state for state in (State.FAILSAFE, State.LIMITED, State.UNLIMITED) if state in states)
    lost = {source: line for source, line in lines.items() if line.failsafe}
    trouble = "; ".join(_lost(direction, s, line, now) + _because(unread.get(s, "")) for s, line in lost.items())
    source, line = min(lines.items(), key=lambda item: inf if item[1].kw is None else item[1].kw)
    if line.kw is None:
        return InForce(direction, worst)
    until_s = None if line.failsafe else line.order.until_s
    ends_at = None if until_s is None else now.when(until_s)
    return InForce(direction, worst, line.kw, source, ends_at, _reason(direction, source, line, ends_at), trouble)


def _reason(direction: Direction, source: str, line: Line, ends_at: datetime | None) -> str:
    if not line.failsafe:
        until = "" if ends_at is None else f" until {ends_at:%H:%M:%S} UTC"
        return f"the grid operator allows {line.kw:.1f} kW of {direction}{until} ({source})"
    what = "the failsafe limit is" if line.kw == line.failsafe_kw else "its last limit was"
    return f"the grid operator is lost ({source}): {what} {line.kw:.1f} kW of {direction}"


def _lost(direction: Direction, source: str, line: Line, now: Instant) -> str:
    since = f"{now.when(line.alive_s):%H:%M:%S} UTC"
    if line.is_fresh(now.monotonic_s):
        who = f"the grid operator is heard again by {source} and has stated no {direction} limit since"
    elif line.heard:
        who = f"no heartbeat of the grid operator by {source} since {since}"
    else:
        who = f"no heartbeat of the grid operator by {source} since the start at {since}"
    return f"{who}: at most {line.kw:.1f} kW of {direction} until a heartbeat and then a limit arrive"


def _because(words: str) -> str:
    return f" ({words})" if words else ""


def narrowed(limits_kw: tuple[float, float], limits: Iterable[InForce]) -> tuple[float, float]:
    """Narrow the connection's import and export limit [kW] by what the grid operator allows."""
    kw = {limit.direction: limit.kw for limit in limits if limit.kw is not None}
    return min(limits_kw[0], kw.get(Direction.IMPORT, inf)), min(limits_kw[1], kw.get(Direction.EXPORT, inf))


def foreseen(
    limits_kw: tuple[float, float], limits: Iterable[InForce], start: datetime, offset_s: Floats
) -> tuple[Floats, Floats]:
    """Give the connection's import and export limit [kW] ahead: what the grid operator allows holds until its end.

    Args:
        limits_kw: the connection's own.
        limits: what is in force now.
        start: UTC instant that the offsets count from.
        offset_s: of each instant, shape (n,).
    """
    flat = np.ones(len(offset_s))
    kw = {Direction.IMPORT: limits_kw[0] * flat, Direction.EXPORT: limits_kw[1] * flat}
    for limit in limits:
        if limit.kw is not None:
            left_s = inf if limit.ends_at is None else (limit.ends_at - start).total_seconds()
            kw[limit.direction] = np.minimum(kw[limit.direction], np.where(offset_s < left_s, limit.kw, inf))
    return kw[Direction.IMPORT], kw[Direction.EXPORT]
