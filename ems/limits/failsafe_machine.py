"""What a grid operator's limit is at an instant: heartbeat, limit, failsafe. Pure.

One `Line` is one direction (import or export) as one source tells it. It follows the connection-loss rules of the EEBUS
use cases for limiting consumption and production, with two of their known misreadings ruled out:

Law 1: never silently un-limit on a long outage. Without a heartbeat for 120 s no more than the failsafe limit holds,
and it stays, also after two hours.
Law 2: leave failsafe only on a heartbeat and then a new limit (or an explicit release), both: then at once, even before
two hours.
Law 3: a limit without a duration does not expire; one with a duration is released at its end.
Law 4: losing the operator loosens nothing: in failsafe the lower of the failsafe limit and the last limit holds.
Law 5: what no fresh heartbeat precedes can only tighten, and then holds until a heartbeat and a limit.
Law 6: a restart loosens nothing: it takes up what held. Where nothing is known of before, the failsafe limit holds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from math import inf, isfinite

HEARTBEAT_S = 60.0
"""A heartbeat is expected so often [s]."""
MISSING_S = 120.0
"""Without one for so long the operator counts as lost [s]."""


class LimitError(ValueError):
    """A limit that cannot be kept: the message names the field, its value and the remedy."""


class State(StrEnum):
    """What holds of one direction."""

    UNLIMITED = "unlimited"
    LIMITED = "limited"
    FAILSAFE = "failsafe"


@dataclass(frozen=True, slots=True)
class Order:
    """What the operator said last.

    Args:
        kw: the limit as a magnitude [kW]; None is a release.
        until_s: monotonic instant at which it is released by itself [s]; None for none.
    """

    kw: float | None
    until_s: float | None = None


RELEASED = Order(None)


@dataclass(frozen=True, slots=True)
class Line:
    """One direction as one source tells it, at the instant of its newest event.

    Args:
        failsafe_kw: declared limit that holds while the operator is lost [kW].
        alive_s: monotonic instant of the last heartbeat; before the first one that of the start [s].
        heard: whether a heartbeat was heard since the start.
        order: what was said last and believed.
        failsafe: whether the failsafe limit is in force.
    """

    failsafe_kw: float
    alive_s: float
    heard: bool = False
    order: Order = RELEASED
    failsafe: bool = True

    @property
    def state(self) -> State:
        """Tell what holds."""
        if self.failsafe:
            return State.FAILSAFE
        return State.UNLIMITED if self.order.kw is None else State.LIMITED

    @property
    def kw(self) -> float | None:
        """Give the limit in force [kW], None where there is none (Law 4)."""
        if not self.failsafe:
            return self.order.kw
        return self.failsafe_kw if self.order.kw is None else min(self.failsafe_kw, self.order.kw)

    def is_fresh(self, now_s: float) -> bool:
        """Tell whether a heartbeat was heard so lately that a limit after it is believed."""
        return self.heard and now_s - self.alive_s < MISSING_S


def begun(failsafe_kw: float, now_s: float, *, order: Order | None = None, failsafe: bool = True) -> Line:
    """Start, or start again (Law 6).

    Args:
        failsafe_kw: declared failsafe limit [kW].
        now_s: monotonic instant [s].
        order: what was kept of before; None where nothing is known.
        failsafe: whether the failsafe limit was in force before.
    """
    return Line(failsafe_kw, now_s, order=order or RELEASED, failsafe=failsafe or order is None)


def advanced(line: Line, now_s: float) -> Line:
    """Let time pass: a limit ends, or the operator is lost (Laws 1 and 3)."""
    until_s = line.order.until_s
    order = RELEASED if until_s is not None and now_s >= until_s else line.order
    failsafe = line.failsafe or now_s - line.alive_s >= MISSING_S
    same = order is line.order and failsafe is line.failsafe
    return line if same else replace(line, order=order, failsafe=failsafe)


def heartbeat(line: Line, now_s: float) -> Line:
    """Hear a heartbeat; alone it ends no failsafe (Law 2)."""
    return replace(advanced(line, now_s), alive_s=now_s, heard=True)


def told(line: Line, now_s: float, kw: float | None, duration_s: float | None = None) -> Line:
    """Hear a limit, or with None a release.

    Args:
        line: what holds before.
        now_s: monotonic instant [s].
        kw: the limit [kW], 0 or more.
        duration_s: how long it holds [s]; None until it is changed.

    Raises:
        LimitError: the limit or its duration is no such number.
    """
    if kw is not None:
        checked_kw("limit", kw)
    if duration_s is not None:
        checked_s("duration", duration_s)
    line = advanced(line, now_s)
    if line.is_fresh(now_s):
        until_s = None if duration_s is None or kw is None else now_s + duration_s
        return replace(line, order=Order(kw, until_s), failsafe=False)
    tightens = kw is not None and kw < (inf if line.order.kw is None else line.order.kw)
    return replace(line, order=Order(kw)) if tightens else line


def checked_kw(name: str, value: object) -> float:
    """Give a limit that can be kept; raises `LimitError`."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value) or value < 0.0:
        raise LimitError(f"{name}: {value!r} is no limit; write a power in kW, 0 or more")
    return float(value)


def checked_s(name: str, value: object) -> float:
    """Give a duration that can pass; raises `LimitError`."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value) or value <= 0.0:
        raise LimitError(f"{name}: {value!r} is no duration; write seconds, more than 0, or leave it out for no end")
    return float(value)
