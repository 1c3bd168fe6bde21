"""Rows of a ring that are left out of its programme until a plan breaks them, and columns that only such rows look at.

A feeder whose limits are far off has eleven rows a branch and slot that decide nothing, and every pivot of the simplex
method has to carry them along. With D the columns that only equations without prices define, R those equations, K all
other columns and L the inequalities that look at D:

    A_RD x_D = b_R - A_RK x_K                                  (D follows from K, so D and R need not be solved for)
    low_L <= A_LK x_K + A_LD x_D <= high_L                     (left out, and looked at when the plan is there)
    with W = A_LD inv(A_RD):  low_L - W b_R <= (A_LK - W A_RK) x_K <= high_L - W b_R     (the same in K, once it breaks)
    y_R = -W' y_L                                              (slopes of the cost, so that those in D are 0)

Law 1: what is found is the optimum of the whole programme, as that of a part of its rows which breaks none of the rest.
Law 2: what may be left out is found in the numbers of the compiled model, not declared (`optimization.outside`).
Law 3: a row comes in with all rows that it turns to, as the next plan is the same a slot on, and leaves with them when
none of them has bound while the ring turned once, or at the end of a cold start.

Source: own derivation.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

import numpy as np
from scipy.sparse import csc_matrix, csr_matrix, vstack
from scipy.sparse.linalg import SuperLU, splu

from optimization.affine import AffineModel, Lp
from optimization.answer import Answer, all_told
from optimization.outside import Bools, Outside, columns_of, turns_of
from optimization.slots import Floats, Ints

BROKEN = 1e-7
"""The solver's own tolerance of a row."""
NEAR = 1e-6
"""A row with less room than this binds."""


class Rows(Protocol):
    """What is asked of a model in a solver whose rows come and go."""

    def solve(self, lp: Lp, deadline_s: float | None, *, warm: bool = True) -> Answer:
        """Solve a programme."""

    def more_rows(self, count: int) -> None:
        """Make room below in what is kept for the next solve."""

    def fewer_rows(self, stays: Bools) -> None:
        """Keep the same without some rows."""


class LeftOut:
    """Writes the programmes of one model without what may be left out, but for limits that were broken before.

    Args:
        model: with turns.
        out: what of it may be left out.
    """

    def __init__(self, model: AffineModel, out: Outside) -> None:
        assert model.turns is not None
        self._out, self._turns = out, model.turns
        self._row, self._column = model.indices, columns_of(model)
        self._height, self._width = model.starts[5] - model.starts[4], len(model.indptr) - 1
        is_kept = np.ones(self._height, dtype=bool)
        is_kept[out.equations] = is_kept[out.limits] = False
        self._kept, self._values = np.flatnonzero(is_kept), np.flatnonzero(is_kept[self._row])
        self._indices = (np.cumsum(is_kept) - 1)[self._row[self._values]].astype(np.int32)
        ends = np.arange(self._width + 1)
        self._indptr = np.searchsorted(self._column[self._values], ends).astype(np.int32)
        self._is_defined = np.zeros(self._width, dtype=bool)
        self._is_defined[out.columns] = True
        constants = model.constant[model.starts[6] :]
        whole = csr_matrix((constants, (self._row, self._column)), shape=(self._height, self._width))
        equations = whole[out.equations]
        self._lu: SuperLU = splu(equations[:, out.columns].tocsc(), permc_spec="NATURAL")
        equations.data[self._is_defined[equations.indices]] = 0.0
        self._equations = equations
        self._ways: dict[int, tuple[Ints, Floats]] = {}
        self.in_force = np.zeros(0, dtype=np.int64)
        self._has_bound, self._answers = np.zeros(0, dtype=bool), 0
        self._cut_out()

    def answer(self, model: Rows, lp: Lp, deadline_s: float | None, *, warm: bool) -> Answer:
        """Solve, and take in what the answer breaks, until it breaks nothing; raises what the model's `solve` does."""
        if (stays := self.let_go()) is not None:
            model.fewer_rows(np.concatenate([np.ones(len(self._kept), dtype=bool), stays]))
        spent: list[Answer] = []
        while True:
            found = model.solve(self.programme(lp), deadline_s, warm=warm or bool(spent))
            spent.append(replace(found, x=self.whole(lp, found.x)))
            room = room_of_rows(lp, spent[-1].x)
            fresh = self.take_in(room)
            if not fresh:
                break
            model.more_rows(fresh)
        self._has_bound |= room[self.in_force] < NEAR
        self._answers += self._turns.rows.shape[1] if spent[0].start == "cold" else 1
        return all_told(spent)

    def programme(self, lp: Lp) -> Lp:
        """Write a programme of the kept rows and the limits in force; what is defined by rows left out is held at 0."""
        lower, upper = lp.col_lower.copy(), lp.col_upper.copy()
        lower[self._out.columns] = upper[self._out.columns] = 0.0
        shape = (len(self._kept), self._width)
        kept = csc_matrix((lp.matrix.data[self._values], self._indices, self._indptr), shape=shape)
        small = replace(
            lp,
            col_lower=lower,
            col_upper=upper,
            row_lower=lp.row_lower[self._kept],
            row_upper=lp.row_upper[self._kept],
            matrix=kept,
        )
        return self._with_limits(small, lp) if len(self.in_force) else small

    def whole(self, lp: Lp, x: Floats) -> Floats:
        """Add what the rows left out define to the values of the columns."""
        found = x.copy()
        found[self._out.columns] = self._lu.solve(lp.row_lower[self._out.equations] - self._equations @ x)
        return found

    def take_in(self, room: Floats) -> int:
        """Take in what is broken, with all that it turns to.

        Args:
            room: how far all rows are from their nearer limit, below 0 where it is broken.

        Returns:
            how many rows came in.
        """
        limits = self._out.limits
        broken = limits[room[limits] < -BROKEN]
        fresh = np.setdiff1d(turns_of(self._turns.rows, broken), self.in_force)
        if fresh.size:
            self.in_force = np.concatenate([self.in_force, fresh])
            self._has_bound = np.concatenate([self._has_bound, np.zeros(len(fresh), dtype=bool)])
            self._cut_out()
        return len(fresh)

    def let_go(self) -> Bools | None:
        """Let go of what has not bound in any answer of a turn of the ring; gives which rows stay, None where all do.

        An answer from a cold start decides alone: on its way much is broken for a while. Rows go before the next solve
        and not after this one, whose slopes may be asked for.
        """
        if self._answers < self._turns.rows.shape[1]:
            return None
        stays: Bools = np.isin(self.in_force, turns_of(self._turns.rows, self.in_force[self._has_bound]))
        self._has_bound, self._answers = np.zeros(np.count_nonzero(stays), dtype=bool), 0
        if stays.all():
            return None
        self.in_force = self.in_force[stays]
        self._cut_out()
        return stays

    def slopes(self, lp: Lp, row: Floats) -> Floats:
        """Tell the slopes of the cost in all rows from those in the rows of a programme."""
        found = np.zeros(self._height)
        found[self._kept] = row[: len(self._kept)]
        found[self.in_force] = row[len(self._kept) :]
        weights = self._limits(lp)[:, self._out.columns] @ self._way
        found[self._out.equations] = -(weights.T @ row[len(self._kept) :])
        return found

    def _with_limits(self, small: Lp, lp: Lp) -> Lp:
        """Add the limits in force, written in the columns that stay."""
        limits = self._limits(lp)
        defined = limits[:, self._out.columns]
        limits.data[self._is_defined[limits.indices]] = 0.0
        offset = defined @ (self._way @ lp.row_lower[self._out.equations])
        matrix = vstack((small.matrix, limits - defined @ self._effect), format="csc")
        return replace(
            small,
            row_lower=np.concatenate([small.row_lower, lp.row_lower[self.in_force] - offset]),
            row_upper=np.concatenate([small.row_upper, lp.row_upper[self.in_force] - offset]),
            matrix=csc_matrix(matrix),
        )

    def _limits(self, lp: Lp) -> csr_matrix:
        """Cut the limits in force out of a matrix, as they stand."""
        shape = (len(self.in_force), self._width)
        return csr_matrix((lp.matrix.data[self._limit_values], self._limit_columns, self._limit_starts), shape=shape)

    def _cut_out(self) -> None:
        """Find where the limits in force stand, and what the columns that they look at are made of."""
        place = np.full(self._height, -1)
        place[self.in_force] = np.arange(len(self.in_force))
        values = np.flatnonzero(place[self._row] >= 0)
        self._limit_values = values[np.argsort(place[self._row[values]], kind="stable")]
        self._limit_columns = self._column[self._limit_values]
        counts = np.bincount(place[self._row[values]], minlength=len(self.in_force))
        self._limit_starts = np.concatenate([[0], np.cumsum(counts)])
        for column in np.unique(self._limit_columns[self._is_defined[self._limit_columns]]).tolist():
            if column not in self._ways:
                self._find_ways(column)
        self._stack_ways()

    def _find_ways(self, column: int) -> None:
        """Find by which equations a column is made of those that stay, and with it each column that it turns to."""
        unit = (self._out.columns == column).astype(float)
        weight = self._lu.solve(unit, "T")
        used = np.flatnonzero(weight)
        columns, rows = self._turns.columns, self._turns.rows
        turned = zip(turns_of(columns, [column]), turns_of(rows, self._out.equations[used]), strict=True)
        for (each,), equations in turned:
            self._ways[int(each)] = (equations, weight[used])

    def _stack_ways(self) -> None:
        """Put what is known into matrices, one row a defined column: of equations, and of columns that stay."""
        place = np.zeros(self._height, dtype=np.int64)
        place[self._out.equations] = np.arange(len(self._out.equations))
        nothing = (np.zeros(0, dtype=np.int64), np.zeros(0))
        ways = [self._ways.get(column, nothing) for column in self._out.columns.tolist()]
        starts = np.cumsum([0, *(len(weight) for _, weight in ways)])
        equations, weights = (np.concatenate([way[k] for way in ways]) for k in range(2))
        shape = (len(ways), len(self._out.equations))
        self._way = csr_matrix((weights, place[equations], starts), shape=shape)
        self._effect = self._way @ self._equations


def room_of_rows(lp: Lp, x: Floats) -> Floats:
    """Tell how far values of the columns are from the nearer limit of each row; below 0 where it is broken."""
    value = lp.matrix @ x
    room: Floats = np.minimum(value - lp.row_lower, lp.row_upper - value)
    return room
