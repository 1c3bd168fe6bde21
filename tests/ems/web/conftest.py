"""The page's server on a real port of this machine, following a core that the test plays."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import uvicorn
from page_bench import CARD, HandClock, Page, snapshot

from ems.live import LiveServer
from ems.web.app import build_app
from ems.web.hub import Hub
from ems.web.serve import listen


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Page]:
    core = LiveServer(tmp_path)
    await core.start()
    core.publish(snapshot(0))
    clock = HandClock()
    hub = Hub(tmp_path, clock, CARD)
    listener = listen(0)
    server = uvicorn.Server(uvicorn.Config(build_app(hub), ws="websockets-sansio", log_level="warning"))
    running = asyncio.create_task(server._serve(sockets=[listener]))
    first = hub.join()
    assert json.loads(await first.get())["snapshot"] is None
    assert json.loads(await first.get())["seq"] == 1
    hub.leave(first)
    yield Page(core, f"127.0.0.1:{listener.getsockname()[1]}", hub, clock)
    server.should_exit = True
    await running
    await core.close()
