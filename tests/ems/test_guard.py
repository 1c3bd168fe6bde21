"""The guard: quiet while an owner lives, safe values when it is lost, quiet again when one returns."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from drivers.registry import profile_points
from drivers.simulated import SimulatedDriver
from ems.clock import SimulatedClock
from ems.config.site import Site, SiteFile
from ems.guard import Guard, wards
from ems.ownership import Owner, read_record
from ems.store.journal import Journal, read_records
from ems.store.requests import FILE, Request, submit

START = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)
LEASE_S = 60.0
SAFE = {"air_handler.setpoint_kw": 2.0}


def site_of(folder: Path, **air_handler) -> Site:
    devices = {
        "air_handler": {"profile": "heat_pump", "mode": "control", "safe": {"setpoint_kw": 2.0}, **air_handler},
        "battery_inverter": {"profile": "sunspec_battery", "mode": "control", "safe": {"setpoint_kw": 0.0}},
        "grid_meter": {"profile": "sunspec_meter"},
    }
    content = {
        "schema_version": 1,
        "site": {"id": "yard", "name": "Yard", "timezone": "Europe/Berlin", "currency": "EUR"},
        "control": {"lease_s": LEASE_S},
        "grid": {"file": "grid.json", "import_limit_kw": 50.0, "export_limit_kw": 50.0},
        "tariff": "tariff.yaml",
        "feeds": {name: {"source": "feed.json"} for name in ("price", "carbon", "weather")},
        "devices": {name: {"protocol": "simulated", "port": 1, **device} for name, device in devices.items()},
        "assets": {},
    }
    return Site(file=SiteFile.model_validate(content), folder=folder, tariff=None, config_hash="")


class Bench:
    """An owner, a guard and the device that only the guard can make safe, on one clock."""

    def __init__(self, folder: Path, site: Site | None = None) -> None:
        self.folder = folder
        self.clock = SimulatedClock(START)
        self.journal = Journal(folder / "guard.db", self.clock, durable=False)
        self.owner = Owner(folder, self.clock, LEASE_S)
        self.device = SimulatedDriver("air_handler", profile_points("bacnet", "heat_pump"), self.clock)
        self.guard = Guard(site or site_of(folder), folder, self.clock, self.journal, build=lambda *_: self.device)

    def pass_time(self, seconds: float) -> None:
        self.clock.advance_to(self.clock.monotonic() + seconds)

    @property
    def command_kw(self) -> float | None:
        return self.device.commands["setpoint_kw"]

    @property
    def writes(self) -> list[str]:
        self.journal.record("health", {}).result(5)
        return [record.kind for record in read_records(self.folder / "guard.db") if record.kind != "health"]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.owner.release()
    bench.journal.close()


def test_only_devices_without_a_watchdog_are_wards(tmp_path: Path) -> None:
    assert [(ward.device, ward.safe) for ward in wards(site_of(tmp_path))] == [("air_handler", SAFE)]


async def test_no_owner_ever_means_nothing_to_do(bench: Bench) -> None:
    await bench.guard.step()
    assert bench.writes == []
    assert bench.command_kw is None


async def test_it_keeps_quiet_while_an_owner_lives(bench: Bench) -> None:
    bench.owner.acquire()
    for _ in range(20):
        bench.pass_time(LEASE_S / 2)
        assert bench.owner.renew()
        await bench.guard.step()
    assert bench.writes == []


async def test_a_killed_controller_is_replaced_by_safe_values_at_once(bench: Bench) -> None:
    bench.owner.acquire()
    bench.device.commands["setpoint_kw"] = 11.0
    bench.owner.release()
    await bench.guard.step()
    assert bench.command_kw == 2.0
    assert bench.writes == ["transition", "intent", "result"]
    record = read_record(bench.folder)
    assert record is not None
    assert (record.role, record.epoch, record.settled) == ("guard", 2, True)
    await bench.guard.step()
    assert bench.writes == ["transition", "intent", "result"], "once is enough"
    assert bench.guard.tally.takeovers == bench.guard.tally.applied == 1


async def test_a_stopped_controller_writes_nothing_when_it_goes_on(bench: Bench) -> None:
    bench.owner.acquire()
    bench.pass_time(LEASE_S)
    await bench.guard.step()
    assert bench.writes == [], "its lease still holds"
    bench.pass_time(240.0)  # SIGSTOP for five minutes
    await bench.guard.step()
    assert bench.command_kw == 2.0
    assert not bench.owner.valid(), "SIGCONT: the old epoch is fenced off"
    assert not bench.owner.renew()
    bench.owner.acquire()
    assert bench.owner.epoch == 3
    await bench.guard.step()
    assert bench.owner.valid(), "a controller that acquired anew is left alone"
    assert bench.guard.tally.takeovers == 1


async def test_it_tries_until_the_device_takes_it(bench: Bench) -> None:
    bench.owner.acquire()
    bench.owner.release()
    bench.device.offline = "unplugged"
    for _ in range(3):
        await bench.guard.step()
    assert bench.command_kw is None
    assert not read_record(bench.folder).settled
    bench.device.offline = ""
    await bench.guard.step()
    assert bench.command_kw == 2.0
    assert bench.guard.tally.failed == 3
    assert read_record(bench.folder).settled


async def test_it_stops_trying_when_a_controller_returns(bench: Bench) -> None:
    bench.owner.acquire()
    bench.owner.release()
    bench.device.offline = "unplugged"
    await bench.guard.step()
    bench.owner.acquire()
    bench.device.offline = ""
    await bench.guard.step()
    assert bench.command_kw is None, "the new owner is not disturbed"
    assert bench.owner.valid()


async def test_a_guard_that_was_killed_half_way_is_finished_by_the_next(bench: Bench) -> None:
    bench.owner.acquire()
    bench.owner.release()
    bench.device.offline = "unplugged"
    await bench.guard.step()
    bench.device.offline = ""
    successor = Guard(site_of(bench.folder), bench.folder, bench.clock, bench.journal, build=lambda *_: bench.device)
    await successor.step()
    assert bench.command_kw == 2.0
    assert successor.tally.takeovers == 1


@pytest.mark.parametrize(
    ("kind", "target", "value"),
    [
        ("lockout", "air_handler", {"on": True}),
        ("mode", "air_handler", {"mode": "advise"}),
        ("release_all", "yard", {"on": True}),
    ],
)
async def test_what_people_took_away_is_not_written_to(bench: Bench, kind: str, target: str, value: dict) -> None:
    submit(bench.folder, Request(kind, target, value, "maintenance", "operator", START))
    bench.owner.acquire()
    bench.owner.release()
    await bench.guard.step()
    assert bench.command_kw is None
    assert bench.writes == ["transition"]
    assert read_record(bench.folder).settled


async def test_a_lockout_that_has_ended_no_longer_counts(bench: Bench) -> None:
    ended = Request("lockout", "air_handler", {}, "maintenance", "operator", START, START + timedelta(hours=1))
    submit(bench.folder, ended)
    bench.owner.acquire()
    bench.owner.release()
    bench.pass_time(3600.0)
    await bench.guard.step()
    assert bench.command_kw == 2.0


async def test_unreadable_requests_do_not_keep_devices_unsafe(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    (bench.folder / FILE).write_bytes(b"damaged" * 1000)
    bench.owner.acquire()
    bench.owner.release()
    await bench.guard.step()
    assert bench.command_kw == 2.0
    assert any("goes by the site file" in record.message for record in caplog.records)


async def test_a_device_that_is_only_monitored_is_not_written_to(tmp_path: Path) -> None:
    bench = Bench(tmp_path, site_of(tmp_path, mode="monitor"))
    bench.owner.acquire()
    bench.owner.release()
    await bench.guard.step()
    assert bench.command_kw is None
    bench.journal.close()


def guard_lines(caplog: pytest.LogCaptureFixture) -> list[tuple[int, str]]:
    return [(r.levelno, r.message) for r in caplog.records if r.name == "ems.guard"]


async def test_a_regular_stop_is_no_alarm_and_still_made_safe(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    bench.owner.acquire()
    pid = read_record(bench.folder).pid
    bench.device.commands["setpoint_kw"] = 11.0
    bench.owner.release(stopped=True)
    await bench.guard.step()
    await bench.guard.step()
    assert bench.command_kw == 2.0
    assert guard_lines(caplog) == [
        (logging.INFO, f"process {pid} has stopped in good order and given the site back: "
                       "the guard makes sure of the safe values under epoch 2"),
        (logging.INFO, "air_handler has taken its safe values: the guard goes back to watching"),
    ]  # fmt: skip
    assert bench.guard.tally.takeovers == 0


async def test_a_loss_after_a_regular_stop_is_a_loss(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.owner.acquire()
    bench.owner.release(stopped=True)
    bench.owner.acquire()
    bench.owner.release()
    await bench.guard.step()
    assert [level for level, _ in guard_lines(caplog)] == [logging.WARNING] * 2
    assert bench.guard.tally.takeovers == 1


@pytest.mark.parametrize(
    ("device", "words"),
    [
        ({"mode": "advise"}, "air_handler was not written to (its mode is advise): the guard"),
        ({"lockout": True}, "air_handler was not written to (locked out by the site file): the guard"),
        ({"safe": {}, "mode": "monitor"}, "no device depends on the guard, nothing was written: the guard"),
    ],
)
async def test_it_does_not_say_that_what_it_left_alone_is_safe(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, device: dict, words: str
) -> None:
    bench = Bench(tmp_path, site_of(tmp_path, **device))
    bench.owner.acquire()
    bench.owner.release()
    await bench.guard.step()
    assert bench.command_kw is None
    assert guard_lines(caplog)[-1][1].startswith(words)
    bench.journal.close()


async def test_told_to_stop_it_looks_once_more(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    stop = asyncio.Event()
    bench.owner.acquire()
    bench.owner.release()  # the controller ended in the same instant
    stop.set()
    await bench.guard.watch(stop)
    assert bench.command_kw == 2.0


async def test_told_to_stop_it_names_what_it_could_not_make_safe(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    stop = asyncio.Event()
    bench.owner.acquire()
    bench.owner.release(stopped=True)
    bench.device.offline = "unplugged"
    stop.set()
    await bench.guard.watch(stop)
    assert (logging.WARNING, "the guard stops before air_handler has taken its safe values") in guard_lines(caplog)
    assert not read_record(bench.folder).settled


def test_the_command_watches_and_tells_what_it_did(tmp_path: Path) -> None:
    state = tmp_path / "state"
    order = [sys.executable, "-m", "ems.cli", "guard", "sites/demo_feeder", "--state", state, "--json"]
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen(order, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as guard:
        assert "the guard watches" in guard.stderr.readline()
        second = subprocess.run(order, cwd=root, capture_output=True, text=True, timeout=60, check=False)
        assert second.returncode == 7, second.stderr
        assert "another guard" in second.stderr
        guard.send_signal(signal.SIGTERM)
        out, _ = guard.communicate(timeout=30)
    assert guard.returncode == 0
    assert json.loads(out) == {"schema": "ems.guard/1", "takeovers": 0, "applied": 0, "failed": 0}
