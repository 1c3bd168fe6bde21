"""The machine's wall clock is stepped by an hour under a running daemon: control goes on as if nothing were."""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from stage import NOW, Yard, make_site
from town import records

from ems.app import Daemon, build
from ems.clock import SystemClock
from ems.ownership import read_record
from ems.timetable import SimulatedRunner
from ems.worker import NoSolver

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


async def live_through(machine: Machine, state: Path, step_s: float) -> tuple[Daemon, SimpleNamespace]:
    """Run a daemon for ten minutes, with a step of the wall clock on the way; tells what was seen."""
    clock = LetClock(machine)
    site = make_site()
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
        if until_s >= 5000.0 + STEP_AT_S:
            machine.step_s = step_s

    control.work = cycle
    await daemon.start()
    await SimulatedRunner(daemon.timetable, clock, advance).run_until(5000.0 + END_S)
    return daemon, seen


@pytest.mark.parametrize("step_s", [3600.0, -3600.0])
async def test_no_deadline_moves_and_the_records_follow(machine: Machine, tmp_path: Path, step_s: float) -> None:
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
    told = records(tmp_path / "stepped" / "journal.db", "transition")
    assert told[-1].body["event"] == "stop"
    assert told[-1].at - told[0].at == timedelta(seconds=END_S + step_s)
    raised = [r.body for r in records(tmp_path / "stepped" / "journal.db", "alarm") if r.body["key"] == "wall_clock"]
    assert [one["event"] for one in raised] == ["raised", "ended"]
    assert f"{step_s:+.1f} s" in raised[0]["text"]
