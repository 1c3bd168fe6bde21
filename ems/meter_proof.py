"""Whether meters and signs are wired as the site file says: steps of a known power, and what the meters made of them.

An asset is held at two powers in turn, A B A B ... A. What a meter shows of a step is the mean over the rounds of

    d = B_i - (A_i + A_i+1) / 2      [kW]

so that a load that drifts evenly falls out. Its share of the step, d / (B - A), is 1 for a meter that is right, -1 for
one whose sign is turned, 0 for one that measures something else, and another number for a wrong ratio (a current
transformer of 100:5 read as 200:5 shows 2; one phase of three shows 1/3). What other metered assets did meanwhile is
taken off the connection's meter. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import fmean, stdev

NEAR = 0.2
"""A share so near to 1, -1 or 0 counts as that."""
RESTLESS = 0.1
"""A share whose standard error is greater than this proves nothing."""
CONNECTION = "connection"


@dataclass(frozen=True, slots=True)
class Level:
    """What was seen while one power was held, as means over it.

    Args:
        held_kw: power that was commanded and kept [kW into the asset].
        asset_kw: what the asset's meter showed.
        grid_kw: what the connection's meter showed; import is positive.
        others_kw: what all other metered assets took together.
    """

    held_kw: float
    asset_kw: float
    grid_kw: float
    others_kw: float


@dataclass(frozen=True, slots=True)
class Finding:
    """What one meter made of the steps.

    Args:
        meter: `connection`, or the asset's id.
        share: of the step; 1 is right.
        error: standard error of the share.
        ok: whether it is proven right.
        words: what it means, and the remedy.
    """

    meter: str
    share: float
    error: float
    ok: bool
    words: str


def prove(asset: str, levels: Sequence[Level]) -> tuple[Finding, Finding]:
    """Judge the asset's meter and the connection's.

    Args:
        asset: id of the asset.
        levels: A B A ... A: an odd number, at least five, every second one at the other power.

    Raises:
        ValueError: the levels are not such a sequence.
    """
    if len(levels) < 5 or len(levels) % 2 == 0 or levels[0].held_kw == levels[1].held_kw:
        raise ValueError(f"{len(levels)} levels prove nothing: hold A B A ... A, at least five, at two powers")
    shown: Mapping[str, list[float]] = {
        asset: [level.asset_kw for level in levels],
        CONNECTION: [level.grid_kw - level.others_kw for level in levels],
    }
    step_kw = fmean(level.held_kw for level in levels[1::2]) - fmean(level.held_kw for level in levels[::2])
    own, grid = (_finding(meter, _shares(values, step_kw)) for meter, values in shown.items())
    return own, grid


def _shares(values: Sequence[float], step_kw: float) -> list[float]:
    """Give each round's share of the step."""
    rounds = range(1, len(values) - 1, 2)
    return [(values[b] - 0.5 * (values[b - 1] + values[b + 1])) / step_kw for b in rounds]


def _finding(meter: str, shares: Sequence[float]) -> Finding:
    share, error = fmean(shares), stdev(shares) / sqrt(len(shares))
    if error > RESTLESS:
        words = "too much else moved meanwhile; take a larger step or more rounds, or wait for a calmer hour"
        return Finding(meter, share, error, ok=False, words=f"proves nothing: {words}")
    if abs(share - 1.0) <= NEAR:
        return Finding(meter, share, error, ok=True, words="follows the step with the right sign")
    return Finding(meter, share, error, ok=False, words=_wrong(share))


def _wrong(share: float) -> str:
    if abs(share + 1.0) <= NEAR:
        return "follows with its sign turned: turn the current transformers, or the sign in the profile"
    if abs(share) <= NEAR:
        return "does not see the step: it measures something else, or the device did not move"
    what = "ratio of the current transformers, phases that are missing" if share > 0 else "sign and ratio"
    return f"shows {share:.2f} of the step: check the {what}"
