"""What is priced rather than forbidden, and the tie-break between equal prices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from optimization.slots import Floats, Slots

PRICE_DECIMALS = 6

EARLY_PER_KWH_H = 1e-5
"""Between equal prices the earlier slot is taken: what an hour of waiting costs a kWh [currency/kWh/h]."""


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """Prices of what must not be refused but shall not happen, ranked.

    Args:
        grid_limit: a kWh beyond a connection, voltage or loading limit [currency/kWh or per pu-h x 1000].
        unserved: a kWh of fixed load not served [currency/kWh].
        ev_shortfall: a kWh missing at a car's departure [currency/kWh].
        discomfort: a kelvin-hour outside the comfort band [currency/Kh].
        unheated: a kWh of heat that a node lacks, or has too much of and cannot get rid of [currency/kWh].
        battery_band: a kWh of a battery outside its planning band, each hour now; fades within hours, so that the way
            back never outweighs a grid limit [currency/kWh/h].
        outage_reserve: a kWh missing of what is kept for an outage, each hour [currency/kWh/h]; less on a long horizon,
            so that one that is missing throughout costs no more than half of one beyond a grid limit.
        move: a kWh moved away from the previous plan, in its first hours [currency/kWh]; a tie-break, nothing more.
        move_for_s: how far ahead, from the end of the first slot on, the previous plan is held to [s].
        commit: a kWh moved in what is left of a slot that runs [currency/kWh]. It would otherwise move with the clock
            alone: to heat early for a dear hour pays in the last minutes before it, and not in a whole slot.
    """

    grid_limit: float = 50.0
    unserved: float = 100.0
    ev_shortfall: float = 3.0
    discomfort: float = 1.0
    unheated: float = 10.0
    battery_band: float = 5.0
    outage_reserve: float = 2.0
    move: float = 1e-3
    move_for_s: float = 21600.0
    commit: float = 0.02


def quantised(price: Floats | float) -> Floats:
    """Take noise in the last digits off prices, so that it cannot move a plan [currency/kWh]."""
    return np.round(price, PRICE_DECIMALS)


def standing_h(slots: Slots) -> Floats:
    """How long what stands at the end of a slot counts [h], shape (n,).

    The first slot is what is left of a running one. It counts as no less than the next: a limit at its end would become
    cheaper to pass with every minute, and a plan would let go of it just before.
    """
    h = slots.duration_h.copy()
    if len(h) > 1:
        first, second = np.argsort(slots.offset_s, kind="stable")[:2]
        h[first] = max(h[first], h[second])
    return h


def early_cost(slots: Slots) -> Floats:
    """What a kW in each slot costs for being late [currency/kW], shape (n,)."""
    return EARLY_PER_KWH_H * slots.offset_s / 3600.0 * slots.duration_h
