"""A scan file: a SQLite file in which one row is one scan of every point; each holds about an hour.

A row is the scan's instant and the little-endian float64 of every point; a layout tells which point stands where.
A byte of quality for every point follows only if the qualities say more than the values: good where there is one, bad
where there is none. A scan of 5,000 points costs one row, not 5,000.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from drivers.points import Measurement, Quality
from ems.store.database import Schema, StoreError, open_readable
from ems.store.encoding import to_instant
from ems.store.segments import Gone

Floats = NDArray[np.float64]
Codes = NDArray[np.uint8]

SCHEMA = Schema(
    name="history",
    version=1,
    ddl="""
    CREATE TABLE IF NOT EXISTS layout (id INTEGER PRIMARY KEY, points TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS scan (
      id INTEGER PRIMARY KEY, at_us INTEGER NOT NULL, layout INTEGER NOT NULL, data BLOB NOT NULL
    )
    """,
)
LAYOUT = "INSERT OR IGNORE INTO layout (id, points) VALUES (?, ?)"
SCAN = "INSERT INTO scan (at_us, layout, data) VALUES (?, ?, ?)"

GOOD, BAD = 0, 2
QUALITY_CODE: Mapping[Quality, int] = {Quality.GOOD: GOOD, Quality.UNCERTAIN: 1, Quality.BAD: BAD}

_READ = "SELECT at_us, layout, data FROM scan WHERE at_us >= ? AND at_us < ? ORDER BY id"
_CHUNK = 10_000
EVER = (-(2**62), 2**62)


@dataclass(frozen=True, slots=True, eq=False)
class Scans:
    """Consecutive scans of one layout.

    Args:
        points: ids of the columns, m.
        at_us: instants in microseconds since 1970, shape (n,).
        value: shape (n, m), `nan` where missing.
        quality: codes of `QUALITY_CODE`, shape (n, m).
    """

    points: Sequence[str]
    at_us: NDArray[np.int64]
    value: Floats
    quality: Codes


def packed(measurements: Sequence[Measurement]) -> bytes:
    """Pack the values and, where they say more than these, the qualities of a scan."""
    # None becomes NaN by the array itself.
    values = np.array([m.value for m in measurements], dtype="<f8")
    data = values.tobytes()
    odd = [(index, m.quality) for index, m in enumerate(measurements) if m.quality is not Quality.GOOD]
    implied = np.isnan(values)
    if len(odd) == np.count_nonzero(implied) and all(q is Quality.BAD and implied[index] for index, q in odd):
        return data
    codes = bytearray(len(measurements))
    for index, quality in odd:
        codes[index] = QUALITY_CODE[quality]
    return data + bytes(codes)


def layout(points: Iterable[str]) -> tuple[int, str]:
    """Give a layout's number, which follows from its content, and its text."""
    text = json.dumps(list(points))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6]), text


def microseconds(at: datetime) -> int:
    """Count microseconds since 1970; raises `ValueError` for an instant without a time zone."""
    to_instant(at)
    return round(at.timestamp() * 1e6)


def scans(path: Path, span_us: tuple[int, int] = EVER) -> Iterator[Scans]:
    """Read the scans of a file from an instant up to and without another, in the order in which they were written.

    Nothing of a file that has just been begun. Raises `Gone` for one that is not there any more, and `StoreError` for
    one that is damaged or newer.
    """
    connection = open_readable(path, SCHEMA)
    if connection is None:
        if not path.exists():
            raise Gone(f"{path} is gone: read again")
        return
    try:
        with closing(connection):
            layouts = {row: json.loads(text) for row, text in connection.execute("SELECT id, points FROM layout")}
            cursor = connection.execute(_READ, span_us)
            while rows := cursor.fetchmany(_CHUNK):
                for key, group in groupby(rows, key=lambda row: (int(row[1]), len(row[2]))):
                    yield _unpacked(list(group), layouts[key[0]])
    except sqlite3.Error as error:
        raise StoreError(f"history {path} cannot be read: {error}") from error


def span_us(path: Path) -> tuple[int, int] | None:
    """Give the oldest and the newest instant of a file's scans [us]; None without any, or without a file."""
    connection = open_readable(path, SCHEMA)
    if connection is None:
        return None
    try:
        with closing(connection):
            first, last = connection.execute("SELECT min(at_us), max(at_us) FROM scan").fetchone()
    except sqlite3.Error as error:
        raise StoreError(f"history {path} cannot be read: {error}") from error
    return None if first is None else (first, last)


def _unpacked(rows: list[tuple[int, int, bytes]], points: list[str]) -> Scans:
    """Unpack rows of one layout and one length."""
    number, width = len(rows), len(points)
    told = len(rows[0][2]) > 8 * width
    kind = np.dtype([("value", "<f8", width), ("quality", "u1", width if told else 0)])
    data = np.frombuffer(b"".join(row[2] for row in rows), dtype=kind)
    value = np.ascontiguousarray(data["value"], dtype=np.float64).reshape(number, width)
    quality = data["quality"].reshape(number, width) if told else np.where(np.isnan(value), BAD, GOOD).astype(np.uint8)
    return Scans(points, np.array([row[0] for row in rows], dtype=np.int64), value, quality)
