"""The rungs that learn: a linear one and gradient-boosted quantiles, both of the calendar's error.

    linear:   y(t) = calendar(t) + w' z(t),    w = argmin |e - Z w|^2 + RIDGE n |w|^2
    boosted:  y_tau(t) = calendar(t) + sum of trees, each of the negative gradient of the pinball loss at level tau

Symbols: z [1] features of `optimization.forecast.features`, each less its mean and over its standard deviation, with
one more for each quantity published beside, times the calendar's forecast (what the sun gives depends on the hour); e
the calendar's past errors, n their number. Sources: Hoerl and Kennard, Ridge regression, Technometrics 12 (1970) 55-67;
Friedman, Greedy function approximation: a gradient boosting machine, Annals of Statistics 29 (2001) 1189-1232, on
histograms as in LightGBM (Ke et al., NeurIPS 2017), by scikit-learn's HistGradientBoostingRegressor.

Each learns anew every week, from what lay before; between two lessons it is a function of the asked instant alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from optimization.forecast.features import OWN, Lesson, Lessons, features
from optimization.forecast.methods import Asked
from optimization.forecast.past import DAY_S
from optimization.slots import Floats

RELEARN_S = 7.0 * DAY_S
RIDGE = 1e-3
LINEAR = tuple(OWN.index(name) for name in ("calendar", "newest", "week", "climate", "hour", "day", "lead_h"))
TREES, LEAVES, RATE, LEAST_IN_LEAF = 50, 8, 0.08, 100

Fitted = Callable[[Floats], Floats]
"""From features, shape (n, features), to what is added to the calendar's forecast, shape (levels, n)."""


class Learned:
    """A method that learns from the past what the calendar gets wrong.

    Args:
        fit: learns from a lesson for some levels.
        lessons: where rows of features are kept; methods of one series may share them.
    """

    def __init__(self, fit: Callable[[Lesson, Sequence[float]], Fitted], lessons: Lessons) -> None:
        self._fit, self._lessons = fit, lessons
        self._last: tuple[tuple[object, ...], Fitted] | None = None

    def __call__(self, asked: Asked) -> Floats:
        """Give quantiles, `nan` where a feature that is needed is unknown; raises `TooLittleKnown`."""
        rows = features(asked)
        value: Floats = rows[:, 0] + self._fitted(asked)(rows)
        return value

    def _fitted(self, asked: Asked) -> Fitted:
        cut_s = float(np.floor(asked.now_s / RELEARN_S) * RELEARN_S)
        if self._last is None or self._last[0] != (cut_s, asked.levels):
            lesson = self._lessons.until(asked, cut_s)
            self._last = (cut_s, asked.levels), self._fit(lesson, asked.levels)
        return self._last[1]


def linear(lesson: Lesson, levels: Sequence[float]) -> Fitted:
    """Learn a linear function; a point, like the simple methods."""
    rows, error = _expanded(lesson.features), lesson.error
    good = np.isfinite(rows).all(axis=1) & np.isfinite(error)
    mean, spread = rows[good].mean(axis=0), rows[good].std(axis=0)
    spread = np.where(spread > 0.0, spread, 1.0)
    z = np.column_stack([np.ones(good.sum()), (rows[good] - mean) / spread])
    weight = np.linalg.solve(z.T @ z + RIDGE * len(z) * np.eye(z.shape[1]), z.T @ error[good])

    def added(asked: Floats) -> Floats:
        value = weight[0] + (_expanded(asked) - mean) / spread @ weight[1:]
        return np.tile(value, (len(levels), 1))

    return added


def _expanded(rows: Floats) -> Floats:
    told = rows[:, len(OWN) :]
    return np.column_stack([rows[:, LINEAR], told, told * rows[:, :1]])


def boosted(lesson: Lesson, levels: Sequence[float]) -> Fitted:
    """Learn trees for each level; a gap in a feature is a branch of its own."""
    # Takes two seconds to import, and whoever does not ask for it shall not wait.
    from sklearn.ensemble import HistGradientBoostingRegressor  # noqa: PLC0415
    from threadpoolctl import threadpool_limits  # noqa: PLC0415

    known = np.isfinite(lesson.error)
    # More threads would wait for each other longer than they work.
    with threadpool_limits(1):
        models: list[Any] = [
            HistGradientBoostingRegressor(
                loss="quantile", quantile=level, max_iter=TREES, max_leaf_nodes=LEAVES, learning_rate=RATE,
                min_samples_leaf=LEAST_IN_LEAF, early_stopping=False, random_state=0,
            ).fit(lesson.features[known], lesson.error[known])
            for level in levels
        ]  # fmt: skip

    def added(asked: Floats) -> Floats:
        with threadpool_limits(1):
            return np.sort([model.predict(asked) for model in models], axis=0)

    return added
