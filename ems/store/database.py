"""How every store file is opened: WAL, a schema version, and no silent reading of a newer one."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path


class StoreError(Exception):
    """A store cannot be opened, read or written: the message names the file, what happened and the remedy."""


class NewerStore(StoreError):
    """A store was written by newer software: nothing of it is touched."""


WAL_ATTEMPTS = 100
CACHE_KIB = 256
"""Who adds to a file keeps so much of it in memory: SQLite's own 2,000 kB would fill with pages that nobody reads."""
RESTORING = ".restoring"
"""Stands in a state directory while a backup is put into it."""


@dataclass(frozen=True, slots=True)
class Schema:
    """The tables of one store file.

    Args:
        name: what the file is, for messages.
        version: kept in `PRAGMA user_version`; a file of a newer version is refused, never guessed at.
        ddl: statements that make the tables of an empty file.
        upgrades: by the version that a file has, what makes the next one of it, within a transaction.
        functions: by name, what its statements call.
    """

    name: str
    version: int
    ddl: str
    upgrades: Mapping[int, Callable[[sqlite3.Connection], None]] = field(default_factory=dict)
    functions: Mapping[str, Callable[..., str]] = field(default_factory=dict)


def open_writable(path: Path, schema: Schema, *, durable: bool, busy_s: float = 1.0) -> sqlite3.Connection:
    """Open for writing and make the tables if they are missing.

    Args:
        path: the file; its folder is made if missing.
        schema: what must be in it.
        durable: a commit survives a power cut; without, only the death of the process.
        busy_s: how long a statement waits for another writer [s].

    Raises:
        StoreError: the file is of a newer version, damaged or not writable.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, timeout=busy_s, isolation_level=None, check_same_thread=False)
        with _closed_on_error(connection):
            _prepare(connection, path, schema, durable=durable)
    except (sqlite3.Error, OSError) as error:
        raise StoreError(f"{schema.name} {path} cannot be written: {error}; free or move the file aside") from error
    return connection


@contextmanager
def _closed_on_error(connection: sqlite3.Connection) -> Iterator[None]:
    try:
        yield
    except BaseException:
        connection.close()
        raise


def _prepare(connection: sqlite3.Connection, path: Path, schema: Schema, *, durable: bool) -> None:
    for name, function in schema.functions.items():
        connection.create_function(name, -1, function, deterministic=True)
    if _checked_version(connection, path, schema) < schema.version:
        _log_ahead(connection)
        _bring_up(connection, path, schema)
    connection.execute(f"PRAGMA synchronous={'FULL' if durable else 'OFF'}")
    connection.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
    _probe(connection)


def _log_ahead(connection: sqlite3.Connection) -> None:
    """Switch the file to a write-ahead log, which SQLite refuses at once, without waiting, while another writes."""
    for attempt in range(1, WAL_ATTEMPTS + 1):
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or attempt == WAL_ATTEMPTS:
                raise
        else:
            return
        # A transaction waits for its turn, so the next attempt comes when the other has finished.
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")


def _probe(connection: sqlite3.Connection) -> None:
    """Read the last row of every table: what is damaged where rows are added is found before one is acknowledged."""
    for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        connection.execute(f'SELECT * FROM "{table}" ORDER BY rowid DESC LIMIT 1').fetchone()  # noqa: S608


def _bring_up(connection: sqlite3.Connection, path: Path, schema: Schema) -> None:
    """Make the tables or upgrade them: two processes may meet a file at once; tables and version appear together."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = _checked_version(connection, path, schema)
        if version == 0:
            for statement in schema.ddl.split(";"):
                connection.execute(statement)
        else:
            for step in range(version, schema.version):
                schema.upgrades[step](connection)
        connection.execute(f"PRAGMA user_version={schema.version}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def open_readable(path: Path, schema: Schema) -> sqlite3.Connection | None:
    """Open read-only; None if there is no file yet.

    Raises:
        StoreError: the file is of a newer version or damaged.
    """
    if not path.exists():
        return None
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, timeout=1.0)
        with _closed_on_error(connection):
            version = _checked_version(connection, path, schema)
    except sqlite3.Error as error:
        raise StoreError(f"{schema.name} {path} cannot be read: {error}") from error
    if version == 0:
        connection.close()
        return None
    return connection


def _checked_version(connection: sqlite3.Connection, path: Path, schema: Schema) -> int:
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > schema.version:
        raise NewerStore(
            f"{schema.name} {path} has schema version {version}, this software knows {schema.version}: "
            "use the newer software, or give it another state folder"
        )
    if version < 0:
        raise StoreError(
            f"{schema.name} {path} has schema version {version}, which never was: it is damaged; move it aside"
        )
    return version
