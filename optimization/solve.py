"""Problem -> Solution.

A model is built and compiled once for its structure. A solve then is: coefficients in numpy, one sparse product, and
`optimization.warm` from the old basis.

Law: with `deadline_s=None` nothing here depends on wall time; what is taken of it is told, and decides nothing.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from pathlib import Path
from time import perf_counter

from optimization.affine import AffineModel, Lp
from optimization.answer import Answer, figures
from optimization.before_money import beyond
from optimization.coefficients import coefficients
from optimization.effort import Stopwatch
from optimization.exclusive import (
    find_pairs,
)
from optimization.extract import Solution, extract
from optimization.kept_models import KeptModels
from optimization.left_out import LeftOut
from optimization.model import exclusive_groups
from optimization.network import Network
from optimization.network_block import limit_params
from optimization.outside import outside
from optimization.problem import Problem, Refused
from optimization.ring import head, in_a_ring
from optimization.shadow_prices import Duals, shadow_prices
from optimization.slots import Floats
from optimization.solver_options import DEVEX
from optimization.step_terms import still
from optimization.structure import Structure, structure
from optimization.validation import faults
from optimization.warm import WarmModel

MODELS_KEPT = 8
OBJECTIVE_TOLERANCE = 1e-6


class Solver:
    """Answers problems and keeps its models warm.

    Args:
        deadline_s: longest a single run of the solver may take [s]; None in simulation, where no wall time decides.
        cross_check_every: each so many warm solves of a model are repeated cold and compared; 0 for never.
        priced: whether solutions say what a little more would be worth.
        cache_dir: where compiled models are kept; None to keep none.
        ring: whether horizons of equal slots are laid out in a ring (`optimization.ring`): quicker as they move on.
        stopwatch: times the building of a programme, for the record.
    """

    def __init__(
        self,
        *,
        deadline_s: float | None = None,
        cross_check_every: int = 0,
        priced: bool = False,
        cache_dir: Path | None = None,
        ring: bool = False,
        stopwatch: Stopwatch = perf_counter,
    ) -> None:
        self._stopwatch = stopwatch
        self._kept = KeptModels(cache_dir)
        self._deadline_s = deadline_s
        self._cross_check_every = cross_check_every
        self._priced = priced
        self._ring = ring
        self._models: OrderedDict[Structure, WarmModel[AffineModel]] = OrderedDict()

    def solve(self, problem: Problem) -> Solution | Refused:
        """Solve a problem.

        Returns:
            the solution, or `Refused` with all reasons where the question is invalid.

        Raises:
            SolveError: the solver ended without an optimum, for example at the deadline.
        """
        reasons = faults(problem)
        if reasons:
            return Refused(reasons)
        begun_s = self._stopwatch()
        problem, shape, model, first = self._laid_out(problem)
        values = values_of(problem, shape)
        lp = model.affine.fill(values, first)
        built_s = self._stopwatch() - begun_s
        if problem.steps and "step_part" in model.affine.columns:
            model.still = model.affine.columns["step_part"], still(problem.steps, problem.slots).ravel()
        answer = self._checked(model, lp)
        x = model.affine.columns_in_time(answer.x, first)
        columns = {name: x[at] for name, at in model.affine.columns.items()}
        solution = extract(problem, shape, columns, figures(answer, built_s))
        if not self._priced:
            return solution
        duals = _duals(model, model.affine.fill(values) if first else lp, first)
        return replace(solution, prices=shadow_prices(problem, shape, duals, solution.schedules))

    def _laid_out(self, problem: Problem) -> tuple[Problem, Structure, WarmModel[AffineModel], int]:
        """Find the model of a problem, and the place of its first slot: in a ring if asked for, where it can stand."""
        slots = in_a_ring(problem.slots) if self._ring else None
        if slots is not None:
            closed = replace(problem, slots=slots)
            shape = structure(closed)
            model = self._model(shape, problem.network)
            if model.affine.turns is not None:
                return closed, shape, model, head(slots)
        shape = structure(problem)
        return problem, shape, self._model(shape, problem.network), 0

    def _model(self, shape: Structure, network: Network | None) -> WarmModel[AffineModel]:
        model = self._models.pop(shape, None)
        if model is None:
            affine = self._kept.compiled(shape, network)
            # Steepest edges have to be found anew for every row of a basis: in a ring that costs more than its steps.
            edges = None if affine.turns is None else DEVEX
            pairs = find_pairs(exclusive_groups(shape), affine.columns)
            out = outside(affine, pairs.columns)
            left_out = None if out is None else LeftOut(affine, out)
            model = WarmModel(affine, pairs, edges, beyond([(affine.columns, None)]), left_out)
        self._models[shape] = model
        if len(self._models) > MODELS_KEPT:
            self._models.popitem(last=False)
        return model

    def _checked(self, model: WarmModel[AffineModel], lp: Lp) -> Answer:
        """Solve, and from time to time believe a warm optimum only if a cold one agrees."""
        answer = model.answer(lp, self._deadline_s)
        model.solves += 1
        if not self._cross_check_every or answer.start == "cold" or model.solves % self._cross_check_every:
            return answer
        cold = model.answer(lp, self._deadline_s, warm=False)
        agree = abs(cold.objective - answer.objective) <= OBJECTIVE_TOLERANCE * max(1.0, abs(cold.objective))
        return answer if agree else cold


def _duals(model: WarmModel[AffineModel], lp: Lp, head: int) -> Duals:
    """Put the slopes of the last solve into the order of time; `head` is the place of the first slot."""
    x, cost, row = model.slopes()
    in_time = model.affine.columns_in_time
    return Duals(model.affine, lp, in_time(x, head), in_time(cost, head), model.affine.rows_in_time(row, head))


def values_of(problem: Problem, shape: Structure) -> dict[str, Floats]:
    """Derive the values of all Params of a model."""
    values = coefficients(problem, shape)
    limits = {} if problem.network is None else limit_params(problem.network, len(problem.slots))
    return {**values, **limits}
