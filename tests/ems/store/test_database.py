"""Opening a store file: made once, whole or not at all, by however many processes at the same time."""

from __future__ import annotations

import ctypes
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ems.store.database import Schema, StoreError, open_readable, open_writable

SCHEMA = Schema("notes", 3, "CREATE TABLE IF NOT EXISTS note (text TEXT NOT NULL)")


@pytest.mark.parametrize(("durable", "synchronous"), [(True, 2), (False, 0)])
def test_a_new_file_has_its_tables_its_version_and_a_log_beside_it(
    tmp_path: Path, durable: bool, synchronous: int
) -> None:
    connection = open_writable(tmp_path / "deep" / "notes.db", SCHEMA, durable=durable)
    assert connection.execute("PRAGMA user_version").fetchone() == (3,)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (synchronous,)
    assert connection.execute("SELECT count(*) FROM note").fetchone() == (0,)
    connection.close()


class _Mallinfo(ctypes.Structure):
    """What glibc's `mallinfo2` gives: `hblkhd` are bytes in blocks that are mapped alone, `uordblks` in all others."""

    _fields_ = (
        *((name, ctypes.c_size_t) for name in ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks")),
        *((name, ctypes.c_size_t) for name in ("uordblks", "fordblks", "keepcost")),
    )


def _allocated() -> int:
    """Count what the C code of this process holds [bytes]."""
    ask = ctypes.CDLL(None).mallinfo2
    ask.restype = _Mallinfo
    found = ask()
    return int(found.uordblks + found.hblkhd)


def _grown(path: Path) -> int:
    """Write 4 MB to a new file, and tell what the last nine tenths took [bytes]."""
    connection = open_writable(path, SCHEMA, durable=False)
    held = []
    for number in range(200):
        connection.execute("INSERT INTO note VALUES (?)", (f"{number} {'x' * 20_000}",))
        held.append(_allocated())
    connection.close()
    return held[-1] - held[20]


def test_a_file_that_grows_takes_no_memory_for_what_was_added(tmp_path: Path) -> None:
    # What other threads of the process allocate meanwhile is in one try or the other, a growing cache in each.
    assert min(_grown(tmp_path / f"notes{k}.db") for k in range(3)) < 100_000


def test_many_may_meet_a_new_file_at_once(tmp_path: Path) -> None:
    def write(n: int) -> None:
        connection = open_writable(tmp_path / "notes.db", SCHEMA, durable=False, busy_s=20.0)
        connection.execute("INSERT INTO note VALUES (?)", (str(n),))
        connection.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(40)))
    connection = open_readable(tmp_path / "notes.db", SCHEMA)
    assert connection.execute("SELECT count(*) FROM note").fetchone() == (40,)
    connection.close()


def test_a_reader_changes_nothing(tmp_path: Path) -> None:
    open_writable(tmp_path / "notes.db", SCHEMA, durable=True).close()
    connection = open_readable(tmp_path / "notes.db", SCHEMA)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        connection.execute("INSERT INTO note VALUES ('x')")
    connection.close()


def test_no_file_and_an_empty_file_have_nothing_to_read(tmp_path: Path) -> None:
    assert open_readable(tmp_path / "notes.db", SCHEMA) is None
    (tmp_path / "empty.db").touch()
    assert open_readable(tmp_path / "empty.db", SCHEMA) is None


def test_what_cannot_be_opened_is_told_with_its_name_and_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "folder.db").mkdir()
    with pytest.raises(StoreError, match=r"notes .*folder\.db cannot be written: .*; free or move the file aside"):
        open_writable(tmp_path / "folder.db", SCHEMA, durable=True)
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"cannot be written"):
        open_writable(tmp_path / "file" / "notes.db", SCHEMA, durable=True)
    (tmp_path / "damaged.db").write_bytes(b"damage" * 500)
    with pytest.raises(StoreError, match=r"damaged\.db cannot be read"):
        open_readable(tmp_path / "damaged.db", SCHEMA)


def test_a_version_that_never_was_is_told(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "notes.db") as connection:
        connection.execute("PRAGMA user_version=-3")
    connection.close()
    with pytest.raises(StoreError, match="schema version -3, which never was: it is damaged; move it aside"):
        open_writable(tmp_path / "notes.db", SCHEMA, durable=True)
