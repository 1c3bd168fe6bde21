"""A damaged store file: moved aside and kept, so that a new one can take its place and control goes on."""

from __future__ import annotations

import logging
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

log = logging.getLogger(__name__)

_CODES = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_BESIDE = ("-wal", "-shm")


def is_damage(error: BaseException | None) -> bool:
    """Tell whether an error says that a file is damaged or is no database at all."""
    return isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", 0) & 0xFF in _CODES


def move_aside(path: Path, at: datetime) -> Path:
    """Rename a file and what belongs to it: `journal.db` becomes `journal.db.damaged-20260115T120000Z`.

    Raises:
        OSError: it cannot be renamed.
    """
    kept = path.with_name(f"{path.name}.damaged-{at.astimezone(UTC):%Y%m%dT%H%M%SZ}")
    for end in _BESIDE:
        beside = path.with_name(path.name + end)
        if beside.exists():
            beside.rename(kept.with_name(kept.name + end))
    path.rename(kept)
    log.error("%s is damaged: it is kept as %s, and a new one is begun", path, kept.name)
    return kept
