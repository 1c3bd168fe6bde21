"""The newest answers of a device, as raw numbers and as canonical values: pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from drivers.modbus.batches import PROTOCOL_LIMIT, Block, Span
from drivers.modbus.profile import ModbusProfile
from drivers.modbus.registers import Register, Scale, Unusable, decode_at, octets, to_canonical

LARGEST_EXPONENT = 10  # of a SunSpec scale factor


@dataclass(frozen=True, slots=True)
class Placed:
    """A register at its address in one particular device."""

    register: Register
    address: int

    @property
    def header(self) -> int:
        """Where the ID of its SunSpec model lies, if it has one."""
        return self.address - self.register.at


def spans(placed: Mapping[str, Placed], max_registers: int) -> list[Span]:
    """Say what must be read together: each value with its exponent. What a device takes back is not read at all."""
    found = []
    for name, place in placed.items():
        if place.register.taken_back:
            continue
        members = [place]
        if place.register.exponent is not None:
            members.append(placed[place.register.exponent])
        address = min(each.address for each in members)
        count = max(each.address + each.register.layout.words for each in members) - address
        if count <= max_registers:
            found.append(Span(place.register.table, address, count, (name,)))
    return found


def headed(blocks: Iterable[Block], placed: Mapping[str, Placed], max_registers: int) -> tuple[Block, ...]:
    """Let every block hold the ID of one of its SunSpec models at least, where the device answers so many registers."""
    limit, found = min(max_registers, PROTOCOL_LIMIT), []
    for block in blocks:
        mine = {placed[name].header for span in block.spans for name in span.names if placed[name].register.model}
        end, first = block.address + block.count, max((at for at in mine if at < block.address), default=block.address)
        is_headed = any(block.address <= at for at in mine)
        fits = end - first <= limit
        found.append(block if is_headed or not fits else replace(block, address=first, count=end - first))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Scan:
    """What one round of reads brought.

    Args:
        profile: the device's map.
        raw: register name -> raw number, or why there is none.
        at_s: monotonic instant before the first request [s].
    """

    profile: ModbusProfile
    raw: Mapping[str, float | Unusable]
    at_s: float

    def number(self, name: str) -> float | Unusable:
        """Give a register's raw number."""
        return self.raw.get(name, _NOT_READ)

    def scale(self, register: Register) -> Scale | Unusable:
        """Give what a register is scaled with at this moment."""
        if register.exponent is None and register.percent_of is None:
            return UNSCALED
        exponent: float | Unusable = 0
        rating: float | Unusable | None = None
        if register.exponent is not None:
            exponent = self.number(register.exponent)
        if register.percent_of is not None:
            rating = self.value(register.percent_of)
        if isinstance(exponent, Unusable):
            return exponent
        if abs(exponent) > LARGEST_EXPONENT:
            return Unusable(f"{register.exponent} is {exponent:g}, which is no scale factor")
        if isinstance(rating, Unusable):
            return rating
        return Scale(int(exponent), rating)

    def value(self, name: str) -> float | Unusable:
        """Give a register's canonical value."""
        raw = self.number(name)
        if isinstance(raw, Unusable):
            return raw
        register = self.profile.registers[name]
        scale = self.scale(register)
        return scale if isinstance(scale, Unusable) else to_canonical(register, raw, scale)

    def is_released(self, point: str) -> bool:
        """Tell whether the device is in its own control at a point."""
        marks = self.profile.points[point].released_when
        return bool(marks) and all(self.number(name) == raw for name, raw in marks.items())


_NOT_READ = Unusable("not read")
UNSCALED = Scale()


def decode_block(block: Block, words: Sequence[int], placed: Mapping[str, Placed]) -> dict[str, float | Unusable]:
    """Decode every value that lies wholly in a block, exponents included.

    An answer in which a model's ID, or what bears witness of the device, is another one is no answer, however well its
    numbers look.
    """
    data, first = octets(words), block.address
    found: dict[str, float | Unusable] = {}
    for name in _names(block, placed):
        if name in found:
            continue
        place = placed[name]
        register, at = place.register, place.header - first
        if register.model is not None and at >= 0 and words[at] != register.model:
            return unread(block, f"where model {register.model} begins it reads {words[at]}", placed)
        raw = found[name] = decode_at(register, data, 2 * (place.address - first))
        if register.witness is not None and (isinstance(raw, Unusable) or not _within(raw, register.witness)):
            return unread(block, f"{name} reads {raw}, so it is no answer of this device", placed)
    return found


def _within(raw: float, bounds: tuple[float, float]) -> bool:
    return bounds[0] <= raw <= bounds[1]


def unread(block: Block, reason: str, placed: Mapping[str, Placed]) -> dict[str, float | Unusable]:
    """Say of every value of a block why it could not be read."""
    return dict.fromkeys(_names(block, placed), Unusable(reason))


def _names(block: Block, placed: Mapping[str, Placed]) -> Iterable[str]:
    for span in block.spans:
        for name in span.names:
            yield name
            exponent = placed[name].register.exponent
            if exponent is not None:
                yield exponent
