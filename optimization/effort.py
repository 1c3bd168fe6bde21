"""How long a plan took: building its programme and solving it, told apart. It is told, and decides nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from optimization.extract import Solution
from optimization.problem import Problem, Refused

Stopwatch = Callable[[], float]
"""Gives an instant that only differences are taken of [s], as `time.perf_counter` does."""
TIMES = ("wall_s", "build_wall_s")
"""Figures of a solve: the solver's own time, and that from the question to a filled programme [s]."""


class SolvesProblems(Protocol):
    """What the planner needs of a solver; may raise `SolveError`."""

    def solve(self, problem: Problem) -> Solution | Refused:
        """Solve without an AC check."""


@dataclass(slots=True)
class Rounds:
    """A solver that adds up what the rounds of one plan take.

    Args:
        solver: is asked.
        spent_s: of each of `TIMES`, since `begin` [s].
    """

    solver: SolvesProblems
    spent_s: dict[str, float] = field(default_factory=dict)

    def begin(self) -> None:
        """Begin another plan."""
        self.spent_s = {}

    def solve(self, problem: Problem) -> Solution | Refused:
        """Ask the solver."""
        found = self.solver.solve(problem)
        if isinstance(found, Solution):
            for name in TIMES:
                self.spent_s[name] = self.spent_s.get(name, 0.0) + float(found.solve.get(name, 0.0))
        return found

    def told(self, figures: Mapping[str, float | str]) -> dict[str, float | str]:
        """Give the figures of a plan's last solve, with the times of all its rounds."""
        return {**figures, **self.spent_s}
