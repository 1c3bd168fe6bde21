"""The core's side of the API: a Unix socket in the state folder, one question and one answer a connection.

Law 1: it never holds up control: a question costs microseconds, and only the answer waits for the journal.
Law 2: an answer of 200 says that the journal has it on disk (`stored`), or honestly that it has not yet.
"""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import suppress
from pathlib import Path
from typing import Any

from ems.clock import Clock, unhurried
from ems.limits.desk import LimitDesk
from ems.limits.in_force import Instant
from ems.limits.words import Answer, hear, state
from ems.store.database import StoreError
from ems.store.encoding import to_json
from ems.unix_sockets import address, listener

log = logging.getLogger(__name__)

SOCKET = "limits.sock"
LINE_LIMIT = 2**16
ASKED_WITHIN_S = 5.0
STORED_WITHIN_S = 2.0


class CoreLost(Exception):
    """The core cannot be asked: the message says where it was sought."""


class Door:
    """Answers the API's process.

    Args:
        desk: whom it is handed to.
        clock: stamps what arrives.
        state_dir: folder of the socket; the caller owns it.
    """

    def __init__(self, desk: LimitDesk, clock: Clock, state_dir: Path) -> None:
        self._desk, self._clock, self._state_dir = desk, clock, state_dir
        self._wait_for = unhurried(clock).wait_for
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen. Raises `OSError` if the folder takes no socket."""
        self._server = await asyncio.start_unix_server(
            self._accept, sock=listener(self._state_dir, SOCKET), limit=LINE_LIMIT
        )

    async def close(self) -> None:
        """Stop listening and hang up. Idempotent."""
        if self._server is not None:
            self._server.close()
            self._server = None
            (self._state_dir / SOCKET).unlink(missing_ok=True)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def answer(self, said: dict[str, Any]) -> dict[str, Any]:
        """Answer one question: `status`, `detail`, `stored` and the state in force after it."""
        now = Instant(self._clock.now(), self._clock.monotonic())
        answer = hear(self._desk, said, now)
        told = {"status": answer.status, "detail": answer.detail, "state": state(self._desk, now)}
        return told | {"stored": await self._stored(answer)}

    async def _stored(self, answer: Answer) -> bool:
        if answer.written is None:
            return True
        try:
            await self._wait_for(asyncio.shield(asyncio.wrap_future(answer.written)), STORED_WITHIN_S)
        except (StoreError, OSError, TimeoutError) as error:
            log.warning("the journal has not taken a limit of the grid operator yet: %s", error)
            return False
        return True

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError, ValueError, TimeoutError):
                line = await self._wait_for(reader.readline(), ASKED_WITHIN_S)
                said = json.loads(line)
                if isinstance(said, dict):
                    writer.write(to_json(await self.answer(said)).encode() + b"\n")
                    await self._wait_for(writer.drain(), ASKED_WITHIN_S)
        finally:
            writer.close()


async def ask_core(state_dir: Path, said: dict[str, Any], clock: Clock) -> dict[str, Any]:
    """Ask the core one question; raises `CoreLost`."""
    try:
        told = json.loads(await clock.wait_for(_ask(state_dir, to_json(said)), ASKED_WITHIN_S))
    except (OSError, ValueError, TimeoutError) as error:
        why = str(error) or f"nothing within {ASKED_WITHIN_S:g} s"
        raise CoreLost(f"the core does not answer ({why}); is `ems run` running? Send it again") from error
    if not isinstance(told, dict):
        raise CoreLost("the core answered with no object; are core and API of one version? Send it again")
    return told


async def _ask(state_dir: Path, line: str) -> bytes:
    with address(state_dir, SOCKET) as where:
        reader, writer = await asyncio.open_unix_connection(where, limit=LINE_LIMIT)
    try:
        writer.write(line.encode() + b"\n")
        await writer.drain()
        return await reader.readline()
    finally:
        writer.close()
