"""A disk that is full or fails, below a store's own writing thread; what it does write is really written."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ems.store.reserve import FILE
from hil.simulation.faults import Fault, Kind

RESERVE_BYTES = 16 << 20
"""What is set aside on it: less than a real one, as no fault lasts a day."""
ROOM_BYTES = 1 << 40
"""It has so much room while it is not full."""
ROW_BYTES = 200
"""A row takes so much beside its parameters, its index included."""


class Disk:
    """The disk of one run; what is set aside on it outlasts the process.

    Args:
        state: the daemon's state folder.
        trouble: the fault that is on; None for none.
        reserve_bytes: how much is set aside.
    """

    def __init__(self, state: Path, trouble: Callable[[], Fault | None], reserve_bytes: int = RESERVE_BYTES) -> None:
        self._reserve, self._trouble, self.reserve_bytes = state / FILE, trouble, reserve_bytes
        self._writers: list[Any] = []
        self._full: Fault | None = None
        self._written_bytes = 0

    def free_bytes(self, _folder: Path) -> int:
        """Tell how much room there is: on a full disk what was set aside, once it is given free, less what it took."""
        if not self._is_full():
            return ROOM_BYTES
        return 0 if self._reserve.exists() else max(0, self.reserve_bytes - self._written_bytes)

    def lie_below(self, *stores: Any) -> None:
        """Let the rows of the journal and the history fail in the midst of their transactions, and lines beside them.

        Args:
            stores: those of one process; their writers' own way to a row is replaced, as no other caller needs such a
                door.
        """
        self._writers = [store._writer for store in stores]  # noqa: SLF001 - see above
        for writer in self._writers:
            self._put_below(writer)

    def try_again(self) -> None:
        """Let the writers try what was refused, as their threads do each second."""
        for writer in self._writers:
            if writer.backlog().unwritten:
                writer._write([])  # noqa: SLF001 - see above

    def _put_below(self, writer: Any) -> None:
        execute, tried = writer._execute, 0  # noqa: SLF001

        def attempt(task: Any) -> int:
            nonlocal tried
            fault = self._trouble()
            if fault is not None and fault.kind is Kind.DISK_FAILS:
                tried += 1
                if tried % int(fault.size) == 0:
                    raise _error("disk I/O error", sqlite3.SQLITE_IOERR)
            if not self._takes(sum(_size(statement.parameters) for statement in task.statements)):
                raise _error("database or disk is full", sqlite3.SQLITE_FULL)
            return int(execute(task))

        writer._execute = attempt  # noqa: SLF001
        if (spill := writer._spill) is not None:  # noqa: SLF001
            keep = spill.keep
            spill.keep = lambda rows: self._takes(sum(map(_size, rows))) and bool(keep(rows))

    def _is_full(self) -> bool:
        fault = self._trouble()
        if fault is None or fault.kind is not Kind.DISK_FULL:
            return False
        if fault is not self._full:
            self._full, self._written_bytes = fault, 0
        return True

    def _takes(self, size: int) -> bool:
        """Tell whether so much still fits [bytes], and count it if so."""
        if not self._is_full():
            return True
        if self.free_bytes(self._reserve.parent) < size:
            return False
        self._written_bytes += size
        return True


def _size(parameters: tuple[Any, ...]) -> int:
    return ROW_BYTES + sum(len(one) if isinstance(one, str | bytes) else 8 for one in parameters)


def _error(words: str, code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError(words)
    error.sqlite_errorcode = code
    return error
