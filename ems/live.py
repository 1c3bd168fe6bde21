"""Newest values for whoever looks: a one-way stream of JSON lines on a Unix socket in the state folder.

Law 1: it never holds up control. Each client has a short queue; a slow one loses its oldest lines, not the newest.
Law 2: it is one-way. What a client sends is never read.

What a snapshot says is in `ems/fast/snapshot_view.py`; powers are positive into an asset, instants are ISO 8601 in UTC.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
from collections.abc import AsyncGenerator, Callable, Mapping
from pathlib import Path
from typing import Any

from ems.store.encoding import to_json
from ems.unix_sockets import address, listener

log = logging.getLogger(__name__)

SOCKET = "live.sock"
SCHEMA = "ems.live/1"
_QUEUE = 4
_LINE_LIMIT = 16 * 2**20


Telling = Mapping[str, Any] | Callable[[], Mapping[str, Any]]


class LiveError(Exception):
    """No live values: the message says where they were sought and the remedy."""


class LiveServer:
    """The sending end, in the core.

    Args:
        state_dir: the folder that holds the socket; the caller owns it (see `ems/ownership.py`), so that a socket left
            there belongs to nobody.
    """

    def __init__(self, state_dir: Path | str) -> None:
        self._state_dir = Path(state_dir)
        self._queues: set[asyncio.Queue[bytes]] = set()
        self._clients: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._newest: Telling | None = None
        self._telling: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen. Raises `OSError` if the folder takes no socket."""
        self._server = await asyncio.start_unix_server(self._accept, sock=listener(self._state_dir, SOCKET))

    def publish(self, snapshot: Telling, *, heavy: bool = False) -> None:
        """Hand the newest snapshot to every client; never waits. It must not be changed afterwards.

        Args:
            snapshot: plain data, or what makes them: while nobody listens it is not asked. A value of theirs may be
                such a maker too.
            heavy: whether telling it takes long: it is then put into words by a thread, and what comes meanwhile is
                left out.
        """
        self._newest = snapshot
        if not self._queues:
            return
        if not heavy:
            self._hand_on(_line(snapshot))
        elif self._telling is None or self._telling.done():
            self._telling = asyncio.ensure_future(self._tell(snapshot() if callable(snapshot) else snapshot))

    async def _tell(self, snapshot: Mapping[str, Any]) -> None:
        self._hand_on(await asyncio.to_thread(_line, snapshot))

    def _hand_on(self, line: bytes) -> None:
        for queue in self._queues:
            _put_newest(queue, line)

    async def close(self) -> None:
        """Stop listening and let the clients go. Idempotent."""
        if self._server is not None:
            self._server.close()
            self._server = None
            (self._state_dir / SOCKET).unlink(missing_ok=True)
        tasks = [*self._clients, *([self._telling] if self._telling is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _accept(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._send(writer))
        self._clients.add(task)
        task.add_done_callback(self._clients.discard)

    async def _send(self, writer: asyncio.StreamWriter) -> None:
        # A small buffer below, so that a client that does not read is noticed here and not in the core's memory.
        writer.transport.set_write_buffer_limits(high=0)
        queue: asyncio.Queue[bytes] = asyncio.Queue(_QUEUE)
        if self._newest is not None:
            queue.put_nowait(_line(self._newest))
        self._queues.add(queue)
        try:
            while True:
                writer.write(await queue.get())
                await writer.drain()
        except OSError as error:
            log.debug("a reader of live values went away: %s", error)
        finally:
            self._queues.discard(queue)
            writer.transport.abort()


def read_live(state_dir: Path | str, timeout_s: float = 2.0) -> dict[str, Any]:
    """Read one snapshot, waiting at most so long for it [s].

    Raises:
        LiveError: nobody serves live values there, or too slowly.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(timeout_s)
        try:
            with address(Path(state_dir), SOCKET) as where:
                client.connect(where)
            with client.makefile("rb") as file:
                line = file.readline(_LINE_LIMIT)
        except OSError as error:
            raise LiveError(_unreachable(state_dir, error)) from error
    if not line.endswith(b"\n"):
        raise LiveError(_unreachable(state_dir, "the controller ended before it sent a snapshot"))
    return _parsed(line)


async def follow_live(state_dir: Path | str) -> AsyncGenerator[dict[str, Any], None]:
    """Give each snapshot as it comes, until the controller ends or the caller stops.

    Raises:
        LiveError: nobody serves live values there.
    """
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    client.setblocking(False)
    try:
        with address(Path(state_dir), SOCKET) as where:
            await asyncio.get_running_loop().sock_connect(client, where)
        reader, writer = await asyncio.open_unix_connection(sock=client, limit=_LINE_LIMIT)
    except OSError as error:
        client.close()
        raise LiveError(_unreachable(state_dir, error)) from error
    try:
        with contextlib.suppress(ConnectionError):
            while (line := await reader.readline()).endswith(b"\n"):
                yield _parsed(line)
    finally:
        writer.transport.abort()


def _put_newest(queue: asyncio.Queue[bytes], line: bytes) -> None:
    if queue.full():
        queue.get_nowait()
    queue.put_nowait(line)


def _line(snapshot: Telling) -> bytes:
    plain = snapshot() if callable(snapshot) else snapshot
    return to_json({key: value() if callable(value) else value for key, value in plain.items()}).encode() + b"\n"


def _parsed(line: bytes) -> dict[str, Any]:
    snapshot = json.loads(line)
    if not isinstance(snapshot, dict):
        raise LiveError(f"a live snapshot is a JSON object, not {line[:40]!r}")
    return snapshot


def _unreachable(state_dir: Path | str, why: object) -> str:
    return f"no live values in {state_dir}: {why}; is `ems run` running with this state folder?"
