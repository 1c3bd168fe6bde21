"""The live stream: whole on connect, then every cycle, and never a wait for a slow reader."""

from __future__ import annotations

import asyncio
import socket
from contextlib import aclosing
from pathlib import Path

import pytest

from ems.live import SOCKET, LiveError, LiveServer, follow_live, read_live


@pytest.fixture
async def server(tmp_path: Path):
    server = LiveServer(tmp_path)
    await server.start()
    yield server
    await server.close()


async def test_a_reader_gets_the_newest_snapshot_at_once(server: LiveServer, tmp_path: Path) -> None:
    server.publish({"cycle": 1})
    server.publish({"cycle": 2, "points": {"a.kw": {"value": float("nan")}}})
    snapshot = await asyncio.to_thread(read_live, tmp_path, 5.0)
    assert snapshot == {"cycle": 2, "points": {"a.kw": {"value": None}}}


async def test_a_follower_gets_every_cycle_until_the_end(server: LiveServer, tmp_path: Path) -> None:
    server.publish({"cycle": 0})
    seen = []
    async with aclosing(follow_live(tmp_path)) as snapshots:
        async for snapshot in snapshots:
            seen.append(snapshot["cycle"])
            if seen[-1] == 3:
                await server.close()
            else:
                server.publish({"cycle": seen[-1] + 1})
    assert seen == [0, 1, 2, 3]


async def test_a_reader_that_does_not_read_holds_up_nobody(server: LiveServer, tmp_path: Path) -> None:
    big = "x" * 200_000
    with socket.socket(socket.AF_UNIX) as lazy:
        lazy.setblocking(False)
        await asyncio.get_running_loop().sock_connect(lazy, str(tmp_path / SOCKET))
        lazy.setblocking(True)
        await asyncio.to_thread(_until, lambda: len(server._queues) == 1)
        for cycle in range(1000):
            server.publish({"cycle": cycle, "big": big})
            await asyncio.sleep(0)
        assert all(queue.qsize() <= 4 for queue in server._queues)
        assert (await asyncio.to_thread(read_live, tmp_path, 5.0))["cycle"] == 999
        last = await asyncio.to_thread(_last_cycle, lazy)
    assert last == 999, "the newest line must survive, the oldest go"


def _until(condition) -> None:
    import time

    end = time.monotonic() + 5.0
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def _last_cycle(lazy: socket.socket) -> int:
    import json

    with lazy.makefile("rb") as file:
        while True:
            cycle = json.loads(file.readline())["cycle"]
            if cycle == 999:
                return cycle


async def test_a_long_state_folder_is_no_obstacle(tmp_path: Path) -> None:
    deep = tmp_path / ("a" * 100) / ("b" * 100)
    deep.mkdir(parents=True)
    server = LiveServer(deep)
    await server.start()
    server.publish({"cycle": 7})
    assert (await asyncio.to_thread(read_live, deep, 5.0))["cycle"] == 7
    async with aclosing(follow_live(deep)) as snapshots:
        assert (await anext(snapshots))["cycle"] == 7
    await server.close()
    assert not (deep / SOCKET).exists()


async def test_a_socket_left_by_a_killed_core_is_replaced(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / SOCKET))
    server = LiveServer(tmp_path)
    await server.start()
    server.publish({"cycle": 1})
    assert (await asyncio.to_thread(read_live, tmp_path, 5.0))["cycle"] == 1
    await server.close()


def test_nobody_there_is_said_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(LiveError, match="ems run"):
        read_live(tmp_path, 0.1)


async def test_a_core_without_a_first_cycle_times_out(server: LiveServer, tmp_path: Path) -> None:
    with pytest.raises(LiveError, match="timed out"):
        await asyncio.to_thread(read_live, tmp_path, 0.05)


async def test_what_is_heavy_is_told_by_a_thread_and_what_comes_meanwhile_is_left_out(
    server: LiveServer, tmp_path: Path
) -> None:
    import threading

    made, free = [], threading.Event()

    def points() -> dict[str, int]:
        made.append(threading.current_thread() is threading.main_thread())
        free.wait(5.0)
        return {"a.kw": len(made)}

    server.publish({"cycle": 0})
    seen = []
    async with aclosing(follow_live(tmp_path)) as snapshots:
        async for snapshot in snapshots:
            seen.append(snapshot)
            if snapshot["cycle"] == 0:
                for cycle in (1, 2, 3):
                    server.publish(lambda cycle=cycle: {"cycle": cycle, "points": points}, heavy=True)
                    await asyncio.sleep(0.01)
                free.set()
            elif snapshot["cycle"] == 1:
                server.publish(lambda: {"cycle": 4, "points": points}, heavy=True)
            else:
                break
    assert [one["cycle"] for one in seen] == [0, 1, 4]
    assert seen[-1]["points"] == {"a.kw": 2}
    assert made == [False, False]
