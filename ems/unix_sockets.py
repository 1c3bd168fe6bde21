"""Unix sockets in a state folder: an address that fits, and a file that only its owner may use."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

_ADDRESS_LIMIT = 100


def listener(folder: Path, name: str) -> socket.socket:
    """Listen on a socket file that is made anew, for this user alone; raises `OSError`."""
    found = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with address(folder, name) as where:
        Path(where).unlink(missing_ok=True)
        found.bind(where)
        Path(where).chmod(0o600)
    return found


@contextlib.contextmanager
def address(folder: Path, name: str) -> Iterator[str]:
    """Give an address of the socket within the 107 bytes that the kernel allows, however long the folder's name is."""
    direct = str(folder / name)
    if len(os.fsencode(direct)) <= _ADDRESS_LIMIT:
        yield direct
        return
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{opened}/{name}"
    finally:
        os.close(opened)
