"""Few large reads instead of many small ones: pure.

Law 1: the registers of a `Span` arrive in one answer (a value and its scale factor are never torn apart).
Law 2: a block is never longer than the device allows, and 125 registers are the protocol's own limit.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from drivers.modbus.registers import Table

PROTOCOL_LIMIT = 125


@dataclass(frozen=True, slots=True)
class Span:
    """Neighbouring registers that belong together, and the names of the values that need them."""

    table: Table
    address: int
    count: int
    names: tuple[str, ...]

    @property
    def end(self) -> int:
        """First address after it."""
        return self.address + self.count


@dataclass(frozen=True, slots=True)
class Block:
    """One read request and the spans that it serves."""

    table: Table
    address: int
    count: int
    spans: tuple[Span, ...]

    @classmethod
    def around(cls, spans: Iterable[Span]) -> Block:
        """The shortest block that holds the spans."""
        held = tuple(spans)
        address = min(span.address for span in held)
        return cls(held[0].table, address, max(span.end for span in held) - address, held)

    def halves(self) -> tuple[Block, Block] | None:
        """Two blocks in its place, for a device that refuses the gap between them; None if it cannot be parted."""
        if len(self.spans) < 2:
            return None
        middle = len(self.spans) // 2
        return Block.around(self.spans[:middle]), Block.around(self.spans[middle:])


def coalesce(spans: Iterable[Span], *, max_registers: int, max_gap: int) -> tuple[Block, ...]:
    """Merge spans into blocks while the gap and the length allow it.

    Args:
        spans: what is to be read, in any order; they may overlap.
        max_registers: longest block that the device answers.
        max_gap: most registers to read in vain between two spans.
    """
    limit = min(max_registers, PROTOCOL_LIMIT)
    groups: list[list[Span]] = []
    for span in sorted(spans, key=lambda each: (each.table, each.address, each.end)):
        if groups and _fits(groups[-1], span, limit, max_gap):
            groups[-1].append(span)
        else:
            groups.append([span])
    return tuple(Block.around(group) for group in groups)


def _fits(group: list[Span], span: Span, limit: int, max_gap: int) -> bool:
    block = Block.around(group)
    end = block.address + block.count
    return span.table == block.table and span.address - end <= max_gap and max(end, span.end) - block.address <= limit
