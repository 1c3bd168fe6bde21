"""What was acknowledged is there after kill -9 at any point and after failed writes, and the chain is whole."""

from __future__ import annotations

import contextlib
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from faulty_vfs import FULL, IOERR_FSYNC, IOERR_WRITE, Trouble, installed

from ems.clock import SimulatedClock
from ems.store import writer as writer_module
from ems.store.audit import verify
from ems.store.database import StoreError
from ems.store.journal import Journal, read_records

NOON = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)
SEED = 20260115

WRITER = """
import sys
from pathlib import Path
from contextlib import ExitStack, nullcontext
state, begin, operation, first = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
sys.path.insert(0, sys.argv[5])
from ems.clock import SystemClock
from ems.store.journal import Journal
from faulty_vfs import Trouble, installed
with installed(Trouble(operation, first, code=None, torn=True)) if first else nullcontext():
    journal, n = Journal(state / "journal.db", SystemClock()), begin
    while n < begin + 4000:
        futures = [journal.record("intent", {"n": m, "pad": "x" * (m * 7919 % 6000)}) for m in range(n, n + 1 + n % 20)]
        for m, future in enumerate(futures, n):
            future.result()
            print(m, flush=True)
        n += len(futures)
"""


class Life:
    """One journal that is written by process after process, each of them killed."""

    def __init__(self, state: Path) -> None:
        self.state, self.acknowledged, self.next = state, set[int](), 0

    def lead(self, *, acknowledgements: int = 0, wait_s: float = 0.0, operation: str = "none", first: int = 0) -> None:
        """Let a process write and die: after so many acknowledgements, or by its own hand at a write or sync."""
        line = [sys.executable, "-c", WRITER, str(self.state), str(self.next), operation, str(first)]
        with subprocess.Popen([*line, str(Path(__file__).parent)], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            told = [process.stdout.readline() for _ in range(acknowledgements)]
            time.sleep(wait_s)
            if not first:
                process.send_signal(signal.SIGKILL)
            told += process.stdout.readlines()
        assert process.returncode == -signal.SIGKILL
        self.acknowledged |= {int(line) for line in told if line.endswith("\n")}
        self.check()

    def check(self) -> None:
        """Open the journal as a restart does: everything acknowledged is there once, and the chain is whole."""
        journal = Journal(self.state / "journal.db", SimulatedClock(NOON))
        journal.record("transition", {"event": "start"}).result(5)
        journal.close()
        found = [r.body["n"] for r in read_records(self.state / "journal.db", "intent", limit=10**6)]
        assert found == list(range(len(found))), "in order, each once"
        lost = self.acknowledged - set(found)
        assert not lost, f"{len(lost)} acknowledged records are lost"
        wrong = [w for w in verify(self.state).wrong if "nothing is signed" not in w.why]
        assert wrong == []
        with contextlib.closing(sqlite3.connect(self.state / "journal.db")) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        self.next = len(found)


def test_f07_killed_twice_at_any_point_nothing_acknowledged_is_lost_and_the_chain_goes_on(tmp_path: Path) -> None:
    life = Life(tmp_path)
    life.lead(acknowledgements=47, wait_s=0.003)
    life.lead(operation="write", first=90)
    assert len(life.acknowledged) > 47


@pytest.mark.soak
@pytest.mark.crash
def test_f07_kill_9_at_300_random_points(tmp_path: Path) -> None:
    life, rng = Life(tmp_path), random.Random(SEED)
    for _ in range(300):
        life.lead(acknowledgements=rng.randrange(80), wait_s=rng.expovariate(200.0))
    print(f"300 kills, {len(life.acknowledged)} acknowledged records, 0 lost")


@pytest.mark.soak
@pytest.mark.crash
@pytest.mark.parametrize("operation", ["write", "sync"])
def test_f07_kill_9_at_every_write_and_sync_of_the_first_150(tmp_path: Path, operation: str) -> None:
    """The first ones make the file and its tables; the state is new each time."""
    for first in range(1, 151):
        life = Life(tmp_path / str(first))
        life.lead(operation=operation, first=first)
        shutil.rmtree(life.state)


def _opened(path: Path) -> Journal:
    """Open as a supervisor does that starts what could not start again and again."""
    for _ in range(9):
        with contextlib.suppress(StoreError):
            return Journal(path, SimulatedClock(NOON))
    return Journal(path, SimulatedClock(NOON))


def _written_through(state: Path, trouble: Trouble, monkeypatch: pytest.MonkeyPatch) -> int:
    """Write records one by one through trouble; gives how often it was met.

    Law: none blocks, each comes once and in order, if late, and what was acknowledged before a copy was taken of the
    files, as a crash leaves them, is in the copy.
    """
    monkeypatch.setattr(writer_module, "RETRY_S", 0.002)
    path, acknowledged = state / "journal.db", set()
    with installed(trouble):
        journal = _opened(path)
        for n in range(12):
            with contextlib.suppress(StoreError):
                journal.record("intent", {"n": n, "pad": "x" * (n * 7919 % 6000)}).result(5)
                acknowledged.add(n)
        crashed = state / "crashed"
        crashed.mkdir()
        for file in state.glob("journal.db*"):
            if not file.name.endswith("-shm"):
                shutil.copy(file, crashed)
        deadline = time.monotonic() + 5
        while journal.backlog().unwritten and time.monotonic() < deadline:
            time.sleep(0.002)
        journal.close()
    assert [r.body["n"] for r in read_records(path, limit=99)] == list(range(12))
    left = [r.body["n"] for r in read_records(crashed / "journal.db", limit=99)]
    assert left == list(range(len(left)))
    assert acknowledged <= set(left)
    for folder in (state, crashed):
        assert [w for w in verify(folder).wrong if "nothing is signed" not in w.why] == []
    return trouble.met


CASES = [("write", FULL, 1), ("write", FULL, 4), ("write", IOERR_WRITE, 1), ("sync", IOERR_FSYNC, 1), ("sync", FULL, 3)]


@pytest.mark.parametrize(("operation", "code", "times"), CASES)
@pytest.mark.parametrize("first", [1, 7, 13])
def test_f08_a_failed_write_or_sync_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, operation: str, code: int, times: int, first: int
) -> None:
    trouble = Trouble(operation, first, times, code, torn=operation == "write")
    assert _written_through(tmp_path, trouble, monkeypatch) > 0


@pytest.mark.soak
@pytest.mark.faults
@pytest.mark.parametrize(("operation", "code", "times"), CASES)
def test_f08_the_nth_write_or_sync_fails_for_every_n(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, operation: str, code: int, times: int
) -> None:
    first = 1
    while True:
        (tmp_path / str(first)).mkdir()
        if not _written_through(tmp_path / str(first), Trouble(operation, first, times, code, torn=True), monkeypatch):
            break
        shutil.rmtree(tmp_path / str(first))
        first += 1
    assert first > 10
    print(f"{operation} {code} x {times}: {first - 1} points, 0 lost")
