"""The control line, in lock-step and free."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from ems.clock import ScaledClock, SystemClock
from ems.config.site import Site
from ems.exit_codes import CommandError, Exit
from ems.store.requests import RequestBox
from hil.lockstep import WorldLine
from hil.scenario import Scenario
from hil.serve import SOCKET, Line, command, serve
from hil.world import World


async def ask(line: Line, **request: Any) -> dict[str, Any]:
    return await line.answer(json.dumps(request).encode())


@pytest.fixture
def line(site: Site, demo_hour: Scenario) -> Line:
    return Line(World(site, demo_hour, 1, witness=False), lockstep=True)


class TestLockStep:
    async def test_time_moves_when_it_is_told_to(self, line: Line) -> None:
        assert await ask(line, op="advance", to_s=20.0) == {"ok": True, "events": []}
        assert (await ask(line, op="state"))["elapsed_s"] == 20.0
        assert await ask(line, op="advance", to_s=20.0) == {"ok": True, "events": []}

    async def test_cars_are_told_as_events(self, line: Line) -> None:
        (event,) = (await ask(line, op="advance", to_s=960.0))["events"]
        assert event["kind"] == "plug_in" and event["asset"] == "charge_point" and event["energy_kwh"] == 12.0

    async def test_the_verdict_and_the_state_are_json(self, line: Line) -> None:
        await ask(line, op="advance", to_s=120.0)
        told = (await ask(line, op="verdict"))["verdict"]
        assert told["plant_limits"]["steps_judged"] == 12
        assert json.loads(json.dumps(told)) == told
        assert set((await ask(line, op="state"))["assets"]) >= {"pv", "battery", "charge_point", "heat_pump"}

    async def test_limits_count_from_the_first_command(self, line: Line) -> None:
        await ask(line, op="advance", to_s=60.0)
        line._world.plant.command("pv", -20.0)
        await ask(line, op="advance", to_s=120.0)
        assert (await ask(line, op="verdict"))["verdict"]["plant_limits"]["steps_judged"] == 6

    @pytest.mark.parametrize(
        ("request_", "words"),
        [
            ({"op": "dance"}, "'dance' is no operation"),
            ({"op": "advance", "to_s": -5}, "cannot go back to -5"),
            ({"op": "advance"}, "to_s"),
            ({"op": "fault", "device": "toaster", "kind": "unplug", "seconds": 1}, "there is no 'toaster'"),
            ({"op": "fault", "device": "wallbox", "kind": "burn", "seconds": 1}, "'burn'"),
        ],
    )
    async def test_what_cannot_be_done_is_refused(self, line: Line, request_: dict[str, Any], words: str) -> None:
        answer = await ask(line, **request_)
        assert not answer["ok"] and words in answer["error"]

    async def test_a_free_world_is_not_pushed(self, site: Site, demo_hour: Scenario) -> None:
        free = Line(World(site, demo_hour, 1, witness=False), lockstep=False)
        assert "--lockstep" in (await ask(free, op="advance", to_s=5.0))["error"]

    async def test_stop_stops(self, line: Line) -> None:
        await ask(line, op="stop")
        assert line.stopped.is_set()


async def start(site: Site, *options: str) -> asyncio.subprocess.Process:
    """Run `ems hil serve` as a process."""
    command_line = [
        sys.executable,
        "-m",
        "ems.cli",
        "hil",
        "serve",
        str(site.folder),
        "--scenario",
        "demo_hour",
        "--json",
    ]
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(*command_line, *options, stdout=pipe, stderr=pipe)


async def test_free_running_it_keeps_up_hands_on_wishes_and_gives_its_verdict(
    site: Site, demo_hour: Scenario, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    begin = demo_hour.starts_at(ZoneInfo(site.file.site.timezone))
    # The anchor lies well before the process: the world catches up with a clock that has begun without it.
    clock = ScaledClock(begin, SystemClock().monotonic() - 15.0, 60.0)
    process = await start(site, "--clock", clock.to_text(), "--state", str(state))
    line = await WorldLine.connect(state / SOCKET, process)
    for _ in range(600):
        told = await line.ask("state")
        if told["elapsed_s"] > 920.0 and clock.monotonic() - told["elapsed_s"] < 6.0:
            break
        await asyncio.sleep(0.05)
    else:
        pytest.fail(f"the world stands at {told['elapsed_s']} s, its clock at {clock.monotonic()} s")
    process.send_signal(signal.SIGTERM)
    out, err = await asyncio.wait_for(process.communicate(), 60.0)
    await line.close()
    verdict = json.loads(out)
    assert process.returncode == 0, err.decode()
    assert verdict["schema"] == "ems.hil-serve/1"
    assert verdict["plant_limits"]["steps_judged"] >= 92
    assert not (state / SOCKET).exists()
    (wish,) = RequestBox(state, clock).active(begin + timedelta(seconds=1000))
    assert (wish.kind, wish.target, wish.value["energy_kwh"]) == ("ev", "charge_point", 12.0)


async def test_in_lock_step_the_world_ends_with_its_line(site: Site, demo_hour: Scenario, tmp_path: Path) -> None:
    socket = tmp_path / "line.sock"
    serving = asyncio.create_task(serve(site, demo_hour, 1, state=tmp_path, lockstep=socket))
    while not socket.exists():
        assert not serving.done(), serving.exception()
        await asyncio.sleep(0.01)
    reader, writer = await asyncio.open_unix_connection(str(socket))
    writer.write(b'{"op": "advance", "to_s": 30.0}\n')
    assert json.loads(await reader.readline()) == {"ok": True, "events": []}
    writer.close()
    verdict = await asyncio.wait_for(serving, 60.0)
    assert verdict["plant_limits"]["steps_judged"] == 3


async def test_a_taken_address_keeps_the_world_off_the_air(site: Site, demo_hour: Scenario, tmp_path: Path) -> None:
    meter = site.file.devices["grid_meter"]
    holder = await asyncio.start_server(lambda _r, w: w.close(), meter.host, meter.port)
    with pytest.raises(OSError, match="in use"):
        await serve(site, demo_hour, 1, state=tmp_path, lockstep=tmp_path / "line.sock")
    holder.close()
    await holder.wait_closed()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--scenario", "monsoon"], "there is no scenario 'monsoon'"),
        (["--clock", "soon"], "write START@ANCHORxSPEED"),
        (["--scenario", "demo_hour", "--clock", "2025-01-01T00:00:00+00:00@1.0x60.0"], "give the scenario's"),
    ],
)
def test_wrong_options_are_a_usage_error(site: Site, tmp_path: Path, options: list[str], words: str) -> None:
    with pytest.raises(CommandError, match=words) as refused:
        command([str(site.folder), "--state", str(tmp_path / "state"), *options])
    assert refused.value.status is Exit.USAGE
