"""What the daemon keeps things in: opened together by the one process that owns the site, closed together."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from ems.clock import Clock, ScaledClock
from ems.live import LiveServer
from ems.ownership import Owner
from ems.slow.planning_setup import history_path
from ems.store.damage import move_aside
from ems.store.database import RESTORING, StoreError
from ems.store.history import History
from ems.store.journal import FILE, Journal
from ems.store.requests import RequestBox
from ems.store.reserve import Reserve
from ems.store.spill import spill_path

T = TypeVar("T")

SCANS_GATHER_S = 0.5
"""Scans are flushed to the disk so seldom at most [wall s], however fast the clock runs."""
LEAST_LEASE_WALL_S = 5.0
"""Ownership survives so long a stall of the machine, however fast the clock runs [wall s]."""


class OpenStores(Protocol):
    """Opens what a daemon keeps things in, see `open_stores`."""

    def __call__(self, state_dir: Path, clock: Clock, *, lease_s: float, durable: bool) -> Stores:
        """Own the site, then open everything."""


def journal_path(state_dir: Path) -> Path:
    """Tell where the journal of a site lies."""
    return state_dir / FILE


@dataclass(frozen=True, slots=True)
class Stores:
    """What the daemon keeps things in, and closes at its end."""

    journal: Journal
    history: History
    box: RequestBox
    owner: Owner
    live: LiveServer
    reserve: Reserve | None = None
    damaged: Sequence[str] = ()

    def record(self, kind: str, body: Mapping[str, Any]) -> Future[int]:
        """Append to the journal."""
        return self.journal.record(kind, body)

    def trouble(self) -> str:
        """Say what is wrong with the disk, empty if nothing is: it is full, refuses rows, or has damaged a file."""
        if self.reserve is not None and self.reserve.trouble:
            return self.reserve.trouble
        journal = self.journal.backlog()
        refused = journal.failing or self.history.backlog().failing
        if refused:
            where = spill_path(journal_path(Path())) if journal.spilt else "memory"
            return f"{refused}; rows wait in {where}; look after the disk"
        if self.damaged:
            kept = ", ".join(self.damaged)
            return f"a file was damaged and is kept as {kept}: look after the disk, restore a backup"
        return ""

    def close(self) -> None:
        """Write what is queued, close, and give the site back."""
        self.box.close()
        self.journal.close()
        self.history.close()
        self.owner.release(stopped=True)


def speed(clock: Clock) -> float:
    """Give the clock's seconds a wall second."""
    return clock.speed if isinstance(clock, ScaledClock) else 1.0


def open_stores(state_dir: Path, clock: Clock, *, lease_s: float, durable: bool) -> Stores:
    """Own the site first: a second instance opens nothing."""
    if (state_dir / RESTORING).exists():
        raise StoreError(f"a restore into {state_dir} was interrupted: restore again, or move the directory aside")
    owner = Owner(state_dir, clock, max(lease_s, LEAST_LEASE_WALL_S * speed(clock)))
    owner.acquire()
    with ExitStack() as undone:
        undone.callback(owner.release, stopped=True)
        reserve = Reserve(state_dir) if durable else None
        hospital = _Hospital(clock)
        path, scans = journal_path(state_dir), history_path(state_dir)
        gather_s = SCANS_GATHER_S if durable else 0.0
        journal = _opened(reserve, lambda: Journal(path, clock, durable, reserve=reserve, damaged=hospital.take))
        undone.callback(journal.close)
        hospital.tell(journal)
        history = _opened(
            reserve,
            lambda: History(scans, durable, gather_s=gather_s, reserve=reserve, damaged=hospital.take),
        )
        undone.callback(history.close)
        # A damaged file of requests is not replaced: somebody's lockout may stand in it.
        box = _opened(reserve, lambda: RequestBox(state_dir, clock))
        undone.pop_all()
    return Stores(journal, history, box, owner, LiveServer(state_dir), reserve, hospital.kept)


class _Hospital:
    """Moves damaged files aside, at the start and later, and journals it once there is a journal."""

    def __init__(self, clock: Clock) -> None:
        self.kept: list[str] = []
        self._clock = clock
        self._journal: Journal | None = None

    def take(self, path: Path) -> None:
        """Move a damaged file aside; raises `OSError`."""
        self.kept.append(move_aside(path, self._clock.now()).name)
        if self._journal is not None:
            self._record(self._journal, self.kept[-1])

    def tell(self, journal: Journal) -> None:
        """Journal what was moved aside so far, and from now on what will be."""
        self._journal = journal
        for name in self.kept:
            self._record(journal, name)

    def _record(self, journal: Journal, name: str) -> None:
        journal.record("transition", {"event": "damaged", "file": name})


def _opened(reserve: Reserve | None, make: Callable[[], T]) -> T:
    """Open a store, on a full disk with what is set aside."""
    try:
        return make()
    except StoreError as error:
        cause = error.__cause__
        if reserve is None or not isinstance(cause, sqlite3.Error) or not reserve.journal_refused(cause):
            raise
    return make()
