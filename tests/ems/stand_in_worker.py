"""A solver process for tests that speaks the worker's protocol and then does what its first argument says."""

from __future__ import annotations

import os
import sys
import threading
from dataclasses import replace
from pathlib import Path

from plan_samples import sample_plan

from ems.child_process import private_stdout, receive, send
from optimization.problem import Refused

HANG = threading.Event()


def main() -> None:
    """Behave as asked; files in the second argument's folder make it behave once only."""
    mode, folder = sys.argv[1], Path(sys.argv[2])
    (folder / f"started-{os.getpid()}").touch()
    first = len(list(folder.glob("started-*"))) == 1
    source, sink = sys.stdin.buffer, private_stdout()
    print("a library that prints on stdout")
    if mode == "never_starts":
        sys.exit(3)
    if mode == "slow_start":
        HANG.wait(0.6)
    receive(source)
    send(sink, "ready")
    while (question := receive(source)) is not None:
        answer(mode if first else "good", question[1], sink)


def answer(mode: str, now: object, sink: object) -> None:
    """Answer one question, well or badly."""
    match mode:
        case "good" | "slow_start":
            send(sink, replace(sample_plan(), id=f"by {os.getpid()}", made_at=now))
        case "refuses":
            send(sink, Refused(("the battery is invalid",)))
        case "hangs":
            HANG.wait()
        case "dies":
            os._exit(9)
        case "nonsense":
            sink.write(b"\xff" * 64)
            sink.flush()
        case "no_pickle":
            sink.write((12).to_bytes(8, "big") + b"no pickle at")
            sink.flush()
        case "wrong_type":
            send(sink, {"a": "dictionary"})
        case "half":
            sink.write((1000).to_bytes(8, "big") + b"half an answer")
            sink.flush()
            os._exit(0)


if __name__ == "__main__":
    main()
