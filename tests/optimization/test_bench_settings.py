"""What the bench lets be otherwise for a while is what models of the solver take up."""

from __future__ import annotations

import highspy
import numpy as np
import pytest
from districts import LOAD, problem

from optimization.assets import LoadInputs
from optimization.solve import Solver
from optimization.solver_options import DEVEX, EDGE_WEIGHTS, OPTIONS
from tests.benchmarks.bench_solver import setting


@pytest.mark.parametrize(
    ("name", "value", "option", "taken"),
    [
        ("OPTIONS", OPTIONS | {"mip_rel_gap": 0.5}, "mip_rel_gap", 0.5),
        ("CHOSEN", DEVEX, EDGE_WEIGHTS, DEVEX),
    ],
)
def test_a_setting_reaches_the_models_that_are_made_within_it(monkeypatch, name, value, option, taken) -> None:
    asked, set_to, told = problem([(LOAD, LoadInputs(np.ones(2)))], np.ones(2)), highspy.Highs.setOptionValue, []

    def seen(self: highspy.Highs, name: str, value: object) -> object:
        told.append((name, value))
        return set_to(self, name, value)

    monkeypatch.setattr(highspy.Highs, "setOptionValue", seen)
    with setting(name, value):
        Solver().solve(asked)
    assert (option, taken) in told
    told.clear()
    Solver().solve(asked)
    assert option in dict(told) and (option, taken) not in told
