"""`ems up` on a pretend feeder: killed children, pulled plugs and people's orders, seen from outside."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from town import (
    BUSY_WALL_S,
    LEVERS,
    Snapshot,
    Watcher,
    World,
    assert_whole,
    decides,
    ems,
    end,
    is_well,
    live,
    pid_of,
    start,
    steers,
    told,
    until,
)

from ems.exit_codes import Exit
from hil.relocate import free_port

pytestmark = pytest.mark.timeout(600)
VALID_WITHIN_WALL_S = 10.0
CYCLE_S = 10.0
DEVICES = {
    "grid_meter": None,
    "pv_inverter": "pv",
    "battery_inverter": "battery",
    "wallbox": "charge_point",
    "air_handler": "heat_pump",
}
"""Which asset hangs on each device, if it can be steered."""


@dataclass(frozen=True)
class Up:
    """The supervisor, and where its page is."""

    process: subprocess.Popen[str]
    page: str


@pytest.fixture(scope="module")
def up(world: World) -> Iterator[Up]:
    port = free_port()
    process = start(world, "up", "--page-port", port, stdout=subprocess.PIPE)
    until(lambda: live(world.state) and steers(world), "every device is steered")
    yield Up(process, f"http://127.0.0.1:{port}/")
    end(process)
    process.communicate()


@pytest.fixture
def town(up: Up, world: World, watcher: Watcher) -> World:
    """The supervised town while nothing is wrong."""
    watcher.first(lambda shot: is_well(shot) and decides(shot), world.clock.monotonic(), "all is well")
    until(lambda: steers(world), "every device is steered")
    return world


def asks_page(up: Up) -> bool:
    try:
        with urllib.request.urlopen(up.page, timeout=2.0) as answer:
            return answer.status == 200
    except OSError:
        return False


@pytest.mark.parametrize("spared", [1, pytest.param(0, marks=pytest.mark.soak)])
def test_a_killed_page_is_served_again_and_control_notices_nothing(
    town: World, up: Up, watcher: Watcher, spared: int
) -> None:
    """A busy machine may cost one poll and one deadline, whoever was killed; the soak spares none."""
    until(lambda: asks_page(up), "the page is served")
    page, core = pid_of(town.state, "serve"), pid_of(town.state, "run")
    began_s = town.clock.monotonic()
    os.kill(page, signal.SIGKILL)
    pid_of(town.state, "serve", other_than=page)
    until(lambda: asks_page(up), "the page is served again")
    seen = watcher.since(began_s - CYCLE_S)
    assert pid_of(town.state, "run") == core
    assert sum(not (decides(shot) and is_well(shot)) for shot in seen) <= spared
    assert seen[-1]["counters"]["cycles"] - seen[0]["counters"]["cycles"] == len(seen) - 1
    assert seen[-1]["counters"]["missed_deadlines"] - seen[0]["counters"]["missed_deadlines"] <= spared


def test_a_killed_core_is_started_again_and_decides(town: World, watcher: Watcher) -> None:
    core, guard = pid_of(town.state, "run"), pid_of(town.state, "guard")
    os.kill(core, signal.SIGKILL)
    killed_s = town.clock.monotonic()
    pid_of(town.state, "run", other_than=core)
    watcher.first(decides, killed_s + CYCLE_S, "the new core decides", VALID_WITHIN_WALL_S + BUSY_WALL_S)
    until(lambda: steers(town), "every device is steered")
    assert_whole(town.state / "journal.db")
    assert pid_of(town.state, "guard") == guard


def values_of(snapshot: Snapshot, device: str) -> list[str]:
    return [point["quality"] for name, point in snapshot["points"].items() if name.startswith(f"{device}.")]


def is_lost(snapshot: Snapshot, device: str) -> bool:
    return set(values_of(snapshot, device)) == {"bad"}


@pytest.mark.parametrize(
    ("device", "busy_wall_s"),
    [
        *((device, BUSY_WALL_S) for device in ("grid_meter", "wallbox", "air_handler")),
        *(pytest.param(device, 0.0, marks=pytest.mark.soak) for device in DEVICES),
    ],
)
def test_a_pulled_plug_is_told_and_mended_and_disturbs_nobody(
    town: World, watcher: Watcher, device: str, busy_wall_s: float
) -> None:
    busy_s = busy_wall_s * town.clock.speed
    pulled_s = town.clock.monotonic()
    town.ask("fault", device=device, kind="unplug", seconds=40)
    gone_s = town.clock.monotonic()
    lost = watcher.first(lambda shot: is_lost(shot, device), gone_s, f"{device} is lost")
    polls = [shot for shot in watcher.since(gone_s) if shot["monotonic_s"] <= lost["monotonic_s"]]
    assert len(polls) <= 3 + 1, "the first of them may have been under way"
    (alarm,) = [one for one in lost["alarms"] if one["key"] == f"device:{device}"]
    assert device in alarm["text"]
    since_s = (datetime.fromisoformat(alarm["since"]) - town.clock.start) / timedelta(seconds=1)
    assert pulled_s - 3 * CYCLE_S <= since_s <= lost["monotonic_s"]
    assert not lost["devices"][device]["online"]

    until(lambda: town.ask("state")["elapsed_s"] >= gone_s + 42.0, "it is plugged in again")
    back_s, writes = town.clock.monotonic(), town.writes()[device]
    back = watcher.first(lambda shot: is_controlled(shot, device), back_s, f"{device} is back")
    assert back["monotonic_s"] - back_s <= 60.0 + busy_s
    if DEVICES[device] is not None:
        until(lambda: town.writes()[device] > writes, f"{device} is commanded")
        assert town.clock.monotonic() - back_s <= 60.0 + CYCLE_S + busy_s
    others = [other for other in DEVICES if other != device]
    shots = watcher.since(pulled_s)
    disturbed = [shot for shot in shots if any(set(values_of(shot, other)) != {"good"} for other in others)]
    assert len(disturbed) <= (1 if busy_wall_s else 0), "a busy machine may cost one poll"
    for shot in shots:
        assert [one["key"] for one in shot["alarms"] if one["key"].startswith("device:")] in ([], [f"device:{device}"])


def is_controlled(snapshot: Snapshot, device: str) -> bool:
    asset = DEVICES[device]
    is_back = snapshot["devices"][device]["online"] and set(values_of(snapshot, device)) == {"good"}
    return is_back and (asset is None or snapshot["assets"][asset]["command_kw"] is not None)


class Walk:
    """What an operator does, and what comes of it."""

    def __init__(self, town: World, watcher: Watcher) -> None:
        self._town, self._watcher = town, watcher
        self._began_s = town.clock.monotonic() - CYCLE_S
        self._ordered_s = self._began_s

    def order(self, *words: object, status: int = 0) -> dict[str, Any]:
        """Type a command; the site comes after the command's own first words."""
        self._ordered_s = self._town.clock.monotonic()
        return told(*words, "--state", self._town.state, status=status)

    def order_both(self, one: tuple[object, ...], other: tuple[object, ...]) -> None:
        """Type two commands at once."""
        with ThreadPoolExecutor(2) as pool:
            for answer in (pool.submit(self.order, *one), pool.submit(self.order, *other)):
                answer.result()

    def see(self, condition: Any, what: str) -> Snapshot:
        """Wait for what the newest order brings about: it may have come and gone before the command had ended."""
        return self._watcher.first(condition, self._ordered_s, what)

    def see_now(self, condition: Any, what: str) -> Snapshot:
        return self._watcher.first(condition, self._town.clock.monotonic(), what)

    def is_granted(self) -> bool:
        """Tell whether no device has refused a command since the walk began."""
        shots = self._watcher.since(self._began_s)
        refused = {one["key"] for shot in shots for one in shot["alarms"] if one["key"].startswith("refused:")}
        return (
            not refused
            and shots[0]["counters"]["setpoints"]["refused"] == shots[-1]["counters"]["setpoints"]["refused"]
        )

    def is_left_alone(self, *devices: str) -> bool:
        """Tell whether nothing is written to devices for longer than commands are renewed."""
        before, until_s = self._town.writes(), self._town.clock.monotonic() + 25.0
        until(lambda: self._town.clock.monotonic() > until_s, "time passes")
        after = self._town.writes()
        return all(before[device] == after[device] for device in devices)


@pytest.fixture
def walk(town: World, watcher: Watcher) -> Walk:
    return Walk(town, watcher)


def test_an_override_holds_until_it_is_released(town: World, walk: Walk) -> None:
    site = town.site
    denied = walk.order("override", "set", site, "battery", 500, "--reason", "test", "--for", "1h", status=Exit.DENIED)
    assert not denied["ok"]
    walk.order("override", "set", site, "battery", 5, "--reason", "test of the fuse", "--for", "1h")
    shot = walk.see(lambda shot: shot["assets"]["battery"]["rung"] == "operator", "the operator decides")
    assert shot["assets"]["battery"]["decision_kw"] == 5.0
    assert "test of the fuse" in shot["assets"]["battery"]["reason"]
    until(lambda: town.commands()["battery"] == pytest.approx(5.0), "the battery obeys")
    (held,) = walk.order("override", "list", site)["overrides"]
    assert (held["target"], held["value"], held["reason"]) == ("battery", {"power_kw": 5.0}, "test of the fuse")
    walk.order("override", "release", site, "battery", "--reason", "tested")
    walk.see(lambda shot: shot["health"]["state"] != "override", "the override ends")


def test_what_is_advised_or_locked_out_is_written_to_no_more(town: World, walk: Walk) -> None:
    site = town.site
    walk.order_both(
        ("mode", site, "wallbox", "advise", "--reason", "test"),
        ("lockout", site, "battery_inverter", "--reason", "somebody works on it"),
    )
    shot = walk.see(
        lambda shot: shot["devices"]["wallbox"]["mode"] == "advise" and shot["devices"]["battery_inverter"]["lockout"],
        "the orders are seen",
    )
    assert "somebody works on it" in shot["devices"]["battery_inverter"]["lockout"]
    walk.order("override", "set", site, "battery", 5, "--reason", "x", "--for", "1h", status=Exit.DENIED)
    assert walk.is_left_alone("wallbox", "battery_inverter")
    walk.order_both(
        ("mode", site, "wallbox", "control", "--reason", "tested"),
        ("lockout", site, "battery_inverter", "--off", "--reason", "done"),
    )
    commanded = ("charge_point", "battery")
    walk.see(lambda shot: all(shot["assets"][a]["command_kw"] is not None for a in commanded), "both are steered again")
    assert walk.is_granted()


def test_all_are_released_to_local_and_taken_back(town: World, walk: Walk) -> None:
    walk.order("release-all", town.site, "--reason", "the grid operator is here")
    until(lambda: all(town.commands()[asset] is None for asset in LEVERS), "every device goes by itself")
    walk.see(lambda shot: shot["health"]["state"] == "override", "it is told")
    assert walk.is_left_alone(*DEVICES)
    walk.order("release-all", town.site, "--off", "--reason", "he has left")
    until(lambda: steers(town), "every device is steered again")
    walk.see_now(decides, "a cycle later")
    assert walk.is_granted()


def test_a_driver_tells_what_the_car_needs(town: World, walk: Walk) -> None:
    departure = (town.clock.now() + timedelta(hours=3)).isoformat()
    request = walk.order("ev", "set", town.site, "charge_point", "--energy-kwh", 9, "--departure", departure)["request"]
    assert (request["kind"], request["target"], request["value"]["energy_kwh"]) == ("ev", "charge_point", 9.0)
    # A disk that hangs for a moment is told, too, and passes.
    until(lambda: is_in_order(town), "the site is in good order")


def is_in_order(town: World) -> bool:
    with ems("status", town.site, "--state", town.state, stdout=subprocess.DEVNULL) as process:
        return process.wait(timeout=60) == Exit.OK


def test_at_the_end_all_stop_in_order_and_report(up: Up, world: World) -> None:
    children = [pid_of(world.state, name) for name in ("run", "guard", "serve")]
    up.process.send_signal(signal.SIGTERM)
    out, _ = up.process.communicate(timeout=100)
    report = json.loads(out)
    assert up.process.returncode == Exit.OK
    assert report["restarts"]["guard"] == 0 and report["run"]["cycles"] > 0
    assert not any(os.path.exists(f"/proc/{pid}") for pid in children)  # noqa: PTH110
    assert_whole(world.state / "journal.db")
