"""The bench's end of the lock-step line: it tells the world how far to move and hears what happened on the way."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from ems.clock import SystemClock


class WorldError(Exception):
    """The world's process ended or answered what cannot be used."""


class WorldLine:
    """A JSON-lines connection to `ems hil serve --lockstep`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def connect(cls, socket: Path, process: asyncio.subprocess.Process) -> WorldLine:
        """Wait for the world to open its line; raises `WorldError` if its process ends first."""
        clock = SystemClock()
        while process.returncode is None:
            try:
                return cls(*await asyncio.open_unix_connection(str(socket), limit=64 * 2**20))
            except OSError:
                await clock.sleep(0.05)
        raise WorldError(f"the pretend world ended with status {process.returncode} before it opened {socket}")

    async def ask(self, op: str, **fields: Any) -> dict[str, Any]:
        """Send one request and await its answer; raises `WorldError`."""
        self._writer.write(json.dumps({"op": op, **fields}).encode() + b"\n")
        await self._writer.drain()
        line = await self._reader.readline()
        if not line:
            raise WorldError(f"the pretend world hung up at {op!r}: its own messages say why")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise WorldError(f"the pretend world refused {op!r}: {answer['error']}")
        return answer

    async def close(self) -> None:
        """Hang up."""
        self._writer.close()
        await self._writer.wait_closed()
