"""What became of reading a value, before it gets its name and its instant: pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from drivers.points import Measurement, Quality

RELEASED = "released to the device's own control"


@dataclass(frozen=True, slots=True)
class Reading:
    """A value with its quality; the value is None if and only if the quality is `BAD`."""

    value: float | None
    quality: Quality = Quality.GOOD
    reason: str = ""

    @classmethod
    def bad(cls, reason: str) -> Reading:
        """No value, and why."""
        return cls(None, Quality.BAD, reason)

    @classmethod
    def uncertain(cls, value: float, reason: str) -> Reading:
        """A value that must not steer, and why."""
        return cls(value, Quality.UNCERTAIN, reason)

    def of(self, point: str, at: datetime, monotonic_s: float) -> Measurement:
        """Give it its point and the instant of the device read."""
        return Measurement(point, self.value, at, monotonic_s, self.quality, self.reason)


def all_bad(points: Iterable[str], reason: str, at: datetime, monotonic_s: float) -> list[Measurement]:
    """Say of every point that it could not be read."""
    said = Reading.bad(reason)
    return [said.of(point, at, monotonic_s) for point in points]
