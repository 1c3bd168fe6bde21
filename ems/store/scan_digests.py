"""Digests of the history's scans, for the chain of audit: whoever changes a scan contradicts a record of the journal.

A range is named by the numbers of its rows and not by instants: a scan that a full disk has kept waiting is written
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
from ems.store.history import SCHEMA

FILE = "history.db"
KIND = "scans"
"""Kind of the journal's records that hold digests."""
MOST_ROWS = 10_000
"""So many scans at most are in one range."""

_ROWS = "SELECT id, at_us, layout, data FROM scan WHERE id > ? AND id <= ? ORDER BY id"
_LAYOUT = "SELECT points FROM layout WHERE id = ?"


def next_range(path: Path, after: int) -> dict[str, int | str] | None:
    """Digest the scans after a row, as many as there are but at most `MOST_ROWS`.

    Args:
        path: the history.
        after: number of the last row of the range before, 0 for none.

    Returns:
        `first`, `last` (numbers of rows) and `sha256`; None if nothing is new or there is no file yet.

    Raises:
        StoreError: the file is of a newer version or damaged.
    """
    found = _digest(path, after, after + MOST_ROWS)
    return None if found is None else {"first": after + 1, "last": found[0], "sha256": found[1]}


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
