"""The few BACnet messages that reading and commanding points takes: bytes in, values out; pure.

ReadProperty, ReadPropertyMultiple and WriteProperty go out; acknowledgements, errors, rejects and aborts come in, all
in one piece. Source: ANSI/ASHRAE 135, clauses 6.2 (network layer), 20 (encodings), 21 (services), annex J (BACnet/IP).

Law 1: what is malformed raises `Malformed`, and what is right but more than we read here raises `Unusual`.
Law 2: an answer is only taken for what was asked: object, property and index must be the same.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from drivers.bacnet.denials import Denial, aborted, erred, rejected

ObjectId = tuple[int, int]
"""Object type and instance, as numbers."""
Route = tuple[int, bytes]
"""Network number and station address behind a router."""
Wanted = tuple[tuple[ObjectId, tuple[int, ...]], ...]
"""Objects, each with the properties that are asked for."""

OBJECT_TYPES: Mapping[str, int] = {"analog-input": 0, "analog-output": 1, "analog-value": 2, "device": 8}
OBJECT_IDENTIFIER, PRESENT_VALUE, PRIORITY_ARRAY, STATUS_FLAGS = 75, 85, 87, 111
READ, READ_MANY, WRITE = 12, 14, 15
LONGEST = 0x05
"""We take answers of up to 1476 octets, and none in several pieces."""
SIMPLE_ACK, COMPLEX_ACK, ERROR, REJECT, ABORT = 2, 3, 5, 6, 7
REJECT_MESSAGE = 3
_HEAD = struct.Struct(">BBBB")
_OBJECT = struct.Struct(">I")
_REAL, _DOUBLE = struct.Struct(">f"), struct.Struct(">d")


class Malformed(Exception):
    """The octets are no message."""


class Unusual(Exception):
    """A message that is right but not one of those that are read here."""


@dataclass(frozen=True, slots=True)
class Packet:
    """What came in a datagram: where it comes from behind a router, and an APDU, or a refusal of the router's own.

    Args:
        source: network and address behind the router; None for the sender itself.
        apdu: the message; empty for a network message.
        unreachable: the network that the router cannot reach; None if it says nothing of the kind.
    """

    source: Route | None
    apdu: bytes
    unreachable: int | None = None


# ---- requests -------------------------------------------------------------------------------------------------------


def framed(apdu: bytes, route: Route | None) -> bytes:
    """Wrap a request for a BACnet/IP station, or for one behind it; an answer is expected."""
    if route is None:
        packet = b"\x01\x04" + apdu
    else:
        network, address = route
        packet = struct.pack(">BBHB", 1, 0x24, network, len(address)) + address + b"\xff" + apdu
    return struct.pack(">BBH", 0x81, 0x0A, len(packet) + 4) + packet


def read_property(invoke_id: int, object_id: ObjectId, name: int, index: int | None = None) -> bytes:
    """Ask for one property, or for one element of an array."""
    asked = _context(0, _octets_of(object_id)) + _context(1, _unsigned(name))
    return _request(invoke_id, READ) + asked + (b"" if index is None else _context(2, _unsigned(index)))


def read_many(invoke_id: int, wanted: Wanted) -> bytes:
    """Ask for properties of several objects."""
    return _request(invoke_id, READ_MANY) + _specifications(wanted)


@lru_cache(maxsize=4096)
def _specifications(wanted: Wanted) -> bytes:
    """Write what is wanted; a device is asked the same question cycle after cycle."""
    parts = []
    for object_id, names in wanted:
        asked = b"".join(_context(0, _unsigned(name)) for name in names)
        parts += [_context(0, _octets_of(object_id)), b"\x1e", asked, b"\x1f"]
    return b"".join(parts)


def write_property(invoke_id: int, object_id: ObjectId, name: int, value: float | None, priority: int) -> bytes:
    """Write a REAL, or NULL for None, into one slot of the priority array; raises `OverflowError` beyond 32 bits."""
    written = b"\x00" if value is None else b"\x44" + _REAL.pack(value)
    head = _context(0, _octets_of(object_id)) + _context(1, _unsigned(name))
    return _request(invoke_id, WRITE) + head + b"\x3e" + written + b"\x3f" + _context(4, bytes((priority,)))


def _request(invoke_id: int, service: int) -> bytes:
    return _HEAD.pack(0, LONGEST, invoke_id, service)


def _context(number: int, content: bytes) -> bytes:
    return bytes((number << 4 | 0x08 | len(content),)) + content  # never more than four octets here


def _octets_of(object_id: ObjectId) -> bytes:
    return _OBJECT.pack(object_id[0] << 22 | object_id[1])


def _unsigned(value: int) -> bytes:
    return value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big")


# ---- answers --------------------------------------------------------------------------------------------------------


def unframed(datagram: bytes) -> Packet:
    """Read a datagram; raises `Malformed`."""
    try:
        if datagram[0] != 0x81 or int.from_bytes(datagram[2:4], "big") != len(datagram):
            raise Malformed("no BACnet/IP frame")
        at = {0x0A: 4, 0x0B: 4, 0x04: 10}[datagram[1]]
        version, control = datagram[at], datagram[at + 1]
        if version != 1:
            raise Malformed(f"network layer of version {version}")
        at += 2
        source: Route | None = None
        if control & 0x20:  # a destination that is still on it: ours, with a hop count at the end
            at += 3 + datagram[at + 2]
        if control & 0x08:
            end = at + 3 + datagram[at + 2]
            source, at = (int.from_bytes(datagram[at : at + 2], "big"), datagram[at + 3 : end]), end
        at += 1 if control & 0x20 else 0
        if not control & 0x80:
            return Packet(source, datagram[at:])
        refused = datagram[at] == REJECT_MESSAGE
        return Packet(source, b"", int.from_bytes(datagram[at + 2 : at + 4], "big") if refused else None)
    except (IndexError, KeyError) as error:
        raise Malformed(f"a frame that ends early or is of no known kind ({error})") from error


def invoke_id_of(apdu: bytes) -> int | None:
    """Tell which request a message answers; None if it is no answer."""
    return apdu[1] if len(apdu) >= 3 and SIMPLE_ACK <= apdu[0] >> 4 <= ABORT else None


def acknowledged(apdu: bytes, service: int) -> bytes:
    """Give what an acknowledgement says; raises `Denial` for the device's no, `Malformed` or `Unusual`."""
    kind = apdu[0] >> 4
    if kind == ERROR:
        raise _error_in(_values(apdu, 3)[0])
    if kind == REJECT:
        raise rejected(apdu[2])
    if kind == ABORT:
        raise aborted(apdu[2])
    if kind == COMPLEX_ACK and apdu[0] & 0x08:
        raise Unusual("an answer in several pieces")
    if kind not in (SIMPLE_ACK, COMPLEX_ACK) or apdu[2] != service:
        raise Malformed(f"it acknowledges service {apdu[2]}, not {service}")
    if (kind == SIMPLE_ACK) is not (service == WRITE):
        raise Malformed("an acknowledgement of the wrong kind")
    return apdu[3:]


def property_value(body: bytes, object_id: ObjectId, name: int, index: int | None = None) -> Any:
    """Give the value in a ReadProperty acknowledgement: one value, or a list of several; raises as the others do."""
    asked = _context(0, _octets_of(object_id)) + _context(1, _unsigned(name))
    asked += b"" if index is None else _context(2, _unsigned(index))
    if not body.startswith(asked + b"\x3e") or not body.endswith(b"\x3f"):
        raise Malformed("it answers another question")
    return _one_or_many(_values(body[len(asked) + 1 : -1], 0)[0])


def property_values(body: bytes) -> dict[tuple[ObjectId, int], Any]:
    """Give the values in a ReadPropertyMultiple acknowledgement; a property that failed comes as a `Denial`."""
    found: dict[tuple[ObjectId, int], Any] = {}
    at = 0
    try:
        while at < len(body):
            if body[at] != 0x0C or body[at + 5] != 0x1E:
                raise Malformed("no object where one was due")
            object_id, at = _object(body[at + 1 : at + 5]), at + 6
            while body[at] != 0x1F:
                name, at = _property(body, at)
                found[object_id, name], at = _result(body, at)
            at += 1
    except (IndexError, struct.error) as error:
        raise Malformed("it ends within an object") from error
    return found


def _result(body: bytes, at: int) -> tuple[Any, int]:
    """Read a property's value or error, and where the next one begins."""
    opening = body[at]
    if opening == 0x4E and body[at + 1] == 0x44 and body[at + 6] == 0x4F:  # one REAL, as nearly all are
        return _REAL.unpack_from(body, at + 2)[0], at + 7
    if opening not in (0x4E, 0x5E):
        raise Malformed("neither value nor error")
    values, end = _values(body, at + 1, opening + 1)
    return (_error_in(values) if opening == 0x5E else _one_or_many(values)), end + 1


def _property(body: bytes, at: int) -> tuple[int, int]:
    """Read a property's number, context tag 2; an index was never asked for."""
    length = body[at] & 0x07
    if body[at] & 0xF8 != 0x28 or not 1 <= length <= 4:
        raise Unusual("a result with more than a property's number")
    return int.from_bytes(body[at + 1 : at + 1 + length], "big"), at + 1 + length


def _values(body: bytes, at: int, closing: int | None = None) -> tuple[list[Any], int]:
    """Read application-tagged values up to a closing tag, or to the end; gives them and where they end."""
    values: list[Any] = []
    while at < len(body) and body[at] != closing:
        kind, length = body[at] >> 4, body[at] & 0x07
        if body[at] & 0x08 or kind == 15:
            raise Unusual("a value of a constructed type")
        at += 1
        if kind == 1:
            values.append(bool(length))
            continue
        if length == 5:
            if at >= len(body) or body[at] >= 254:
                raise Unusual("a value of more than 253 octets")
            length, at = body[at], at + 1
        if at + length > len(body):
            raise Malformed("it ends within a value")
        values.append(_value(kind, body[at : at + length]))
        at += length
    if closing is not None and at >= len(body):
        raise Malformed("it ends within a property")
    return values, at


def _value(kind: int, content: bytes) -> Any:
    """Read one application-tagged value by its type."""
    read = _READERS.get(kind)
    if read is None:
        raise Unusual(f"a value of type {kind}")
    try:
        return read(content)
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise Malformed(f"a value of type {kind} that is none ({error})") from error


def _text(content: bytes) -> str:
    if content[0] != 0:
        raise Unusual(f"text in character set {content[0]}")
    return content[1:].decode("utf-8")


def _bits(content: bytes) -> list[int]:
    count = 8 * (len(content) - 1) - content[0]
    return [content[1 + i // 8] >> 7 - i % 8 & 1 for i in range(count)]


def _object(octets: bytes) -> ObjectId:
    number = _OBJECT.unpack(octets)[0]
    return number >> 22, number & 0x3FFFFF


_READERS: Mapping[int, Callable[[bytes], Any]] = {
    0: lambda _: None,
    2: lambda content: int.from_bytes(content, "big"),
    3: lambda content: int.from_bytes(content, "big", signed=True),
    4: lambda content: _REAL.unpack(content)[0],
    5: lambda content: _DOUBLE.unpack(content)[0],
    7: _text,
    8: _bits,
    9: lambda content: int.from_bytes(content, "big"),
    12: _object,
}
"""By application tag: Null, Unsigned, Integer, Real, Double, Character String, Bit String, Enumerated, Object ID."""


def _one_or_many(values: list[Any]) -> Any:
    return values[0] if len(values) == 1 else values


def _error_in(values: list[Any]) -> Denial:
    """Read an error's class and code."""
    if len(values) != 2 or not all(type(each) is int and each >= 0 for each in values):
        raise Malformed("an error without class and code")
    return erred(values[0], values[1])
