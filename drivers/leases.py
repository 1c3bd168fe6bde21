"""Which commands are not even tried, whatever the wire: pure."""

from __future__ import annotations

from collections.abc import Mapping

from drivers.points import Point, Setpoint


def objection(setpoint: Setpoint, points: Mapping[str, Point], *, lease_s: float, now_s: float) -> str:
    """Say why a set-point must not be sent; empty if nothing speaks against it.

    Args:
        setpoint: the leased command.
        points: the device's points by id.
        lease_s: how long the device is to hold it without renewal [s].
        now_s: the monotonic instant [s].
    """
    point = points.get(setpoint.point)
    if point is None or not point.writable:
        return f"{setpoint.point} takes no command"
    if lease_s <= 0 or setpoint.expires_s <= now_s:
        return "its lease is over"
    return ""


def outside(value: float, lower: float | None, upper: float | None, unit: str) -> str:
    """Say why a value is not admitted between two bounds, None being no bound; empty if it is. NaN never is."""
    low = float("-inf") if lower is None else lower
    high = float("inf") if upper is None else upper
    return (
        ""
        if low <= value <= high and abs(value) < float("inf")
        else f"{value:g} {unit} is outside {low:g} to {high:g} {unit}"
    )
