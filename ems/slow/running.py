"""Whether a generating set runs, and for how long it has or has not, from what its meter showed."""

from __future__ import annotations

import numpy as np

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
