"""The words of the wire: what a device tells and what it is told.

Law 1: a `Measurement` carries the instant of the device read. Nobody stamps it again.
Law 2: a failed read is a `Measurement` without a value, of quality `BAD`, with a reason; it is no exception.
Law 3: a `Setpoint` is a lease. It says what, why and until when.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple


class Quality(StrEnum):
    """How far a value may be trusted: only `GOOD` steers."""

    GOOD = "good"
    UNCERTAIN = "uncertain"
    BAD = "bad"


CANONICAL_UNITS = frozenset(
    {"kW", "kvar", "kWh", "A", "V", "Hz", "degC", "pct", "s", "pu", "state", "W/m2", "m/s", "kg/kWh", "EUR/kWh"}
)
"""Drivers turn vendor units into these at their edge; past it no other unit exists."""


@dataclass(frozen=True, slots=True)
class Point:
    """One value of one device, in a canonical unit.

    Args:
        id: `device.name`, unique in a site, for example `battery.power_kw`.
        unit: one of `CANONICAL_UNITS`; also the suffix of the name where the unit has one.
        writable: whether the device accepts a setpoint here.
        lower: least value a setpoint may take [unit], None where not declared.
        upper: greatest value a setpoint may take [unit], None where not declared.
    """

    id: str
    unit: str
    writable: bool = False
    lower: float | None = None
    upper: float | None = None


class Measurement(NamedTuple):
    """What a device said at an instant. A tuple, because a site makes tens of thousands of them a second.

    Args:
        point: the point's id.
        value: in the point's canonical unit; None if and only if the quality is `BAD`.
        at: UTC instant of the device read, for records.
        monotonic_s: the same instant on the monotonic clock, for ages [s].
        quality: how far to trust it.
        reason: why it is not good, for example `timeout after 0.5 s`; empty when good.
    """

    point: str
    value: float | None
    at: datetime
    monotonic_s: float
    quality: Quality = Quality.GOOD
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Setpoint:
    """A leased command to one point.

    Args:
        point: the point's id.
        value: in the point's canonical unit; None releases the point to the device's own control.
        reason: a sentence that an operator can read.
        expires_s: monotonic instant at which the lease ends [s].
    """

    point: str
    value: float | None
    reason: str
    expires_s: float


class Outcome(StrEnum):
    """What became of a write. `UNKNOWN` is never resent blindly: it is read back first."""

    APPLIED = "applied"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class WriteResult:
    """The proof of a write: what the device holds now.

    Args:
        point: the point's id.
        outcome: applied, refused or unknown.
        effective: value read back from the device, canonical unit; None if it could not be read or is released.
        reason: why it was refused or is unknown; empty when applied as asked.
    """

    point: str
    outcome: Outcome
    effective: float | None
    reason: str = ""
