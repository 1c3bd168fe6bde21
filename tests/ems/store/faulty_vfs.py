"""A file system under SQLite that fails or kills the process at a given write or sync, made of the real one by ctypes.

SQLite's VFS is a struct of functions (https://www.sqlite.org/vfs.html). This one is a copy of the default one; each
file that it opens gets a copy of its own table of methods with another xWrite and another xSync, which count and then
call the real ones. The code under test opens its files as ever: the copy is the default while it is installed.
"""

from __future__ import annotations

import _sqlite3
import ctypes
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import CFUNCTYPE, POINTER, Structure, c_char_p, c_int, c_int64, c_void_p
from dataclasses import dataclass
from pathlib import Path

FULL, IOERR_WRITE, IOERR_FSYNC = 13, 10 | 3 << 8, 10 | 4 << 8

WRITE = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int, c_int64)
SYNC = CFUNCTYPE(c_int, c_void_p, c_int)
FILE_SIZE = CFUNCTYPE(c_int, c_void_p, POINTER(c_int64))
OPEN = CFUNCTYPE(c_int, c_void_p, c_void_p, c_void_p, c_int, c_void_p)


class Methods(Structure):
    """`sqlite3_io_methods`, version 3."""

    _fields_ = (
        ("version", c_int),
        ("close", c_void_p),
        ("read", c_void_p),
        ("write", WRITE),
        ("truncate", c_void_p),
        ("sync", SYNC),
        ("file_size", FILE_SIZE),
        *((f"method{n}", c_void_p) for n in range(12)),
    )


class File(Structure):
    """`sqlite3_file`."""

    _fields_ = (("methods", POINTER(Methods)),)


class Vfs(Structure):
    """`sqlite3_vfs`, version 3."""

    _fields_ = (
        ("version", c_int),
        ("size", c_int),
        ("longest", c_int),
        ("next", c_void_p),
        ("name", c_char_p),
        ("data", c_void_p),
        ("open", OPEN),
        *((f"function{n}", c_void_p) for n in range(16)),
    )


@dataclass
class Trouble:
    """What goes wrong, and when.

    Args:
        operation: `write` or `sync`.
        first: number of the first one that fails, from 1; 0 for none.
        times: how many in a row fail.
        code: SQLite's error; None kills the process with SIGKILL.
        torn: half of a write that fails reaches the file.
    """

    operation: str = "write"
    first: int = 0
    times: int = 1
    code: int | None = FULL
    torn: bool = False
    seen: int = 0
    met: int = 0

    def now(self, operation: str, growth: int = 0) -> bool:
        """Count one operation, which makes a file grow by so many bytes, and tell whether it fails."""
        if operation != self.operation:
            return False
        self.seen += 1
        if not self.first <= self.seen < self.first + self.times or not self.first:
            return False
        self.met += 1
        return True

    def result(self) -> int:
        """Give the error, or end the process."""
        if self.code is None:
            os.kill(os.getpid(), signal.SIGKILL)
        return self.code or 0


@dataclass
class Quota(Trouble):
    """A disk that is full once the files of a folder take so many bytes.

    Args:
        folder: what lies in it counts, whoever wrote it.
        limit: size of the disk [bytes].
    """

    folder: Path = Path()
    limit: int = 0

    def free(self) -> int:
        """Give the room that is left [bytes]."""
        return max(0, self.limit - sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file()))

    def now(self, operation: str, growth: int = 0) -> bool:
        """Tell whether a write finds no room."""
        failed = operation == "write" and growth > self.free()
        self.met += failed
        return failed


def library() -> ctypes.CDLL:
    """Give the SQLite that Python's `sqlite3` uses; raises `AttributeError` where it shows no functions of its own."""
    found = ctypes.CDLL(_sqlite3.__file__)
    found.sqlite3_vfs_find.restype = POINTER(Vfs)
    found.sqlite3_vfs_register.argtypes = [POINTER(Vfs), c_int]
    return found


@contextmanager
def installed(trouble: Trouble) -> Iterator[Trouble]:
    """Let every file that SQLite opens meet this trouble; what is open must be closed before the end."""
    sqlite = library()
    real = sqlite.sqlite3_vfs_find(None)
    tables: dict[int, Methods] = {}

    def opened(vfs: int, name: int, file: int, flags: int, out: int) -> int:
        result = real.contents.open(vfs, name, file, flags, out)
        if result == 0:
            held = ctypes.cast(file, POINTER(File)).contents
            origin = ctypes.addressof(held.methods.contents)
            if origin not in tables:
                tables[origin] = _troubled(held.methods.contents, trouble)
            held.methods = ctypes.pointer(tables[origin])
        return int(result)

    faulty = Vfs.from_buffer_copy(real.contents)
    faulty.name, faulty.open = b"faulty", OPEN(opened)
    assert sqlite.sqlite3_vfs_register(ctypes.byref(faulty), 1) == 0
    try:
        yield trouble
    finally:
        sqlite.sqlite3_vfs_unregister(ctypes.byref(faulty))
        sqlite.sqlite3_vfs_register(real, 1)


def _troubled(real: Methods, trouble: Trouble) -> Methods:
    """Copy a table of methods, with an xWrite and an xSync that fail when told to."""
    write, sync, file_size = real.write, real.sync, real.file_size

    def failing_write(file: int, data: int, size: int, offset: int) -> int:
        file_size(file, held := c_int64())
        if trouble.now("write", max(0, offset + size - held.value)):
            if trouble.torn:
                write(file, data, size // 2, offset)
            return trouble.result()
        return int(write(file, data, size, offset))

    def failing_sync(file: int, flags: int) -> int:
        return trouble.result() if trouble.now("sync") else int(sync(file, flags))

    copy = Methods.from_buffer_copy(real)
    copy.write, copy.sync = WRITE(failing_write), SYNC(failing_sync)
    return copy
