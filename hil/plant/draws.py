"""Seeded chance: every thing of the pretend world draws from a stream of its own name.

A stream depends on the seed and the name alone, not on the order in which things are built, nor on Python's hash seed.
"""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

Floats = NDArray[np.float64]


def stream(seed: int, name: str) -> np.random.Generator:
    """Open the random stream of one thing."""
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


def off(rng: np.random.Generator, nominal: float, low: float = 0.05, high: float = 0.15) -> float:
    """Draw a true parameter that is `low` to `high` (shares) off its nominal value, upwards or downwards."""
    side = 1.0 if rng.random() < 0.5 else -1.0
    return nominal * (1.0 + side * float(rng.uniform(low, high)))


def wandering(rng: np.random.Generator, count: int, *, memory: float, deviation: float) -> Floats:
    """Draw a stationary first-order autoregressive series.

    Args:
        rng: where the shocks come from.
        count: number of steps.
        memory: what is left of a deviation after one step, 0..1.
        deviation: standard deviation of the series.
    """
    shocks = rng.standard_normal(count) * deviation
    shocks[1:] *= np.sqrt(1.0 - memory**2)
    return np.asarray(lfilter([1.0], [1.0, -memory], shocks), dtype=float)


def altered(before: Floats, after: Floats, from_index: int | None) -> Floats:
    """Follow one series up to an index and another one from there on (None: never)."""
    if from_index is None:
        return before
    index = min(max(from_index, 0), len(before))
    return np.concatenate([before[:index], after[index:]])
