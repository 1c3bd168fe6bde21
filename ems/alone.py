"""At most one process of a kind for a site: a lock file that is held for as long as the process lives."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ems.exit_codes import CommandError, Exit


@contextmanager
def alone(lock: Path, words: str) -> Iterator[None]:
    """Hold a lock file, which is made if missing; raises `CommandError` with the words if another process does."""
    with lock.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CommandError(words, Exit.DENIED) from error
        yield
