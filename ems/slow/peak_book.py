"""The month's highest mean import so far, as one demand charge counts it: in its window, its intervals sliding or not.

Law 1: energy comes in order of time; what was laid before an instant is final there.
Law 2: an interval of which less than `KNOWN_SHARE` is known says nothing of the peak.
Law 3: an interval counts to the local month in which it begins, as on the bill.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import Any

import numpy as np

from optimization.calendar_windows import ALWAYS
from optimization.periods import month_start
from optimization.sliding import running_starts_s
from optimization.slots import Floats
from optimization.tariff import DemandCharge

KNOWN_SHARE = 0.99
LONGEST_S = 32 * 86400.0
"""What lies further back counts for no running month [s]."""


@dataclass(slots=True)
class _Part:
    """A part of an interval: what was imported in it [kWh], and how much of it is known [s]."""

    kwh: float = 0.0
    known_s: float = 0.0


@dataclass(slots=True)
class PeakBook:
    """Keeps the peak of one demand charge.

    Args:
        charge: the charge.
        zone: whose calendar months and windows count.
    """

    charge: DemandCharge
    zone: tzinfo
    _parts: dict[int, _Part] = field(default_factory=dict)
    _peak_kw: dict[datetime, float] = field(default_factory=dict)

    def peak_kw(self, month: datetime) -> float | None:
        """Give the highest known mean of a local month by its UTC start [kW]; None before the first."""
        return self._peak_kw.get(month)

    def lay(self, from_s: float, until_s: float, kwh: float) -> None:
        """Spread energy evenly over a time [s since 1970], and close every interval that ends in it."""
        every_s, first_s = self.charge.every_s, max(from_s, until_s - LONGEST_S)
        for index in range(math.floor(first_s / every_s), math.ceil(until_s / every_s)):
            inside_s = min(until_s, (index + 1) * every_s) - max(from_s, index * every_s)
            part = self._parts.setdefault(index, _Part())
            part.kwh += kwh * inside_s / (until_s - from_s)
            part.known_s += inside_s
            if (index + 1) * every_s <= until_s:
                self._close(index + 1)

    def note(self, start: datetime, mean_kw: float) -> None:
        """Take up the mean of a known interval."""
        at_s = np.array([start.timestamp()])
        if self.charge.when == ALWAYS or bool(self.charge.when.holds(at_s, self.zone)[0]):
            month = month_start(start, self.zone)
            self._peak_kw[month] = max(self._peak_kw.get(month, 0.0), mean_kw)

    def forget(self, month: datetime) -> None:
        """Drop the months before one."""
        self._peak_kw = {at: kw for at, kw in self._peak_kw.items() if at >= month}

    def begun_kwh(self, at_s: float) -> Floats:
        """Give what was imported before an instant in each interval that runs then [kWh], as the planner lists them.

        The known part of an interval stands for all of it; one of which nothing is known, or that has ended, counts
        nothing.
        """
        interval_s = self.charge.interval_s
        starts_s = running_starts_s(at_s, interval_s, self.charge.every_s)
        return np.array([self._imported_kwh(s, at_s) if s + interval_s > at_s + 1e-6 else 0.0 for s in starts_s])

    def body(self) -> dict[str, Any]:
        """Write everything down for the journal."""
        return {
            "every_s": self.charge.every_s,
            "parts": {str(k): [each.kwh, each.known_s] for k, each in self._parts.items()},
            "peak_kw": {month.isoformat(): kw for month, kw in self._peak_kw.items()},
        }

    def restore(self, body: Mapping[str, Any]) -> None:
        """Take up what `body` wrote; parts of another length are those of another tariff, and say nothing."""
        parts = body["parts"] if body["every_s"] == self.charge.every_s else {}
        self._parts = {int(k): _Part(*map(float, each)) for k, each in parts.items()}
        self._peak_kw = {datetime.fromisoformat(at): float(kw) for at, kw in body["peak_kw"].items()}

    def _close(self, end: int) -> None:
        """Note the interval that ends with a part, and drop the part that no later interval holds."""
        count = round(self.charge.interval_s / self.charge.every_s)
        parts = [self._parts.get(k, _Part()) for k in range(end - count, end)]
        if sum(part.known_s for part in parts) >= KNOWN_SHARE * self.charge.interval_s:
            start = datetime.fromtimestamp((end - count) * self.charge.every_s, UTC)
            self.note(start, sum(part.kwh for part in parts) / (self.charge.interval_s / 3600.0))
        for index in [index for index in self._parts if index < end - count]:
            del self._parts[index]

    def _imported_kwh(self, from_s: float, until_s: float) -> float:
        every_s, kwh, known_s = self.charge.every_s, 0.0, 0.0
        for index in range(round(from_s / every_s), math.ceil(until_s / every_s)):
            part = self._parts.get(index, _Part())
            share = min(1.0, (until_s - index * every_s) / part.known_s) if part.known_s > 0.0 else 0.0
            kwh, known_s = kwh + share * part.kwh, known_s + share * part.known_s
        return kwh * (until_s - from_s) / known_s if known_s > 0.0 else 0.0
