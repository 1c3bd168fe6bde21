"""F9: a database is locked, slow or damaged while the daemon runs. Control goes on; what must be kept is kept."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sqlite3
import threading
import time
from collections.abc import Awaitable, Iterator
from pathlib import Path
from typing import Any

import daemon_show
import pytest
from daemon_show import CYCLE_S, DurableShow
from faulty_vfs import Trouble, installed

from ems import stores as stores_module
from ems.clock import SimulatedClock
from ems.store import writer as writer_module
from ems.store.audit import verify
from ems.store.journal import read_records
from ems.stores import journal_path

LOCKED_S = 60.0
CORRUPT = 11


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing waits longer than it must: what counts here is the order of things."""
    monkeypatch.setattr(writer_module, "RETRY_S", 0.01)
    monkeypatch.setattr(stores_module, "SCANS_GATHER_S", 0.0)


class Hurried(SimulatedClock):
    """Simulated time in which nobody is waited for longer than a moment."""

    async def wait_for(self, awaitable: Awaitable[Any], seconds: float) -> Any:
        return await asyncio.wait_for(awaitable, min(seconds, 0.02))


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let another writer hold a database for itself alone."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA busy_timeout = 5000")
        other.execute("BEGIN EXCLUSIVE")
        try:
            yield
        finally:
            other.execute("COMMIT")


async def settled(one: DurableShow) -> None:
    """Wait until the disk has all that was refused."""
    stores, deadline = one.daemon._stores, time.monotonic() + 30.0
    while any(b.waiting or b.unwritten for b in (stores.journal.backlog(), stores.history.backlog())):
        assert time.monotonic() < deadline
        await asyncio.to_thread(time.sleep, 0.01)


def intents(one: DurableShow) -> list[float]:
    found = read_records(journal_path(one.state), "intent", limit=10**6)
    return [r.body["power_kw"] for r in found if r.body["asset"] == "battery"]


async def test_f09_a_locked_journal_costs_increases_and_nothing_else(soon: None, tmp_path: Path) -> None:
    one = DurableShow(tmp_path / "state")
    one.powers(5.0)
    await one.run_until(60.0)
    cycles = one.daemon.counters()["cycles"]
    one.settles = False
    with locked(journal_path(one.state)):
        one.powers(9.0)
        await one.run_until(60.0 + LOCKED_S / 2.0)
        assert one.command("store") == pytest.approx(5.0), "no intent on disk, no increase"
        one.powers(2.0)
        await one.run_until(60.0 + LOCKED_S)
        assert one.command("store") == pytest.approx(2.0), "what reduces goes out"
        assert {"journal", "disk"} & one.alarms()
        counters = one.daemon.counters()
        assert (counters["cycles"] - cycles, counters["missed_deadlines"]) == (LOCKED_S / CYCLE_S, 0)
    await settled(one)
    one.settles = True
    one.powers(9.0)
    await one.run_until(120.0 + 6 * CYCLE_S)
    assert one.command("store") == pytest.approx(9.0)
    assert "journal" not in one.alarms()
    assert one.daemon._stores.journal.backlog().lost == 0
    await one.daemon.stop()
    assert verify(one.state).wrong == ()
    told = intents(one)
    assert [kw for kw in (5.0, 9.0, 2.0) if not any(each == pytest.approx(kw) for each in told)] == [], "audit whole"


async def test_f09_a_daemon_that_dies_while_the_journal_is_locked_has_lost_nothing(soon: None, tmp_path: Path) -> None:
    one = DurableShow(tmp_path / "state")
    one.powers(5.0)
    await one.run_until(60.0)
    one.settles = False
    crashed = tmp_path / "crashed"
    with locked(journal_path(one.state)):
        one.powers(2.0)
        await one.run_until(60.0 + LOCKED_S)
        before, deadline = one.daemon._stores.journal, time.monotonic() + 30.0
        while (told := before.backlog()).waiting or not 0 < told.spilt == told.unwritten:
            assert time.monotonic() < deadline
            await asyncio.to_thread(time.sleep, 0.01)
        shutil.copytree(one.state, crashed, ignore=shutil.ignore_patterns("owner*", "*.sock", "reserve*"))
    await settled(one)
    await one.daemon.stop()
    known = read_records(journal_path(one.state), limit=10**6)
    there = len(read_records(journal_path(crashed), limit=10**6)) + told.spilt
    other = DurableShow(crashed)
    found = read_records(journal_path(crashed), limit=10**6)
    assert found[:there] == known[:there], "all of it, once, in order, before the next life begins"
    await other.run_until(60.0)
    await other.daemon.stop()
    assert verify(crashed).wrong == ()
    assert verify(one.state).wrong == ()
    assert any(kw == pytest.approx(2.0) for kw in intents(one))
    assert not [*one.state.rglob("*.spill.jsonl"), *other.state.rglob("*.spill.jsonl")]


async def test_f09_a_disk_that_takes_its_time_holds_nobody_up(
    soon: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each commit hangs until the test lets it go on; meanwhile cycle after cycle decides."""
    monkeypatch.setattr(daemon_show, "SimulatedClock", Hurried)
    one = DurableShow(tmp_path / "state")
    one.powers(5.0)
    await one.run_until(60.0)
    go_on, real = threading.Event(), writer_module.Writer._commit

    def slow(self, tasks):
        go_on.wait(60.0)
        return real(self, tasks)

    monkeypatch.setattr(writer_module.Writer, "_commit", slow)
    one.settles = False
    one.powers(2.0)
    await one.run_until(60.0 + LOCKED_S)
    assert not go_on.is_set()
    assert one.command("store") == pytest.approx(2.0)
    assert one.daemon.counters()["missed_deadlines"] == 0
    assert one.daemon.counters()["cycles"] == (60.0 + LOCKED_S) / CYCLE_S
    go_on.set()
    await settled(one)
    await one.daemon.stop()
    assert verify(one.state).wrong == ()


async def test_f09_a_file_that_turns_out_damaged_is_moved_aside_and_told(soon: None, tmp_path: Path) -> None:
    """SQLite finds a damaged page while it writes: each of the two files in turn, whichever writes next."""
    with installed(Trouble("write", code=CORRUPT)) as trouble:
        one = DurableShow(tmp_path / "state")
        one.powers(5.0)
        await one.run_until(60.0)
        one.settles = False
        trouble.first = trouble.seen + 1
        one.powers(2.0)
        began_s = one.clock.monotonic()
        while "disk" not in one.alarms():
            assert one.clock.monotonic() < began_s + 600.0
            await one.run_until(one.clock.monotonic() + CYCLE_S)
            await asyncio.to_thread(time.sleep, 0.02)
        await settled(one)
        await one.run_until(one.clock.monotonic() + CYCLE_S)
        assert one.command("store") == pytest.approx(2.0)
        one.powers(9.0)
        await one.run_until(one.clock.monotonic() + 6 * CYCLE_S)
        assert one.command("store") == pytest.approx(9.0), "what took its place takes intents"
        assert one.daemon.counters()["missed_deadlines"] == 0
        await one.daemon.stop()
    assert [path for path in one.state.rglob("*.damaged-*") if not path.name.endswith(("-wal", "-shm"))]
    assert any(kw == pytest.approx(9.0) for kw in intents(one))
