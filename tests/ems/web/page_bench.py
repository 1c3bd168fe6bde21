"""A hub that is fed by hand, and what a browser knows of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

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


@dataclass
class Page:
    """The running page: the core's end of the stream, its address and its hub."""

    core: LiveServer
    host: str
    hub: Hub

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    @property
    def ws(self) -> str:
        return f"ws://{self.host}/api/v1/ws"
