"""The journal: what is acknowledged is there, whatever happens to the process, the disk or the reader."""

from __future__ import annotations

import asyncio
import json
import math
import sqlite3
import threading
from concurrent.futures import wait
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ems.clock import SimulatedClock
from ems.store import writer as writer_module
from ems.store.database import StoreError
from ems.store.encoding import to_json
from ems.store.journal import Journal, latest_record, read_records

NOON = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@pytest.fixture
def journal(path: Path):
    journal = Journal(path, SimulatedClock(NOON))
    yield journal
    journal.close()


def test_records_come_back_in_order_with_their_numbers(journal: Journal, path: Path) -> None:
    ids = [journal.record("intent", {"kw": k}, at=NOON).result(5) for k in range(3)]
    plan = journal.record("plan", {"id": "p1"}).result(5)
    assert [(r.id, r.body["kw"]) for r in read_records(path, "intent")] == list(zip(ids, range(3), strict=True))
    assert [r.id for r in read_records(path, after_id=ids[1])] == [ids[2], plan]
    assert [r.id for r in read_records(path, limit=2)] == ids[:2]
    latest = latest_record(path, "plan")
    assert latest is not None
    assert (latest.at, latest.body) == (NOON, {"id": "p1"})
    assert latest_record(path, "alarm") is None


def test_no_journal_yet_reads_as_empty(path: Path) -> None:
    assert read_records(path) == []
    assert not path.exists()


@dataclass(frozen=True)
class _Schedule:
    power_kw: np.ndarray
    made_at: datetime


def test_a_body_may_hold_the_words_of_every_room(journal: Journal, path: Path) -> None:
    body = {"schedule": _Schedule(np.array([1.0, math.nan]), NOON), "worst": np.float64(2.0), "path": Path("a/b")}
    journal.record("plan", body).result(5)
    assert read_records(path)[0].body == {
        "schedule": {"power_kw": [1.0, None], "made_at": "2026-01-15T12:00:00+00:00"},
        "worst": 2.0,
        "path": "a/b",
    }


def _no_constant(name: str) -> None:
    raise AssertionError(f"{name} is no JSON")


@settings(deadline=None)
@given(st.dictionaries(st.text(), st.floats() | st.lists(st.floats())))
def test_no_body_ever_stores_a_number_that_is_not_finite(body: dict) -> None:
    back = json.loads(to_json(body), parse_constant=_no_constant)
    assert back.keys() == body.keys()
    for key, value in body.items():
        if isinstance(value, float):
            assert back[key] == (value if math.isfinite(value) else None)


def test_what_is_no_datum_and_who_has_no_zone_is_refused(journal: Journal) -> None:
    with pytest.raises(TypeError, match="object"):
        journal.record("plan", {"x": object()})
    with pytest.raises(ValueError, match="time zone"):
        journal.record("plan", {}, at=datetime(2026, 1, 1))  # noqa: DTZ001
    with pytest.raises(ValueError, match="lower-case word"):
        journal.record("Plan!", {})


def test_a_newer_file_is_refused_by_writer_and_reader(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version=99")
    connection.close()
    with pytest.raises(StoreError, match="schema version 99"):
        Journal(path, SimulatedClock(NOON))
    with pytest.raises(StoreError, match="newer software"):
        read_records(path)


def test_a_damaged_file_is_told_with_its_name(path: Path) -> None:
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(StoreError, match=r"journal\.db"):
        Journal(path, SimulatedClock(NOON))


def test_a_locked_file_refuses_at_once_and_is_caught_up_later(
    journal: Journal, path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(writer_module, "RETRY_S", 0.05)
    journal.record("intent", {"n": 0}).result(5)
    locker = sqlite3.connect(path, isolation_level=None)
    locker.execute("BEGIN EXCLUSIVE")
    refused = [journal.record("intent", {"n": n}) for n in (1, 2)]
    wait(refused, timeout=10)
    for future in refused:
        with pytest.raises(StoreError, match="locked"):
            future.result(0)
    assert journal.backlog().unwritten >= 1
    assert "locked" in journal.backlog().failing
    locker.execute("COMMIT")
    locker.close()
    journal.record("intent", {"n": 3}).result(10)
    assert [r.body["n"] for r in read_records(path)] == [0, 1, 2, 3]
    assert journal.backlog().failing == ""
    told = [record.message for record in caplog.records]
    assert len(told) == 2, "the loss is told once and the recovery once"


def test_memory_keeps_the_newest_when_the_disk_stays_away(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)  # no table: every write fails
    writer = writer_module.Writer(connection, "journal", capacity=3)
    futures = [writer.submit(writer_module.Statement(f"INSERT INTO record VALUES ({n})")) for n in range(3)]
    wait(futures, timeout=10)
    futures += [writer.submit(writer_module.Statement(f"INSERT INTO record VALUES ({n})")) for n in (3, 4)]
    wait(futures, timeout=10)
    assert all(future.exception() is not None for future in futures)
    assert (writer.backlog().unwritten, writer.backlog().lost) == (3, 2)
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE record (n INTEGER)")
    other.close()
    writer.close()
    with sqlite3.connect(path) as other:
        assert [row[0] for row in other.execute("SELECT n FROM record")] == [2, 3, 4]
    other.close()
    assert len(caplog.records) == 2


def test_a_full_queue_never_blocks_the_caller(path: Path) -> None:
    gate, started = threading.Event(), threading.Event()
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.create_function("gate", 0, lambda: started.set() or gate.wait(20))
    writer = writer_module.Writer(connection, "journal", capacity=2)
    futures = [writer.submit(writer_module.Statement("SELECT gate()"))]
    assert started.wait(5)
    futures += [writer.submit(writer_module.Statement("SELECT 1")) for _ in range(3)]
    with pytest.raises(StoreError, match="too slow"):
        futures[-1].result(0)
    gate.set()
    wait(futures, timeout=10)
    writer.close()
    assert [future.exception() is None for future in futures] == [True, True, True, False]


async def test_giving_up_waiting_does_not_take_the_record_back(journal: Journal, path: Path) -> None:
    future = journal.record("intent", {"n": 1})
    waiting = asyncio.wrap_future(future)
    waiting.cancel()
    await asyncio.to_thread(wait, [future], 5)
    assert future.exception() is None
    assert len(read_records(path)) == 1


def test_a_closed_journal_says_so(path: Path) -> None:
    journal = Journal(path, SimulatedClock(NOON))
    last = journal.record("health", {"state": "NORMAL"})
    journal.close()
    journal.close()
    assert last.result(0) == 1, "closing writes what was queued"
    with pytest.raises(StoreError, match="closed"):
        journal.record("health", {}).result(0)
