"""Demand-response events of a site file: baseline, charge, plan, its words, and what cannot be written."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from planning_kit import build_loop, demo_bindings, demo_site

from ems.commands.plan_explained import explained
from ems.commands.plan_kept import Kept
from ems.commands.plan_shown import table_lines
from ems.commands.understood import describe, understood
from ems.config.flexibility import ResponseEvent
from ems.plan_check import check_plan
from ems.slow.plan_record import plan_record
from ems.slow.responses import UNKNOWN, responses
from ems.store.encoding import to_json
from optimization.forecast.past import Past
from optimization.net_charges import FAR_KW
from optimization.problem import AcVerdict, Plan
from optimization.rolling import Planner
from optimization.slots import uniform

BERLIN = ZoneInfo("Europe/Berlin")
WEDNESDAY = datetime(2025, 5, 14, 5, tzinfo=UTC)
EVENING = ResponseEvent(
    starts_at="2025-05-14T17:00", ends_at="2025-05-14T18:10", promised_kw=8.0, reward_per_kwh=0.3, penalty_per_kwh=0.5
)
NOON = ResponseEvent(
    starts_at="2025-05-14T12:00", ends_at="2025-05-14T13:00", promised_kw=5.0, penalty_per_kwh=2.0, baseline_kw=-3.0
)


def past_of(kw_of, days=14, step_s=300.0, until=WEDNESDAY):
    """A past of local days: `kw_of` a local instant."""
    count = round(days * 86400.0 / step_s)
    at_s = until.timestamp() - step_s * np.arange(count, 0, -1)
    local = [datetime.fromtimestamp(float(s), UTC).astimezone(BERLIN) for s in at_s]
    return Past(at_s, np.array([kw_of(at) for at in local], float), step_s)


def test_the_baseline_is_the_mean_of_days_like_its_own_at_the_same_local_time() -> None:
    """Working days of May take 10 kW more each hour of the day, and one more each date; weekends 99."""
    past = past_of(lambda at: 99.0 if at.weekday() > 4 else 10.0 * at.hour + at.day)
    slots = uniform(WEDNESDAY + timedelta(hours=9, minutes=30), 10, 900.0)  # local 16:30
    (asked,), why = responses({"evening": EVENING}, slots, BERLIN, past)
    assert why == {}
    assert asked.name == "demand_response.evening"
    # From the 13th back to the 1st of May, but for two weekends: nine working days, the first of which begins too late.
    days = [13, 12, 9, 8, 7, 6, 5, 2, 1]
    baseline = 170.0 + np.mean(days)
    assert asked.price_per_kwh == pytest.approx([0, 0, 0.8, 0.8, 0.8, 0.8, 0.8 * 2 / 3, 0, 0, 0])
    assert asked.high_kw[2:6] == pytest.approx(baseline - 8.0)
    assert asked.high_kw[6] == pytest.approx(baseline + 10.0 - 8.0)
    assert asked.high_kw[[0, 1, 7, 8, 9]].tolist() == [FAR_KW] * 5
    few = EVENING.model_copy(update={"baseline_days": 4})
    (newest,), _ = responses({"evening": few}, slots, BERLIN, past)
    assert newest.high_kw[2] == pytest.approx(170.0 + np.mean(days[:4]) - 8.0)


def test_days_of_other_events_and_gaps_are_left_out_and_too_few_days_are_told() -> None:
    slots = uniform(WEDNESDAY + timedelta(hours=10), 4, 900.0)
    other = EVENING.model_copy(update={"starts_at": "2025-05-13T17:30", "ends_at": "2025-05-13T18:00"})
    past = past_of(lambda at: np.nan if at.day == 12 and at.minute == 35 else at.day)
    (asked,), _ = responses({"evening": EVENING, "before": other}, slots, BERLIN, past)
    assert asked.high_kw[0] == pytest.approx(np.mean([13, 12, 9, 8, 7, 6, 5, 2, 1]) - 8.0)
    assert asked.high_kw[2] == pytest.approx(np.mean([9, 8, 7, 6, 5, 2, 1]) - 8.0)
    (unheard,), why = responses({"evening": EVENING}, slots, BERLIN, past_of(lambda at: 5.0, days=2))
    assert why == {"demand_response.evening": UNKNOWN}
    assert not unheard.price_per_kwh.any(), "the shape of the model stays, its price does not count"
    (stated,), why = responses({"noon": NOON}, uniform(WEDNESDAY, 96, 900.0), BERLIN, past_of(lambda at: 5.0, days=1))
    assert why == {}
    assert stated.high_kw.min() == -8.0


def test_an_event_that_has_ended_asks_for_nothing() -> None:
    after = uniform(WEDNESDAY + timedelta(hours=6), 4, 900.0)
    assert responses({"noon": NOON}, after, BERLIN, past_of(lambda at: 5.0)) == ((), {})


async def test_a_site_s_plan_keeps_what_it_promised_and_tells_what_is_missing(tmp_path: Path) -> None:
    greedy = NOON.model_copy(
        update={"starts_at": "2025-05-14T20:00", "ends_at": "2025-05-14T22:00", "promised_kw": 200.0}
    )
    unknown = EVENING.model_copy(update={"starts_at": "2025-05-14T18:00", "ends_at": "2025-05-14T19:00"})
    events = {"noon": NOON, "greedy": greedy, "unknown": unknown}
    site = demo_site().model_copy(update={"file": demo_site().file.model_copy(update={"demand_response": events})})
    loop = build_loop(tmp_path, site, at=WEDNESDAY)
    loop.solver.answer = lambda problem, now: replace(
        Planner(None, tmp_path).plan(replace(problem, network=None), now), ac=AcVerdict("feasible")
    )
    await loop.plan()
    asked = replace(loop.solver.asked[-1], network=None)
    assert [charge.name for charge in asked.charges] == [f"demand_response.{name}" for name in events]
    _, told, _ = loop.journal.records[-1]
    assert told["not_planned_with"] == {"demand_response.unknown": UNKNOWN}
    plan = Planner(None, tmp_path).plan(asked, WEDNESDAY)
    assert isinstance(plan, Plan), plan
    assert check_plan(asked, plan) == ()
    net_kw = plan.import_kw - plan.export_kw
    at_noon = asked.charges[0].price_per_kwh > 0.0
    assert net_kw[at_noon].max() <= -8.0 + 1e-3
    foresight: Any = SimpleNamespace(degraded=False, labels={}, methods={}, branches={})
    body = json.loads(to_json(plan_record(asked, plan, foresight, {})))
    kept = Kept.of(body, site)
    lines = list(table_lines(site, kept, None))
    assert "event     noon: 0.0 kWh missing of what was promised" in lines
    untold = Kept.of(json.loads(to_json(plan_record(asked, plan, foresight, told["not_planned_with"]))), site)
    words = [line for line in table_lines(site, untold, None) if "unknown" in line]
    assert words == [f"without   demand_response.unknown: {UNKNOWN}"]
    missing_kwh = float(plan.slots.duration_h @ plan.charged[1])
    assert missing_kwh > 10.0
    assert f"event     greedy: {missing_kwh:.1f} kWh missing of what was promised" in lines
    (charge,) = explained(site, kept, "battery", int(plan.charged[1].argmax()))["charges"]
    assert (charge["name"], charge["key"]) == ("demand_response.greedy", "demand_response.greedy")
    facts = understood(site, demo_bindings(), WEDNESDAY)
    words = "5 kW less than -3 kW are promised from 2025-05-14T12:00 to 2025-05-14T13:00"
    assert f"event     noon: {words}" in list(describe(facts))
