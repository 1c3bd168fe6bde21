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

from optimization.forecast.features import Lesson, Lessons, features
from optimization.forecast.methods import Asked, TooLittleKnown
from optimization.forecast.models import Forest, Linear, Model, expanded, is_finite, planted
from optimization.forecast.past import DAY_S
from optimization.slots import Floats

RELEARN_S = 7.0 * DAY_S
OLD_S = 3.0 * DAY_S
"""What was learned elsewhere serves for so long: its lessons come every day."""
REACH_S = 2.0 * DAY_S
"""What was learned of a day and a half is asked no further ahead."""
RIDGE = 1e-3
TREES, LEAVES, RATE, LEAST_IN_LEAF = 50, 8, 0.08, 100


class Learned:
    """A method that learns from the past what the calendar gets wrong.

    Args:
        fit: learns from a lesson for some levels.
        lessons: where rows of features are kept; methods of one series may share them.
    """

    def __init__(self, fit: Callable[[Lesson, Sequence[float]], Model], lessons: Lessons) -> None:
        self._fit, self._lessons = fit, lessons
        self._last: tuple[tuple[object, ...], Model] | None = None

    def __call__(self, asked: Asked) -> Floats:
        """Give quantiles, `nan` where a feature that is needed is unknown; raises `TooLittleKnown`."""
        rows = features(asked)
        value: Floats = rows[:, 0] + self._fitted(asked)(rows)
        return value

    def _fitted(self, asked: Asked) -> Model:
        cut_s = float(np.floor(asked.now_s / RELEARN_S) * RELEARN_S)
        if self._last is None or self._last[0] != (cut_s, asked.levels):
            lesson = self._lessons.until(asked, cut_s)
            self._last = (cut_s, asked.levels), self._fit(lesson, asked.levels)
        return self._last[1]


class Taught:
    """A method whose model is learned elsewhere and handed over; it never learns by itself.

    Args:
        why: what it says while it has none.
    """

    def __init__(self, why: str = "nothing was learned yet") -> None:
        self._model: Model | None = None
        self._learned_s, self._why = -np.inf, why

    def teach(self, model: Model, learned_s: float) -> None:
        """Take a model over.

        Args:
            model: what was learned; one that holds no numbers is refused, and the one before it goes on.
            learned_s: the instant up to which it knows what came [s since 1970].
        """
        if is_finite(model):
            self._model, self._learned_s = model, learned_s
        else:
            self.tell("what was learned is no number")

    def tell(self, why: str) -> None:
        """Note why there is nothing new; what was learned before serves until it is old."""
        self._why = why

    def __call__(self, asked: Asked) -> Floats:
        """Give quantiles, as `Learned` does, `nan` too far ahead; raises `TooLittleKnown` without a young model."""
        if self._model is None:
            raise TooLittleKnown(self._why)
        age_s = asked.now_s - self._learned_s
        if age_s > OLD_S:
            raise TooLittleKnown(f"what was learned is {age_s / DAY_S:.0f} days old: {self._why}")
        rows = features(asked)
        value: Floats = rows[:, 0] + self._model(rows)
        return np.where(asked.at_s - asked.now_s <= REACH_S, value, np.nan)


def linear(lesson: Lesson, levels: Sequence[float]) -> Linear:
    """Learn a linear function; a point, like the simple methods."""
    rows, error = expanded(lesson.features), lesson.error
    good = np.isfinite(rows).all(axis=1) & np.isfinite(error)
    mean, spread = rows[good].mean(axis=0), rows[good].std(axis=0)
    spread = np.where(spread > 0.0, spread, 1.0)
    z = np.column_stack([np.ones(good.sum()), (rows[good] - mean) / spread])
    weight = np.linalg.solve(z.T @ z + RIDGE * len(z) * np.eye(z.shape[1]), z.T @ error[good])
    return Linear(len(levels), mean, spread, weight)


def boosted(lesson: Lesson, levels: Sequence[float]) -> Forest:
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
    # Its trees have no public name; a test holds what they say against what the model itself says.
    trees = [[one.nodes for (one,) in model._predictors] for model in models]  # noqa: SLF001
    return planted(trees, [float(model._baseline_prediction[0, 0]) for model in models])  # noqa: SLF001
