"""What a store's writing thread is given and tells: see `ems/store/writer.py`."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

Turn = Callable[[Callable[[], None]], None]
"""Calls what it is given, soon and on the caller's own thread: for a run that is to repeat to the last digit."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One SQL statement with its parameters."""

    sql: str
    parameters: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Relief:
    """What is done about a full disk.

    Args:
        hold: says why rows must wait in memory, empty if they need not.
        refused: asked when the disk refuses; tells whether a second try is worth while.
    """

    hold: Callable[[], str] = lambda: ""
    refused: Callable[[sqlite3.Error], bool] = lambda _: False


@dataclass(frozen=True, slots=True)
class Upkeep:
    """What is done about the file itself, on the writing thread; both raise `sqlite3.Error` to be asked again.

    Args:
        turn: called before each batch with the open file; gives the one to write to, the same or a new one.
        mend: called with a file that turns out to be damaged; gives a new one. None leaves it as it is.
    """

    turn: Callable[[sqlite3.Connection], sqlite3.Connection] = lambda connection: connection
    mend: Callable[[sqlite3.Connection], sqlite3.Connection] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """Statements that are committed together, and the future of the last one's row id."""

    statements: tuple[Statement, ...]
    future: Future[int]


@dataclass(frozen=True, slots=True)
class Backlog:
    """What has not reached the disk.

    Args:
        waiting: tasks in the queue.
        unwritten: tasks that the disk refused, kept and tried again.
        lost: tasks that memory could not keep.
        failing: why the disk refuses, empty while all is well.
        spilt: how many of the unwritten ones are in a file, and not in memory only.
    """

    waiting: int
    unwritten: int
    lost: int
    failing: str
    spilt: int = 0
