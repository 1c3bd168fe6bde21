"""Requests: what people and the world ask of the controller, append-only, in a file that several processes write.

Law 1: nothing is changed or deleted: a release is a row too, and the newest of a kind and target replaces the older.
Many cars may wait for one car park: there the newest of a car replaces the older, and a release may name the car.
Every row is an entry of the chain of audit (`ems/store/chain.py`), its number that of the entry.
Law 2: a request says who, why and until when; nobody may ask in silence.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, get_args

from ems.clock import Clock
from ems.store.chain import FUNCTIONS, appended, chain_up
from ems.store.database import Schema, StoreError, open_readable, open_writable
from ems.store.encoding import to_instant, to_json

log = logging.getLogger(__name__)

FILE = "requests.db"
BUSY_S = 5.0

Kind = Literal["override", "mode", "lockout", "release_all", "ev", "ev_waiting", "release"]

CHAINED_BODY = "request_body(target, value, reason, by, expires_at)"

SCHEMA = Schema(
    name="requests",
    version=2,
    ddl="""
    CREATE TABLE request (
      id INTEGER PRIMARY KEY, kind TEXT NOT NULL, target TEXT NOT NULL, value TEXT NOT NULL,
      reason TEXT NOT NULL, by TEXT NOT NULL, at TEXT NOT NULL, expires_at TEXT, hash TEXT NOT NULL
    )
    """,
    upgrades={1: lambda connection: chain_up(connection, "request", CHAINED_BODY)},
    functions=FUNCTIONS,
)

_COLUMNS = "id, kind, target, value, reason, by, at, expires_at"
_INSERT = appended("request", "kind, target, value, reason, by, at, expires_at", CHAINED_BODY)
_ONE_OF_MANY = "CASE kind WHEN 'ev_waiting' THEN json_extract(value, '$.car') END"
_NEWEST_IDS = f"SELECT max(id) FROM request GROUP BY kind, target, {_ONE_OF_MANY}"  # noqa: S608
_NEWEST = (
    f"SELECT {_COLUMNS} FROM request WHERE id IN ({_NEWEST_IDS}) AND kind <> 'release' "  # noqa: S608
    "AND (expires_at IS NULL OR expires_at > ?) ORDER BY id"
)
_RELEASES = f"SELECT {_COLUMNS} FROM request WHERE kind = 'release' AND id > ?"  # noqa: S608
_LAST = "SELECT ifnull(max(id), 0) FROM request"
_AFTER = f"SELECT {_COLUMNS} FROM request WHERE id > ? ORDER BY id"  # noqa: S608


class RequestError(ValueError):
    """A request that may not be stored: the message names the field, its value and the remedy."""


@dataclass(frozen=True, slots=True)
class Request:
    """One wish.

    Args:
        kind: `override` an asset's power, `mode` or `lockout` of a device, `release_all` of the site, a car at a charge
            point (`ev`) or waiting for one (`ev_waiting`, of a car park), or the `release` of an earlier request.
        target: asset, device or site id.
        value: what is asked, for example `{"power_kw": 4.2}` or `{"energy_kwh": 20.0, "departure": "..."}`.
        reason: why, in words.
        by: who asks.
        at: UTC instant of asking.
        expires_at: UTC instant at which it ends by itself; None holds until released.
        id: its number in the store, 0 before it is stored.
    """

    kind: Kind
    target: str
    value: Mapping[str, Any]
    reason: str
    by: str
    at: datetime
    expires_at: datetime | None = None
    id: int = 0


def submit(state_dir: Path | str, request: Request) -> int:
    """Store a request and give its number; waits up to 5 s for other writers.

    Raises:
        RequestError: a field is missing or contradicts another.
        StoreError: the file cannot be written.
    """
    _check(request)
    connection = open_writable(Path(state_dir) / FILE, SCHEMA, durable=True, busy_s=BUSY_S)
    try:
        return int(connection.execute(_INSERT, _row(request)).lastrowid or 0)
    except sqlite3.Error as error:
        raise StoreError(f"the request for {request.target} was not stored: {error}; try again") from error
    finally:
        connection.close()


def release(state_dir: Path | str, what: int | str, by: str, reason: str, at: datetime) -> int:
    """End a request before its time by its number, or all requests for a target; gives the number of the release row.

    Raises:
        RequestError: who or why is missing.
        StoreError: the file cannot be written.
    """
    value = {"id": what} if isinstance(what, int) else {}
    return submit(state_dir, Request("release", str(what), value, reason, by, at))


class RequestBox:
    """The reading end, in the core: what is new, and what is in force.

    Args:
        state_dir: folder of the request file, made if missing.
        clock: gives the present for `active` when none is named.

    Raises:
        StoreError: the file is of a newer version, damaged or cannot be made.
    """

    def __init__(self, state_dir: Path | str, clock: Clock) -> None:
        path = Path(state_dir) / FILE
        open_writable(path, SCHEMA, durable=True, busy_s=BUSY_S).close()
        connection = open_readable(path, SCHEMA)
        assert connection is not None
        self._connection = connection
        self._clock = clock
        self._failing = False
        self._seen = int(self._connection.execute(_LAST).fetchone()[0])
        self._held: tuple[int, list[Request]] = (-1, [])
        self._held_since = clock.now()

    def poll(self) -> list[Request]:
        """Give requests and releases that arrived since the box was opened or last polled, oldest first.

        A file that cannot be read gives none and is logged once: control goes on with what it knows.
        """
        try:
            rows = self._connection.execute(_AFTER, (self._seen,)).fetchall()
        except sqlite3.Error as error:
            if not self._failing:
                log.error("requests cannot be read: %s; those in force stay in force", error)
            self._failing = True
            return []
        if self._failing:
            log.warning("requests can be read again")
            self._failing = False
        if rows:
            self._seen = rows[-1][0]
        return [_request(row) for row in rows]

    def active(self, now: datetime | None = None) -> list[Request]:
        """Give the requests in force, oldest first: the newest of each kind and target, not expired, not released.

        Raises:
            StoreError: the file cannot be read.
        """
        now = now or self._clock.now()
        try:
            last = int(self._connection.execute(_LAST).fetchone()[0])
            if last != self._held[0] or now < self._held_since:
                # Nothing is ever changed: what is in force now stays so until its end, or until there is a new row.
                self._held, self._held_since = (last, _in_force(self._connection, now)), now
        except sqlite3.Error as error:
            raise StoreError(f"requests cannot be read: {error}") from error
        return [request for request in self._held[1] if request.expires_at is None or request.expires_at > now]

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


def read_active(state_dir: Path | str, now: datetime) -> list[Request]:
    """Give the requests in force to a process that only looks; none if there is no file yet.

    Raises:
        StoreError: the file is of a newer version or damaged.
    """
    connection = open_readable(Path(state_dir) / FILE, SCHEMA)
    if connection is None:
        return []
    try:
        return _in_force(connection, now)
    except sqlite3.Error as error:
        raise StoreError(f"requests cannot be read: {error}") from error
    finally:
        connection.close()


def _in_force(connection: sqlite3.Connection, now: datetime) -> list[Request]:
    """Give the newest of each kind and target that is neither over nor released, oldest first."""
    newest = [_request(row) for row in connection.execute(_NEWEST, (to_instant(now),))]
    first = newest[0].id if newest else 0
    releases = [_request(row) for row in connection.execute(_RELEASES, (first,))] if newest else []
    return [request for request in newest if not _is_released(request, releases)]


def _is_released(request: Request, releases: Iterable[Request]) -> bool:
    return any(row.id > request.id and _ends(row.value, row.target, request) for row in releases)


def _ends(value: Mapping[str, Any], target: str, request: Request) -> bool:
    """Tell whether a release means a request: by its number, by target and car, or by target alone."""
    if "id" in value:
        return bool(value["id"] == request.id)
    return target == request.target and ("car" not in value or value["car"] == request.value.get("car"))


def _check(request: Request) -> None:
    if request.kind not in get_args(Kind):
        raise RequestError(f"kind: {request.kind!r} is none of {', '.join(get_args(Kind))}")
    for name in ("target", "reason", "by"):
        if not getattr(request, name).strip():
            raise RequestError(f"{name}: is empty; a {request.kind} request names its {name}")
    if request.at.tzinfo is None or (request.expires_at is not None and request.expires_at.tzinfo is None):
        raise RequestError("at, expires_at: give instants with a time zone")
    if request.expires_at is not None and request.expires_at <= request.at:
        raise RequestError(f"expires_at: {request.expires_at} is not after {request.at}")


def _row(request: Request) -> tuple[object, ...]:
    expires = None if request.expires_at is None else to_instant(request.expires_at)
    value = to_json(request.value)
    return (request.kind, request.target, value, request.reason, request.by, to_instant(request.at), expires)


def _request(row: tuple[Any, ...]) -> Request:
    number, kind, target, value, reason, by, at, expires_at = row
    expires = None if expires_at is None else datetime.fromisoformat(expires_at)
    return Request(kind, target, json.loads(value), reason, by, datetime.fromisoformat(at), expires, number)
