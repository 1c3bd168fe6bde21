"""Does the command of an asset swing to and fro? Pure.

A turn is a change of direction after a movement of at least the amplitude: the zigzag that is left of the commands once
smaller movements are taken out. Movements of a trifle, however many, are no turns.

Law 1: an asset swings from `MANY_TURNS` turns within `WINDOW_S` on, and until no more than `FEW_TURNS` are left in it.
Law 2: what swings is only slowed on the way up: towards zero, and under a limit, it goes on as if it did not.
"""

from __future__ import annotations

from dataclasses import dataclass

from ems.arbitration import MOVES
from ems.fast.decisions import Lever

WINDOW_S = 600.0
MANY_TURNS = 30
"""Following a restless sun turns about twenty times; what drives itself turns at every second or fourth cycle."""
FEW_TURNS = 3
AMPLITUDE_SHARE = 0.1
AMPLITUDE_DEADBANDS = 2.0


@dataclass(frozen=True, slots=True)
class Swing:
    """How one command has moved.

    Args:
        extreme_kw: the furthest point of the running movement [kW].
        way: 1 on the way up, -1 on the way down, 0 before the first movement.
        turns_s: instants of the turns within the window, oldest first [monotonic s].
        swinging: whether it is found to swing.
    """

    extreme_kw: float
    way: int = 0
    turns_s: tuple[float, ...] = ()
    swinging: bool = False


def amplitude_kw(lever: Lever) -> float:
    """Give the least movement that counts [kW]: twice the deadband, at least a tenth of the rating."""
    return max(AMPLITUDE_DEADBANDS * MOVES[lever.kind].deadband_kw, AMPLITUDE_SHARE * lever.rating_kw)


def follow(before: Swing | None, kw: float, amplitude: float, now_s: float) -> Swing:
    """Take in the command in force.

    Args:
        before: how it has moved so far; None for the first command.
        kw: the command [kW].
        amplitude: least movement that counts [kW].
        now_s: present monotonic instant [s].
    """
    if before is None:
        return Swing(kw)
    turns_s = tuple(turn for turn in before.turns_s if now_s - turn < WINDOW_S)
    moved_kw = kw - before.extreme_kw
    extreme_kw, way = before.extreme_kw, before.way
    if moved_kw * way > 0.0:
        extreme_kw = kw
    elif abs(moved_kw) >= amplitude:
        extreme_kw, way = kw, 1 if moved_kw > 0.0 else -1
        turns_s = (*turns_s, now_s) if before.way else turns_s
    return Swing(extreme_kw, way, turns_s, len(turns_s) > FEW_TURNS if before.swinging else len(turns_s) >= MANY_TURNS)
