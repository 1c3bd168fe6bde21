"""A tiny Modbus TCP server from raw bytes, with a hook for every trouble a test may want."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable, Mapping

HOLDING, INPUT = 3, 4
Hook = Callable[["RawModbusServer", int, bytes], Awaitable[bytes | None]]
"""Gets the server, the unit and the request PDU; gives the answer's PDU, or None to keep silent."""


class RawModbusServer:
    """Registers by (table, address); `requests` remembers every PDU, `connections` counts sessions."""

    def __init__(self, registers: Mapping[tuple[int, int], int]) -> None:
        self.registers = dict(registers)
        self.holes: set[int] = set()
        self.requests: list[bytes] = []
        self.connections = 0
        self.busiest = 0
        self.hook: Hook | None = None
        self.relabels_late_answers = False
        self.answers_as: int | None = None
        self._newest = b""
        self._in_work = 0
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = 0

    async def __aenter__(self) -> RawModbusServer:
        await self.listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.hang_up()

    async def listen(self) -> None:
        self._server = await asyncio.start_server(self._session, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def hang_up(self) -> None:
        if self._server is not None:
            self._server.close()
            self.cut()
            await self._server.wait_closed()
            self._server = None
        await asyncio.sleep(0)

    def cut(self) -> None:
        for writer in tuple(self._writers):
            writer.transport.abort()

    @property
    def writes(self) -> list[tuple[int, tuple[int, ...]]]:
        found = []
        for pdu in self.requests:
            if pdu[0] == 16:
                address, count = struct.unpack_from(">HH", pdu, 1)
                found.append((address, struct.unpack_from(f">{count}H", pdu, 6)))
        return found

    async def _session(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        tasks = set()
        try:
            while True:
                header = await reader.readexactly(7)
                tid, _, length, unit = struct.unpack(">HHHB", header)
                pdu = await reader.readexactly(length - 1)
                self.requests.append(pdu)
                self._newest = header
                task = asyncio.create_task(self._reply(writer, tid, unit, pdu))
                tasks.add(task)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._writers.discard(writer)
            writer.close()

    async def _reply(self, writer: asyncio.StreamWriter, tid: int, unit: int, pdu: bytes) -> None:
        self._in_work += 1
        self.busiest = max(self.busiest, self._in_work)
        try:
            answer = await self.hook(self, unit, pdu) if self.hook else self.answer(pdu)
        finally:
            self._in_work -= 1
        if answer is None or writer.is_closing():
            return
        if self.relabels_late_answers:
            tid = struct.unpack_from(">H", self._newest)[0]
        writer.write(struct.pack(">HHHB", tid, 0, len(answer) + 1, self.answers_as or unit) + answer)

    def answer(self, pdu: bytes) -> bytes:
        function, address, count = struct.unpack_from(">BHH", pdu)
        wanted = range(address, address + count)
        if any((function, each) not in self.registers and function != 16 for each in wanted) or self.holes & {*wanted}:
            return bytes([function | 0x80, 2])
        if function == 16:
            values = struct.unpack_from(f">{count}H", pdu, 6)
            self.registers |= {(HOLDING, address + i): value for i, value in enumerate(values)}
            return pdu[:5]
        words = [self.registers[function, each] for each in wanted]
        return struct.pack(f">BB{count}H", function, 2 * count, *words)


def refusing(code: int, *functions: int) -> Hook:
    """A hook that refuses some functions with an exception code."""

    async def hook(server: RawModbusServer, unit: int, pdu: bytes) -> bytes:
        return bytes([pdu[0] | 0x80, code]) if pdu[0] in functions else server.answer(pdu)

    return hook


def words32(value: int) -> list[int]:
    return [value >> 16 & 0xFFFF, value & 0xFFFF]


def sunspec_image(models: Mapping[int, Mapping[int, int]], lengths: Mapping[int, int], base: int = 40000) -> dict:
    """Lay SunSpec models out: model -> {offset from its ID register: word}; everything else is not implemented."""
    words = [0x5375, 0x6E53]
    for model, filled in models.items():
        body = [0xFFFF] * (lengths[model] + 2)
        body[0], body[1] = model, lengths[model]
        for offset, word in filled.items():
            body[offset] = word & 0xFFFF
        words += body
    words += [0xFFFF, 0]
    return {(HOLDING, base + i): word for i, word in enumerate(words)}


LENGTHS = {1: 66, 103: 50, 120: 26, 124: 24, 203: 105, 704: 65, 713: 7}
NO_LIMIT = {14: 0, 15: 10000, 16: 10000, 17: 0, 18: 0, 19: 0, 54: -2}


def pv_image(base: int = 40000) -> dict[tuple[int, int], int]:
    """80 kW inverter that generates 12.34 kW and has generated 1234.567 kWh."""
    high, low = words32(1_234_567)
    return sunspec_image(
        {1: {}, 103: {14: 1234, 15: 1, 24: high, 25: low, 26: 0}, 120: {3: 8000, 4: 1}, 704: NO_LIMIT}, LENGTHS, base
    )


def pv_var_image() -> dict[tuple[int, int], int]:
    """The same inverter with a reactive power that can be set, in tenths of a per cent."""
    image, at = pv_image(), 40150
    told = dict.fromkeys((35, 36, 42, 43, 44, 45, 46), 0) | {58: -1}
    return image | {(HOLDING, at + offset): word & 0xFFFF for offset, word in told.items()}


def battery_image() -> dict[tuple[int, int], int]:
    """40 kW battery at 55.5 %, discharging with 3 kW."""
    high, low = words32(42_000)
    storage = {2: 4000, 5: 0, 8: 555, 12: 10000, 13: 10000, 15: 0, 18: 1, 22: -1, 25: -2}
    return sunspec_image({1: {}, 103: {14: 300, 15: 1, 24: high, 25: low, 26: 0}, 124: storage}, LENGTHS)


def meter_image() -> dict[tuple[int, int], int]:
    """A connection that imports 21.5 kW at 231.2 V and 50.01 Hz."""
    energy = dict(zip((38, 39, 46, 47), words32(7_000) + words32(99_000), strict=True))
    rest = {7: 2312, 15: -1, 16: 5001, 17: -2, 18: 2150, 22: 1, 54: 0}
    return sunspec_image({1: {}, 203: rest | energy}, LENGTHS)


def wallbox_image() -> dict[tuple[int, int], int]:
    """A charge point that charges a car with 11 kW."""
    told = dict.fromkeys(range(4, 19), 0) | {4: 0x0107, 5: 7, 14: 11000, 17: 1, 18: 2}
    controls = {257: 0, 258: 4, 259: 1, 261: 320, 262: 0}
    return {(INPUT, a): v for a, v in told.items()} | {(HOLDING, a): v for a, v in controls.items()}
