"""Who may write to the devices: one process, proven by a lock, a fencing epoch and a renewed record.

Law 1: an owner holds the lock `owner.lock`, has written its epoch into `owner.json`, and renews the record there.
Law 2: a record older than its lease is void. A process that was stopped for longer is no owner any more and never
writes under that epoch again; it must acquire anew.
Law 3: whoever takes over raises the epoch, so that the old owner sees it before its next write.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import IO, Literal

from ems.clock import Clock
from ems.config.state import make_state_dir

log = logging.getLogger(__name__)

LOCK_FILE = "owner.lock"
RECORD_FILE = "owner.json"
RECORD_LOCK_FILE = "owner.json.lock"
_DISK_CHECK_S = 1.0
_RENEWALS_A_LEASE = 20
_RECORD_LENGTH = 512

Role = Literal["core", "guard"]


class NotOwner(Exception):
    """Another process owns the site: the message names it and the remedy."""


@dataclass(frozen=True, slots=True)
class OwnerRecord:
    """What `owner.json` says.

    Args:
        epoch: counts the owners this folder has had; a higher one fences off every lower one.
        pid: process id of the owner.
        role: whether the core steers or the guard has taken over.
        renewed_monotonic_s: instant of the last renewal on the system-wide monotonic clock [s].
        lease_s: how long a renewal holds [s], in seconds of the same clock.
        boot_id: of the running system; monotonic instants of another boot mean nothing.
        settled: the guard's own note that every safe value has been applied.
        released: the core's last note: it has stopped in good order and gives the site back.
    """

    epoch: int
    pid: int
    role: Role
    renewed_monotonic_s: float
    lease_s: float
    boot_id: str
    settled: bool = False
    released: bool = False

    def is_fresh(self, now_s: float) -> bool:
        """Tell whether the record was renewed in this boot and within its lease; `now_s` is monotonic [s]."""
        return self.boot_id == boot_id() and abs(now_s - self.renewed_monotonic_s) <= self.lease_s


_FIELDS = tuple(each.name for each in fields(OwnerRecord))


class Owner:
    """This process as owner of a site.

    Args:
        state_dir: the site's state folder, made if missing.
        clock: whose monotonic seconds the lease counts; the guard must be given the same clock.
        lease_s: how long a renewal holds [s].
    """

    def __init__(self, state_dir: Path | str, clock: Clock, lease_s: float) -> None:
        self._state_dir = Path(state_dir)
        self._clock = clock
        self._lease_s = lease_s
        self.after_boot = False
        """Whether the site was last owned before this machine was started: the whole site's power may have failed."""
        self._lock: IO[str] | None = None
        self._record: OwnerRecord | None = None
        self._checked_s = 0.0
        self._failing = ""
        self._renewing: asyncio.Task[bool] | None = None
        self._changing = threading.Lock()

    @property
    def epoch(self) -> int:
        """The epoch under which this process writes; 0 while it is no owner."""
        return self._record.epoch if self._record else 0

    def acquire(self) -> None:
        """Become the owner under a new epoch.

        Raises:
            NotOwner: another process holds the lock.
        """
        self.release()
        make_state_dir(self._state_dir)
        with record_locked(self._state_dir):
            self._lock = _try_lock(self._state_dir / LOCK_FILE)
            if self._lock is None:
                raise NotOwner(_taken(self._state_dir))
            before = read_record(self._state_dir)
            self.after_boot = before is not None and before.boot_id != boot_id()
            self._record = write_record(
                self._state_dir, "core", now_s=self._clock.monotonic(), lease_s=self._lease_s, settled=False
            )
        self._checked_s = self._clock.monotonic()
        log.info("this process owns %s under epoch %d", self._state_dir, self._record.epoch)

    async def keep(self, wait_s: float) -> bool:
        """Renew the record where a twentieth of its lease has passed; False if ownership is lost for ever (see law 2).

        A busy file system holds up any change of a file, for longer than a control cycle may last: the record is
        renewed on a thread, and only so long is waited for it [s]. One renewal is under way at a time.
        """
        if self._renewing is None or self._renewing.done():
            record = self._record
            if (
                record is None
                or self._clock.monotonic() - record.renewed_monotonic_s < self._lease_s / _RENEWALS_A_LEASE
            ):
                return self.valid()
            self._renewing = asyncio.create_task(asyncio.to_thread(self.renew))
        with suppress(TimeoutError):
            await self._clock.wait_for(asyncio.shield(self._renewing), wait_s)
        return self.valid()

    def renew(self) -> bool:
        """Renew the record; False if ownership is lost for ever (see law 2). Never waits.

        A renewal that finds the record locked by a guard that looks is left out: the next one is a cycle away.
        """
        if not self.valid():
            return False
        try:
            with record_locked(self._state_dir, wait=False) as locked:
                if locked:
                    self._renew_locked()
        except OSError as error:
            self._tell_disk(f"{self._state_dir} takes no renewal: {error}; ownership ends with the lease")
        else:
            self._tell_disk("")
        return self.valid()

    def _tell_disk(self, failing: str) -> None:
        if failing and not self._failing:
            log.error("%s", failing)
        elif self._failing and not failing:
            log.warning("%s takes renewals again", self._state_dir)
        self._failing = failing

    def _renew_locked(self) -> None:
        mine = self._record
        if mine is None or not self._is_mine_on_disk():
            return
        renewed = replace(mine, renewed_monotonic_s=self._clock.monotonic())
        # A process can be stopped between any two lines: what has run out meanwhile is not renewed.
        if not mine.is_fresh(renewed.renewed_monotonic_s):
            return
        _store(self._state_dir, renewed, durable=False)
        with self._changing:
            # What was lost or given back meanwhile stays so.
            if self._record is mine and mine.is_fresh(self._clock.monotonic()):
                self._record = renewed

    def valid(self) -> bool:
        """Tell whether this process may write now; to be asked before every write. False stays False."""
        if self._record is None:
            return False
        now_s = self._clock.monotonic()
        if not self._record.is_fresh(now_s):
            self._lose(f"it was not renewed for {now_s - self._record.renewed_monotonic_s:.1f} s")
        elif now_s - self._checked_s >= _DISK_CHECK_S:
            self._is_mine_on_disk()
        return self._record is not None

    def release(self, *, stopped: bool = False) -> None:
        """Give the lock back. The record stays, so that the guard finds out and sets safe values. Idempotent.

        Args:
            stopped: whether the owner has stopped in good order, which the record then says; a loss never says so.
        """
        if stopped and self.valid():
            self._note_release()
        with self._changing:
            self._record = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _note_release(self) -> None:
        try:
            with record_locked(self._state_dir):
                if self._record is not None and self._is_mine_on_disk():
                    _store(self._state_dir, replace(self._record, released=True), durable=True)
                with self._changing:
                    self._record = None
        except OSError as error:
            log.warning("%s takes no note of the stop: %s; the guard will call it a loss", self._state_dir, error)

    def _is_mine_on_disk(self) -> bool:
        self._checked_s = self._clock.monotonic()
        mine, on_disk = self._record, read_record(self._state_dir)
        if mine is not None and (on_disk is None or on_disk.epoch != mine.epoch):
            self._lose(f"epoch {on_disk.epoch if on_disk else 'unknown'} has taken over")
        return self._record is not None

    def _lose(self, why: str) -> None:
        log.error(
            "ownership of %s under epoch %d is lost: %s; nothing more is written", self._state_dir, self.epoch, why
        )
        with self._changing:
            self._record = None


def read_record(state_dir: Path) -> OwnerRecord | None:
    """Read `owner.json`; None if there never was an owner or the file cannot be understood."""
    try:
        with open(f"{state_dir}/{RECORD_FILE}", "rb", buffering=0) as file:  # noqa: PTH123 - at every write of a device
            return _understood(file.read())
    except (OSError, ValueError, TypeError):
        return None


@lru_cache(maxsize=2)
def _understood(text: bytes) -> OwnerRecord:
    return OwnerRecord(**json.loads(text))


def write_record(state_dir: Path, role: Role, *, now_s: float, lease_s: float, settled: bool) -> OwnerRecord:
    """Write this process in as owner under the next epoch; the caller holds `record_locked`."""
    before = read_record(state_dir)
    epoch = (before.epoch if before else 0) + 1
    record = OwnerRecord(epoch, os.getpid(), role, now_s, lease_s, boot_id(), settled)
    _store(state_dir, record, durable=True)
    return record


def settle_record(state_dir: Path, record: OwnerRecord) -> None:
    """Note that the guard's safe values are applied, unless a newer epoch has begun."""
    with record_locked(state_dir):
        current = read_record(state_dir)
        if current is not None and current.epoch == record.epoch:
            _store(state_dir, replace(record, settled=True), durable=True)


def is_lock_held(state_dir: Path) -> bool:
    """Tell whether some process holds the owner's lock; the caller holds `record_locked`, as whoever takes it does."""
    lock = _try_lock(state_dir / LOCK_FILE)
    if lock is None:
        return True
    lock.close()
    return False


def refuse_second(state_dir: Path) -> None:
    """Tell a process early that it may not become the owner; whoever may still has to acquire. Raises `NotOwner`.

    It changes nothing, and waits for no lease.
    """
    if not (state_dir / LOCK_FILE).exists():
        return
    with record_locked(state_dir):
        held = is_lock_held(state_dir)
    if held:
        raise NotOwner(_taken(state_dir))


@contextmanager
def record_locked(state_dir: Path, *, wait: bool = True) -> Iterator[bool]:
    """Hold the short lock that protects changes of `owner.json`; gives False if it is taken and `wait` is not set."""
    with open(f"{state_dir}/{RECORD_LOCK_FILE}", "ab") as file:  # noqa: PTH123 - once a cycle
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
        else:
            yield True


def boot_id() -> str:
    """Name the running system's boot."""
    return _BOOT_ID


def _read_boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


_BOOT_ID = _read_boot_id()


def _try_lock(path: Path) -> IO[str] | None:
    file = path.open("a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


def _taken(state_dir: Path) -> str:
    record = read_record(state_dir)
    who = f"process {record.pid} under epoch {record.epoch}" if record else "another process"
    return f"{who} owns {state_dir}: stop it, or give this one another state folder"


def _store(state_dir: Path, record: OwnerRecord, *, durable: bool) -> None:
    """Replace the record in one step; a new epoch also survives a power cut.

    A full disk must not end control: every record has the same length, so that it can be written in place.
    """
    said = {name: getattr(record, name) for name in _FIELDS}
    text = json.dumps(said).ljust(_RECORD_LENGTH).encode()
    path = f"{state_dir}/{RECORD_FILE}"
    part = f"{path}.part"
    try:
        _write(part, text, mode="wb", durable=durable)
        os.replace(part, path)  # noqa: PTH105 - once a cycle
    except OSError:
        _write(path, text, mode="r+b", durable=durable)


def _write(path: str, text: bytes, *, mode: str, durable: bool) -> None:
    with open(path, mode) as file:  # noqa: PTH123 - once a cycle
        file.write(text)
        if durable:
            file.flush()
            os.fsync(file.fileno())
