"""A model's forecast among the methods of a ladder, and one that learns what the model gets wrong.

    model(t)     = s(t), a point, as the caller computes it: of a PV plant from published weather
    corrected(t) = s(t) (1 + w' z(t)),    w = argmin sum over past issues of (y - s (1 + w' z))^2 + RIDGE |w|^2 sum s^2
    z(t)         = 1, sin(2 pi h), cos(2 pi h), s(t) / s_max

Symbols: s [unit of the series] what the model said when it was issued, y what came, h the hour of UTC as a share of
the day (the sun goes by it), s_max the greatest s that is known. Where the model says nothing comes, nothing does. It
learns from issues that were kept, so from forecasts as they were, not from weather as it became known. Own derivation;
ridge as in `optimization.forecast.learned`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from optimization.forecast.conformal import LEAST_BLOCKS
from optimization.forecast.issues import Issues
from optimization.forecast.methods import Asked, TooLittleKnown
from optimization.forecast.past import DAY_S
from optimization.slots import Floats

RIDGE = 0.02
MOST = 2.0
"""It gives at most so many times what the model does."""

Model = Callable[[Floats], Floats]
"""Gives a series at instants [s since 1970], `nan` where it knows nothing, shape of them."""


class Handed:
    """A method that the caller computes, anew with every plan."""

    def __init__(self) -> None:
        self._model: Model | None = None

    def hand(self, model: Model) -> None:
        """Take the present model."""
        self._model = model

    def __call__(self, asked: Asked) -> Floats:
        """Give a point forecast, shape (levels, n); raises `TooLittleKnown` where the model knows nothing."""
        value = None if self._model is None else self._model(asked.at_s)
        if value is None or np.isnan(value).all():
            raise TooLittleKnown("its model says nothing of these hours")
        return asked.point(value)


class Corrected:
    """A method that learns what another one gets wrong.

    Args:
        model: the other one.
        name: of it among the issues.
        issues: what was issued and what came.
    """

    def __init__(self, model: Handed, name: str, issues: Issues) -> None:
        self._model, self._name, self._issues = model, name, issues
        self._last: tuple[tuple[float | None, int], Floats, float] | None = None

    def __call__(self, asked: Asked) -> Floats:
        """Give a point forecast, shape (levels, n); raises `TooLittleKnown` where too few days are known."""
        value = self._model(asked)
        weight, most = self._learned()
        return value * np.clip(1.0 + _features(asked.at_s, value[0] / most) @ weight, 0.0, MOST)

    def _learned(self) -> tuple[Floats, float]:
        """Learn once an issue."""
        known = self._issues.last_s, self._issues.known()
        if self._last is None or self._last[0] != known:
            self._last = known, *self._fitted()
        return self._last[1], self._last[2]

    def _fitted(self) -> tuple[Floats, float]:
        at_s, said, came = self._issues.told(self._name)
        good = np.isfinite(said) & np.isfinite(came) & (said > 0.0)
        days = len(np.unique(np.floor_divide(at_s[good], DAY_S)))
        if days < LEAST_BLOCKS:
            raise TooLittleKnown(f"what the model said of {days} days is known, of {LEAST_BLOCKS} is needed")
        at_s, said, came = at_s[good], said[good], came[good]
        most = float(said.max())
        table = said[:, None] * _features(at_s, said / most)
        square = table.T @ table + RIDGE * float(said @ said) * np.eye(table.shape[1])
        return np.asarray(np.linalg.solve(square, table.T @ (came - said))), most


def _features(at_s: Floats, share: Floats) -> Floats:
    """Give z, shape (n, 4)."""
    turn = 2.0 * np.pi * np.mod(at_s, DAY_S) / DAY_S
    return np.column_stack([np.ones(len(at_s)), np.sin(turn), np.cos(turn), share])
