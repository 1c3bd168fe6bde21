"""Backups of a state folder: taken while the core writes, verified, and put back into an empty one.

A backup is a folder with what cannot be made again, and `backup.json` with the SHA-256 of every file. Databases are
copied as they are at one instant; segments never change. The history is neither sealed nor cleared meanwhile, so that
the journal and the files agree.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

from ems.ownership import NotOwner, refuse_second
from ems.store.audit import Wrong, verify
from ems.store.checkpoints import CHAINS, KEY_FILE
from ems.store.database import RESTORING, StoreError
from ems.store.durable import sync, write_whole
from ems.store.encoding import to_instant
from ems.store.segments import FOLDER, Level, alone, hashed, scan_files, segments
from ems.store.spill import spill_path

MANIFEST = "backup.json"
SCHEMA = "ems.backup/1"
TOKEN = "limits.token.sha256"  # noqa: S105 - the name of a file
KEPT = (TOKEN, "receipts")
"""Files and folders that are copied as they are."""


class RestoreRefused(StoreError):
    """A backup may not be put back there: a core runs, or something is there already."""


@dataclass(frozen=True, slots=True)
class Backup:
    """What was copied.

    Args:
        folder: where it lies.
        files: SHA-256 by name.
        size: of all files together [bytes].
        wrong: what does not verify in the copy; empty if all is well.
    """

    folder: Path
    files: Mapping[str, str]
    size: int
    wrong: tuple[Wrong, ...]


def back_up(state_dir: Path, destination: Path, at: datetime, *, with_key: bool = False) -> Backup:
    """Copy a state folder; the core may run.

    Args:
        state_dir: the state folder.
        destination: the backup; it must not be there yet, or be empty.
        at: instant of the backup.
        with_key: whether the private key that signs checkpoints is copied too: whoever has it can sign.

    Raises:
        StoreError: there is nothing to copy, or it cannot be copied.
    """
    if not (state_dir / "journal.db").exists():
        raise StoreError(f"there is no journal.db in {state_dir}; name the state folder of a site")
    if destination.exists() and any(destination.iterdir()):
        raise StoreError(f"{destination} is not empty; name a folder that is not there yet")
    part = destination.with_name(destination.name + ".part")
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        with alone(state_dir / FOLDER, wait=True):
            for name in _names(state_dir, with_key=with_key):
                _copy(state_dir / name, part / name)
        files = {name: hashed(part / name) for name in _names(part, with_key=True)}
        manifest = {
            "schema": SCHEMA,
            "at": to_instant(at),
            "files": {n: {"sha256": h, "bytes": b} for n, (h, b) in files.items()},
        }
        (part / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")
        wrong = _verified(part)
        for folder in {part, *((part / name).parent for name in files)}:
            sync(folder)
        part.replace(destination)
        sync(destination.parent)
    except (OSError, sqlite3.Error) as error:
        shutil.rmtree(part, ignore_errors=True)
        raise StoreError(f"{state_dir} cannot be copied to {destination}: {error}; look after the disk") from error
    return Backup(destination, {n: h for n, (h, _) in files.items()}, sum(b for _, b in files.values()), wrong)


def restore(source: Path, state_dir: Path) -> Backup:
    """Put a backup into a state folder that holds nothing yet, and verify it.

    Raises:
        RestoreRefused: a core runs there, or something is there already.
        StoreError: it is no backup, or not as it was written.
    """
    files = _manifest(source)
    for name, digest in files.items():
        if not (source / name).is_file() or hashed(source / name)[0] != digest:
            raise StoreError(f"{source / name} is not as it was backed up; take another backup")
    try:
        refuse_second(state_dir)
    except NotOwner as error:
        raise RestoreRefused(f"a core runs on {state_dir}: stop it first") from error
    marker = state_dir / RESTORING
    there = [name for name in _names(state_dir, with_key=True) if not marker.exists()]
    if there:
        raise RestoreRefused(f"{state_dir} holds {there[0]} already: move it aside, or name another state directory")
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
        marker.write_text(f"{source}\n")
        for name in files:
            _copy_file(source / name, state_dir / name)
        marker.unlink()
    except OSError as error:
        raise StoreError(f"{source} cannot be put into {state_dir}: {error}; free space and restore again") from error
    return Backup(state_dir, files, sum((state_dir / n).stat().st_size for n in files), _verified(state_dir))


def _names(folder: Path, *, with_key: bool) -> Iterator[str]:
    """List what belongs into a backup, by its name below the state folder."""
    # What waits for a journal comes before it: were it taken in between, it would be in neither.
    spills = (spill_path(Path(name)).name for name in CHAINS)
    yield from (name for name in (*spills, *CHAINS) if (folder / name).exists())
    history = folder / FOLDER
    yield from (file.path.relative_to(folder).as_posix() for file in scan_files(history))
    yield from (segment.name for level in Level for segment in segments(history, level))
    for name in (*KEPT, *([KEY_FILE] if with_key else [])):
        if (folder / name).is_dir():
            yield from (path.relative_to(folder).as_posix() for path in sorted((folder / name).iterdir()))
        elif (folder / name).exists():
            yield name


def _copy(source: Path, target: Path) -> None:
    if source.suffix == ".db":
        target.parent.mkdir(parents=True, exist_ok=True)
        # A connection that only reads would not see a log that another process has left without its index.
        with closing(sqlite3.connect(source, timeout=10.0)) as old, closing(sqlite3.connect(target)) as new:
            old.backup(new)
        sync(target)
    else:
        _copy_file(source, target)


def _copy_file(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.name in {KEY_FILE, TOKEN}:
        # Never readable by others, not for a moment.
        write_whole(target, source.read_bytes(), mode=0o600)
        return
    shutil.copyfile(source, target)
    sync(target)


def _verified(folder: Path) -> tuple[Wrong, ...]:
    """Verify chains and segments, and look through the scan files, which no chain covers yet."""
    wrong = [one for one in verify(folder).wrong if "nothing is signed" not in one.why]
    for file in scan_files(folder / FOLDER):
        with closing(sqlite3.connect(f"{file.path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            try:
                (sound,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
            except sqlite3.Error as error:
                sound = str(error)
        if sound != "ok":
            wrong.append(Wrong(file.path.name, None, f"is damaged: {sound}"))
    return tuple(wrong)


def _manifest(source: Path) -> dict[str, str]:
    """Read the hashes of a backup by name."""
    try:
        told: Any = json.loads((source / MANIFEST).read_bytes())
        files = {str(name): str(facts["sha256"]) for name, facts in told["files"].items()}
        known = told["schema"] == SCHEMA
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(f"{source} is no backup: {MANIFEST} is missing or damaged") from error
    if not known or not all(_is_below(name) for name in files):
        raise StoreError(f"{source} is no backup that this software knows")
    return files


def _is_below(name: str) -> bool:
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts
