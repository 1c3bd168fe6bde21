"""F10: the solver finds nothing, is late, wrong, dies or answers no number. Every cycle decides all the same."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import numpy as np
import pytest
from fault_stage import ASSET_OF, FaultStage, Run, fault
from plan_samples import sample_problem

from ems.daemon import Daemon
from ems.fast.decisions import Rung
from hil.simulation.faults import Kind
from hil.simulation.troubled import SolverInFront
from optimization import solve, warm
from optimization.problem import Plan, Problem, Refused

CYCLE_S, EVERY_S = 30.0, 300.0
Answer = Callable[["Scripted", Plan], Plan | Refused | None]


def sound(_: Scripted, plan: Plan) -> Plan:
    return plan


def late(_: Scripted, __: Plan) -> None:
    return None


def infeasible(_: Scripted, __: Plan) -> Refused:
    return Refused(("the battery's band is empty",))


def dies(_: Scripted, __: Plan) -> Plan:
    raise RuntimeError("the solver died")


def _bent(plan: Plan, bend: Callable[[np.ndarray], np.ndarray]) -> Plan:
    bent = {name: replace(each, power_kw=bend(each.power_kw)) for name, each in plan.schedules.items()}
    return replace(plan, id=f"{plan.id}-bent", schedules=bent)


def unbounded(_: Scripted, plan: Plan) -> Plan:
    return _bent(plan, lambda kw: np.full_like(kw, math.inf))


def not_a_number(_: Scripted, plan: Plan) -> Plan:
    return _bent(plan, lambda kw: np.full_like(kw, math.nan))


def wrong(_: Scripted, plan: Plan) -> Plan:
    return _bent(plan, lambda kw: 7.0 * kw + 3.0)


def too_short(_: Scripted, plan: Plan) -> Plan:
    return _bent(plan, lambda kw: kw[:-1])


WAYS: tuple[Answer, ...] = (late, infeasible, dies, unbounded, not_a_number, wrong, too_short)


@dataclass
class Scripted(SolverInFront):
    """The real planner, whose answers are turned into others by a script; past its end they are the last one's."""

    script: Sequence[Answer]
    answers: list[str] = field(default_factory=list)
    sound: list[str] = field(default_factory=list)
    _last: Plan | None = None

    async def solve(self, problem: Problem, now: datetime, deadline_s: float) -> Plan | Refused | None:
        how = self.script[min(len(self.answers), len(self.script) - 1)]
        self.answers.append(how.__name__)
        if how is late:
            await self.clock.sleep(deadline_s)
            return None
        if self._last is None or how is sound:
            answer = await self.inner.solve(problem, now, deadline_s)
            assert isinstance(answer, Plan)
            self._last = answer
        if how is sound:
            self.sound.append(self._last.id)
        return how(self, replace(self._last, made_at=now))

    async def look_ahead(self, question: Any, deadline_s: float) -> None:
        return None


def played(stage: FaultStage, seconds: float, script: Sequence[Answer], *faults: Any) -> tuple[Run, Scripted]:
    kept: list[Scripted] = []

    def alter(daemon: Daemon) -> None:
        daemon.planning._solver = Scripted(daemon.planning._solver, daemon._clock, script)
        kept.append(daemon.planning._solver)

    stage.alter = alter
    run = stage.run(seconds, *faults, cycle_s=CYCLE_S, plans=True)
    return run, kept[0]


def assert_decided(run: Run) -> None:
    """Each asset was decided in each cycle, in time, within its rating (which the judge looks at)."""
    assert run.counters["missed_deadlines"] == 0
    for one in run.seen:
        assert set(one.decisions) == set(ASSET_OF.values())
        assert all(d.kw is None or math.isfinite(d.kw) for d in one.decisions.values())


def test_f10_whatever_it_answers_every_cycle_decides(stage: FaultStage) -> None:
    """One good plan, then seven failures of seven kinds: the first plan goes on, older and older."""
    run, solver = played(stage, (len(WAYS) + 1) * EVERY_S, (sound, *WAYS))
    assert_decided(run)
    assert set(solver.answers) == {"sound", *(way.__name__ for way in WAYS)}
    assert {one.plan for one in run.seen if one.plan is not None} <= set(solver.sound)
    rungs = [one.decisions["battery"].rung for one in run.seen]
    assert Rung.PLAN in rungs and rungs[-1] is Rung.SHIFTED_PLAN
    assert any("plan" in one.alarms for one in run.seen)


def test_f10_an_error_of_the_planner_is_an_alarm_with_its_reason(stage: FaultStage) -> None:
    run, _ = played(stage, 2 * EVERY_S, (dies, sound))
    assert_decided(run)
    told = [one.alarms.get("plan") for one in run.seen]
    assert "planning failed: RuntimeError: the solver died" in told
    assert told[-1] is None, "a plan ends it"


@pytest.mark.soak
@pytest.mark.faults
def test_f10_the_ladder_from_the_plan_to_the_safe_values(stage: FaultStage) -> None:
    """One plan, then none for three hours; at the end the grid meter is lost too."""
    lost = fault(Kind.DROP_OUT, "grid_meter", 600.0, at_s=10_200.0)
    run, _ = played(stage, 10_800.0, (sound, late), lost)
    assert run.counters["missed_deadlines"] == 0
    order = [Rung.PLAN, Rung.SHIFTED_PLAN, Rung.RULES, Rung.SAFE]
    first, from_s = {}, 60.0  # before its first plan it goes by rules
    for rung in order:
        from_s = run.first(lambda one, rung=rung: one.decisions["battery"].rung is rung, from_s)
        first[rung] = from_s
    print({rung.value: round(at_s) for rung, at_s in first.items()})
    assert math.isfinite(first[Rung.SAFE])
    assert first[Rung.SHIFTED_PLAN] <= 3 * EVERY_S
    assert first[Rung.RULES] <= 7200.0 + 2 * EVERY_S, "no plan older than two hours"
    assert 10_200.0 <= first[Rung.SAFE] <= 10_200.0 + 4 * CYCLE_S


@pytest.mark.soak
@pytest.mark.faults
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_f10_the_nth_answer_fails_and_the_next_is_published(stage: FaultStage, way: Answer) -> None:
    for n in range(1, 6):
        script = [sound] * (n - 1) + [way, sound]
        run, solver = played(stage, (n + 1) * EVERY_S, script)
        assert_decided(run)
        assert run.seen[-1].plan in solver.sound
        assert {one.plan for one in run.seen} - {None} <= set(solver.sound)


@pytest.mark.parametrize("ended", ["infeasible", "unbounded", "time limit reached", "solve error", "unknown"])
def test_f10_no_answer_of_the_solver_is_taken_for_an_optimum(monkeypatch: pytest.MonkeyPatch, ended: str) -> None:
    """A warm run that ends badly is repeated cold; when every run ends so, the reason is told."""
    solver, problem = solve.Solver(), sample_problem()
    good = solver.solve(problem)
    assert not isinstance(good, Refused)
    runs: list[str] = []

    def once(model: warm.WarmModel) -> str:
        runs.append(real(model) if runs else ended)
        return runs[-1]

    real = warm.WarmModel._ended
    monkeypatch.setattr(warm.WarmModel, "_ended", once)
    again = solver.solve(problem)
    assert not isinstance(again, Refused)
    assert runs[0] == ended and len(runs) > 1
    assert again.objective == pytest.approx(good.objective, rel=1e-6)
    monkeypatch.setattr(warm.WarmModel, "_ended", lambda _: ended)
    with pytest.raises(warm.SolveError, match=ended):
        solver.solve(problem)


@pytest.mark.parametrize("spoilt", [math.nan, 1e30])
def test_f10_an_optimum_that_breaks_its_rows_is_none(monkeypatch: pytest.MonkeyPatch, spoilt: float) -> None:
    real = warm.worst_residual
    monkeypatch.setattr(warm, "worst_residual", lambda lp, x: real(lp, np.where(np.arange(len(x)) == 3, spoilt, x)))
    with pytest.raises(warm.SolveError, match="breaks a row or a bound"):
        solve.Solver().solve(sample_problem())
