"""Backups: taken while the core writes, whole, put back only where nothing is, and never half."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
import stat
import threading
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from scan_makers import NOON, POINTS, at, write

from ems.cli import main
from ems.clock import SimulatedClock
from ems.config.retention import Retention
from ems.health import Alarms
from ems.keeping import Keeper
from ems.store import backup as backup_module
from ems.store import sealed
from ems.store.audit import verify
from ems.store.backup import MANIFEST, RestoreRefused, back_up, restore
from ems.store.checkpoints import own_key
from ems.store.database import StoreError
from ems.store.journal import Journal, read_records
from ems.store.reader import read
from ems.store.requests import Request, submit
from ems.store.segments import FOLDER, Level, segments
from ems.stores import open_stores

SITE = Path(__file__).parents[3] / "sites" / "demo_house"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state directory with records, a request, two sealed hours and a running one."""
    state, clock = tmp_path_factory.mktemp("made") / "state", SimulatedClock(at(3 * 3600))
    write(state / FOLDER, range(0, 3 * 3600, 900))
    journal = Journal(state / "journal.db", clock, durable=False)
    for number in range(20):
        journal.record("intent", {"number": number})
    submit(state, Request("lockout", "battery", {}, "somebody works at it", "ann", NOON))
    asyncio.run(Keeper(Retention(), state, clock, journal=journal, alarms=Alarms(journal.record)).check())
    journal.close()
    assert len(segments(state / FOLDER, Level.RAW)) == 2
    return state


@pytest.fixture
def state(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "state"))


def opened(state: Path):
    return closing(open_stores(state, SimulatedClock(at(3 * 3600)), lease_s=600.0, durable=False))


def scans(state: Path) -> tuple[list[float], list[list[float]]]:
    times, values = read(state / FOLDER, POINTS, NOON, at(9 * 3600), good_only=False, sealed=sealed.rows)
    return times.tolist(), np.nan_to_num(values).tolist()


def test_a_backup_of_a_running_core_is_whole_and_comes_back_as_it_was(tmp_path: Path, state: Path) -> None:
    copy, again, stop = tmp_path / "copy", tmp_path / "again", threading.Event()
    with opened(state) as stores:

        def go_on() -> None:
            while not stop.is_set():
                stores.record("intent", {"more": 1}).result(5)

        writing = threading.Thread(target=go_on)
        writing.start()
        try:
            found = back_up(state, copy, NOON)
        finally:
            stop.set()
            writing.join()
    assert found.wrong == ()
    assert "audit.key" not in found.files
    assert set(found.files) >= {"journal.db", "requests.db", "history/scans-00000003.db"}
    assert restore(copy, again).wrong == ()
    assert scans(again) == scans(state)
    there, here = (read_records(folder / "journal.db", limit=10**6) for folder in (again, state))
    assert there == here[: len(there)]
    assert len(there) >= 20
    with opened(again) as restored:
        restored.record("intent", {"after": "the restore"}).result(5)
    assert [w for w in verify(again).wrong if "nothing is signed" not in w.why] == []


def test_it_is_put_back_only_where_no_core_runs_and_nothing_is(tmp_path: Path, state: Path) -> None:
    back_up(state, tmp_path / "copy", NOON)
    with opened(state), pytest.raises(RestoreRefused, match=r"a core runs on .*: stop it first"):
        restore(tmp_path / "copy", state)
    with opened(tmp_path / "empty"), pytest.raises(RestoreRefused, match="a core runs"):
        restore(tmp_path / "copy", tmp_path / "empty")
    with pytest.raises(RestoreRefused, match=r"holds journal\.db already: move it aside"):
        restore(tmp_path / "copy", tmp_path / "empty")


def test_a_backup_that_was_changed_is_refused_and_nothing_is_written(tmp_path: Path, state: Path) -> None:
    found = back_up(state, tmp_path / "copy", NOON)
    for name in found.files:
        path = tmp_path / "copy" / name
        sound = path.read_bytes()
        path.write_bytes(sound[:-1] + bytes([sound[-1] ^ 1]))
        with pytest.raises(StoreError, match="is not as it was backed up"):
            restore(tmp_path / "copy", tmp_path / "again")
        path.write_bytes(sound)
    assert not (tmp_path / "again").exists()
    told = json.loads((tmp_path / "copy" / MANIFEST).read_text())
    told["files"]["../outside"] = {"sha256": "", "bytes": 0}
    (tmp_path / "copy" / MANIFEST).write_text(json.dumps(told))
    with pytest.raises(StoreError, match="is no backup that this software knows"):
        restore(tmp_path / "copy", tmp_path / "again")
    (tmp_path / "copy" / MANIFEST).unlink()
    with pytest.raises(StoreError, match=r"backup\.json is missing or damaged"):
        restore(tmp_path / "copy", tmp_path / "again")


def test_an_interrupted_restore_starts_no_core_and_is_done_again(
    tmp_path: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = len(back_up(state, tmp_path / "copy", NOON).files)
    again = tmp_path / "again"
    for most in range(number):
        left = iter(range(most))

        def copied(source: Path, target: Path) -> None:
            if next(left, None) is None:  # noqa: B023
                raise OSError(28, "No space left on device")
            target.write_bytes(source.read_bytes())

        monkeypatch.setattr(backup_module.shutil, "copyfile", copied)
        with pytest.raises(StoreError, match="free space and restore again"):
            restore(tmp_path / "copy", again)
        monkeypatch.undo()
        with pytest.raises(StoreError, match="was interrupted: restore again"):
            open_stores(again, SimulatedClock(NOON), lease_s=60.0, durable=False)
    assert restore(tmp_path / "copy", again).wrong == ()
    assert scans(again) == scans(state)


def test_what_the_journal_has_not_taken_yet_is_in_the_backup(tmp_path: Path, state: Path) -> None:
    before = read_records(state / "journal.db", limit=10**6)
    journal = Journal(state / "journal.db", SimulatedClock(NOON))
    with closing(sqlite3.connect(state / "journal.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        journal.record("intent", {"late": 1})
        journal.close()
    found = back_up(state, tmp_path / "copy", NOON)
    assert "journal.spill.jsonl" in found.files
    restore(tmp_path / "copy", tmp_path / "again")
    Journal(tmp_path / "again" / "journal.db", SimulatedClock(NOON)).close()
    (*there, late) = read_records(tmp_path / "again" / "journal.db", limit=10**6)
    assert (there, late.body) == (before, {"late": 1})


def test_what_only_its_owner_may_read_stays_so(tmp_path: Path, state: Path) -> None:
    own_key(state)
    for name in ("audit.key", "limits.token.sha256"):
        (state / name).touch(0o600)
        (state / name).chmod(0o644)
    back_up(state, tmp_path / "copy", NOON, with_key=True)
    restore(tmp_path / "copy", tmp_path / "again")
    for name in ("audit.key", "limits.token.sha256"):
        for folder in ("copy", "again"):
            assert stat.S_IMODE((tmp_path / folder / name).stat().st_mode) == 0o600
        assert (tmp_path / "again" / name).read_bytes() == (state / name).read_bytes()


def test_what_was_tampered_with_is_copied_and_named(tmp_path: Path, state: Path) -> None:
    (segment, _) = segments(state / FOLDER, Level.MINUTE)
    segment.path.write_bytes(segment.path.read_bytes()[:-1])
    assert [w.file for w in back_up(state, tmp_path / "copy", NOON).wrong] == [segment.name]
    with closing(sqlite3.connect(state / "journal.db", isolation_level=None)) as journal:
        journal.execute("UPDATE record SET body = '{}' WHERE id = 7")
    assert ("journal.db", 7) in {(w.file, w.entry) for w in back_up(state, tmp_path / "again", NOON).wrong}


def test_there_must_be_something_to_copy_and_room_for_it(tmp_path: Path, state: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("x")
    with pytest.raises(StoreError, match=r"there is no journal\.db"):
        back_up(tmp_path / "nowhere", tmp_path / "copy", NOON)
    with pytest.raises(StoreError, match="is not empty"):
        back_up(state, tmp_path / "full", NOON)
    assert (tmp_path / "full" / "mine").read_text() == "x"


def _told(capsys: pytest.CaptureFixture[str], *line: str) -> tuple[int, dict]:
    status = main(["store", *line, "--json"])
    return status, json.loads(capsys.readouterr().out)


def test_the_commands_say_what_they_did_and_refuse_with_a_status(
    tmp_path: Path, state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "copy"
    status, told = _told(capsys, "backup", str(SITE), str(copy), "--state", str(state), "--with-key")
    assert (status, told["schema"], told["ok"], told["wrong"]) == (0, "ems.store.backup/1", True, [])
    assert _told(capsys, "restore", str(SITE), str(copy), "--state", str(state))[0] == 7
    status, told = _told(capsys, "restore", str(SITE), str(copy), "--state", str(tmp_path / "again"))
    assert (status, told["ok"]) == (0, True)
    assert _told(capsys, "restore", str(SITE), str(tmp_path), "--state", str(tmp_path / "b"))[0] == 1
    assert _told(capsys, "seal", str(SITE), "--state", str(state))[1]["made"] == []
    assert main(["store", "backup", str(SITE), str(tmp_path / "c"), "--state", str(state)]) == 0
    assert "verdict     whole" in capsys.readouterr().out
