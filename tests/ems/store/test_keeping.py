"""The keeper: hashes enter the chain before scan files go, what is over is removed in the open, tampering is found."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from scan_makers import NOON, POINTS, at, write

from ems.clock import SimulatedClock
from ems.config.retention import Retention
from ems.health import Alarms
from ems.keeping import Keeper
from ems.store import sealed
from ems.store.audit import verify
from ems.store.database import open_writable
from ems.store.journal import Journal, segment_records
from ems.store.reader import read, read_means
from ems.store.scan_file import SCHEMA
from ems.store.segments import FOLDER, SEGMENT_RECORD, Level, alone, live_segments, scan_files, scan_path, segments

HOUR = 3600


class Office:
    """A keeper with a journal on disk."""

    def __init__(self, state: Path, **retention: float) -> None:
        self.state, self.folder, self.clock = state, state / FOLDER, SimulatedClock(NOON)
        self.journal = Journal(state / "journal.db", self.clock, durable=False)
        self.alarms = Alarms(self.journal.record)
        kept = Retention(**retention)
        self.keeper = Keeper(kept, state, self.clock, journal=self.journal, alarms=self.alarms)

    async def check(self, hours: float) -> None:
        """Look after the history so many hours after noon."""
        self.clock.advance_to(hours * HOUR)
        self.keeper._sealed_s = None
        await self.keeper.check()

    def files(self) -> list[str]:
        return [f"{level} {one.first}-{one.last}" for level in Level for one in segments(self.folder, level)]

    def scans(self) -> int:
        everything = NOON - timedelta(days=1), NOON + timedelta(days=9000)
        return len(read(self.folder, POINTS, *everything, sealed=sealed.rows)[0])

    def wrong(self) -> dict[str, str]:
        return {w.file: w.why for w in verify(self.state).wrong if "nothing is signed" not in w.why}


@pytest.fixture
def office(tmp_path: Path):
    office = Office(tmp_path)
    yield office
    office.journal.close()


async def test_what_is_sealed_enters_the_chain_and_then_the_scan_file_goes(office: Office) -> None:
    write(office.folder, range(0, 2 * HOUR + 1, 600))
    await office.check(2.1)
    assert office.files() == ["raw 1-1", "raw 2-2", "1min 1-1", "1min 2-2", "15min 1-1", "15min 2-2"]
    assert [file.number for file in scan_files(office.folder)] == [1, 2, 3], "what is recent stays at hand"
    told = segment_records(office.state)
    assert sorted(live_segments(told)) == sorted(one.name for level in Level for one in segments(office.folder, level))
    await office.check(3.5)
    assert [file.number for file in scan_files(office.folder)] == [2, 3]
    await office.check(30.0)
    assert [file.number for file in scan_files(office.folder)] == [3], "the newest is written to"
    assert segment_records(office.state) == told
    assert office.scans() == 13
    assert office.wrong() == {}
    assert office.alarms.active == ()


async def test_a_file_that_was_begun_and_never_written_to_goes(office: Office) -> None:
    write(office.folder, [0])
    for number in (2, 3):
        open_writable(scan_path(office.folder, number), SCHEMA, durable=True).close()
    await office.check(0.1)
    assert [file.number for file in scan_files(office.folder)] == [1, 3]
    assert office.alarms.active == ()


async def test_no_scan_file_goes_before_the_chain_has_its_segments(office: Office) -> None:
    write(office.folder, [0, HOUR])
    office.keeper._journal = Journal(office.state / "elsewhere.db", office.clock, durable=False)
    office.keeper._journal.close()
    await office.check(50.0)
    assert [file.number for file in scan_files(office.folder)] == [1, 2]
    assert "the history is not kept in order: the journal is closed" in office.alarms.active[0].text


async def test_any_changed_byte_of_a_sealed_file_is_found(office: Office) -> None:
    write(office.folder, [*range(0, HOUR, 60), HOUR])
    await office.check(50.0)
    for level in Level:
        (segment,) = segments(office.folder, level)
        sound = segment.path.read_bytes()
        for place in range(0, len(sound), 97):
            segment.path.write_bytes(sound[:place] + bytes([sound[place] ^ 1]) + sound[place + 1 :])
            assert office.wrong() == {segment.name: "is not what the journal says"}
        segment.path.write_bytes(sound)
        assert office.wrong() == {}
        segment.path.unlink()
        assert office.wrong() == {segment.name: "is missing"}
        segment.path.write_bytes(sound)


async def test_a_segment_that_nobody_sealed_is_found(office: Office) -> None:
    write(office.folder, [0, HOUR, 2 * HOUR])
    await office.check(50.0)
    (first, second) = segments(office.folder, Level.RAW)
    forged = first.path.with_name(first.path.name.replace("20260115T120000Z", "20260115T110000Z"))
    forged.write_bytes(second.path.read_bytes())
    assert list(office.wrong().values()) == ["is not in the journal: nobody sealed it, or it was removed"]


async def test_each_class_is_kept_as_long_as_the_site_says_and_whole_files_go(tmp_path: Path) -> None:
    office = Office(tmp_path, raw_days=1, minute_days=2, quarter_hour_days=3)
    write(office.folder, range(0, 4 * 86400, 12 * HOUR))
    before = read_means(office.folder, POINTS[:1], NOON, at(4 * 86400), 900.0)[1]
    await office.check(0.0)
    assert len(office.files()) == 3 * 7, "nothing is over yet"
    removed = []
    for days in (1.3, 2.3, 3.3, 5.0):
        await office.check(24.0 * days)
        write(office.folder, [(4 + days) * 86400])
        await office.check(24.0 * days + 0.1)
        told = [body for body in segment_records(office.state) if body["event"] == "removed"]
        removed.append({(body["file"].split("/")[1], body["why"]) for body in told})
        assert office.wrong() == {}
    assert ("1min", "it was joined") in removed[0]
    assert ("raw", "it is older than 1 days") in removed[0]
    assert ("1min", "it is older than 2 days") in removed[1] - removed[0]
    assert ("15min", "it is older than 3 days") in removed[2] - removed[1]
    left = [one.start for one in segments(office.folder, Level.QUARTER)]
    assert min(left) >= at(1.9 * 86400) - timedelta(days=1)
    after = read_means(office.folder, POINTS[:1], NOON, at(4 * 86400), 900.0, sealed=sealed.rows)[1]
    kept = ~(after != after)
    assert kept.any()
    assert (after[kept] == before[kept]).all(), "what is left is unchanged"
    office.journal.close()


async def test_the_cap_takes_the_oldest_scans_first_and_rollups_last(tmp_path: Path) -> None:
    office = Office(tmp_path, cap_gb=40e-6)
    write(office.folder, range(0, 12 * HOUR, 600))
    await office.check(0.0)
    await office.check(20.0)
    size = sum(one.path.stat().st_size for level in Level for one in segments(office.folder, level))
    assert size <= 40_000
    told = [body["file"] for body in segment_records(office.state) if body["event"] == "removed"]
    assert told
    assert all(name.startswith("history/raw/") for name in told[:5])
    assert told == sorted(told, key=lambda name: list(Level).index(Level(name.split("/")[1])))
    assert office.wrong() == {}
    office.journal.close()


async def test_what_cannot_be_sealed_is_left_told_and_tried_again(office: Office) -> None:
    write(office.folder, [0, HOUR])
    (office.folder / "raw").write_text("in the way")
    await office.check(5.0)
    (alarm,) = office.alarms.active
    assert alarm.key == "history"
    assert "the history is not sealed" in alarm.text
    assert "scans stay as they are, and it is tried again" in alarm.text
    assert office.scans() == 2
    (office.folder / "raw").unlink()
    await office.check(6.0)
    assert office.alarms.active == ()
    assert office.files() == ["raw 1-1", "1min 1-1", "15min 1-1"]


async def test_a_new_keeper_knows_from_the_journal_what_is_chained(office: Office) -> None:
    write(office.folder, [0, HOUR])
    await office.check(5.0)
    number = len(segment_records(office.state))
    again = Keeper(Retention(), office.state, office.clock, journal=office.journal, alarms=office.alarms)
    await again.check()
    assert len(segment_records(office.state)) == number == 3


async def test_a_journal_that_was_begun_anew_is_told_again_what_is_there(office: Office) -> None:
    write(office.folder, [*range(0, HOUR, 600), HOUR, 2 * HOUR])
    await office.check(0.5)
    told = live_segments(segment_records(office.state))
    assert len(told) == 6
    office.journal.close()
    (office.state / "journal.db").rename(office.state / "journal.db.damaged")
    office.journal = office.keeper._journal = Journal(office.state / "journal.db", office.clock, durable=False)
    await office.check(50.0)
    assert live_segments(segment_records(office.state)) == told
    assert office.wrong() == {}


async def test_who_copies_the_history_is_not_disturbed(office: Office) -> None:
    write(office.folder, [0, HOUR])
    await office.check(0.5)
    with alone(office.folder):
        await office.check(50.0)
        assert len(scan_files(office.folder)) == 2
    await office.check(51.0)
    assert len(scan_files(office.folder)) == 1


def test_records_fold_to_what_should_be_there() -> None:
    told = [
        {"event": "sealed", "file": "a", "sha256": "1"},
        {"event": "sealed", "file": "b", "sha256": "2"},
        {"event": "removed", "file": "a", "why": "it was joined"},
        {"event": "removed", "file": "a", "why": "it was joined"},
        {"nonsense": 1},
    ]
    assert live_segments(told) == {"b": "2"}
    assert SEGMENT_RECORD == "segment"
