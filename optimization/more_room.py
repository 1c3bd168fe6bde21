"""What a larger connection would be worth, and to whom: the same question asked once more, with so much more room.

The first kW saves the sum of its worths over the slots (`optimization.shadow_prices`), and each further one
no more, as long as nothing comes whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from optimization.extract import Solution
from optimization.problem import Connection, Problem, Refused


class SolvesProblems(Protocol):
    """What is needed of a solver."""

    def solve(self, problem: Problem) -> Solution | Refused:
        """Solve a problem; may raise `SolveError`."""


@dataclass(frozen=True, slots=True, eq=False)
class MoreRoom:
    """What becomes of more room at the connection over the horizon.

    Args:
        saved: what the optimum costs less [currency], weights of lost wishes included.
        moved_kwh: energy that each asset takes or gives in other slots than before, by asset id.
        served: what of each wish is lost no more, by asset id and name of the wish, in its unit summed over the slots.
    """

    saved: float
    moved_kwh: Mapping[str, float]
    served: Mapping[str, Mapping[str, float]]


def more_room(
    solver: SolvesProblems, problem: Problem, *, import_kw: float = 0.0, export_kw: float = 0.0
) -> MoreRoom | Refused:
    """Widen the connection in every slot [kW] and compare; refused where the question is."""
    limits = problem.connection
    wider = Connection(limits.import_limit_kw + import_kw, limits.export_limit_kw + export_kw)
    before, after = solver.solve(problem), solver.solve(replace(problem, connection=wider))
    for solution in (before, after):
        if isinstance(solution, Refused):
            return solution
    assert isinstance(before, Solution)
    assert isinstance(after, Solution)
    hours, pairs = problem.slots.duration_h, {a: (before.schedules[a], one) for a, one in after.schedules.items()}
    return MoreRoom(
        saved=before.objective - after.objective,
        moved_kwh={a: float(np.abs(new.power_kw - old.power_kw) @ hours) for a, (old, new) in pairs.items()},
        served={
            a: {name: float((old.slack[name] - lost).sum()) for name, lost in new.slack.items()}
            for a, (old, new) in pairs.items()
            if new.slack
        },
    )
