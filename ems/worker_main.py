"""The solver process: reads questions from stdin, writes plans to stdout, crashes rather than guesses.

Each message is a length of eight bytes and a pickle. The first one says which feeder; the answer `ready` follows when
everything is loaded. An error ends the process with its traceback on stderr: its parent starts a fresh one.
"""

from __future__ import annotations

import gc
import os
import pickle
import sys
from contextlib import suppress
from typing import Any, BinaryIO

from ems.worker import LENGTH, READY, answer_ahead, load_planner
from optimization.month_ahead import MonthAhead

NICE = 5


def main() -> int:
    """Serve questions until stdin ends."""
    source, sink = sys.stdin.buffer, _private_stdout()
    os.nice(NICE)
    feeder = _receive(source)
    if feeder is None:
        return 0
    planner = load_planner(feeder)
    gc.freeze()
    _send(sink, READY)
    # A parent that was killed meanwhile wants no answer any more.
    with suppress(BrokenPipeError):
        while (question := _receive(source)) is not None:
            _send(sink, answer_ahead(question) if isinstance(question, MonthAhead) else planner.plan(*question))
    return 0


def _private_stdout() -> BinaryIO:
    """Keep the pipe for answers and turn everybody else's stdout to stderr: libraries print."""
    sink = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return sink


def _receive(source: BinaryIO) -> Any:
    """Read one message; None at the end of the stream."""
    head = source.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack(head)
    # The peer is the process that started this one; nobody else holds the other end of the pipe.
    return pickle.loads(source.read(length))  # noqa: S301


def _send(sink: BinaryIO, message: object) -> None:
    data = pickle.dumps(message)
    sink.write(LENGTH.pack(len(data)) + data)
    sink.flush()


if __name__ == "__main__":
    sys.exit(main())
