"""What gateways with maps of our own have in common: what is asked for, who commands, a lease, a value after it."""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from hil.endpoints.modbus_server import Fault, ModbusFault, Table
from hil.endpoints.sunspec_devices import PlantFace

VERSION = 0x0100


def marked(name: str) -> tuple[int, int]:
    """Give the mark of a map, by two letters, and its version: what each answer of a gateway bears."""
    return int.from_bytes(name.encode("ascii"), "big"), VERSION


@dataclass(frozen=True, slots=True)
class Places:
    """Where the holding registers stand: the first, who commands, the lease, the safe value, and the end of them."""

    first: int
    remote: int
    lease: int
    safe: int
    end: int


class LeasedGateway(ABC):
    """The registers of something that is told what to do for a while.

    Its mark stands behind the input registers and, read only, right before the holding registers.

    Args:
        plant: the plant. asset: id of what stands behind it.
    """

    garbage_word = 0x7FFF
    places: Places
    mark: tuple[int, int]

    def __init__(self, plant: PlantFace, asset: str) -> None:
        self.plant, self.asset = plant, asset
        self._holding = [0] * (self.places.end - self.places.first)
        self._told_at_s: float | None = None

    @abstractmethod
    def _input(self) -> tuple[int, ...]:
        """Give the input registers as of now, from 0 on to the mark."""

    @abstractmethod
    def _asked_kw(self, holding: Sequence[int], place: int) -> float:
        """Give the power that a place of the holding registers asks for [kW into the asset]; raises `ModbusFault`."""

    def read(self, table: Table, address: int, count: int) -> bytes:
        """Give registers as of now; raises `ModbusFault`."""
        is_input = table is Table.INPUT
        told = (*self._input(), *self.mark) if is_input else (*self.mark, *self._holding)
        first = 0 if is_input else self.places.first - len(self.mark)
        if not first <= address <= address + count <= first + len(told):
            raise ModbusFault(Fault.ILLEGAL_ADDRESS)
        return struct.pack(f">{count}H", *told[address - first : address - first + count])

    def write(self, address: int, values: tuple[int, ...]) -> None:
        """Take holding registers, all or none; raises `ModbusFault`."""
        at = self.places
        if not at.first <= address <= address + len(values) <= at.end:
            raise ModbusFault(Fault.ILLEGAL_ADDRESS)
        asked = self._holding.copy()
        asked[address - at.first : address - at.first + len(values)] = values
        for place in (at.first, at.safe):
            self._asked_kw(asked, place)
        self._holding = asked
        if address < at.lease:
            self._told_at_s = self.plant.elapsed_s
        self._apply(at.first if self._told_at_s is not None else at.safe)

    def tick(self, now_s: float) -> None:
        """Take the safe value where nobody has commanded it for too long."""
        lease_s = self._holding[self.places.lease - self.places.first]
        if self._told_at_s is not None and lease_s and now_s - self._told_at_s > lease_s:
            self._told_at_s = None
            self._apply(self.places.safe)

    def _apply(self, place: int) -> None:
        is_remote = self._holding[self.places.remote - self.places.first] == 1
        self.plant.command(self.asset, self._asked_kw(self._holding, place) if is_remote else None)

    def _watts(self, holding: Sequence[int], place: int) -> int:
        """Read a power of two registers, of either sign [W]."""
        high, low = holding[place - self.places.first : place - self.places.first + 2]
        return int(struct.unpack(">i", struct.pack(">HH", high, low))[0])
