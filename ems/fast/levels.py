"""What an asset is told that knows a few levels of power only: on or off, or the states of SG Ready. Pure.

Rule 1: only its levels are told. A bound is rounded towards zero, so that no limit is passed.
Rule 2: a wish between two levels is given as energy: what is owed is added up over slots and plans alike, and the level
changes once it exceeds half of what the two levels differ by in the least time between changes. Rounding towards zero
for ever would let a zone go cold.
Rule 3: a wish for nothing is obeyed, whatever is owed: it may be a dear hour, or nobody may be there.
Rule 4: no more is owed than two such amounts: what could not be had for long is left to the next plan.
Rule 5: a mere wish changes the level no sooner than its least time after the last change; every bound does at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ems.fast.decisions import Held, Lever

TRIFLE_KW = 1e-6
MOST_BANDS = 2.0
LONGEST_STEP_S = 60.0
"""What was taken before a longer gap between two looks is not known, and counts for so long."""


def level_below(levels_kw: Sequence[float], kw: float) -> float:
    """Give the greatest level that is not above a power; the least one below all of them."""
    return max((level for level in levels_kw if level <= kw + TRIFLE_KW), default=levels_kw[0])


def level_above(levels_kw: Sequence[float], kw: float) -> float:
    """Give the least level that is not below a power; the greatest one above all of them."""
    return min((level for level in levels_kw if level >= kw - TRIFLE_KW), default=levels_kw[-1])


def running_at(lever: Lever, kw: float) -> float:
    """Give the level at which an asset runs that takes a measured power: the nearest; that power without levels."""
    return min(lever.levels_kw, key=lambda level: abs(level - kw), default=kw)


def moved(levels_kw: Sequence[float], was_kw: float, wanted_kw: float, *, beyond: bool) -> float:
    """Move from a power towards another onto a level: past that power, or short of it; stays where no level lies so."""
    up = wanted_kw > was_kw
    level = level_above(levels_kw, wanted_kw) if up == beyond else level_below(levels_kw, wanted_kw)
    return level if (level > was_kw) == up else was_kw


def stay(lever: Lever, kw: float, held: Held | None, now_s: float) -> float:
    """Keep the level in force for its least time (Rule 5)."""
    in_force_kw = held.kw if held is not None and now_s - held.since_s < lever.dwell_s else None
    return level_below(lever.levels_kw, kw if in_force_kw is None else in_force_kw)


@dataclass(frozen=True, slots=True)
class Debt:
    """What an asset is owed of the energy that was wished.

    Args:
        kwh: wished less taken [kWh]; negative where it took more.
        level_kw: the level that was chosen last.
        at_s: when that was [monotonic s].
    """

    kwh: float
    level_kw: float
    at_s: float


def owe(before: Debt | None, lever: Lever, wanted_kw: float, taken_kw: float, now_s: float) -> Debt:
    """Choose the level for now (Rules 2 to 4).

    Args:
        before: what was owed; None at first.
        lever: the asset.
        wanted_kw: mean power that is wished.
        taken_kw: measured now.
        now_s: present monotonic instant [s].
    """
    low_kw, high_kw = _neighbours(lever.levels_kw, wanted_kw)
    band_kwh = 0.5 * (high_kw - low_kw) * _least_s(lever) / 3600.0
    step_s = 0.0 if before is None else min(now_s - before.at_s, LONGEST_STEP_S)
    owed_kwh = (before.kwh if before else 0.0) + (wanted_kw - taken_kw) * step_s / 3600.0
    kwh = min(max(owed_kwh, -MOST_BANDS * band_kwh), MOST_BANDS * band_kwh)
    if wanted_kw <= TRIFLE_KW:
        return Debt(kwh, lever.levels_kw[0], now_s)
    if kwh >= band_kwh:
        return Debt(kwh, high_kw, now_s)
    if kwh <= -band_kwh:
        return Debt(kwh, low_kw, now_s)
    nearest_kw = high_kw if wanted_kw - low_kw >= high_kw - wanted_kw else low_kw
    return Debt(kwh, before.level_kw if before and before.level_kw in (low_kw, high_kw) else nearest_kw, now_s)


def _neighbours(levels_kw: Sequence[float], kw: float) -> tuple[float, float]:
    """Give the levels on either side of a power; where it is one itself, that and the next one up or down."""
    low = level_below(levels_kw[:-1], kw)
    return low, level_above(levels_kw[levels_kw.index(low) + 1 :], kw)


def _least_s(lever: Lever) -> float:
    """Give the least time between two changes: its own, and what its compressor needs [s]."""
    rest = lever.rest
    return max(lever.dwell_s, rest.minimum_on_s, rest.minimum_off_s) if rest else lever.dwell_s
