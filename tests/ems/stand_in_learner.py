"""A process that learns for tests: it speaks the learner's protocol and then does what its first argument says.

With a file in the folder of its second argument it behaves so for the first lesson only.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

from ems.child_process import private_stdout, receive, send
from optimization.forecast.homework import Learnt


def main() -> None:
    """Answer lessons, well or badly."""
    mode, folder = sys.argv[1], Path(sys.argv[2])
    (folder / f"started-{os.getpid()}").touch()
    source, sink = sys.stdin.buffer, private_stdout()
    print("a library that prints on stdout")
    while (homework := receive(source)) is not None:
        first = not (folder / "asked").exists()
        (folder / "asked").touch()
        match mode if first else "good":
            case "hangs":
                threading.Event().wait()
            case "dies":
                os._exit(9)
            case "nonsense":
                sink.write(b"\xff" * 64)
                sink.flush()
            case "wrong":
                send(sink, {"a": "dictionary"})
            case _:
                send(sink, Learnt(homework.now_s, silent={"linear": f"by {os.getpid()}"}))


if __name__ == "__main__":
    main()
