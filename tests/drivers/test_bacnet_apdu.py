"""Our BACnet messages against bacpypes3's encoder and decoder, and against octets that are none."""

from __future__ import annotations

import math
import struct

import pytest
from bacpypes3.apdu import (
    APDU,
    AbortPDU,
    AbortReason,
    ErrorPDU,
    ReadPropertyACK,
    ReadPropertyMultipleACK,
    ReadPropertyMultipleRequest,
    ReadPropertyRequest,
    RejectPDU,
    RejectReason,
    SimpleAckPDU,
    WritePropertyRequest,
)
from bacpypes3.basetypes import (
    ErrorType,
    ReadAccessResult,
    ReadAccessResultElement,
    ReadAccessResultElementChoice,
)
from bacpypes3.constructeddata import AnyAtomic
from bacpypes3.npdu import NPCI, NPDU
from bacpypes3.pdu import PDU, Address, RemoteStation
from bacpypes3.primitivedata import (
    BitString,
    Boolean,
    CharacterString,
    Date,
    Double,
    Enumerated,
    Integer,
    Null,
    ObjectIdentifier,
    Real,
    Unsigned,
)
from hypothesis import given
from hypothesis import strategies as st

from drivers.bacnet import apdu
from drivers.bacnet.apdu import Malformed, Unusual
from drivers.bacnet.denials import Denial

IDS = st.tuples(st.sampled_from([0, 1, 2]), st.integers(0, 4194302))
NAMES = st.integers(0, 4194303)
NUMBERS = st.integers(0, 255)
ROUTES = st.none() | st.tuples(st.integers(1, 65534), st.binary(min_size=1, max_size=7))
MESSAGES = st.binary(min_size=3, max_size=50)
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=300)
SINGLES = st.floats(width=32, allow_nan=False)


def heard(octets: bytes, kind):
    """Read a request as bacpypes3 does."""
    return kind.decode(APDU.decode(PDU(octets)))


def said(message) -> bytes:
    """Write an answer as bacpypes3 does."""
    coded = message.encode()
    if isinstance(coded, APDU):
        coded.apduSeg = coded.apduMor = False
        coded = coded.encode()
    return bytes(coded.pduData)


# ---- requests -------------------------------------------------------------------------------------------------------


@given(NUMBERS, IDS, NAMES, st.none() | st.integers(0, 70000))
def test_bacpypes3_reads_what_we_ask(number: int, object_id, name: int, index: int | None) -> None:
    request = heard(apdu.read_property(number, object_id, name, index), ReadPropertyRequest)
    assert (request.apduInvokeID, request.apduMaxResp, request.apduSA) == (number, 5, False)  # 5 stands for 1476 octets
    assert tuple(map(int, request.objectIdentifier)) == object_id
    assert (int(request.propertyIdentifier), request.propertyArrayIndex) == (name, index)


@given(NUMBERS, st.lists(st.tuples(IDS, st.lists(NAMES, min_size=1, max_size=4).map(tuple)), min_size=1, max_size=12))
def test_bacpypes3_reads_what_we_ask_at_once(number: int, wanted) -> None:
    request = heard(apdu.read_many(number, tuple(wanted)), ReadPropertyMultipleRequest)
    assert [
        (
            tuple(map(int, each.objectIdentifier)),
            tuple(int(ref.propertyIdentifier) for ref in each.listOfPropertyReferences),
        )
        for each in request.listOfReadAccessSpecs
    ] == wanted


@given(NUMBERS, IDS, st.none() | SINGLES, st.integers(1, 16))
def test_bacpypes3_reads_what_we_write(number: int, object_id, value: float | None, priority: int) -> None:
    octets = apdu.write_property(number, object_id, apdu.PRESENT_VALUE, value, priority)
    request = heard(octets, WritePropertyRequest)
    assert tuple(map(int, request.objectIdentifier)) == object_id
    assert (int(request.propertyIdentifier), request.priority) == (85, priority)
    assert request.propertyValue.cast_out(Null if value is None else Real) == (() if value is None else value)


@given(
    st.none() | st.tuples(st.integers(1, 65534), st.binary(min_size=1, max_size=7)), st.binary(min_size=3, max_size=50)
)
def test_a_frame_is_a_frame_to_bacpypes3(route, message: bytes) -> None:
    datagram = apdu.framed(message, route)
    assert datagram[:2] == b"\x81\x0a" and int.from_bytes(datagram[2:4], "big") == len(datagram)
    packet = NPDU.decode(PDU(datagram[4:]))
    assert bytes(packet.pduData) == message and packet.pduExpectingReply
    if route is None:
        assert packet.npduDADR is None
    else:
        assert (packet.npduDADR.addrNet, bytes(packet.npduDADR.addrAddr)) == route
        assert packet.npduHopCount == 255


def test_what_32_bits_cannot_hold_is_not_sent() -> None:
    with pytest.raises(OverflowError):
        apdu.write_property(1, (2, 1), 85, 1e300, 12)


# ---- answers --------------------------------------------------------------------------------------------------------

VALUES = st.one_of(
    SINGLES.map(lambda v: (Real(v), v)),
    st.floats(allow_nan=False).map(lambda v: (Double(v), v)),
    st.integers(0, 2**32 - 1).map(lambda v: (Unsigned(v), v)),
    st.integers(-(2**31), 2**31 - 1).map(lambda v: (Integer(v), v)),
    st.integers(0, 2**20).map(lambda v: (Enumerated(v), v)),
    st.booleans().map(lambda v: (Boolean(v), v)),
    st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=300).map(
        lambda v: (CharacterString(v), v)
    ),
    st.lists(st.integers(0, 1), max_size=20).map(lambda v: (BitString(v), v)),
    IDS.map(lambda v: (ObjectIdentifier(v), v)),
    st.just((Null(()), None)),
)


@given(NUMBERS, IDS, st.integers(0, 500), st.none() | st.integers(0, 16), VALUES)
def test_we_read_what_bacpypes3_answers(number: int, object_id, name: int, index: int | None, value) -> None:
    theirs, ours = value
    ack = ReadPropertyACK(
        objectIdentifier=ObjectIdentifier(object_id), propertyIdentifier=name, propertyArrayIndex=index,
        propertyValue=AnyAtomic(theirs),
    )  # fmt: skip
    ack.apduInvokeID = number
    octets = said(ack)
    assert apdu.invoke_id_of(octets) == number
    if isinstance(ours, str) and len(ours.encode()) > 252:
        with pytest.raises(Unusual):
            apdu.property_value(apdu.acknowledged(octets, apdu.READ), object_id, name, index)
        return
    assert apdu.property_value(apdu.acknowledged(octets, apdu.READ), object_id, name, index) == ours
    with pytest.raises(Malformed, match="another question"):
        apdu.property_value(apdu.acknowledged(octets, apdu.READ), object_id, name + 1, index)


PROPERTIES = st.dictionaries(st.integers(0, 500), VALUES | st.just("error"), min_size=1, max_size=4)
RESULTS = st.dictionaries(IDS, PROPERTIES, max_size=6).map(
    lambda found: [(object_id, list(properties.items())) for object_id, properties in found.items()]
)


@given(NUMBERS, RESULTS)
def test_we_read_what_bacpypes3_answers_at_once(number: int, results) -> None:
    def element(name: int, value) -> ReadAccessResultElement:
        result = (
            ReadAccessResultElementChoice(propertyAccessError=ErrorType(errorClass="object", errorCode="unknownObject"))
            if value == "error"
            else ReadAccessResultElementChoice(propertyValue=AnyAtomic(value[0]))
        )
        return ReadAccessResultElement(propertyIdentifier=name, readResult=result)

    ack = ReadPropertyMultipleACK(
        listOfReadAccessResults=[
            ReadAccessResult(
                objectIdentifier=ObjectIdentifier(object_id),
                listOfResults=[element(name, value) for name, value in properties],
            )
            for object_id, properties in results
        ]
    )
    ack.apduInvokeID = number
    try:
        found = apdu.property_values(apdu.acknowledged(said(ack), apdu.READ_MANY))
    except Unusual:
        texts = [value[1] for _, properties in results for _, value in properties if isinstance(value[1], str)]
        assert any(len(text.encode()) > 252 for text in texts if text != "r")
        return
    assert found.keys() == {(object_id, name) for object_id, properties in results for name, _ in properties}
    for object_id, properties in results:
        for name, value in properties:
            if value == "error":
                assert str(found[object_id, name]) == "BACnet object: unknown-object"
            else:
                assert found[object_id, name] == value[1]


def test_nan_is_read_as_nan() -> None:
    octets = b"\x0c" + struct.pack(">I", 1) + b"\x19\x55\x3e\x44\x7f\xc0\x00\x00\x3f"
    assert math.isnan(apdu.property_value(octets, (0, 1), 85))


def error_of(error_class: int, code: int) -> ErrorPDU:
    theirs = ErrorPDU(apdu.WRITE, 9)
    theirs.put_data(bytes((0x91, error_class, 0x91, code)))
    return theirs


UNKNOWN = ("is_unknown_service",)
PIECES = ("is_too_long", "wants_pieces")


@pytest.mark.parametrize(
    ("theirs", "words", "marks"),
    [
        (error_of(2, 40), "BACnet property: write-access-denied", ()),
        (error_of(99, 254), "BACnet error class 99: error code 254", ()),
        (
            RejectPDU(9, RejectReason.unrecognizedService),
            "BACnet reject: unrecognized-service",
            ("is_unknown_service",),
        ),
        (AbortPDU(True, 9, AbortReason.bufferOverflow), "BACnet abort: buffer-overflow", ("is_too_long",)),
        (AbortPDU(True, 9, AbortReason.segmentationNotSupported), "BACnet abort: segmentation-not-supported", PIECES),
        (AbortPDU(True, 9, 77), "BACnet abort: reason 77", ()),
    ],
)
def test_every_no_is_told_in_words(theirs, words: str, marks: tuple[str, ...]) -> None:
    octets = said(theirs)
    assert apdu.invoke_id_of(octets) == 9
    with pytest.raises(Denial) as caught:
        apdu.acknowledged(octets, apdu.WRITE)
    assert str(caught.value) == words
    known = ("is_too_long", "is_unknown_service", "wants_pieces")
    assert tuple(name for name in known if getattr(caught.value, name)) == marks


def test_an_acknowledgement_belongs_to_its_service() -> None:
    assert apdu.acknowledged(said(SimpleAckPDU(15, 3)), apdu.WRITE) == b""
    with pytest.raises(Malformed, match="acknowledges service 15, not 12"):
        apdu.acknowledged(said(SimpleAckPDU(15, 3)), apdu.READ)
    with pytest.raises(Malformed, match="wrong kind"):
        apdu.acknowledged(said(SimpleAckPDU(12, 3)), apdu.READ)
    with pytest.raises(Unusual, match="several pieces"):
        apdu.acknowledged(b"\x3c\x03\x00\x04\x0e", apdu.READ_MANY)


def test_a_value_of_another_kind_is_left_to_others() -> None:
    ack = ReadPropertyACK(
        objectIdentifier=ObjectIdentifier((2, 1)), propertyIdentifier=85, propertyValue=AnyAtomic(Date((126, 3, 1, 7)))
    )
    ack.apduInvokeID = 1
    with pytest.raises(Unusual, match="type 10"):
        apdu.property_value(apdu.acknowledged(said(ack), apdu.READ), (2, 1), 85)


# ---- datagrams ------------------------------------------------------------------------------------------------------


@given(
    st.none() | st.tuples(st.integers(1, 65534), st.binary(min_size=1, max_size=7)), st.binary(min_size=3, max_size=50)
)
def test_we_unpack_what_bacpypes3_packs(source, message: bytes) -> None:
    packet = NPDU(message)
    packet.npduSADR = None if source is None else RemoteStation(*source)
    coded = bytes(packet.encode().pduData)
    datagram = struct.pack(">BBH", 0x81, 0x0A, len(coded) + 4) + coded
    assert apdu.unframed(datagram) == apdu.Packet(source, message)
    forwarded = struct.pack(">BBH", 0x81, 0x04, len(coded) + 10) + bytes(6) + coded
    assert apdu.unframed(forwarded) == apdu.Packet(source, message)


def test_a_router_that_has_no_way_says_so() -> None:
    coded = b"\x01\x80\x03\x01\x00\x05"
    assert apdu.unframed(struct.pack(">BBH", 0x81, 0x0A, len(coded) + 4) + coded) == apdu.Packet(None, b"", 5)
    assert NPCI.decode(PDU(coded)).npduNetMessage == 3
    assert Address("5:7").addrNet == 5


@given(st.binary(max_size=80))
def test_noise_is_malformed_or_unusual_but_never_a_number(noise: bytes) -> None:
    for read in (
        lambda: apdu.unframed(noise),
        lambda: apdu.property_values(noise),
        lambda: apdu.property_value(noise, (0, 1), 85),
        lambda: apdu.acknowledged(b"\x50\x01\x0c" + noise, apdu.READ),
    ):
        try:
            read()
        except (Malformed, Unusual, Denial):
            continue
