"""One compiled model kept warm: with `optimization.solver_options` the only file that knows the solver (HiGHS).

A solve is `passModel`, the old basis, dual simplex on one thread, numpy slices. Never trusted blindly: the status, the
residuals and the either-or pairs are checked afterwards, and a warm start that fails is repeated cold.

Law: without a deadline nothing here depends on wall time; the solver is stopped by iterations and nodes alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import compress
from typing import Generic, Protocol, TypeAlias, TypeVar

import highspy
import numpy as np
from numpy.typing import NDArray

from optimization.affine import Lp
from optimization.answer import Answer, added_up, all_told, worst_residual
from optimization.before_money import Beyond
from optimization.exclusive import (
    Pairs,
    a_slot_on,
    fractional,
    netted,
    rounded_up,
    spread_out,
    with_binaries,
    with_wholes,
    without_losers,
)
from optimization.left_out import LeftOut
from optimization.slots import Floats, Ints
from optimization.solver_options import CHOSEN, EDGE_WEIGHTS, FINE, OPTIONS, SCALED, finely, most_nodes

FEW = 8
"""So many broken pairs may well be all; more are a sign of what goes on in every slot."""
RESIDUAL_TOLERANCE = 1e-6
FEASIBLE = int(highspy.SolutionStatus.kSolutionStatusFeasible)


class SolveError(Exception):
    """The solver gave no usable answer to a valid question; the message says how it ended."""


class Layout(Protocol):
    """What a solve has to know of a model beside its numbers."""

    @property
    def integers(self) -> Ints:
        """Columns that are whole numbers."""


Laid = TypeVar("Laid", bound=Layout)
Slopes: TypeAlias = tuple[Floats, Floats, Floats]


@dataclass(slots=True, eq=False)
class WarmModel(Generic[Laid]):
    """One compiled model with its solver and the basis of its last solve.

    `edges` are the pricing of warm solves, `beyond` the columns that rank before money. What moves in steps may always
    stay where it is: `still` says at which columns that is what.
    """

    affine: Laid
    pairs: Pairs
    edges: int | None = None
    beyond: Beyond = field(default_factory=Beyond)
    left_out: LeftOut | None = None
    highs: highspy.Highs = field(default_factory=highspy.Highs)
    basis: highspy.HighsBasis | None = None
    wholes: Floats | None = None
    kept_slopes: Slopes | None = None
    still: tuple[slice, Floats] | None = None
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
        """Solve; where heat is missing or left over, look whether it has to be; raises `SolveError`."""
        self.kept_slopes = None
        cheapest = self._decided(lp, deadline_s, warm=warm)
        return self._before_money(lp, cheapest, deadline_s) if self.beyond.is_left(cheapest.x) else cheapest

    def _before_money(self, lp: Lp, cheapest: Answer, deadline_s: float | None) -> Answer:
        """Give the cheapest solution with nothing of what is beyond; where none is found, the cheapest of all."""
        basis, slopes = self.basis, self.slopes()
        left_s = None if deadline_s is None else max(0.0, deadline_s - cheapest.run_s)
        try:
            return all_told([cheapest, self._decided(self.beyond.forbidden(lp), left_s, warm=False)])
        except SolveError:
            self.basis, self.kept_slopes = basis, slopes
            return cheapest

    def _decided(self, lp: Lp, deadline_s: float | None, *, warm: bool) -> Answer:
        """Solve the relaxation and, where a pair or a whole number is broken, the rest."""
        answer = self._relaxed(lp, deadline_s, warm=warm)
        x = self._cleaned(lp, answer.x)
        broken, whole = self.pairs.broken(x), self._wholes(x)
        if broken.size or whole.size:
            return self._mixed(lp, replace(answer, x=x), broken, deadline_s)
        return replace(answer, x=x)

    def slopes(self) -> Slopes:
        """Read the last solve, a linear programme: its columns, and the slopes of the cost in columns and rows.

        In it whole numbers are held or cost nothing: they have no slope.
        """
        if self.kept_slopes is not None:
            return self.kept_slopes
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
        if self.highs.getInfo().max_dual_infeasibility > FINE:
            answer = self._finer(lp, answer, deadline_s)
        self.basis = self.highs.getBasis()
        return answer

    def _finer(self, lp: Lp, answer: Answer, deadline_s: float | None) -> Answer:
        """Go on where the solver stops though a kW would save up to 1e-7: in a short slot a tie is broken by less."""
        basis = self.highs.getBasis()
        try:
            with finely(self.highs):
                return all_told([answer, self._finish(lp, deadline_s, answer.start)])
        except SolveError:
            self.highs.setBasis(basis)
            return self._finish(lp, deadline_s, answer.start)

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
        is_known = self.wholes is not None and len(whole) == len(self.wholes)
        if self.still is None and (len(spread) == len(whole) or not is_known):
            return spread
        best, least = spread, np.inf
        known = () if self.wholes is None or not is_known else (self.wholes, a_slot_on(whole, self.wholes))
        for tried in (*known, *self._at_rest(whole, guess)):
            x = guess.copy()
            x[whole] = tried
            try:
                cost = self._run(with_wholes(lp, whole, x), deadline_s, self.basis).objective
            except SolveError:
                continue  # it cannot be kept any more
            best, least = (tried, cost) if cost < least else (best, least)
        return np.round(best)

    def _at_rest(self, whole: Ints, guess: Floats) -> list[Floats]:
        """Round what is to be whole, what moves in steps as it stands or rounded too."""
        if self.still is None:
            return []
        place, values = self.still
        resting = guess.copy()
        resting[place] = values
        return [np.round(resting[whole]), np.round(guess[whole])]

    def _run_mixed(self, lp: Lp, at: NDArray[np.int32], start: Floats, deadline_s: float | None) -> Answer:
        """Solve with whole numbers at some columns, from a start where there is one for all of them."""
        integral = np.zeros(len(lp.cost), dtype=np.int32)
        integral[at] = 1
        self._pass(lp, integral)
        if len(start) == len(at):
            # Where any is missing, HiGHS would first solve everything once more to make the start whole.
            self.highs.setSolution(len(start), at, start)
        self.highs.setOptionValue("mip_max_nodes", most_nodes(len(lp.cost)))
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
