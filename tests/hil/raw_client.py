"""A Modbus TCP client from raw bytes."""

from __future__ import annotations

import asyncio
import struct
from dataclasses import dataclass


class RefusedError(Exception):
    """The device answered with an exception code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


@dataclass
class RawModbus:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    number: int = 0

    @classmethod
    async def connect(cls, host: str, port: int) -> RawModbus:
        return cls(*await asyncio.open_connection(host, port))

    def close(self) -> None:
        self.writer.close()

    def send(self, pdu: bytes, unit: int = 1) -> int:
        self.number += 1
        self.writer.write(struct.pack(">HHHB", self.number, 0, len(pdu) + 1, unit) + pdu)
        return self.number

    async def receive(self) -> tuple[int, bytes]:
        number, _, length, _ = struct.unpack(">HHHB", await self.reader.readexactly(7))
        return number, await self.reader.readexactly(length - 1)

    async def ask(self, pdu: bytes, unit: int = 1) -> bytes:
        sent = self.send(pdu, unit)
        number, answer = await asyncio.wait_for(self.receive(), 20.0)
        assert number == sent
        if answer[0] & 0x80:
            raise RefusedError(answer[1])
        return answer

    async def read(self, address: int, count: int, *, function: int = 3, unit: int = 1) -> tuple[int, ...]:
        answer = await self.ask(struct.pack(">BHH", function, address, count), unit)
        return struct.unpack(f">{count}H", answer[2:])

    async def write(self, address: int, *values: int, unit: int = 1) -> None:
        head = struct.pack(">BHHB", 16, address, len(values), 2 * len(values))
        await self.ask(head + struct.pack(f">{len(values)}H", *values), unit)

    async def models(self) -> dict[int, int]:
        """Walk a SunSpec device: the address of each model's ID register."""
        marker = await self.read(40000, 2)
        assert struct.pack(">HH", *marker) == b"SunS"
        found, address = {}, 40002
        while True:
            number, length = await self.read(address, 2)
            if number == 0xFFFF:
                return found
            found[number] = address
            address += 2 + length
