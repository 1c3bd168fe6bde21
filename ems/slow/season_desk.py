"""The season ahead between plans: what the energy of a store that lasts for weeks is worth where a plan ends.

Rule: once an hour it is asked for; without an answer the last one holds for a day, then the value by the horizon's
prices.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Protocol

import numpy as np

from ems.config.site import Site
from ems.slow.foresee import Foresight
from ems.slow.measured_past import Table
from ems.slow.period_desk import LOOK_AHEAD_EVERY
from ems.slow.season_sight import SeasonSight, long_stores
from ems.slow.situation import AssetNow
from optimization.month_ahead import MonthAhead, Movable
from optimization.season import Season, SeasonAhead, Worth
from optimization.slots import Slots

logger = logging.getLogger(__name__)

RECORD = "season"
HOLDS = timedelta(days=1)
DAILY = 24.0
"""What is foreseen of a store is written down once a day [h]."""
LATEST_DAYS = 366


class LooksSeasons(Protocol):
    """Who finds what stored energy will be worth."""

    async def look_season(self, question: Season, deadline_s: float) -> SeasonAhead | None:
        """Answer within the deadline [s]; None if there is no answer."""


class SeasonDesk:
    """Keeps what the energy of the long stores of one site is worth.

    Args:
        site: the site.
        sight: puts the question.
        record: appends to the journal.
    """

    def __init__(self, site: Site, sight: SeasonSight, record: Callable[[str, Mapping[str, Any]], object]) -> None:
        self._stores, self._deadline_s = long_stores(site), site.file.planning.solve_deadline_s
        self._sight, self._record = sight, record
        self._ahead: SeasonAhead | None = None
        self._asked_at: datetime | None = None
        self._found_at: datetime | None = None

    async def look_ahead(
        self,
        now: datetime,
        table: Table,
        slots: Slots,
        foresight: Foresight,
        situation: Mapping[str, AssetNow],
        *,
        peak_kw: float,
        solver: LooksSeasons,
    ) -> None:
        """Ask about the season ahead once an hour; `peak_kw` is that of the running month so far."""
        if not self._stores or (self._asked_at is not None and now - self._asked_at < LOOK_AHEAD_EVERY):
            return
        question = self._sight.question(table, slots, foresight, situation, peak_kw)
        answer = None if question is None else await solver.look_season(question, self._deadline_s)
        self._asked_at = now
        if answer is None:
            logger.warning("nothing new is known of the season ahead; the last answer holds for a day")
            return
        self._ahead, self._found_at = answer, now
        self._record(RECORD, _body(answer))

    def worths(self, now: datetime) -> Mapping[str, Worth]:
        """Give what is known of the worth of each long store, by asset id; nothing once it is too old."""
        if self._ahead is None or self._found_at is None or now - self._found_at > HOLDS:
            return {}
        return self._ahead.worth

    def added(self, question: MonthAhead) -> MonthAhead:
        """Tell the month ahead what power makes heat: each step's may be moved within it; what is given is given."""
        ahead = self._ahead
        if ahead is None:
            return question
        season, count = ahead.question, len(question.fixed_kw)
        begins = np.concatenate([[0.0], np.cumsum(season.hours)])
        late_h = (question.start - season.start).total_seconds() / 3600.0
        rated_kw = sum(maker.rated_kw for maker in season.makers if maker.power_per_kw > 0.0)
        fixed_kw, moves = question.fixed_kw.copy(), list[Movable]()
        for kw, since, until in zip(ahead.makers_kw, begins[:-1] - late_h, begins[1:] - late_h, strict=True):
            first, last = max(0, round(since)), min(count, round(until))
            if last > first and kw < 0.0:
                fixed_kw[first:last] += kw
            elif last > first and kw > 0.0:
                moves.append(Movable(first, np.full(last - first, max(rated_kw, kw)), float(kw) * (last - first)))
        return replace(question, fixed_kw=fixed_kw, movable=(*question.movable, *moves))

    def body(self, now: datetime) -> dict[str, Any]:
        """Write down, for a plan's record, what the end of each long store was worth to it, and why."""
        worths = self.worths(now)
        if not worths or self._ahead is None:
            return {}
        asked_at, sees_until = self._found_at, self._ahead.question.end
        return {
            name: {
                "level_kwh": np.round(worth.level_kwh, 1),
                "per_kwh": np.round(worth.per_kwh, 6),
                "planned_kwh": round(worth.planned_kwh, 1),
                "turn": worth.turn,
                "turns_at": worth.turns_at,
                "then_per_kwh": round(worth.then_per_kwh, 6),
                "kept": round(worth.kept, 4),
                "asked_at": asked_at,
                "sees_until": sees_until,
            }
            for name, worth in worths.items()
        }


def _body(ahead: SeasonAhead) -> dict[str, Any]:
    """Write down what was found and what it rests on; energies as they stand at the end of each day."""
    asked = ahead.question
    ends_h = np.cumsum(asked.hours)
    days = np.unique(np.searchsorted(ends_h, np.arange(DAILY, min(ends_h[-1], DAILY * LATEST_DAYS) + 1e-6, DAILY)))
    days = days[days < len(ends_h)]
    return {
        "start": asked.start,
        "hours": round(float(ends_h[-1]), 3),
        "steps": len(ends_h),
        "cost": ahead.cost,
        "lacking_kwh": round(ahead.lacking_kwh, 3),
        "fixed_kwh": round(float(asked.fixed_kw @ asked.hours), 3),
        "heat_kwh": {node: round(float(kw @ asked.hours), 3) for node, kw in asked.heat_kw.items()},
        "makers_kwh": round(float(ahead.makers_kw @ asked.hours), 3),
        "stores": {
            name: {
                "level_kwh": np.round(worth.level_kwh, 3),
                "per_kwh": np.round(worth.per_kwh, 6),
                "energy_kwh": np.round(worth.energy_kwh[days], 1),
            }
            for name, worth in ahead.worth.items()
        },
    }
