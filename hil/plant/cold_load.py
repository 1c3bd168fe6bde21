"""Cold-load pickup: what people's loads take more than usual just after their supply was interrupted.

    multiple(t) = 1 + (factor - 1) * exp(-t / fades),      t since the bus has had its power back

What thermostats switch runs all at once then, because its diversity is lost, and goes back to its usual spread by and
by. Own simple form; what it comes from is said in A Data-Driven Framework for Assessing Cold Load Pick-up Demand in
Service Restoration, arXiv:1810.05734.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping


class ColdLoad:
    """Remembers which buses were dark, and since when they are not.

    Args:
        factor: what is taken at first, as a multiple of what is wanted.
        fades_s: time constant with which that goes back [s].
    """

    def __init__(self, factor: float, fades_s: float) -> None:
        self._factor, self._fades_s = factor, fades_s
        self._dark: frozenset[str] = frozenset()
        self._back_s: dict[str, float] = {}

    def look(self, dark: Collection[str], elapsed_s: float) -> Mapping[str, float]:
        """Give the multiple of each bus that was ever dark, from those that are now [s since the start]."""
        for bus in self._dark.difference(dark):
            self._back_s[bus] = elapsed_s
        self._dark = frozenset(dark)
        more = self._factor - 1.0
        return {
            bus: 1.0 + more * math.exp(-(elapsed_s - back_s) / self._fades_s)
            for bus, back_s in self._back_s.items()
            if bus not in self._dark
        }
