"""The contract of every driver, and the little of a clock that drivers consume."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from datetime import datetime
from typing import Protocol, TypeVar

from drivers.points import Measurement, Point, Setpoint, WriteResult

T = TypeVar("T")


class DriverError(Exception):
    """A driver cannot be built from its configuration: the message names the thing, the value and the remedy."""


class DriverClock(Protocol):
    """What a driver needs of time."""

    def now(self) -> datetime:
        """Give the UTC instant, for records."""

    def monotonic(self) -> float:
        """Give the monotonic instant [s], for ages and leases."""

    async def sleep(self, seconds: float) -> None:
        """Wait [s]."""

    async def wait_for(self, awaitable: Awaitable[T], seconds: float) -> T:
        """Await at most so long; raises `TimeoutError`. A lock-step clock waits for as long as it takes."""


class Driver(Protocol):
    """One device behind one link.

    `read` and `write` never raise for what a device or a wire does: a failed read is a `BAD` measurement and a failed
    write is a `REFUSED` or `UNKNOWN` result. Connecting (again) happens inside them, with a back-off of at most 15 s.
    """

    @property
    def device(self) -> str:
        """Id of the device, the first part of its points' ids."""

    @property
    def points(self) -> Mapping[str, Point]:
        """All points by id."""

    @property
    def has_watchdog(self) -> bool:
        """Whether the device falls back by itself when no longer commanded (else the guard writes its safe value)."""

    async def read(self) -> Sequence[Measurement]:
        """Read every polled point: one measurement a point, each with its own quality."""

    async def write(self, setpoints: Sequence[Setpoint], lease_s: float) -> Sequence[WriteResult]:
        """Write and read back, one result a setpoint; arms the device's own watchdog with `lease_s` [s].

        Repeating a setpoint renews its lease in the device. A value outside the point's bounds is clamped by the
        caller; here it is refused at encoding, never wrapped.
        """

    async def close(self) -> None:
        """Close the link. Writes nothing."""
