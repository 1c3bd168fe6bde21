"""The only file that reads wall time or sleeps.

Deadlines, ages and leases live on `monotonic()`; records live on `now()`, which is UTC. `now()` runs on the monotonic
axis from an anchor, so that a stepped wall clock moves no deadline; `adopt_wall_step` re-anchors the records.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol, TypeVar

T = TypeVar("T")


async def within(awaitable: Awaitable[T], seconds: float) -> T:
    """Await at most so long [s of the loop]; raises `TimeoutError`. Unlike `asyncio.wait_for` it makes no task."""
    async with asyncio.timeout(seconds):
        return await awaitable


class Clock(Protocol):
    """Time as the daemon sees it."""

    def now(self) -> datetime:
        """Give the UTC instant, for records."""

    def monotonic(self) -> float:
        """Give the monotonic instant [s], for deadlines, ages and leases."""

    async def sleep(self, seconds: float) -> None:
        """Wait [s]."""

    async def wait_for(self, awaitable: Awaitable[T], seconds: float) -> T:
        """Await at most so long [s]; raises `TimeoutError`."""


class SystemClock:
    """The machine's clock: monotonic seconds, and UTC from an anchor on them."""

    def __init__(self) -> None:
        self._anchor = (datetime.now(UTC), time.monotonic())

    def now(self) -> datetime:
        """Give the UTC instant, counted on the monotonic axis from the anchor."""
        at, monotonic_s = self._anchor
        return at + timedelta(seconds=time.monotonic() - monotonic_s)

    def monotonic(self) -> float:
        """Give the system-wide monotonic instant [s]."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait [s]."""
        await asyncio.sleep(max(0.0, seconds))

    async def wait_for(self, awaitable: Awaitable[T], seconds: float) -> T:
        """Await at most so long [s]; raises `TimeoutError`."""
        return await within(awaitable, seconds)

    def wall_step_s(self) -> float:
        """Tell how far the wall clock has moved away from the anchored records [s]."""
        return (datetime.now(UTC) - self.now()).total_seconds()

    def adopt_wall_step(self) -> None:
        """Take the wall clock's word for the records from here on; no deadline moves."""
        self._anchor = (datetime.now(UTC), time.monotonic())


@dataclass(frozen=True, slots=True)
class ScaledClock:
    """A clock that several processes share and that runs `speed` times as fast as the wall.

    Args:
        start: UTC instant at the anchor.
        anchor_s: system-wide monotonic instant of the start [s].
        speed: simulated seconds a wall second.
    """

    start: datetime
    anchor_s: float
    speed: float

    def now(self) -> datetime:
        """Give the simulated UTC instant."""
        return self.start + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        """Give the simulated seconds since the start."""
        return (time.monotonic() - self.anchor_s) * self.speed

    async def sleep(self, seconds: float) -> None:
        """Wait for simulated seconds."""
        await asyncio.sleep(max(0.0, seconds / self.speed))

    async def wait_for(self, awaitable: Awaitable[T], seconds: float) -> T:
        """Await at most so many simulated seconds; raises `TimeoutError`."""
        return await within(awaitable, seconds / self.speed)

    def to_text(self) -> str:
        """Write it as one word for a command line, the inverse of `from_text`."""
        return f"{self.start.isoformat()}@{self.anchor_s!r}x{self.speed!r}"

    @classmethod
    def from_text(cls, text: str) -> ScaledClock:
        """Read `START@ANCHORxSPEED`; raises `ValueError`."""
        start, _, rest = text.partition("@")
        anchor_s, _, speed = rest.partition("x")
        return cls(datetime.fromisoformat(start), float(anchor_s), float(speed))


class _UnhurriedClock(ScaledClock):
    """The same instants, but waiting counts wall seconds."""

    async def wait_for(self, awaitable: Awaitable[T], seconds: float) -> T:
        """Await at most so many wall seconds; raises `TimeoutError`."""
        return await within(awaitable, seconds)


def unhurried(clock: Clock) -> Clock:
    """Give the clock for what speed makes no faster, a wire or a solver: its time-outs count wall seconds."""
    return _UnhurriedClock(clock.start, clock.anchor_s, clock.speed) if isinstance(clock, ScaledClock) else clock


class SimulatedClock:
    """A clock that moves only when it is told to; nothing ever times out on it."""

    def __init__(self, start: datetime) -> None:
        self._start = start
        self._elapsed_s = 0.0

    def now(self) -> datetime:
        """Give the simulated UTC instant."""
        return self._start + timedelta(seconds=self._elapsed_s)

    def monotonic(self) -> float:
        """Give the simulated seconds since the start."""
        return self._elapsed_s

    def advance_to(self, monotonic_s: float) -> None:
        """Move to a later instant [s]; raises `ValueError` for an earlier one."""
        if monotonic_s < self._elapsed_s:
            raise ValueError(f"the simulated clock stands at {self._elapsed_s} s and cannot go back to {monotonic_s} s")
        self._elapsed_s = monotonic_s

    async def sleep(self, seconds: float) -> None:
        """Move on by so much [s] without waiting."""
        self._elapsed_s += max(0.0, seconds)
        await asyncio.sleep(0)

    async def wait_for(self, awaitable: Awaitable[T], seconds: float) -> T:  # noqa: ARG002
        """Await for as long as it takes: in lock-step no wall-clock deadline decides anything."""
        return await awaitable
