"""What every device profile tells, whatever its wire: roles, units, what may be written, who watches over it.

A profile is a YAML file beside its protocol's code. Reading one opens no socket and imports no protocol library, so
that a site file can be checked on any machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import yaml

from drivers.driver import DriverError
from drivers.points import CANONICAL_UNITS, Point


class RoleKind(StrEnum):
    """What a role is for: told by the device, a value to follow, or a bound to respect."""

    MEASUREMENT = "measurement"
    SETPOINT = "setpoint"
    LIMIT = "limit"


@dataclass(frozen=True, slots=True)
class RoleInfo:
    """One role that a profile offers.

    Args:
        point: name of the point; its id is `<device>.<point>`.
        unit: canonical unit of its values.
        writable: whether the device takes a command here.
        kind: measurement, set-point or limit.
        lower: least command [unit], None where the device alone knows.
        upper: greatest command [unit], None where the device alone knows.
        writes_per_day: how often it may be written within 24 h because its register wears; None where it does not.
        is_repeated: whether renewing a command writes its value again.
    """

    point: str
    unit: str
    writable: bool
    kind: RoleKind
    lower: float | None = None
    upper: float | None = None
    writes_per_day: int | None = None
    is_repeated: bool = True

    def __post_init__(self) -> None:
        if self.writes_per_day is not None and (not self.writable or self.writes_per_day < 1):
            raise ValueError(f"writes_per_day {self.writes_per_day} is for a command, and at least 1")
        if self.unit not in CANONICAL_UNITS:
            raise ValueError(f"unit {self.unit!r} is not canonical; write one of {', '.join(sorted(CANONICAL_UNITS))}")

    def at(self, device: str) -> Point:
        """Name it on a device."""
        return Point(f"{device}.{self.point}", self.unit, self.writable, self.lower, self.upper)


@dataclass(frozen=True, slots=True)
class ProfileInfo:
    """What a profile offers, known without any socket.

    Args:
        roles: role name -> what it is.
        has_watchdog: whether the device falls back by itself when it is no longer commanded.
    """

    roles: Mapping[str, RoleInfo]
    has_watchdog: bool


def profile_names(folder: Path) -> tuple[str, ...]:
    """List the profiles of a folder by name, sorted."""
    return tuple(sorted(path.stem for path in folder.glob("*.yaml")))


def read_profile(folder: Path, name: str) -> dict[str, Any]:
    """Read a profile's file; raises `DriverError` with the known names for an unknown one."""
    known = profile_names(folder)
    if name not in known:
        raise DriverError(f"profile {name!r} is not known to {folder.parent.name}; write one of {', '.join(known)}")
    document = yaml.safe_load((folder / f"{name}.yaml").read_text(encoding="utf-8"))
    if not isinstance(document, dict):
        raise DriverError(f"profile {name}: the file holds no mapping; write title, registers or objects, and points")
    return document


def pair(value: Any) -> tuple[float, float] | None:
    """Read an optional `[low, high]`; raises `ValueError`."""
    if value is None:
        return None
    low, high = (float(item) for item in value)
    if low > high:
        raise ValueError(f"[{low}, {high}] is upside down; write the lower bound first")
    return low, high
