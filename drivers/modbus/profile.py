"""A Modbus device as data: its registers, its points, and the order in which a command is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

from drivers.driver import DriverError
from drivers.modbus.batches import PROTOCOL_LIMIT
from drivers.modbus.registers import Order, Register, Table
from drivers.profiles import ProfileInfo, RoleInfo, RoleKind, pair, profile_names, read_profile

FOLDER = Path(__file__).parent / "profiles"
T = TypeVar("T")


class Term(Enum):
    """What a command puts into a register, besides plain numbers."""

    VALUE = "value"
    SAFE = "safe"
    LEASE = "lease"


Step = tuple[tuple[str, Term | float], ...]
"""One write request: register names with what goes into them, in address order."""


@dataclass(frozen=True, slots=True)
class PointMap:
    """How one point lives in the registers.

    Args:
        role: name, unit, kind and bounds.
        register: where its value is read.
        valid: what a believable value is [unit].
        forbidden: an open interval that no command may lie in [unit].
        failsafe: steps at connect that tell the device what to fall back to.
        arm: steps before a command that are left out where the device holds them already.
        command: steps that set a value, the one that makes it effective last.
        release: steps that give the point back to the device's own control.
        released_when: raw register values that tell that nothing is commanded.
    """

    role: RoleInfo
    register: str
    valid: tuple[float, float] | None = None
    forbidden: tuple[float, float] | None = None
    failsafe: tuple[Step, ...] = ()
    arm: tuple[Step, ...] = ()
    command: tuple[Step, ...] = ()
    release: tuple[Step, ...] = ()
    released_when: Mapping[str, float] = field(default_factory=dict)

    def names(self) -> frozenset[str]:
        """Name all registers that its command and its reading touch."""
        steps = (*self.failsafe, *self.arm, *self.command, *self.release)
        return frozenset({self.register, *self.released_when, *(name for step in steps for name, _ in step)})


@dataclass(frozen=True, slots=True)
class ModbusProfile:
    """One device map.

    Args:
        name: its file's name.
        registers: all registers by name.
        points: all points by name.
        models: SunSpec models that the device must have; empty for absolute addresses.
        has_watchdog: whether the device falls back by itself.
        max_registers: longest block that it answers.
        max_gap: most registers read in vain to save a request.
    """

    name: str
    registers: Mapping[str, Register]
    points: Mapping[str, PointMap]
    models: tuple[int, ...] = ()
    has_watchdog: bool = False
    max_registers: int = PROTOCOL_LIMIT
    max_gap: int = 12

    def info(self) -> ProfileInfo:
        """Tell what it offers."""
        return ProfileInfo({name: point.role for name, point in self.points.items()}, self.has_watchdog)


def modbus_profiles() -> tuple[str, ...]:
    """List the known Modbus profiles."""
    return profile_names(FOLDER)


@cache
def modbus_profile(name: str) -> ModbusProfile:
    """Load a profile by name; raises `DriverError`, which says what is wrong with it."""
    return parse_profile(name, read_profile(FOLDER, name))


def parse_profile(name: str, document: Mapping[str, Any]) -> ModbusProfile:
    """Turn a profile's YAML document into a checked profile; raises `DriverError`."""
    rest = dict(document)
    registers = _each(name, rest.pop("registers", {}), _register)
    points = _each(name, rest.pop("points", {}), lambda key, entry: _point(key, entry, registers))
    rest.pop("title", None)
    models = tuple(rest.pop("models", ()))
    has_watchdog = bool(rest.pop("watchdog", False))
    try:
        profile = ModbusProfile(name, registers, points, models, has_watchdog, **rest)
    except TypeError as error:
        raise DriverError(f"profile {name}: {error}") from error
    for problem in _problems(profile):
        raise DriverError(f"profile {name}: {problem}")
    return profile


def _each(profile: str, entries: Mapping[str, Any], build: Callable[[str, dict[str, Any]], T]) -> dict[str, T]:
    built: dict[str, T] = {}
    for key, entry in entries.items():
        try:
            built[key] = build(key, dict(entry))
        except (TypeError, ValueError, KeyError) as error:
            raise DriverError(f"profile {profile}: {key}: {error}") from error
    return built


def _register(name: str, entry: dict[str, Any]) -> Register:
    entry["table"] = Table(entry.get("table", "holding"))
    entry["order"] = Order(entry.get("order", "abcd"))
    entry["range"], entry["witness"] = pair(entry.get("range")), pair(entry.get("witness"))
    return Register(name, **entry)


def _point(name: str, entry: dict[str, Any], registers: Mapping[str, Register]) -> PointMap:
    kind = RoleKind(entry.pop("kind", "measurement"))
    lower, upper = entry.pop("lower", None), entry.pop("upper", None)
    unit, most = entry.pop("unit"), entry.pop("writes_per_day", None)
    for key in ("valid", "forbidden"):
        entry[key] = pair(entry.get(key))
    for key in ("failsafe", "arm", "command", "release"):
        entry[key] = tuple(_step(step, registers) for step in entry.get(key, ()))
    is_repeated = any(term is Term.VALUE for step in entry["command"] for _, term in step)
    role = RoleInfo(name, unit, kind is not RoleKind.MEASUREMENT, kind, lower, upper, most, is_repeated)
    point = PointMap(role, **entry)
    if role.writable and not (point.command and point.release):
        raise ValueError(f"a {kind} needs the steps 'command' and 'release'")
    return point


def _step(entry: Mapping[str, Any], registers: Mapping[str, Register]) -> Step:
    """Order a step's registers by address; they must touch, because one request writes them all."""
    names = sorted(entry, key=lambda name: registers[name].at)
    for first, second in pairwise(names):
        if registers[first].at + registers[first].layout.words != registers[second].at:
            raise ValueError(f"{first} and {second} do not touch; write them in two steps")
    return tuple((name, _term(entry[name])) for name in names)


def _term(value: Any) -> Term | float:
    return Term(value) if isinstance(value, str) else float(value)


def _problems(profile: ModbusProfile) -> Sequence[str]:
    """Find names that lead nowhere and scale factors too far away to be read in one answer."""
    found: list[str] = []
    known = profile.registers
    for name, register in known.items():
        referred = {register.exponent, register.percent_of} - {None, *known}
        found += [f"{name} refers to {other}, which is no register of this profile" for other in referred]
        if register.model is not None and register.model not in profile.models:
            found.append(f"{name} lies in model {register.model}, which is not among its models")
        exponent = known.get(register.exponent or "")
        if exponent is not None and (
            exponent.model != register.model or abs(exponent.at - register.at) >= profile.max_registers
        ):
            found.append(f"{name} and its exponent {exponent.name} cannot be read in one answer")
    for name, point in profile.points.items():
        if profile.has_watchdog and point.role.writes_per_day is not None and point.role.is_repeated:
            found.append(f"{name} wears, yet each renewal writes its value; write what takes it under 'arm'")
        found += [f"{name} refers to {other}, which is no register" for other in point.names() if other not in known]
    return found
