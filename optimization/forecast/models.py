"""What was learned, as plain arrays: made where there is a learner, asked where there is none.

    linear:  e(z) = w_0 + w' (z - mean) / spread
    forest:  e_tau(x) = base_tau + sum over trees of the value of the leaf that x falls into
    at a node: left if x[feature] <= threshold, or where x[feature] is unknown and the node sends gaps to the left

Symbols: e [unit of the series] what is added to the calendar's forecast, x features as
`optimization.forecast.features` gives them, z those that `expanded` makes of them. The same equations as in
`optimization.forecast.learned`, which names the sources.

Law: nothing here is ever changed, and nothing but NumPy is needed to ask.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optimization.forecast.features import OWN
from optimization.slots import Floats, Ints

LINEAR = tuple(OWN.index(name) for name in ("calendar", "newest", "week", "climate", "hour", "day", "lead_h"))


@dataclass(frozen=True, slots=True, eq=False)
class Linear:
    """A linear function; a point, like the simple methods.

    Args:
        levels: how many quantiles it is told for.
        mean: of each expanded feature, shape (k,).
        spread: its standard deviation, 1 where there is none, shape (k,).
        weight: the constant, then one of each, shape (k + 1,) [unit of the series].
    """

    levels: int
    mean: Floats
    spread: Floats
    weight: Floats

    def __call__(self, rows: Floats) -> Floats:
        """Give what is added, from features of shape (n, features); shape (levels, n)."""
        value = self.weight[0] + (expanded(rows) - self.mean) / self.spread @ self.weight[1:]
        return np.tile(value, (self.levels, 1))


@dataclass(frozen=True, slots=True, eq=False)
class Forest:
    """Trees for each quantile, all their nodes in one row; a leaf leads to itself.

    Args:
        base: what each quantile begins with, shape (levels,) [unit of the series].
        root: where each tree begins, shape (levels, trees).
        feature: that a node asks, shape (nodes,).
        threshold: up to which it goes left, shape (nodes,).
        gap_left: whether a gap goes left, shape (nodes,).
        left: the node on the left, shape (nodes,).
        right: the node on the right, shape (nodes,).
        value: of a leaf, zero elsewhere, shape (nodes,) [unit of the series].
        depth: of the deepest tree.
    """

    base: Floats
    root: Ints
    feature: Ints
    threshold: Floats
    gap_left: NDArray[np.bool_]
    left: Ints
    right: Ints
    value: Floats
    depth: int

    def __call__(self, rows: Floats) -> Floats:
        """Give what is added, from features of shape (n, features); ascending, shape (levels, n)."""
        row = np.arange(len(rows))
        node = np.repeat(self.root[:, :, None], len(rows), axis=2)
        for _ in range(self.depth):
            asked = rows[row, self.feature[node]]
            goes_left = (asked <= self.threshold[node]) | (np.isnan(asked) & self.gap_left[node])
            node = np.where(goes_left, self.left[node], self.right[node])
        # One tree after the other, so that the sum is that of the learner to the last bit.
        total = np.repeat(self.base[:, None], len(rows), axis=1)
        for added in self.value[node].transpose(1, 0, 2):
            total = total + added
        return np.sort(total, axis=0)


Model = Linear | Forest


def expanded(rows: Floats) -> Floats:
    """Give what the linear method sees of features; with each quantity beside, also times the calendar's forecast."""
    told = rows[:, len(OWN) :]
    return np.column_stack([rows[:, LINEAR], told, told * rows[:, :1]])


def planted(trees: Sequence[Sequence[NDArray[np.void]]], base: Sequence[float]) -> Forest:
    """Lay trees out as arrays.

    Args:
        trees: by level and tree its nodes, the root first: records with `feature_idx`, `num_threshold`,
            `missing_go_to_left`, `left`, `right`, `value`, `is_leaf` and `depth`, as scikit-learn has them.
        base: what each level begins with.
    """
    counts = np.array([[len(tree) for tree in level] for level in trees])
    root = (np.cumsum(counts) - counts.ravel()).reshape(counts.shape)
    node = np.concatenate([tree for level in trees for tree in level])
    begins = np.repeat(root.ravel(), counts.ravel())
    is_leaf, own = node["is_leaf"].astype(bool), np.arange(len(node))
    return Forest(
        np.asarray(base, dtype=np.float64),
        root,
        np.where(is_leaf, 0, node["feature_idx"]).astype(np.int64),
        np.asarray(node["num_threshold"], dtype=np.float64),
        node["missing_go_to_left"].astype(bool),
        np.where(is_leaf, own, begins + node["left"]).astype(np.int64),
        np.where(is_leaf, own, begins + node["right"]).astype(np.int64),
        np.where(is_leaf, node["value"], 0.0),
        int(node["depth"].max()),
    )


def is_finite(model: Model) -> bool:
    """Tell whether what was learned holds numbers only."""
    arrays = (model.mean, model.spread, model.weight) if isinstance(model, Linear) else (model.base, model.value)
    return all(bool(np.isfinite(array).all()) for array in arrays)
