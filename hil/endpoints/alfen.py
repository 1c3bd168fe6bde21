"""A charge point with an Alfen NG9xx controller (register map: facts only), all holding, high word first.

344 power [W] and 374 energy [Wh] as floats of 32 and 64 bits; 1200 operative, 1201..1205 state of IEC 61851 as text,
1206 current that is applied [A], 1208 time until the safe current [s], 1210 greatest current [A], 1212 safe current
[A], 1214 whether the former counts, 1215 number of phases. What is not there reads as 0xFFFF. Writable are 1210, both
words at once, and 1215. Nothing but a written current is a sign of life.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Protocol

from hil.endpoints.modbus_server import Fault, ModbusFault, Table
from hil.endpoints.sunspec_devices import PlantFace

VALIDITY_S = 60
SAFE_A = 6.0
MOST_A = 32.0
CURRENT, PHASES = 1210, 1215
PLACES = (range(300, 426), range(1200, 1216))
NOT_THERE = 0xFFFF


class PhasedPlant(PlantFace, Protocol):
    """A plant whose charge points can be put on one phase or three."""

    def use_phases(self, asset: str, phases: int) -> None:
        """Let a charge point use so many phases."""


class AlfenSocket:
    """The registers of one socket.

    Args:
        plant: the plant. asset: id of the charge point. bus: its bus.
        phases: most phases that it has. voltage_v: nominal, to turn the current into the plant's power.

    Attributes:
        switched_under_load: how often its phases were changed while a car charged.
    """

    garbage_word = NOT_THERE

    def __init__(self, plant: PhasedPlant, asset: str, bus: str, *, phases: int, voltage_v: float) -> None:
        self.plant, self.asset, self.bus = plant, asset, bus
        self.phases, self.current_a = phases, MOST_A
        self.switched_under_load = 0
        self._kw_per_a = phases * voltage_v / 1000.0
        self._until_s = 0.0

    @property
    def applied_a(self) -> float:
        """The current that holds now [A]."""
        return self.current_a if self._left_s > 0 else SAFE_A

    @property
    def _left_s(self) -> int:
        return max(0, round(self._until_s - self.plant.elapsed_s))

    def read(self, table: Table, address: int, count: int) -> bytes:
        """Give registers as of now; raises `ModbusFault`."""
        if table is not Table.HOLDING or not any(address in p and address + count - 1 in p for p in PLACES):
            raise ModbusFault(Fault.ILLEGAL_ADDRESS)
        image = self._image()
        return struct.pack(f">{count}H", *(image.get(a, NOT_THERE) for a in range(address, address + count)))

    def write(self, address: int, values: tuple[int, ...]) -> None:
        """Take a current or a number of phases; raises `ModbusFault`."""
        if (address, len(values)) == (CURRENT, 2):
            self._take_current(struct.unpack(">f", struct.pack(">2H", *values))[0])
        elif (address, len(values)) == (PHASES, 1):
            self._take_phases(values[0])
        else:
            raise ModbusFault(Fault.ILLEGAL_ADDRESS)

    def tick(self, now_s: float) -> None:  # noqa: ARG002 -- the plant's time is its time
        """Fall to the safe current when nobody has written one for long."""
        self._apply()

    def _take_current(self, amperes: float) -> None:
        if not (amperes == 0.0 or 6.0 <= amperes <= MOST_A):
            raise ModbusFault(Fault.ILLEGAL_VALUE)
        self.current_a, self._until_s = amperes, self.plant.elapsed_s + VALIDITY_S
        self._apply()

    def _take_phases(self, phases: int) -> None:
        if phases not in (1, 3):
            raise ModbusFault(Fault.ILLEGAL_VALUE)
        if phases != self.phases and self.plant.state(self.asset)["power_kw"] > 0.1:
            self.switched_under_load += 1
        self.phases = phases
        self.plant.use_phases(self.asset, phases)

    def _apply(self) -> None:
        self.plant.command(self.asset, self.applied_a * self._kw_per_a)

    def _image(self) -> Mapping[int, int]:
        state = self.plant.state(self.asset)
        letters = b"A\0" if not state["connected"] else b"C2" if state["power_kw"] > 0.1 else b"B2"
        parts = {
            344: struct.pack(">f", state["power_kw"] * 1000.0),
            374: struct.pack(">d", state["energy_kwh"] * 1000.0),
            1200: struct.pack(">H", 1),
            1201: letters.ljust(10, b"\0"),
            1206: struct.pack(">f", self.applied_a),
            1208: struct.pack(">I", self._left_s),
            1210: struct.pack(">f", self.current_a),
            1212: struct.pack(">f", SAFE_A),
            1214: struct.pack(">H", int(self._left_s > 0)),
            1215: struct.pack(">H", self.phases),
        }
        words = {at: struct.unpack(f">{len(raw) // 2}H", raw) for at, raw in parts.items()}
        return {at + i: word for at, each in words.items() for i, word in enumerate(each)}
