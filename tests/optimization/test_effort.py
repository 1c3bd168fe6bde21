"""What a plan took is told apart: building its programme, and solving it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from districts import BATTERY, LOAD, START, problem

from optimization import kept_models
from optimization.assets import BatteryInputs, LoadInputs
from optimization.effort import Rounds
from optimization.hedging import HedgingSolver
from optimization.problem import Refused
from optimization.rolling import Planner
from optimization.solve import Solver
from optimization.uncertainty import Scenario, Uncertainty
from optimization.warm import WarmModel


class Slow:
    """A clock that moves while a model is built, its numbers are filled in, and it is solved, and never else."""

    def __init__(self, monkeypatch) -> None:
        self.now_s = 0.0
        self.slowed(monkeypatch, kept_models, "build_model", 5.0)
        self.slowed(monkeypatch, kept_models, "compile_model", 2.0)
        self.slowed(monkeypatch, WarmModel, "solve", 100.0)

    def slowed(self, monkeypatch, owner, name: str, seconds: float) -> None:
        original = getattr(owner, name)

        def takes_its_time(*args, **kwargs):
            self.now_s += seconds
            return original(*args, **kwargs)

        monkeypatch.setattr(owner, name, takes_its_time)

    def __call__(self) -> float:
        return self.now_s


def asked(energy_kwh=5.0, uncertainty=None):
    pairs = [(BATTERY, BatteryInputs(energy_kwh, 0.1)), (LOAD, LoadInputs(np.full(12, 2.0)))]
    return problem(pairs, np.linspace(0.1, 0.4, 12), uncertainty=uncertainty)


def test_building_is_timed_without_the_solver_s_time_and_costs_once(monkeypatch):
    clock = Slow(monkeypatch)
    solver = Solver(stopwatch=clock)
    first, second = (solver.solve(asked(energy)).solve for energy in (5.0, 6.0))
    assert (first["build_wall_s"], second["build_wall_s"]) == (7.0, 0.0)
    assert clock.now_s == 207.0
    assert all(0.0 < figures["wall_s"] < 10.0 for figures in (first, second)), "the solver tells its own"


def test_of_a_plan_for_several_scenarios_the_programme_of_all_is_timed(monkeypatch):
    several = Uncertainty((Scenario("dark", 0.3, {"load": {"demand_kw": np.full(12, 4.0)}}),))
    solution = HedgingSolver(stopwatch=Slow(monkeypatch)).solve(asked(uncertainty=several))
    assert solution.solve["build_wall_s"] == 7.0, "both scenarios have one model"


def test_the_rounds_of_a_plan_add_up_and_another_plan_begins_anew():
    class Told:
        def solve(self, question):
            return next(answers)

    solution = Solver().solve(asked())
    each = [dict(solution.solve, wall_s=wall_s, build_wall_s=build_s) for wall_s, build_s in ((1.0, 3.0), (0.5, 0.25))]
    answers = iter([_with(solution, each[0]), Refused(("no",)), _with(solution, each[1]), _with(solution, {})])
    rounds = Rounds(Told())
    for _ in range(3):
        rounds.solve(asked())
    assert rounds.told({"status": "optimal", "wall_s": 0.5}) == {
        "status": "optimal", "wall_s": 1.5, "build_wall_s": 3.25,
    }  # fmt: skip
    rounds.begin()
    rounds.solve(asked())
    assert rounds.told({}) == {"wall_s": 0.0, "build_wall_s": 0.0}


def _with(solution, figures):
    return replace(solution, solve=figures)


def test_a_published_plan_tells_both(tmp_path):
    planner = Planner(None, tmp_path)
    first, second = (planner.plan(asked(energy), START).solve for energy in (5.0, 6.0))
    assert first["build_wall_s"] > second["build_wall_s"] > 0.0
    assert min(first["wall_s"], second["wall_s"]) > 0.0
