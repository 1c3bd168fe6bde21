"""The core is killed or stopped at any moment: devices fall back, nobody replays, nobody writes twice."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from town import (
    BUSY_WALL_S,
    LEVERS,
    Watcher,
    World,
    assert_whole,
    decides,
    last_id,
    live,
    records,
    running,
    start,
    steers,
    until,
)

from ems.app import build
from ems.clock import SystemClock
from ems.config.binding import bind
from ems.config.loading import load_site
from ems.exit_codes import Exit
from ems.ownership import NotOwner, read_record
from ems.worker import DirectSolver, Feeder

SAFE_KW = {"pv": -35.0, "battery": None, "charge_point": 4.14, "heat_pump": None}
"""What the devices of the demo feeder are told when nobody steers: declared values, or None to idle by themselves."""
SLACK_S = 20.0
"""The world's own steps and a busy machine [s of the clock]."""
pytestmark = pytest.mark.timeout(600)
VALID_WITHIN_WALL_S = 10.0

Town = dict[str, "subprocess.Popen[str]"]


@pytest.fixture(scope="module")
def household(world: World) -> Iterator[Town]:
    """Core and guard by hand; a test that ends the core leaves its successor here."""
    with running(world, "run", "guard") as processes:
        yield processes


@pytest.fixture
def town(household: Town, world: World) -> Town:
    """The household, once it steers every device."""
    if household["run"].poll() is not None:
        household["run"] = start(world, "run")
    until(lambda: live(world.state) and steers(world), "every device is steered")
    return household


def is_safe(world: World) -> bool:
    told = world.commands()
    return all(told[name] == (None if kw is None else pytest.approx(kw, abs=0.02)) for name, kw in SAFE_KW.items())


def test_the_safe_values_here_are_those_of_the_site_file(world: World) -> None:
    bindings = bind(load_site(world.site))
    safe = {name: bindings.safe_kw(name) for name in LEVERS}
    assert safe == {"pv": -35.0, "battery": 0.0, "charge_point": pytest.approx(4.14), "heat_pump": None}


HEAVY = ("pandas", "pandapower", "pyomo", "highspy")


def test_the_core_carries_no_planner(town: Town) -> None:
    maps = Path(f"/proc/{town['run'].pid}/maps").read_text()
    assert "numpy" in maps
    assert [name for name in HEAVY if f"/{name}" in maps] == []


def test_a_second_core_is_denied_at_once_and_leaves_everything_alone(town: Town, world: World) -> None:
    site, before = load_site(world.site), read_record(world.state)
    assert before is not None
    kept, names = last_id(world.state / "journal.db"), {path.name for path in world.state.iterdir()}

    began_s = time.monotonic()
    with pytest.raises(NotOwner, match=f"process {before.pid} under epoch {before.epoch} owns"):
        build(site, world.state, SystemClock(), DirectSolver(Feeder(None, world.state)), cycle_s=1.0)
    assert time.monotonic() - began_s < 10.0, "it waits for no lease"

    with running(world, "run") as second:
        assert second["run"].wait(60) == Exit.DENIED
    after = read_record(world.state)
    assert after is not None and (after.epoch, after.pid) == (before.epoch, before.pid)
    assert town["run"].poll() is None
    assert {path.name for path in world.state.iterdir()} == names
    starts = [r for r in records(world.state / "journal.db", "transition", kept) if r.body.get("event") == "start"]
    assert starts == []


@pytest.mark.parametrize(
    ("seed", "busy_wall_s"),
    [(1, BUSY_WALL_S), pytest.param(2, 0.0, marks=pytest.mark.soak), pytest.param(3, 0.0, marks=pytest.mark.soak)],
)
def test_after_a_kill_devices_fall_back_and_the_next_core_replays_nothing(
    town: Town, world: World, watcher: Watcher, seed: int, busy_wall_s: float
) -> None:
    busy_s, valid_within_s = busy_wall_s * world.clock.speed, VALID_WITHIN_WALL_S + busy_wall_s
    journal, lease_s = world.state / "journal.db", load_site(world.site).file.control.lease_s
    time.sleep(random.Random(seed).uniform(0.0, 2.0))
    town["run"].kill()
    killed_s = world.clock.monotonic()
    town["run"].wait()

    until(lambda: world.commands()["heat_pump"] is None, "the guard gives the air handler back")
    assert world.clock.monotonic() - killed_s <= lease_s + busy_s
    until(lambda: is_safe(world), "every device falls back")
    assert world.clock.monotonic() - killed_s <= lease_s + SLACK_S + busy_s
    assert_whole(journal)
    assert_whole(world.state / "guard.db")
    kept = last_id(journal)

    began_s, began_wall_s, samples = world.clock.monotonic(), time.monotonic(), []
    town["run"] = start(world, "run")
    while not watcher.since(began_s) and time.monotonic() - began_wall_s <= valid_within_s:
        samples.append((is_safe(world), world.clock.monotonic()))
    decision = watcher.first(decides, began_s, "the new core decides", valid_within_s)
    assert time.monotonic() - began_wall_s <= valid_within_s
    assert decision["health"]["state"] in {"normal", "degraded"}
    intents = until(lambda: records(journal, "intent", kept), "the new core commands")
    first_s = (intents[0].at - world.clock.start) / timedelta(seconds=1)
    assert first_s >= began_s
    assert all(safe for safe, by_s in samples if by_s < first_s), "nothing is commanded before the first new intent"
    until(lambda: commands_are_those_of_intents(world, kept), "the devices hold the newest intents")
    assert_whole(journal)


def commands_are_those_of_intents(world: World, after_id: int) -> bool:
    """Tell whether each device does what the newest intent of this life says, and nothing else."""
    newest = {r.body["asset"]: r.body["power_kw"] for r in records(world.state / "journal.db", "intent", after_id)}
    told = world.commands()
    return newest.keys() == set(LEVERS) and all(told[name] == pytest.approx(newest[name], abs=0.1) for name in LEVERS)


def stop_and_continue(town: Town, world: World, stopped_s: float, busy_wall_s: float = 0.0) -> None:
    """Stop the core for so long [s of the clock] and make sure that it has lost the site for good."""
    core, mine = town["run"], read_record(world.state)
    assert mine is not None and (mine.role, mine.pid) == ("core", core.pid)
    assert stopped_s > mine.lease_s
    core.send_signal(signal.SIGSTOP)
    began_s = world.clock.monotonic()

    def guard_is_done() -> bool:
        record = read_record(world.state)
        return record is not None and record.role == "guard" and record.settled

    until(guard_is_done, "the guard takes over", (mine.lease_s + 60.0) / world.clock.speed + busy_wall_s)
    assert world.clock.monotonic() - began_s <= mine.lease_s + SLACK_S + busy_wall_s * world.clock.speed
    until(lambda: is_safe(world), "every device falls back", 60.0 / world.clock.speed + 10.0 + busy_wall_s)
    until(lambda: world.clock.monotonic() - began_s >= stopped_s, "it was stopped for long", 400.0)
    writes, told = world.writes(), world.commands()

    core.send_signal(signal.SIGCONT)
    assert core.wait(60) == Exit.DENIED
    assert world.writes() == writes
    assert world.commands() == told
    now = read_record(world.state)
    assert now is not None and (now.role, now.epoch) == ("guard", mine.epoch + 1)


def test_an_owner_that_was_stopped_for_longer_than_its_lease_never_writes_again(town: Town, world: World) -> None:
    stop_and_continue(town, world, 75.0, BUSY_WALL_S)


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_five_minutes_asleep_in_real_time(tmp_path: Path) -> None:
    world = World(tmp_path, 1.0)
    try:
        with running(world, "run", "guard", options={"run": ("--cycle", "1")}) as town:
            until(lambda: live(world.state) and steers(world), "every device is steered")
            stop_and_continue(town, world, 300.0)
    finally:
        world.close()
