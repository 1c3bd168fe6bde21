"""Calibrated coverage: quantiles moved by the quantiles of their own past errors.

    q'_tau[l] = q_tau[l] + c_tau[l],      c_tau[l] = the r-th smallest of E_tau[l]
    E_tau[l] = {y_b[k] - q_tau,b[k]: blocks b, |k - l| <= NEAR_LEADS},      m = |E_tau[l]|
    r = ceil((m + 1) tau) for tau >= 1/2,   floor((m + 1) tau) for tau < 1/2,   within 1..m

Symbols: y what came, q the quantile at level tau as the method gave it, b an earlier issue at about this time of day, l
the lead. A point forecast gets its spread here. Leads of a block depend on each other, so that few blocks are covered
less surely than m says: below `LEAST_BLOCKS` no spread is taken at all. Source: Romano, Patterson and Candes,
Conformalized quantile regression, NeurIPS 2019, each side by itself, on a moving window in place of exchangeable data.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from optimization.slots import Floats, Ints

NEAR_LEADS = 4
LEAST_BLOCKS = 7
"""Of fewer blocks no spread is taken."""


def calibrated(levels: Sequence[float], value: Floats, errors: Floats, near_leads: int = NEAR_LEADS) -> Floats:
    """Move quantiles so that what came in the past would have been covered.

    Args:
        levels: ascending.
        value: quantiles as the method gave them, shape (levels, leads).
        errors: what came less the quantile, `nan` where unknown, shape (blocks, levels, leads).
        near_leads: errors of so many leads before and after count, too.

    Returns:
        Quantiles in ascending order, shape (levels, leads); `nan` where too few blocks are known.
    """
    return np.asarray(np.sort(value + correction(levels, errors, near_leads), axis=0))


def correction(levels: Sequence[float], errors: Floats, near_leads: int = NEAR_LEADS) -> Floats:
    """Give by how much past errors move each quantile, shape (levels, leads); arguments and gaps as of `calibrated`."""
    if len(errors) < LEAST_BLOCKS:
        return np.full(errors.shape[1:], np.nan)
    blocks = np.isfinite(errors).all(axis=1).sum(axis=0)
    return np.where(blocks >= LEAST_BLOCKS, _moved_by(levels, errors, near_leads), np.nan)


def _moved_by(levels: Sequence[float], errors: Floats, near_leads: int) -> Floats:
    count, width = len(errors), 2 * near_leads + 1
    padded = np.pad(errors, ((0, 0), (0, 0), (near_leads, near_leads)), constant_values=np.nan)
    near = np.lib.stride_tricks.sliding_window_view(padded, width, axis=2)
    pool = np.sort(near.transpose(1, 2, 0, 3).reshape(len(levels), -1, count * width), axis=2)
    known = np.isfinite(pool).sum(axis=2)
    # The level counted over one more value than there are: the next one may lie beyond all of them.
    rank = np.array([_rank(level, known[i]) for i, level in enumerate(levels)])
    return np.take_along_axis(pool, rank[:, :, None], axis=2)[:, :, 0]


def _rank(level: float, known: Ints) -> Ints:
    """Give the place of a level among sorted values, shape of their counts."""
    rank = np.ceil((known + 1) * level) if level >= 0.5 else np.floor((known + 1) * level)
    return np.asarray(np.clip(rank.astype(np.int64) - 1, 0, np.maximum(known - 1, 0)), dtype=np.int64)
