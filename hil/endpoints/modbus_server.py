"""A Modbus TCP server from raw bytes: functions 3, 4, 6 and 16, several units a socket, troubles on request.

Every answer carries the transaction number of its own request, also when it comes late.
Source: MODBUS Application Protocol Specification V1.1b3 and MODBUS Messaging on TCP/IP Implementation Guide V1.0b.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

HEADER = struct.Struct(">HHHB")
REQUEST = struct.Struct(">BHH")
MAX_READ, MAX_WRITE = 125, 123


class Fault(IntEnum):
    """Exception codes of the protocol."""

    ILLEGAL_FUNCTION = 1
    ILLEGAL_ADDRESS = 2
    ILLEGAL_VALUE = 3
    DEVICE_FAILURE = 4
    TARGET_SILENT = 11


class ModbusFault(Exception):
    """The device refuses a request with an exception code."""

    def __init__(self, code: Fault) -> None:
        super().__init__(f"Modbus exception {code.value} ({code.name.lower()})")
        self.code = code


class Table(IntEnum):
    """Which registers a read means; the numbers are the function codes."""

    HOLDING = 3
    INPUT = 4


class Registers(Protocol):
    """The register image of one unit; `garbage_word` is what its registers show when it has lost its mind."""

    garbage_word: int

    def read(self, table: Table, address: int, count: int) -> bytes:
        """Give `count` registers in wire order; raises `ModbusFault`."""

    def write(self, address: int, values: tuple[int, ...]) -> None:
        """Take holding registers, all of them or none; raises `ModbusFault`."""


@dataclass(slots=True)
class Trouble:
    """What is wrong with a device's wire at present.

    Args:
        refuse: writes are refused with exception 4.
        garbage: reads give the device's garbage word everywhere.
        delay_s: answers come so late [s of the wall].
    """

    refuse: bool = False
    garbage: bool = False
    delay_s: float = 0.0


class ModbusServer:
    """One listening socket.

    Args:
        host: address. port: port, 0 for a free one.
        units: register images by unit number.

    Attributes:
        writes: write requests that have come in, refused ones too.
    """

    def __init__(self, host: str, port: int, units: Mapping[int, Registers]) -> None:
        self.host, self.port, self.units = host, port, units
        self.trouble = Trouble()
        self.writes = 0
        self._server: asyncio.Server | None = None
        self._links: set[_Link] = set()

    async def open(self) -> None:
        """Listen; raises `OSError` when the address is taken. Does nothing when it already listens."""
        if self._server is None:
            loop = asyncio.get_running_loop()
            self._server = await loop.create_server(lambda: _Link(self), self.host, self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Pull the plug: no listener, and every connection reset."""
        if self._server is not None:
            self._server.close()
            for link in tuple(self._links):
                link.cut()
            await self._server.wait_closed()
            self._server = None

    def joined(self, link: _Link) -> None:
        """Remember a connection."""
        self._links.add(link)

    def left(self, link: _Link) -> None:
        """Forget a connection."""
        self._links.discard(link)

    def answer(self, unit: int, pdu: bytes) -> bytes:
        """Answer one request without its header."""
        registers = self.units.get(unit)
        if registers is None:
            return bytes((pdu[0] | 0x80, Fault.TARGET_SILENT))
        try:
            return self._serve(registers, pdu)
        except ModbusFault as fault:
            return bytes((pdu[0] | 0x80, fault.code))

    def _serve(self, registers: Registers, pdu: bytes) -> bytes:
        if pdu[0] not in (3, 4, 6, 16):
            raise ModbusFault(Fault.ILLEGAL_FUNCTION)
        if len(pdu) < REQUEST.size:
            raise ModbusFault(Fault.ILLEGAL_VALUE)
        function, address, number = REQUEST.unpack_from(pdu)
        if function in (3, 4):
            return self._read(registers, Table(function), address, number)
        self.writes += 1
        if self.trouble.refuse:
            raise ModbusFault(Fault.DEVICE_FAILURE)
        registers.write(address, (number,) if function == 6 else _values(pdu, number))
        return pdu[:5]

    def _read(self, registers: Registers, table: Table, address: int, count: int) -> bytes:
        if not 1 <= count <= MAX_READ:
            raise ModbusFault(Fault.ILLEGAL_VALUE)
        if self.trouble.garbage:
            data = registers.garbage_word.to_bytes(2, "big") * count
        else:
            data = registers.read(table, address, count)
        return bytes((table, 2 * count)) + data


class _Link(asyncio.Protocol):
    """One connection."""

    def __init__(self, server: ModbusServer) -> None:
        self._server = server
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._server.joined(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._transport = None
        self._server.left(self)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= HEADER.size + 1:
            number, protocol, length, unit = HEADER.unpack_from(self._buffer)
            if protocol != 0 or not 2 <= length <= 254:
                self.cut()
                return
            if len(self._buffer) < 6 + length:
                return
            pdu = bytes(self._buffer[HEADER.size : 6 + length])
            del self._buffer[: 6 + length]
            answer = self._server.answer(unit, pdu)
            self._send(HEADER.pack(number, 0, len(answer) + 1, unit) + answer)

    def cut(self) -> None:
        """Reset the connection."""
        if self._transport is not None:
            self._transport.abort()

    def _send(self, frame: bytes) -> None:
        if self._server.trouble.delay_s > 0.0:
            asyncio.get_running_loop().call_later(self._server.trouble.delay_s, self._write, frame)
        else:
            self._write(frame)

    def _write(self, frame: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(frame)


def _values(pdu: bytes, count: int) -> tuple[int, ...]:
    """Take the registers out of a function 16 request."""
    if not 1 <= count <= MAX_WRITE or len(pdu) != 6 + 2 * count or pdu[5] != 2 * count:
        raise ModbusFault(Fault.ILLEGAL_VALUE)
    return struct.unpack_from(f">{count}H", pdu, 6)
