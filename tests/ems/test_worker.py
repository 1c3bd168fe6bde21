"""The solver process: it answers, and whatever it does wrong it is killed, replaced and no plan is lost but its own."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
from plan_samples import START, sample_problem

from ems.clock import SimulatedClock, SystemClock
from ems.plan_check import check_plan
from ems.worker import DirectSolver, Feeder, WorkerSolver
from optimization.month_ahead import MonthAhead, Store
from optimization.problem import Plan, Refused
from optimization.season import Season, SeasonStore

HERE = Path(__file__).parent
T = TypeVar("T")


class CountedClock(SystemClock):
    """The machine's clock; waits for readiness are not cut short by a deadline that is meant for the solve."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []

    async def wait_for(self, awaitable: Awaitable[T], seconds: float) -> T:
        self.waits.append(seconds)
        return await super().wait_for(awaitable, seconds)


@asynccontextmanager
async def worker(
    mode: str, folder: Path, clock: SystemClock | SimulatedClock | None = None
) -> AsyncIterator[WorkerSolver]:
    command = (sys.executable, str(HERE / "stand_in_worker.py"), mode, str(folder))
    solver = WorkerSolver(Feeder(None, folder), clock or SystemClock(), command=command)
    try:
        yield solver
    finally:
        await solver.close()


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(60.0):
        while not true():
            await SystemClock().sleep(0.01)


async def ready(solver: WorkerSolver) -> int:
    await solver.start()
    await until(lambda: solver.ready)
    assert solver.pid is not None
    return solver.pid


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def starts(folder: Path) -> int:
    return len(list(folder.glob("started-*")))


async def test_it_warms_in_the_background_and_answers(tmp_path: Path) -> None:
    async with worker("good", tmp_path) as solver:
        assert not solver.ready
        pid = await ready(solver)
        plan = await solver.solve(sample_problem(), START, 10.0)
        assert isinstance(plan, Plan)
        assert plan.id == f"by {pid}"
        assert plan.made_at == START
        assert check_plan(sample_problem(), plan) == ()
    assert not alive(pid)


async def test_a_refusal_comes_through(tmp_path: Path) -> None:
    async with worker("refuses", tmp_path) as solver:
        await ready(solver)
        assert await solver.solve(sample_problem(), START, 10.0) == Refused(("the battery is invalid",))
        assert solver.replaced == 0


@pytest.mark.parametrize("mode", ["hangs", "dies", "nonsense", "no_pickle", "wrong_type", "half"])
async def test_whatever_goes_wrong_it_is_killed_and_replaced(
    mode: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with worker(mode, tmp_path) as solver:
        pid = await ready(solver)
        with caplog.at_level(logging.WARNING, "ems.worker"):
            assert await solver.solve(sample_problem(), START, 0.3 if mode == "hangs" else 10.0) is None
        assert not alive(pid)
        assert [r.message for r in caplog.records if "killed and replaced" in r.message]
        assert await ready(solver) != pid
        again = await solver.solve(sample_problem(), START + timedelta(minutes=5), 10.0)
        assert isinstance(again, Plan)
        assert solver.replaced == 1


async def test_kill_9_between_two_questions_costs_no_plan(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with worker("good", tmp_path) as solver:
        pid = await ready(solver)
        os.kill(pid, signal.SIGKILL)
        await until(lambda: not solver.ready)
        plan = await solver.solve(sample_problem(), START, 60.0)
        assert isinstance(plan, Plan)
        assert plan.id != f"by {pid}"
        assert solver.replaced == 1
        assert "ended with status -9: another is started" in caplog.text


async def test_a_worker_that_is_still_warming_is_not_killed_for_it(tmp_path: Path) -> None:
    async with worker("slow_start", tmp_path) as solver:
        assert await solver.solve(sample_problem(), START, 0.05) is None
        pid = await ready(solver)
        assert solver.replaced == 0
        plan = await solver.solve(sample_problem(), START, 10.0)
        assert isinstance(plan, Plan)
        assert plan.id == f"by {pid}"


async def test_a_worker_that_cannot_start_is_tried_again_with_the_next_question(tmp_path: Path) -> None:
    async with worker("never_starts", tmp_path) as solver:
        assert await solver.solve(sample_problem(), START, 10.0) is None
        assert not solver.ready
        assert await solver.solve(sample_problem(), START, 10.0) is None
        assert starts(tmp_path) == 2


async def test_the_deadline_is_waited_for_on_the_injected_clock(tmp_path: Path) -> None:
    clock = CountedClock()
    async with worker("good", tmp_path, clock) as solver:
        await ready(solver)
        await solver.solve(sample_problem(), START, 12.5)
        assert clock.waits[-1] == 12.5


async def test_on_a_simulated_clock_nothing_is_cut(tmp_path: Path) -> None:
    async with worker("slow_start", tmp_path, SimulatedClock(START)) as solver:
        assert isinstance(await solver.solve(sample_problem(), START, 1e-9), Plan)


async def test_it_ends_with_its_parent(tmp_path: Path) -> None:
    """The child reads the end of its stdin when the parent is gone, however that went."""
    async with worker("good", tmp_path) as solver:
        pid = await ready(solver)
        process = solver._process
        assert process is not None and process.stdin is not None
        process.stdin.close()
        await asyncio.wait_for(process.wait(), 10.0)
        assert not alive(pid)


def month_ahead() -> MonthAhead:
    hourly = np.full(4, 0.2)
    drawn = np.array([4.0, 5.0, 3.0, 2.0])
    return MonthAhead(START, 3600.0, drawn, hourly, 0.0 * hourly, hourly, None, (), np.zeros(4, int), np.zeros(1), 9.0)


def season_ahead() -> Season:
    hourly = np.array([0.1, 0.2, 0.3, 0.4])
    pit = SeasonStore("pit", 9.0, 4.0, 3.0, 3.0, is_valued=True)
    return Season(
        START, np.full(4, 3600.0), 1, np.full(4, 5.0), hourly, 0.0 * hourly, 50.0, 50.0, {}, (pit,), (), (),
        np.zeros(4, int), np.zeros(1),
    )  # fmt: skip


async def test_the_real_worker_and_the_direct_solver_agree(tmp_path: Path) -> None:
    real = WorkerSolver(Feeder(None, tmp_path), SimulatedClock(START))
    direct = DirectSolver(Feeder(None, tmp_path))
    try:
        answers = [await solver.solve(sample_problem(), START, 60.0) for solver in (real, direct)]
        first, second = answers
        assert isinstance(first, Plan) and isinstance(second, Plan)
        assert check_plan(sample_problem(), first) == ()
        assert first.objective == second.objective
        assert all((first.schedules[a].power_kw == second.schedules[a].power_kw).all() for a in first.schedules)
        assert direct.ready and real.ready
        rough, same = [await solver.look_ahead(month_ahead(), 60.0) for solver in (real, direct)]
        assert rough is not None and same is not None
        assert rough.peak_kw.tolist() == same.peak_kw.tolist()
        assert rough.peak_kw[0] == pytest.approx(5.0)
        # What has no optimum is no answer, and the worker lives on.
        hopeless = Store(10.0, 0.5, 0.0, 0.0, standby_kw=1.0)
        assert await real.look_ahead(replace(month_ahead(), store=hopeless), 60.0) is None
        seen, alike = [await solver.look_season(season_ahead(), 60.0) for solver in (real, direct)]
        assert seen is not None and alike is not None
        assert seen.worth["pit"].per_kwh.tolist() == alike.worth["pit"].per_kwh.tolist()
        gap = replace(season_ahead(), fixed_kw=np.full(4, np.nan))
        assert await real.look_season(gap, 60.0) is None
        assert real.replaced == 0
    finally:
        await real.close()
        await direct.close()
    assert not direct.ready
