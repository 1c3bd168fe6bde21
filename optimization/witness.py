"""A second opinion: pandapower's `runpp` on some slots of a plan that the fast power flow has found good."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

import numpy as np

from optimization.ac_check import AcResult
from optimization.slots import Floats

SAME_PU = 1e-6
SAME_PCT = 1e-2
SAMPLED_EVERY = 100


class Witness(Enum):
    """Of which plans `runpp` is asked: about the slot that is carried out next and the one nearest to a limit."""

    NONE = "none"
    """Of no plan: what does not converge goes to `runpp` all the same."""
    LIVE = "live"
    """Of every plan."""
    SAMPLED = "sampled"
    """Of one plan of a hundred, from the first on."""

    def is_asked(self, plans: int) -> bool:
        """Say whether it is asked about a plan before which so many were made."""
        return self is Witness.LIVE or (self is Witness.SAMPLED and plans % SAMPLED_EVERY == 0)


class AsksRunpp(Protocol):
    """A feeder that pandapower's `runpp` can be asked about."""

    def witness(self, p_kw: Floats, q_kvar: Floats, slot: int) -> tuple[Floats, Floats] | None:
        """Ask for one slot: voltages [pu] and loadings [pct]; None where it finds no solution."""


@dataclass(frozen=True, slots=True, eq=False)
class Solved:
    """A feeder, what is drawn on it, and what the fast power flow says of that.

    Args:
        outage: what has failed on it; empty for nothing.
        grid: the feeder.
        p_kw: power into the assets of each bus, shape (m, n).
        q_kvar: reactive power likewise, that of inverters included.
        result: of all slots.
    """

    outage: str
    grid: AsksRunpp
    p_kw: Floats
    q_kvar: Floats
    result: AcResult


@dataclass(frozen=True, slots=True)
class Testimony:
    """What `runpp` says of some slots of a plan.

    Args:
        slots: that were asked about.
        off_pu: how far its voltages are from those of the AC check, at most [pu].
        denial: in words, where it differs; empty where it agrees.
    """

    slots: tuple[int, ...] = ()
    off_pu: float = 0.0
    denial: str = ""


def testimony(asked: Iterable[tuple[Solved, int]]) -> Testimony:
    """Ask `runpp` about slots; of one that it denies no other is asked after."""
    slots: list[int] = []
    most_off_pu = 0.0
    for solved, slot in asked:
        slots.append(slot)
        place = f"slot {slot}" if not solved.outage else f"slot {slot} after {solved.outage}"
        seen = solved.grid.witness(solved.p_kw, solved.q_kvar, slot)
        if seen is None:
            words = f"{place}: runpp finds no power flow where the AC check found one; check the grid file"
            return Testimony(tuple(slots), np.inf, words)
        off_pu = float(np.abs(seen[0] - solved.result.v_pu[:, slot]).max())
        off_pct = float(np.abs(seen[1] - solved.result.loading_pct[:, slot]).max())
        if not (off_pu <= SAME_PU and off_pct <= SAME_PCT):
            words = f"{place}: runpp differs from the AC check by {off_pu:.1e} pu and {off_pct:.1e} %; report it"
            return Testimony(tuple(slots), off_pu, words)
        most_off_pu = max(most_off_pu, off_pu)
    return Testimony(tuple(slots), most_off_pu)
