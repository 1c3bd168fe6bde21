"""Finding a device's SunSpec models: a marker, then a chain of (ID, length) headers up to an end mark."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

BASES = (40000, 50000, 0)
MARKER = [0x5375, 0x6E53]  # "SunS"
END = 0xFFFF
MOST_MODELS = 128

Read = Callable[[int, int], Awaitable[list[int] | None]]
"""Reads `count` holding registers at an address; None where the device refuses the address."""


class NotSunSpec(Exception):
    """The device does not speak SunSpec, or lacks a model: the message says which."""


@dataclass(frozen=True, slots=True)
class Model:
    """Where a model begins (its ID register) and how many registers follow its header."""

    address: int
    length: int


async def discover(read: Read) -> Mapping[int, Model]:
    """Walk the chain of models; the first of each ID counts. Raises `NotSunSpec`."""
    for base in BASES:
        if await read(base, 2) == MARKER:
            return await _walk(read, base + 2)
    raise NotSunSpec(f"no SunSpec marker at {', '.join(map(str, BASES))}; is the unit id right?")


async def _walk(read: Read, address: int) -> Mapping[int, Model]:
    models: dict[int, Model] = {}
    for _ in range(MOST_MODELS):
        header = await read(address, 2)
        if header is None or header[0] == END:
            return models
        models.setdefault(header[0], Model(address, header[1]))
        address += 2 + header[1]
        if address > 0xFFFD:
            break
    raise NotSunSpec(f"its chain of models has no end (last header before register {address})")
