"""A journal on a disk that refuses rows, lines or each so-many-th row, and that dies where it is told to."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ems.clock import SimulatedClock
from ems.store.audit import verify
from ems.store.journal import Journal, read_records
from ems.store.spill import spill_path

NOON = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)


def told(path: Path) -> list[int]:
    """Give what the journal holds, and see that its chain is whole."""
    assert [w for w in verify(path.parent).wrong if "nothing is signed" not in w.why] == []
    return [r.body["n"] for r in read_records(path, "intent", limit=10**6)]


class Crash(BaseException):
    """The process dies here."""


class Disk:
    """A journal process after process, written in the caller's own turns, on a disk that does as it is told."""

    def __init__(self, path: Path) -> None:
        self.path, self.clock = path, SimulatedClock(NOON)
        self.refuses = self.refuses_too = False
        self.fails_each, self.tried = 0, 0
        self.number, self.lives = 0, list[Journal]()
        self.kept = set[int]()
        self.begin()

    def begin(self) -> None:
        self.journal = Journal(self.path, self.clock, durable=False, turn=lambda turn: turn())
        self.lives.append(self.journal)
        writer, spill = self.journal._writer, self.journal._writer._spill
        assert spill is not None
        execute, keep = writer._execute, spill.keep

        def attempt(task: Any) -> int:
            if self.refuses:
                raise sqlite3.OperationalError("disk I/O error")
            self.tried += 1
            if self.fails_each and self.tried % self.fails_each == 0:
                error = sqlite3.OperationalError("disk I/O error")
                error.sqlite_errorcode = sqlite3.SQLITE_IOERR
                raise error
            return execute(task)

        def kept(rows: Any) -> bool:
            if not self.refuses_too:
                done = keep(rows)
                self.kept |= {json.loads(row[2])["n"] for row in rows}
                return done
            size = spill._size
            keep(rows)
            # A part of it reached the disk, and the call failed.
            content = spill_path(self.path).read_bytes()
            spill_path(self.path).write_bytes(content[: (size + len(content)) // 2])
            spill._size, spill.count = size, spill.count - len(rows)
            return False

        writer._execute, spill.keep = attempt, kept  # type: ignore[method-assign]

    def record(self) -> None:
        future = self.journal.record("intent", {"n": self.number})
        assert future.done(), "nobody waits for what is in the file"
        if future.exception() is None:
            self.kept.add(self.number)
        self.number += 1

    def later(self, seconds: float = 3.0) -> None:
        self.clock.advance_to(self.clock.monotonic() + seconds)

    def crash(self) -> None:
        self.begin()

    def crash_before_removing(self) -> None:
        """Die between the commit and the end of the file."""
        assert self.journal._writer._spill is not None
        self.journal._writer._spill.settle = self._die  # type: ignore[method-assign]
        self.journal._writer._spill.pass_on = self._die_in_between  # type: ignore[method-assign]
        with contextlib.suppress(Crash):
            self.record()
            if not self.refuses:
                raise AssertionError("the commit came")
        self.begin()

    def _die(self) -> int:
        self.kept |= {self.number}
        self.number += 1
        raise Crash

    def _die_in_between(self) -> int:
        self.number += 1
        raise Crash

    def close(self) -> None:
        for journal in self.lives:
            journal._writer._connection.close()
