"""Several programmes as one: the columns of their shared slots are the same columns, the others stand side by side.

Every scenario is compiled and filled like a question of its own, so that each kind of asset, charge and limit holds in
each scenario without an equation more. Then a column that stands in a shared slot of a later scenario gives way to that
of the first, and a row that has no other columns is there already. What is not counted by slots (the peak of a month,
what a car misses) each scenario has of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csc_matrix

from optimization.affine import AffineModel, Lp
from optimization.exclusive import Pairs
from optimization.slots import Floats, Ints

NOT_BY_SLOT = frozenset(
    {"shortfall_kwh", "missed_kwh", "peak_kw", "over_kwh", "over_kvarh", "is_reached", "carbon_excess_kg"}
    | {"move_up_kw", "move_down_kw"}
)
"""Variables that are not counted by slots, or not by all of them; of all others the slot is the last index."""
DROPPED = -1
MOST_SCALE = 100.0
"""Limits cost a thousand times as much as energy: what is multiplied further the solver no longer tells apart."""


@dataclass(frozen=True, slots=True, eq=False)
class Stake:
    """How scenarios count against each other.

    Args:
        probability: of each, the first one's above 0, shape (scenarios,).
        weight: of the tail, 0..1, 1 excluded.
        tail: share of the probability.
    """

    probability: Floats
    weight: float
    tail: float

    @property
    def scale(self) -> float:
        """What all costs are multiplied by, so that those of the first scenario weigh as much as in its own plan.

        The solver's tolerance is that of a cost: ties that are broken by little must stay above it.
        """
        return float(min(MOST_SCALE, 1.0 / ((1.0 - self.weight) * self.probability[0])))

    @property
    def counts(self) -> Floats:
        """What each scenario's own cost counts in the joint programme, but for the tail, shape (scenarios,)."""
        return self.scale * (1.0 - self.weight) * self.probability


@dataclass(frozen=True, slots=True, eq=False)
class Tree:
    """Where the columns and rows of each scenario stand in the joint programme.

    Args:
        columns: place of each scenario's columns.
        rows: place of each scenario's rows, `DROPPED` where the first scenario's is the same.
        is_stem: of the first scenario's columns, whether they are shared.
        beyond: the first scenario's rows that have columns of its own.
        width: columns of all scenarios together; of a tail the threshold and what each scenario lies above it follow.
        height: rows likewise; those of a tail follow.
        integers: columns that are whole numbers.
        pairs: of which at most one may be above zero.
    """

    columns: tuple[Ints, ...]
    rows: tuple[Ints, ...]
    is_stem: NDArray[np.bool_]
    beyond: Ints
    width: int
    height: int
    integers: Ints
    pairs: Pairs

    def joined(self, programmes: Sequence[Lp], stake: Stake) -> Lp:
        """Join the programmes of all scenarios; costs are scaled by the stake."""
        extra = 1 + len(programmes) if stake.weight else 0
        width, height = self.width + extra, self.height + max(0, extra - 1)
        cost, low, high = np.zeros(width), np.zeros(width), np.full(width, np.inf)
        row_low, row_high = np.full(height, -np.inf), np.zeros(height)
        parts, offset = [], 0.0
        for k in reversed(range(len(programmes))):  # the first scenario's bounds are those of the stem
            lp, column, row = programmes[k], self.columns[k], self.rows[k]
            counted = float(stake.counts[k])
            cost[column] += counted * lp.cost
            offset += counted * lp.offset
            low[column], high[column] = lp.col_lower, lp.col_upper
            kept = row != DROPPED
            row_low[row[kept]], row_high[row[kept]] = lp.row_lower[kept], lp.row_upper[kept]
            parts.append(_moved(lp.matrix, column, row))
            if extra:
                parts.append(self._above_threshold(lp, k))
                row_high[self.height + k] = -lp.offset
        if extra:
            low[self.width] = -np.inf
            cost[self.width] = stake.scale * stake.weight
            cost[self.width + 1 :] = stake.scale * stake.weight / stake.tail * stake.probability
        row, column, value = (np.concatenate(each) for each in zip(*parts, strict=True))
        matrix = csc_matrix(coo_matrix((value, (row, column)), shape=(height, width)))
        return Lp(cost, offset, low, high, row_low, row_high, matrix)

    def _above_threshold(self, lp: Lp, k: int) -> tuple[Ints, Ints, Floats]:
        """Write the row `cost[k] - eta - z[k] <= -offset`."""
        priced = np.flatnonzero(lp.cost)
        column = np.concatenate([self.columns[k][priced], [self.width, self.width + 1 + k]])
        value = np.concatenate([lp.cost[priced], [-1.0, -1.0]])
        return np.full(len(column), self.height + k), column, value

    def slopes(self, column: Floats, row: Floats, stake: Stake) -> tuple[Floats, Floats]:
        """Turn the duals of the joint programme into slopes of the first scenario's columns and rows.

        In the stem a slope is what all scenarios pay together, each as much as it counts; after it what the first one
        would pay alone, were it to come.
        """
        counts = float(stake.counts[0]) - (float(row[self.height]) if stake.weight else 0.0)
        is_stem_row = np.ones(len(self.rows[0]), dtype=bool)
        is_stem_row[self.beyond] = False
        return (
            column[self.columns[0]] / np.where(self.is_stem, stake.scale, counts),
            row[self.rows[0]] / np.where(is_stem_row, stake.scale, counts),
        )


def grown(models: Sequence[AffineModel], pairs: Sequence[Pairs], n: int, shared: int) -> Tree:
    """Find where everything stands.

    Args:
        models: of each scenario, on the same chain of slots; those after the first may have fewer variables.
        pairs: of each.
        n: slots of each.
        shared: how many of them, from the first on, are the same.
    """
    first = models[0]
    is_stem = np.zeros(len(first.indptr) - 1, dtype=bool)
    columns, rows = [np.arange(len(is_stem))], [np.arange(_height(first))]
    for model in models[1:]:
        place = np.full(len(model.indptr) - 1, DROPPED)
        for name, at in model.columns.items():
            if name in first.columns and _is_by_slot(name, at, n):
                here = np.flatnonzero(np.arange(at.stop - at.start) % n < shared)
                place[at.start + here] = first.columns[name].start + here
                is_stem[first.columns[name].start + here] = True
        own = place == DROPPED
        place[own] = 1 + max(int(each.max()) for each in columns) + np.arange(own.sum())
        row = np.full(_height(model), DROPPED)
        kept = _touched(model, own)
        row[kept] = 1 + max(int(each.max()) for each in rows) + np.arange(len(kept))
        columns.append(place)
        rows.append(row)
    return Tree(
        tuple(columns),
        tuple(rows),
        is_stem,
        _touched(first, ~is_stem),
        1 + max(int(each.max()) for each in columns),
        1 + max(int(each.max()) for each in rows),
        np.unique(np.concatenate([at[model.integers] for at, model in zip(columns, models, strict=True)])),
        _paired(columns, pairs),
    )


def _is_by_slot(name: str, at: slice, n: int) -> bool:
    return name.rpartition(".")[2] not in NOT_BY_SLOT and (at.stop - at.start) % n == 0


def _height(model: AffineModel) -> int:
    return model.starts[5] - model.starts[4]


def _touched(model: AffineModel, columns: NDArray[np.bool_]) -> Ints:
    """Find the rows that have one of some columns."""
    return np.unique(model.indices[np.repeat(columns, np.diff(model.indptr))])


def _paired(columns: Sequence[Ints], pairs: Sequence[Pairs]) -> Pairs:
    """Put the pairs of all scenarios at their places; those of the stem are there once."""
    sides: list[list[Ints]] = [[], [], []]
    for k, (place, each) in enumerate(zip(columns, pairs, strict=True)):
        padded = np.append(place, -1)
        own = padded[each.first[:, 0]] >= (len(columns[0]) if k else 0)
        things = each.thing[own] + k * (1 + int(each.thing.max(initial=0)))
        for side, found in zip(sides, (padded[each.first[own]], padded[each.second[own]], things), strict=True):
            side.append(found)
    return Pairs(*(np.concatenate(side) for side in sides))


def _moved(matrix: csc_matrix, column: Ints, row: Ints) -> tuple[Ints, Ints, Floats]:
    """Give the values of a scenario's matrix at their places among all, without the rows that are there already."""
    place = row[matrix.indices]
    kept = place != DROPPED
    at = np.repeat(column, np.diff(matrix.indptr))
    return place[kept], at[kept], matrix.data[kept]
