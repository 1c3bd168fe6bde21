"""Digests of the scans in a history from before there were segments, as they stand in the chain of audit.

A range is named by the numbers of its rows and not by instants: a scan that a full disk has kept waiting was written
late and belongs to a later range.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from ems.store.database import StoreError, open_readable
from ems.store.scan_file import SCHEMA
from ems.store.segments import LEGACY

FILE = LEGACY
KIND = "scans"
"""Kind of the journal's records that hold digests."""

_ROWS = "SELECT id, at_us, layout, data FROM scan WHERE id > ? AND id <= ? ORDER BY id"
_LAYOUT = "SELECT points FROM layout WHERE id = ?"


def contradiction(path: Path, after: int, told: Mapping[str, Any]) -> str | None:
    """Say how the history contradicts a digest of the range after a row; None if it does not.

    Raises:
        StoreError: the file is of a newer version or damaged.
    """
    match told:
        case {"first": int(first), "last": int(last), "sha256": str(expected)} if first == after + 1 and last >= first:
            found = _digest(path, after, last)
        case _:
            return "is not covered: a range of scans is missing in the journal"
    if found != (last, expected):
        return f"or one up to {last} is not what the journal says"
    return None


def _digest(path: Path, after: int, last: int) -> tuple[int, str] | None:
    """Hash rows without gaps, with the layout before the first row that has it; gives the last number and the hash."""
    connection = open_readable(path, SCHEMA)
    if connection is None:
        return None
    digest, number, layouts = hashlib.sha256(), after, set[int]()
    try:
        with closing(connection):
            for row, at_us, layout, data in connection.execute(_ROWS, (after, last)):
                if row != number + 1:
                    break
                if layout not in layouts:
                    layouts.add(layout)
                    (points,) = connection.execute(_LAYOUT, (layout,)).fetchone() or ("",)
                    digest.update(f"{layout}:{points};".encode())
                digest.update(f"{row}:{at_us}:{layout}:{len(data)};".encode())
                digest.update(data)
                number = row
    except (sqlite3.Error, TypeError) as error:
        raise StoreError(f"history {path} cannot be read: {error}") from error
    return None if number == after else (number, digest.hexdigest())
