"""Problem -> Solution: the only file that knows the solver (HiGHS).

A model is built and compiled once for its structure. A solve then is: coefficients in numpy, one sparse product,
`passModel`, the old basis, dual simplex on one thread, numpy slices. Never trusted blindly: the status, the residuals
and the either-or pairs are checked afterwards, and a warm start that fails is repeated cold.

Law: with `deadline_s=None` nothing here depends on wall time; the solver is stopped by iterations and nodes alone.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field, replace
from itertools import compress
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import highspy
import numpy as np
from numpy.typing import NDArray

from optimization.affine import AffineModel, Lp
from optimization.answer import Answer, added_up, figures, worst_residual
from optimization.coefficients import coefficients
from optimization.exclusive import (
    Pairs,
    a_slot_on,
    find_pairs,
    fractional,
    netted,
    rounded_up,
    spread_out,
    with_binaries,
    with_wholes,
    without_losers,
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
from optimization.slots import Floats, Ints
from optimization.structure import Structure, structure
from optimization.validation import faults

MODELS_KEPT = 8
FEW = 8
"""So many broken pairs may well be all; more are a sign of what goes on in every slot."""
RESIDUAL_TOLERANCE = 1e-6
OBJECTIVE_TOLERANCE = 1e-6
FEASIBLE = int(highspy.SolutionStatus.kSolutionStatusFeasible)
OPTIONS: dict[str, bool | int | float | str] = {
    "output_flag": False,
    "threads": 1,
    "solver": "simplex",
    "simplex_strategy": 1,
    "random_seed": 0,
    "mip_rel_gap": 1e-3,
    "mip_max_nodes": 200,
    # The relaxation's rounding is given as a start and seldom bettered: to look for others took 19 parts of 20.
    "mip_heuristic_run_rins": False,
    "mip_heuristic_run_rens": False,
    "mip_heuristic_run_root_reduced_cost": False,
    "mip_allow_restart": False,
    "simplex_iteration_limit": 1_000_000,
}
EDGE_WEIGHTS = "simplex_dual_edge_weight_strategy"
CHOSEN, DEVEX = -1, 1
SCALED = 3
"""Of `simplex_scale_strategy`: always. HiGHS by itself leaves be what the rows of a feeder made it scale."""


class SolveError(Exception):
    """The solver gave no usable answer to a valid question; the message says how it ended."""


class Layout(Protocol):
    """What a solve has to know of a model beside its numbers."""

    @property
    def integers(self) -> Ints:
        """Columns that are whole numbers."""


Laid = TypeVar("Laid", bound=Layout)


@dataclass(slots=True, eq=False)
class WarmModel(Generic[Laid]):
    """One compiled model with its solver and the basis of its last solve; `edges` are the pricing of warm solves."""

    affine: Laid
    pairs: Pairs
    edges: int | None = None
    left_out: LeftOut | None = None
    highs: highspy.Highs = field(default_factory=highspy.Highs)
    basis: highspy.HighsBasis | None = None
    wholes: Floats | None = None
    asked: Lp | None = None
    solves: int = 0

    def __post_init__(self) -> None:
        for name, value in OPTIONS.items():
            self.highs.setOptionValue(name, value)
        if self.left_out is not None:
            self.highs.setOptionValue("simplex_scale_strategy", SCALED)

    def answer(self, lp: Lp, deadline_s: float | None, *, warm: bool = True) -> Answer:
        """Solve a programme, at first without what is left out; as `solve` where that is nothing."""
        self.asked = lp
        if self.left_out is not None:
            try:
                return self.left_out.answer(self, lp, deadline_s, warm=warm)
            except SolveError:
                if "unbounded" not in self._ended():
                    raise
                self.left_out = self.basis = None  # what was left out is all that bounds it
        return self.solve(lp, deadline_s, warm=warm)

    def more_rows(self, count: int) -> None:
        """Let the basis be that of so many rows more, none of which binds yet."""
        none, beyond = np.zeros(0), np.full(count, highspy.kHighsInf)
        starts = np.zeros(count, dtype=np.int32)
        self.highs.addRows(count, -beyond, beyond, 0, starts, starts[:0], none)
        self.basis = self.highs.getBasis()

    def fewer_rows(self, stays: NDArray[np.bool_]) -> None:
        """Take rows that do not bind out of the basis: they are basic, so that it stays one."""
        if self.basis is not None:
            fewer = highspy.HighsBasis()
            fewer.col_status, fewer.row_status = self.basis.col_status, [*compress(self.basis.row_status, stays)]
            fewer.valid = True
            self.basis = fewer

    def solve(self, lp: Lp, deadline_s: float | None, *, warm: bool = True) -> Answer:
        """Solve the relaxation and, where a pair or a whole number is broken, the rest; raises `SolveError`."""
        answer = self._relaxed(lp, deadline_s, warm=warm)
        x = self._cleaned(lp, answer.x)
        broken, whole = self.pairs.broken(x), self._wholes(x)
        if broken.size or whole.size:
            return self._mixed(lp, replace(answer, x=x), broken, deadline_s)
        return replace(answer, x=x)

    def slopes(self) -> tuple[Floats, Floats, Floats]:
        """Read the last solve, a linear programme: its columns, and the slopes of the cost in columns and rows.

        In it whole numbers are held or cost nothing: they have no slope.
        """
        found = self.highs.getSolution()
        x, cost, row = (np.array(each) for each in (found.col_value, found.col_dual, found.row_dual))
        cost[self.affine.integers] = 0.0
        if self.left_out is None or self.asked is None:
            return x, cost, row
        return self.left_out.whole(self.asked, x), cost, self.left_out.slopes(self.asked, row)

    def _cleaned(self, lp: Lp, x: Floats) -> Floats:
        """Take off what cancels out, and round up what that costs nothing."""
        return rounded_up(lp, self.affine.integers, netted(lp, self.pairs, x))

    def _wholes(self, x: Floats) -> Ints:
        """Give all columns that are to be whole if one of them is not."""
        integers = self.affine.integers
        return integers if fractional(x, integers).size else integers[:0]

    def _relaxed(self, lp: Lp, deadline_s: float | None, *, warm: bool) -> Answer:
        if warm and self.basis is not None:
            try:
                return self._run(lp, deadline_s, self.basis)
            except SolveError:
                pass  # a basis is only a hint: the cold start below decides
        return self._run(lp, deadline_s, None)

    def _run(self, lp: Lp, deadline_s: float | None, basis: highspy.HighsBasis | None) -> Answer:
        self._pass(lp, np.zeros(len(lp.cost), dtype=np.int32))
        if basis is not None:
            self.highs.setBasis(basis)
        is_priced = basis is not None and self.edges is not None
        self.highs.setOptionValue(EDGE_WEIGHTS, self.edges if is_priced else CHOSEN)
        answer = self._finish(lp, deadline_s, "cold" if basis is None else "warm")
        self.basis = self.highs.getBasis()
        return answer

    def _mixed(self, lp: Lp, relaxed: Answer, broken: Ints, deadline_s: float | None) -> Answer:
        """Let binaries decide the broken pairs; where they are many, or others break next, all of the same things.

        One by one they would break for ever: what may not be lost in one slot is lost in the next. The relaxation is
        then solved once more with the losers at zero: it knows the tie-breaks that a gap hides.
        """
        spent, guess, whole = [relaxed], relaxed.x, self._wholes(relaxed.x)
        which = broken if len(broken) <= FEW else self.pairs.of_the_same_things(broken)
        while True:
            at = np.concatenate([whole, len(lp.cost) + np.arange(len(which))]).astype(np.int32)
            start = np.concatenate([self._whole_start(lp, whole, guess, deadline_s), self._start(guess, which)])
            mixed = self._run_mixed(with_binaries(lp, self.pairs, which), at, start, deadline_s)
            self.wholes = mixed.x[self.affine.integers]
            decided = without_losers(lp, self.pairs, which, mixed.x[len(lp.cost) :] > 0.5)
            settled = self._run(with_wholes(decided, whole, mixed.x), deadline_s, self.basis)
            spent += [mixed, settled]
            guess = self._cleaned(lp, settled.x)
            more, whole = np.setdiff1d(self.pairs.broken(guess), which), np.union1d(whole, self._wholes(guess))
            if not more.size and not fractional(guess, self.affine.integers).size:
                return added_up(spent, guess, len(which) + len(whole))
            which = self.pairs.of_the_same_things(np.union1d(which, more))

    def _whole_start(self, lp: Lp, whole: Ints, guess: Floats, deadline_s: float | None) -> Floats:
        """Give what is to be whole a start: rounded, or as in the last solve, in place or a slot on; empty for none."""
        spread = spread_out(lp, whole, guess)
        if len(spread) == len(whole) or self.wholes is None or len(whole) != len(self.wholes):
            return spread
        best, least = spread, np.inf
        for tried in (self.wholes, a_slot_on(whole, self.wholes)):
            x = guess.copy()
            x[whole] = tried
            try:
                cost = self._run(with_wholes(lp, whole, x), deadline_s, self.basis).objective
            except SolveError:
                continue  # it cannot be kept any more
            best, least = (tried, cost) if cost < least else (best, least)
        return np.round(best)

    def _run_mixed(self, lp: Lp, at: NDArray[np.int32], start: Floats, deadline_s: float | None) -> Answer:
        """Solve with whole numbers at some columns, from a start where there is one for all of them."""
        integral = np.zeros(len(lp.cost), dtype=np.int32)
        integral[at] = 1
        self._pass(lp, integral)
        if len(start) == len(at):
            # Where any is missing, HiGHS would first solve everything once more to make the start whole.
            self.highs.setSolution(len(start), at, start)
        # With `simplex` HiGHS would solve the relaxation and ignore the integrality.
        self.highs.setOptionValue("solver", "choose")
        try:
            return self._finish(lp, deadline_s, "cold", incumbent=True)
        except SolveError:
            if self._ended() != "infeasible":
                raise
            # Presolve has called infeasible what is held to the last digit where its power tapers.
            self.highs.setOptionValue("presolve", "off")
            return self._finish(lp, deadline_s, "cold", incumbent=True)
        finally:
            self.highs.setOptionValue("presolve", "choose")
            self.highs.setOptionValue("solver", OPTIONS["solver"])

    def _start(self, x: Floats, which: Ints) -> Floats:
        first, second = self.pairs.sums(x)
        return (first >= second)[which].astype(float)

    def _pass(self, lp: Lp, integral: NDArray[np.int32]) -> None:
        # The integrality array is never empty: HiGHS would read past its end.
        matrix = lp.matrix
        status = self.highs.passModel(
            len(lp.cost),
            len(lp.row_lower),
            matrix.nnz,
            int(highspy.MatrixFormat.kColwise),
            int(highspy.ObjSense.kMinimize),
            lp.offset,
            lp.cost,
            lp.col_lower,
            lp.col_upper,
            lp.row_lower,
            lp.row_upper,
            matrix.indptr,
            matrix.indices,
            matrix.data,
            integral,
        )
        if status == highspy.HighsStatus.kError:
            raise SolveError("HiGHS does not take the model: a bound or a coefficient is not a number")

    def _finish(self, lp: Lp, deadline_s: float | None, start: str, *, incumbent: bool = False) -> Answer:
        """Run, and believe the answer only after the status and the residuals were checked."""
        before_s = self.highs.getRunTime()
        self.highs.setOptionValue("time_limit", highspy.kHighsInf if deadline_s is None else before_s + deadline_s)
        self.highs.run()
        info, ended = self.highs.getInfo(), self._ended()
        if not (ended == "optimal" or (incumbent and info.primal_solution_status == FEASIBLE)):
            raise SolveError(f"HiGHS ended {start} with: {ended}")
        x = np.fromiter(self.highs.getSolution().col_value, float, len(lp.cost))
        residual = worst_residual(lp, x)
        if not residual <= RESIDUAL_TOLERANCE:
            raise SolveError(f"the {start} optimum of HiGHS breaks a row or a bound by {residual:.1e}")
        spent_s = self.highs.getRunTime() - before_s
        # HiGHS tells no gap of a linear programme, nor where it was stopped before it had a bound.
        untold = 0.0 if ended == "optimal" else np.inf
        gap = max(0.0, info.mip_gap) if np.isfinite(info.mip_gap) else untold
        return Answer(
            x, info.objective_function_value, info.simplex_iteration_count, spent_s, start, gap=gap, status=ended
        )

    def _ended(self) -> str:
        return str(self.highs.modelStatusToString(self.highs.getModelStatus())).lower()


class Solver:
    """Answers problems and keeps its models warm.

    Args:
        deadline_s: longest a single run of the solver may take [s]; None in simulation, where no wall time decides.
        cross_check_every: each so many warm solves of a model are repeated cold and compared; 0 for never.
        priced: whether solutions say what a little more would be worth.
        cache_dir: where compiled models are kept; None to keep none.
        ring: whether horizons of equal slots are laid out in a ring (`optimization.ring`): quicker as they move on.
    """

    def __init__(
        self,
        *,
        deadline_s: float | None = None,
        cross_check_every: int = 0,
        priced: bool = False,
        cache_dir: Path | None = None,
        ring: bool = False,
    ) -> None:
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
        problem, shape, model, first = self._laid_out(problem)
        values = values_of(problem, shape)
        lp = model.affine.fill(values, first)
        answer = self._checked(model, lp)
        x = model.affine.columns_in_time(answer.x, first)
        columns = {name: x[at] for name, at in model.affine.columns.items()}
        solution = extract(problem, shape, columns, figures(answer))
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
            model = WarmModel(affine, pairs, edges, None if out is None else LeftOut(affine, out))
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
