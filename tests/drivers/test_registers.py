"""Laws and tables of the register codecs."""

from __future__ import annotations

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.modbus.registers import (
    LAYOUTS,
    EncodeError,
    Order,
    Register,
    Scale,
    Unusable,
    decode,
    encode,
    to_canonical,
    to_raw,
)

INTEGERS = [name for name in LAYOUTS if not name.startswith("float")]


@st.composite
def register_and_raw(draw: st.DrawFn) -> tuple[Register, int]:
    kind = draw(st.sampled_from(INTEGERS))
    layout = LAYOUTS[kind]
    raw = draw(st.integers(int(layout.lowest), int(layout.highest)).filter(lambda value: value not in layout.absent))
    factor = draw(st.sampled_from([1.0, -1.0, 0.001, -0.001, 0.1]))
    return Register("r", 0, kind, model=1, order=draw(st.sampled_from(list(Order))), factor=factor), raw


@given(register_and_raw())
def test_what_is_encoded_decodes_to_itself(case: tuple[Register, int]) -> None:
    register, raw = case
    assert decode(register, encode(register, raw)) == raw


@given(register_and_raw(), st.integers(-3, 3))
def test_scaling_there_and_back_is_the_identity(case: tuple[Register, int], exponent: int) -> None:
    register, raw = case
    if abs(raw) > 2**48:
        return  # beyond what a double tells apart after scaling
    scale = Scale(exponent)
    value = to_canonical(register, raw, scale)
    assert to_raw(register, value, scale) == raw


@given(st.integers(0, 10000), st.floats(0.1, 1e4))
def test_percentages_of_a_rating_come_back(raw: int, rating: float) -> None:
    register = Register("pct", 0, "uint16", model=1, percent_of="rating", range=(0, 100))
    scale = Scale(-2, rating)
    assert to_raw(register, to_canonical(register, raw, scale), scale) == raw


@given(st.sampled_from(INTEGERS), st.integers(-(2**70), 2**70))
def test_encoding_never_wraps(kind: str, raw: int) -> None:
    register = Register("r", 0, kind, model=1)
    layout = register.layout
    if layout.lowest <= raw <= layout.highest and raw not in layout.absent:
        assert decode(register, encode(register, raw)) == raw
    else:
        with pytest.raises(EncodeError, match="r: "):
            encode(register, raw)


@given(st.floats(allow_nan=True, allow_infinity=True, width=32))
def test_floats_survive_or_are_refused(value: float) -> None:
    register = Register("f", 0, "float32", order=Order.CDAB)
    if math.isfinite(value):
        assert decode(register, encode(register, value)) == value
    else:
        with pytest.raises(EncodeError):
            encode(register, value)
        words = struct.unpack(">2H", struct.pack(">f", value))[::-1]
        assert isinstance(decode(register, words), Unusable)


def test_a_float_too_large_for_its_register_is_refused() -> None:
    with pytest.raises(EncodeError, match="does not fit float32"):
        encode(Register("f", 0, "float32"), 1e300)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("int16", [0x8000]),
        ("uint16", [0xFFFF]),
        ("enum16", [0xFFFF]),
        ("bitfield16", [0xFFFF]),
        ("sunssf", [0x8000]),
        ("int32", [0x8000, 0]),
        ("uint32", [0xFFFF, 0xFFFF]),
        ("acc32", [0, 0]),
        ("enum32", [0xFFFF, 0xFFFF]),
        ("int64", [0x8000, 0, 0, 0]),
        ("uint64", [0xFFFF] * 4),
        ("acc64", [0] * 4),
        ("float32", [0x7FC0, 0]),
    ],
)
def test_sunspec_sentinels_are_no_numbers(kind: str, words: list[int]) -> None:
    assert isinstance(decode(Register("r", 0, kind, model=1), words), Unusable)


def test_a_plain_register_may_hold_any_word() -> None:
    assert decode(Register("r", 0, "uint16"), [0xFFFF]) == 0xFFFF


@pytest.mark.parametrize(
    ("order", "words"),
    [
        (Order.ABCD, [0x3F80, 0x0000]),
        (Order.CDAB, [0x0000, 0x3F80]),
        (Order.BADC, [0x803F, 0x0000]),  # what libmodbus 3.1.6 writes as "abcd"
        (Order.DCBA, [0x0000, 0x803F]),
    ],
)
def test_byte_orders_of_the_field(order: Order, words: list[int]) -> None:
    register = Register("one", 0, "float32", order=order)
    assert decode(register, words) == 1.0
    assert list(encode(register, 1.0)) == words


def test_a_state_that_is_not_mapped_is_no_state() -> None:
    register = Register("state", 5, "uint16", map={2: 0, 7: 2})
    assert to_canonical(register, 7, Scale()) == 2
    assert to_canonical(register, 11, Scale()) == Unusable("state says 11, which is no state of normal operation")


@pytest.mark.parametrize("value", [100.01, -0.01, math.nan, math.inf])
def test_a_value_outside_the_registers_range_is_refused(value: float) -> None:
    register = Register("pct", 0, "uint16", model=1, percent_of="rating", range=(0, 100))
    with pytest.raises(EncodeError, match="pct"):
        to_raw(register, value, Scale(-2, 100.0))


def test_no_percentage_of_nothing() -> None:
    with pytest.raises(EncodeError, match="rating is 0"):
        to_raw(Register("pct", 0, "uint16", percent_of="rating"), 1.0, Scale(0, 0.0))


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [
        ({"type": "int17"}, "int17"),
        ({"type": "int16", "factor": 0}, "factor"),
        ({"type": "int16", "at": 70000}, "70000"),
    ],
)
def test_a_register_that_cannot_be_is_refused(entry: dict, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Register("r", **({"at": 0} | entry))
