"""`ems ev show` and `ems status`: how probably each car is ready, as the core tells it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ems.clock import SystemClock
from ems.commands.status import describe
from ems.exit_codes import Exit
from ems.live import LiveServer

Run = Callable[..., Any]
CAR = {
    "departure": "2026-01-15T16:30:00+00:00",
    "told": True,
    "wanted_kwh": 8.5,
    "ready_at": "2026-01-15T15:05:00+00:00",
    "ready_probability": 0.93,
}
ASSETS = {"charge_point": {"kind": "charge_point", "car": CAR}, "battery": {"kind": "battery"}, "other": {"car": None}}
WORDS = (
    "charge_point: wants 8.5 kWh more, by the plan at 15.01. 16:05, leaves at 15.01. 17:30; ready when it leaves: 93 %"
)


async def test_every_car_is_shown_in_local_time_with_its_probability(ems: Run, state: Path) -> None:
    server = LiveServer(state)
    await server.start()
    server.publish({"schema": "ems.live/1", "at": SystemClock().now(), "assets": ASSETS})
    said = await asyncio.to_thread(ems, "ev", "show", "SITE")
    as_json = await asyncio.to_thread(ems, "ev", "show", "SITE", "--json")
    await server.close()
    assert said.out.splitlines() == [WORDS]
    assert as_json.json["cars"] == {"charge_point": CAR}


def test_the_status_has_a_line_for_each_car() -> None:
    lines = list(describe({"at": "2026-01-15T12:00:00+00:00", "assets": {"charge_point": {"car": CAR}}}, None, []))
    assert [line for line in lines if line.startswith("car ")] == [
        "car       charge_point: wants 8.5 kWh more, by the plan at 15.01. 15:05, leaves at 15.01. 16:30; "
        "ready when it leaves: 93 %"
    ]


def test_without_a_core_nobody_can_be_shown(ems: Run) -> None:
    assert ems("ev", "show", "SITE", "--timeout", "0.2").status == Exit.UNREACHABLE
