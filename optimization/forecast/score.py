"""How good quantile forecasts were: pinball loss, coverage, error of the median, and skill against a reference.

    pinball_tau(y, q) = max(tau (y - q), (tau - 1) (y - q)),    skill = 1 - loss / loss of the reference

Symbols: y what came, q its quantile at level tau [unit of the series]. The mean over levels is twice-weighted nothing
and proper: who says what he believes has the least. Source: Gneiting and Raftery, Strictly proper scoring rules,
prediction, and estimation, Journal of the American Statistical Association 102 (2007) 359-378.

Law: where nothing came, or nothing was foreseen, nothing is scored; such cells are counted by nobody.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from optimization.slots import Floats


def pinball(levels: Sequence[float], value: Floats, came: Floats) -> Floats:
    """Give the mean loss over the levels, `nan` where either is unknown.

    Args:
        levels: of the quantiles.
        value: quantiles, shape (levels, ...).
        came: shape (...).
    """
    tau = np.asarray(levels).reshape(-1, *[1] * came.ndim)
    error = came - value
    return np.asarray(np.maximum(tau * error, (tau - 1.0) * error).mean(axis=0))


@dataclass(frozen=True, slots=True)
class Score:
    """Of one method over many issues.

    Args:
        loss: mean pinball loss [unit of the series].
        error: mean absolute error of the median [unit of the series].
        bias: mean of what came less the median [unit of the series].
        coverage: share of what came within the outer quantiles [1].
        width: mean distance of the outer quantiles [unit of the series].
        count: quarter-hours that were scored.
    """

    loss: float
    error: float
    bias: float
    coverage: float
    width: float
    count: int


def score(levels: Sequence[float], value: Floats, came: Floats) -> Score | None:
    """Score quantiles of shape (levels, ...) against what came, shape (...); None where nothing can be scored.

    The middle one of the levels counts as the median.
    """
    good = np.isfinite(value).all(axis=0) & np.isfinite(came)
    if not good.any():
        return None
    quantiles, y = value[:, good], came[good]
    off = y - quantiles[len(levels) // 2]
    within = (y >= quantiles[0]) & (y <= quantiles[-1])
    return Score(
        float(pinball(levels, quantiles, y).mean()),
        float(np.abs(off).mean()),
        float(off.mean()),
        float(within.mean()),
        float((quantiles[-1] - quantiles[0]).mean()),
        int(good.sum()),
    )


def skill(loss: float, reference: float) -> float:
    """Give by how much a loss is less than that of a reference [1]; nan where the reference has none."""
    return 1.0 - loss / reference if reference > 0.0 else np.nan
