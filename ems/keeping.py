"""Keeps the history in order: lets it be sealed, brings its segments into the chain of audit, removes what is over.

Law 1: nothing here is waited for by control; it reads, hashes and removes on threads, and sealing is a process.
Law 2: a scan file is removed once the hashes of its segments stand in the chain, and a segment once its removal does.
Files are removed, never rows.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Iterable, Iterator, Set
from datetime import timedelta
from itertools import islice
from pathlib import Path

from ems.clock import Clock, SystemClock
from ems.config.retention import Retention
from ems.health import Alarms
from ems.store.database import StoreError
from ems.store.journal import FILE, Records, latest_record, segment_records
from ems.store.scan_file import span_us
from ems.store.segments import (
    FOLDER,
    SEGMENT_RECORD,
    Level,
    ScanFile,
    Segment,
    alone,
    counting,
    hashed,
    live_segments,
    scan_files,
    sealable,
    segments,
)
from ems.timetable import Timetable, every

logger = logging.getLogger(__name__)

CHECK_EVERY_S = 60.0
KEEP_HOT = timedelta(hours=2)
"""A sealed scan file stays so long: what is recent is read from it without another process."""
SEAL_PAUSE_S = 300.0
"""Between two runs of sealing [wall s]."""
SEAL_LIMIT_S = 1800.0
COMMIT_WAIT_S = 10.0
MOST_AT_ONCE = 48
"""So many segments at most are hashed in one check."""


class Keeper:
    """Keeps the history of one site.

    Args:
        retention: how long what is kept.
        state_dir: its state folder.
        clock: time.
        journal: takes what is sealed and what is removed.
        alarms: told when the history cannot be sealed or kept in order.
    """

    def __init__(
        self, retention: Retention, state_dir: Path, clock: Clock, *, journal: Records, alarms: Alarms
    ) -> None:
        self._state_dir, self._folder, self._clock = state_dir, state_dir / FOLDER, clock
        self._journal, self._alarms, self._retention = journal, alarms, retention
        self._wall = SystemClock()
        self._sealed_s: float | None = None
        self._not_sealed = ""
        self._known: dict[str, str] = {}
        self._told = 0

    def enter(self, table: Timetable) -> None:
        """Put the minutely check on a timetable; a run of sealing may be cut."""
        table.add("history", every(CHECK_EVERY_S, table.start), self.check, may_be_cut=True)

    async def check(self) -> None:
        """Seal if there is something to seal, then put the history in order; due every minute."""
        due = self._sealed_s is None or self._wall.monotonic() - self._sealed_s >= SEAL_PAUSE_S
        if due and await asyncio.to_thread(self._sealable):
            self._sealed_s = self._wall.monotonic()
            self._not_sealed = await self._seal()
        trouble = await asyncio.to_thread(self._tidy)
        self._alarms.set("history", self._not_sealed or trouble or None, self._clock.now())

    def _sealable(self) -> bool:
        return bool(sealable(self._folder))

    async def _seal(self) -> str:
        """Seal in a process of its own; gives what went wrong, empty if nothing did."""
        line = [sys.executable, "-P", "-m", "ems.store.sealing", str(self._folder)]
        process = await asyncio.create_subprocess_exec(*line, stdin=DEVNULL, stdout=DEVNULL, stderr=PIPE)
        try:
            _, said = await self._wall.wait_for(process.communicate(), SEAL_LIMIT_S)
        except TimeoutError:
            return f"the history is not sealed: that took longer than {SEAL_LIMIT_S:.0f} s; look after the disk"
        finally:
            if process.returncode is None:
                process.kill()
        if not process.returncode:
            return ""
        words = said.decode(errors="replace").strip().rpartition("\n")[2] or f"status {process.returncode}"
        return f"the history is not sealed: {words}; scans stay as they are, and it is tried again"

    def _tidy(self) -> str:
        """Chain what is new and remove what is over; gives what went wrong, empty if nothing did."""
        try:
            with alone(self._folder) as is_alone:
                if is_alone:
                    self._read()
                    self._chain()
                    self._clear()
        except (OSError, StoreError, TimeoutError) as error:
            return f"the history is not kept in order: {error or 'the journal did not commit in time'}"
        return ""

    # ---- the chain --------------------------------------------------------------------------------------------------

    def _chain(self) -> None:
        """Bring the hashes of new segments into the chain, oldest first, some at a time."""
        new = (one for level in Level for one in segments(self._folder, level) if one.name not in self._known)
        for segment in islice(new, MOST_AT_ONCE):
            digest, size = hashed(segment.path)
            self._tell(event="sealed", file=segment.name, sha256=digest, bytes=size)
            self._known[segment.name] = digest

    def _read(self) -> None:
        """Read which segments the chain says are there, unless that is known; a journal begun anew names none."""
        last = latest_record(self._state_dir / FILE, SEGMENT_RECORD)
        number = 0 if last is None else last.id
        if number != self._told:
            self._known, self._told = live_segments(segment_records(self._state_dir)), number

    def _tell(self, **body: str | int) -> None:
        self._told = self._journal.record(SEGMENT_RECORD, body).result(COMMIT_WAIT_S)

    # ---- removing ---------------------------------------------------------------------------------------------------

    def _clear(self) -> None:
        """Remove scan files that are sealed and chained, segments that were joined, and those that are over."""
        for file in self._settled():
            _unlink(file.path)
        now, hot = self._clock.now(), {file.number for file in scan_files(self._folder)}
        rules = self._retention
        days = {Level.RAW: rules.raw_days, Level.MINUTE: rules.minute_days, Level.QUARTER: rules.quarter_hour_days}
        for level in Level:
            found = segments(self._folder, level)
            counted = counting(found)
            for joined in (one for one in found if one not in counted):
                if any(one.first <= joined.first <= one.last and one.name in self._known for one in counted):
                    self._remove(joined, "it was joined")
            kept = timedelta(days=days[level])
            for old in (one for one in counted if one.end <= now - kept and not hot & set(_numbers(one))):
                self._remove(old, f"it is older than {kept.days} days")
        self._keep_below(hot)

    def _settled(self) -> Iterator[ScanFile]:
        """Give the scan files whose every level stands in the chain and that are no longer recent, and empty ones."""
        before = self._clock.now() - KEEP_HOT
        sealed = [
            {n: one for one in segments(self._folder, level) if one.name in self._known for n in _numbers(one)}
            for level in Level
        ]
        for file in scan_files(self._folder)[:-1]:
            if all(file.number in level for level in sealed):
                if sealed[0][file.number].end <= before:
                    yield file
            elif file.number > 0 and span_us(file.path) is None:
                # It was begun, and the process ended before its first scan.
                yield file

    def _keep_below(self, hot: Set[int]) -> None:
        """Remove the oldest scans, then the oldest rollups, until the segments are no larger than the site allows."""
        left = [one for level in Level for one in segments(self._folder, level)]
        size = sum(one.path.stat().st_size for one in left)
        for segment in left:
            if size <= self._retention.most_bytes:
                return
            if not hot & set(_numbers(segment)):
                size -= segment.path.stat().st_size
                self._remove(segment, f"the history is larger than {self._retention.cap_gb:g} GB")

    def _remove(self, segment: Segment, why: str) -> None:
        self._tell(event="removed", file=segment.name, why=why)
        self._known.pop(segment.name, None)
        segment.path.unlink(missing_ok=True)
        logger.info("%s is removed: %s", segment.name, why)


def _numbers(segment: Segment) -> Iterable[int]:
    return range(segment.first, segment.last + 1)


def _unlink(path: Path) -> None:
    """Remove a scan file and what belongs to it."""
    path.unlink(missing_ok=True)
    for end in ("-wal", "-shm"):
        path.with_name(path.name + end).unlink(missing_ok=True)
