"""The history: every scan of every point from the first day, energy registers included; it cannot be backfilled.

Scans go into scan files, an hour each. A full one is sealed elsewhere into segments, which are read for long spans; see
`ems/store/segments.py` for what lies where and `ems/store/reader.py` for reading.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from concurrent.futures import Future
from datetime import datetime
from pathlib import Path

from drivers.points import Measurement
from ems.store.damage import Damaged, as_sqlite, begun_anew, opened
from ems.store.database import StoreError, open_writable
from ems.store.reserve import Reserve
from ems.store.scan_file import LAYOUT, SCAN, SCHEMA, layout, microseconds, packed, span_us
from ems.store.segments import Level, next_number, scan_files, scan_path, segments
from ems.store.tasks import Backlog, Relief, Statement, Turn, Upkeep
from ems.store.writer import Writer

FILE_US = 3_600_000_000
MOST_BYTES = 64 << 20
"""A scan file that is larger is followed by the next one, so that sealing one fits into memory."""
_NONE, _LEFT = -1, -2
"""In the place of a file's hour: it holds no scan yet; it gets no further one."""


class History:
    """The writing end; one process at a time writes a history.

    Args:
        folder: its folder, made if missing.
        durable: appended scans survive a power cut; without, the death of the process only, and all scans stay in one
            file, which nobody seals.
        gather_s: how long scans wait for each other before a common commit [s]: each costs the disk a flush.
        turn: gives the writing its turns; None for a thread of its own.
        reserve: of the disk, which is the journal's; None for none.
        damaged: what is done about a file that is found damaged while it is written; None leaves it.

    Raises:
        StoreError: the newest file is of a newer version, damaged or not writable.
    """

    def __init__(
        self,
        folder: Path | str,
        durable: bool = True,
        *,
        gather_s: float = 0.0,
        turn: Turn | None = None,
        reserve: Reserve | None = None,
        damaged: Damaged | None = None,
    ) -> None:
        self._files = _Files(Path(folder), durable, damaged)
        held = Relief() if reserve is None else Relief(reserve.hold, reserve.scans_refused)
        upkeep = Upkeep(self._files.turn, self._files.mend if damaged is not None else None)
        connection = self._files.open()
        self._writer = Writer(connection, "history", gather_s=gather_s, turn=turn, relief=held, upkeep=upkeep)
        self._points: list[str] | None = None
        self._layout = 0

    def append(self, at: datetime, measurements: Sequence[Measurement]) -> Future[int]:
        """Append one scan; never blocks.

        Args:
            at: aware instant of the scan.
            measurements: one for each point.

        Returns:
            A future, resolved after the scan's commit; it carries a `StoreError` if the disk refuses.
        """
        points = [m.point for m in measurements]
        if points != self._points:
            self._points, (self._layout, text) = points, layout(points)
            self._files.layouts[self._layout] = text
        at_us = microseconds(at)
        self._files.newest_us = at_us
        return self._writer.submit(Statement(SCAN, (at_us, self._layout, packed(measurements))))

    def backlog(self) -> Backlog:
        """Tell what has not reached the disk."""
        return self._writer.backlog()

    def close(self) -> None:
        """Write what is queued, then close the file. Idempotent."""
        self._writer.close()


class _Files:
    """The scan files of one writing: which one is written to, and when the next one begins.

    All but `newest_us` and `layouts` belongs to the writing thread, once it runs.
    """

    def __init__(self, folder: Path, durable: bool, damaged: Damaged | None) -> None:
        self._folder, self._durable, self._damaged = folder, durable, damaged
        self.newest_us = 0
        self.layouts: dict[int, str] = {}
        self._kept: set[int] = set()
        self._hour = _NONE
        self._number = _newest(folder) or next_number(folder)

    def open(self) -> sqlite3.Connection:
        """Open the newest file, or the first one."""
        return opened(self._opened, self._path(), self._damaged)

    def turn(self, connection: sqlite3.Connection) -> sqlite3.Connection:
        """Begin the next file if the hour is over or the file is large, and see that it knows all layouts."""
        hour = self.newest_us // FILE_US
        if self._hour == _NONE:
            self._hour = hour
        elif self._durable and (hour != self._hour or _size(connection) >= MOST_BYTES):
            connection = self._next(connection)
            self._hour = hour
        if not self._kept >= self.layouts.keys():
            known = dict(self.layouts)
            connection.executemany(LAYOUT, known.items())
            self._kept = set(known)
        return connection

    def mend(self, connection: sqlite3.Connection) -> sqlite3.Connection:
        """Begin a new file in the place of a damaged one."""
        assert self._damaged is not None
        connection.close()
        self._kept = set()
        return begun_anew(self._opened, self._path(), self._damaged)

    def _path(self) -> Path:
        return scan_path(self._folder, self._number)

    def _opened(self) -> sqlite3.Connection:
        connection = open_writable(self._path(), SCHEMA, durable=self._durable)
        span = span_us(self._path())
        self._hour = _NONE if span is None else span[1] // FILE_US
        return connection

    def _next(self, before: sqlite3.Connection) -> sqlite3.Connection:
        # From its first byte on the new file is the newest, and the one before may be sealed: it gets no further scan.
        self._hour, self._kept = _LEFT, set()
        newest = _newest(self._folder)
        number = newest if newest > self._number else next_number(self._folder)
        try:
            connection = open_writable(scan_path(self._folder, number), SCHEMA, durable=self._durable)
        except StoreError as error:
            raise as_sqlite(error) from error
        before.close()
        self._number = number
        return connection


def _newest(folder: Path) -> int:
    """Give the number of the newest scan file that is not sealed; 0 for none."""
    sealed = max((segment.last for segment in segments(folder, Level.RAW)), default=0)
    newest = max((file.number for file in scan_files(folder)), default=0)
    return newest if newest > sealed else 0


def _size(connection: sqlite3.Connection) -> int:
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (each,) = connection.execute("PRAGMA page_size").fetchone()
    return int(pages) * int(each)
