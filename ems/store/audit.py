"""Verifies the chains of audit of a state folder, and draws samples from them.

Law 1: without the key no entry can be changed, deleted, moved or inserted unseen up to the newest checkpoint, and none
after it unless all that follows is chained anew.
Law 2: with the key, nothing that a delivered checkpoint names can be changed, deleted, moved or inserted unseen.

`ems/store/verify_audit.py` does the same on its own: an auditor need not trust this file.
"""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ems.store import scan_digests
from ems.store.chain import GENESIS, entry_hash, request_body
from ems.store.checkpoints import CHAINS, KIND, SCHEMA, Chain, is_signed
from ems.store.database import StoreError, open_readable
from ems.store.journal import segment_records
from ems.store.segments import SEGMENT_RECORD, contradicted, live_segments


@dataclass(frozen=True, slots=True)
class Wrong:
    """Something that is not as it was recorded.

    Args:
        file: of the state folder, or a delivered checkpoint.
        entry: number of the first wrong entry; None where it is the file as a whole.
        why: in words.
    """

    file: str
    entry: int | None
    why: str


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint as it was found: where, as which entry of the journal (None if delivered), and what it says."""

    where: str
    entry: int | None
    document: Mapping[str, Any]

    def head(self, file: str) -> tuple[int, str] | None:
        """Give number and hash of the entry that it names for a file; None if it names none."""
        heads = self.document.get("heads")
        head = heads.get(file) if isinstance(heads, dict) else None
        match head:
            case {"seq": int(seq), "hash": str(found)} if seq > 0:
                return seq, found
        return None


@dataclass(frozen=True, slots=True)
class Walked:
    """One chain, walked from its first entry: how many entries are right, the hash of the last one, what is wrong."""

    file: str
    entries: int
    head: str
    wrong: Wrong | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What verifying found.

    Args:
        chains: every file that is there.
        checkpoints: in the journal first, then delivered ones.
        wrong: everything that is not right, at most one entry a chain; empty if all is.
    """

    chains: tuple[Walked, ...]
    checkpoints: tuple[Checkpoint, ...]
    wrong: tuple[Wrong, ...]

    @property
    def keys(self) -> tuple[str, ...]:
        """List the public keys that checkpoints name, in the order of their appearance."""
        return tuple(dict.fromkeys(str(found.document.get("public_key")) for found in self.checkpoints))

    def signed_to(self, file: str) -> int:
        """Give the number of the last entry of a file that a checkpoint names; 0 for none."""
        return max((head[0] for found in self.checkpoints if (head := found.head(file)) is not None), default=0)


@dataclass(frozen=True, slots=True)
class Sampled:
    """An entry drawn for an auditor, with what is needed to hash it again, and the first checkpoint that covers it."""

    file: str
    entry: int
    at: str
    kind: str
    body: str
    before: str
    hash: str
    covered_by: str


def verify(state_dir: Path, delivered: Path | None = None, known_keys: Sequence[str] = ()) -> Verdict:
    """Walk every chain and hold it against all checkpoints.

    Args:
        state_dir: the state folder.
        delivered: folder with delivered checkpoints of this site, and of no other.
        known_keys: public keys that may sign [hexadecimal]; without any, one key must have signed all.

    Raises:
        StoreError: there is no journal, or no folder of checkpoints.
    """
    if not (state_dir / "journal.db").exists():
        raise StoreError(f"there is no journal.db in {state_dir}; name the state folder of a site")
    wrong: list[Wrong] = []
    checkpoints = _delivered(delivered, wrong) if delivered is not None else []
    chains = []
    with _Files(state_dir) as files:
        for file in CHAINS:
            walked = files.walk(file, checkpoints)
            if walked is not None:
                chains.append(walked)
        in_order = sorted(checkpoints, key=lambda found: found.entry is None)
        wrong += files.wrong_scans()
        wrong += _wrong_segments(state_dir, files.segments)
        wrong += [found for file in CHAINS if (found := files.first_wrong(file, chains, in_order)) is not None]
    wrong += [Wrong(c.where, c.entry, "the signature is not valid") for c in in_order if not is_signed(c.document)]
    verdict = Verdict(tuple(chains), tuple(in_order), ())
    return Verdict(verdict.chains, verdict.checkpoints, (*wrong, *_strange_keys(verdict, known_keys)))


def _wrong_segments(state_dir: Path, told: Sequence[Mapping[str, Any]]) -> list[Wrong]:
    """Hold the segments of the history against the journal."""
    live = live_segments(told)
    wrong = dict(contradicted(state_dir, live))
    if wrong and len(newer := segment_records(state_dir)) > len(told):
        # The core goes on meanwhile: what it removed since is not missing.
        live = live_segments(newer)
        wrong = {name: why for name, why in wrong.items() if name in live}
    return [Wrong(name, None, why) for name, why in wrong.items()]


def _delivered(folder: Path, wrong: list[Wrong]) -> list[Checkpoint]:
    """Read delivered checkpoints; what is none is wrong."""
    if not folder.is_dir():
        raise StoreError(f"{folder} is no folder; name the one that checkpoints are delivered to")
    found = []
    for path in sorted(folder.glob("*.json")):
        try:
            document = json.loads(path.read_bytes())
        except (OSError, ValueError):
            document = None
        if isinstance(document, dict) and document.get("schema") == SCHEMA:
            found.append(Checkpoint(path.name, None, document))
        else:
            wrong.append(Wrong(path.name, None, "is no checkpoint"))
    if not found:
        wrong.append(Wrong(str(folder), None, "holds no checkpoint"))
    return found


def _strange_keys(verdict: Verdict, known: Sequence[str]) -> Iterator[Wrong]:
    """Name what keys are not as they should be."""
    if not verdict.checkpoints and all(chain.wrong is None for chain in verdict.chains):
        yield Wrong("journal.db", None, "nothing is signed: the journal holds no checkpoint")
    for key in verdict.keys[0 if known else 1 :]:
        if key not in known:
            first = next(c for c in verdict.checkpoints if str(c.document.get("public_key")) == key)
            words = "is not among the known ones" if known else f"is not {verdict.keys[0]}, which signed before"
            yield Wrong(first.where, first.entry, f"the key {key} {words}")


class _Files:
    """The chains of a state folder, each held open as it was at one instant."""

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir
        self._open: dict[str, sqlite3.Connection] = {}
        self.scans: list[Mapping[str, Any]] = []
        self.segments: list[Mapping[str, Any]] = []

    def __enter__(self) -> _Files:
        return self

    def __exit__(self, *_: object) -> None:
        for connection in self._open.values():
            connection.close()

    def walk(self, file: str, checkpoints: list[Checkpoint]) -> Walked | None:
        """Walk one chain, and collect the checkpoints that stand in the journal; None if there is no file."""
        chain, number, before = CHAINS[file], 0, GENESIS
        try:
            connection = open_readable(self._state_dir / file, chain.schema)
            if connection is None:
                return None
            self._open[file] = connection
            for row in _rows(connection, chain):
                if (why := _mistake(row, number + 1, before)) is not None:
                    return Walked(file, number, before, Wrong(file, number + 1, why))
                number, before = row[0], row[4]
                if file == "journal.db" and row[2] == KIND:
                    checkpoints.append(Checkpoint(file, number, _object(row[3])))
                if file == "journal.db" and row[2] == scan_digests.KIND:
                    self.scans.append(_object(row[3]))
                if file == "journal.db" and row[2] == SEGMENT_RECORD:
                    self.segments.append(_object(row[3]))
            # An index may hide from those who ask for a kind what stands in the table.
            (sound,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
            if sound != "ok":
                return Walked(file, number, before, Wrong(file, None, f"is damaged: {sound}"))
        except (StoreError, sqlite3.Error, UnicodeError) as error:
            return Walked(file, number, before, Wrong(file, number + 1, f"cannot be read: {error}"))
        return Walked(file, number, before, None)

    def wrong_scans(self) -> list[Wrong]:
        """Hold the scans against the journal's digests; gives the first that contradict one."""
        after = 0
        for told in self.scans:
            try:
                why = scan_digests.contradiction(self._state_dir / scan_digests.FILE, after, told)
            except StoreError as error:
                why = str(error)
            if why is not None:
                return [Wrong(scan_digests.FILE, after + 1, why)]
            after = int(told["last"])
        return []

    def first_wrong(self, file: str, chains: Iterable[Walked], checkpoints: Sequence[Checkpoint]) -> Wrong | None:
        """Give what is wrong with a chain in itself, or else where it first contradicts a checkpoint."""
        walked = next((chain for chain in chains if chain.file == file), Walked(file, 0, GENESIS, None))
        if walked.wrong is not None:
            return walked.wrong
        named = [(*head, found) for found in checkpoints if (head := found.head(file)) is not None]
        kept = {seq: self._hash(file, seq) for seq, _, _ in named if seq <= walked.entries}
        good = 0
        # Of two that name one entry, the one that contradicts comes first.
        for seq, expected, found in sorted(named, key=lambda one: (one[0], kept.get(one[0]) == one[1])):
            by = f"the checkpoint of {found.document.get('at')} ({found.where})"
            if seq not in kept:
                return Wrong(file, walked.entries + 1, f"is missing: {by} names entry {seq}")
            if kept[seq] != expected:
                return Wrong(file, good + 1, f"or one up to {seq} is not what {by} says")
            good = seq
        return None

    def _hash(self, file: str, seq: int) -> str | None:
        table = CHAINS[file].table
        row = self._open[file].execute(f"SELECT hash FROM {table} WHERE id = ?", (seq,)).fetchone()  # noqa: S608
        return None if row is None else row[0]


def _object(body: str) -> Mapping[str, Any]:
    """Read a checkpoint of the journal; what is none is empty, and has no valid signature."""
    try:
        content = json.loads(body)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _rows(connection: sqlite3.Connection, chain: Chain, where: str = "") -> Iterator[tuple[Any, Any, Any, Any, Any]]:
    """Give number, instant, kind, body and hash of entries, in the order of their numbers, as of one instant."""
    if connection.execute("PRAGMA user_version").fetchone()[0] < chain.schema.version:
        raise StoreError("is from before there were chains; start the core, which chains it")
    if not connection.in_transaction:
        connection.execute("BEGIN")
    columns = ", ".join(chain.columns)
    select = f"SELECT id, at, kind, hash, {columns} FROM {chain.table} {where} ORDER BY id"  # noqa: S608
    for number, at, kind, found, *parts in connection.execute(select):
        yield number, at, kind, parts[0] if len(parts) == 1 else _joined(parts), found


def _joined(parts: Sequence[Any]) -> str | None:
    """Make the body of a request; None if a column holds no text."""
    whole = all(isinstance(part, str) for part in parts[:-1]) and isinstance(parts[-1], str | None)
    return request_body(*parts) if whole else None


def _mistake(row: tuple[Any, ...], number: int, before: str) -> str | None:
    """Say what is wrong with an entry that should have a number and follow a hash; None if nothing is."""
    found, at, kind, body, stored = row
    if found != number:
        return f"is missing: the next one has number {found}"
    if not all(isinstance(text, str) for text in (at, kind, body, stored)):
        return "holds something that is no text"
    if entry_hash(number, at, kind, body, before) != stored:
        return "does not have the hash that follows from its content and the entry before it"
    return None


def sample(state_dir: Path, count: int, seed: int, verdict: Verdict, kind: str | None = None) -> list[Sampled]:
    """Draw entries at random, each with the same chance; the same seed draws the same ones of the same entries.

    Args:
        state_dir: the state folder.
        count: how many; all if there are fewer.
        seed: of the draw.
        verdict: of `verify`, which says how far each chain goes and what covers it.
        kind: only entries of a kind.

    Raises:
        StoreError: a file cannot be read.
    """
    numbers = [(c.file, number) for c in verdict.chains for number in _numbers(state_dir, c, kind)]
    drawn = sorted(random.Random(seed).sample(range(len(numbers)), min(count, len(numbers))))
    return [_sampled(state_dir, *numbers[place], verdict) for place in drawn]


def _numbers(state_dir: Path, walked: Walked, kind: str | None) -> list[int]:
    if kind is None:
        return list(range(1, walked.entries + 1))
    with closing(_opened(state_dir, walked.file)) as connection:
        select = f"SELECT id FROM {CHAINS[walked.file].table} WHERE kind = ? AND id <= ? ORDER BY id"  # noqa: S608
        return [row[0] for row in connection.execute(select, (kind, walked.entries))]


def _sampled(state_dir: Path, file: str, number: int, verdict: Verdict) -> Sampled:
    with closing(_opened(state_dir, file)) as connection:
        rows = list(_rows(connection, CHAINS[file], f"WHERE id IN ({number - 1}, {number})"))
    before = rows[0][4] if len(rows) > 1 else GENESIS
    _, at, kind, body, found = rows[-1]
    covering = [(head[0], c) for c in verdict.checkpoints if (head := c.head(file)) is not None and head[0] >= number]
    first = min(covering, key=lambda one: one[0], default=None)
    by = f"{first[1].document.get('at')} ({first[1].where})" if first is not None else ""
    return Sampled(file, number, at, kind, body, before, found, by)


def _opened(state_dir: Path, file: str) -> sqlite3.Connection:
    connection = open_readable(state_dir / file, CHAINS[file].schema)
    if connection is None:
        raise StoreError(f"{state_dir / file} is gone; try again")
    return connection
