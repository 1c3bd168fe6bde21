"""A hub that is fed by hand, and what a browser knows of it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from ems.clock import SystemClock
from ems.live import LiveServer
from ems.web.hub import Hub, SiteCard

CARD = SiteCard("yard", "The yard", "Europe/Berlin", "EUR")


def snapshot(cycle: int, **changes: Any) -> dict[str, Any]:
    minute, second = divmod(cycle * 10, 60)
    return {
        "schema": "ems.live/1",
        "at": f"2026-01-15T12:{minute:02d}:{second:02d}+00:00",
        "cycle": cycle,
        "health": {"state": "normal", "cause": ""},
        "plan": None,
        "points": {"meter.power_kw": {"value": 1.0 + cycle, "unit": "kW", "quality": "good", "age_s": 0.1}},
        "assets": {"battery": {"kw": float(cycle), "planned_kw": 2.0, "command_kw": 2.0, "rung": "plan", "reason": ""}},
        "alarms": [],
    } | changes


def told(cycle: int, **changes: Any) -> dict[str, Any]:
    """What the page gets of a snapshot: what people hold by hand is added."""
    return snapshot(cycle, **changes) | {"manual": []}


class HandClock(SystemClock):
    """A clock that stands until a test moves it on, however long the machine takes."""

    def __init__(self) -> None:
        super().__init__()
        self._at_s = 0.0
        self._sleeping: list[tuple[float, asyncio.Future[None]]] = []

    def monotonic(self) -> float:
        return self._at_s

    async def sleep(self, seconds: float) -> None:
        waking = asyncio.get_running_loop().create_future()
        self._sleeping.append((self._at_s + seconds, waking))
        await waking

    def move_on(self, seconds: float) -> None:
        """Wake all who have slept for long enough by then [s]."""
        self._at_s += seconds
        due = [waking for at_s, waking in self._sleeping if at_s <= self._at_s and not waking.done()]
        self._sleeping = [(at_s, waking) for at_s, waking in self._sleeping if waking not in due]
        for waking in due:
            waking.set_result(None)


@dataclass
class Page:
    """The running page: the core's end of the stream, its address, its hub and the hub's clock."""

    core: LiveServer
    host: str
    hub: Hub
    clock: HandClock

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    @property
    def ws(self) -> str:
        return f"ws://{self.host}/api/v1/ws"
