"""A grid operator's gateway by a map of its own: limits [W] in 0 and 2, heartbeat in 4, contacts in 5 and 6, mark in 7.

The operator's control unit stands on its other side: `allow`, `close_contact` and `fall_silent` are what it does there.
Until it is told otherwise it counts its heartbeat up every 30 s.
"""

from __future__ import annotations

import struct

from hil.endpoints.modbus_server import Fault, ModbusFault, Table

BEAT_S = 30.0
NEVER_WRITTEN = 0xFFFFFFFF
CONTACTS = 2
MARK = 0x4C470100


class LimitGateway:
    """The registers of a gateway; from this side they are only read.

    Args:
        import_kw: import limit at the start [kW]. export_kw: export limit; None for a register that was never written.
    """

    garbage_word = 0xFFFF  # no believable limit

    def __init__(self, import_kw: float | None, export_kw: float | None) -> None:
        self.own_kw = (import_kw, export_kw)
        self._limits = [_watts(import_kw), _watts(export_kw)]
        self._contacts = [0] * CONTACTS
        self._beats = 0
        self._next_s = 0.0
        self._silent = False

    def allow(self, import_kw: float | None, export_kw: float | None) -> None:
        """Set the limits [kW]; None for that of the start."""
        given = zip((import_kw, export_kw), self.own_kw, strict=True)
        self._limits = [_watts(own if kw is None else kw) for kw, own in given]

    def close_contact(self, index: int, *, closed: bool) -> None:
        """Close or open a contact, counted from 0."""
        self._contacts[index] = int(closed)

    def fall_silent(self, *, silent: bool) -> None:
        """Stop or go on with the heartbeat."""
        self._silent = silent

    def tick(self, now_s: float) -> None:
        """Count the heartbeat up when it is due."""
        if now_s >= self._next_s:
            self._next_s = now_s + BEAT_S
            self._beats = (self._beats + (not self._silent)) % 2**16

    def read(self, table: Table, address: int, count: int) -> bytes:
        """Give registers as of now; raises `ModbusFault`."""
        words = struct.unpack(">9H", struct.pack(">IIHHHI", *self._limits, self._beats, *self._contacts, MARK))
        if table is not Table.HOLDING or address + count > len(words):
            raise ModbusFault(Fault.ILLEGAL_ADDRESS)
        return struct.pack(f">{count}H", *words[address : address + count])

    def write(self, address: int, values: tuple[int, ...]) -> None:  # noqa: ARG002 -- every register is the same to it
        """Refuse: limits come from the other side."""
        raise ModbusFault(Fault.ILLEGAL_ADDRESS)


def _watts(kw: float | None) -> int:
    return NEVER_WRITTEN if kw is None else round(kw * 1000.0)
