"""A second opinion: pandapower's `runpp` on some slots of a plan that the fast power flow has found good."""

from __future__ import annotations

from enum import Enum

import numpy as np

from optimization.ac_check import AcGrid
from optimization.ac_rounds import Candidate
from optimization.grid_rows import Linearisation

SAME_PU = 1e-6
SAME_PCT = 1e-2
SAMPLED_EVERY = 100


class Witness(Enum):
    """Which slots are asked about."""

    NONE = "none"
    """No slot: what does not converge goes to `runpp` all the same."""
    LIVE = "live"
    """The slot that is carried out next and the one nearest to a limit."""
    SAMPLED = "sampled"
    """One slot of a hundred, counted on from plan to plan."""


def asked_slots(witness: Witness, slots: int, worst: int, plans: int) -> tuple[int, ...]:
    """Name the slots of a plan that are asked about; `plans` were made before it."""
    match witness:
        case Witness.NONE:
            return ()
        case Witness.LIVE:
            return (0,) if worst == 0 else (0, worst)
        case Witness.SAMPLED:
            return tuple(range(-(plans * slots) % SAMPLED_EVERY, slots, SAMPLED_EVERY))


def denial(grid: AcGrid, chosen: Candidate, assets: Linearisation, slots: tuple[int, ...]) -> str:
    """Ask `runpp` about slots; says in words where it differs, nothing where it agrees."""
    p_kw, q_kvar = assets.bus_powers(chosen.power_kw)
    q_kvar = q_kvar + assets.at_inverters(chosen.power_kw, chosen.result.v_pu, chosen.solution.reactive_kvar)
    for slot in slots:
        seen = grid.witness(p_kw, q_kvar, slot)
        if seen is None:
            return f"slot {slot}: runpp finds no power flow where the AC check found one; check the grid file"
        off_pu = float(np.abs(seen[0] - chosen.result.v_pu[:, slot]).max())
        off_pct = float(np.abs(seen[1] - chosen.result.loading_pct[:, slot]).max())
        if off_pu > SAME_PU or off_pct > SAME_PCT:
            return f"slot {slot}: runpp differs from the AC check by {off_pu:.1e} pu and {off_pct:.1e} %"
    return ""
