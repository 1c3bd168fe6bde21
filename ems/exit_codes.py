"""What the exit status of every `ems` command says to a script."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """The exit status of a command."""

    OK = 0
    FAILURE = 1
    USAGE = 2
    CONFIG = 3
    UNREACHABLE = 4
    DEGRADED = 5
    INFEASIBLE = 6
    DENIED = 7
    INTERRUPTED = 130


class CommandError(Exception):
    """A command cannot do what was asked: the message names the thing, the value and the remedy."""

    def __init__(self, message: str, status: Exit = Exit.FAILURE) -> None:
        super().__init__(message)
        self.status = status
