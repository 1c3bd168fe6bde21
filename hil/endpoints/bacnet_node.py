"""A small BACnet device without its wire: objects, and the services ReadProperty, ReadPropertyMultiple, WriteProperty.

It neither segments nor subscribes: what it does not know it rejects, what does not fit one message it aborts. Source:
ANSI/ASHRAE 135, clauses 12 (objects), 15 (services), 19.2 (command prioritisation), 20 and 21 (encodings).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from functools import lru_cache

from hil.endpoints import bacnet_wire as wire
from hil.endpoints.bacnet_wire import CLOSING, OPENING, Garbled, Npdu, Tag

ANALOG_INPUT, ANALOG_VALUE, DEVICE = 0, 2, 8
KILOWATTS, DEGREES_CELSIUS, KILOWATT_HOURS = 48, 62, 19
MAX_APDU, APDU_SIZES = 1476, (50, 128, 206, 480, 1024, 1476)
READ, READ_MANY, WRITE, WHO_IS, I_AM = 12, 14, 15, 8, 0
PRIORITIES = 16
OBJECT_ERROR, PROPERTY_ERROR = 1, 2
UNKNOWN_SERVICE, INVALID_TAG = 9, 4
TOO_LONG = 4


class Prop(IntEnum):
    """Property identifiers."""

    ALL = 8
    COV_INCREMENT = 22
    EVENT_STATE = 36
    MAX_APDU_LENGTH = 62
    MODEL_NAME = 70
    OBJECT_ID = 75
    OBJECT_LIST = 76
    OBJECT_NAME = 77
    OBJECT_TYPE = 79
    OUT_OF_SERVICE = 81
    PRESENT_VALUE = 85
    PRIORITY_ARRAY = 87
    PROTOCOL_VERSION = 98
    RELINQUISH_DEFAULT = 104
    REQUIRED = 105
    SEGMENTATION = 107
    STATUS_FLAGS = 111
    SYSTEM_STATUS = 112
    UNITS = 117
    VENDOR_ID = 120
    PROTOCOL_REVISION = 139


EVERYTHING = frozenset({int(Prop.ALL), int(Prop.REQUIRED)})
PRESENT_VALUE, STATUS_FLAGS = int(Prop.PRESENT_VALUE), int(Prop.STATUS_FLAGS)
ALL_WELL = wire.bits((False, False, False, False))


class Code(IntEnum):
    """Error codes."""

    INVALID_TYPE = 9
    UNKNOWN_OBJECT = 31
    UNKNOWN_PROPERTY = 32
    VALUE_OUT_OF_RANGE = 37
    WRITE_ACCESS_DENIED = 40
    INVALID_INDEX = 42


class Denied(Exception):
    """The device says no: an error class and a code."""

    def __init__(self, code: Code) -> None:
        super().__init__(code.name)
        self.code = code

    def octets(self) -> bytes:
        """Write class and code."""
        of_object = self.code is Code.UNKNOWN_OBJECT
        return wire.enumerated(OBJECT_ERROR if of_object else PROPERTY_ERROR) + wire.enumerated(self.code)


@dataclass(slots=True)
class Analog:
    """An analog object.

    Args:
        name: its object name. units: engineering units, as BACnet numbers them.
        value: what it shows while nothing is commanded.
        accepts: says whether a value may be commanded at a priority; None where nothing may be written.
        obey: hears of every change of the slots.
        slots: priority -> commanded value.
    """

    name: str
    units: int
    value: float = 0.0
    accepts: Callable[[float | None, int], Code | None] | None = None
    obey: Callable[[], None] | None = None
    slots: dict[int, float] = field(default_factory=dict)

    @property
    def present_value(self) -> float:
        """The strongest command, or what the object shows by itself."""
        return self.slots[min(self.slots)] if self.slots else self.value

    def write(self, value: float | None, priority: int) -> None:
        """Take a value into its slot, None to free it; raises `Denied`."""
        if self.accepts is None:
            raise Denied(Code.WRITE_ACCESS_DENIED)
        refusal = self.accepts(value, priority)
        if refusal is not None:
            raise Denied(refusal)
        if value is None:
            self.slots.pop(priority, None)
        else:
            self.slots[priority] = value
        if self.obey is not None:
            self.obey()


class Node:
    """A device on a BACnet network: hears packets, gives packets.

    Args:
        instance: device instance number. name: object name of the device.
        objects: analog objects by (type, instance).
        refresh: brings the objects up to date before they are read.
    """

    def __init__(
        self, instance: int, name: str, objects: Mapping[tuple[int, int], Analog], refresh: Callable[[], None]
    ) -> None:
        self.instance, self.name, self.objects, self._refresh = instance, name, objects, refresh

    def hear(self, packet: Npdu) -> Npdu | None:
        """Answer a packet; the answer goes back through whichever router the question came by."""
        apdu = packet.payload
        if packet.is_network_message or not apdu:
            return None
        try:
            answer = self._confirmed(apdu) if apdu[0] >> 4 == 0 else self._unconfirmed(apdu)
        except (Garbled, IndexError, struct.error):
            answer = bytes((0x60, apdu[2], INVALID_TAG)) if apdu[0] >> 4 == 0 and len(apdu) > 2 else None
        return None if answer is None else Npdu(answer, to=packet.came_from)

    def property_octets(self, key: tuple[int, int], name: int) -> bytes | list[bytes]:
        """Give a property's value, an array as a list; raises `Denied`."""
        if key == (DEVICE, self.instance):
            return self._of_device(name)
        thing = self.objects.get(key)
        if thing is None:
            raise Denied(Code.UNKNOWN_OBJECT)
        if name == PRESENT_VALUE:
            return wire.real(thing.present_value)
        if name == STATUS_FLAGS:
            return ALL_WELL
        match name:
            case Prop.PRIORITY_ARRAY if thing.accepts is not None:
                slots = thing.slots
                return [wire.real(slots[i]) if i in slots else b"\x00" for i in range(1, PRIORITIES + 1)]
            case Prop.RELINQUISH_DEFAULT if thing.accepts is not None:
                return wire.real(thing.value)
        return self._described(key, thing.name, thing.units, name)

    def _described(self, key: tuple[int, int], name: str, units: int, wanted: int) -> bytes:
        told: dict[int, bytes] = {
            Prop.OBJECT_ID: wire.tagged(wire.OBJECT, wire.object_id(*key)),
            Prop.OBJECT_NAME: wire.text(name),
            Prop.OBJECT_TYPE: wire.enumerated(key[0]),
            Prop.EVENT_STATE: wire.enumerated(0),
            Prop.OUT_OF_SERVICE: wire.boolean(False),
            Prop.UNITS: wire.enumerated(units),
            Prop.COV_INCREMENT: wire.real(0.1),
        }
        if wanted not in told:
            raise Denied(Code.UNKNOWN_PROPERTY)
        return told[wanted]

    def _of_device(self, name: int) -> bytes | list[bytes]:
        ids = [(DEVICE, self.instance), *self.objects]
        told: dict[int, bytes | list[bytes]] = {
            Prop.OBJECT_ID: wire.tagged(wire.OBJECT, wire.object_id(DEVICE, self.instance)),
            Prop.OBJECT_NAME: wire.text(self.name),
            Prop.OBJECT_TYPE: wire.enumerated(DEVICE),
            Prop.OBJECT_LIST: [wire.tagged(wire.OBJECT, wire.object_id(*each)) for each in ids],
            Prop.SYSTEM_STATUS: wire.enumerated(0),
            Prop.MODEL_NAME: wire.text("Pretend controller"),
            Prop.VENDOR_ID: wire.number(999),
            Prop.MAX_APDU_LENGTH: wire.number(MAX_APDU),
            Prop.SEGMENTATION: wire.enumerated(3),
            Prop.PROTOCOL_VERSION: wire.number(1),
            Prop.PROTOCOL_REVISION: wire.number(22),
        }
        if name not in told:
            raise Denied(Code.UNKNOWN_PROPERTY)
        return told[name]

    # ---- services ---------------------------------------------------------------------------------------------------

    def _unconfirmed(self, apdu: bytes) -> bytes | None:
        """Answer Who-Is, if this device is meant."""
        if apdu[0] >> 4 != 1 or apdu[1] != WHO_IS:
            return None
        limits = [int.from_bytes(tag.content, "big") for tag in wire.read_tags(apdu[2:])]
        if limits and not limits[0] <= self.instance <= limits[1]:
            return None
        own = wire.tagged(wire.OBJECT, wire.object_id(DEVICE, self.instance))
        return bytes((0x10, I_AM)) + own + wire.number(MAX_APDU) + wire.enumerated(3) + wire.number(999)

    def _confirmed(self, apdu: bytes) -> bytes:
        sizes, invoke_id, service, body = apdu[1] & 0x0F, apdu[2], apdu[3], apdu[4:]
        if apdu[0] & 0x08:
            return bytes((0x71, invoke_id, TOO_LONG))
        serve = {READ: self._read, READ_MANY: self._read_many, WRITE: self._write}.get(service)
        if serve is None:
            return bytes((0x60, invoke_id, UNKNOWN_SERVICE))
        self._refresh()
        try:
            said = serve(body)
        except Denied as denied:
            return bytes((0x50, invoke_id, service)) + denied.octets()
        if said is None:
            return bytes((0x20, invoke_id, service))
        if len(said) + 3 > APDU_SIZES[min(sizes, len(APDU_SIZES) - 1)]:
            return bytes((0x71, invoke_id, TOO_LONG))
        return bytes((0x30, invoke_id, service)) + said

    def _read(self, body: bytes) -> bytes:
        tags = list(wire.read_tags(body))
        key, name = wire.read_object_id(tags[0].content), int.from_bytes(tags[1].content, "big")
        index = int.from_bytes(tags[2].content, "big") if len(tags) > 2 else None
        return body + wire.within(3, _indexed(self.property_octets(key, name), index))

    def _read_many(self, body: bytes) -> bytes:
        parts = []
        for key, wanted in _specifications(body):
            parts += [wire.tagged(0, wire.object_id(*key), is_context=True), b"\x1e"]
            parts += [self._result(key, name, index) for name, index in self._expanded(key, wanted)]
            parts.append(b"\x1f")
        return b"".join(parts)

    def _expanded(
        self, key: tuple[int, int], wanted: Sequence[tuple[int, int | None]]
    ) -> Sequence[tuple[int, int | None]]:
        """Put what an object has in the place of `all` and `required`."""
        if not any(name in EVERYTHING for name, _ in wanted):
            return wanted
        found: list[tuple[int, int | None]] = []
        for name, index in wanted:
            special = name in EVERYTHING
            found += [(each, None) for each in Prop if self._has(key, each)] if special else [(name, index)]
        return found

    def _has(self, key: tuple[int, int], name: int) -> bool:
        try:
            self.property_octets(key, name)
        except Denied:
            return False
        return True

    def _result(self, key: tuple[int, int], name: int, index: int | None) -> bytes:
        head = wire.tagged(2, wire.unsigned(name), is_context=True)
        if index is not None:
            head += wire.tagged(3, wire.unsigned(index), is_context=True)
        try:
            return head + wire.within(4, _indexed(self.property_octets(key, name), index))
        except Denied as denied:
            return head + wire.within(5, denied.octets())

    def _write(self, body: bytes) -> None:
        tags = list(wire.read_tags(body))
        key, name = wire.read_object_id(tags[0].content), int.from_bytes(tags[1].content, "big")
        opening = next((i for i, tag in enumerate(tags) if tag.kind == OPENING), len(tags))
        value, rest = tags[opening + 1], tags[opening + 3 :]
        priority = int.from_bytes(rest[0].content, "big") if rest else PRIORITIES
        if key not in self.objects and key != (DEVICE, self.instance):
            raise Denied(Code.UNKNOWN_OBJECT)
        if key not in self.objects or name != Prop.PRESENT_VALUE:
            self.property_octets(key, name)
            raise Denied(Code.WRITE_ACCESS_DENIED)
        if not 1 <= priority <= PRIORITIES:
            raise Denied(Code.VALUE_OUT_OF_RANGE)
        self.objects[key].write(_commanded(value), priority)


def _commanded(tag: Tag) -> float | None:
    if tag.number == wire.NULL:
        return None
    if tag.number != wire.REAL or len(tag.content) != 4:
        raise Denied(Code.INVALID_TYPE)
    value = float(struct.unpack(">f", tag.content)[0])
    return value if math.isfinite(value) else math.nan


def _indexed(value: bytes | list[bytes], index: int | None) -> bytes:
    if index is None:
        return b"".join(value) if isinstance(value, list) else value
    if not isinstance(value, list) or not 0 <= index <= len(value):
        raise Denied(Code.INVALID_INDEX)
    return wire.number(len(value)) if index == 0 else value[index - 1]


@lru_cache(maxsize=256)
def _specifications(body: bytes) -> tuple[tuple[tuple[int, int], tuple[tuple[int, int | None], ...]], ...]:
    """Read what a ReadPropertyMultiple asks for: objects with properties and indices. Pollers repeat themselves."""
    found: list[tuple[tuple[int, int], list[tuple[int, int | None]]]] = []
    for tag in wire.read_tags(body):
        if tag.kind in (OPENING, CLOSING):
            continue
        if not found and tag.number != 0:
            raise Garbled("properties of no object")
        match tag.number, int.from_bytes(tag.content, "big"):
            case 0, _ if len(tag.content) == 4:  # a property number never takes four octets
                found.append((wire.read_object_id(tag.content), []))
            case 0, name:
                found[-1][1].append((name, None))
            case 1, index:
                found[-1][1][-1] = (found[-1][1][-1][0], index)
            case _:
                raise Garbled(f"tag {tag.number}")
    return tuple((key, tuple(wanted)) for key, wanted in found)
