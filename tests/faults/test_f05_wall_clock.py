"""F5: the machine's wall clock is stepped under a running daemon, or was never set."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Awaitable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fault_stage import quick_or_soak
from stage import NOW, Yard, make_site

from ems.app import build
from ems.clock import SystemClock
from ems.core import live
from ems.daemon import Daemon
from ems.exit_codes import CommandError
from ems.fast.demand import RECORD as INTERVAL
from ems.ownership import read_record
from ems.store.database import StoreError
from ems.store.journal import read_records
from ems.timetable import SimulatedRunner
from ems.worker import NoSolver
from optimization.tariff import DemandCharge

CYCLE_S, STEP_AT_S, END_S = 10.0, 95.0, 600.0


class Machine:
    """What the operating system says: seconds since the boot, and a wall clock that somebody may step."""

    def __init__(self) -> None:
        self.up_s, self.step_s = 5000.0, 0.0

    def monotonic(self) -> float:
        return self.up_s

    def wall(self, zone: Any = None) -> datetime:
        return NOW + timedelta(seconds=self.up_s - 5000.0 + self.step_s)


class LetClock(SystemClock):
    """The product's own clock on that machine, where waiting takes no time."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        super().__init__()

    def advance_to(self, monotonic_s: float) -> None:
        self._machine.up_s = monotonic_s

    async def wait_for(self, awaitable: Awaitable[Any], seconds: float) -> Any:
        return await awaitable


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine()

    class Calendar(datetime):
        now = staticmethod(made.wall)

    monkeypatch.setattr("ems.clock.time", made)
    monkeypatch.setattr("ems.clock.datetime", Calendar)
    return made


async def live_through(
    machine: Machine,
    state: Path,
    step_s: float,
    *,
    until_s: float = END_S,
    step_at_s: float = STEP_AT_S,
    demand: bool = False,
) -> tuple[Daemon, SimpleNamespace]:
    """Run a daemon for ten minutes, with a step of the wall clock on the way; tells what was seen."""
    clock = LetClock(machine)
    site = make_site()
    if demand:
        tariff = replace(site.tariff, demand=DemandCharge(price_per_kw=10.0, interval_s=900.0))
        site = site.model_copy(update={"tariff": tariff})
    yard = Yard(site, clock, sun_kw=lambda s: 40.0 + 10.0 * (s // 60 % 2), load_kw=lambda s: 8.0 + 6.0 * (s // 40 % 3))
    daemon = build(site, state, clock, NoSolver(), cycle_s=CYCLE_S, durable=False, feeds={}, drivers=yard.drivers)
    seen = SimpleNamespace(cycles_s=[], decisions=[], alarms=set(), due=[])
    control = next(job for job in daemon.timetable.jobs if job.name == "control")
    work = control.work

    async def cycle() -> None:
        seen.cycles_s.append(machine.up_s - 5000.0)
        seen.due.append({job.name: job.due_s - 5000.0 for job in daemon.timetable.jobs})
        await work()
        outcome = daemon.loop.last.outcome
        seen.decisions.append({name: (d.kw, d.rung) for name, d in outcome.decisions.items()})
        seen.alarms |= {alarm.key for alarm in daemon._alarms.active}

    async def advance(until_s: float) -> None:
        yard.live(until_s - clock.monotonic())
        if until_s >= 5000.0 + step_at_s:
            machine.step_s = step_s

    control.work = cycle
    await daemon.start()
    await SimulatedRunner(daemon.timetable, clock, advance).run_until(5000.0 + until_s)
    return daemon, seen


TEN_YEARS_S = 3650 * 86400.0
STEPS_S = (-86400.0, -3600.0, -60.0, -1.5, 1.5, 60.0, 3600.0, 86400.0)


@pytest.mark.parametrize("step_s", quick_or_soak([TEN_YEARS_S], STEPS_S))
async def test_f05_no_deadline_moves_and_the_records_follow(machine: Machine, tmp_path: Path, step_s: float) -> None:
    calm, undisturbed = await live_through(machine, tmp_path / "calm", 0.0)
    await calm.stop()
    machine.__init__()
    daemon, seen = await live_through(machine, tmp_path / "stepped", step_s)

    assert seen.cycles_s == [CYCLE_S * n for n in range(60)]
    assert seen.due == undisturbed.due
    assert all(job.missed == 0 for job in daemon.timetable.jobs)
    assert daemon.is_owner
    record = read_record(tmp_path / "stepped")
    assert record is not None and machine.up_s - record.renewed_monotonic_s <= record.lease_s / 3.0
    assert len({str(one) for one in seen.decisions}) > 3
    assert seen.decisions == undisturbed.decisions

    assert "wall_clock" in seen.alarms - undisturbed.alarms
    assert "wall_clock" not in {alarm.key for alarm in daemon._alarms.active}
    assert daemon._clock.now() == machine.wall()
    await daemon.stop()
    told = read_records(tmp_path / "stepped" / "journal.db", kind="transition", limit=10**6)
    assert told[-1].body["event"] == "stop"
    assert told[-1].at - told[0].at == timedelta(seconds=END_S + step_s)
    raised = [
        r.body
        for r in read_records(tmp_path / "stepped" / "journal.db", kind="alarm", limit=10**6)
        if r.body["key"] == "wall_clock"
    ]
    assert [one["event"] for one in raised] == ["raised", "ended"]
    assert f"{step_s:+.1f} s" in raised[0]["text"]


def intervals(state: Path) -> list[tuple[datetime, float]]:
    told = [r.body for r in read_records(state / "journal.db", kind=INTERVAL, limit=10**6)]
    return [(datetime.fromisoformat(one["start"]), one["mean_kw"]) for one in told]


@pytest.mark.parametrize("step_s", quick_or_soak([TEN_YEARS_S], (-86400.0, -1800.0, 1800.0)))
async def test_f05_no_metering_interval_comes_twice_or_out_of_a_jump(
    machine: Machine, tmp_path: Path, step_s: float
) -> None:
    daemon, _ = await live_through(machine, tmp_path, step_s, until_s=2000.0, step_at_s=950.0, demand=True)
    await daemon.stop()
    found = intervals(tmp_path)
    starts = [start for start, _ in found]
    assert starts == sorted(set(starts))
    assert 1 <= len(found) <= 4, "half an hour and a bit, whatever the clock says"
    assert all(0.0 <= mean_kw <= 60.0 for _, mean_kw in found)


async def test_f05_a_clock_before_the_program_began_is_never_adopted(machine: Machine, tmp_path: Path) -> None:
    daemon, seen = await live_through(machine, tmp_path, -TEN_YEARS_S)
    assert "wall_clock" in {alarm.key for alarm in daemon._alarms.active}
    assert seen.cycles_s == [CYCLE_S * n for n in range(60)]
    await daemon.stop()
    assert all(record.at >= NOW for record in read_records(tmp_path / "journal.db", limit=10**6))


async def test_f05_a_clock_that_was_never_set_keeps_everything_closed(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The core begins at 1970; two minutes later somebody sets the clock."""
    machine.step_s = (datetime(1970, 1, 1, tzinfo=NOW.tzinfo) - NOW).total_seconds()
    clock, built_s = LetClock(machine), []

    async def sleep(seconds: float) -> None:
        machine.up_s += seconds
        if machine.up_s >= 5120.0:
            machine.step_s = 0.0

    def build(*_: Any, **__: Any) -> Daemon:
        built_s.append(machine.up_s)
        raise StoreError("enough")

    monkeypatch.setattr(clock, "sleep", sleep)
    monkeypatch.setattr("ems.core.build", build)
    with pytest.raises(CommandError, match="enough"):
        await live(make_site(), tmp_path, clock, Namespace(), cycle_s=1.0)
    assert built_s == [5120.0]
    assert clock.now() == machine.wall()
    assert not (tmp_path / "journal.db").exists()
    assert sum("before this program began" in one for one in caplog.messages) == 2
