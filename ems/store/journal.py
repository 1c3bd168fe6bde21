"""The journal: what was planned, intended, done and seen, in order, append-only.

Kinds of record: `plan, intent, result, request_seen, alarm, health, transition, meter_register, energy_register,
factor, checkpoint`, and with the same right any further lower-case word. A record is never changed; a correction is a
new record. Every record is an entry of the chain of audit (`ems/store/chain.py`), its number that of the entry.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from ems.clock import Clock
from ems.store.chain import FUNCTIONS, appended, chain_up
from ems.store.damage import Damaged, begun_anew, opened
from ems.store.database import Schema, StoreError, open_readable, open_writable
from ems.store.encoding import to_instant, to_json
from ems.store.reserve import Reserve
from ems.store.segments import SEGMENT_RECORD
from ems.store.spill import Spill
from ems.store.tasks import Backlog, Relief, Statement, Turn, Upkeep
from ems.store.writer import Writer

FILE = "journal.db"
"""Name of the core's journal in a state folder."""

SCHEMA = Schema(
    name="journal",
    version=2,
    ddl="""
    CREATE TABLE record (
      id INTEGER PRIMARY KEY, at TEXT NOT NULL, kind TEXT NOT NULL, body TEXT NOT NULL, hash TEXT NOT NULL
    );
    CREATE INDEX record_kind ON record (kind)
    """,
    upgrades={1: lambda connection: chain_up(connection, "record", "body")},
    functions=FUNCTIONS,
)

_INSERT = appended("record", "at, kind, body", "body")
_KIND = re.compile(r"[a-z][a-z_]*")


@dataclass(frozen=True, slots=True)
class Record:
    """One line of the journal: its number, UTC instant, kind and body."""

    id: int
    at: datetime
    kind: str
    body: Mapping[str, Any]


class Records(Protocol):
    """What its writers need of a journal."""

    def record(self, kind: str, body: Mapping[str, Any]) -> Future[int]:
        """Append; the future is resolved after the commit."""


class Journal:
    """The writing end; one process at a time writes a journal.

    Args:
        path: the file, made if missing.
        clock: gives the instant of records that name none.
        durable: acknowledged records survive a power cut (`synchronous=FULL`); without, the death of the process only.
        turn: gives the writing its turns; None for a thread of its own.
        reserve: of the disk, given to this journal when the disk is full; None for none.
        damaged: what is done about a file that is found damaged, before a new one is begun; None refuses it.

    Raises:
        StoreError: the file is of a newer version, damaged or not writable.
    """

    def __init__(
        self,
        path: Path | str,
        clock: Clock,
        durable: bool = True,
        *,
        turn: Turn | None = None,
        reserve: Reserve | None = None,
        damaged: Damaged | None = None,
    ) -> None:
        self._clock = clock
        self._path, self._durable, self._damaged = Path(path), durable, damaged
        relief = Relief() if reserve is None else Relief(refused=reserve.journal_refused)
        upkeep = Upkeep(mend=self._mend if damaged is not None else None)
        connection = opened(self._opened, self._path, damaged)
        spill = Spill(self._path, clock, _INSERT, durable=durable)
        self._writer = Writer(connection, "journal", turn=turn, relief=relief, upkeep=upkeep, spill=spill)

    def _opened(self) -> sqlite3.Connection:
        return open_writable(self._path, SCHEMA, durable=self._durable)

    def _mend(self, connection: sqlite3.Connection) -> sqlite3.Connection:
        assert self._damaged is not None
        connection.close()
        return begun_anew(self._opened, self._path, self._damaged)

    def record(self, kind: str, body: Mapping[str, Any], *, at: datetime | None = None) -> Future[int]:
        """Append; never blocks.

        Args:
            kind: a lower-case word, see the head of this file.
            body: numbers, texts, instants, arrays, dataclasses, mappings; not-finite numbers become null.
            at: aware instant of what is told; the clock's now if left out.

        Returns:
            A future of the record's number, resolved after its commit. It carries a `StoreError` if the disk refuses;
            the record is then kept, after seconds in a file (`ems/store/spill.py`), and written when it can be.

        Raises:
            TypeError: the body holds something that is no datum.
            ValueError: the kind is no lower-case word or the instant has no time zone.
        """
        if not _KIND.fullmatch(kind):
            raise ValueError(f"the kind of a record is a lower-case word, not {kind!r}")
        row = (to_instant(at or self._clock.now()), kind, to_json(body))
        return self._writer.submit(Statement(_INSERT, row))

    def backlog(self) -> Backlog:
        """Tell what has not reached the disk."""
        return self._writer.backlog()

    def close(self) -> None:
        """Write what is queued, then close the file. Idempotent."""
        self._writer.close()


def read_records(path: Path | str, kind: str | None = None, after_id: int = 0, limit: int = 1000) -> list[Record]:
    """Read the first records past `after_id`, oldest first, on a read-only connection; none if there is no file yet.

    Raises:
        StoreError: the file is of a newer version or damaged.
    """
    where, parameters = ("", ()) if kind is None else ("kind = ? AND", (kind,))
    return _select(Path(path), f"WHERE {where} id > ? ORDER BY id LIMIT ?", (*parameters, after_id, limit))


def segment_records(state_dir: Path) -> list[Mapping[str, Any]]:
    """Read what was sealed and removed of the history, oldest first. Raises `StoreError` as `read_records` does."""
    return [record.body for record in _select(state_dir / FILE, "WHERE kind = ? ORDER BY id", (SEGMENT_RECORD,))]


def records_since(path: Path | str, kind: str, since: datetime) -> list[Record]:
    """Read the records of a kind from an aware instant on, oldest first. Raises `StoreError` as `read_records` does."""
    return _select(Path(path), "WHERE kind = ? AND at >= ? ORDER BY id", (kind, to_instant(since)))


def latest_record(path: Path | str, kind: str) -> Record | None:
    """Read the newest record of a kind; None if there is none. Raises `StoreError` as `read_records` does."""
    rows = _select(Path(path), "WHERE kind = ? ORDER BY id DESC LIMIT 1", (kind,))
    return rows[0] if rows else None


def last_records(path: Path | str, kind: str, count: int, until: datetime | None = None) -> list[Record]:
    """Read the newest records of a kind, up to an aware instant, oldest first; raises as `read_records` does."""
    where, parameters = ("", ()) if until is None else ("AND at <= ?", (to_instant(until),))
    return _select(Path(path), f"WHERE kind = ? {where} ORDER BY id DESC LIMIT ?", (kind, *parameters, count))[::-1]


def _select(path: Path, clause: str, parameters: tuple[object, ...]) -> list[Record]:
    connection = open_readable(path, SCHEMA)
    if connection is None:
        return []
    try:
        rows = connection.execute(f"SELECT id, at, kind, body FROM record {clause}", parameters).fetchall()  # noqa: S608
    except sqlite3.Error as error:
        raise StoreError(f"journal {path} cannot be read: {error}") from error
    finally:
        connection.close()
    return [Record(row, datetime.fromisoformat(at), kind, json.loads(body)) for row, at, kind, body in rows]
