"""`ems ev wait` and `ems ev queue`: how a driver enters a queue, leaves it, and sees who is called."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from ems.clock import SystemClock
from ems.exit_codes import Exit
from ems.live import LiveServer
from ems.store.requests import read_active

Run = Callable[..., Any]
WISH = ("--energy-kwh", "12.5", "--departure", "23:59")
ROW = {"place": 1, "car": "ada", "point": "charge_point", "called": True, "in_time": True}


@pytest.fixture
def site(pinned_demo: Path, tmp_path: Path) -> Path:
    """Give a copy of the demo site whose charge point belongs to a car park."""
    folder = tmp_path / "site"
    shutil.copytree(pinned_demo, folder)
    text = yaml.safe_load((folder / "site.yaml").read_text())
    text["assets"]["charge_point"]["park"] = "market"
    (folder / "site.yaml").write_text(yaml.safe_dump(text, sort_keys=False))
    return folder


@pytest.fixture
def park() -> str:
    return "market"


def active(state: Path):
    return read_active(state, SystemClock().now())


def test_cars_wait_side_by_side_and_one_goes(ems: Run, state: Path, park: str) -> None:
    said = ems("ev", "wait", "SITE", park, "ada", *WISH, "--charge-kw", "11", "--json")
    assert said.status == Exit.OK
    assert "ada waits at market for 12.5 kWh before" in said.json["effect"]
    ems("ev", "wait", "SITE", park, "bob", *WISH)
    ems("ev", "wait", "SITE", park, "ada", "--energy-kwh", "9", "--departure", "23:59")
    cars = {request.value["car"]: request for request in active(state)}
    assert {name: request.value["energy_kwh"] for name, request in cars.items()} == {"ada": 9.0, "bob": 12.5}
    assert all(request.kind == "ev_waiting" and request.expires_at for request in cars.values())
    assert "ada waits no longer" in ems("ev", "wait", "SITE", park, "ada", "--withdraw").out
    assert [request.value["car"] for request in active(state)] == ["bob"]
    assert "nothing to end for ada at market" in ems("ev", "wait", "SITE", park, "ada", "--withdraw").out


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (("nowhere", "ada", *WISH), Exit.USAGE, "has no car park `nowhere`; it has market"),
        (("market", " ", *WISH), Exit.USAGE, "CAR is empty"),
        (("market", "ada"), Exit.USAGE, "tells --energy-kwh and --departure"),
        (("market", "ada", "--energy-kwh", "0", "--departure", "23:59"), Exit.DENIED, "0 kWh is not what a car takes"),
        (("market", "ada", *WISH, "--charge-kw", "-3"), Exit.DENIED, "-3 kW is not what a car takes"),
        (("market", "ada", "--energy-kwh", "5", "--departure", "soon"), Exit.USAGE, "'soon' is no time"),
    ],
)
def test_what_cannot_wait_is_told_why(ems: Run, state: Path, park: str, words, status, told) -> None:
    said = ems("ev", "wait", "SITE", *words)
    assert said.status == status
    assert told in said.err
    assert not active(state)


@pytest.mark.parametrize(
    ("row", "line"),
    [
        (
            ROW | {"words": "called to charge_point, which is kept until 10:10 UTC"},
            "market 1. ada: called to charge_point, which",
        ),
        (ROW, "market 1. ada: called to charge_point"),
        (ROW | {"called": False, "in_time": False}, "market 1. ada: cannot be served in time"),
        (ROW | {"called": False}, "market 1. ada: waits"),
    ],
)
async def test_the_queue_is_shown_as_the_core_tells_it(ems: Run, state: Path, park: str, row, line) -> None:
    server = LiveServer(state)
    await server.start()
    queues = {park: {"points": ["charge_point"], "assignments": {"ada": "charge_point"}, "waiting": [row]}}
    server.publish({"schema": "ems.live/1", "at": SystemClock().now(), "queues": queues})
    said = await asyncio.to_thread(ems, "ev", "queue", "SITE", "--park", park)
    as_json = await asyncio.to_thread(ems, "ev", "queue", "SITE", "--json")
    await server.close()
    assert line in said.out
    assert as_json.json["queues"] == queues


def test_without_a_core_the_queue_cannot_be_told(ems: Run, park: str) -> None:
    assert ems("ev", "queue", "SITE", "--timeout", "0.2").status == Exit.UNREACHABLE
    assert "has no car park `x`" in ems("ev", "queue", "SITE", "--park", "x").err
