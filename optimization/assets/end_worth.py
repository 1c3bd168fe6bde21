"""What the energy that is left in a store at the end of the horizon is worth, where more of it is worth less a kWh.

    V(e) = v * e - sum over k of drop[k] * max(0, e - e_k),   drop >= 0,  e_k rising

V is concave, so that a linear programme needs no choices: x[k] >= e - e_k, x >= 0, and drop[k] * x[k] is paid at the
end. Who knows no more than one price writes nothing of this. Own derivation; the levels come from
`optimization.season`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from optimization.assets.asset import Values
from optimization.slots import Slots
from optimization.weights import quantised

Drops = tuple[tuple[float, float], ...]
"""Levels, and by how much less a kWh beyond each is worth [currency/kWh]."""
DROPPING = "end worth by level"
"""The trait of a store that keeps something whose worth falls with how much it is."""


def drop_rows(drops: Drops, slots: Slots, kwh_per_unit: float = 1.0) -> Values:
    """Derive the levels, and what a unit beyond each costs at the end: level by level, shape (levels * n,) each.

    Args:
        drops: in the unit of the store's state.
        slots: the horizon.
        kwh_per_unit: energy of a unit of that state [kWh].
    """
    level, less = (np.array(side, dtype=float) for side in zip(*drops, strict=True))
    return {
        "drop_level": np.repeat(level, len(slots)),
        "drop_cost": np.outer(quantised(less) * kwh_per_unit, slots.ends).ravel(),
    }


def drop_faults(name: str, drops: Drops) -> Iterator[str]:
    """Say what is wrong with levels and prices."""
    if not drops:
        return
    level, less = (np.array(side, dtype=float) for side in zip(*drops, strict=True))
    if not (np.isfinite(level).all() and np.isfinite(less).all() and (np.diff(level) >= 0.0).all()):
        yield f"{name}.end_drops: the levels {level.tolist()} must be finite and rise with what is kept"
    if (less < 0.0).any():
        yield f"{name}.end_drops: {less.min():g} makes more worth more; give 0 or more"
