"""The slow loop with the real optimisation on the demo feeder: every plan it makes passes the independent check."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio
from planning_kit import Loop, build_loop, demo_site, prepare_grid

from ems.slow.planning_setup import feeder
from ems.standing import Override
from ems.worker import DirectSolver, WorkerSolver
from optimization.assets import EvSession
from optimization.problem import Plan
from optimization.witness import SAME_PU, Witness


@pytest.fixture(scope="module")
def state_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("state")
    prepare_grid(demo_site(), folder)
    return folder


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def solver(state_dir: Path) -> AsyncIterator[DirectSolver]:
    made = DirectSolver(feeder(demo_site(), state_dir))
    yield made
    await made.close()


def started(state_dir: Path, solver: DirectSolver, at: datetime) -> Loop:
    loop = build_loop(state_dir, at=at)
    loop.planning._solver = solver
    return loop


@pytest.mark.parametrize("seed", [0, *(pytest.param(s, marks=pytest.mark.soak) for s in range(1, 40))])
async def test_every_plan_of_the_real_planner_passes_the_check(
    state_dir: Path, solver: DirectSolver, seed: int
) -> None:
    random = np.random.default_rng(seed)
    start = datetime(2025, 1 + seed % 6, 3 + seed % 25, int(random.integers(0, 24)), 5, tzinfo=UTC)
    loop = started(state_dir, solver, start)
    for cycle in range(3):
        now = start + timedelta(minutes=5 * cycle)
        car = EvSession(now - timedelta(hours=1), now + timedelta(minutes=float(random.uniform(3, 900))), 25.0, 11.0)
        answer = await loop.plan(
            5.0 * cycle,
            battery_inverter__soc_pct=float(random.uniform(-3.0, 103.0)),
            air_handler__temperature_c=float(random.uniform(8.0, 33.0)),
            grid_meter__power_kw=float(random.uniform(-60.0, 80.0)),
            wallbox__state=float(cycle % 3),
            sessions={"charge_point": (car,)},
        )
        assert isinstance(answer, Plan), (answer, loop.planning.trouble)
        assert answer.ac.status in {"feasible", "unavoidable_excess"}
    assert loop.planning.counts.failed_checks == 0


@pytest.mark.parametrize(
    "lost", ["battery", "pv", *(pytest.param(a, marks=pytest.mark.soak) for a in ("heat_pump", "charge_point"))]
)
async def test_it_plans_around_any_device(state_dir: Path, solver: DirectSolver, lost: str) -> None:
    loop = started(state_dir, solver, datetime(2025, 5, 14, 9, tzinfo=UTC))
    everything = {"battery", "heat_pump", "pv", "charge_point"}
    answer = await loop.plan(steered=everything - {lost}, battery_inverter__power_kw=-8.0)
    assert isinstance(answer, Plan), loop.planning.trouble
    assert answer.schedules.keys() >= everything
    await loop.plan(5.0)
    assert loop.planning.counts.published == 2


async def test_an_override_is_planned_with_until_it_ends(state_dir: Path, solver: DirectSolver) -> None:
    now = datetime(2025, 5, 14, 9, tzinfo=UTC)
    loop = started(state_dir, solver, now)
    order = {"battery": Override(5.0, "override by Ada: test", now + timedelta(minutes=30))}
    answer = await loop.plan(overrides=order)
    assert isinstance(answer, Plan), loop.planning.trouble
    kw = answer.schedules["battery"].power_kw
    np.testing.assert_allclose(kw[:2], 5.0, atol=1e-3)
    assert abs(kw[2:] - 5.0).max() > 1.0
    total = sum(schedule.power_kw for schedule in answer.schedules.values())
    np.testing.assert_allclose(answer.import_kw - answer.export_kw, total, atol=0.01)
    others = {"heat_pump", "pv", "charge_point"}
    answer = await loop.plan(5.0, overrides=order, steered=others, battery_inverter__power_kw=-8.0)
    assert isinstance(answer, Plan), loop.planning.trouble
    assert answer.schedules["battery"].power_kw[0] == pytest.approx(-8.0), "an override binds no device in advise"


async def test_equal_questions_in_equal_order_get_equal_plans(state_dir: Path) -> None:
    runs = []
    for _ in range(2):
        solver = DirectSolver(feeder(demo_site(), state_dir))
        loop = started(state_dir, solver, datetime(2025, 2, 4, 6, tzinfo=UTC))
        for minute in (5.0, 10.0):
            await loop.plan(minute, battery_inverter__soc_pct=40.0 + minute)
        runs.append([body for _, body, _ in loop.journal.records])
        await solver.close()
    for first, second in zip(*runs, strict=True):
        assert first["inputs_sha256"] == second["inputs_sha256"]
        assert first["objective"] == second["objective"]
        assert all((first["power_kw"][a] == second["power_kw"][a]).all() for a in first["power_kw"])
        assert first["solve"]["start"] == second["solve"]["start"]


async def test_without_news_a_plan_does_not_move(state_dir: Path, solver: DirectSolver) -> None:
    """The same instant, the same measurements: whatever was planned is planned again."""
    loop = started(state_dir, solver, datetime(2025, 2, 4, 6, tzinfo=UTC))
    await loop.plan()
    for _ in range(3):
        await loop.plan()
    assert loop.planning.counts.published == 4
    assert loop.planning.counts.moved_kw < 0.01


async def test_over_the_process_border_with_the_grid(state_dir: Path) -> None:
    loop = build_loop(state_dir, at=datetime(2025, 2, 4, 6, tzinfo=UTC))
    site = demo_site()
    worker = WorkerSolver(feeder(site, state_dir, Witness.LIVE), loop.clock)
    loop.planning._solver = worker
    try:
        answer = await loop.plan()
        assert isinstance(answer, Plan)
        assert answer.grid_rows is not None
        assert answer.ac.witnessed[0] == 0
        assert 0.0 < answer.ac.witness_off_pu < SAME_PU
        assert loop.journal.records[-1][1]["ac"] == answer.ac
        assert worker.ready
    finally:
        await worker.close()
