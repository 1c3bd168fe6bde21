"""The running metering interval of a demand charge: what was imported so far, and what may still be drawn. Pure.

    used     = register now - register at the interval's start            [kWh]
    allowed  = target + (target * t - used) / max(left, SEAM_S)           [kW]

Symbols: t the measured time of the interval so far, left its rest. Between two steps of the register the metered power
is integrated, so a register of whole kWh does as well as one of Wh. What nobody measured counts as drawn at the target.

Anti-windup: the last `SEAM_S` seconds correct no faster than `SEAM_S`, and nothing above `MOST_SHARE` of the target is
ever allowed, so that an interval neither ends nor begins with a swing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

SEAM_S = 120.0
MOST_SHARE = 1.5
LONGEST_GAP_S = 60.0
"""A power is taken for so long at the most when no register tells what went on meanwhile."""
KNOWN_SHARE = 0.01
"""An interval of which more than this is unknown says nothing of a month's peak."""


@dataclass(frozen=True, slots=True)
class Closed:
    """A metering interval that is over.

    Args:
        start: its UTC start.
        mean_kw: mean import of its measured part [kW].
        unknown_s: how much of it nobody measured [s].
        interval_s: its length [s].
    """

    start: datetime
    mean_kw: float
    unknown_s: float
    interval_s: float

    @property
    def end(self) -> datetime:
        """Give the UTC end of the interval."""
        return self.start + timedelta(seconds=self.interval_s)

    @property
    def is_known(self) -> bool:
        """Whether all of it was measured, but for a trifle."""
        return self.unknown_s <= KNOWN_SHARE * self.interval_s


@dataclass(frozen=True, slots=True)
class Running:
    """The interval that is being metered.

    Args:
        start: its UTC start, a multiple of its length.
        interval_s: its length [s].
        at: UTC instant up to which it is accounted for.
        used_kwh: import of the measured part [kWh].
        unknown_s: how much of it nobody measured [s].
        power_kw: import at `at` [kW]; None if unknown.
        register_kwh: import register at `at`; None without one.
        since_step_kwh: import integrated since that register last moved [kWh].
        stepped: whether that register was seen to move: before, nobody knows how near to its next step it stands.
        closed: intervals that ended with the newest update, oldest first.
    """

    start: datetime
    interval_s: float
    at: datetime
    used_kwh: float = 0.0
    unknown_s: float = 0.0
    power_kw: float | None = None
    register_kwh: float | None = None
    since_step_kwh: float = 0.0
    stepped: bool = False
    closed: tuple[Closed, ...] = ()

    @property
    def end(self) -> datetime:
        """Give the UTC end of the interval."""
        return self.start + timedelta(seconds=self.interval_s)

    @property
    def known_s(self) -> float:
        """Give how much of the interval was measured so far [s]."""
        return (self.at - self.start).total_seconds() - self.unknown_s

    @property
    def left_s(self) -> float:
        """Give the rest of the interval [s]."""
        return (self.end - self.at).total_seconds()

    @property
    def mean_kw(self) -> float | None:
        """Give the mean import of the measured part [kW]; None before anything was measured."""
        return self.used_kwh * 3600.0 / self.known_s if self.known_s > 0.0 else None

    def allowed_kw(self, target_kw: float) -> float:
        """Give the import at which the rest of the interval brings its mean to a target [kW], never negative."""
        spare_kwh = target_kw * self.known_s / 3600.0 - self.used_kwh
        kw = target_kw + spare_kwh * 3600.0 / max(self.left_s, SEAM_S)
        return min(max(kw, 0.0), MOST_SHARE * target_kw)


def interval_start(at: datetime, interval_s: float) -> datetime:
    """Give the start of the metering interval that holds an aware instant: whole multiples of its length in UTC."""
    return datetime.fromtimestamp(at.timestamp() // interval_s * interval_s, UTC)


def begin(at: datetime, interval_s: float) -> Running:
    """Begin to meter in the middle of an interval: what went before is unknown."""
    start = interval_start(at, interval_s)
    return Running(start, interval_s, at, unknown_s=(at - start).total_seconds())


def begin_at_register(start: datetime, register_kwh: float, interval_s: float) -> Running:
    """Take up an interval whose register at its start is known from the history."""
    return Running(start, interval_s, start, register_kwh=register_kwh)


def advance(running: Running, at: datetime, power_kw: float | None, register_kwh: float | None) -> Running:
    """Account for the time up to `at`.

    Args:
        running: the state so far.
        at: aware instant; one that is not later changes nothing.
        power_kw: power at the connection, import positive; None if it cannot be read.
        register_kwh: import register; None if it cannot be read.
    """
    if at <= running.at or (power_kw is None and register_kwh is None):
        return replace(running, closed=())
    drawn_kw = None if power_kw is None else max(power_kw, 0.0)
    passed_s = (at - running.at).total_seconds()
    used_kwh, known = _energy(running, passed_s, drawn_kw, register_kwh)
    moved = _moved(running, register_kwh)
    later = replace(
        running,
        power_kw=drawn_kw,
        register_kwh=running.register_kwh if register_kwh is None else register_kwh,
        since_step_kwh=0.0 if moved or running.register_kwh is None else running.since_step_kwh + used_kwh,
        stepped=running.stepped or moved,
        closed=(),
    )
    return _spread(later, at, used_kwh / passed_s, known=known)


def _moved(running: Running, register_kwh: float | None) -> bool:
    return register_kwh is not None and running.register_kwh is not None and register_kwh != running.register_kwh


def _energy(
    running: Running, passed_s: float, drawn_kw: float | None, register_kwh: float | None
) -> tuple[float, bool]:
    """Give the import since the last update [kWh] and whether it is known."""
    before_kwh = running.register_kwh
    trusted = running.stepped or drawn_kw is None or passed_s > LONGEST_GAP_S
    if trusted and register_kwh is not None and before_kwh is not None and register_kwh > before_kwh:
        return register_kwh - before_kwh - running.since_step_kwh, True
    if drawn_kw is None:
        # The register stands still and the power is unknown: less than one of its steps was drawn.
        return 0.0, before_kwh is not None
    mean_kw = drawn_kw if running.power_kw is None else 0.5 * (drawn_kw + running.power_kw)
    if passed_s > LONGEST_GAP_S:
        return 0.0, register_kwh is not None and register_kwh == before_kwh
    return mean_kw * passed_s / 3600.0, True


def _spread(running: Running, at: datetime, kwh_per_s: float, *, known: bool) -> Running:
    """Lay energy over the time up to `at`, closing every interval that ends meanwhile."""
    closed: list[Closed] = []
    while at >= running.end:
        running = _lay(running, running.end, kwh_per_s, known=known)
        mean_kw = running.mean_kw
        if mean_kw is not None:
            closed.append(Closed(running.start, mean_kw, running.unknown_s, running.interval_s))
        running = replace(running, start=running.end, used_kwh=0.0, unknown_s=0.0)
    return replace(_lay(running, at, kwh_per_s, known=known), closed=tuple(closed))


def _lay(running: Running, until: datetime, kwh_per_s: float, *, known: bool) -> Running:
    seconds = (until - running.at).total_seconds()
    return replace(
        running,
        at=until,
        used_kwh=running.used_kwh + kwh_per_s * seconds,
        unknown_s=running.unknown_s + (0.0 if known else seconds),
    )
