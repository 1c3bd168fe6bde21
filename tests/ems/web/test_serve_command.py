"""`ems serve` as a process: it finds its page, tells its address, and ends when asked; the core notices nothing."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import httpx
import pytest
from page_bench import snapshot, told

from ems.live import LiveServer

ROOT = Path(__file__).resolve().parents[3]


async def serve(state: Path) -> tuple[asyncio.subprocess.Process, str]:
    words = ["-m", "ems.cli", "serve", "sites/demo_feeder", "--state", str(state), "--port", "0", "--json"]
    process = await asyncio.create_subprocess_exec(sys.executable, *words, cwd=ROOT, stdout=PIPE, stderr=PIPE)
    told = (await process.stderr.readline()).decode()
    assert "the status page is at http://127.0.0.1:" in told
    return process, told.split(" at ")[1].strip()


async def until_ready(client: httpx.AsyncClient, address: str) -> None:
    for _ in range(1200):
        if (await client.get(f"{address}readyz")).status_code == 200:
            return
        await asyncio.sleep(0.05)
    pytest.fail("the page has not heard the core within 60 s")


async def test_the_page_comes_goes_and_is_killed_while_the_core_goes_on(tmp_path: Path) -> None:
    core = LiveServer(tmp_path)
    await core.start()
    core.publish(snapshot(0))
    async with httpx.AsyncClient() as client:
        process, address = await serve(tmp_path)
        await until_ready(client, address)
        page = await client.get(address)
        assert "<title>District EMS</title>" in page.text
        assert (await client.get(f"{address}api/v1/live")).json()["snapshot"] == told(0)
        process.send_signal(signal.SIGTERM)
        out, _ = await process.communicate()
        assert process.returncode == 0
        assert json.loads(out) == {"schema": "ems.serve/1", "address": address}

        process, address = await serve(tmp_path)
        await until_ready(client, address)
        process.kill()
        await process.communicate()
    for cycle in range(1, 1000):
        core.publish(snapshot(cycle))
        if not core._queues:
            break
        await asyncio.sleep(0.01)
    assert core._queues == set(), "the reader that was killed is forgotten"
    await core.close()
