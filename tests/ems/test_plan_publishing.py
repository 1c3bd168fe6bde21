"""The slow loop: which plan it publishes, and what leaves the last one in force."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from planning_kit import NOW, Loop, build_loop, idle_plan

from ems.config.site import Planning as PlanningConfig
from ems.plan_counts import moved_kw
from ems.slow.plan_record import digest
from ems.slow.question import plan_slots
from ems.store.database import StoreError
from ems.store.encoding import to_json
from optimization.problem import AcVerdict, Plan, Problem, Refused

SHORT = PlanningConfig(horizon_h=6.0)


@pytest.fixture
def loop(tmp_path: Path) -> Loop:
    return build_loop(tmp_path)


async def test_a_plan_is_published_after_its_check_and_its_record(loop: Loop) -> None:
    assert loop.planning.published is None
    plan = await loop.plan()
    assert isinstance(plan, Plan)
    assert loop.planning.published is plan
    kind, body, at = loop.journal.records[0]
    assert (kind, at, body["id"]) == ("plan", plan.made_at, plan.id)
    assert body["inputs_sha256"] == digest(loop.problem)
    assert body["power_kw"].keys() == plan.schedules.keys()
    assert loop.planning.counts.ac == {"feasible": 1}
    json.loads(to_json(body))


async def test_the_question_knows_the_plan_in_force(loop: Loop) -> None:
    first = await loop.plan()
    assert loop.problem.previous is None
    await loop.plan(5.0)
    assert loop.problem.previous is not None
    assert isinstance(first, Plan)
    assert loop.problem.previous.id == first.id
    assert loop.problem.previous.grid_rows is None


def impossible(problem: Problem, now: datetime) -> Plan:
    plan = idle_plan(problem, now)
    return replace(plan, import_kw=plan.import_kw - 1.0)


def broken(problem: Problem, now: datetime) -> Plan:
    raise ZeroDivisionError("in the planner")


@pytest.mark.parametrize(
    ("answer", "counter", "words"),
    [
        (impossible, "failed_checks", "power balance"),
        (lambda p, n: replace(idle_plan(p, n), ac=AcVerdict("unconverged")), "failed_checks", "never published"),
        (lambda p, n: None, "unanswered", "no answer"),
        (lambda p, n: Refused(("the sun is too bright",)), "refused", "too bright"),
        (broken, "failed", "planning failed: ZeroDivisionError: in the planner"),
    ],
)
async def test_what_is_not_a_possible_plan_leaves_the_last_one_in_force(
    loop: Loop, caplog: pytest.LogCaptureFixture, answer, counter: str, words: str
) -> None:
    good = await loop.plan()
    loop.solver.answer = answer
    with caplog.at_level(logging.INFO, "ems.planning"):
        for minute in (5.0, 10.0):
            assert not isinstance(await loop.plan(minute), Plan)
        assert loop.planning.published is good
        assert len(loop.journal.records) == 1
        assert getattr(loop.planning.counts, counter) == 2
        assert words in loop.planning.trouble
        loop.solver.answer = None
        assert isinstance(await loop.plan(15.0), Plan)
    assert loop.planning.trouble == ""
    assert caplog.records[-1].message == "plans are published again"


@pytest.mark.parametrize("error", [StoreError("the disk is full"), OSError("gone")])
async def test_a_plan_that_the_journal_does_not_take_is_not_published(loop: Loop, error: Exception) -> None:
    loop.journal.failing = error
    assert await loop.plan() is None
    assert loop.planning.published is None
    assert loop.planning.counts.unjournalled == 1
    assert str(error) in loop.planning.trouble


async def test_without_the_prepared_grid_it_waits(tmp_path: Path) -> None:
    loop = build_loop(tmp_path)
    for file in (tmp_path / "cache").iterdir():
        file.unlink()
    assert await loop.plan() is None
    assert "preparing the grid" in loop.planning.trouble
    assert loop.solver.asked == []


def test_moved_kw_compares_by_absolute_time() -> None:
    from plan_samples import sample_plan, sample_problem

    plan = sample_plan()
    assert moved_kw(plan, plan) == 0.0
    battery = replace(plan.schedules["battery"], power_kw=plan.schedules["battery"].power_kw + 2.0)
    assert moved_kw(plan, replace(plan, schedules={**plan.schedules, "battery": battery})) == pytest.approx(2.0)
    assert moved_kw(plan, replace(plan, slots=plan_slots(NOW + timedelta(days=9), SHORT))) == 0.0
    assert digest(sample_problem()) == digest(sample_problem())
