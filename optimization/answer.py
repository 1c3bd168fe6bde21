"""What a solve brought, and what it took."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from optimization.affine import Lp
from optimization.slots import Floats


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What the solver found.

    Args:
        x: values of the columns.
        objective: value of the objective, offset included.
        iterations: simplex iterations.
        run_s: the solver's own time [s].
        start: `warm` or `cold`.
        binaries: how many binaries were needed.
        gap: relative gap that was left; infinite where the solver knows no bound.
        status: how the solver ended; with binaries also at a limit, with the best plan found so far.
    """

    x: Floats
    objective: float
    iterations: int
    run_s: float
    start: str
    binaries: int = 0
    gap: float = 0.0
    status: str = "optimal"


def added_up(spent: list[Answer], x: Floats, binaries: int) -> Answer:
    """Report the last of several runs, with the effort of all of them and the gap of the last binaries.

    The relaxation costs no more than any plan: where the solver was stopped before it had a bound, that is the bound.
    """
    relaxed, mixed, settled = spent[0], spent[-2], spent[-1]
    iterations, run_s = sum(each.iterations for each in spent), sum(each.run_s for each in spent)
    effort = replace(settled, x=x, iterations=iterations, run_s=run_s, start=relaxed.start)
    above = (mixed.objective - relaxed.objective) / max(abs(mixed.objective), 1e-6)
    gap = mixed.gap if math.isfinite(mixed.gap) else max(0.0, above)
    return replace(effort, binaries=binaries, gap=gap, status=mixed.status)


def all_told(rounds: list[Answer]) -> Answer:
    """Report the last of several rounds of one question, with the effort of all of them."""
    iterations, run_s = sum(each.iterations for each in rounds), sum(each.run_s for each in rounds)
    return replace(rounds[-1], iterations=iterations, run_s=run_s, start=rounds[0].start)


def figures(answer: Answer, built_s: float = 0.0) -> dict[str, float | str]:
    """Put the figures of a solve into words for the record; `built_s` is what building its programme took [s]."""
    return {
        "status": answer.status,
        "objective": answer.objective,
        "iterations": float(answer.iterations),
        "wall_s": answer.run_s,
        "build_wall_s": built_s,
        "gap": answer.gap,
        "start": answer.start,
        "binaries": float(answer.binaries),
    }


def worst_residual(lp: Lp, x: Floats) -> float:
    """Find by how much x breaks a row or a bound at the worst, relative to the size of that limit."""
    rows = lp.matrix @ x
    return max(_excess(x, lp.col_lower, lp.col_upper), _excess(rows, lp.row_lower, lp.row_upper))


def _excess(value: Floats, lower: Floats, upper: Floats) -> float:
    over = np.maximum(lower - value, value - upper) / (1.0 + np.abs(value))
    return float(over.max(initial=0.0))
