"""What the daemon keeps things in: opened together by the one process that owns the site, closed together."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ems.clock import Clock, ScaledClock
from ems.live import LiveServer
from ems.ownership import Owner
from ems.slow.planning_setup import history_path
from ems.store.history import History
from ems.store.journal import FILE, Journal
from ems.store.requests import RequestBox

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

    def record(self, kind: str, body: Mapping[str, Any]) -> Future[int]:
        """Append to the journal."""
        return self.journal.record(kind, body)

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
    owner = Owner(state_dir, clock, max(lease_s, LEAST_LEASE_WALL_S * speed(clock)))
    owner.acquire()
    journal = Journal(journal_path(state_dir), clock, durable)
    history = History(history_path(state_dir), durable, gather_s=SCANS_GATHER_S if durable else 0.0)
    return Stores(journal, history, RequestBox(state_dir, clock), owner, LiveServer(state_dir))
