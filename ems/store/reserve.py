"""Disk space set aside for a full disk: given free for the journal, while scans wait in memory.

Law 1: the journal's rows come before the scans': once the disk is full, no scan takes what was set aside.
Law 2: when there is room for it and as much beside it, it is set aside again and the scans are written.
"""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

log = logging.getLogger(__name__)

FILE = "reserve.bin"
SIZE = 64 << 20
"""Holds a day of the journal several times over, see docs/operator.md [bytes]."""
FULL_BELOW = 1 << 20
"""A disk with less room is full, whatever error SQLite gives it as [bytes]."""


def free_bytes(folder: Path) -> int:
    """Tell how much room the disk of a folder has [bytes]; raises `OSError`."""
    return shutil.disk_usage(folder).free


class Reserve:
    """The space set aside in one state folder.

    Args:
        folder: the state folder.
        size: how much [bytes].
        free: tells how much room a folder's disk has [bytes].
    """

    def __init__(self, folder: Path, size: int = SIZE, *, free: Callable[[Path], int] = free_bytes) -> None:
        self._folder, self._free = folder, free
        self._path = folder / FILE
        self._size = size
        self._lock = threading.Lock()
        self._is_full = False
        self._trouble = ""
        self.restore()

    @property
    def trouble(self) -> str:
        """Say that the disk is full, or why nothing is set aside; empty while all is well."""
        return self._trouble

    def scans_refused(self, error: sqlite3.Error) -> bool:
        """Take note of a full disk: scans wait from now on. Always False, as no second try is worth while."""
        if self._means_full(error):
            with self._lock:
                self._fill()
        return False

    def journal_refused(self, error: sqlite3.Error) -> bool:
        """Give the space free if the disk is full; tell whether a second try has more room."""
        if not self._means_full(error):
            return False
        with self._lock:
            self._fill()
            had = self._is_there()
            if had:
                log.warning("what was set aside on the disk of %s is given to the journal", self._folder)
                self._empty()
            return had

    def hold(self) -> str:
        """Say why scans must wait, empty if they need not; sets the space aside again once there is room."""
        if self._is_full and not self.restore():
            return "the disk is full, and what is set aside is for the journal"
        return ""

    def restore(self) -> bool:
        """Set the space aside, or find it set aside, and leave as much room beside it; tell whether that is so."""
        with self._lock:
            try:
                missing = 0 if self._is_there() else self._size
                beside = self._size if missing or self._is_full else 0
                if self._free(self._folder) < missing + beside:
                    self._trouble = self._trouble or self._too_little()
                    return False
                if missing:
                    self._allocate()
            except OSError as error:
                self._trouble = self._trouble or f"{self._too_little()} ({error.strerror})"
                return False
            if self._is_full:
                log.warning("the disk of %s has room again", self._folder)
            self._is_full, self._trouble = False, ""
            return True

    def _fill(self) -> None:
        if not self._is_full:
            self._is_full = True
            self._trouble = (
                f"the disk of {self._folder} is full: scans wait in memory, the journal takes what is set aside for "
                "it; when that is spent, only commands that reduce go out; free space"
            )
            log.error("%s", self._trouble)

    def _is_there(self) -> bool:
        return self._path.exists() and self._path.stat().st_size >= self._size

    def _allocate(self) -> None:
        number = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            os.posix_fallocate(number, 0, self._size)
            os.fsync(number)
        finally:
            os.close(number)

    def _empty(self) -> None:
        # Emptied before it is removed: where blocks are copied on writing, removing alone may need room.
        os.truncate(self._path, 0)
        self._path.unlink()

    def _too_little(self) -> str:
        need = 2 * self._size >> 20
        return f"{self._folder} has too little room to set {self._size >> 20} MiB aside; free {need} MiB"

    def _means_full(self, error: sqlite3.Error) -> bool:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL:
            return True
        try:
            return self._free(self._folder) < FULL_BELOW
        except OSError:
            return False
