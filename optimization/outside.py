"""What of a ring's model decides nothing until a plan breaks it, found in the numbers of the compiled model.

With D the columns that only equations without prices define, R those equations, and L the inequalities that look at D,
R and L may be left out of a programme (`optimization.left_out`). A column of D has no bound and no cost whatever the
Params are, is no whole number and in no pair, and its row is an equation of constants. D is found by peeling: a free
column that stands in one equation alone is taken off with it, and then others stand in one alone; L is not looked at
meanwhile. The flows and voltages of a radial feeder are of this kind, and the limits that they are held to.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_matrix

from optimization.affine import AffineModel
from optimization.slots import Floats, Ints

Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Outside:
    """What may be left out of a model.

    Args:
        columns: D, so ordered that each stands in its own equation and in none of those that come after.
        equations: R, the equation of each of these columns.
        limits: L, in the order of the model.
    """

    columns: Ints
    equations: Ints
    limits: Ints


def outside(model: AffineModel, taken: Ints) -> Outside | None:
    """Find what may be left out; None where there is nothing, or the model has no turns.

    Args:
        model: the compiled model.
        taken: columns that have to stay, as something besides rows and costs looks at them.
    """
    if model.turns is None:
        return None
    is_equation, column, row = _equations(model), columns_of(model), model.indices
    values, of_params = _section(model, 6)
    is_constant = is_equation.copy()
    is_constant[row[np.diff(of_params.indptr) > 0]] = False
    is_free = _free(model)
    is_free[np.concatenate([taken, model.integers])] = False
    among = is_free[column] & is_equation[row] & ((values != 0.0) | ~is_constant[row])
    columns, equations = _peeled(column[among], row[among], is_constant)
    is_limit = np.zeros_like(is_equation)
    is_limit[row[np.isin(column, columns)]] = True
    limits = np.flatnonzero(is_limit & ~is_equation)
    turned = _is_turned(model.turns.columns, columns) and _is_turned(model.turns.rows, equations)
    return Outside(columns, equations, limits) if len(limits) and turned else None


def columns_of(model: AffineModel) -> Ints:
    """Tell the column of each value of the matrix."""
    return np.repeat(np.arange(len(model.indptr) - 1), np.diff(model.indptr))


def turns_of(cycles: Ints, places: ArrayLike) -> Ints:
    """Tell where places go as a ring is turned by 0, 1, 2.. slots, shape (n, places); what is in no cycle stays."""
    found = np.repeat(np.atleast_2d(np.asarray(places, dtype=np.int64)), cycles.shape[1], axis=0)
    size = max(cycles.max(initial=-1), found.max(initial=-1)) + 1
    cycle, at = np.full((2, size), -1)
    cycle[cycles] = np.arange(len(cycles))[:, None]
    at[cycles] = np.arange(cycles.shape[1])
    goes = cycle[found[0]] >= 0
    own = found[0, goes]
    later = (at[own] + np.arange(cycles.shape[1])[:, None]) % cycles.shape[1]
    found[:, goes] = cycles[cycle[own], later]
    return found


def _is_turned(cycles: Ints, places: Ints) -> bool:
    """Say whether places are all that they turn to."""
    return len(np.unique(turns_of(cycles, places))) == len(places)


def _section(model: AffineModel, k: int) -> tuple[Floats, csr_matrix]:
    """Give the constants of a section of the numbers, and what of the Params they are."""
    place = slice(model.starts[k], model.starts[k + 1])
    return model.constant[place], model.linear[place]


def _equations(model: AffineModel) -> Bools:
    """Say which rows have one and the same number on both sides, whatever the Params are."""
    (low, by_low), (high, by_high) = (_section(model, k) for k in (4, 5))
    differs = np.asarray(abs(by_low - by_high).sum(axis=1)).ravel() > 0.0
    same: Bools = np.isfinite(low) & (low == high) & ~differs
    return same


def _free(model: AffineModel) -> Bools:
    """Say which columns have neither cost nor bounds, whatever the Params are."""
    (cost, by_cost), (low, _), (high, _) = (_section(model, k) for k in (0, 2, 3))
    free: Bools = (cost == 0.0) & (np.diff(by_cost.indptr) == 0) & np.isneginf(low) & np.isposinf(high)
    return free


def _peeled(column: Ints, row: Ints, may: Bools) -> tuple[Ints, Ints]:
    """Take off columns that stand in one equation alone, together with it, until there are none.

    Args:
        column: of each value of a free column in an equation.
        row: of each of them.
        may: whether an equation may be taken off.
    """
    columns, rows = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
    while len(column):
        alone = (np.bincount(column)[column] == 1) & may[row]
        found, at = np.unique(row[alone], return_index=True)
        if not len(found):
            break
        rows.append(found)
        columns.append(column[alone][at])
        left = ~np.isin(row, found)
        column, row = column[left], row[left]
    return np.concatenate(columns), np.concatenate(rows)
