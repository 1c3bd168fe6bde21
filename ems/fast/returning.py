"""When a device that was lost is believed again. Pure.

A wire that flaps would otherwise switch its device, or with the grid meter the whole site, between steering and safe
values. A loss is never told late, so calm can come from the return alone: what was lost must answer for a while without
a gap, and stays lost for a while, both as long as lets it be steered again a minute after its return, three good cycles
included. What is lost again within ten minutes of its return must answer for a minute first, and twice as long after
each further relapse. Until then its scans count as failed reads. What has never answered does not return, it comes: it
is believed at once. So is, at its first return, what no asset hangs on, such as the gateway of a grid operator: what it
says may be a limit.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from math import inf

from drivers.points import Measurement, Quality
from ems.process_image import MISSED_POLLS

SETTLE_S = 38.0
"""Answers for so long at a first return, less two cycles: an attempt to reach it may come 20 s after the return."""
HELD_S, LONGEST_HELD_S = 60.0, 54.0
"""Stays lost for so long, less the cycles in which a new loss is told: no minute holds two (57 s at a cycle of 1 s)."""
RELAPSE_S = 60.0
LONGEST_S = 600.0
MEMORY_S = 600.0


@dataclass(slots=True)
class _Wire:
    """What one device's wire has done lately; instants are monotonic [s]."""

    heard: bool = False
    misses: int = 0
    lost: bool = False
    held_until_s: float = -inf
    back_s: float = -inf
    steady_s: float | None = None
    probation_s: float = 0.0


class Returning:
    """Looks at every scan of every device before it is believed.

    Args:
        cycle_s: how often each is read [s].
        prompt: ids of the devices whose first return is believed at once.
    """

    def __init__(self, cycle_s: float, prompt: Collection[str] = ()) -> None:
        self._prompt = prompt
        self._settle_s = max(0.0, SETTLE_S - 2.0 * cycle_s)
        self._hold_s = max(0.0, min(HELD_S - MISSED_POLLS * cycle_s, LONGEST_HELD_S))
        self._wires: dict[str, _Wire] = {}

    def sift(self, device: str, scan: Sequence[Measurement], now_s: float) -> Sequence[Measurement]:
        """Give a device's scan as far as it may be believed.

        Args:
            device: its id.
            scan: what it said.
            now_s: the monotonic instant [s].
        """
        wire = self._wires.setdefault(device, _Wire())
        if any(one.quality is not Quality.BAD for one in scan):
            return self._answered(wire, scan, now_s)
        wire.misses, wire.steady_s = wire.misses + 1, None
        if wire.misses == MISSED_POLLS and wire.heard and not wire.lost:
            wire.lost = True
            self._hold(device, wire, now_s)
        return scan

    def _hold(self, device: str, wire: _Wire, now_s: float) -> None:
        if now_s - wire.back_s < MEMORY_S:
            wire.probation_s = min(max(RELAPSE_S, 2.0 * wire.probation_s), LONGEST_S)
        else:
            wire.probation_s = 0.0 if device in self._prompt else self._settle_s
        wire.held_until_s = now_s + (self._hold_s if wire.probation_s > 0.0 else 0.0)

    def _answered(self, wire: _Wire, scan: Sequence[Measurement], now_s: float) -> Sequence[Measurement]:
        wire.heard, wire.misses = True, 0
        if not wire.lost:
            return scan
        wire.steady_s = now_s if wire.steady_s is None else wire.steady_s
        left_s = max(wire.steady_s + wire.probation_s, wire.held_until_s) - now_s
        if left_s > 0.0:
            why = f"it was lost; it is believed after {left_s:.0f} s more without a gap"
            return [one._replace(value=None, quality=Quality.BAD, reason=why) for one in scan]
        wire.lost, wire.back_s, wire.steady_s = False, now_s, None
        return scan
