"""What a device takes at the most, learned from commands that it does not use up. Pure.

A car's charger and a battery near an end of its charge limit themselves. Counting on more than they take would
overestimate a relief, and judging them by it would call them disobedient.
"""

from __future__ import annotations

SETTLED_S = 15.0


def learn_ceiling(
    ceiling_kw: float, measured_kw: float, held_kw: float, held_for_s: float, *, step_kw: float, rating_kw: float
) -> float:
    """Move a ceiling towards what is taken; all powers as magnitudes [kW].

    Args:
        ceiling_kw: what was learned so far.
        measured_kw: metered now.
        held_kw: command in force.
        held_for_s: since when it is in force [s]; nothing is learned downwards before the device had time to respond.
        step_kw: the room that is left above what is taken.
        rating_kw: greatest possible ceiling.
    """
    if measured_kw > ceiling_kw - step_kw:
        return min(rating_kw, measured_kw + 2.0 * step_kw)
    if held_for_s > SETTLED_S and held_kw > measured_kw + 2.0 * step_kw:
        return measured_kw + step_kw
    return ceiling_kw
