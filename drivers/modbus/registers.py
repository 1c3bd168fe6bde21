"""Registers as numbers: pure, no wire.

Law 1: a sentinel, a NaN or an unknown scale factor decodes to `Unusable`, never to a number.
Law 2: encoding refuses what does not fit. Nothing wraps, nothing saturates, and nothing becomes a sentinel.

Sentinels and scale factors are those of the SunSpec Information Model Specification: a value is raw x 10^exponent, and
the exponent is itself a register that may change at any time, so it is read in the same block as its value.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from struct import Struct


class Table(StrEnum):
    """The two register tables of Modbus: one is only read, the other also written."""

    HOLDING = "holding"
    INPUT = "input"


class Order(StrEnum):
    """Order of the four bytes of a 32-bit value on the wire; `abcd` is the standard, the others exist in the field."""

    ABCD = "abcd"
    CDAB = "cdab"
    BADC = "badc"
    DCBA = "dcba"


@dataclass(frozen=True, slots=True)
class Unusable:
    """Why a register gives no number."""

    reason: str


class EncodeError(ValueError):
    """A value that no register may take: the message names the register, the value and the range."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How a type lies in registers: codec, length in registers, what it may hold, and what means "not there"."""

    codec: Struct
    words: int
    lowest: float
    highest: float
    absent: frozenset[int]


def _integer(code: str, *, signed: bool, absent: int | None) -> Layout:
    codec = Struct(f">{code}")
    bits = 8 * codec.size
    lowest, highest = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
    if absent is None:  # the SunSpec sentinel: the lowest of signed types, the highest of unsigned ones
        absent = lowest if signed else highest
    return Layout(codec, codec.size // 2, lowest, highest, frozenset({absent}))


LAYOUTS: Mapping[str, Layout] = {
    "int16": _integer("h", signed=True, absent=None),
    "int32": _integer("i", signed=True, absent=None),
    "int64": _integer("q", signed=True, absent=None),
    "sunssf": _integer("h", signed=True, absent=None),
    "uint16": _integer("H", signed=False, absent=None),
    "uint32": _integer("I", signed=False, absent=None),
    "uint64": _integer("Q", signed=False, absent=None),
    "enum16": _integer("H", signed=False, absent=None),
    "enum32": _integer("I", signed=False, absent=None),
    "bitfield16": _integer("H", signed=False, absent=None),
    "bitfield32": _integer("I", signed=False, absent=None),
    "acc32": _integer("I", signed=False, absent=0),
    "acc64": _integer("Q", signed=False, absent=0),
    "float32": Layout(Struct(">f"), 2, -math.inf, math.inf, frozenset()),
    "float64": Layout(Struct(">d"), 4, -math.inf, math.inf, frozenset()),
}
_WORDS = tuple(Struct(f">{count}H") for count in range(5))


@dataclass(frozen=True, slots=True)
class Register:
    """One value in a device's registers and how it becomes a canonical number.

    canonical = raw x 10^exponent x factor, and where it is a percentage of a rating: x rating / 100.

    Args:
        name: its name in the profile.
        at: its address, or its offset from the ID register of its SunSpec model.
        type: one of `LAYOUTS`.
        model: SunSpec model that holds it; None for an absolute address.
        table: holding or input registers.
        order: byte order on the wire.
        exponent: name of the register with its decimal exponent.
        factor: from the device's unit and sign to the canonical ones.
        percent_of: name of the register with the rating that 100 % mean.
        range: least and greatest value that may be written, before the factor [device's unit or %].
        map: raw state -> canonical state; another raw state is unusable, another canonical one cannot be written.
        taken_back: whether the device resets what is written here, as with a sign of life: it proves nothing.
        witness: between which raw numbers it always lies; an answer in which it does not is no answer of this device.
    """

    name: str
    at: int
    type: str
    model: int | None = None
    table: Table = Table.HOLDING
    order: Order = Order.ABCD
    exponent: str | None = None
    factor: float = 1.0
    percent_of: str | None = None
    range: tuple[float, float] | None = None
    map: Mapping[int, float] | None = None
    taken_back: bool = False
    witness: tuple[float, float] | None = None
    layout: Layout = field(init=False, repr=False, compare=False)
    """How its type lies in registers."""

    def __post_init__(self) -> None:
        if self.type not in LAYOUTS:
            raise ValueError(f"type {self.type!r} is not known; write one of {', '.join(LAYOUTS)}")
        if not 0 <= self.at <= 0xFFFF:
            raise ValueError(f"at: {self.at} is no register address; write 0 to 65535")
        if self.factor == 0 or not math.isfinite(self.factor):
            raise ValueError(f"factor: {self.factor} cannot be undone; write a finite number other than 0")
        object.__setattr__(self, "layout", LAYOUTS[self.type])


@dataclass(frozen=True, slots=True)
class Scale:
    """What a register's number is multiplied with at this moment: its exponent, and the rating of 100 % [canonical]."""

    exponent: int = 0
    rating: float | None = None


def _reordered(words: Sequence[int], order: Order) -> Sequence[int]:
    if order in (Order.BADC, Order.DCBA):
        words = [(word & 0xFF) << 8 | word >> 8 for word in words]
    return words[::-1] if order in (Order.CDAB, Order.DCBA) else words


def decode(register: Register, words: Sequence[int]) -> float | Unusable:
    """Turn the registers of a value into its raw number, or say why there is none."""
    return decode_at(register, octets(words), 0)


def octets(words: Sequence[int]) -> bytes:
    """Lay registers out as they come over the wire."""
    return _codec(len(words)).pack(*words)


@lru_cache(maxsize=256)
def _codec(count: int) -> Struct:
    return Struct(f">{count}H")


def decode_at(register: Register, data: bytes, start: int) -> float | Unusable:
    """Turn the octets from `start` on into the raw number of a value, as `decode` does."""
    layout = register.layout
    if register.order is not Order.ABCD:
        words = _WORDS[layout.words].unpack_from(data, start)
        data, start = octets(_reordered(words, register.order)), 0
    raw: float = layout.codec.unpack_from(data, start)[0]
    if register.model is not None and raw in layout.absent:
        return Unusable(f"{register.name} is not implemented ({raw})")
    if not math.isfinite(raw):
        return Unusable(f"{register.name} is not a number")
    return raw


def encode(register: Register, raw: float) -> tuple[int, ...]:
    """Turn a raw number into the registers of a value; raises `EncodeError` if it does not fit."""
    layout = register.layout
    if not math.isfinite(raw) or not layout.lowest <= raw <= layout.highest:
        raise EncodeError(f"{register.name}: {raw} does not fit {register.type}")
    number = raw if layout.codec.format.endswith(("f", "d")) else int(raw)
    if register.model is not None and number in layout.absent:
        raise EncodeError(f"{register.name}: {number} would mean 'not implemented'")
    try:
        words = _WORDS[layout.words].unpack(layout.codec.pack(number))
    except OverflowError as error:
        raise EncodeError(f"{register.name}: {raw} does not fit {register.type}") from error
    return tuple(_reordered(words, register.order))


def to_canonical(register: Register, raw: float, scale: Scale) -> float | Unusable:
    """Scale a raw number into the canonical unit and sign."""
    if register.map is not None:
        state = register.map.get(int(raw))
        return (
            Unusable(f"{register.name} says {raw:g}, which is no state of normal operation") if state is None else state
        )
    value = _shifted(raw, scale.exponent) * register.factor + 0.0  # turns a negative factor's -0.0 into 0.0
    return value if scale.rating is None else value * scale.rating / 100


def to_raw(register: Register, value: float, scale: Scale, *, downwards: bool = False) -> float:
    """Scale a canonical value into the raw number nearest to it, or next below it; raises `EncodeError`.

    Args:
        register: where it goes; a value outside its range is refused.
        value: what is written [canonical unit].
        scale: what the register is scaled with.
        downwards: never above the value, as a limit must be in a coarse register.
    """
    if register.map is not None:
        return _state(register, register.map, value)
    plain = value / register.factor
    if scale.rating is not None:
        if scale.rating <= 0:
            raise EncodeError(f"{register.name}: its rating is {scale.rating:g}, so no percentage can be written")
        plain = plain * 100 / scale.rating
    if not math.isfinite(plain):
        raise EncodeError(f"{register.name}: {value} is not a number")
    if register.range is not None and not register.range[0] - 1e-9 <= plain <= register.range[1] + 1e-9:
        low, high = register.range
        raise EncodeError(f"{register.name}: {plain:.6g} is outside {low:g} to {high:g}")
    raw = _shifted(plain, -scale.exponent)
    if register.type == "float32":
        return _single(register, raw)
    if register.type.startswith("float"):
        return raw
    if not downwards:
        return round(raw)
    return math.floor(raw + 1e-6) if register.factor > 0 else math.ceil(raw - 1e-6)


def _state(register: Register, states: Mapping[int, float], value: float) -> float:
    for raw, state in states.items():
        if state == value:
            return raw
    raise EncodeError(
        f"{register.name}: {value:g} is none of its states: {', '.join(f'{s:g}' for s in states.values())}"
    )


def _single(register: Register, raw: float) -> float:
    """Give the number that 32 bits hold in its place: what is read back is compared with it."""
    try:
        return float(register.layout.codec.unpack(register.layout.codec.pack(raw))[0])
    except OverflowError as error:
        raise EncodeError(f"{register.name}: {raw} does not fit {register.type}") from error


def _shifted(number: float, exponent: int) -> float:
    """Multiply with 10^exponent; dividing by a whole power keeps decimals clean."""
    power = 10.0 ** abs(exponent)
    return number / power if exponent < 0 else number * power
