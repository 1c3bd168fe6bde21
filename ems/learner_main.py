"""The process that learns: reads homework from stdin, writes what it learned to stdout, ends when nobody asks more."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from ems.child_process import private_stdout, receive, send
from optimization.forecast.homework import learn

NICE = 15
"""Behind control and behind the solver: a lesson has time."""


def main() -> int:
    """Learn what is asked until stdin ends."""
    source, sink = sys.stdin.buffer, private_stdout()
    os.nice(NICE)
    # A parent that was killed meanwhile wants no answer any more.
    with suppress(BrokenPipeError):
        while (homework := receive(source)) is not None:
            send(sink, learn(homework))
    return 0


if __name__ == "__main__":
    sys.exit(main())
