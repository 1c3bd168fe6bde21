"""Demand charges whose intervals slide or whose hours are limited: the peak so far, a plan's terms, the fast loop."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planning_kit import build_loop, demo_site
from stage import Journal, make_plan, make_site, snapshot

from ems.config.binding import bind
from ems.fast.demand import AIM_SHARE, RECORD, DemandDesk
from ems.plan_check import check_plan
from ems.slow.peak_book import PeakBook
from ems.slow.peak_terms import counted_months, peak_terms
from ems.store.encoding import to_json
from optimization.calendar_windows import CalendarWindow
from optimization.month_ahead import FurtherPeak, MonthAhead, Store
from optimization.month_ahead_lp import look_ahead
from optimization.periods import month_start
from optimization.problem import DemandTerms, Plan, SlidingDemand
from optimization.rolling import Planner
from optimization.slots import chain
from optimization.tariff import DemandCharge, sliding_means_kw

BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2025, 3, 12, 11, tzinfo=UTC)
AT = datetime(2025, 5, 14, 5, 2, tzinfo=UTC)
SLIDING = DemandCharge(9.0, 900, sliding_s=300)
EVENING = DemandCharge(4.0, 1800, name="evening", when=CalendarWindow(days=(0, 1, 2, 3, 4), from_h=17, to_h=20))


def fed(charge, start, kwh, step_s=60.0):
    book = PeakBook(charge, BERLIN)
    for k, each in enumerate(kwh):
        book.lay(start.timestamp() + k * step_s, start.timestamp() + (k + 1) * step_s, each)
    return book


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.floats(0.0, 2.0), min_size=20, max_size=90), st.sampled_from([60, 180, 300, None]), st.integers(0, 19)
)
def test_the_peak_so_far_is_that_of_the_bill(kwh, sliding_s, late):
    start = NOON + timedelta(minutes=late)
    charge = DemandCharge(9.0, sliding_s=sliding_s)
    book = fed(charge, start, kwh)
    times = [start + timedelta(minutes=k) for k in range(len(kwh) + 1)]
    starts_s, means_kw = sliding_means_kw(times, np.array(kwh), 900.0, charge.every_s)
    whole = means_kw[starts_s + 900.0 <= times[-1].timestamp() + 1e-6]
    found = book.peak_kw(month_start(NOON, BERLIN))
    assert (found is None) == (len(whole) == 0)
    if len(whole):
        assert found == pytest.approx(whole.max())
    again = PeakBook(charge, BERLIN)
    again.restore(json.loads(to_json(book.body())))
    for each in (book, again):
        each.lay(times[-1].timestamp(), times[-1].timestamp() + 1200.0, 40.0)
    assert again.peak_kw(month_start(NOON, BERLIN)) == book.peak_kw(month_start(NOON, BERLIN))


def test_only_the_hours_of_its_window_count_and_a_gap_says_nothing():
    noon_local = fed(EVENING, NOON, np.full(180, 1.0))
    assert noon_local.peak_kw(month_start(NOON, BERLIN)) is None
    dusk = fed(EVENING, datetime(2025, 3, 12, 15, 30, tzinfo=UTC), [1.0] * 30 + [0.5] * 60)
    assert dusk.peak_kw(month_start(NOON, BERLIN)) == pytest.approx(30.0)
    gap = PeakBook(SLIDING, BERLIN)
    gap.lay(NOON.timestamp(), NOON.timestamp() + 600.0, 3.0)
    gap.lay(NOON.timestamp() + 660.0, NOON.timestamp() + 1500.0, 7.0)
    assert gap.peak_kw(month_start(NOON, BERLIN)) is None
    assert gap.begun_kwh(NOON.timestamp() + 1500.0).tolist() == pytest.approx([2.5, 5.0, 0.0])


def test_parts_of_another_tariff_say_nothing() -> None:
    book = fed(SLIDING, NOON, [0.5] * 23)
    other = PeakBook(replace(SLIDING, sliding_s=60), BERLIN)
    other.restore(json.loads(to_json(book.body())))
    assert other.peak_kw(month_start(NOON, BERLIN)) == book.peak_kw(month_start(NOON, BERLIN)) == pytest.approx(30.0)
    assert not other.begun_kwh(NOON.timestamp() + 1380.0).any()


def test_what_runs_when_a_plan_begins_is_stated_by_its_begin():
    start = NOON + timedelta(seconds=420)
    book = fed(SLIDING, NOON - timedelta(minutes=15), [0.2] * 15 + [0.5] * 8)
    slots = chain(start, [480.0] + [900.0] * 7)
    terms = peak_terms(SLIDING, slots, BERLIN, free_kw=lambda month: 7.0, book=book)
    assert isinstance(terms, SlidingDemand)
    assert (terms.interval_s, terms.every_s, terms.price_per_kw) == (900.0, 300.0, 9.0)
    # Those that began 2, 7 and 12 minutes ago.
    assert terms.begun_kwh == pytest.approx([1.0, 3.5, 3.5 + 5 * 0.2])
    assert terms.begun_month.tolist() == [0, 0, 0]
    first = datetime(2025, 3, 31, 22, 2, tzinfo=UTC)  # two minutes past midnight of April
    april = peak_terms(SLIDING, chain(first, [780.0] + [900.0] * 3), BERLIN, free_kw=lambda month: 0.0, book=book)
    assert april.begun_month.tolist() == [0, -1, -1]


def test_slots_that_no_counted_interval_begins_in_are_left_out():
    slots = chain(datetime(2025, 3, 12, 15, 45, tzinfo=UTC), [900.0] * 5 + [3600.0] * 3)
    month = counted_months(EVENING, slots, BERLIN, 2)
    assert month.tolist() == [-1, 0, 0, 0, 0, 0, 0, -1]
    late = chain(datetime(2025, 3, 12, 18, 45, tzinfo=UTC), [900.0] * 3)
    assert counted_months(EVENING, late, BERLIN, 2).tolist() == [0, -1, -1], "the half-hour of 19:30 began in time"


async def test_a_site_s_plan_heeds_them_and_passes_its_check(tmp_path: Path) -> None:
    tariff = replace(demo_site().tariff, demand=SLIDING, further_demands=(EVENING,))
    site = demo_site().model_copy(update={"tariff": tariff})
    loop = build_loop(tmp_path, site, at=AT)
    loop.solver.answer = lambda problem, now: None
    await loop.plan()
    asked = replace(loop.solver.asked[-1], network=None)
    assert isinstance(asked.demand, SlidingDemand)
    (further,) = [charge for charge in asked.charges if isinstance(charge, DemandTerms)]
    assert (further.month == 0).any()
    assert (further.month == -1).any()
    plan = Planner(None, tmp_path).plan(asked, AT)
    assert isinstance(plan, Plan), plan
    assert check_plan(asked, plan) == ()
    assert plan.demand_target_kw is not None
    assert plan.charged[0].shape == further.free_kw.shape
    body = loop.planning._parts.periods.accounts.body()
    assert set(body["peaks"]) == {"", "evening"}


def test_the_month_ahead_finds_a_peak_for_each_charge():
    n = 48
    fixed = np.where(np.arange(n) % 24 == 18, 30.0, np.where(np.arange(n) % 24 == 9, 28.0, 5.0))
    asked = MonthAhead(
        start=NOON, step_s=3600.0, fixed_kw=fixed, import_price=np.full(n, 0.2), export_price=np.zeros(n),
        carbon_kg_per_kwh=np.zeros(n), store=Store(10.0, 0.0, 10.0, 10.0), movable=(), month=np.zeros(n, int),
        free_kw=np.zeros(1), price_per_kw=0.0,
    )  # fmt: skip
    evening = np.where(np.arange(n) % 24 == 18, 0, -1)
    found = look_ahead(replace(asked, further=(FurtherPeak(5.0, evening, np.array([12.0])),)))
    ((peak_kw,),) = found.further_kw
    assert peak_kw == pytest.approx(found.import_kw[evening == 0].max(), abs=1e-6)
    assert peak_kw == pytest.approx(30.0 - 9.6, abs=0.01)
    assert found.import_kw.max() == pytest.approx(28.0)
    assert look_ahead(asked).further_kw == ()


class TestTheFastLoop:
    def desk(self):
        site = make_site()
        site = site.model_copy(update={"tariff": dataclasses.replace(site.tariff, demand=SLIDING)})
        journal = Journal()
        return DemandDesk(site, bind(site), journal.record), journal

    def run(self, desk, powers, plan=None, begin_s=0.0, step_s=60.0):
        now = None
        for index, kw in enumerate(powers):
            at_s = begin_s + index * step_s
            values = {"meter.power_kw": kw, "meter.import_kwh": None}
            now = desk.update(snapshot(values, at=NOON + timedelta(seconds=at_s), now_s=at_s), plan)
        return now

    def test_every_interval_is_journalled_by_its_begin(self):
        desk, journal = self.desk()
        self.run(desk, [10.0] * 11 + [40.0] * 5 + [10.0] * 16)
        told = [(body["start"], body["interval_s"], round(body["mean_kw"], 6)) for body in journal.bodies(RECORD)]
        starts = [(NOON + timedelta(minutes=5 * k)).isoformat() for k in range(4)]
        assert [start for start, _, _ in told] == starts
        assert {interval_s for _, interval_s, _ in told} == {900.0}
        means = [mean for _, _, mean in told]
        assert max(means) == pytest.approx(20.0, abs=1.1)
        assert means[0] == pytest.approx(19.0, abs=1.1)

    def test_what_was_drawn_above_the_target_is_made_up_for_and_nothing_is_saved_up(self):
        plan = dataclasses.replace(make_plan({}), demand_target_kw=20.0)
        over = self.run(self.desk()[0], [20.0] * 6 + [30.0] * 5, plan)
        assert over.target_kw == 20.0
        assert over.worth_per_kwh == 9.0 * 4.0
        assert over.allowed_kw == pytest.approx(AIM_SHARE * 20.0 - (29.0 - AIM_SHARE * 20.0) - 0.2)
        calm = self.run(self.desk()[0], [0.0] * 11, plan)
        assert calm.allowed_kw == pytest.approx(AIM_SHARE * 20.0)
        blind = self.run(self.desk()[0], [None] * 6 + [20.0] * 5, plan)
        assert blind.allowed_kw == pytest.approx(AIM_SHARE * 20.0, abs=0.01)

    def test_without_a_plan_three_days_of_intervals_make_the_target(self):
        desk, _ = self.desk()
        starts = [NOON - timedelta(seconds=300 * (k + 4)) for k in range(4 * 288)]
        bodies = [{"start": at.isoformat(), "mean_kw": 25.0, "unknown_s": 0.0, "interval_s": 900} for at in starts]
        short, _ = self.desk()
        short.restore(bodies[:288], lambda point, at: None, NOON)
        desk.restore(bodies, lambda point, at: None, NOON)
        assert self.run(short, [10.0]).target_kw is None
        assert self.run(desk, [10.0]).target_kw == 25.0


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(0.0, 60.0), min_size=8, max_size=14), st.sampled_from([60, 180, 300]))
def test_who_draws_no_more_than_is_allowed_passes_the_target_in_no_interval(wishes, sliding_s):
    """A wish holds for five minutes; what it takes beyond what was allowed in the cycle before is not drawn."""
    charge = DemandCharge(9.0, 900, sliding_s=sliding_s)
    site = make_site()
    site = site.model_copy(update={"tariff": dataclasses.replace(site.tariff, demand=charge)})
    journal = Journal()
    desk = DemandDesk(site, bind(site), journal.record)
    plan = dataclasses.replace(make_plan({}), demand_target_kw=20.0)
    allowed_kw = 20.0
    for index in range(30 * len(wishes)):
        kw = min(wishes[index // 30], allowed_kw)
        values = {"meter.power_kw": kw, "meter.import_kwh": None}
        at_s = 10.0 * index
        now = desk.update(snapshot(values, at=NOON + timedelta(seconds=at_s), now_s=at_s), plan)
        allowed_kw = now.allowed_kw
    told = [body["mean_kw"] for body in journal.bodies(RECORD)]
    assert len(told) >= (300 * len(wishes) - 900) // sliding_s - 1
    assert max(told) <= 20.0 + 1e-6
