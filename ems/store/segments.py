"""What lies in the folder of a history: scan files that are written and read, and segments that never change again.

| name | is |
|---|---|
| `scans-00000012.db` | the twelfth scan file |
| `raw/00000012-00000012_<start>_<end>.parquet` | every scan of it, sealed |
| `1min/...`, `15min/...` | its rollups over a minute and over a quarter-hour |

Law 1: only the newest scan file is written to; every other may be sealed.
Law 2: a segment names the scan files that it holds; one that lies within a wider one of its level does not count, so
that nothing counts twice, whatever a crash leaves behind.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from ems.store.database import StoreError

SCANS = re.compile(r"scans-(\d{8})\.db")
_SEGMENT = re.compile(r"(\d{8})-(\d{8})_(\d{8}T\d{6}Z)_(\d{8}T\d{6}Z)\.parquet")
_LOCK = ".lock"
_LARGE = 1 << 20
_STAMP = "%Y%m%dT%H%M%SZ"
FOLDER = "history"
LEGACY = "history.db"
"""What the history was before there were segments: one scan file beside the folder, which is still read."""
SEGMENT_RECORD = "segment"
"""Kind of the journal's records that say what was sealed, with its hash, and what was removed."""


class Gone(StoreError):
    """A file of the history has been sealed, joined or removed since it was listed: list and read again."""


class Level(StrEnum):
    """How fine a segment is."""

    RAW = "raw"
    MINUTE = "1min"
    QUARTER = "15min"

    @property
    def step_s(self) -> int:
        """Length of a row [s], 0 for a scan."""
        return {Level.RAW: 0, Level.MINUTE: 60, Level.QUARTER: 900}[self]


@dataclass(frozen=True, slots=True, order=True)
class ScanFile:
    """One scan file: its number and where it lies."""

    number: int
    path: Path


@dataclass(frozen=True, slots=True, order=True)
class Segment:
    """One sealed file.

    Args:
        first: number of the first scan file that it holds. last: of the last one.
        start: instant before which it holds nothing, of whole seconds. end: instant from which on it holds nothing.
        level: how fine it is.
        path: where it lies.
    """

    first: int
    last: int
    start: datetime
    end: datetime
    level: Level
    path: Path

    @property
    def name(self) -> str:
        """Its name below the state folder, with forward slashes."""
        return f"{FOLDER}/{self.level}/{self.path.name}"

    def meets(self, t0: datetime, t1: datetime) -> bool:
        """Tell whether it may hold something from an instant up to and without another."""
        return self.start < t1 and t0 < self.end


def scan_path(folder: Path, number: int) -> Path:
    """Tell where a scan file lies."""
    return folder / f"scans-{number:08}.db"


def segment_path(folder: Path, level: Level, numbers: tuple[int, int], span: tuple[datetime, datetime]) -> Path:
    """Tell where a segment lies."""
    start, end = (at.astimezone(UTC).strftime(_STAMP) for at in span)
    return folder / level / f"{numbers[0]:08}-{numbers[1]:08}_{start}_{end}.parquet"


def scan_files(folder: Path) -> list[ScanFile]:
    """List the scan files in the order of their numbers, the one from before there were segments as number 0."""
    found = [ScanFile(int(match[1]), path) for path in _files(folder) if (match := SCANS.fullmatch(path.name))]
    legacy = folder.with_name(LEGACY)
    return sorted([*([ScanFile(0, legacy)] if legacy.exists() else []), *found])


def segments(folder: Path, level: Level) -> list[Segment]:
    """List all segments of a level, also those that do not count, the narrower first."""
    found = [_segment(path, level) for path in _files(folder / level)]
    return sorted(segment for segment in found if segment is not None)


def counting(found: Sequence[Segment]) -> list[Segment]:
    """Leave out those that lie within a wider one."""
    kept: list[Segment] = []
    for one in sorted(found, key=lambda segment: (segment.first, -segment.last)):
        if not kept or one.last > kept[-1].last:
            kept.append(one)
    return kept


def next_number(folder: Path) -> int:
    """Give the number of the next scan file: no number is ever used again while anything of it is there."""
    used = [file.number for file in scan_files(folder)]
    used += [segment.last for level in Level for segment in segments(folder, level)]
    return max(used, default=0) + 1


def sealable(folder: Path) -> list[ScanFile]:
    """List the scan files that are no longer written to and lack a segment of a level, oldest first."""
    files = [file for file in scan_files(folder) if file.number > 0]
    there = [{number for s in segments(folder, level) for number in range(s.first, s.last + 1)} for level in Level]
    return [file for file in files[:-1] if not all(file.number in numbers for numbers in there)]


@contextmanager
def alone(folder: Path, *, wait: bool = False) -> Iterator[bool]:
    """Tell whether nobody else seals, clears or copies this history, or wait for it; keeps them out meanwhile."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except OSError as error:
            if error.errno not in {errno.EACCES, errno.EAGAIN}:
                raise
            yield False
        else:
            yield True


def live_segments(told: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Give the hashes of the segments that should be there, by name, from the journal's records in their order."""
    live: dict[str, str] = {}
    for body in told:
        match body:
            case {"event": "sealed", "file": str(name), "sha256": str(digest)}:
                live[name] = digest
            case {"event": "removed", "file": str(name)}:
                live.pop(name, None)
    return live


def contradicted(state_dir: Path, live: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Say which segments are not as the chain of audit says, by name, with the reason.

    Args:
        state_dir: the state folder.
        live: hashes by name, see `live_segments`.
    """
    for name, digest in live.items():
        try:
            if hashed(state_dir / name)[0] != digest:
                yield name, "is not what the journal says"
        except FileNotFoundError:
            yield name, "is missing"
        except OSError as error:
            yield name, f"cannot be read: {error.strerror}"
    raw = segments(state_dir / FOLDER, Level.RAW)
    chained = max((one.last for one in raw if one.name in live), default=0)
    for one in raw:
        if one.last < chained and one.name not in live:
            yield one.name, "is not in the journal: nobody sealed it, or it was removed"


def hashed(path: Path) -> tuple[str, int]:
    """Give the SHA-256 of a file in hexadecimal and its size [bytes]; raises `OSError`."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while block := file.read(_LARGE):
            digest.update(block)
            size += len(block)
    return digest.hexdigest(), size


def _segment(path: Path, level: Level) -> Segment | None:
    match = _SEGMENT.fullmatch(path.name)
    if match is None:
        return None
    start, end = (datetime.fromisoformat(text) for text in match.groups()[2:])
    return Segment(int(match[1]), int(match[2]), start, end, level, path)


def _files(folder: Path) -> Iterator[Path]:
    return folder.iterdir() if folder.is_dir() else iter(())
