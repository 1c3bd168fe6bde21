"""Runs of loads that may wait: begun in their window, and gone on with. Pure.

Rule 1: a run that has begun and that nothing may interrupt goes on. Neither plan nor rules nor an operator's request,
building automation or a limit of the grid stops it: that is a bound of the device, so only a lockout outranks it. A
safe value is declared, not decided: what it does to a run is what the device's profile promises.
Rule 2: nothing begins where nothing waits. What waits begins when plan or rules want it, in its window only; an
operator's request counts at any hour.
"""

from __future__ import annotations

from datetime import datetime

from ems.config.binding import RUNS, WAITS
from ems.fast.decisions import Bound, Lever, Rung
from optimization.assets.deferrable import StartWindow

GOES_ON = "its run has begun and is not interrupted"


def goes_on(lever: Lever, state: float | None) -> bool:
    """Tell whether a load's run has begun and must not be interrupted (Rule 1)."""
    return lever.is_whole and state == RUNS


def run_bounds(lever: Lever, state: float | None) -> tuple[Bound, ...]:
    """Keep a run going (Rule 1); empty where there is none."""
    return (Bound(Rung.DEVICE, lever.upper_kw, lever.upper_kw, GOES_ON),) if goes_on(lever, state) else ()


def may_run(state: float | None, window: StartWindow, now: datetime) -> bool:
    """Tell whether a plan or a rule may let a load run now (Rule 2).

    Args:
        state: what it tells of itself; None where that is not known.
        window: between which instants a run may start.
        now: UTC instant.
    """
    return state == RUNS or (state == WAITS and window.earliest <= now)
