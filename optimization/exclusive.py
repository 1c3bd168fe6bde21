"""Either, or: charging against discharging, import against export, never both in one slot; and what comes whole.

A linear programme keeps the two apart by itself wherever doing both costs money. Where prices invert it may not, and
only there binaries z are added:  sum of a <= U_a * z,  sum of b <= U_b * (1 - z).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import bmat, csc_matrix, csr_matrix

from optimization.affine import Lp
from optimization.slots import Floats, Ints

TOLERANCE_KW = 1e-5
WHOLE = 1e-5
WITHIN = 1e-6
"""How far a row may be off: `optimization.warm` asks no less of a solution."""


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Pairs of column groups of which at most one may be above zero.

    Args:
        first: columns whose sum is a, shape (pairs, members), -1 where a pair has fewer.
        second: columns whose sum is b, likewise.
        thing: what each pair belongs to, the connection or an asset, counted from 0, shape (pairs,).
    """

    first: Ints
    second: Ints
    thing: Ints

    @property
    def columns(self) -> Ints:
        """All columns that are in a pair."""
        both = np.concatenate([self.first.ravel(), self.second.ravel()])
        return both[both >= 0]

    def __len__(self) -> int:
        """Count the pairs."""
        return len(self.first)

    def sums(self, x: Floats) -> tuple[Floats, Floats]:
        """Add the columns of each group, shape (pairs,) each."""
        padded = np.append(x, 0.0)
        return padded[self.first].sum(axis=1), padded[self.second].sum(axis=1)

    def broken(self, x: Floats) -> Ints:
        """Find the pairs of which both are above zero."""
        return np.flatnonzero(np.minimum(*self.sums(x)) > TOLERANCE_KW)

    def of_the_same_things(self, which: Ints) -> Ints:
        """Find all pairs of the things that some pairs belong to."""
        return np.flatnonzero(np.isin(self.thing, self.thing[which]))


def find_pairs(groups: Sequence[tuple[Sequence[str], Sequence[str]]], columns: Mapping[str, slice]) -> Pairs:
    """Find the columns of named variable groups: one pair a slot, and of a charge point one for each car, too."""
    width = max(len(side) for pair in groups for side in pair)
    first, second = ([_columns(pair[side], columns, width) for pair in groups] for side in (0, 1))
    thing = np.repeat(np.arange(len(groups)), [len(table) for table in first])
    return Pairs(np.concatenate(first), np.concatenate(second), thing)


def netted(lp: Lp, pairs: Pairs, x: Floats) -> Floats:
    """Take off both of a pair what cancels out at no loss, where it can break no row.

    Import and export at once is such a pair: where buying costs no less than selling earns, netting never costs. The
    balance sees only their difference; a peak and a carbon budget have the more room the less is imported.
    """
    a, b = pairs.first[:, 0], pairs.second[:, 0]
    both = np.minimum(x[a], x[b])
    dense = np.flatnonzero(both > 0.0)
    free = [i for i in dense if _nettable(lp, int(a[i]), int(b[i])) and lp.cost[a[i]] + lp.cost[b[i]] >= 0.0]
    clean = x.copy()
    clean[a[free]] -= both[free]
    clean[b[free]] -= both[free]
    return clean


def with_binaries(lp: Lp, pairs: Pairs, which: Ints) -> Lp:
    """Add a binary and its two rows for each of some pairs; the binaries are the last columns."""
    count, columns = len(which), len(lp.cost)
    if not count:
        return lp
    groups = (pairs.first[which], pairs.second[which])
    upper = np.append(lp.col_upper, 0.0)
    reach = [upper[group].sum(axis=1) for group in groups]
    binary = np.concatenate([-np.diag(reach[0]), np.diag(reach[1])])
    rows = bmat([[lp.matrix, None], [_members(groups, columns), csr_matrix(binary)]], format="csc")
    zero, one = np.zeros(count), np.ones(count)
    return Lp(
        np.append(lp.cost, zero),
        lp.offset,
        np.append(lp.col_lower, zero),
        np.append(lp.col_upper, one),
        np.append(lp.row_lower, np.full(2 * count, -np.inf)),
        np.concatenate([lp.row_upper, zero, reach[1]]),
        csc_matrix(rows),
    )


def without_losers(lp: Lp, pairs: Pairs, which: Ints, first_wins: NDArray[np.bool_]) -> Lp:
    """Hold at zero, of some pairs, the side that lost."""
    losers = np.where(first_wins[:, None], pairs.second[which], pairs.first[which])
    upper = lp.col_upper.copy()
    upper[losers[losers >= 0]] = 0.0
    return replace(lp, col_upper=upper)


def fractional(x: Floats, integers: Ints) -> Ints:
    """Find, of the columns that are to be whole numbers, those that are not."""
    return integers[np.abs(x[integers] - np.round(x[integers])) > WHOLE]


def rounded_up(lp: Lp, integers: Ints, x: Floats) -> Floats:
    """Take what is to be whole up towards the next whole number as far as no row minds, where that costs nothing.

    A car's switch is such a number: its power lies between bounds that widen as the switch closes, so that only a power
    below the least one needs to be decided.
    """
    parts = [j for j in fractional(x, integers).tolist() if lp.cost[j] == 0.0]
    if not parts:
        return x
    whole, rows = x.copy(), lp.matrix @ x
    for j in parts:
        place = slice(*lp.matrix.indptr[j : j + 2])
        at, value = lp.matrix.indices[place], lp.matrix.data[place]
        room = np.where(value > 0.0, lp.row_upper[at] - rows[at], lp.row_lower[at] - rows[at]) + np.sign(value) * WITHIN
        rise = min(np.ceil(x[j]), lp.col_upper[j]) - x[j]
        rise = max(0.0, min(rise, float((room[value != 0.0] / value[value != 0.0]).min(initial=rise))))
        whole[j] += rise
        rows[at] += value * rise
    return whole


def spread_out(lp: Lp, integers: Ints, x: Floats) -> Floats:
    """Round what is to be whole so that a part that is lost goes on to the next; empty where a part has a price.

    What is rounded adds up to as much as before: a car that charged a little in many slots charges well in some.
    """
    parts = fractional(x, integers)
    if not parts.size or (lp.cost[parts] != 0.0).any():
        return np.empty(0)
    whole, total = np.round(x), np.floor(np.cumsum(x[parts] - np.floor(x[parts])) + 0.5)
    whole[parts] = np.floor(x[parts]) + np.diff(total, prepend=0.0)
    return whole[integers]


def a_slot_on(integers: Ints, wholes: Floats) -> Floats:
    """Move whole numbers on by a slot: neighbouring columns are the slots of one thing, and its last one stays."""
    moved = wholes.copy()
    following = np.flatnonzero(np.diff(integers) == 1)
    moved[following] = wholes[following + 1]
    return moved


def with_wholes(lp: Lp, integers: Ints, x: Floats) -> Lp:
    """Hold whole numbers where they are."""
    lower, upper = lp.col_lower.copy(), lp.col_upper.copy()
    lower[integers] = upper[integers] = np.round(x[integers])
    return replace(lp, col_lower=lower, col_upper=upper)


def _columns(names: Sequence[str], columns: Mapping[str, slice], width: int) -> Ints:
    table = [np.arange(columns[name].start, columns[name].stop) for name in names]
    missing = [np.full(len(table[0]), -1)] * (width - len(names))
    return np.stack([*table, *missing], axis=1)


def _members(groups: tuple[Ints, Ints], columns: int) -> csr_matrix:
    """Write the sums of the first groups, then of the second, one row each."""
    table = np.concatenate(groups)
    row, place = np.nonzero(table >= 0)
    return csr_matrix((np.ones(len(row)), (row, table[row, place])), shape=(len(table), columns))


def _nettable(lp: Lp, a: int, b: int) -> bool:
    """Say whether taking the same off two columns breaks no row, wherever the rows stand."""
    sums: dict[int, float] = {}
    for column in (a, b):
        place = slice(*lp.matrix.indptr[column : column + 2])
        for row, value in zip(lp.matrix.indices[place].tolist(), lp.matrix.data[place].tolist(), strict=True):
            sums[row] = sums.get(row, 0.0) + value
    return all(
        (value <= 0.0 or lp.row_lower[row] == -np.inf) and (value >= 0.0 or lp.row_upper[row] == np.inf)
        for row, value in sums.items()
    )
