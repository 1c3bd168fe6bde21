"""From the version before to this one and back: nothing is lost, nothing is guessed, newer files are refused."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from scan_makers import NOON, POINTS, at, scan

from ems.clock import SimulatedClock
from ems.exit_codes import Exit
from ems.store.audit import verify
from ems.store.database import NewerStore, StoreError
from ems.store.journal import Journal, read_records
from ems.store.reader import oldest, read
from ems.store.segments import FOLDER, LEGACY, scan_files, sealable
from ems.stores import open_stores

SITE = Path(__file__).parents[3] / "sites" / "demo_house"
OLD_HISTORY = """
CREATE TABLE layout (id INTEGER PRIMARY KEY, points TEXT NOT NULL);
CREATE TABLE scan (id INTEGER PRIMARY KEY, at_us INTEGER NOT NULL, layout INTEGER NOT NULL, data BLOB NOT NULL);
CREATE INDEX scan_at ON scan (at_us);
PRAGMA user_version=1;
"""


def row(number: int, seconds: int) -> tuple[int, int, int, bytes]:
    """A row as the version before wrote it: values, then a byte of quality for each."""
    measured = scan(seconds)
    values = np.array([m.value for m in measured], dtype="<f8").tobytes()
    codes = bytes({"good": 0, "uncertain": 1, "bad": 2}[m.quality.value.lower()] for m in measured)
    return number, round(at(seconds).timestamp() * 1e6), 7, values + codes


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state directory of the version before: one history file, and a digest of its scans in the journal."""
    rows = [row(number, number) for number in range(1, 31)]
    with closing(sqlite3.connect(tmp_path / LEGACY, isolation_level=None)) as history:
        history.executescript(OLD_HISTORY)
        history.execute("INSERT INTO layout VALUES (7, ?)", (json.dumps(POINTS),))
        history.execute("BEGIN")
        history.executemany("INSERT INTO scan VALUES (?, ?, ?, ?)", rows)
        history.execute("COMMIT")
    digest = hashlib.sha256(f"7:{json.dumps(POINTS)};".encode())
    for number, at_us, layout, data in rows[:20]:
        digest.update(f"{number}:{at_us}:{layout}:{len(data)};".encode() + data)
    journal = Journal(tmp_path / "journal.db", SimulatedClock(NOON), durable=False)
    journal.record("intent", {"n": 1})
    journal.record("scans", {"first": 1, "last": 20, "sha256": digest.hexdigest()})
    journal.close()
    return tmp_path


def lived(state: Path, seconds: int) -> None:
    stores = open_stores(state, SimulatedClock(at(seconds)), lease_s=60.0, durable=False)
    stores.history.append(at(seconds), scan(seconds)).result(5)
    stores.close()


def wrong(state: Path) -> list[tuple[str, int | None]]:
    return [(w.file, w.entry) for w in verify(state).wrong if "nothing is signed" not in w.why]


def test_f23_a_history_of_the_version_before_is_read_as_it_stands_beside_the_new_one(state: Path) -> None:
    before = (state / LEGACY).read_bytes()
    lived(state, 100)
    times, values = read(state / FOLDER, POINTS, NOON, at(3600), good_only=False)
    assert (times - NOON.timestamp()).tolist() == [*range(1, 31), 100]
    expected = [[np.nan if m.value is None else m.value for m in scan(int(s))] for s in times - NOON.timestamp()]
    np.testing.assert_array_equal(values, expected)
    assert oldest(state / FOLDER) == at(1)
    assert (state / LEGACY).read_bytes() == before
    assert [file.number for file in scan_files(state / FOLDER)] == [0, 1]
    lived(state, 9000)
    assert sealable(state / FOLDER) == [], "what the version before wrote is not sealed"
    assert wrong(state) == []


def test_f23_after_a_rollback_both_histories_are_read(state: Path) -> None:
    lived(state, 100)
    with closing(sqlite3.connect(state / LEGACY, isolation_level=None)) as history:  # as the version before goes on
        history.execute("INSERT INTO scan VALUES (?, ?, ?, ?)", row(31, 200))
    lived(state, 300)
    times, _ = read(state / FOLDER, POINTS, NOON, at(3600))
    assert (times - NOON.timestamp()).tolist() == [*range(1, 31), 100, 200, 300]
    assert [record.body for record in read_records(state / "journal.db", "intent")] == [{"n": 1}]
    assert wrong(state) == []


@pytest.mark.parametrize(
    ("change", "entry"),
    [
        ("UPDATE scan SET data = zeroblob(9) WHERE id = 10", 1),
        ("UPDATE scan SET at_us = at_us + 1 WHERE id = 20", 1),
        ("DELETE FROM scan WHERE id = 1", 1),
        ("UPDATE layout SET points = '[]'", 1),
        ("UPDATE scan SET data = zeroblob(9) WHERE id = 21", None),
    ],
)
def test_digests_of_old_scans_still_find_what_was_changed(state: Path, change: str, entry: int | None) -> None:
    with closing(sqlite3.connect(state / LEGACY, isolation_level=None)) as history:
        history.execute(change)
    assert wrong(state) == ([] if entry is None else [(LEGACY, entry)])


@pytest.mark.parametrize("file", ["journal.db", "requests.db", "history/scans-00000001.db"])
def test_f23_newer_files_are_refused_with_both_versions_and_left_alone(tmp_path: Path, file: str) -> None:
    lived(tmp_path, 0)
    with closing(sqlite3.connect(tmp_path / file)) as newer:
        newer.execute("PRAGMA user_version=99")
    before = (tmp_path / file).read_bytes()
    words = r"has schema version 99, this software knows \d: use the newer software, or give it another state folder"
    with pytest.raises(NewerStore, match=words):
        open_stores(tmp_path, SimulatedClock(NOON + timedelta(hours=1)), lease_s=60.0, durable=False)
    assert (tmp_path / file).read_bytes() == before
    assert not list(tmp_path.rglob("*.damaged*"))
    if file == "journal.db":
        line = [sys.executable, "-P", "-m", "ems.cli", "run", str(SITE), "--state", str(tmp_path), "--for", "1s"]
        told = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
        assert told.returncode == Exit.DENIED
        assert "schema version 99, this software knows 2: use the newer software" in told.stderr


def test_f23_an_upgrade_that_fails_half_way_leaves_the_file_of_the_version_before(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "journal.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as old:
        old.executescript(
            "CREATE TABLE record (id INTEGER PRIMARY KEY, at TEXT NOT NULL, kind TEXT NOT NULL, body TEXT NOT NULL);"
            "CREATE INDEX record_kind ON record (kind); PRAGMA user_version=1"
        )
        rows = [(n, at(n).isoformat(), "intent", json.dumps({"n": n})) for n in range(1, 2500)]
        old.execute("BEGIN")
        old.executemany("INSERT INTO record VALUES (?, ?, ?, ?)", rows)
        old.execute("COMMIT")
    hashed = iter(range(1500))

    def failing(*_: object) -> str:
        if next(hashed, None) is None:
            raise sqlite3.OperationalError("disk I/O error")
        return "x"

    monkeypatch.setattr("ems.store.chain.entry_hash", failing)
    with pytest.raises(StoreError, match="disk I/O error"):
        Journal(path, SimulatedClock(NOON), durable=False)
    monkeypatch.undo()
    with closing(sqlite3.connect(path)) as old:
        assert old.execute("PRAGMA user_version").fetchone() == (1,)
        assert [column[1] for column in old.execute("PRAGMA table_info(record)")] == ["id", "at", "kind", "body"]
    Journal(path, SimulatedClock(NOON), durable=False).close()
    assert wrong(tmp_path) == []
    assert len(read_records(path, limit=9999)) == 2499
