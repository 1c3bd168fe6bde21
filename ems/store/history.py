"""The history: every scan of every point from the first day, energy registers included; it cannot be backfilled.

One row is one scan: little-endian float64 of every point, then one quality byte of every point; a layout tells which
point stands where. A scan of 5,000 points costs one row, not 5,000.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from drivers.points import Measurement, Quality
from ems.store.database import Schema, StoreError, open_readable, open_writable
from ems.store.encoding import to_instant
from ems.store.reserve import Reserve
from ems.store.writer import Backlog, Relief, Statement, Turn, Writer

Floats = NDArray[np.float64]

SCHEMA = Schema(
    name="history",
    version=1,
    ddl="""
    CREATE TABLE IF NOT EXISTS layout (id INTEGER PRIMARY KEY, points TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS scan (
      id INTEGER PRIMARY KEY, at_us INTEGER NOT NULL, layout INTEGER NOT NULL, data BLOB NOT NULL
    );
    CREATE INDEX IF NOT EXISTS scan_at ON scan (at_us)
    """,
)

_LAYOUT = "INSERT OR IGNORE INTO layout (id, points) VALUES (?, ?)"
_SCAN = "INSERT INTO scan (at_us, layout, data) VALUES (?, ?, ?)"
_READ = "SELECT at_us, layout, data FROM scan WHERE at_us >= ? AND at_us < ? ORDER BY at_us"
_QUALITY_CODE: Mapping[Quality, int] = {Quality.GOOD: 0, Quality.UNCERTAIN: 1, Quality.BAD: 2}
_CHUNK = 10_000


class History:
    """The writing end; one process at a time writes a history.

    Args:
        path: the file, made if missing.
        durable: appended scans survive a power cut; without, the death of the process only.
        gather_s: how long scans wait for each other before a common commit [s]: each costs the disk a flush.
        turn: gives the writing its turns; None for a thread of its own.
        reserve: of the disk, which is the journal's; None for none.

    Raises:
        StoreError: the file is of a newer version, damaged or not writable.
    """

    def __init__(
        self,
        path: Path | str,
        durable: bool = True,
        *,
        gather_s: float = 0.0,
        turn: Turn | None = None,
        reserve: Reserve | None = None,
    ) -> None:
        connection = open_writable(Path(path), SCHEMA, durable=durable)
        held = Relief() if reserve is None else Relief(reserve.hold, reserve.scans_refused)
        self._writer = Writer(connection, "history", gather_s=gather_s, turn=turn, relief=held)
        self._layout: tuple[list[str], int, str] = ([], *_layout([]))
        self._kept: set[int] = set()

    def append(self, at: datetime, measurements: Sequence[Measurement]) -> Future[int]:
        """Append one scan; never blocks.

        Args:
            at: aware instant of the scan.
            measurements: one for each point.

        Returns:
            A future of the scan's number, resolved after its commit; it carries a `StoreError` if the disk refuses.
        """
        points = [m.point for m in measurements]
        if points != self._layout[0]:
            self._layout = (points, *_layout(points))
        _, layout, text = self._layout
        # None becomes NaN by the array itself.
        values = np.array([m.value for m in measurements], dtype="<f8")
        odd = [(index, m.quality) for index, m in enumerate(measurements) if m.quality is not Quality.GOOD]
        codes = bytearray(len(points))
        for index, quality in odd:
            codes[index] = _QUALITY_CODE[quality]
        scan = Statement(_SCAN, (_microseconds(at), layout, values.tobytes() + bytes(codes)))
        if layout in self._kept:
            return self._writer.submit(scan)
        # Until the disk has it, the layout goes with every scan, so that no failed write can leave a scan without one.
        future = self._writer.submit(Statement(_LAYOUT, (layout, text)), scan)
        future.add_done_callback(lambda done: self._keep(layout, done))
        return future

    def _keep(self, layout: int, done: Future[int]) -> None:
        if not done.cancelled() and done.exception() is None:
            self._kept.add(layout)

    def backlog(self) -> Backlog:
        """Tell what has not reached the disk."""
        return self._writer.backlog()

    def close(self) -> None:
        """Write what is queued, then close the file. Idempotent."""
        self._writer.close()


def read(
    path: Path | str, points: Sequence[str], t0: datetime, t1: datetime, *, good_only: bool = True
) -> tuple[Floats, Floats]:
    """Read points from `t0` up to and without `t1`.

    Args:
        path: the file; empty arrays if there is none yet.
        points: ids; an id that no scan holds gives a column of NaN.
        t0: aware instant.
        t1: aware instant.
        good_only: whether uncertain values are left out too; bad ones always are.

    Returns:
        POSIX seconds, shape (n,) [s], and values, shape (n, points), NaN where missing.

    Raises:
        StoreError: the file is of a newer version or damaged.
    """
    parts = list(_parts(Path(path), points, (t0, t1), worst=0 if good_only else 1))
    if not parts:
        return np.empty(0), np.empty((0, len(points)))
    times, values = (np.concatenate(arrays, dtype=np.float64) for arrays in zip(*parts, strict=True))
    return times, values


def read_at(path: Path | str, point: str, at: datetime, within_s: float) -> float | None:
    """Read a register at an instant, on the straight line between the last good value before it and the first after it.

    Args:
        path: the file.
        point: id of the point.
        at: aware instant.
        within_s: how far from it the values may lie [s].

    Returns:
        The value; None where the history holds no good value on one of both sides.
    """
    reach = timedelta(seconds=within_s)
    times, values = read(path, [point], at - reach, at + reach)
    good = np.isfinite(values[:, 0])
    times, value, at_s = times[good], values[good, 0], at.timestamp()
    if not times.size or not times[0] <= at_s <= times[-1]:
        return None
    return float(np.interp(at_s, times, value))


def oldest(path: Path | str) -> datetime | None:
    """Tell the instant of the oldest scan; None where there is none yet. Raises `StoreError` as `read` does."""
    connection = open_readable(Path(path), SCHEMA)
    if connection is None:
        return None
    try:
        at_us = connection.execute("SELECT min(at_us) FROM scan").fetchone()[0]
    except sqlite3.Error as error:
        raise StoreError(f"history {path} cannot be read: {error}") from error
    finally:
        connection.close()
    return None if at_us is None else datetime.fromtimestamp(at_us / 1e6, UTC)


def read_means(
    path: Path | str, points: Sequence[str], t0: datetime, t1: datetime, step_s: float
) -> tuple[Floats, Floats]:
    """Read the mean of the good values of each step [s] from `t0` on, in memory that does not grow with the scans.

    Returns:
        Start of each step in POSIX seconds, shape (steps,) [s], and means, shape (steps, points), NaN where a step
        holds no good value.
    """
    count = int(np.ceil((t1 - t0).total_seconds() / step_s))
    total, number = np.zeros((count, len(points))), np.zeros((count, len(points)))
    start_s = t0.timestamp()
    for times, values in _parts(Path(path), points, (t0, t1), worst=0):
        step = np.floor((times - start_s) / step_s + 1e-9).astype(np.int64).clip(0, max(count - 1, 0))
        np.add.at(total, step, np.nan_to_num(values))
        np.add.at(number, step, ~np.isnan(values))
    means = np.divide(total, number, out=np.full_like(total, np.nan), where=number > 0)
    return start_s + step_s * np.arange(count, dtype=np.float64), means


def _parts(
    path: Path, points: Sequence[str], span: tuple[datetime, datetime], *, worst: int
) -> Iterator[tuple[Floats, Floats]]:
    """Give times and values of consecutive scans of one layout; values of a quality past `worst` are NaN."""
    connection = open_readable(path, SCHEMA)
    if connection is None:
        return
    try:
        layouts = {row: json.loads(text) for row, text in connection.execute("SELECT id, points FROM layout")}
        cursor = connection.execute(_READ, tuple(map(_microseconds, span)))
        while rows := cursor.fetchmany(_CHUNK):
            for layout, group in groupby(rows, key=lambda row: int(row[1])):
                yield _decode(list(group), layouts[layout], points, worst=worst)
    except sqlite3.Error as error:
        raise StoreError(f"history {path} cannot be read: {error}") from error
    finally:
        connection.close()


def _decode(
    rows: list[tuple[int, int, bytes]], layout: list[str], points: Sequence[str], *, worst: int
) -> tuple[Floats, Floats]:
    scan = np.dtype([("value", "<f8", len(layout)), ("quality", "u1", len(layout))])
    data = np.frombuffer(b"".join(row[2] for row in rows), dtype=scan)
    value = np.where(data["quality"] <= worst, data["value"], np.nan).reshape(len(rows), len(layout))
    column = {point: index for index, point in enumerate(layout)}
    values = np.full((len(rows), len(points)), np.nan)
    for index, point in enumerate(points):
        if point in column:
            values[:, index] = value[:, column[point]]
    return np.array([row[0] for row in rows], dtype=float) / 1e6, values


def _layout(points: Iterable[str]) -> tuple[int, str]:
    """Give a layout's number, which follows from its content, and its text."""
    text = json.dumps(list(points))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6]), text


def _microseconds(at: datetime) -> int:
    """Count microseconds since 1970; raises `ValueError` for an instant without a time zone."""
    to_instant(at)
    return round(at.timestamp() * 1e6)
