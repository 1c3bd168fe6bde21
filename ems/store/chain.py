"""The chain of audit: each entry carries its number, what it holds and the hash of the entry before it.

An entry is canonical JSON (RFC 8785): keys in order, no white space. It holds texts and whole numbers only, for which
Python's `json` writes exactly that. What is recorded enters it by the SHA-256 of its bytes as stored, so that a changed
byte counts, whether or not it changes the meaning, and the chain does not depend on how numbers are written.

Law 1: entries are numbered from 1 without gaps; the entry before the first has the hash `GENESIS`.
Law 2: the hash of an entry follows from its own row and the hash before it, and from nothing else.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable, Mapping
from typing import Any

GENESIS = 64 * "0"
_BATCH = 1000


def canonical(content: Mapping[str, Any]) -> bytes:
    """Write texts, whole numbers, switches, nothings and mappings of them as canonical JSON (RFC 8785).

    Raises:
        TypeError: something else is in it; a number that is not whole has more than one way to be written.
    """
    _check(content)
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _check(value: object) -> None:
    match value:
        case str() | bool() | int() | None:
            return
        case Mapping():
            for item in value.values():
                _check(item)
        case _:
            raise TypeError(f"a {type(value).__name__} is not chained: {value!r}; give texts and whole numbers")


def entry_hash(number: int, at: str, kind: str, body: str, before: str) -> str:
    """Hash an entry.

    Args:
        number: its place in the chain, from 1.
        at: instant, as stored.
        kind: what it is.
        body: what it says, as stored.
        before: hash of the entry before it.

    Returns:
        SHA-256 in hexadecimal.
    """
    content = {
        "at": at,
        "body_sha256": hashlib.sha256(body.encode()).hexdigest(),
        "kind": kind,
        "prev": before,
        "seq": number,
    }
    return hashlib.sha256(canonical(content)).hexdigest()


def request_body(target: str, value: str, reason: str, by: str, expires_at: str | None) -> str:
    """Put what a request says into one text: canonical JSON of its columns, as stored."""
    content = {"by": by, "expires_at": expires_at, "reason": reason, "target": target, "value": value}
    return canonical(content).decode()


FUNCTIONS: Mapping[str, Callable[..., str]] = {"entry_hash": entry_hash, "request_body": request_body}
"""What SQL statements of chained tables call."""


def appended(table: str, columns: str, body: str) -> str:
    """Give the statement that appends a row to a chained table, its number and hash made within the statement.

    Args:
        table: with the columns `id`, `at`, `kind`, `hash` and further ones.
        columns: all but `id` and `hash`, in the order of the parameters: `at, kind, ...`.
        body: expression of those that make the body.
    """
    names = columns.split(", ")
    given = ", ".join(f"? AS {name}" for name in names)
    number = f"(SELECT ifnull(max(id), 0) + 1 FROM {table})"  # noqa: S608
    before = f"ifnull((SELECT hash FROM {table} ORDER BY id DESC LIMIT 1), '{GENESIS}')"  # noqa: S608
    return (
        f"INSERT INTO {table} (id, {columns}, hash) SELECT n, {columns}, entry_hash(n, at, kind, {body}, b) "  # noqa: S608
        f"FROM (SELECT {number} AS n, {before} AS b, {given})"
    )


def chain_up(connection: sqlite3.Connection, table: str, body: str) -> None:
    """Add the hashes to a table from before there was a chain, within the caller's transaction."""
    connection.execute(f"ALTER TABLE {table} ADD COLUMN hash TEXT NOT NULL DEFAULT ''")
    before, last = GENESIS, -1
    select = f"SELECT id, at, kind, {body} FROM {table} WHERE id > ? ORDER BY id LIMIT {_BATCH}"  # noqa: S608
    update = f"UPDATE {table} SET hash = ? WHERE id = ?"  # noqa: S608
    while rows := connection.execute(select, (last,)).fetchall():
        found = []
        for number, at, kind, text in rows:
            before = entry_hash(number, at, kind, text, before)
            found.append((before, number))
        connection.executemany(update, found)
        last = rows[-1][0]
