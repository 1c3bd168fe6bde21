"""What BACnet puts on the wire, as far as a small device needs it: tags, addresses, frames.

Values are application-tagged: the tag number says the type, so that anybody can read them. Inside services, context
tags tell the parameters apart. Everything is big-endian. Source: ANSI/ASHRAE 135, clauses 6 (NPDU), 20 (encodings),
21 (services), annex J (BACnet/IP).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

BVLC_IP, UNICAST, BROADCAST, FORWARDED = 0x81, 0x0A, 0x0B, 0x04
EVERYWHERE = 0xFFFF
OPENING, CLOSING = 6, 7
NULL, BOOLEAN, UNSIGNED, REAL, TEXT, BITS, ENUMERATED, OBJECT = 0, 1, 2, 4, 7, 8, 9, 12
FULL_HOPS = 255


class Garbled(Exception):
    """The octets cannot be read."""


@dataclass(frozen=True, slots=True)
class Tag:
    """One tag with its content: number, whether it is of a context, class of its length field, octets."""

    number: int
    is_context: bool
    kind: int
    content: bytes


@dataclass(frozen=True, slots=True)
class Station:
    """An address as routers know it: a network number and the station's octets there; no octets are a broadcast."""

    network: int
    address: bytes = b""

    def octets(self) -> bytes:
        """Write it: network number, length, octets."""
        return struct.pack(">HB", self.network, len(self.address)) + self.address


@dataclass(frozen=True, slots=True)
class Npdu:
    """A network layer packet.

    Args:
        payload: an APDU, or a network message with its type first.
        to: where it must still go; None when it is for the network that it is on.
        came_from: where it comes from; None for the network that it is on.
        is_network_message: whether the payload is for routers.
        wants_reply: whether somebody waits for an answer.
        hops: how many routers it may still pass.
    """

    payload: bytes
    to: Station | None = None
    came_from: Station | None = None
    is_network_message: bool = False
    wants_reply: bool = False
    hops: int = FULL_HOPS

    def octets(self) -> bytes:
        """Write it."""
        control = 0x80 * self.is_network_message | 0x20 * (self.to is not None)
        control |= 0x08 * (self.came_from is not None) | 0x04 * self.wants_reply
        parts = [bytes((1, control))]
        parts += [each.octets() for each in (self.to, self.came_from) if each is not None]
        if self.to is not None:
            parts.append(bytes((self.hops,)))
        return b"".join((*parts, self.payload))


def read_npdu(octets: bytes) -> Npdu:
    """Read a network layer packet; raises `Garbled`."""
    try:
        version, control = octets[0], octets[1]
        if version != 1:
            raise Garbled(f"version {version}")
        at, to, came_from, hops = 2, None, None, FULL_HOPS
        if control & 0x20:
            to, at = _station(octets, at)
        if control & 0x08:
            came_from, at = _station(octets, at)
        if control & 0x20:
            hops, at = octets[at], at + 1
    except (IndexError, struct.error) as error:
        raise Garbled(str(error)) from error
    return Npdu(octets[at:], to, came_from, bool(control & 0x80), bool(control & 0x04), hops)


def _station(octets: bytes, at: int) -> tuple[Station, int]:
    network, length = struct.unpack_from(">HB", octets, at)
    end = at + 3 + length
    return Station(network, octets[at + 3 : end]), end


def frame(npdu: bytes) -> bytes:
    """Wrap a packet for one BACnet/IP station."""
    return struct.pack(">BBH", BVLC_IP, UNICAST, len(npdu) + 4) + npdu


def unframe(datagram: bytes) -> bytes:
    """Take the packet out of a datagram; raises `Garbled` for anything but BACnet/IP."""
    if len(datagram) < 6 or datagram[0] != BVLC_IP or int.from_bytes(datagram[2:4], "big") != len(datagram):
        raise Garbled("no BACnet/IP frame")
    skip = {UNICAST: 4, BROADCAST: 4, FORWARDED: 10}.get(datagram[1])
    if skip is None:
        raise Garbled(f"BVLC function {datagram[1]}")
    return datagram[skip:]


def tagged(number: int, content: bytes, *, is_context: bool = False) -> bytes:
    """Write a tag and its content, with a number up to 14 and up to 65535 octets."""
    head, length = number << 4 | 0x08 * is_context, len(content)
    if length < 5:
        return bytes((head | length,)) + content
    if length < 254:
        return bytes((head | 5, length)) + content
    return struct.pack(">BBH", head | 5, 254, length) + content


def within(number: int, *content: bytes) -> bytes:
    """Write content between an opening and a closing context tag."""
    return b"".join((bytes((number << 4 | 0x08 | OPENING,)), *content, bytes((number << 4 | 0x08 | CLOSING,))))


def unsigned(value: int) -> bytes:
    """Give the octets of an unsigned or enumerated number, as few as possible."""
    return value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big")


def real(value: float) -> bytes:
    """Give an application-tagged REAL; what 32 bits cannot hold becomes infinite."""
    try:
        return b"\x44" + struct.pack(">f", value)
    except OverflowError:
        return b"\x44" + struct.pack(">f", math.copysign(math.inf, value))


def number(value: int) -> bytes:
    """Give an application-tagged unsigned number."""
    return tagged(UNSIGNED, unsigned(value))


def enumerated(value: int) -> bytes:
    """Give an application-tagged enumerated number."""
    return tagged(ENUMERATED, unsigned(value))


def boolean(value: bool) -> bytes:
    """Give an application-tagged truth value."""
    return bytes((BOOLEAN << 4 | value,))


def text(value: str) -> bytes:
    """Give an application-tagged character string in UTF-8."""
    return tagged(TEXT, b"\x00" + value.encode())


def bits(values: Iterable[bool]) -> bytes:
    """Give an application-tagged bit string."""
    said = list(values)
    packed = bytearray((len(said) + 7) // 8)
    for i, value in enumerate(said):
        packed[i // 8] |= value << 7 - i % 8
    return tagged(BITS, bytes((-len(said) % 8,)) + bytes(packed))


def object_id(kind: int, instance: int) -> bytes:
    """Give the four octets of an object identifier."""
    return struct.pack(">I", kind << 22 | instance)


def read_object_id(octets: bytes) -> tuple[int, int]:
    """Read an object identifier: type and instance."""
    value = int.from_bytes(octets, "big")
    return value >> 22, value & 0x3FFFFF


def read_tags(octets: bytes) -> Iterator[Tag]:
    """Read tags one after the other; raises `Garbled`."""
    at = 0
    while at < len(octets):
        head = octets[at]
        number, is_context, kind = head >> 4, bool(head & 0x08), head & 0x07
        at += 1
        if number == 15:
            raise Garbled("tag numbers above 14 are not for small devices")
        if is_context and kind in (OPENING, CLOSING):
            yield Tag(number, is_context, kind, b"")
            continue
        length, at = (0, at) if number == BOOLEAN and not is_context else _length(octets, at, kind)
        if at + length > len(octets):
            raise Garbled("it ends within a value")
        yield Tag(number, is_context, kind, octets[at : at + length])
        at += length


def _length(octets: bytes, at: int, kind: int) -> tuple[int, int]:
    if kind < 5:
        return kind, at
    if at >= len(octets) or octets[at] == 255:
        raise Garbled("no length")
    if octets[at] < 254:
        return octets[at], at + 1
    return int.from_bytes(octets[at + 1 : at + 3], "big"), at + 3
