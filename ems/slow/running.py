"""How far things are that run whole: a generating set by what its meter showed, a deferrable load as it tells."""

from __future__ import annotations

import numpy as np

from ems.config.assets import DeferrableAsset
from ems.config.binding import RUNS, WAITS
from optimization.forecast.past import Past

RUNS_SHARE = 0.02
"""It runs above this share of its rating; a heater or a charger of its own takes less."""


def running(power_kw: float, past: Past, rated_kw: float) -> tuple[bool, float]:
    """Tell whether it runs now, and for how long that has been so [s].

    What is not known counts as just changed: a gap in the past ends the time that is told.

    Args:
        power_kw: measured now, of either sign.
        past: means of its power, gaps as nan.
        rated_kw: greatest power.
    """
    runs = abs(power_kw) > RUNS_SHARE * rated_kw
    ran = np.abs(past.value) > RUNS_SHARE * rated_kw
    alike = (np.isfinite(past.value) & (ran == runs))[::-1]
    steps = len(alike) if alike.all() else int(np.argmin(alike))
    return runs, steps * past.step_s


def begun(spec: DeferrableAsset, state: float, run_s: float, count: int) -> tuple[int, float | None]:
    """Tell how many of its programmes a deferrable load has done, and for how long the next one has run [s] or None.

    A piece that was cut short counts as not begun: what is left of it is run whole.

    Args:
        spec: the load.
        state: what it tells of itself.
        run_s: for how long this run has run, pauses left out.
        count: of its programmes: one, or the pieces of a run that may pause.
    """
    if state not in (WAITS, RUNS):
        return count, None
    piece_s = spec.piece_s or spec.length_s
    done = min(int(run_s / piece_s), count - 1)
    return done, max(run_s - done * piece_s, 0.0) if state == RUNS else None
