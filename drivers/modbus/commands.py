"""From a set-point to the write requests of its profile, and the proof afterwards: pure.

Law 1: what does not fit its register is refused before anything is sent.
Law 2: a lease never becomes 0 in a device, because 0 means "for ever" there.
Law 3: what a device acknowledges proves nothing; what it holds afterwards does.
Law 4: a limit is never rounded up: what a coarse register holds lies at or below what was asked.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from drivers.leases import outside
from drivers.modbus.profile import PointMap, Step, Term
from drivers.modbus.registers import EncodeError, Register, Scale, Unusable, encode, to_raw
from drivers.modbus.scan import Placed, Scan
from drivers.profiles import RoleKind
from drivers.readings import RELEASED, Reading


@dataclass(frozen=True, slots=True)
class Terms:
    """The numbers behind a command's words [canonical units]."""

    value: float | None = None
    safe: float | None = None
    lease_s: float = 0.0
    is_limit: bool = False

    def of(self, term: Term | float) -> float:
        """Give a term's number; raises `EncodeError` for one that is not known."""
        number = (
            term
            if not isinstance(term, Term)
            else {Term.VALUE: self.value, Term.SAFE: self.safe}.get(term, self.lease_s)
        )
        if number is None or not math.isfinite(number):
            raise EncodeError(f"{getattr(term, 'value', term)}: {number} is not a number")
        return number


@dataclass(frozen=True, slots=True)
class WriteRequest:
    """One FC 16 request, and the raw numbers that prove it; what the device takes back proves nothing."""

    address: int
    words: tuple[int, ...]
    raw: tuple[tuple[str, Term | float, float], ...]
    is_taken_back: bool = False

    def held_by(self, scan: Scan) -> bool:
        """Tell whether a device holds all of it; a lease may have begun to run down."""
        return all(_holds(scan, name, term, raw) for name, term, raw in self.raw)

    def repeats(self, scan: Scan) -> bool:
        """Tell whether writing it would change nothing."""
        return not self.is_taken_back and all(scan.number(name) == raw for name, _, raw in self.raw)


def write_requests(
    steps: Iterable[Step], terms: Terms, scan: Scan, placed: Mapping[str, Placed]
) -> tuple[WriteRequest, ...]:
    """Encode a command's steps in their order; raises `EncodeError`."""
    return tuple(_request(step, terms, scan, placed) for step in steps)


def bounds(point: PointMap, scan: Scan) -> tuple[float | None, float | None]:
    """Give the least and greatest command [unit]: the profile's, narrowed by the rating that the device tells."""
    lower, upper = point.role.lower, point.role.upper
    register = scan.profile.registers[point.register]
    scale = scan.scale(register)
    if isinstance(scale, Unusable) or scale.rating is None or register.range is None:
        return lower, upper
    ends = sorted(end * register.factor * scale.rating / 100 for end in register.range)
    return max(ends[0], -math.inf if lower is None else lower), min(ends[1], math.inf if upper is None else upper)


def admitted(point: PointMap, value: float, scan: Scan) -> float:
    """Check a command against the point's bounds; raises `EncodeError`.

    A limit above what the device can do anyway is that device's maximum; nothing else is moved.
    """
    lower, upper = bounds(point, scan)
    if upper is not None and point.role.kind is RoleKind.LIMIT:
        value = min(value, upper)
    refusal = outside(value, lower, upper, point.role.unit)
    if refusal:
        raise EncodeError(refusal)
    if point.forbidden is not None and point.forbidden[0] < value < point.forbidden[1]:
        low, high = point.forbidden
        raise EncodeError(f"{value:g} {point.role.unit} lies between {low:g} and {high:g}, which the device cannot do")
    return value


def safe_value(point: PointMap, safe: float | None, scan: Scan) -> float | None:
    """Give what the device is told to fall back to: the declared safe value, or its own maximum for a release."""
    if safe is not None:
        return admitted(point, safe, scan)
    return bounds(point, scan)[1]


@dataclass(frozen=True, slots=True)
class Command:
    """A set-point on its way into a device.

    Args:
        point: where it goes.
        value: what is commanded [unit of the point]; None gives the point back.
        safe: what the device is told to fall back to [unit of the point]; None for its own maximum.
        lease_s: how long it is to hold without renewal [s].
    """

    point: PointMap
    value: float | None
    safe: float | None
    lease_s: float

    def requests(self, scan: Scan, placed: Mapping[str, Placed]) -> tuple[WriteRequest, ...]:
        """Encode it with the scale factors of a scan; raises `EncodeError`."""
        if self.value is None:
            return write_requests(self.point.release, Terms(), scan, placed)
        safe = safe_value(self.point, self.safe, scan) if self.point.failsafe else None
        is_limit = self.point.role.kind is RoleKind.LIMIT
        terms = Terms(admitted(self.point, self.value, scan), safe, self.lease_s, is_limit)
        arming = write_requests(self.point.arm, terms, scan, placed)
        commands = write_requests(self.point.command, terms, scan, placed)
        return tuple(request for request in arming if not request.repeats(scan)) + commands

    def is_held(self, scan: Scan, placed: Mapping[str, Placed]) -> bool:
        """Tell whether a scan proves it: encoded anew, because a scale factor may have changed in between."""
        try:
            return all(request.held_by(scan) for request in self.requests(scan, placed))
        except EncodeError:
            return False


def reading(point: PointMap, scan: Scan) -> Reading:
    """Judge what a scan says of a point."""
    value = scan.value(point.register)
    if isinstance(value, Unusable):
        return Reading.bad(value.reason)
    if scan.is_released(point.role.point) and point.role.kind is RoleKind.SETPOINT:
        return Reading.uncertain(value, RELEASED)
    if scan.is_released(point.role.point) and scan.profile.registers[point.register].percent_of is not None:
        value = bounds(point, scan)[1] or value  # nothing limits the device but its own rating
    disbelief = outside(value, *point.valid, point.role.unit) if point.valid is not None else ""
    return Reading.bad(disbelief) if disbelief else Reading(value)


def effective(point: PointMap, scan: Scan) -> float | None:
    """Give the command that a device holds now [unit]; None if it is released or not known."""
    value = scan.value(point.register)
    return None if scan.is_released(point.role.point) or isinstance(value, Unusable) else value


def _request(step: Step, terms: Terms, scan: Scan, placed: Mapping[str, Placed]) -> WriteRequest:
    words: list[int] = []
    proof = []
    for name, term in step:
        register = placed[name].register
        raw = _raw(register, term, terms, scan.scale(register))
        words += encode(register, raw)
        if not register.taken_back:
            proof.append((name, term, raw))
    return WriteRequest(placed[step[0][0]].address, tuple(words), tuple(proof), is_taken_back=len(proof) < len(step))


def _raw(register: Register, term: Term | float, terms: Terms, scale: Scale | Unusable) -> float:
    if isinstance(scale, Unusable):
        raise EncodeError(f"{register.name} cannot be written: {scale.reason}")
    number = terms.of(term)
    if term is Term.LEASE:
        return max(1, math.ceil(number / register.factor - 1e-9))
    return to_raw(register, number, scale, downwards=terms.is_limit and isinstance(term, Term))


def _holds(scan: Scan, name: str, term: Term | float, raw: float) -> bool:
    """Compare raw numbers; a lease may have begun to run down, but it must run."""
    held = scan.number(name)
    if isinstance(held, Unusable):
        return False
    return 0 < held <= raw if term is Term.LEASE else abs(held - raw) <= 1e-6 * max(1.0, abs(raw))
