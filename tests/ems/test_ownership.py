"""Ownership: one writer, and a process that slept through its lease never writes again under the old epoch."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

import ems.ownership
from ems.clock import ScaledClock, SimulatedClock
from ems.ownership import (
    RECORD_FILE,
    NotOwner,
    Owner,
    is_lock_held,
    read_record,
    record_locked,
    write_record,
)

START = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)
LEASE_S = 60.0


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock(START)


@pytest.fixture
def owner(tmp_path: Path, clock: SimulatedClock):
    owner = Owner(tmp_path, clock, LEASE_S)
    owner.acquire()
    yield owner
    owner.release()


def pass_time(clock: SimulatedClock, seconds: float) -> None:
    clock.advance_to(clock.monotonic() + seconds)


def take_over(folder: Path, now_s: float) -> None:
    with record_locked(folder):
        write_record(folder, "guard", now_s=now_s, lease_s=LEASE_S, settled=False)


def test_an_owner_is_valid_and_says_so_on_disk(owner: Owner, tmp_path: Path) -> None:
    record = read_record(tmp_path)
    assert owner.valid()
    assert record is not None
    assert (record.epoch, record.role) == (owner.epoch, "core") == (1, "core")
    with record_locked(tmp_path):
        assert is_lock_held(tmp_path)


def test_a_second_owner_is_refused_and_told_who_owns(owner: Owner, tmp_path: Path, clock: SimulatedClock) -> None:
    second = Owner(tmp_path, clock, LEASE_S)
    with pytest.raises(NotOwner, match="under epoch 1 owns"):
        second.acquire()
    assert not second.valid()
    assert second.epoch == 0
    assert owner.valid(), "the refused one changed nothing"
    assert read_record(tmp_path).epoch == 1


_HOLDER = """
import sys
from ems.clock import SystemClock
from ems.ownership import Owner
owner = Owner(sys.argv[1], SystemClock(), 60.0)
owner.acquire()
print("owner", flush=True)
sys.stdin.read()
"""


def test_a_killed_owner_frees_the_site_at_once(tmp_path: Path, clock: SimulatedClock) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout.readline() == "owner\n"
        with pytest.raises(NotOwner, match=f"process {holder.pid}"):
            Owner(tmp_path, clock, LEASE_S).acquire()
        holder.send_signal(signal.SIGKILL)
        holder.wait(10)
        next_owner = Owner(tmp_path, clock, LEASE_S)
        next_owner.acquire()
    assert next_owner.epoch == 2
    next_owner.release()


def test_renewal_keeps_ownership_for_as_long_as_it_likes(owner: Owner, clock: SimulatedClock) -> None:
    for _ in range(10):
        pass_time(clock, LEASE_S - 1)
        assert owner.renew()
    assert owner.epoch == 1


def test_a_process_stopped_past_its_lease_never_writes_again(owner: Owner, clock: SimulatedClock) -> None:
    pass_time(clock, LEASE_S + 0.1)  # SIGSTOP, five minutes, SIGCONT: nobody else came
    assert not owner.valid()
    assert not owner.renew(), "renewing must not bring a void epoch back"
    assert not owner.valid()
    owner.acquire()
    assert owner.valid()
    assert owner.epoch == 2


def test_a_stop_found_at_renewal_is_as_final(owner: Owner, clock: SimulatedClock, tmp_path: Path) -> None:
    pass_time(clock, 300.0)
    assert not owner.renew()
    assert read_record(tmp_path).renewed_monotonic_s == 0.0


@pytest.mark.parametrize("where", ["read_record", "_store"])
def test_a_stop_in_the_middle_of_a_renewal_is_as_final(
    owner: Owner, clock: SimulatedClock, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    step = getattr(ems.ownership, where)

    def sleep_after(*given, **named):
        done = step(*given, **named)
        pass_time(clock, LEASE_S + 1.0)
        return done

    pass_time(clock, 10.0)
    assert owner.valid()
    pass_time(clock, 0.5)
    monkeypatch.setattr(ems.ownership, where, sleep_after)
    assert not owner.renew()
    monkeypatch.undo()
    assert not owner.renew() and not owner.valid()


def test_a_stop_is_noted_only_by_the_owner_itself(owner: Owner, tmp_path: Path, clock: SimulatedClock) -> None:
    take_over(tmp_path, clock.monotonic())
    pass_time(clock, 2.0)
    owner.release(stopped=True)
    assert (read_record(tmp_path).role, read_record(tmp_path).released) == ("guard", False)
    owner.acquire()
    assert not read_record(tmp_path).released
    owner.release(stopped=True)
    assert (read_record(tmp_path).epoch, read_record(tmp_path).released) == (3, True)
    owner.release()
    assert read_record(tmp_path).released and not is_lock_held(tmp_path)


def test_a_folder_that_takes_no_note_gives_the_lock_back_all_the_same(
    owner: Owner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_given, **_named):
        raise OSError("no space left")

    monkeypatch.setattr(ems.ownership, "_store", full)
    owner.release(stopped=True)
    assert not owner.valid() and not is_lock_held(tmp_path)
    assert "takes no note of the stop" in caplog.text


def test_a_higher_epoch_ends_ownership_before_the_next_write(
    owner: Owner, tmp_path: Path, clock: SimulatedClock, caplog: pytest.LogCaptureFixture
) -> None:
    take_over(tmp_path, clock.monotonic())
    pass_time(clock, 1.0)
    assert not owner.valid()
    assert not owner.valid()
    assert [record.message for record in caplog.records if "epoch 2 has taken over" in record.message] != []
    assert len(caplog.records) == 1, "the loss is told once"
    owner.acquire()
    assert owner.epoch == 3


def test_a_renewal_never_overwrites_a_higher_epoch(owner: Owner, tmp_path: Path, clock: SimulatedClock) -> None:
    take_over(tmp_path, clock.monotonic())
    assert not owner.renew()
    assert read_record(tmp_path).epoch == 2


def test_a_renewal_does_not_wait_for_whoever_looks(owner: Owner, tmp_path: Path, clock: SimulatedClock) -> None:
    pass_time(clock, 10.0)
    with record_locked(tmp_path):
        assert owner.renew()
    assert read_record(tmp_path).renewed_monotonic_s == 0.0
    assert owner.renew()
    assert read_record(tmp_path).renewed_monotonic_s == 10.0


def test_a_full_disk_does_not_end_control(owner: Owner, tmp_path: Path, clock: SimulatedClock) -> None:
    (tmp_path / f"{RECORD_FILE}.part").mkdir()  # no new file can be made
    for _ in range(3):
        pass_time(clock, LEASE_S - 1)
        assert owner.renew()
    assert read_record(tmp_path).renewed_monotonic_s == clock.monotonic()


def test_a_vanished_state_folder_ends_control_with_a_word(
    owner: Owner, tmp_path: Path, clock: SimulatedClock, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "owner.json.lock").unlink()
    (tmp_path / "owner.json.lock").mkdir()
    pass_time(clock, 0.5)
    assert owner.renew()
    assert owner.renew()
    assert len([record for record in caplog.records if "takes no renewal" in record.message]) == 1
    pass_time(clock, LEASE_S + 1)
    assert not owner.valid()


def test_a_record_of_another_boot_is_not_fresh(owner: Owner, tmp_path: Path) -> None:
    path = tmp_path / RECORD_FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | {"boot_id": "another"}))
    assert not read_record(tmp_path).is_fresh(0.0)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"epoch": 1}'])
def test_a_damaged_record_is_no_ownership(owner: Owner, tmp_path: Path, clock: SimulatedClock, text: str) -> None:
    (tmp_path / RECORD_FILE).write_text(text)
    pass_time(clock, 2.0)
    assert read_record(tmp_path) is None
    assert not owner.valid()


def test_the_lease_counts_the_seconds_of_an_accelerated_clock(tmp_path: Path) -> None:
    fast = ScaledClock(START, 0.0, 1e9)  # every moment is an age
    owner = Owner(tmp_path, fast, LEASE_S)
    owner.acquire()
    assert not owner.valid()
    owner.release()


class TwoOwners(RuleBasedStateMachine):
    """Whatever happens, at most one of two processes may write, and epochs only grow."""

    @initialize(folder=st.just(None))
    def begin(self, folder: None) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.clock = SimulatedClock(START)
        self.owners = [Owner(self.folder, self.clock, LEASE_S) for _ in range(2)]
        self.highest = 0

    @rule(who=st.integers(0, 1))
    def acquire(self, who: int) -> None:
        try:
            self.owners[who].acquire()
        except NotOwner:
            return
        assert self.owners[who].epoch > self.highest
        self.highest = self.owners[who].epoch

    @rule(who=st.integers(0, 1))
    def renew(self, who: int) -> None:
        self.owners[who].renew()

    @rule(who=st.integers(0, 1))
    def release(self, who: int) -> None:
        self.owners[who].release()

    @rule(seconds=st.floats(1.0, 2 * LEASE_S))
    def time_passes(self, seconds: float) -> None:
        pass_time(self.clock, seconds)

    @rule()
    def guard_takes_over_what_is_lost(self) -> None:
        with record_locked(self.folder):
            record = read_record(self.folder)
            if record and not (is_lock_held(self.folder) and record.is_fresh(self.clock.monotonic())):
                self.highest = write_record(
                    self.folder, "guard", now_s=self.clock.monotonic(), lease_s=LEASE_S, settled=True
                ).epoch

    @invariant()
    def at_most_one_writes_and_only_under_the_newest_epoch(self) -> None:
        if not hasattr(self, "owners"):
            return
        writing = [owner.epoch for owner in self.owners if owner.valid()]
        assert writing in ([], [self.highest])

    def teardown(self) -> None:
        for owner in getattr(self, "owners", []):
            owner.release()
        shutil.rmtree(self.folder)


TestTwoOwners = TwoOwners.TestCase
TestTwoOwners.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)


_WRITER = """
import sys
from pathlib import Path
from ems.clock import SystemClock
from ems.ownership import Owner

class Clock(SystemClock):
    def monotonic(self):
        return super().monotonic() + float(Path(sys.argv[2]).read_text())

owner = Owner(sys.argv[1], Clock(), 60.0)
owner.acquire()
for _ in sys.stdin:
    owner.renew()
    print("writes" if owner.valid() else "is no owner", flush=True)
"""


def test_a_real_process_that_was_stopped_past_its_lease_writes_nothing_when_it_goes_on(tmp_path: Path) -> None:
    """How long it was stopped is told by a file, so that a busy machine stops nobody for longer than is meant."""
    asleep = tmp_path / "asleep_s"
    asleep.write_text("0")
    order = [sys.executable, "-c", _WRITER, tmp_path / "state", asleep]
    (tmp_path / "state").mkdir()
    writer = subprocess.Popen(order, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
    with writer:
        writer.stdin.write("\n")
        assert writer.stdout.readline() == "writes\n"
        writer.send_signal(signal.SIGSTOP)
        asleep.write_text("61")
        writer.stdin.write("\n" * 3)
        writer.send_signal(signal.SIGCONT)
        assert [writer.stdout.readline() for _ in range(3)] == ["is no owner\n"] * 3
        writer.stdin.close()


async def test_a_busy_file_system_holds_up_nobody_who_keeps_the_site(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, ready = ScaledClock(datetime(2025, 6, 1, tzinfo=UTC), 0.0, 10.0), threading.Event()
    owner = Owner(tmp_path, clock, 60.0)
    owner.acquire()
    before = read_record(tmp_path)
    store = ems.ownership._store

    def slow(*args: object, **options: object) -> None:
        ready.wait(10.0)
        store(*args, **options)

    monkeypatch.setattr(ems.ownership, "_store", slow)
    await clock.sleep(3.1)
    assert await owner.keep(0.1), "it waits for no disk"
    assert read_record(tmp_path) == before
    ready.set()
    assert await owner.keep(600.0)
    assert read_record(tmp_path).renewed_monotonic_s > before.renewed_monotonic_s
    owner.release()


async def test_what_was_given_back_during_a_renewal_stays_given_back(
    owner: Owner, clock: SimulatedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ems.ownership._store

    def meanwhile(*args: object, **options: object) -> None:
        owner.release()
        store(*args, **options)

    monkeypatch.setattr(ems.ownership, "_store", meanwhile)
    pass_time(clock, 10.0)
    assert not await owner.keep(1.0)
    assert not owner.valid()


async def test_a_fresh_record_is_not_written_again(owner: Owner, clock: SimulatedClock, tmp_path: Path) -> None:
    pass_time(clock, LEASE_S / 40)
    assert await owner.keep(1.0)
    assert read_record(tmp_path).renewed_monotonic_s == 0.0
    pass_time(clock, LEASE_S / 40)
    assert await owner.keep(1.0)
    assert read_record(tmp_path).renewed_monotonic_s == clock.monotonic()
