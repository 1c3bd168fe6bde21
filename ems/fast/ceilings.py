"""What a device takes at the most, learned from commands that it does not use up. Pure.

A car's charger and a battery near an end of its charge limit themselves. Counting on more than they take would
overestimate a relief, and judging them by it would call them disobedient.
"""

from __future__ import annotations

from ems.fast.decisions import Lever

SETTLED_S = 15.0
NEARLY_FULL_PCT = 80.0
NEARLY_EMPTY_PCT = 20.0
TAPER_STEP_KW = 1.0
"""Room that is left above what a tapering battery takes [kW]."""


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


def near_end(soc_pct: float | None) -> int:
    """Tell which end of its charge a battery is near: 1 full, -1 empty, 0 neither or unknown."""
    if soc_pct is None:
        return 0
    return int(soc_pct >= NEARLY_FULL_PCT) - int(soc_pct <= NEARLY_EMPTY_PCT)


def is_towards_end(soc_pct: float | None, told_kw: float) -> bool:
    """Tell whether a battery is told to go on towards the end of its charge that it is near, where it tapers."""
    return near_end(soc_pct) * told_kw > 0.0


class Tapers:
    """What each battery takes at the most towards the end of its charge that it is near; `kw` by asset, a magnitude."""

    def __init__(self) -> None:
        self.kw: dict[str, float] = {}

    def see(
        self, lever: Lever, soc_pct: float | None, measured_kw: float, held: tuple[float, float] | None, now_s: float
    ) -> None:
        """Learn from one metered power; what is told the other way, where nothing tapers, teaches nothing.

        Args:
            lever: the battery.
            soc_pct: its charge [%]; None where it cannot be read.
            measured_kw: metered now.
            held: the command in force [kW] and since when [monotonic s]; None without one.
            now_s: the instant [monotonic s].
        """
        if not near_end(soc_pct):
            self.kw.pop(lever.asset, None)
        elif held is not None and is_towards_end(soc_pct, held[0]):
            self.kw[lever.asset] = learn_ceiling(
                self.kw.get(lever.asset, lever.rating_kw),
                max(near_end(soc_pct) * measured_kw, 0.0),
                abs(held[0]),
                now_s - held[1],
                step_kw=TAPER_STEP_KW,
                rating_kw=lever.rating_kw,
            )
