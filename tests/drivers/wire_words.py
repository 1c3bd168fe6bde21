"""A set-point in one line, and measurements by their role."""

from __future__ import annotations

from collections.abc import Iterable

from drivers.points import Measurement, Setpoint


def setpoint(point: str, value: float | None, expires_s: float = 1e9) -> Setpoint:
    return Setpoint(point, value, "a test wants it", expires_s)


def by_name(measurements: Iterable[Measurement]) -> dict[str, Measurement]:
    return {each.point.partition(".")[2]: each for each in measurements}
