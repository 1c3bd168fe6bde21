"""A BACnet device as data: its points and the objects behind them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from drivers.driver import DriverError
from drivers.profiles import ProfileInfo, RoleInfo, RoleKind, pair, profile_names, read_profile

FOLDER = Path(__file__).parent / "profiles"
OBJECT_TYPES = ("analog-input", "analog-output", "analog-value")


@dataclass(frozen=True, slots=True)
class ObjectMap:
    """How one point lives in an object's present value.

    Args:
        role: name, unit, kind and bounds.
        object_type: BACnet object type, for example `analog-input`.
        instance: its instance number.
        factor: from the object's unit and sign to the canonical ones.
        valid: what a believable value is [unit].
    """

    role: RoleInfo
    object_type: str
    instance: int
    factor: float = 1.0
    valid: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class BacnetProfile:
    """One device map: its points by name, whether it falls back by itself, and how many properties fit one answer."""

    name: str
    points: Mapping[str, ObjectMap]
    has_watchdog: bool = False
    max_properties: int = 20

    def info(self) -> ProfileInfo:
        """Tell what it offers."""
        return ProfileInfo({name: point.role for name, point in self.points.items()}, self.has_watchdog)


def bacnet_profiles() -> tuple[str, ...]:
    """List the known BACnet profiles."""
    return profile_names(FOLDER)


@cache
def bacnet_profile(name: str) -> BacnetProfile:
    """Load a profile by name; raises `DriverError`, which says what is wrong with it."""
    return parse_profile(name, read_profile(FOLDER, name))


def parse_profile(name: str, document: Mapping[str, Any]) -> BacnetProfile:
    """Turn a profile's YAML document into a checked profile; raises `DriverError`."""
    rest = {key: value for key, value in document.items() if key not in ("title", "points", "watchdog")}
    points: dict[str, ObjectMap] = {}
    for key, entry in document.get("points", {}).items():
        try:
            points[key] = _point(key, dict(entry))
        except (TypeError, ValueError, KeyError) as error:
            raise DriverError(f"profile {name}: {key}: {error}") from error
    try:
        return BacnetProfile(name, points, bool(document.get("watchdog", False)), **rest)
    except TypeError as error:
        raise DriverError(f"profile {name}: {error}") from error


def _point(name: str, entry: dict[str, Any]) -> ObjectMap:
    kind = RoleKind(entry.pop("kind", "measurement"))
    lower, upper = entry.pop("lower", None), entry.pop("upper", None)
    unit, most = entry.pop("unit"), entry.pop("writes_per_day", None)
    role = RoleInfo(name, unit, kind is not RoleKind.MEASUREMENT, kind, lower, upper, most)
    object_type, _, instance = entry.pop("object").partition(",")
    if object_type not in OBJECT_TYPES:
        raise ValueError(f"object type {object_type!r} is not known; write one of {', '.join(OBJECT_TYPES)}")
    entry["valid"] = pair(entry.get("valid"))
    return ObjectMap(role, object_type, int(instance), **entry)
