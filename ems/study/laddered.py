"""The ladder in the daemon's place, for studies: loads are foreseen by its medians, all else as usual.

Every hour each load is foreseen anew; before the first time the ladder lives through the four weeks before, so that it
has learned and chosen. Where it says nothing, the running quarter-hour and the far end included, what is usual remains.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol
from zoneinfo import ZoneInfo

import numpy as np

from ems.config.site import Site
from ems.planning import Foresees
from ems.slow.foresee import Cars, Foresight
from ems.slow.measured_past import Table
from ems.slow.situation import AssetNow
from ems.study.skill import LEADS, WARM_UP
from optimization.forecast.ladder import Ladder
from optimization.forecast.methods import Asked
from optimization.forecast.past import QUARTER_S, Past, epoch_s, slot_means, slot_pieces
from optimization.forecast.quarters import Calendar
from optimization.slots import Floats, Slots

EVERY_S = 3600.0
WARM_UP_EVERY_S = 6.0 * 3600.0
LOAD = "load"


class KnowsItsLoads(Foresees, Protocol):
    """The daemon's foresight, and the pasts that its loads are foreseen from."""

    def residual_past(self, table: Table) -> Past:
        """Give the past of what no device explains [kW]."""

    def metered_past(self, name: str, table: Table) -> Past:
        """Give the past of a metered load [kW]."""


class Measured(Protocol):
    """Tells what was measured before an instant."""

    def measured(self, now: datetime) -> Table:
        """Give it."""


@dataclass(slots=True)
class _Load:
    """One load's ladder, and its newest medians."""

    ladder: Ladder = field(default_factory=lambda: Ladder(bounds=(0.0, np.inf)))
    issued_s: float = -np.inf
    median: Past | None = None


class LadderForesight:
    """Foresees loads by the ladder.

    Args:
        inner: the daemon's own foresight.
        planning: tells what the daemon has measured.
        site: the site.
    """

    def __init__(self, inner: KnowsItsLoads, planning: Measured, site: Site) -> None:
        self._inner, self._planning = inner, planning
        self._calendar = Calendar(ZoneInfo(site.file.site.timezone))
        self._loads: dict[str, _Load] = {}

    def foresee(self, slots: Slots, now: datetime, situation: Mapping[str, AssetNow], sessions: Cars) -> Foresight:
        """Foresee everything; `sessions` are the cars that stand there."""
        told, table = self._inner.foresee(slots, now, situation, sessions), self._planning.measured(now)
        metered = {
            n: self._laid(n, self._inner.metered_past(n, table), slots, now, kw) for n, kw in told.metered_kw.items()
        }
        if told.load_kw is None:
            return replace(told, metered_kw=metered)
        load_kw = self._laid(LOAD, self._inner.residual_past(table), slots, now, told.load_kw)
        return replace(told, load_kw=load_kw, metered_kw=metered)

    def _laid(self, name: str, past: Past, slots: Slots, now: datetime, usual_kw: Floats) -> Floats:
        at_s, slot = slot_pieces(slots)
        median = self._median(self._loads.setdefault(name, _Load()), past, epoch_s(now))
        foreseen = slot_means(median.at(at_s), slot)
        return np.where(np.isfinite(foreseen), foreseen, usual_kw)

    def _median(self, load: _Load, past: Past, now_s: float) -> Past:
        if load.median is None:
            for before_s in np.arange(now_s - WARM_UP.total_seconds(), now_s - 1.0, WARM_UP_EVERY_S).tolist():
                self._issue(load, past, before_s)
        if load.median is None or now_s >= load.issued_s + EVERY_S:
            self._issue(load, past, now_s)
        assert load.median is not None
        return load.median

    def _issue(self, load: _Load, past: Past, now_s: float) -> None:
        first_s = np.ceil(now_s / QUARTER_S) * QUARTER_S
        start_s: Floats = np.asarray(first_s + QUARTER_S * np.arange(LEADS), dtype=np.float64)
        served = load.ladder.issue(Asked(past, start_s + QUARTER_S / 2.0, now_s, self._calendar))
        load.issued_s = now_s
        load.median = Past(start_s, served.value[len(served.levels) // 2], QUARTER_S)
