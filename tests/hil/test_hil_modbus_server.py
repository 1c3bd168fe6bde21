"""The server's manners on the wire."""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import AsyncIterator

import pytest
from raw_client import RawModbus, RefusedError

from hil.endpoints.modbus_server import Fault, ModbusFault, ModbusServer, Table


class Counting:
    """Register n holds n, in the holding table; plus 1000 in the input table."""

    garbage_word = 0xFFFF

    def __init__(self) -> None:
        self.written: list[tuple[int, tuple[int, ...]]] = []

    def read(self, table: Table, address: int, count: int) -> bytes:
        if address + count > 200:
            raise ModbusFault(Fault.ILLEGAL_ADDRESS)
        offset = 0 if table is Table.HOLDING else 1000
        return struct.pack(f">{count}H", *(a + offset for a in range(address, address + count)))

    def write(self, address: int, values: tuple[int, ...]) -> None:
        if max(values) > 500:
            raise ModbusFault(Fault.ILLEGAL_VALUE)
        self.written.append((address, values))


@pytest.fixture
async def server() -> AsyncIterator[ModbusServer]:
    made = ModbusServer("127.0.0.1", 0, {1: Counting(), 7: Counting()})
    await made.open()
    yield made
    await made.close()


@pytest.fixture
async def link(server: ModbusServer) -> AsyncIterator[RawModbus]:
    made = await RawModbus.connect(server.host, server.port)
    yield made
    made.close()


async def test_both_tables_and_both_writes(server: ModbusServer, link: RawModbus) -> None:
    assert await link.read(10, 3) == (10, 11, 12)
    assert await link.read(10, 2, function=4) == (1010, 1011)
    await link.write(5, 1, 2, 3)
    answer = await link.ask(struct.pack(">BHH", 6, 9, 77))
    assert answer == struct.pack(">BHH", 6, 9, 77)
    assert server.units[1].written == [(5, (1, 2, 3)), (9, (77,))]  # type: ignore[attr-defined]


async def test_units_are_apart(server: ModbusServer, link: RawModbus) -> None:
    await link.write(5, 1, unit=7)
    assert server.units[1].written == []  # type: ignore[attr-defined]
    assert server.units[7].written == [(5, (1,))]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("pdu", "unit", "code"),
    [
        (struct.pack(">BHH", 3, 190, 20), 1, 2),
        (struct.pack(">BHH", 3, 0, 0), 1, 3),
        (struct.pack(">BHH", 3, 0, 126), 1, 3),
        (struct.pack(">BHH", 6, 0, 501), 1, 3),
        (struct.pack(">BHHB", 16, 0, 2, 4) + b"\0\0", 1, 3),
        (struct.pack(">BHHB", 16, 0, 0, 0), 1, 3),
        (b"\x03\x00", 1, 3),
        (struct.pack(">BHH", 22, 0, 1), 1, 1),
        (struct.pack(">BHH", 3, 0, 1), 9, 11),
    ],
)
async def test_what_is_wrong_is_refused_by_its_code(link: RawModbus, pdu: bytes, unit: int, code: int) -> None:
    with pytest.raises(RefusedError) as refused:
        await link.ask(pdu, unit)
    assert refused.value.code == code


async def test_requests_in_one_segment_are_all_answered_in_order(link: RawModbus) -> None:
    sent = [link.send(struct.pack(">BHH", 3, k, 1)) for k in range(20)]
    answers = [await link.receive() for _ in range(20)]
    assert [number for number, _ in answers] == sent
    assert [struct.unpack(">H", pdu[2:])[0] for _, pdu in answers] == list(range(20))


async def test_a_request_may_come_in_pieces(link: RawModbus) -> None:
    frame = struct.pack(">HHHBBHH", 77, 0, 6, 1, 3, 4, 1)
    for byte in frame:
        link.writer.write(bytes((byte,)))
        await link.writer.drain()
    assert await link.receive() == (77, b"\x03\x02\x00\x04")


@pytest.mark.parametrize("header", [struct.pack(">HHHBB", 1, 5, 6, 1, 3), struct.pack(">HHHBB", 1, 0, 999, 1, 3)])
async def test_what_is_no_modbus_is_cut_off(link: RawModbus, header: bytes) -> None:
    link.writer.write(header)
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await asyncio.wait_for(link.receive(), 20.0)


async def test_late_answers_keep_their_own_numbers(server: ModbusServer, link: RawModbus) -> None:
    server.trouble.delay_s = 0.5
    late = link.send(struct.pack(">BHH", 3, 1, 1))
    for _ in range(20):  # turns of the loop, in which the server takes it
        await asyncio.sleep(0.001)
    server.trouble.delay_s = 0.0
    quick = link.send(struct.pack(">BHH", 3, 2, 1))
    assert await link.receive() == (quick, b"\x03\x02\x00\x02")
    assert await link.receive() == (late, b"\x03\x02\x00\x01")


async def test_a_pulled_plug_cuts_links_and_refuses_new_ones(server: ModbusServer, link: RawModbus) -> None:
    await server.close()
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await link.read(0, 1)
    with pytest.raises(ConnectionRefusedError):
        await RawModbus.connect(server.host, server.port)
    port = server.port
    await server.open()
    again = await RawModbus.connect(server.host, port)
    assert await again.read(3, 1) == (3,)
    again.close()


async def test_refusals_and_garbage_on_request(server: ModbusServer, link: RawModbus) -> None:
    server.trouble.refuse = True
    with pytest.raises(RefusedError) as refused:
        await link.write(0, 1)
    assert refused.value.code == 4
    assert await link.read(0, 2) == (0, 1)
    server.trouble.garbage = True
    assert await link.read(0, 2) == (0xFFFF, 0xFFFF)


async def test_a_taken_address_is_an_error(server: ModbusServer) -> None:
    with pytest.raises(OSError, match="in use"):
        await ModbusServer(server.host, server.port, {}).open()


async def test_it_serves_thousands_of_requests_a_second(link: RawModbus) -> None:
    began = time.process_time()
    for _ in range(40):
        for k in range(50):
            link.send(struct.pack(">BHH", 3, k, 60))
        for _ in range(50):
            await link.receive()
    assert 2000 / (time.process_time() - began) > 3000.0  # client and server together, on the processor's own time
