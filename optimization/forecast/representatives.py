"""A few futures that stand for many: whole paths of past errors, and the few of them that lie nearest to all others.

    error[t] = came[t] - what was foreseen of t at the beginning of its day of UTC,     path d: error[t - d days]
    distance(i, j) = sum over slots t of h[t] * |net[i, t] - net[j, t]|
    take j with the least  sum over i of min(distance to what is taken, distance(i, j)),  one after the other
    p[j] = share of the paths that lie nearest to it

Symbols: h [h] length of a slot, net [kW] power beyond what was foreseen. What was foreseen is the path without any
error; it is taken before the first one and counts as one path itself. A path is taken whole, so that what belongs
together in time and between quantities stays together. Source of the choice: Heitsch and Roemisch, Scenario reduction
algorithms in stochastic programming, Computational Optimization and Applications 24 (2003), forward selection.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import tzinfo

import numpy as np

from optimization.forecast.load import foresee_load
from optimization.forecast.past import DAY_S, QUARTER_S, Past, slot_means, slot_pieces
from optimization.forecast.spread import means
from optimization.slots import Floats, Slots

QUARTERS = round(DAY_S / QUARTER_S)
KNOWN = 0.75
"""Of a day so large a share must have been measured; gaps are bridged by straight lines."""


def day_errors(past: Past, day: int, zone: tzinfo) -> Floats | None:
    """Tell how a load's forecast of a day went wrong, made anew from what was known when it began.

    Args:
        past: measured power [kW], on steps of up to a quarter-hour.
        day: of UTC, counted from 1970 on; it is over.
        zone: the site's time zone.

    Returns:
        Error of each quarter-hour [kW], shape (96,); None where too little was measured.
    """
    start_s = day * DAY_S
    came = means(past, start_s, QUARTER_S, QUARTERS)
    good = np.isfinite(came)
    at_s = np.asarray(start_s + QUARTER_S * (np.arange(QUARTERS) + 0.5), dtype=np.float64)
    foreseen = foresee_load(past, at_s, start_s, zone) if good.mean() >= KNOWN else None
    return None if foreseen is None else np.interp(at_s, at_s[good], (came - foreseen)[good])


def error_paths(errors: Mapping[int, Floats], slots: Slots, days: int) -> dict[int, Floats]:
    """Lay the errors of earlier days on a horizon.

    Args:
        errors: of each quarter-hour of a day of UTC, shape (96,), by the day.
        slots: the horizon.
        days: how many days back a path may lie.

    Returns:
        Mean error of each slot, shape (n,), by the days that the path lies back; a path with an unknown day is missing.
    """
    at_s, slot = slot_pieces(slots)
    day, quarter = np.divmod(np.floor_divide(at_s, QUARTER_S).astype(np.int64), QUARTERS)
    touched, place = np.unique(day, return_inverse=True)
    found = {}
    for back in range(1, days + 1):
        known = [errors.get(int(each) - back) for each in touched]
        if all(each is not None for each in known):
            found[back] = slot_means(np.array(known)[place, quarter], slot)
    return found


def representatives(net: Floats, duration_h: Floats, count: int) -> tuple[list[int], Floats]:
    """Choose paths that stand for all of them, beside the one that was foreseen.

    Args:
        net: net power beyond what was foreseen [kW], shape (paths, n).
        duration_h: length of each slot [h], shape (n,).
        count: how many are to be chosen.

    Returns:
        The chosen paths, and the probability of what was foreseen and of each of them, shape (1 + chosen,). Paths that
        nothing is nearest to are not chosen.
    """
    alone = np.abs(net) @ duration_h
    apart = np.abs(net[:, None, :] - net[None, :, :]) @ duration_h
    nearest, taken = alone, list[int]()
    while len(taken) < count and nearest.any():
        taken.append(int(np.minimum(nearest, apart).sum(axis=1).argmin()))
        nearest = np.minimum(nearest, apart[taken[-1]])
    stands_for = np.bincount(np.vstack([alone, apart[taken]]).argmin(axis=0), minlength=1 + len(taken))
    stands_for[0] += 1
    kept = [k for k in range(len(taken)) if stands_for[1 + k]]
    number = stands_for[[0, *(1 + k for k in kept)]]
    return [taken[k] for k in kept], number / number.sum()
