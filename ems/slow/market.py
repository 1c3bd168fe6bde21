"""Foresees prices and carbon intensity: as they are published, and by a ladder what lies beyond that.

What is published is never changed. The ladder stands at the end of it: its methods know what is published of tomorrow,
and are held against what is published of the days after. Where all that was published is too old to be used, none of it
is: the desk's flat value holds.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import numpy as np

from drivers.feeds import ForecastSeries
from ems.slow.feed_desk import FeedDesk, Label
from ems.slow.foreseen_kinds import CARBON, PRICE, Known
from ems.slow.load_ladders import LoadLadders
from ems.slow.published_log import PublishedLog
from optimization.forecast.past import epoch_s, slot_means, slot_pieces
from optimization.forecast.published import RUNGS, Rung
from optimization.slots import Floats, Slots

POINTS = (PRICE, CARBON)
TOLD = (RUNGS.index(Rung.FRESH), RUNGS.index(Rung.LAST_KNOWN))
"""Rungs of what was published."""


class Market:
    """Foresees price and carbon intensity of one site.

    Args:
        desk: where they are published.
        ladders: foresee what is not; None for the desk's own rule.
    """

    def __init__(self, desk: FeedDesk, ladders: LoadLadders | None = None) -> None:
        self._desk, self._ladders = desk, ladders
        self._logs = {point: PublishedLog() for point in POINTS}
        self._newest: dict[str, datetime] = {}

    def keep(self, issues: Iterable[ForecastSeries]) -> None:
        """Take issues in their order, of before this start or new ones; those of other series are left alone."""
        for series in issues:
            if series.point in self._logs:
                self._logs[series.point].keep(series)
                self._newest[series.point] = series.issued_at

    def known(self, now: datetime) -> dict[str, Known]:
        """Tell what is known of each, and how far ahead, after the newest issues were taken."""
        self.keep(series for point in POINTS for series in self._desk.issues(point, self._newest.get(point)))
        return {
            point: Known(past, log.until_s())
            for point, log in self._logs.items()
            if (past := log.past(epoch_s(now))).at_s.size
        }

    def foresee(self, point: str, slots: Slots, now: datetime) -> tuple[Floats, Label]:
        """Lay one of them on slots, after its ladder was looked at; also says how good it is."""
        filled, label = self._desk.foresee(point, slots, now)
        # A gap in what is published is filled as ever: what the ladder knows lies behind all of it.
        until_s = self._logs[point].until_s()
        untold = ~np.isin(filled.rung, TOLD) & (epoch_s(slots.start) + slots.offset_s >= until_s)
        is_too_old = label.issued_at is None
        if is_too_old or not untold.any() or self._ladders is None or not self._ladders.knows(point):
            return filled.value, label
        at_s, slot = slot_pieces(slots)
        told = self._ladders.foresee(point, np.maximum(at_s, until_s), now, filled.value[slot])
        return np.where(untold, slot_means(told.median, slot), filled.value), label
