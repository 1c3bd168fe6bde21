"""Paths of errors whose spread is the calibrated one: each keeps its place among the others and its shape in time.

    e'[p, l] = m'[l] + s[l] * (e[p, l] - m[l]),    s[l] = (m' - low') / (m - low) below the paths' median m,
                                                          (high' - m') / (high - m) above it
    beyond low and high:  low' + min(s, MOST) * (e - low),    high' + min(s, MOST) * (e - high)

Symbols: e [unit of the series] error on path p at lead l; low, m, high the paths' own outer quantiles and their median;
with a prime what a calibrated forecast promises of them. What belongs together in time and between quantities stays
together, as in ensemble copula coupling (Schefzik, Thorarinsdottir and Gneiting, Uncertainty quantification in complex
simulation models using ensemble copula coupling, Statistical Science 28 (2013) 616-640); own derivation of the rest.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from optimization.slots import Floats

MOST = 4.0
"""What lies beyond the outer quantiles of a few paths tells little: it is stretched by so much at the most [1]."""


def dressed(errors: Floats, levels: Sequence[float], told: Floats) -> Floats:
    """Give paths the spread that is told.

    Args:
        errors: shape (paths, n) [unit of the series].
        levels: of the quantiles, ascending, the median in the middle.
        told: quantiles of the error, `nan` where none are told, shape (levels, n).

    Returns:
        Shape (paths, n); left as they are where nothing is told.
    """
    (low, middle, high), (told_low, told_middle, told_high) = (
        (each[0], each[len(levels) // 2], each[-1]) for each in (np.quantile(errors, levels, axis=0), told)
    )
    off = errors - middle
    below = _stretched(np.maximum(-off, 0.0), middle - low, told_middle - told_low)
    above = _stretched(np.maximum(off, 0.0), high - middle, told_high - told_middle)
    moved = told_middle - below + above
    return np.where(np.isfinite(told).all(axis=0), moved, errors)


def _stretched(off: Floats, own: Floats, told: Floats) -> Floats:
    """Stretch or narrow what lies off the median on one side; paths that have no spread there keep theirs."""
    ratio = np.divide(told, own, out=np.ones_like(own), where=own > 0.0)
    within = np.minimum(off, own)
    return np.asarray(ratio * within + np.minimum(ratio, MOST) * (off - within))
