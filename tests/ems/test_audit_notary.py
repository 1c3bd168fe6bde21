"""The notary signs hourly and at the end, delivers copies, and tells when it cannot; `ems audit` verifies them."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ems.cli import main
from ems.clock import SimulatedClock
from ems.delivery.outbox import Outbox
from ems.delivery.receivers import Folder
from ems.health import Alarms
from ems.notary import Notary
from ems.store.audit import verify
from ems.store.checkpoints import is_signed
from ems.store.journal import Journal, read_records

NOON = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)


class Office:
    """A notary with a journal on disk."""

    def __init__(self, folder: Path, deliver_to: Path | None) -> None:
        self.state, self.clock = folder / "state", SimulatedClock(NOON)
        self.journal = Journal(self.state / "journal.db", self.clock, durable=False)
        self.alarms = Alarms(self.journal.record)
        given = [] if deliver_to is None else [Folder(deliver_to)]
        outbox = Outbox(given, self.journal, self.state)
        self.notary = Notary("house", self.state, self.clock, journal=self.journal, alarms=self.alarms, outbox=outbox)

    async def run(self, hours: int) -> None:
        """Let minutes pass, each with a record."""
        for minute in range(60 * hours):
            self.journal.record("intent", {"minute": minute}).result(5)
            await self.notary.check()
            self.clock.advance_to(self.clock.monotonic() + 60.0)

    def signed(self) -> list[int]:
        """Give how many entries each checkpoint of the journal covers."""
        self.journal.record("health", {}).result(5)
        return [r.body["heads"]["journal.db"]["seq"] for r in read_records(self.state / "journal.db", "checkpoint")]


@pytest.fixture
def office(tmp_path: Path):
    (tmp_path / "outside").mkdir()
    office = Office(tmp_path, tmp_path / "outside")
    yield office
    office.journal.close()


async def test_it_signs_at_once_every_hour_and_at_the_end(office: Office, tmp_path: Path) -> None:
    await office.run(2)
    last = office.journal.record("transition", {"event": "stop"})
    await office.notary.sign(last)
    signed = office.signed()
    assert signed[:2] == [1, 63], "one record a minute, the first checkpoint and its receipt"
    assert signed[2] == last.result(0)
    outside = sorted((tmp_path / "outside").iterdir())
    assert [path.name.split("-")[1] for path in outside] == [f"{seq:08}" for seq in signed]
    assert all(is_signed(json.loads(path.read_text())) for path in outside)
    assert verify(office.state, tmp_path / "outside").wrong == ()


async def test_what_cannot_be_delivered_waits_is_told_and_comes_later_in_order(office: Office, tmp_path: Path) -> None:
    (tmp_path / "outside").rmdir()
    await office.run(2)
    assert office.alarms.active == (), "a receiver may be away for two hours"
    await office.run(1)
    (alarm,) = office.alarms.active
    assert alarm.key == "audit"
    assert "3 checkpoints of the audit chain wait since 2026-01-15 12:00 UTC to be delivered to folder" in alarm.text
    assert "make the folder of audit.deliver_to writable" in alarm.text
    assert not (tmp_path / "outside").exists(), "a mount that is missing is not replaced by a folder"
    (tmp_path / "outside").mkdir()
    await office.notary.check()
    assert office.alarms.active == ()
    assert len(list((tmp_path / "outside").iterdir())) == len(office.signed()) == 4


async def test_a_key_that_cannot_be_used_is_told_and_tried_again(office: Office) -> None:
    (office.state / "audit.key").write_text("nonsense")
    await office.run(1)
    assert "the audit chain is not signed" in office.alarms.active[0].text
    (office.state / "audit.key").unlink()
    await office.notary.check()
    assert office.alarms.active == ()
    assert len(office.signed()) == 1


async def test_without_a_folder_checkpoints_stay_in_the_journal(tmp_path: Path) -> None:
    office = Office(tmp_path, None)
    await office.run(1)
    assert office.signed() == [1]
    office.journal.close()
    assert verify(office.state).wrong == ()


def _told(capsys: pytest.CaptureFixture[str], *line: str) -> tuple[int, dict]:
    status = main(["audit", *line, "--json"])
    return status, json.loads(capsys.readouterr().out)


async def test_the_command_says_whole_names_the_first_wrong_entry_and_draws_samples(
    office: Office, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await office.run(2)
    office.journal.close()
    state, outside = str(office.state), str(tmp_path / "outside")
    status, told = _told(capsys, "verify", state, "--checkpoints", outside)
    assert (status, told["ok"], told["checkpoints"]) == (0, True, {"journal": 2, "delivered": 2})
    assert told["chains"] == [
        {"file": "journal.db", "entries": 124, "head": told["chains"][0]["head"], "signed_to": 63}
    ]
    assert _told(capsys, "verify", state, "--key", told["keys"][0])[0] == 0
    assert _told(capsys, "verify", state, "--key", "00")[0] == 5
    draw = ("sample", state, "--count", "5", "--seed", "3", "--kind", "intent")
    status, first = _told(capsys, *draw)
    assert (status, first) == (0, _told(capsys, *draw)[1])
    assert len({entry["entry"] for entry in first["entries"]}) == 5
    assert {entry["kind"] for entry in first["entries"]} == {"intent"}
    assert all(bool(entry["covered_by"]) == (entry["entry"] <= 63) for entry in first["entries"])
    assert len(_told(capsys, "sample", state, "--count", "999")[1]["entries"]) == 124
    with closing(sqlite3.connect(office.state / "journal.db", isolation_level=None)) as journal:
        journal.execute("DELETE FROM record WHERE id = 40")
    status, told = _told(capsys, "verify", state)
    assert (status, told["wrong"][0]["entry"]) == (5, 40)
    assert main(["audit", "verify", state]) == 5
    assert "wrong       journal.db entry 40 is missing: the next one has number 41" in capsys.readouterr().out
    assert main(["audit", "verify", str(tmp_path / "nowhere")]) == 1
    assert "name the state folder of a site" in capsys.readouterr().err
