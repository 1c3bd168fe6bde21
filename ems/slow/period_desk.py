"""Demand charge, tiers and carbon budget between plans: how month and week stand, what is expected, what is aimed at.

Rule of the peak: a plan pays for what exceeds both the month's peak so far and the peak that the month ahead is worth.
Rule of the budget: the horizon gets what is left of the week's budget after what was emitted and what is expected
beyond the horizon. Time of a week that nobody metered takes its even share of the budget with it; while nothing is
known of the month ahead, the horizon gets its even share of what is left.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import numpy as np

from ems.config.site import Site
from ems.process_image import Snapshot
from ems.slow.accounts import OWN, Accounts, Tally
from ems.slow.far_sight import FarSight
from ems.slow.foresee import Foresight
from ems.slow.measured_past import Table
from ems.slow.peak_book import PeakBook
from ems.slow.peak_terms import FreeOf, counted_months, peak_terms
from ems.slow.situation import AssetNow
from optimization.month_ahead import Ahead, FurtherPeak, MonthAhead
from optimization.periods import month_of_slots, month_start, months_within, week_shares, week_start, weeks_within
from optimization.problem import CarbonBudget, DemandTerms, EnergyTiers, SlidingDemand
from optimization.slots import Slots, uniform
from optimization.tariff import DemandCharge, Tariff

logger = logging.getLogger(__name__)

LOOK_AHEAD_EVERY = timedelta(hours=1)
RECORD = "month_ahead"
WEEK_S = 7 * 86400.0


class LooksAhead(Protocol):
    """Who finds the peaks that are worth their price."""

    async def look_ahead(self, question: MonthAhead, deadline_s: float) -> Ahead | None:
        """Answer within the deadline [s]; None if there is no answer."""


@dataclass(frozen=True, slots=True)
class AccountsNow:
    """How month and week stand, for the page and the record.

    Args:
        tally: what was metered.
        peak_target_kw: peak that the month ahead is worth [kW]; None while unknown or without a demand charge.
        week_budget_kg: what the week may emit; None without a budget.
    """

    tally: Tally
    peak_target_kw: float | None
    week_budget_kg: float | None

    @property
    def peak_so_far_kw(self) -> float | None:
        """Highest known mean import of the local month [kW]; None before the first metering interval."""
        return self.tally.peak_kw

    @property
    def week_carbon_kg(self) -> float:
        """Emissions of the known import of the local week [kg]."""
        return self.tally.carbon_kg

    def as_json(self) -> dict[str, Any]:
        """Write it for the live view; the week's emissions are None as long as none of the week is known."""
        tally = self.tally
        return {
            "peak_so_far_kw": self.peak_so_far_kw,
            "peak_target_kw": self.peak_target_kw,
            "week_carbon_kg": round(tally.carbon_kg, 3) if tally.carbon_known_s > 0.0 else None,
            "week_known_s": round(tally.carbon_known_s, 1),
            "week_budget_kg": self.week_budget_kg,
        }


class PeriodDesk:
    """Keeps month and week of one site, and states both as terms of a plan.

    Args:
        site: the site.
        accounts: what was metered.
        far_sight: asks about the month ahead.
        record: appends to the journal.
        beside: the desks of the other connections, whose carbon counts for the site's budget, too.
    """

    def __init__(
        self,
        site: Site,
        accounts: Accounts,
        far_sight: FarSight,
        record: Callable[[str, Mapping[str, Any]], object],
        *,
        beside: Sequence[PeriodDesk] = (),
    ) -> None:
        self._beside = tuple(beside)
        charge: DemandCharge | None = site.tariff.demand
        self._charge = charge if charge is not None and charge.price_per_kw > 0.0 else None
        self._further = tuple(each for each in site.tariff.further_demands if each.price_per_kw > 0.0)
        self._tariff, self._planning = site.tariff, site.file.planning
        self._zone = ZoneInfo(site.file.site.timezone)
        self._accounts, self._far_sight, self._record = accounts, far_sight, record
        self._ahead: Ahead | None = None
        self._asked_at: datetime | None = None

    @property
    def accounts(self) -> Accounts:
        """What was metered."""
        return self._accounts

    @property
    def ahead(self) -> Ahead | None:
        """What was found of the month ahead; None as long as nobody has answered."""
        return self._ahead

    @property
    def is_needed(self) -> bool:
        """Whether the site has a demand charge or a carbon budget."""
        return self._charge is not None or bool(self._further) or self._planning.carbon_budget_kg_per_week is not None

    def observe(self, snapshot: Snapshot) -> None:
        """Take one snapshot."""
        self._accounts.observe(snapshot)

    def now(self, at: datetime) -> AccountsNow:
        """Say how month and week stand."""
        tally = self._tally_of_all(at)
        target = self._target_kw(tally.month) if self._charge is not None else None
        return AccountsNow(tally, target, self._planning.carbon_budget_kg_per_week)

    async def look_ahead(
        self,
        now: datetime,
        table: Table,
        slots: Slots,
        foresight: Foresight,
        situation: Mapping[str, AssetNow],
        *,
        solver: LooksAhead,
        added: Callable[[MonthAhead], MonthAhead] = lambda question: question,
    ) -> None:
        """Ask about the month ahead once an hour; without an answer the last one holds.

        `added` tells it what power makes the heat of long stores.
        """
        if not self.is_needed or (self._asked_at is not None and now - self._asked_at < LOOK_AHEAD_EVERY):
            return
        tally = self._accounts.tally(now)
        months = months_within((slots.end - slots.start).total_seconds() + WEEK_S)
        peaks = np.zeros(months)
        peaks[0] = tally.peak_kw or 0.0
        question = self._far_sight.question(table, slots, foresight, situation, peaks)
        question = added(replace(question, further=self._further_peaks(question, tally)))
        answer = await solver.look_ahead(question, self._planning.solve_deadline_s)
        self._asked_at = now
        if answer is None:
            logger.warning("nothing new is known of the month ahead; the last answer holds")
            return
        self._ahead = answer
        self._record(RECORD, _body(answer, tally))

    def terms(self, slots: Slots, now: datetime) -> tuple[DemandTerms | SlidingDemand | None, CarbonBudget | None]:
        """State the demand charge and the carbon budget for a horizon."""
        tally = self._tally_of_all(now)
        return self._demand(slots, tally), self._budget(slots, tally)

    def tiers(self, slots: Slots, now: datetime) -> EnergyTiers | None:
        """State the tiers of the energy price for a horizon: what each month has left before each of them.

        Import that nobody metered is not counted, so that a month begun without a meter is priced a tier too low.
        """
        tariff: Tariff = self._tariff
        if not tariff.tiers:
            return None
        tally, months = self._accounts.tally(now), months_within((slots.end - slots.start).total_seconds())
        used_kwh = np.zeros(months)
        used_kwh[0] = tally.month_kwh if month_start(slots.start, self._zone) == tally.month else 0.0
        above_kwh, adder = (np.array([getattr(tier, name) for tier in tariff.tiers]) for name in ("above_kwh", "adder"))
        return EnergyTiers(
            month=month_of_slots(slots, self._zone, months),
            left_kwh=np.asarray(np.round(np.maximum(above_kwh[:, None] - used_kwh, 0.0), 3), dtype=np.float64),
            step_per_kwh=np.round(np.diff(adder, prepend=0.0) * (1.0 + tariff.vat), 6),
        )

    def further_demands(self, slots: Slots, now: datetime) -> tuple[DemandTerms | SlidingDemand, ...]:
        """State the demand charges of other windows for a horizon."""
        tally = self._accounts.tally(now)
        return tuple(
            peak_terms(each, slots, self._zone, free_kw=self._free_of(each.name, tally), book=self._book(each.name))
            for each in self._further
        )

    def _book(self, name: str) -> PeakBook:
        return self._accounts.peak_books[name]

    def _free_of(self, name: str, tally: Tally) -> FreeOf:
        """Say what of each month costs nothing more: what was reached, and what the month ahead is worth."""

        def free_kw(month: datetime) -> float:
            reached = self._book(name).peak_kw(month) if month == tally.month else None
            return max(reached or 0.0, self._target_kw(month, name) or 0.0)

        return free_kw

    def _further_peaks(self, question: MonthAhead, tally: Tally) -> tuple[FurtherPeak, ...]:
        """Put the demand charges of other windows to the month ahead."""
        hours = uniform(question.start, len(question.fixed_kw), question.step_s)
        months = len(question.free_kw)
        found = []
        for charge in self._further:
            free_kw = np.zeros(months)
            free_kw[0] = self._book(charge.name).peak_kw(tally.month) or 0.0
            month = np.minimum(counted_months(charge, hours, self._zone, months), months - 1)
            found.append(FurtherPeak(charge.price_per_kw, month, free_kw))
        return tuple(found)

    def _demand(self, slots: Slots, tally: Tally) -> DemandTerms | SlidingDemand | None:
        charge = self._charge
        if charge is None:
            return None
        if charge.sliding_s is not None:
            return peak_terms(charge, slots, self._zone, free_kw=self._free_of(OWN, tally), book=self._book(OWN))
        months = months_within((slots.end - slots.start).total_seconds() + charge.interval_s)
        starts = [month_start(slots.start, self._zone, k) for k in range(months)]
        free = [self._target_kw(start) or 0.0 for start in starts]
        if starts[0] == tally.month:
            free[0] = max(free[0], tally.peak_kw or 0.0)
        begun_s = slots.start.timestamp() % charge.interval_s
        return DemandTerms(
            price_per_kw=charge.price_per_kw,
            interval_s=float(charge.interval_s),
            month=month_of_slots(slots, self._zone, months),
            free_kw=np.round(free, 3),
            begun_kwh=tally.begun_kwh(begun_s),
        )

    def _tally_of_all(self, now: datetime) -> Tally:
        """Say how month and week stand, with the carbon of all connections; known is what is known of each."""
        tally = self._accounts.tally(now)
        others = [desk.accounts.tally(now) for desk in self._beside]
        if not others:
            return tally
        carbon_kg = sum((each.carbon_kg for each in others), tally.carbon_kg)
        known_s = min(tally.carbon_known_s, *(each.carbon_known_s for each in others))
        return replace(tally, carbon_kg=carbon_kg, carbon_known_s=known_s)

    def _expected_kg(self, begin: datetime, end: datetime) -> float | None:
        """Give what all connections are expected to emit in a time ahead [kg]; None while one is not known."""
        found = [desk.ahead for desk in (self, *self._beside)]
        known = [ahead.carbon_kg(begin, end) for ahead in found if ahead is not None]
        return sum(known) if len(known) == len(found) else None

    def _target_kw(self, month: datetime, name: str = OWN) -> float | None:
        """Give the peak that a local month is worth, as last found [kW]; None where nothing was found for it."""
        if self._ahead is None:
            return None
        first = self._ahead.question.start
        peaks_kw = {OWN: self._ahead.peak_kw}
        peaks_kw |= {charge.name: kw for charge, kw in zip(self._further, self._ahead.further_kw, strict=False)}
        starts = [month_start(first, self._zone, k) for k in range(len(self._ahead.peak_kw))]
        return float(peaks_kw[name][starts.index(month)]) if month in starts and name in peaks_kw else None

    def _budget(self, slots: Slots, tally: Tally) -> CarbonBudget | None:
        budget_kg = self._planning.carbon_budget_kg_per_week
        if budget_kg is None:
            return None
        weeks = weeks_within((slots.end - slots.start).total_seconds() + self._planning.step_s)
        left = [self._left_kg(budget_kg, week_start(slots.start, self._zone, k), slots, tally) for k in range(weeks)]
        share = week_shares(slots, self._zone, weeks)
        left_kg = np.array([round(max(kg, 0.0), 3) for kg in left])
        return CarbonBudget(share, left_kg, self._planning.carbon_budget_price_per_kg)

    def _left_kg(self, budget_kg: float, start: datetime, slots: Slots, tally: Tally) -> float:
        """Give what a week's budget leaves for the part of the horizon that lies in it [kg]."""
        end = week_start(start, self._zone, 1)
        emitted_kg = 0.0
        if start == tally.week:
            unknown_s = max(0.0, (tally.at - start).total_seconds() - tally.carbon_known_s)
            emitted_kg = tally.carbon_kg + budget_kg * unknown_s / (end - start).total_seconds()
        if (expected_kg := self._expected_kg(max(slots.end, start), end)) is not None:
            return budget_kg - emitted_kg - expected_kg
        since = max(start, slots.start)
        inside_s = max(0.0, (min(end, slots.end) - since).total_seconds())
        return (budget_kg - emitted_kg) * inside_s / max((end - since).total_seconds(), 1.0)


def _body(ahead: Ahead, tally: Tally) -> dict[str, Any]:
    """Write down what was found and what it rests on."""
    asked = ahead.question
    return {
        "start": asked.start,
        "hours": len(asked.fixed_kw),
        "peak_so_far_kw": tally.peak_kw,
        "peak_kw": np.round(ahead.peak_kw, 3),
        "cost": ahead.cost,
        "fixed_kwh": round(float(asked.fixed_kw.sum()), 3),
        "movable_kwh": round(float(sum(move.energy_kwh for move in asked.movable)), 3),
        "import_kwh": round(float(ahead.import_kw.sum()), 3),
    }
