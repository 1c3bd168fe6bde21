"""The solver process: reads questions from stdin, writes plans to stdout, crashes rather than guesses.

The first message (see `ems/child_process.py`) says which feeder; the answer `ready` follows when everything is loaded.
An error ends the process with its traceback on stderr: its parent starts a fresh one.
"""

from __future__ import annotations

import gc
import os
import sys
from contextlib import suppress

from ems.child_process import private_stdout, receive, send
from ems.worker import READY, answer_ahead, answer_season, load_planner
from optimization.month_ahead import MonthAhead
from optimization.season import Season

NICE = 5


def main() -> int:
    """Serve questions until stdin ends."""
    source, sink = sys.stdin.buffer, private_stdout()
    os.nice(NICE)
    feeder = receive(source)
    if feeder is None:
        return 0
    planner = load_planner(feeder)
    gc.freeze()
    send(sink, READY)
    # A parent that was killed meanwhile wants no answer any more.
    with suppress(BrokenPipeError):
        while (question := receive(source)) is not None:
            match question:
                case MonthAhead():
                    send(sink, answer_ahead(question))
                case Season():
                    send(sink, answer_season(question))
                case _:
                    send(sink, planner.plan(*question))
    return 0


if __name__ == "__main__":
    sys.exit(main())
