"""The solver's manners: models are kept, answers are checked, a failed warm start is repeated cold."""

from __future__ import annotations

from dataclasses import replace

import highspy
import numpy as np
import pytest
from districts import BATTERY, LOAD, POINT, as_plan, hours, problem
from drawn_districts import drawn_district

from ems.plan_check import check_plan
from optimization import kept_models, solve, warm
from optimization.affine import compile_model
from optimization.answer import worst_residual
from optimization.assets import BatteryInputs, ChargePoint, ChargePointInputs, EvSession, LoadInputs
from optimization.model import build_model
from optimization.solve import Solver
from optimization.solver_options import OPTIONS, most_nodes
from optimization.structure import structure
from optimization.warm import SolveError, WarmModel


def asked(energy=5.0, n=12, cars=1):
    sessions = tuple(EvSession(hours(k), hours(k + 1), 3.0) for k in range(cars))
    pairs = [
        (LOAD, LoadInputs(np.full(n, 3.0))),
        (BATTERY, BatteryInputs(energy)),
        (POINT, ChargePointInputs(sessions)),
    ]
    return problem(pairs, 0.2 + 0.1 * np.sin(np.arange(n)))


@pytest.fixture
def builds(monkeypatch):
    built = []
    original = kept_models.build_model
    monkeypatch.setattr(kept_models, "build_model", lambda *a: built.append(1) or original(*a))
    return built


def test_one_model_serves_all_problems_of_a_structure(builds):
    solver = Solver()
    starts = [solver.solve(asked(energy)).solve["start"] for energy in (5.0, 6.0, 18.0)]
    assert starts == ["cold", "warm", "warm"]
    assert solver.solve(asked(cars=2)).solve["start"] == "warm"
    assert len(builds) == 1


def test_another_structure_makes_another_model_and_the_oldest_goes(builds, monkeypatch):
    monkeypatch.setattr(solve, "MODELS_KEPT", 2)
    solver = Solver()
    for n in (4, 5, 4, 6, 4, 5):
        solver.solve(asked(n=n))
    assert len(builds) == 4


def test_a_slot_more_is_as_many_numbers_more_however_long_the_horizon_is():
    """Energy is carried from slot to slot, never added up anew from the start; all reach beyond the hours held to."""
    entries = [len(compile_model(build_model(structure(asked(n=n)), None)).indices) for n in (32, 56, 104)]
    assert entries[2] - entries[1] == pytest.approx(2 * (entries[1] - entries[0]), rel=0.01)


def test_a_deadline_of_nothing_is_an_error_that_says_so():
    with pytest.raises(SolveError, match="time limit"):
        Solver(deadline_s=0.0).solve(asked())


def crowded(n=12):
    """A small car park whose cars pause below their least power: whole numbers with a search of its own."""
    points = [ChargePoint(f"p{i}", 22.0, minimum_kw=4.0, keeps_minimum=True) for i in range(6)]
    stays = [EvSession(hours(i // 2 / 4), hours((8 + i // 2) / 4), 4.0 + i, 11.0) for i in range(6)]
    pairs = [(point, ChargePointInputs((stay,))) for point, stay in zip(points, stays, strict=True)]
    return problem(pairs, 0.25 + 0.1 * np.sin(np.arange(n)), limit=20.0)


@pytest.mark.parametrize(
    "limit", [{"mip_max_nodes": 0}, {"mip_max_improving_sols": 1}], ids=lambda limit: next(iter(limit))
)
def test_a_plan_that_a_limit_cut_short_is_taken_and_tells_the_gap_that_is_left(monkeypatch, limit):
    """It is no optimum, and it does not say so; what the best plan costs lies within the gap that it tells."""
    best = Solver().solve(crowded())
    for option, value in {"mip_rel_gap": 0.0, **limit}.items():
        monkeypatch.setitem(OPTIONS, option, value)
    asked = crowded()
    cut = Solver().solve(asked)
    assert cut.solve["status"] == "solution limit reached"
    assert check_plan(asked, as_plan(asked, cut)) == ()
    missed = (cut.objective - best.objective) / cut.objective
    assert missed <= cut.solve["gap"] + 1e-9
    assert np.isfinite(cut.solve["gap"])
    if "mip_max_nodes" in limit:
        assert missed > 1e-3  # it was cut short before the best was found


@pytest.mark.parametrize(("columns", "nodes"), [(100, 4000), (500, 800), (2000, 200), (100_000, 200)])
def test_a_search_is_bounded_by_its_work(columns, nodes):
    assert most_nodes(columns) == nodes


def test_no_column_could_better_an_optimum_by_more_than_the_finest_tolerance():
    solver = Solver()
    solution = solver.solve(drawn_district(2757).problem)
    info = next(iter(solver._models.values())).highs.getInfo()
    assert info.max_dual_infeasibility <= 1e-10
    assert solution.objective == pytest.approx(1.8141530326, abs=1e-9)


def test_an_optimum_that_the_finest_tolerance_loses_stays_as_it_was(monkeypatch):
    original = WarmModel._finish

    def finish(self, lp, deadline_s, start, *, incumbent=False):
        if self.highs.getOptionValue("dual_feasibility_tolerance")[1] < 1e-9:
            raise SolveError("lost")
        return original(self, lp, deadline_s, start, incumbent=incumbent)

    monkeypatch.setattr(WarmModel, "_finish", finish)
    solver, question = Solver(), drawn_district(2757).problem
    assert solver.solve(question).objective == pytest.approx(1.8141533740, abs=1e-9)
    model = next(iter(solver._models.values()))
    assert model.highs.getOptionValue("dual_feasibility_tolerance")[1] == 1e-7
    assert solver.solve(question).solve["iterations"] == 0.0


def test_a_deadline_counts_from_each_run():
    solver = Solver(deadline_s=5.0)
    first = solver.solve(asked())
    assert solver.solve(asked()).objective == pytest.approx(first.objective)


def test_an_iteration_limit_stops_without_a_clock(monkeypatch):
    monkeypatch.setitem(OPTIONS, "simplex_iteration_limit", 1)
    with pytest.raises(SolveError, match="iteration"):
        Solver().solve(asked())


def test_a_useless_basis_is_replaced_by_a_cold_start(monkeypatch):
    solver = Solver()
    good = solver.solve(asked())
    original = WarmModel._finish

    def finish(self, lp, deadline_s, start, *, incumbent=False):
        if start == "warm":
            raise SolveError("a basis that leads nowhere")
        return original(self, lp, deadline_s, start, incumbent=incumbent)

    monkeypatch.setattr(WarmModel, "_finish", finish)
    again = solver.solve(asked())
    assert again.solve["start"] == "cold"
    assert again.objective == pytest.approx(good.objective, rel=1e-9)


def test_an_answer_that_breaks_its_rows_is_not_believed(monkeypatch):
    monkeypatch.setattr(warm, "worst_residual", lambda *_: 1e-3)
    with pytest.raises(SolveError, match="breaks a row"):
        Solver().solve(asked())


def test_residuals_are_measured_on_rows_and_bounds():
    solver = Solver()
    solver.solve(asked())
    model = next(iter(solver._models.values()))
    lp = model.affine.fill(solve.values_of(asked(), solve.structure(asked())))
    x = model.solve(lp, None).x
    assert worst_residual(lp, x) <= 1e-7
    spoiled = x.copy()
    spoiled[model.affine.columns["import_kw"]] += 1.0
    assert worst_residual(lp, spoiled) >= 0.05


def test_a_warm_optimum_that_a_cold_one_contradicts_is_dropped(monkeypatch):
    solver = Solver(cross_check_every=1)
    good = solver.solve(asked())
    original = WarmModel._finish

    def finish(self, lp, deadline_s, start, *, incumbent=False):
        answer = original(self, lp, deadline_s, start, incumbent=incumbent)
        return replace(answer, objective=answer.objective + 1.0) if start == "warm" else answer

    monkeypatch.setattr(WarmModel, "_finish", finish)
    assert solver.solve(asked()).objective == pytest.approx(good.objective, rel=1e-9)


def test_every_solver_in_the_process_uses_one_thread():
    """Another number of threads in one process makes HiGHS fail silently."""
    model = Solver()
    model.solve(asked())
    highs = next(iter(model._models.values())).highs
    assert highs.getOptionValue("threads") == (highspy.HighsStatus.kOk, 1)
