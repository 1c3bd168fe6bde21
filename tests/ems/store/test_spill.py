"""What a journal does not take is in a file beside it, and comes back in order, each once, whatever interrupts that."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from spill_disk import NOON, Crash, Disk, told

from ems.clock import SimulatedClock
from ems.store import spill as spill_module
from ems.store import writer as writer_module
from ems.store.database import StoreError
from ems.store.journal import Journal
from ems.store.spill import Spill, spill_path
from ems.store.tasks import Statement


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "RETRY_S", 0.01)
    monkeypatch.setattr(writer_module, "HANGS_S", 0.02)
    monkeypatch.setattr(spill_module, "AFTER_S", 0.0)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in spill_path(path).read_text().splitlines()]


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA busy_timeout = 5000")
        other.execute("BEGIN EXCLUSIVE")
        yield


@settings(max_examples=60, deadline=None)
@example(["refuse", "record", "later", "refuse too", "record", "record", "take too", "record", "crash", "record"])
@example(["refuse", "record", "later", "record", "refuse too", "record", "take too", "record", "crash", "take"])
@example(["refuse", "record", "later", "record", "take", "crash before removing", "refuse", "later", "record", "crash"])
@example(["refuse", "record", "record", "later", "record", "record", "fail each 3", "take", "crash before removing"])
@example(["refuse", *["record"] * 20, "later", "record", "fail each 7", "take", "record", "refuse", "record", "crash"])
@given(
    st.lists(
        st.sampled_from(
            [
                "record",
                "record",
                "later",
                "refuse",
                "take",
                "refuse too",
                "take too",
                "crash",
                "crash before removing",
                "fail each 2",
                "fail each 3",
                "fail each 7",
            ]
        ),
        min_size=3,
        max_size=30,
    )
)
def test_law_what_was_kept_comes_back_in_order_and_once(script: list[str]) -> None:
    with TemporaryDirectory() as folder:
        disk = Disk(Path(folder) / "journal.db")
        for act in [*script, "take", "take too", "crash", "record", "record"]:
            match act:
                case "later":
                    disk.later()
                case "refuse" | "take":
                    disk.refuses = act == "refuse"
                case "refuse too" | "take too":
                    disk.refuses_too = act == "refuse too"
                case "fail each 2" | "fail each 3" | "fail each 7":
                    disk.fails_each = int(act[-1])
                case _:
                    getattr(disk, act.replace(" ", "_"))()
        found = told(disk.path)
        assert found == sorted(set(found)), "in order, each once"
        assert disk.kept <= set(found), "what was kept is there"
        assert not spill_path(disk.path).exists()
        disk.close()


@pytest.mark.parametrize("fails_each", [2, 3, 15])
def test_a_disk_that_fails_now_and_then_takes_all_the_same(path: Path, fails_each: int) -> None:
    disk = Disk(path)
    disk.refuses = True
    for _ in range(100):
        disk.record()
    disk.later()
    for _ in range(100):
        disk.record()
    disk.refuses, disk.fails_each = False, fails_each
    for _ in range(100):
        disk.record()
        backlog = disk.journal.backlog()
        assert (backlog.unwritten, backlog.failing, spill_path(path).exists()) == (0, "", False)
    assert told(path) == list(range(300))
    assert disk.kept >= set(range(200, 300)), "who records then is told nothing of it"
    disk.close()


def test_a_row_that_is_refused_for_good_is_tried_twice_and_kept(path: Path) -> None:
    disk = Disk(path)
    disk.fails_each = 1
    disk.record()
    assert disk.tried == 2
    assert disk.journal.backlog().unwritten == 1
    assert "disk I/O error" in disk.journal.backlog().failing
    disk.fails_each = 0
    disk.record()
    assert told(path) == [0, 1]
    disk.close()


def test_what_waits_goes_to_the_file_after_two_seconds_and_not_before(path: Path) -> None:
    disk = Disk(path)
    disk.record()
    disk.refuses = True
    disk.record()
    assert not spill_path(path).exists()
    disk.later(1.9)
    disk.record()
    assert not spill_path(path).exists()
    disk.later(0.2)
    disk.record()
    head, *rows = lines(path)
    assert (head["schema"], head["seq"]) == ("ems.spill/1", 1)
    assert [json.loads(row["body"])["n"] for row in rows] == [1, 2, 3]
    assert disk.journal.backlog().spilt == disk.journal.backlog().unwritten == 3
    disk.refuses = False
    disk.record()
    assert told(path) == [0, 1, 2, 3, 4]
    assert (disk.journal.backlog().unwritten, spill_path(path).exists()) == (0, False)
    disk.close()


CHILD = """
import sys
from pathlib import Path
from ems.clock import SystemClock
from ems.store import spill, writer
from ems.store.journal import Journal
spill.AFTER_S, writer.RETRY_S, writer.HANGS_S = 0.1, 0.02, 0.1
journal = Journal(Path(sys.argv[1]), SystemClock())
for n in range(10**6):
    future = journal.record("intent", {"n": n})
    if n < 50:
        future.result()
    if n % 50 == 49:
        print(n, flush=True)
        sys.stdin.readline()
"""


@pytest.mark.parametrize("still", [False, True])
def test_f09_killed_while_the_journal_is_locked_nothing_is_lost(path: Path, soon: None, still: bool) -> None:
    order = [sys.executable, "-c", CHILD, str(path)]
    with contextlib.ExitStack() as lock:
        with subprocess.Popen(order, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdin is not None
            process.stdout.readline()
            lock.enter_context(locked(path))
            for _ in range(3):
                process.stdin.write("\n")
                process.stdin.flush()
                process.stdout.readline()
            until(lambda: spill_path(path).exists() and len(spill_path(path).read_text().splitlines()) == 151)
            process.send_signal(signal.SIGKILL)
        if not still:
            lock.close()
        journal = Journal(path, SimulatedClock(NOON))
        if still:
            assert journal.backlog().spilt == 150, "it cannot be taken in yet"
            lock.close()
    until(lambda: not journal.backlog().unwritten)
    journal.record("intent", {"n": 200}).result(30)
    journal.close()
    assert told(path) == list(range(201))
    assert not spill_path(path).exists()


@pytest.mark.parametrize("fails", [False, True])
def test_f09_a_commit_that_hangs_keeps_nothing_in_memory_alone(
    path: Path, tmp_path: Path, soon: None, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    journal = Journal(path, SimulatedClock(NOON))
    go_on, real, has_begun = threading.Event(), writer_module.Writer._commit, threading.Event()

    def slow(self: writer_module.Writer, tasks: Any) -> Any:
        has_begun.set()
        if not go_on.is_set():
            assert go_on.wait(60)
            if fails:
                raise sqlite3.OperationalError("disk I/O error")
        return real(self, tasks)

    monkeypatch.setattr(writer_module.Writer, "_commit", slow)
    first = journal.record("intent", {"n": 0})
    assert has_begun.wait(30)
    others = [journal.record("intent", {"n": n}) for n in (1, 2)]
    until(lambda: journal.backlog().spilt == 3)
    for future in others:
        with pytest.raises(StoreError, match="a commit hangs"):
            future.result(30)
    assert not first.done(), "nobody knows yet"
    (tmp_path / "crashed").mkdir()
    for file in tmp_path.glob("journal*"):
        shutil.copy(file, tmp_path / "crashed")
    go_on.set()
    assert (first.exception(30) is not None) == fails
    until(lambda: not journal.backlog().unwritten)
    journal.record("intent", {"n": 3}).result(30)
    journal.close()
    assert told(path) == [0, 1, 2, 3]
    assert not spill_path(path).exists()
    Journal(tmp_path / "crashed" / "journal.db", SimulatedClock(NOON)).close()
    assert told(tmp_path / "crashed" / "journal.db") == [0, 1, 2]


def test_what_was_tried_comes_before_what_found_no_room_meanwhile(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "RETRY_S", 0.01)
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("CREATE TABLE record (n INTEGER)")
    gate, started, real = threading.Event(), threading.Event(), writer_module.Writer._commit

    def once(self: writer_module.Writer, tasks: Any) -> Any:
        if not gate.is_set():
            started.set()
            assert gate.wait(60)
            raise sqlite3.OperationalError("disk I/O error")
        return real(self, tasks)

    monkeypatch.setattr(writer_module.Writer, "_commit", once)
    writer = writer_module.Writer(connection, "journal", capacity=2)
    for n in (0, 1, 2, 3):
        writer.submit(Statement(f"INSERT INTO record VALUES ({n})"))
        assert started.wait(30)
    gate.set()
    until(lambda: not writer.backlog().unwritten and not writer.backlog().waiting)
    writer.close()
    with contextlib.closing(sqlite3.connect(path)) as other:
        found = [n for (n,) in other.execute("SELECT n FROM record")]
    assert found == [0, 3, 1, 2], "1 and 2 were still queued when 3 found no room"


def test_what_is_refused_until_the_end_of_the_process_is_there_at_the_next_start(path: Path) -> None:
    journal = Journal(path, SimulatedClock(NOON))
    journal.record("intent", {"n": 0}).result(30)
    with locked(path):
        journal.record("intent", {"n": 1})
        journal.close()
    assert told(path) == [0]
    Journal(path, SimulatedClock(NOON)).close()
    assert told(path) == [0, 1]


def spilt(path: Path, number: int) -> bytes:
    """Leave a journal of one record, and a file of so many more; gives the file."""
    disk = Disk(path)
    disk.record()
    disk.refuses = True
    for _ in range(number):
        disk.later(3.0)
        disk.record()
    disk.close()
    return spill_path(path).read_bytes()


def test_a_half_written_last_line_is_left_out(path: Path, tmp_path: Path) -> None:
    content = spilt(path, 3)
    ends = [place for place, byte in enumerate(content) if byte == ord("\n")]
    for cut in (0, 1, ends[0], ends[0] + 1, *range(ends[2] - 3, len(content) + 1)):
        state = tmp_path / str(cut)
        state.mkdir()
        shutil.copy(path, state)
        (state / "journal.spill.jsonl").write_bytes(content[:cut])
        Journal(state / "journal.db", SimulatedClock(NOON)).close()
        assert told(state / "journal.db") == list(range(1 + max(0, content[:cut].count(b"\n") - 1)))
        assert [file.name for file in state.glob("journal.spill*")] == []


@pytest.mark.parametrize(("line", "taken"), [(0, 0), (2, 1)])
def test_a_damaged_line_costs_what_follows_and_the_file_is_kept(path: Path, line: int, taken: int) -> None:
    content = spilt(path, 3)
    whole = content.splitlines(keepends=True)
    whole[line] = b"\0" * (len(whole[line]) - 1) + b"\n"
    spill_path(path).write_bytes(b"".join(whole))
    journal = Journal(path, SimulatedClock(NOON))
    journal.record("intent", {"n": 9}).result(30)
    journal.close()
    assert told(path) == [*range(1 + taken), 9]
    (kept,) = path.parent.glob("journal.spill*")
    assert kept.name == "journal.spill.jsonl.damaged-20260115T120000Z"
    assert kept.read_bytes() == b"".join(whole)


def test_where_the_disk_takes_no_file_either_memory_keeps_it(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    disk = Disk(path)
    spill_path(path).mkdir()
    disk.refuses = True
    for _ in range(3):
        disk.later(3.0)
        disk.journal.record("intent", {"n": disk.number})
        disk.number += 1
    assert (disk.journal.backlog().unwritten, disk.journal.backlog().spilt) == (3, 0)
    spill_path(path).rmdir()
    disk.later(3.0)
    disk.record()
    assert disk.journal.backlog().spilt == 4
    disk.refuses = False
    disk.record()
    assert told(path) == [0, 1, 2, 3, 4]
    assert sum("they stay in memory" in record.message for record in caplog.records) == 1
    disk.close()


def test_a_journal_that_was_begun_anew_takes_them_once_too(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was damaged and moved aside; then the process dies twice between the commit and the end of the file."""
    spilt(path, 3)
    path.rename(path.with_name("journal.db.damaged"))
    for end in ("-wal", "-shm"):
        path.with_name(path.name + end).unlink(missing_ok=True)

    def die(_: Spill) -> int:
        raise Crash

    monkeypatch.setattr(Spill, "settle", die)
    for _ in range(2):
        with pytest.raises(Crash):
            Journal(path, SimulatedClock(NOON))
    monkeypatch.undo()
    Journal(path, SimulatedClock(NOON)).close()
    assert told(path) == [1, 2, 3]
