"""What runs whole or stands, and for how long at least: the numbers of the rows of `optimization.blocks.commitment`.

    least_kw * u[s] <= y[s] <= rated_kw * u[s],   u[s] in {0, 1}
    u[s] - u[parent] = a[s] - b[s],     0 <= a[s], b[s] <= 1
    sum of a[t] over the slots t that began less than least_run_s before s did <= u[s]
    sum of b[t] over those that began less than least_stand_s before s did <= 1 - u[s]

Symbols: y [kW] the power that is chosen, u whether the unit runs, a and b whether it starts and stops in the slot.
Source: Rajan and Takriti, Minimum up/down polytopes of the unit commitment problem with start-up costs, IBM Research
Report RC23628 (2005). Where people hold a unit, its least times give way.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np

from optimization.assets.asset import Values
from optimization.slots import Floats, Slots

WHOLE = "whole"
"""The trait of a unit whose block holds these rows."""


class Unit(Protocol):
    """A thing that runs or stands."""

    @property
    def id(self) -> str:
        """Its asset id."""

    @property
    def rated_kw(self) -> float:
        """Greatest power."""

    @property
    def least_kw(self) -> float:
        """Least power at which it may run."""

    @property
    def least_run_s(self) -> float:
        """It runs at least so long."""

    @property
    def least_stand_s(self) -> float:
        """It stands at least so long."""

    @property
    def start_cost(self) -> float:
        """Of a start, wear included [currency]."""


class Running(Protocol):
    """What is measured of it."""

    @property
    def is_running(self) -> bool:
        """Whether it runs now."""

    @property
    def since_s(self) -> float:
        """For how long it has run or stood [s]."""


def is_whole(unit: Unit) -> bool:
    """Say whether it has to run whole or stand: it has a least power, least times or dear starts."""
    return bool(unit.least_kw or unit.least_run_s or unit.least_stand_s or unit.start_cost)


def reach(unit: Unit, slots: Slots) -> tuple[int, int]:
    """Count the slots that the rows of its least times look back."""
    return slots.within(unit.least_run_s), slots.within(unit.least_stand_s)


def coefficients(unit: Unit, now: Running, slots: Slots, back: tuple[int, ...]) -> Values:
    """Derive the Params of its rows, and what the least times leave of the choice at the start."""
    n = len(slots)
    least_s = unit.least_run_s if now.is_running else unit.least_stand_s
    kept = (slots.offset_s < least_s - now.since_s).astype(float)
    runs = float(now.is_running)
    return {
        "keep": slots.link,
        "on_start": (1.0 - slots.link) * runs,
        "on_min": kept * runs,
        "on_max": 1.0 - kept * (1.0 - runs),
        "run_window": slots.began_within(unit.least_run_s, back[0]),
        "stand_window": slots.began_within(unit.least_stand_s, back[1]),
        "least_kw": np.full(n, unit.least_kw),
        "most_kw": np.full(n, unit.rated_kw),
        "start_cost": np.full(n, unit.start_cost),
    }


def held(unit: Unit, own: Values, low_kw: Floats, high_kw: Floats) -> tuple[Values, Floats]:
    """Hold the power between two magnitudes.

    Returns:
        The Params that let the least times give way, and the lower end that is left where the unit may run at all.
    """
    allowed = (high_kw >= unit.least_kw).astype(float)
    asked = (low_kw > 0.0) * allowed
    return {
        "on_min": np.maximum(asked, own["on_min"] * allowed),
        "on_max": np.where(asked > 0.0, 1.0, np.minimum(own["on_max"], allowed)),
        "run_window": np.zeros_like(own["run_window"]),
        "stand_window": np.zeros_like(own["stand_window"]),
    }, low_kw * allowed


def faults(unit: Unit) -> Iterator[str]:
    """Check that it can run at all."""
    if unit.least_kw > unit.rated_kw:
        yield f"{unit.id}.least_kw: {unit.least_kw} is more than its rated {unit.rated_kw} kW"


def now_faults(unit: Unit, now: Running) -> Iterator[str]:
    """Check how long it has run."""
    if not now.since_s >= 0.0:
        yield f"{unit.id}.since_s: {now.since_s} is less than 0"
