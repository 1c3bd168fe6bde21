"""A disk that is full or fails, below a store's own writing thread; what it does write is really written."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

from hil.simulation.faults import Fault, Kind


def on_a_faulty_disk(store: Any, trouble: Callable[[], Fault | None]) -> None:
    """Let a journal's or a history's rows fail in the midst of their transactions; a full disk takes no spill either.

    Args:
        store: the store; its writer's own way to a row is replaced, as no other caller needs such a door.
        trouble: the disk's fault that is on; None for none.
    """
    writer = store._writer  # noqa: SLF001 - see above
    execute, tried = writer._execute, 0  # noqa: SLF001

    def attempt(task: Any) -> int:
        nonlocal tried
        if (fault := trouble()) is not None:
            tried += 1
            if fault.kind is Kind.DISK_FULL:
                raise sqlite3.OperationalError("database or disk is full")
            if tried % int(fault.size) == 0:
                raise sqlite3.OperationalError("disk I/O error")
        return int(execute(task))

    writer._execute = attempt  # noqa: SLF001
    if (spill := writer._spill) is not None:  # noqa: SLF001
        keep = spill.keep

        def keep_or_not(rows: Any) -> bool:
            fault = trouble()
            return (fault is None or fault.kind is not Kind.DISK_FULL) and bool(keep(rows))

        spill.keep = keep_or_not
