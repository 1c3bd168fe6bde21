"""The wire's own troubles: late, short, missing and foreign answers, lost links, silent units, urgent writes."""

from __future__ import annotations

import asyncio
import logging
import struct
from itertools import pairwise

import pytest
from raw_modbus_server import HOLDING, RawModbusServer

from drivers.backoff import Backoff
from drivers.modbus.link import Link, LinkError, Refusal, dial_tcp, release, share
from drivers.modbus.registers import Table
from drivers.modbus.turns import Turns


@pytest.fixture
async def link(clock):
    async with RawModbusServer({(HOLDING, a): a for a in range(200)}) as server:
        link = share("127.0.0.1", server.port, clock)
        link.server = server
        yield link
        await release(link)


async def read(link: Link, address: int, count: int = 1, *, unit: int = 1, timeout_s: float = 20.0) -> list[int]:
    return await link.read(unit, Table.HOLDING, address, count, timeout_s=timeout_s)


def silent_once(until: asyncio.Event, asked: asyncio.Event | None = None):
    state = {"slow": True}

    async def hook(server: RawModbusServer, unit: int, pdu: bytes) -> bytes:
        answer = server.answer(pdu)
        if asked is not None:
            asked.set()
        if state.pop("slow", False):
            await until.wait()
        return answer

    return hook


async def turn_the_loop() -> None:
    """Let everything that is under way on this machine arrive, however slow it is."""
    for _ in range(20):
        await asyncio.sleep(0.002)


@pytest.mark.parametrize("relabels", [False, True])
async def test_a_late_answer_is_nobodys_answer(link, clock, relabels: bool) -> None:
    """Also where the server stamps it with the number of the newest request: the session is a new one by then."""
    link.server.relabels_late_answers = relabels
    assert await read(link, 1) == [1]
    late = asyncio.Event()
    link.server.hook = silent_once(late)
    with pytest.raises(LinkError, match=r"no answer within 0\.1 s"):
        await read(link, 7, timeout_s=0.1)
    late.set()
    for address in (20, 21, 22):
        assert await read(link, address) == [address]
        await turn_the_loop()
    assert link.server.connections == 2


async def test_a_cancelled_read_leaves_no_answer_behind(link) -> None:
    link.server.relabels_late_answers = True
    assert await read(link, 1) == [1]
    late, asked = asyncio.Event(), asyncio.Event()
    link.server.hook = silent_once(late, asked)
    task = asyncio.create_task(read(link, 7))
    await asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    late.set()
    assert await read(link, 33) == [33]
    assert link.server.connections == 2


async def test_a_short_answer_is_no_answer(link) -> None:
    async def short(server: RawModbusServer, unit: int, pdu: bytes) -> bytes:
        return struct.pack(">BB2H", 3, 4, 1, 2)

    assert await read(link, 1) == [1]
    link.server.hook = short
    with pytest.raises(LinkError, match="answered 2 of 10 registers"):
        await read(link, 0, 10)
    link.server.hook = None
    assert await read(link, 5) == [5]
    assert link.server.connections == 2


async def test_a_peer_that_closes_is_noticed_at_once(link) -> None:
    async def closing(server: RawModbusServer, unit: int, pdu: bytes) -> None:
        server.cut()

    link.server.hook = closing
    started = asyncio.get_running_loop().time()
    with pytest.raises(LinkError, match="closed the connection"):
        await read(link, 0, timeout_s=30)
    assert asyncio.get_running_loop().time() - started < 20


async def test_a_connection_lost_while_idle_costs_no_poll(link) -> None:
    await read(link, 1)
    link.server.cut()
    await turn_the_loop()
    assert await read(link, 2) == [2]


async def test_an_answer_from_another_unit_is_no_answer(link) -> None:
    link.server.answers_as = 9
    with pytest.raises(LinkError, match="no answer within"):
        await read(link, 3, timeout_s=0.1)


@pytest.mark.parametrize("garbage", [b"\x03\x07\x00", b"\x7f\x01\x02\x03", b"\x03"])
async def test_babble_is_no_answer(link, garbage: bytes, caplog) -> None:
    async def babbling(server: RawModbusServer, unit: int, pdu: bytes) -> bytes:
        return garbage

    assert await read(link, 1) == [1]
    link.server.hook = babbling
    caplog.set_level(logging.CRITICAL, "asyncio")
    with pytest.raises(LinkError):
        await read(link, 0, 2, timeout_s=0.3)
    link.server.hook = None
    assert await read(link, 4) == [4]


async def test_one_request_at_a_time(link) -> None:
    async def slow(server: RawModbusServer, unit: int, pdu: bytes) -> bytes:
        await asyncio.sleep(0.01)
        return server.answer(pdu)

    link.server.hook = slow
    answers = await asyncio.gather(*(read(link, address) for address in range(8)))
    assert answers == [[address] for address in range(8)]
    assert link.server.busiest == 1


async def test_a_write_overtakes_waiting_reads(link) -> None:
    async def slow(server: RawModbusServer, unit: int, pdu: bytes) -> bytes:
        await asyncio.sleep(0.01)
        return server.answer(pdu)

    link.server.hook = slow
    await read(link, 0)
    reads = [asyncio.create_task(read(link, address)) for address in range(5)]
    await asyncio.sleep(0)
    await link.write(1, 100, (7,), timeout_s=20)
    await asyncio.gather(*reads)
    functions = [pdu[0] for pdu in link.server.requests]
    assert functions.index(16) == 2  # after the very first read and the one that was under way


async def test_a_write_confirmed_for_other_registers_is_not_believed(link) -> None:
    async def wrong(server: RawModbusServer, unit: int, pdu: bytes) -> bytes:
        return struct.pack(">BHH", 16, 5, 1)

    link.server.hook = wrong
    with pytest.raises(LinkError, match="confirmed"):
        await link.write(1, 100, (7,), timeout_s=20)


async def test_a_refusal_keeps_the_session(link) -> None:
    with pytest.raises(Refusal, match="illegal data address"):
        await read(link, 5000)
    await read(link, 1)
    assert link.server.connections == 1


async def test_a_silent_unit_does_not_block_its_neighbours(link, clock) -> None:
    async def dead_unit(server: RawModbusServer, unit: int, pdu: bytes) -> bytes | None:
        return None if unit == 9 else server.answer(pdu)

    link.server.hook = dead_unit
    waited = 0
    for _ in range(20):
        try:
            await read(link, 0, unit=9, timeout_s=0.02)
        except LinkError as error:
            waited += "within" in str(error)
        assert await read(link, 1) == [1]
        clock.at_s += 1
    assert 4 <= waited <= 9  # pauses of 2, 4, 8, 15 s between attempts, jittered


async def test_a_unit_whose_every_read_is_cut_short_is_left_alone_too(link, clock) -> None:
    """The loop's own deadline may be shorter than the device's: what is cancelled has not been answered."""

    async def mute(server: RawModbusServer, unit: int, pdu: bytes) -> bytes | None:
        return None if unit == 9 else server.answer(pdu)

    link.server.hook = mute
    assert await read(link, 1) == [1]
    for _ in range(2):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(read(link, 0, unit=9), 0.02)
    with pytest.raises(LinkError, match="next attempt"):
        await read(link, 0, unit=9)
    assert await read(link, 1) == [1]


@pytest.mark.parametrize("accepts", [False, True])
async def test_a_device_that_never_answers_is_dialled_at_most_once_a_second(clock, accepts: bool) -> None:
    async def cutting(server: RawModbusServer, unit: int, pdu: bytes) -> None:
        server.cut()

    async with RawModbusServer({(HOLDING, 0): 1}) as server:
        server.hook = cutting
        if not accepts:
            await server.hang_up()
        dials = []

        def dial(*arguments):
            dials.append(clock.at_s)
            return dial_tcp(*arguments)

        link = Link("127.0.0.1", server.port, clock, dial)
        for _ in range(80):
            with pytest.raises(LinkError):
                await read(link, 0)
            clock.at_s += 0.25
        assert len(dials) >= 4
        assert all(later - earlier >= 1.0 for earlier, later in pairwise(dials))
        await link.close()


async def test_a_dial_that_is_cut_short_has_failed(clock) -> None:
    class Deaf:
        async def connect(self) -> bool:
            await asyncio.get_running_loop().create_future()

        def close(self) -> None:
            closed.append(clock.at_s)

    dials, closed = [], []

    def dial(*_):
        dials.append(clock.at_s)
        return Deaf()

    link = Link("10.0.0.7", 502, clock, dial)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(read(link, 0), 0.02)
    with pytest.raises(LinkError, match="next attempt"):
        await read(link, 0)
    assert len(dials) == len(closed) == 1


async def test_units_that_wait_for_one_dead_port_dial_it_once(clock) -> None:
    async with RawModbusServer({}) as server:
        await server.hang_up()
        dials = []

        def dial(*arguments):
            dials.append(clock.at_s)
            return dial_tcp(*arguments)

        link = Link("127.0.0.1", server.port, clock, dial)
        found = await asyncio.gather(*(read(link, 0, unit=unit) for unit in range(1, 6)), return_exceptions=True)
        assert all(isinstance(one, LinkError) for one in found)
        assert len(dials) == 1


async def test_pauses_grow_to_fifteen_seconds_and_end(clock) -> None:
    async with RawModbusServer({(HOLDING, 0): 1}) as server:
        await server.hang_up()
        link = share("127.0.0.1", server.port, clock)
        attempts = []
        while clock.at_s < 400:
            with pytest.raises(LinkError) as caught:
                await read(link, 0)
            if "accepts no connection" in str(caught.value):
                attempts.append(clock.at_s)
            clock.at_s += 0.25
        gaps = [later - earlier for earlier, later in pairwise(attempts)]
        assert max(gaps) <= 15.25
        assert min(gaps[6:]) >= 7.5
        await server.listen()
        clock.at_s += 15
        assert await read(link, 0) == [1]
        await release(link)


async def test_replayed_pauses_are_the_same(clock) -> None:
    def pauses() -> list[float]:
        pause = Backoff("10.0.0.7:502")
        found = []
        for _ in range(8):
            pause.failed(0.0)
            found.append(pause.remaining_s(0.0))
        return found

    assert pauses() == pauses()
    assert pauses()[0] == 0
    assert max(pauses()) <= 15


async def test_cancelled_waiters_do_not_keep_the_wire() -> None:
    turns = Turns()
    entered = []

    async def user(name: str, urgent: bool = False) -> None:
        async with turns.take(urgent=urgent):
            entered.append(name)
            await asyncio.sleep(0)

    async with turns.take(urgent=False):
        tasks = [asyncio.create_task(user(name)) for name in "abc"]
        urgent = asyncio.create_task(user("w", urgent=True))
        await asyncio.sleep(0)
        tasks[0].cancel()
    urgent_too = asyncio.create_task(user("x", urgent=True))
    await asyncio.gather(*tasks, urgent, urgent_too, return_exceptions=True)
    assert entered[0] == "w"
    assert sorted(entered) == ["b", "c", "w", "x"]


async def test_a_turn_cancelled_in_the_moment_it_is_given_is_passed_on() -> None:
    turns = Turns()
    holder = turns.take(urgent=False)
    await holder.__aenter__()
    waiter = asyncio.create_task(turns.take(urgent=False).__aenter__())
    await asyncio.sleep(0)
    await holder.__aexit__(None, None, None)
    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    async with asyncio.timeout(20), turns.take(urgent=False):
        pass
