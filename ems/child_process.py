"""How a process that was started for work is talked to: a length of eight bytes and a pickle, each way, over its pipes.

Law: only what this process started itself is read; nobody else holds the other end of its pipe.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import struct
import sys
from asyncio import create_subprocess_exec
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from typing import Any, BinaryIO

from ems.one_thread import ONE_THREAD

LENGTH = struct.Struct(">Q")
LARGEST_BYTES = 256 * 2**20
BROKEN = (EOFError, OSError, pickle.UnpicklingError, ValueError)
"""What `exchange` raises where the other end is dead or talks nonsense."""


async def begin(command: Sequence[str]) -> Process:
    """Start it in a session of its own, with one thread of linear algebra: the other core belongs to control.

    Raises:
        OSError: it cannot be started.
    """
    environment = {**os.environ, **ONE_THREAD}
    return await create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, start_new_session=True, env=environment)


async def exchange(process: Process | None, message: object) -> Any:
    """Send a message and give the answer; raises one of `BROKEN`."""
    if process is None or process.stdin is None or process.stdout is None:
        raise EOFError("there is no process")
    data = pickle.dumps(message)
    process.stdin.write(LENGTH.pack(len(data)) + data)
    await process.stdin.drain()
    (length,) = LENGTH.unpack(await process.stdout.readexactly(LENGTH.size))
    if length > LARGEST_BYTES:
        raise ValueError(f"a message of {length} bytes")
    return pickle.loads(await process.stdout.readexactly(length))  # noqa: S301 - see the law


async def end(process: Process | None) -> None:
    """Kill it with all that it started, and wait until it is gone."""
    if process is None:
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    if process.stdin is not None:
        process.stdin.close()
    await process.wait()


def private_stdout() -> BinaryIO:
    """Keep the pipe for answers and turn everybody else's stdout to stderr: libraries print."""
    sink = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return sink


def receive(source: BinaryIO) -> Any:
    """Read one message; None at the end of the stream."""
    head = source.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack(head)
    return pickle.loads(source.read(length))  # noqa: S301 - see the law


def send(sink: BinaryIO, message: object) -> None:
    """Write one message."""
    data = pickle.dumps(message)
    sink.write(LENGTH.pack(len(data)) + data)
    sink.flush()
