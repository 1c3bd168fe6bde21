"""Killed or refused at any file operation of rotating, sealing, joining, removing: no scan is lost or counts twice."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from faulty_vfs import FULL, Trouble, installed
from scan_makers import NOON, POINTS, at, scan, write

from ems.clock import SimulatedClock
from ems.config.retention import Retention
from ems.health import Alarms
from ems.keeping import Keeper
from ems.store import sealed
from ems.store.audit import verify
from ems.store.history import History
from ems.store.journal import Journal
from ems.store.reader import read, read_means
from ems.store.sealing import PART, seal
from ems.store.segments import FOLDER, Level, counting, scan_files, segments

DAY = 86400
EVENTS = {"open", "os.rename", "os.remove", "os.mkdir"}
SECONDS = [0, 600, 3600, 3660, 7200, 300, DAY, DAY + 60, DAY + 3600, 2 * DAY]
SPAN = (NOON, at(4 * DAY))


class Disk:
    """Counts the file operations of this process below a folder, and lets the nth one fail."""

    def __init__(self, folder: Path, nth: int, fail: Callable[[], None]) -> None:
        self.folder, self.nth, self.fail, self.seen = str(folder), nth, fail, 0
        sys.addaudithook(self._note)
        self._fsync, os.fsync = os.fsync, self._synced

    def _note(self, event: str, arguments: tuple[object, ...]) -> None:
        if event not in EVENTS or not str(arguments[0]).startswith(self.folder):
            return
        if event == "open" and not int(arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR):  # type: ignore[call-overload]
            return
        if event != "os.mkdir" or not Path(str(arguments[0])).is_dir():
            self._count()

    def _synced(self, number: int) -> None:
        if self.seen + 1 == self.nth and str(Path(f"/proc/self/fd/{number}").readlink()).endswith(PART):
            # What was not synced may be there in part only.
            os.ftruncate(number, os.fstat(number).st_size // 2)
        self._count()
        self._fsync(number)

    def _count(self) -> None:
        self.seen += 1
        if self.seen == self.nth:
            self.fail()


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def refuse() -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def keep(state: Path, *, times: int) -> str:
    """Seal, chain and clear as the core does; gives what went wrong at last."""
    clock, trouble = SimulatedClock(at(4 * DAY)), ""
    journal = Journal(state / "journal.db", clock, durable=False)
    keeper = Keeper(Retention(), state, clock, journal=journal, alarms=Alarms(journal.record))
    for _ in range(times):
        trouble = seal(state / FOLDER, clock.now).trouble
        trouble = keeper._tidy() or trouble
    journal.close()
    return trouble


def in_a_process(work: Callable[[], int]) -> int:
    """Do something in a process of its own; gives its exit status, negative for a signal."""
    child = os.fork()
    if child == 0:
        status = 99
        try:
            status = work()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def told(state: Path) -> tuple[list[float], list[list[float]], list[list[float]]]:
    times, values = read(state / FOLDER, POINTS, *SPAN, good_only=False, sealed=sealed.rows)
    _, means = read_means(state / FOLDER, POINTS, *SPAN, 900.0, sealed=sealed.rows)
    _, minutes = read_means(state / FOLDER, POINTS, *SPAN, 60.0, sealed=sealed.rows)
    assert np.array_equal(np.isfinite(minutes).any(axis=0), np.isfinite(means).any(axis=0))
    return times.tolist(), np.nan_to_num(values).tolist(), np.nan_to_num(means).round(9).tolist()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state directory with scans of three days, of which some are late."""
    state = tmp_path_factory.mktemp("made") / "state"
    write(state / FOLDER, SECONDS)
    return state


def killed_at(made: Path, folder: Path, nth: int) -> int:
    """Kill the keeping at its nth operation, then let it be done; gives how it ended."""
    state = Path(shutil.copytree(made, folder / "state"))
    before = told(state)

    def work() -> int:
        Disk(state / FOLDER, nth, die)
        keep(state, times=3)
        return 0

    status = in_a_process(work)
    assert told(state) == before, f"killed at operation {nth}"
    assert keep(state, times=4) == ""
    settled(state, before)
    shutil.rmtree(folder)
    return status


def settled(state: Path, before: object) -> None:
    """Everything is sealed, joined and cleared, each scan is there once, and the chain agrees."""
    assert told(state) == before
    assert [file.number for file in scan_files(state / FOLDER)] == [7]
    for level in Level:
        assert segments(state / FOLDER, level) == sorted(counting(segments(state / FOLDER, level)))
    assert len(segments(state / FOLDER, Level.MINUTE)) < len(segments(state / FOLDER, Level.RAW))
    assert not list(state.rglob(f"*{PART}"))
    assert [w for w in verify(state).wrong if "nothing is signed" not in w.why] == []


@pytest.mark.parametrize("nth", [2, 4, 17, 60, 85, 104])
def test_f07_killed_while_sealing_joining_or_clearing(made: Path, tmp_path: Path, nth: int) -> None:
    assert killed_at(made, tmp_path / "one", nth) == -signal.SIGKILL


@pytest.mark.soak
@pytest.mark.crash
def test_f07_killed_at_every_operation_of_sealing_joining_and_clearing(made: Path, tmp_path: Path) -> None:
    nth = 1
    while killed_at(made, tmp_path / str(nth), nth) == -signal.SIGKILL:
        nth += 1
    assert nth > 100
    print(f"{nth - 1} operations, killed at each, 0 scans lost")


def refused_at(made: Path, folder: Path, nth: int) -> bool:
    """Refuse the nth operation for want of room; tells whether there was one."""
    state = Path(shutil.copytree(made, folder / "state"))
    before = told(state)

    def work() -> int:
        disk = Disk(state / FOLDER, nth, refuse)
        trouble = keep(state, times=1)
        if disk.seen < nth:
            return 0
        return 1 if "No space left on device" in trouble else 2

    status = in_a_process(work)
    assert status in {0, 1}, "it is told"
    assert not list(state.rglob(f"*{PART}"))
    assert told(state) == before, f"refused at operation {nth}"
    assert keep(state, times=4) == ""
    settled(state, before)
    shutil.rmtree(folder)
    return status == 1


@pytest.mark.parametrize("nth", [1, 3, 12, 55])
def test_f08_refused_while_sealing_joining_or_clearing(made: Path, tmp_path: Path, nth: int) -> None:
    assert refused_at(made, tmp_path / "one", nth)


@pytest.mark.soak
@pytest.mark.faults
def test_f08_refused_at_every_operation_of_sealing_joining_and_clearing(made: Path, tmp_path: Path) -> None:
    nth = 1
    while refused_at(made, tmp_path / str(nth), nth):
        nth += 1
    assert nth > 50
    print(f"{nth - 1} operations, each refused, 0 scans lost")


# ---- rotating -------------------------------------------------------------------------------------------------------


def rotated_through(state: Path, trouble: Trouble) -> tuple[int, list[int]]:
    """Append scans of five hours through trouble in a process; gives how it ended, and what was acknowledged."""
    end, start = os.pipe()

    def work() -> int:
        with installed(trouble):
            history = History(state / FOLDER)
            for second in range(0, 5 * 3600, 900):
                future = history.append(at(second), scan(second))
                if future.exception(20) is None:
                    os.write(start, f"{second}\n".encode())
            while history.backlog().unwritten:
                history.append(at(5 * 3600), scan(5 * 3600)).exception(20)
            history.close()
        return 0

    status = in_a_process(work)
    os.close(start)
    with os.fdopen(end) as lines:
        return status, [int(line) for line in lines]


def rotated(folder: Path, trouble: Trouble) -> int:
    """Append through trouble, then go on as a restart does; gives how the first process ended."""
    status, acknowledged = rotated_through(folder, trouble)
    write(folder / FOLDER, [6 * 3600, 7 * 3600])
    seen = [round(time - NOON.timestamp()) for time in told(folder)[0]]
    assert len(seen) == len(set(seen)), "each once"
    assert set(acknowledged) <= set(seen), "what was acknowledged is there"
    assert keep(folder, times=2) == ""
    assert [round(time - NOON.timestamp()) for time in told(folder)[0]] == seen
    if status == 0:
        assert {*range(0, 5 * 3600, 900)} <= set(seen), "and what waited came later"
    return status


@pytest.mark.parametrize("nth", [5, 40, 61])
def test_f07_killed_while_the_next_scan_file_is_begun(tmp_path: Path, nth: int) -> None:
    assert rotated(tmp_path, Trouble("write", nth, code=None, torn=True)) == -signal.SIGKILL


@pytest.mark.parametrize("nth", [20, 37, 52])
def test_f08_refused_while_the_next_scan_file_is_begun(tmp_path: Path, nth: int) -> None:
    assert rotated(tmp_path, Trouble("write", nth, 4, FULL)) == 0


@pytest.mark.soak
@pytest.mark.crash
@pytest.mark.parametrize("operation", ["write", "sync"])
def test_f07_killed_at_every_write_and_sync_of_rotating(operation: str) -> None:
    nth, status = 1, -signal.SIGKILL
    while status == -signal.SIGKILL:
        with tempfile.TemporaryDirectory() as folder:
            status = rotated(Path(folder), Trouble(operation, nth, code=None, torn=True))
        nth += 1
    assert nth > 30
    print(f"{operation}: {nth - 2} points, 0 acknowledged scans lost")
