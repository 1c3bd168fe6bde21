"""A full disk: the journal goes on with what was set aside, scans wait, and with room again nothing is missing."""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections import namedtuple
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from faulty_vfs import Quota, installed

from drivers.points import Measurement, Quality
from ems.clock import SimulatedClock
from ems.store import reserve as reserve_module
from ems.store import writer as writer_module
from ems.store.audit import verify
from ems.store.database import StoreError
from ems.store.history import History
from ems.store.journal import Journal, read_records
from ems.store.reader import read
from ems.store.reserve import Reserve
from ems.stores import open_stores

NOON = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)
MIB = 1 << 20
POINTS = [f"meter{n}.power_kw" for n in range(2000)]
_Usage = namedtuple("_Usage", "total used free")


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Quota]:
    """A disk of 13 MiB: a log before its checkpoint alone takes up to 4."""
    quota = Quota(folder=tmp_path, limit=13 * MIB)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: _Usage(quota.limit, 0, quota.free()))
    monkeypatch.setattr(reserve_module, "FULL_BELOW", 4096)
    monkeypatch.setattr(writer_module, "RETRY_S", 0.01)
    with installed(quota):
        yield quota


def _scan(n: int) -> list[Measurement]:
    at = NOON + timedelta(seconds=n)
    return [Measurement(point, float(n), at, Quality.GOOD) for point in POINTS]


def _until(fails: Callable[[], object]) -> int:
    """Do something until it is refused; gives how often it went well."""
    for n in range(100_000):
        try:
            fails()
        except StoreError:
            return n
    raise AssertionError("never refused")


def _soon(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_f08_scans_stop_the_journal_goes_on_and_all_comes_when_there_is_room(disk: Quota, tmp_path: Path) -> None:
    reserve = Reserve(tmp_path, 6 * MIB)
    assert reserve.trouble == ""
    assert (tmp_path / "reserve.bin").stat().st_size == 6 * MIB
    history = History(tmp_path / "history", durable=False, reserve=reserve)
    journal = Journal(tmp_path / "journal.db", SimulatedClock(NOON), durable=False, reserve=reserve)
    scans, records = iter(range(10**6)), iter(range(10**6))

    def scan() -> None:
        n = next(scans)
        history.append(NOON + timedelta(seconds=n), _scan(n)).result(5)

    def record() -> None:
        journal.record("intent", {"n": next(records), "pad": "x" * 30_000}).result(5)

    record()
    assert _until(scan) > 20
    assert "the disk of" in reserve.trouble
    assert (tmp_path / "reserve.bin").exists(), "what is set aside is not for scans"
    assert _until(record) > 20, "the journal has what was set aside, half of it for its log"
    assert not (tmp_path / "reserve.bin").exists()
    assert _until(scan) == 0
    assert journal.backlog().failing
    disk.limit = 64 * MIB
    _soon(lambda: not history.backlog().unwritten and not journal.backlog().unwritten)
    assert reserve.trouble == ""
    assert (tmp_path / "reserve.bin").stat().st_size == 6 * MIB
    record()
    history.close()
    journal.close()
    assert [r.body["n"] for r in read_records(tmp_path / "journal.db", limit=10**6)] == list(range(next(records)))
    _, values = read(tmp_path / "history", POINTS[:1], NOON, NOON + timedelta(days=1))
    assert np.array_equal(values[:, 0], np.arange(next(scans)))
    assert [w.why for w in verify(tmp_path).wrong] == ["nothing is signed: the journal holds no checkpoint"]


def test_a_core_starts_on_a_full_disk_with_what_is_set_aside(
    disk: Quota, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reserve_module.Reserve.__init__, "__defaults__", (MIB,))
    clock = SimulatedClock(NOON)
    open_stores(tmp_path, clock, lease_s=60.0, durable=True).close()
    journal = tmp_path / "journal.db"
    with sqlite3.connect(journal) as old:  # of the version before: it must be brought up, which takes room
        old.execute("PRAGMA user_version=1")
        old.execute("ALTER TABLE record DROP COLUMN hash")
    old.close()
    disk.limit -= disk.free()
    stores = open_stores(tmp_path, clock, lease_s=60.0, durable=True)
    assert "is full" in stores.trouble()
    assert stores.record("intent", {}).result(5) == 1
    stores.close()


def test_a_disk_with_too_little_room_is_told_and_tried_again(disk: Quota, tmp_path: Path) -> None:
    disk.limit = MIB
    reserve = Reserve(tmp_path, MIB)
    assert "has too little room to set 1 MiB aside; free 2 MiB" in reserve.trouble
    assert reserve.hold() == "", "nothing is held while there is room"
    assert not (tmp_path / "reserve.bin").exists()
    disk.limit = 4 * MIB
    assert reserve.restore()
    assert reserve.trouble == ""


def test_another_error_than_a_full_disk_gives_nothing_free(disk: Quota, tmp_path: Path) -> None:
    reserve = Reserve(tmp_path, MIB)
    assert not reserve.journal_refused(sqlite3.OperationalError("database is locked"))
    assert not reserve.scans_refused(sqlite3.OperationalError("database is locked"))
    assert (tmp_path / "reserve.bin").exists()
    assert (reserve.trouble, reserve.hold()) == ("", "")
