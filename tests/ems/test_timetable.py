"""Deadlines on the steady axis: nothing queues, what is late is counted, a stepped wall clock moves nothing."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from virtual_time import LoopClock, in_virtual_time

from ems.clock import SimulatedClock
from ems.timetable import LiveRunner, SimulatedRunner, Timetable, every

START = datetime(2025, 3, 30, 0, 30, tzinfo=UTC)


async def nothing(_until_s: float) -> None:
    """A world that needs no moving."""


def recorder(clock, into):
    async def work() -> None:
        into.append(clock.monotonic())

    return work


async def test_simulated_jobs_run_at_their_due_times_across_a_change_of_summer_time():
    clock, ran = SimulatedClock(START), []
    table = Timetable(clock)
    table.add("control", every(600.0, table.start), recorder(clock, ran))
    await SimulatedRunner(table, clock, nothing).run_until(7200.0)
    assert ran == [600.0 * k for k in range(12)]
    assert clock.monotonic() == 7200.0


async def test_simulated_jobs_due_together_run_in_the_order_in_which_they_were_added():
    clock, ran = SimulatedClock(START), []
    table = Timetable(clock)

    def job(name: str):
        async def work() -> None:
            ran.append((clock.monotonic(), name))

        return work

    table.add("control", every(10.0, table.start), job("control"))
    table.add("plan", every(30.0, table.start), job("plan"))
    await SimulatedRunner(table, clock, nothing).run_until(31.0)
    assert ran == [
        (0.0, "control"), (0.0, "plan"), (10.0, "control"), (20.0, "control"), (30.0, "control"), (30.0, "plan"),
    ]  # fmt: skip


async def test_the_world_is_moved_before_every_job_and_time_stands_still_between_jobs_of_one_instant():
    clock, moves = SimulatedClock(START), []

    async def advance(until_s: float) -> None:
        moves.append((clock.monotonic(), until_s))

    table = Timetable(clock)
    table.add("a", every(10.0, table.start), recorder(clock, []))
    table.add("b", every(10.0, table.start), recorder(clock, []))
    await SimulatedRunner(table, clock, advance).run_until(25.0)
    assert moves == [(0.0, 10.0), (10.0, 20.0), (20.0, 25.0)]


async def test_a_job_that_is_asked_for_runs_early_and_keeps_its_due_times():
    clock, ran = SimulatedClock(START), []
    table = Timetable(clock)
    plan = table.add("plan", every(300.0, table.start), recorder(clock, ran))

    async def control() -> None:
        if clock.monotonic() == 40.0:
            plan.ask()

    table.add("control", every(10.0, table.start), control)
    await SimulatedRunner(table, clock, nothing).run_until(601.0)
    assert ran == [0.0, 40.0, 300.0, 600.0]
    assert plan.missed == 0


async def test_a_failing_job_is_logged_and_runs_again(caplog):
    clock, ran = SimulatedClock(START), []

    async def work() -> None:
        ran.append(clock.monotonic())
        raise ValueError("boom")

    table = Timetable(clock)
    table.add("control", every(10.0, table.start), work)
    await SimulatedRunner(table, clock, nothing).run_until(25.0)
    assert ran == [0.0, 10.0, 20.0]
    assert "job control failed" in caplog.text


@pytest.mark.parametrize(
    ("took_s", "missed", "next_due_s"),
    [
        (0.0, 0, 10.0),
        (9.9, 0, 10.0),
        (10.0, 0, 10.0),
        (10.1, 1, 10.0),
        (25.0, 1, 10.0),
    ],
)
async def test_a_run_that_ends_later_than_a_period_after_its_due_time_is_missed(took_s, missed, next_due_s):
    clock = SimulatedClock(START)

    async def work() -> None:
        await clock.sleep(took_s)

    table = Timetable(clock)
    job = table.add("control", every(10.0, table.start), work)
    await table.run(job)
    assert (job.missed, job.due_s) == (missed, next_due_s)


async def test_a_run_that_decides_in_time_and_acts_for_long_is_not_missed():
    clock = SimulatedClock(START)
    table = Timetable(clock)

    async def work() -> None:
        job.decided_s = clock.monotonic() + 6.0
        await clock.sleep(14.0)

    job = table.add("control", every(10.0, table.start), work)
    await table.run(job)
    assert job.missed == 0


async def test_due_times_that_pass_unserved_are_skipped_and_counted_never_queued():
    clock, ran = SimulatedClock(START), []
    table = Timetable(clock)
    job = table.add("control", every(10.0, table.start), recorder(clock, ran))
    clock.advance_to(47.0)
    await table.run(job)
    assert ran == [47.0]
    assert job.missed == 4
    assert job.due_s == 50.0


@given(st.lists(st.floats(0.0, 95.0), max_size=12), st.sampled_from([1.0, 10.0, 7.0]))
def test_every_due_time_is_either_run_or_missed(pauses, period):
    async def story() -> None:
        clock = SimulatedClock(START)
        table = Timetable(clock)
        job = table.add("control", every(period, table.start), recorder(clock, []))
        for pause in pauses:
            clock.advance_to(clock.monotonic() + pause)
            if clock.monotonic() >= job.due_s:
                await table.run(job)
        assert job.due_s - period <= clock.monotonic() + 1e-6 or job.runs == 0
        assert job.runs + job.missed == round(job.due_s / period)

    asyncio.run(story())


@in_virtual_time
async def test_live_jobs_keep_their_pace_while_a_slow_one_runs():
    clock = LoopClock(START)
    ran: list[float] = []
    table = Timetable(clock)
    control = table.add("control", every(10.0, table.start), recorder(clock, ran))

    async def slow() -> None:
        await clock.sleep(60.0)

    plan = table.add("plan", every(20.0, table.start), slow)
    runner = LiveRunner(table, clock)
    await runner.run(for_s=100.0)
    assert ran == pytest.approx([10.0 * k for k in range(10)])
    assert control.missed == 0
    assert plan.missed >= 2


@in_virtual_time
async def test_a_live_runner_stops_between_runs():
    clock = LoopClock(START)
    ran: list[float] = []
    table = Timetable(clock)
    table.add("control", every(10.0, table.start), recorder(clock, ran))
    runner = LiveRunner(table, clock)
    task = asyncio.create_task(runner.run())
    while len(ran) < 3:
        await clock.sleep(5.0)
    runner.stop()
    await task
    count = len(ran)
    await clock.sleep(30.0)
    assert len(ran) == count


@in_virtual_time
async def test_a_stop_finishes_what_must_be_and_cuts_what_may_be():
    clock = LoopClock(START)
    table, begun, ended = Timetable(clock), [], []

    async def work(name: str, seconds: float) -> None:
        begun.append(name)
        await clock.sleep(seconds)
        ended.append(name)

    table.add("control", every(100.0, table.start), lambda: work("control", 20.0))
    table.add("plan", every(100.0, table.start), lambda: work("plan", 1e6), may_be_cut=True)
    runner = LiveRunner(table, clock)
    task = asyncio.create_task(runner.run())
    while len(begun) < 2:
        await clock.sleep(1.0)
    runner.stop()
    await asyncio.wait_for(task, 100.0)
    assert ended == ["control"]


class SteppedClock(SimulatedClock):
    """A clock whose records jump."""

    def __init__(self) -> None:
        super().__init__(START)
        self.step_s = 0.0

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=self.step_s)


@pytest.mark.parametrize("step_s", [3600.0, -3600.0, 3.15e8])
async def test_a_stepped_wall_clock_moves_no_deadline(step_s):
    clock, ran = SteppedClock(), []
    table = Timetable(clock)
    table.add("control", every(10.0, table.start), recorder(clock, ran))

    async def advance(until_s: float) -> None:
        if until_s == 30.0:
            clock.step_s = step_s

    await SimulatedRunner(table, clock, advance).run_until(61.0)
    assert ran == [0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0]


def test_two_jobs_of_one_name_are_refused():
    table = Timetable(SimulatedClock(START))
    table.add("control", every(10.0, table.start), recorder(None, []))
    with pytest.raises(ValueError, match="already on the timetable"):
        table.add("control", every(10.0, table.start), recorder(None, []))


def test_what_passed_before_the_start_was_not_missed():
    clock = SimulatedClock(START)
    table = Timetable(clock)
    job = table.add("control", every(10.0, table.start), recorder(clock, []))
    clock.advance_to(34.0)
    table.begin()
    assert (job.due_s, job.missed) == (40.0, 0)
