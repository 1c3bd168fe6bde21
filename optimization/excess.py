"""What AC power flow says of the limits: how far they are exceeded, and where the margin is least."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from optimization.ac_check import AcResult
from optimization.grid_case import GridCase
from optimization.network import GridLimits
from optimization.network_block import PU_IN_KVA
from optimization.slots import Floats


@dataclass(frozen=True, slots=True)
class Margin:
    """The least distance to a limit in a horizon.

    Args:
        share: of that limit; negative is an excess.
        slot: index of the slot.
        words: which element and how it stands.
    """

    share: float
    slot: int
    words: str


def excess_kva(case: GridCase, limits: GridLimits, result: AcResult) -> Floats:
    """Add up what each slot is beyond all limits, weighted as in the model, shape (n,) [kVA]; inf where unconverged."""
    over = np.maximum(0.0, result.loading_pct - limits.loading_max_pct) / 100.0 * case.rating_kva[:, None]
    v = result.v_pu[1:]
    off = np.maximum(0.0, np.maximum(v - limits.voltage_max_pu, limits.voltage_min_pu - v))
    total: Floats = np.where(result.converged, over.sum(axis=0) + PU_IN_KVA * off.sum(axis=0), np.inf)
    return total


def least_margin(case: GridCase, result: AcResult) -> Margin:
    """Find the element and the slot that are nearest to a limit of the site, or furthest beyond it."""
    limits = case.limits
    v, names = result.v_pu[1:], case.ac.bus_names[1:]
    tables = [
        (1.0 - result.loading_pct / limits.loading_max_pct, [f"loading of {name}" for name in case.ac.branch_names]),
        (1.0 - v / limits.voltage_max_pu, [f"voltage at {name} below {limits.voltage_max_pu:g} pu" for name in names]),
        (v / limits.voltage_min_pu - 1.0, [f"voltage at {name} above {limits.voltage_min_pu:g} pu" for name in names]),
    ]
    share = np.vstack([table for table, _ in tables])
    words = [word for _, labels in tables for word in labels]
    row, slot = np.unravel_index(int(np.nanargmin(share)), share.shape)
    return Margin(float(share[row, slot]), int(slot), words[int(row)])
