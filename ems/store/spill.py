"""What the journal could not take for a while: lines in a file beside it, so that no record dies with the process.

The first line names the entry that the journal ended with, each further one is a record, oldest first.

Law 1: what is in the file is written into the journal before anything else, in its order. So the entries after the one
that the first line names begin with these records: they tell how far that went, whatever a crash interrupted.
Law 2: a line that is not whole was never said to be kept, and is left out.
"""

from __future__ import annotations

import json
import logging
import os
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from itertools import takewhile
from pathlib import Path

from ems.clock import Clock
from ems.store.chain import GENESIS
from ems.store.damage import move_aside
from ems.store.durable import sync, write_whole

log = logging.getLogger(__name__)

AFTER_S = 2.0
"""What the journal has not taken for so long goes into the file [s]."""
ENDING = ".spill.jsonl"
SCHEMA = "ems.spill/1"

Row = tuple[str, str, str]
"""Instant, kind and body of a record, as stored."""
Head = tuple[int, str]

_LAST = "SELECT id, hash FROM record ORDER BY id DESC LIMIT 1"
_HASH = "SELECT hash FROM record WHERE id = ?"
_AFTER = "SELECT at, kind, body FROM record WHERE id > ? ORDER BY id LIMIT ?"


def spill_path(journal: Path) -> Path:
    """Tell where a journal's file lies: `journal.spill.jsonl` beside `journal.db`."""
    return journal.with_suffix(ENDING)


class Spill:
    """The file of one journal; one thread at a time.

    Args:
        journal: path of the journal.
        clock: tells how long records have waited.
        insert: statement that appends a row to the journal.
        durable: lines survive a power cut; without, the death of the process only.
    """

    def __init__(self, journal: Path, clock: Clock, insert: str, *, durable: bool) -> None:
        self.insert = insert
        self.count = 0
        """How many records the file holds."""
        self._path, self._clock, self._durable = spill_path(journal), clock, durable
        self._since_s: float | None = None
        self._head = self._reached = (0, GENESIS)
        self._size = self._seen = 0
        self._is_refused = False
        self.is_there = self._path.exists()
        """Whether there is a file, whatever it holds."""
        if self.is_there:
            self._find()

    def start(self, connection: sqlite3.Connection) -> None:
        """Note what the journal ends with when it is opened."""
        # Without an answer the records are compared with the journal's first ones: at worst one comes twice.
        with suppress(sqlite3.Error):
            self.look(connection)
            self._head = self._reached

    def begin(self) -> None:
        """Note that it is tried to write what is in the file by now."""
        self._seen = self._size
        if self._since_s is None:
            self._since_s = self._clock.monotonic()

    def is_due(self) -> bool:
        """Tell whether it has been tried in vain for long enough."""
        return self._since_s is not None and self._clock.monotonic() - self._since_s >= AFTER_S

    def keep(self, rows: Sequence[Row]) -> bool:
        """Append records; tells whether the disk has them."""
        lines = [] if self._size else [{"schema": SCHEMA, "seq": self._head[0], "hash": self._head[1]}]
        lines += [dict(zip(("at", "kind", "body"), row, strict=True)) for row in rows]
        is_new, self.is_there = not self.is_there, True
        try:
            with self._path.open("ab") as file:
                # Whatever a failure has left goes first.
                file.truncate(self._size)
                file.write("".join(json.dumps(line) + "\n" for line in lines).encode())
                file.flush()
                if self._durable:
                    os.fsync(file.fileno())
                size = file.tell()
            if is_new and self._durable:
                sync(self._path.parent)
        except OSError as error:
            if not self._is_refused:
                log.error("%s takes no records either: %s; they stay in memory", self._path, error)
            self._is_refused = True
            return False
        self._is_refused = False
        if not self._size:
            log.warning("what the journal does not take is kept in %s", self._path)
        self._size, self.count = size, self.count + len(rows)
        return True

    def waiting(self, connection: sqlite3.Connection) -> list[Row]:
        """Give the records that the journal does not have yet; asked within the transaction that takes them."""
        if not self._seen:
            return []
        try:
            head, rows, _ = _parsed(self._path.read_bytes()[: self._seen])
        except (OSError, ValueError) as error:
            self._put_aside(error)
            return []
        return rows[_taken(connection, head, rows) :]

    def look(self, connection: sqlite3.Connection) -> None:
        """Note what the journal ends with; asked at the end of each transaction."""
        self._reached = connection.execute(_LAST).fetchone() or (0, GENESIS)

    def settle(self) -> int:
        """Note that all was written; does what `pass_on` does."""
        self._since_s = None
        return self.pass_on()

    def pass_on(self) -> int:
        """Remove the file after a commit, unless it has grown since `begin`; gives how many records it held."""
        self._head = self._reached
        if not self.is_there or self._size != self._seen:
            return 0
        with suppress(OSError):
            self._path.unlink(missing_ok=True)
            self.is_there = False
        # What cannot be removed holds nothing that the journal has not; the next record begins it anew.
        held, self._size, self._seen, self.count = self.count, 0, 0, 0
        return held

    def _find(self) -> None:
        """Take up what an earlier process has left."""
        try:
            content = self._path.read_bytes()
            _, rows, size = _parsed(content)
            if b"\n" in content[size:]:
                log.error("%s is damaged after %d records", self._path, len(rows))
                move_aside(self._path, self._clock.now())
                write_whole(self._path, content[:size])
        except (OSError, ValueError) as error:
            self._put_aside(error)
            return
        self._size, self.count = size, len(rows)

    def _put_aside(self, error: Exception) -> None:
        log.error("%s cannot be read: %s; what it held is not in the journal", self._path, error)
        with suppress(OSError):
            move_aside(self._path, self._clock.now())
        self._size = self._seen = self.count = 0
        self.is_there = False


def _parsed(content: bytes) -> tuple[Head, list[Row], int]:
    """Give the entry that the first line names, the records of whole lines, and how many bytes these lines take.

    Raises:
        ValueError: the first line is whole and names no entry.
    """
    first, *lines = content.split(b"\n")[:-1] or [b""]
    if not first:
        return (0, GENESIS), [], 0
    match json.loads(first):
        case {"schema": str(schema), "seq": int(seq), "hash": str(found)} if schema == SCHEMA:
            rows = [row for row in takewhile(bool, map(_row, lines)) if row]
            size = sum(len(line) + 1 for line in (first, *lines[: len(rows)]))
            return (seq, found), rows, size
    raise ValueError(f"its first line is not of {SCHEMA}")


def _row(line: bytes) -> Row | None:
    try:
        told = json.loads(line)
    except ValueError:
        return None
    match told:
        case {"at": str(at), "kind": str(kind), "body": str(body)}:
            return at, kind, body
    return None


def _taken(connection: sqlite3.Connection, head: Head, rows: Sequence[Row]) -> int:
    """Tell how many records the journal has: its entries after the head begin with them.

    A journal that was begun anew has another entry there, or none: it begins with them.
    """
    after = head[0] if connection.execute(_HASH, (head[0],)).fetchone() == (head[1],) else 0
    entries = connection.execute(_AFTER, (after, len(rows)))
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(entries, rows, strict=False)))
