"""Stands between the daemon and its devices, its journal and its onlookers, and tells the judge what passes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from datetime import datetime
from pathlib import Path
from typing import Any

from drivers.driver import Driver
from drivers.points import Measurement, Point, Setpoint, WriteResult
from ems.clock import Clock
from ems.live import LiveServer
from ems.ownership import RECORD_FILE, Owner, read_record
from ems.store.audit import verify
from ems.store.encoding import to_json
from ems.store.journal import Journal, read_records
from ems.store.reserve import Reserve
from ems.store.tasks import Turn
from hil.simulation.invariants import Intent, Invariant, Judge, Violation
from hil.simulation.loop import SeededLoop


class WatchedDriver:
    """A real driver, of which everything that passes is judged.

    Args:
        driver: the real one.
        judge: who judges.
        clock: time.
        owner: of the process that writes. state: the site's state folder.
    """

    def __init__(self, driver: Driver, judge: Judge, clock: Clock, owner: Callable[[], Owner], state: Path) -> None:
        self._driver, self._judge, self._clock = driver, judge, clock
        self._owner, self._state = owner, state

    @property
    def device(self) -> str:
        """Id of the device."""
        return self._driver.device

    @property
    def points(self) -> Mapping[str, Point]:
        """All points by id."""
        return self._driver.points

    @property
    def has_watchdog(self) -> bool:
        """Whether the device falls back by itself."""
        return self._driver.has_watchdog

    async def read(self) -> Sequence[Measurement]:
        """Read, and tell the judge what was read."""
        told = await self._driver.read()
        self._judge.saw(told, self._clock.monotonic())
        return told

    async def write(self, setpoints: Sequence[Setpoint], lease_s: float) -> Sequence[WriteResult]:
        """Have it judged, write, and tell what became of it."""
        began_s = self._clock.monotonic()
        self._own()
        self._judge.before_write(setpoints, lease_s, began_s)
        results: Sequence[WriteResult] = ()
        try:
            results = await self._driver.write(setpoints, lease_s)
        finally:
            self._judge.after_write(setpoints, results, began_s, self._clock.monotonic())
        return results

    async def close(self) -> None:
        """Close the link."""
        await self._driver.close()

    def _own(self) -> None:
        """Judge whether the epoch that writes is the one that owns the site (I7)."""
        epoch, record = self._owner().epoch, read_record(self._state)
        now_s = self._clock.monotonic()
        if record is None or epoch != record.epoch or not record.is_fresh(now_s):
            said = (
                "there is none" if record is None else f"epoch {record.epoch}, renewed at {record.renewed_monotonic_s}"
            )
            facts = f"{self.device} is written under epoch {epoch}; {RECORD_FILE} says {said}"
            self._judge.tell(Violation(Invariant.OWNER, now_s, facts))


class WatchedJournal(Journal):
    """The real journal, of which everything acknowledged is remembered until it was read back.

    Args:
        path: the file. clock: of records that name no instant. judge: who judges. turn: gives the writing its turns.
        reserve: of the disk.
    """

    def __init__(self, path: Path, clock: Clock, judge: Judge, turn: Turn, reserve: Reserve) -> None:
        super().__init__(path, clock, durable=False, turn=turn, reserve=reserve)
        self._judge = judge
        self.acknowledged: dict[int, str] = {}

    def record(self, kind: str, body: Mapping[str, Any], *, at: datetime | None = None) -> Future[int]:
        """Append, and remember what was acknowledged."""
        text = to_json(body)
        future = super().record(kind, body, at=at)
        if kind == "intent":
            intent = Intent(body["value"], body["rung"], body["reason"], lambda: _is_kept(future))
            self._judge.heard_intent(body["point"], intent)
        elif kind == "result":
            self._judge.heard_result(body["point"])
        future.add_done_callback(lambda done: self._kept(kind, text, done))
        return future

    def _kept(self, kind: str, text: str, done: Future[int]) -> None:
        if _is_kept(done):
            self.acknowledged[done.result()] = _hash(kind, text)


def _is_kept(future: Future[int]) -> bool:
    return future.done() and not future.cancelled() and future.exception() is None


def _hash(kind: str, text: str) -> str:
    return hashlib.sha256(f"{kind} {text}".encode()).hexdigest()


def check_kept(path: Path, acknowledged: Mapping[int, str], judge: Judge, now_s: float) -> None:
    """Read every acknowledged record back after the process has died (I9)."""
    after_id = min(acknowledged, default=1) - 1
    found: dict[int, str] = {}
    while records := read_records(path, after_id=after_id):
        found |= {record.id: _hash(record.kind, to_json(record.body)) for record in records}
        after_id = records[-1].id
    gone = [number for number, expected in acknowledged.items() if found.get(number) != expected]
    judge.lost_records += len(gone)
    if gone:
        how = "lost" if gone[0] not in found else "another one"
        facts = f"record {gone[0]} was acknowledged and is {how} after the crash; {len(gone)} in all"
        judge.tell(Violation(Invariant.KEPT, now_s, facts))


def check_chain(state: Path, judge: Judge, now_s: float) -> None:
    """Verify the chains of audit as an auditor would (I8); without a durable disk nobody signs them."""
    for wrong in [each for each in verify(state).wrong if each.entry is not None][:1]:
        facts = f"the chain of {wrong.file} breaks at entry {wrong.entry}: {wrong.why}"
        judge.tell(Violation(Invariant.JOURNALLED, now_s, facts))


class WatchedLive(LiveServer):
    """Live values for nobody; what the daemon publishes at the end of a cycle is the sign that there was one."""

    def __init__(self, state_dir: Path, on_cycle: Callable[[], None]) -> None:
        super().__init__(state_dir)
        self._on_cycle = on_cycle

    async def start(self) -> None:
        """Listen to nobody."""

    def publish(self, snapshot: Any, *, heavy: bool = False) -> None:  # noqa: ARG002 - the contract of live values
        """Tell that a cycle is over."""
        self._on_cycle()

    async def close(self) -> None:
        """Close nothing."""


class Turns:
    """Gives the stores' writing its turns on the loop, while the process lives."""

    def __init__(self, loop: SeededLoop) -> None:
        self._loop = loop
        self._waiting: list[Callable[[], None]] = []
        self.alive = True
        loop.other_threads = self.take

    def __call__(self, turn: Callable[[], None]) -> None:
        """Call soon."""
        self._waiting.append(turn)
        self._loop.call_soon(self.take)

    def take(self) -> None:
        """Call what waits; nothing any more once the process is dead."""
        waiting, self._waiting = self._waiting, []
        for turn in waiting if self.alive else ():
            turn()
