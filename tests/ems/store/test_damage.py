"""A damaged file: control starts anyway, nothing of the file is thrown away, and no forgery passes for sound."""

from __future__ import annotations

import shutil
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from faulty_vfs import Trouble, installed
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.points import Measurement, Quality
from ems.clock import SimulatedClock
from ems.store.audit import verify
from ems.store.damage import move_aside
from ems.store.database import StoreError
from ems.store.journal import read_records
from ems.store.reader import read
from ems.store.requests import Request, submit
from ems.store.segments import FOLDER
from ems.stores import open_stores

NOON = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)
RECORDS = 300
CORRUPT = 11


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    state = tmp_path_factory.mktemp("sound")
    stores = open_stores(state, SimulatedClock(NOON), lease_s=60.0, durable=False)
    for n in range(RECORDS):
        stores.record("intent", {"n": n, "pad": "x" * 200})
        last = stores.history.append(NOON, [Measurement("meter.power_kw", 1.0, NOON, Quality.GOOD)])
    last.result(5)
    submit(state, Request("lockout", "battery", {}, "somebody works at it", "ann", NOON))
    stores.close()
    return state


@pytest.mark.parametrize("file", ["journal.db", "history/scans-00000001.db"])
def test_f09_a_file_that_is_no_database_is_moved_aside_and_told(sound: Path, tmp_path: Path, file: str) -> None:
    state = Path(shutil.copytree(sound, tmp_path / "state"))
    rubbish = bytes(range(256)) * 40
    (state / file).write_bytes(rubbish)
    stores = open_stores(state, SimulatedClock(NOON), lease_s=60.0, durable=False)
    kept = f"{file}.damaged-20260115T120000Z"
    assert (state / kept).read_bytes() == rubbish
    assert f"a file was damaged and is kept as {Path(kept).name}: look after the disk" in stores.trouble()
    stores.record("intent", {"n": 0}).result(5)
    stores.close()
    told = [r.body for r in read_records(state / "journal.db", "transition")]
    assert told == [{"event": "damaged", "file": Path(kept).name}]


def test_f09_a_damaged_file_of_requests_stops_the_core_for_a_lockout_may_be_in_it(sound: Path, tmp_path: Path) -> None:
    state = Path(shutil.copytree(sound, tmp_path / "state"))
    (state / "requests.db").write_bytes(b"rubbish" * 999)
    with pytest.raises(StoreError, match=r"requests\.db cannot be written: file is not a database"):
        open_stores(state, SimulatedClock(NOON), lease_s=60.0, durable=False)
    assert (state / "requests.db").exists()
    assert not list(state.glob("*.damaged*"))


def test_what_was_moved_aside_stays_when_the_same_second_brings_another(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    for n in range(3):
        path.write_text(f"{n}")
        path.with_name("journal.db-wal").write_text(f"log of {n}")
        move_aside(path, NOON)
    kept = "journal.db.damaged-20260115T120000Z"
    assert [(tmp_path / name).read_text() for name in (kept, f"{kept}-2", f"{kept}-3")] == ["0", "1", "2"]
    assert (tmp_path / f"{kept}-2-wal").read_text() == "log of 1"


@settings(deadline=None, max_examples=12)
@given(st.integers(0, 19), st.integers(0, 4000), st.binary(min_size=1, max_size=96))
def test_f09_flipped_pages_stop_nothing_and_are_found(sound: Path, page: int, offset: int, noise: bytes) -> None:
    with TemporaryDirectory() as folder:
        state = Path(shutil.copytree(sound, folder, dirs_exist_ok=True))
        content = bytearray((state / "journal.db").read_bytes())
        assert len(content) > 20 * 4096
        # What the head of the file says of its version and format cannot be told from a file of newer software.
        at = page * 4096 + (offset if page else max(offset, 100))
        for place, flipped in enumerate(noise, at):
            content[place] ^= flipped or 1
        (state / "journal.db").write_bytes(content)
        stores = open_stores(state, SimulatedClock(NOON), lease_s=60.0, durable=False)
        future = stores.record("intent", {"n": RECORDS})
        refused = future.exception(5) is not None
        assert not refused or "journal takes no rows" in stores.trouble()
        moved = bool(stores.damaged)
        stores.close()
        broken = [w for w in verify(state).wrong if "nothing is signed" not in w.why]
        if not broken and not moved and not refused:  # the noise fell where nothing is kept
            assert [r.body["n"] for r in read_records(state / "journal.db", "intent")] == list(range(RECORDS + 1))


@pytest.mark.parametrize("file", ["journal.db", "history/scans-00000001.db"])
def test_f09_a_file_that_is_damaged_while_it_is_written_is_moved_aside_and_control_goes_on(
    sound: Path, tmp_path: Path, file: str
) -> None:
    state = Path(shutil.copytree(sound, tmp_path / "state"))
    measured = [Measurement("meter.power_kw", 1.0, NOON, 0.0)]
    trouble = Trouble("write", 0, 1, CORRUPT)
    with installed(trouble), closing(open_stores(state, SimulatedClock(NOON), lease_s=60.0, durable=False)) as stores:
        trouble.first = trouble.seen + 1
        kept = []
        for n in range(50):
            if file == "journal.db":
                kept.append(stores.record("intent", {"n": n}))
            else:
                kept.append(stores.history.append(NOON + timedelta(seconds=n), measured))
        assert [future.exception(5) for future in kept] == [None] * 50, "nobody waits in vain"
        assert f"a file was damaged and is kept as {Path(file).name}.damaged-20260115T120000Z" in stores.trouble()
    assert trouble.met == 1
    assert (state / f"{file}.damaged-20260115T120000Z").exists()
    told = read_records(state / "journal.db", limit=9999)
    assert "damaged" in [r.body.get("event") for r in told]
    if file == "journal.db":
        assert [r.body["n"] for r in told if r.kind == "intent"] == list(range(50))
    else:
        times, _ = read(state / FOLDER, ["meter.power_kw"], NOON, NOON + timedelta(seconds=50))
        assert len(times) == 50
    assert [w for w in verify(state).wrong if "nothing is signed" not in w.why] == []
