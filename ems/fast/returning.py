"""When a device that was lost is believed again: at once, unless it comes and goes. Pure.

A wire that flaps would otherwise switch its device, or with the grid meter the whole site, between steering and safe
values. A loss is never told late. What is lost again within ten minutes of its return must answer without a gap for a
minute first, and twice as long after each further relapse; until then its scans count as failed reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from drivers.points import Measurement, Quality
from ems.process_image import MISSED_POLLS

FIRST_S = 60.0
LONGEST_S = 600.0
MEMORY_S = 600.0


@dataclass(slots=True)
class _Wire:
    """What one device's wire has done lately; instants are monotonic [s]."""

    misses: int = 0
    lost: bool = False
    back_s: float = -inf
    steady_s: float | None = None
    probation_s: float = 0.0


class Returning:
    """Looks at every scan of every device before it is believed."""

    def __init__(self) -> None:
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
        if wire.misses == MISSED_POLLS and not wire.lost:
            wire.lost = True
            relapsed = now_s - wire.back_s < MEMORY_S
            wire.probation_s = min(max(FIRST_S, 2.0 * wire.probation_s), LONGEST_S) if relapsed else 0.0
        return scan

    def _answered(self, wire: _Wire, scan: Sequence[Measurement], now_s: float) -> Sequence[Measurement]:
        wire.misses = 0
        if not wire.lost:
            return scan
        wire.steady_s = now_s if wire.steady_s is None else wire.steady_s
        left_s = wire.probation_s - (now_s - wire.steady_s)
        if left_s > 0.0:
            why = f"it comes and goes; it is believed after {left_s:.0f} s more without a gap"
            return [one._replace(value=None, quality=Quality.BAD, reason=why) for one in scan]
        wire.lost, wire.back_s, wire.steady_s = False, now_s, None
        return scan
