"""F15: a restart in the middle of a schedule or of a car's charging.

That of the grid operator's limit is `test_a_restart_loosens_nothing`, beside its other tests.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from daemon_show import CYCLE_S, Show, show
from plan_samples import sample_plan, sample_problem
from stage import after, make_plan, make_site

from ems.fast.decisions import Rung
from ems.fast.sessions import UNKNOWN_STAY
from ems.slow.foresee import Foresight
from ems.slow.plan_record import plan_record
from ems.slow.plan_resumed import misfit, read_plan
from ems.store.encoding import to_json
from ems.store.journal import read_records
from ems.stores import journal_path
from optimization.problem import Schedule

__all__ = ["show"]

PLAN_KW = {"battery": 9.0, "heat": 6.0, "pv": -4.0, "car": 22.0}


def kept_plan(one: Show, **changes: Any) -> None:
    """Leave a plan in the journal as the planner does; the battery is at half its 60 kWh and rises by its power."""
    plan = make_plan(PLAN_KW, slots=96)
    rising = 30.0 + PLAN_KW["battery"] / 4.0 * (1.0 + plan.slots.offset_s / 900.0)
    schedules = {**plan.schedules, "battery": Schedule(plan.schedules["battery"].power_kw, {"energy_kwh": rising})}
    body = {
        "id": plan.id, "made_at": plan.made_at, "start": plan.slots.start, "duration_s": plan.slots.duration_s,
        "power_kw": {a: s.power_kw for a, s in schedules.items()}, "states": {"battery": {"energy_kwh": rising}},
        "import_kw": plan.import_kw, "export_kw": plan.export_kw, "excess_kw": 0.0, "objective": 1.0, "ac": plan.ac,
        "solve": {}, "demand_target_kw": None, "carbon_excess_kg": None, "config": one.site.config_hash, **changes,
    }  # fmt: skip
    one.daemon._stores.journal.record("plan", body).result(10)


def told(one: Show) -> list[dict[str, Any]]:
    one.daemon._stores.journal.record("reading", {}).result(10)  # what was told before is on disk then
    found = read_records(journal_path(one.state), kind="transition")
    return [dict(r.body) for r in found if r.body["event"] == "plan_resumed"]


async def test_f15_the_schedule_is_taken_up_where_it_stands(show) -> None:
    """The first decision of the new life follows the plan of the old one: nobody planned in between."""
    one: Show = show()
    kept_plan(one)
    one.restart(20.0)
    began_s = one.clock.monotonic()
    await one.run_until(began_s + CYCLE_S)
    decisions = one.daemon.loop.last.outcome.decisions
    assert {a: d.rung for a, d in decisions.items() if a in ("battery", "heat")} == {
        "battery": Rung.PLAN,
        "heat": Rung.PLAN,
    }
    assert one.command("store") == PLAN_KW["battery"]
    assert told(one) == [{"event": "plan_resumed", "plan": "plan-1", "misfit": ""}]
    assert one.clock.monotonic() - began_s <= 10.0


@pytest.mark.parametrize(
    ("soc_kwh", "down_s", "changes", "why"),
    [
        (36.0, 20.0, {}, "battery is 36.0 kWh, the plan expects 32.2 kWh by now"),
        (30.0, 7300.0, {}, "it is 7300 s old; at most 7200 s are allowed"),
        (30.0, 20.0, {"config": "of another site file"}, None),
        (30.0, 20.0, {"import_kw": [1.0, 2.0]}, None),
        (30.0, 20.0, {"excess_kw": "much"}, None),
    ],
)
async def test_f15_a_plan_that_does_not_fit_is_left_alone(show, soc_kwh, down_s, changes, why) -> None:
    one: Show = show(soc_kwh=soc_kwh)
    kept_plan(one, **changes)
    one.restart(down_s)
    await one.run_until(one.clock.monotonic() + CYCLE_S)
    assert one.daemon.loop.last.outcome.decisions["battery"].rung is Rung.RULES
    assert [t["misfit"] for t in told(one)] == ([] if why is None else [why])


def test_f15_a_plan_is_read_back_as_it_was_written_down() -> None:
    problem = sample_problem()
    plan = sample_plan(problem)
    nothing = np.zeros(len(problem.slots))
    foresight = Foresight(nothing, nothing, nothing, nothing, None, {}, {}, {}, {})
    body = plan_record(problem, plan, foresight, {})
    again = read_plan(json.loads(to_json(body)))
    assert (again.id, again.made_at, asdict(again.ac)) == (plan.id, plan.made_at, asdict(plan.ac))
    assert (again.slots.duration_s == plan.slots.duration_s).all() and again.slots.start == plan.slots.start
    for name, schedule in plan.schedules.items():
        assert again.schedules[name].power_kw == pytest.approx(schedule.power_kw, abs=1e-4)
        for state, row in schedule.states.items():
            assert again.schedules[name].states[state] == pytest.approx(row, abs=1e-4)


def test_f15_what_is_not_known_fits_no_plan() -> None:
    plan = make_plan({"battery": 9.0}, slots=4)
    assert misfit(make_site(), plan, after(0.0), {}) == "", "a plan that expects no state has nothing to compare"
    expecting = {"battery": Schedule(plan.schedules["battery"].power_kw, {"energy_kwh": plan.import_kw})}
    object.__setattr__(plan, "schedules", expecting)
    assert misfit(make_site(), plan, after(0.0), {}) == "battery is unknown, the plan expects 10.0 kWh by now"


RAMPS_KW_PER_S = {"wallbox": 0.5, "heater": 0.2}


@pytest.mark.parametrize("down_s", [10.0, 50.0, 400.0])
async def test_f15_no_step_after_a_restart_is_steeper_than_the_ramp(show, down_s: float) -> None:
    """Shorter and longer than the lease: devices hold what they were told, or have fallen back."""
    one: Show = show(car_in=lambda _s: True)
    one.publish(make_plan({**PLAN_KW, "car": 6.0, "heat": 1.0}, slots=96))
    await one.run_until(100.0)
    one.restart(down_s)
    one.publish(make_plan(PLAN_KW, slots=96))
    powers = {d: [one.yard.drivers[d].values["power_kw"]] for d in RAMPS_KW_PER_S}
    while one.clock.monotonic() < 160.0 + down_s:
        await one.run_until(one.clock.monotonic() + CYCLE_S)
        for device, row in powers.items():
            row.append(one.yard.drivers[device].values["power_kw"])
    for device, row in powers.items():
        steepest = max(b - a for a, b in pairwise(row))
        assert steepest <= RAMPS_KW_PER_S[device] * 20.0 + 0.7, f"{device}: {row}"
    assert powers["heater"][-1] == pytest.approx(PLAN_KW["heat"], abs=0.3)
    assert one.command("store") == PLAN_KW["battery"]


async def test_f15_nothing_that_was_intended_before_is_replayed(show) -> None:
    """What the devices are told after a restart was decided after it; open intents of before are past."""
    one: Show = show()
    one.publish(make_plan({"battery": 25.0, "heat": 6.0, "pv": -4.0, "car": 0.0}, slots=96))
    await one.run_until(60.0)
    one.daemon._stores.journal.record(
        "intent", {"asset": "battery", "point": "store.setpoint_kw", "value": 29.0}
    ).result(10)
    one.restart(100.0)
    began = one.clock.now()
    writes = one.yard.writes
    assert one.yard.writes == writes, "building a daemon writes nothing"
    await one.run_until(one.clock.monotonic() + 60.0)
    one.daemon._stores.journal.record("reading", {}).result(10)
    intents = [r for r in read_records(journal_path(one.state), kind="intent") if r.at >= began]
    assert {r.body["asset"] for r in intents} >= {"battery", "heat"}
    assert one.command("store") == [r.body["value"] for r in intents if r.body["asset"] == "battery"][-1] != 29.0
    assert all(r.body["rung"] == "rules" for r in intents if r.body["asset"] == "battery")


async def test_f15_a_car_that_told_nothing_has_not_come_anew(show) -> None:
    one: Show = show(car_in=lambda s: s >= 20.0)
    await one.run_until(400.0)
    before = one.daemon._parts.sessions.cars["car"]
    one.restart(60.0)
    await one.run_until(one.clock.monotonic() + 30.0)
    now = one.daemon._parts.sessions.cars["car"]
    assert abs(now.arrived - before.arrived) <= timedelta(seconds=1.0)
    assert now.base_kwh == before.base_kwh
    assert now.departure < one.clock.now() + UNKNOWN_STAY - timedelta(seconds=400.0)


async def test_f15_a_car_keeps_what_it_was_promised(show) -> None:
    one: Show = show(car_in=lambda s: s >= 20.0)
    departure = after(3 * 3600.0)
    one.script[40.0] = lambda: one.ask("ev", "car", energy_kwh=8.0, departure=departure.isoformat())
    await one.run_until(400.0)
    before = one.daemon._parts.sessions.cars["car"]
    one.restart(60.0)
    await one.run_until(one.clock.monotonic() + 30.0)
    now = one.daemon._parts.sessions.cars["car"]
    at = one.clock.now()
    assert (now.wish, now.base_kwh) == (before.wish, before.base_kwh), "the energy counts from before the restart"
    assert now.departure == departure and now.ready_by(at) <= departure
    assert now.wanted_kwh(0.92) == pytest.approx(8.0 - one.yard.car_kwh * 0.92, abs=0.8)
