"""A damaged store file: moved aside and kept, so that a new one can take its place and control goes on."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from ems.store.database import StoreError

log = logging.getLogger(__name__)

_CODES = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_BESIDE = ("-wal", "-shm")

Damaged = Callable[[Path], None]
"""Moves a damaged file aside and tells about it; raises `OSError` if it cannot."""


def is_damage(error: BaseException | None) -> bool:
    """Tell whether an error says that a file is damaged or is no database at all."""
    return isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", 0) & 0xFF in _CODES


def move_aside(path: Path, at: datetime) -> Path:
    """Rename a file and what belongs to it: `journal.db` becomes `journal.db.damaged-20260115T120000Z`.

    What was moved aside before stays: a second one of the same second ends in `-2`.

    Raises:
        OSError: it cannot be renamed.
    """
    name = f"{path.name}.damaged-{at.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    names = (path.with_name(f"{name}-{n}" if n > 1 else name) for n in count(1))
    kept = next(free for free in names if not free.exists())
    for end in _BESIDE:
        beside = path.with_name(path.name + end)
        if beside.exists():
            beside.rename(kept.with_name(kept.name + end))
    path.rename(kept)
    log.error("%s is damaged: it is kept as %s, and a new one is begun", path, kept.name)
    return kept


def opened(make: Callable[[], sqlite3.Connection], path: Path, damaged: Damaged | None) -> sqlite3.Connection:
    """Open a file, and a new one in its place if it is damaged and somebody moves it aside; raises `StoreError`."""
    try:
        return make()
    except StoreError as error:
        if damaged is None or not is_damage(error.__cause__):
            raise
    damaged(path)
    return make()


def begun_anew(make: Callable[[], sqlite3.Connection], path: Path, damaged: Damaged) -> sqlite3.Connection:
    """Put a new file in the place of one that was found damaged, for `Upkeep.mend`; may be asked again.

    Raises:
        sqlite3.Error: that failed.
    """
    try:
        if path.exists():
            damaged(path)
        return make()
    except OSError as error:
        raise sqlite3.OperationalError(f"{path} is damaged and cannot be moved aside: {error.strerror}") from error
    except StoreError as error:
        raise as_sqlite(error) from error


def as_sqlite(error: StoreError) -> sqlite3.Error:
    """Give what SQLite said, for a `Writer` to judge."""
    return error.__cause__ if isinstance(error.__cause__, sqlite3.Error) else sqlite3.OperationalError(str(error))
