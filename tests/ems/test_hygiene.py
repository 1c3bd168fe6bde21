"""Tanks of drinking water that have to become hot in time: remembered, planned, steered without a plan, told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from daemon_show import Show
from heat_kit import NODE, TOLD, heated
from hypothesis import given, settings
from hypothesis import strategies as st
from question_kit import asked
from stage import NOW, Journal, SceneMaker, snapshot

from ems.clock import SimulatedClock
from ems.config.asset_models import heat_models
from ems.config.assets import Privacy
from ems.config.binding import bind
from ems.config.site import Site
from ems.fast.hygiene import AGAIN, GAP_S, HELD, HygieneDesk
from ems.fast.levers import build_levers
from ems.fast.rules import PriceSense, RuleSettings, TankView, heat_tank
from ems.fast.steering import Steering
from ems.fast.watchman import Watchman
from ems.health import Alarms, Health
from ems.hygiene import Hygiene
from ems.plan_check import check_plan
from ems.privacy import Discretion
from ems.resume import resumed_hygiene, transitions
from ems.slow.plan_record import digest
from ems.store.journal import FILE
from ems.store.journal import Journal as JournalFile
from optimization.assets import Tank, TankInputs
from optimization.problem import Plan
from optimization.rolling import Planner
from optimization.weights import Weights

KEYS = {"assets__tank__hygiene_every_h": 24.0, "assets__tank__hygiene_hold_s": 1800.0}
SITE = heated(**KEYS)
WATER = "probes.temperature_c"


def desk_of(site: Site = SITE, journal: Journal | None = None) -> HygieneDesk:
    return HygieneDesk(site, bind(site), (journal or Journal()).record)


def lived(desk: HygieneDesk, story: list[tuple[float, float | None]]) -> Hygiene:
    """Let minutes pass, each with the water that was measured then."""
    for minute, water_c in story:
        at, now_s = NOW + timedelta(minutes=minute), 1000.0 + 60.0 * minute
        told = desk.update(snapshot({**TOLD, WATER: water_c}, at=at, now_s=now_s))
    return told["tank"]


def steadily(until: int, water_c: float, since: int = 0) -> list[tuple[float, float | None]]:
    return [(float(minute), water_c) for minute in range(since, until + 1)]


# ---- what is remembered ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("story", "hot_for_min", "is_done"),
    [
        (steadily(30, 60.0), 30.0, True),
        (steadily(29, 60.0), 29.0, False),
        (steadily(40, 59.9), 0.0, False),
        ([*steadily(20, 61.0), (21.0, 59.9), *steadily(50, 61.0, 22)], 28.0, False),
        ([*steadily(20, 61.0), (24.0, 61.0), *steadily(31, 61.0, 25)], 31.0, True),  # a short gap is none
        (steadily(20, 61.0) + steadily(40, 61.0, 26), 14.0, False),  # a long one is
        (steadily(20, 61.0) + [(m + 21.0, None) for m in range(6)] + steadily(40, 61.0, 27), 13.0, False),
    ],
)
def test_a_hold_is_what_was_measured_without_a_break(story, hot_for_min, is_done) -> None:
    told = lived(desk_of(), story)
    assert told.hot_for_s == pytest.approx(60.0 * hot_for_min)
    assert (told.done_at is not None, told.is_overdue) == (is_done, not is_done)


@settings(max_examples=30)
@given(st.lists(st.tuples(st.floats(10.0, 400.0), st.sampled_from([55.0, 59.9, 60.0, 65.0])), min_size=1, max_size=60))
def test_it_is_done_exactly_when_an_unbroken_stretch_is_long_enough(steps: list[tuple[float, float]]) -> None:
    """Against the longest stretch that ends with each reading, found by going back from it."""
    at_s = np.cumsum([pause for pause, _ in steps])
    water_c = [each for _, each in steps]
    desk, expected = desk_of(), None
    for k, now_s in enumerate(at_s):
        at = NOW + timedelta(seconds=float(now_s))
        told = desk.update(snapshot({**TOLD, WATER: water_c[k]}, at=at, now_s=float(now_s)))["tank"]
        first = k + 1
        while first > 0 and water_c[first - 1] >= 60.0 and (first > k or at_s[first] - at_s[first - 1] <= GAP_S):
            first -= 1
        if first <= k and now_s - at_s[first] >= 1800.0:
            expected = at
        assert told.done_at == expected
        assert told.hot_for_s == pytest.approx(now_s - at_s[first] if first <= k else 0.0)


def test_the_journal_has_each_hold_once_and_again_every_hour_while_it_stays_hot() -> None:
    journal = Journal()
    desk = desk_of(journal=journal)
    lived(desk, steadily(30 + 125, 65.0))
    found = journal.bodies("transition")
    first = NOW + timedelta(minutes=30)
    assert [body["done_at"] for body in found] == [(first + k * AGAIN).isoformat() for k in range(3)]
    assert found[0] == {
        "event": HELD, "asset": "tank", "done_at": first.isoformat(), "hot_c": 60.0, "hold_s": 1800.0,
    }  # fmt: skip


def test_a_restart_takes_it_up_from_the_journal(tmp_path: Path) -> None:
    clock = SimulatedClock(NOW)
    journal = JournalFile(tmp_path / FILE, clock)
    desk = HygieneDesk(SITE, bind(SITE), journal.record)
    lived(desk, steadily(45, 62.0))
    journal.close()
    later = NOW + timedelta(hours=10)
    again = resumed_hygiene(SITE, bind(SITE), Journal().record, transitions(tmp_path, later))
    told = again.update(snapshot({**TOLD, WATER: 62.0}, at=later, now_s=5.0))["tank"]
    assert told.done_at == NOW + timedelta(minutes=30)
    assert told.since_s == pytest.approx(9.5 * 3600.0) and not told.is_overdue
    assert told.hot_for_s == 0.0, "nobody saw whether it was hot in between"
    strict = heated(**KEYS, assets__tank__hygiene_c=65.0)
    other = resumed_hygiene(strict, bind(strict), Journal().record, transitions(tmp_path, later))
    assert other.update(snapshot(TOLD, at=later, now_s=5.0))["tank"].done_at is None


def test_a_tank_of_water_that_nobody_drinks_is_not_watched() -> None:
    site = heated()
    assert desk_of(site).update(snapshot(TOLD)) == {}


def test_the_alarm_says_since_when_and_ends_with_the_hold() -> None:
    journal = Journal()
    alarms, desk = Alarms(journal.record), desk_of()
    watchman = Watchman(alarms, Health(journal.record), {})
    watchman.heed({"tank": lived(desk, [(0.0, 55.0)])}, NOW)
    (alarm,) = alarms.active
    assert alarm.key == "hygiene:tank"
    assert alarm.text.startswith("tank is not known to have been held at 60 degC for 30 min; every 24 h is asked for")
    watchman.heed({"tank": lived(desk, steadily(40, 62.0, 5))}, NOW)
    assert alarms.active == ()
    watchman.heed({"tank": lived(desk, [(24 * 60 + 39.0, 50.0)])}, NOW)
    assert alarms.active == ()
    watchman.heed({"tank": lived(desk, [(24 * 60 + 41.0, 50.0)])}, NOW)
    assert alarms.active[0].text.startswith(
        f"tank was last held at 60 degC for 30 min at {NOW + timedelta(minutes=40):%Y-%m-%d %H:%M} UTC;"
    )


def test_the_alarm_of_a_private_tank_keeps_its_hours_to_itself() -> None:
    journal = Journal()
    alarms = Alarms(journal.record)
    private = Discretion({"tank": Privacy.PERSONAL}, frozenset(), frozenset())
    Watchman(alarms, Health(journal.record), {}, private).heed(told_of(30.0), NOW)
    (alarm,) = alarms.active
    assert alarm.text.startswith("tank was not held at 60 degC for 30 min in time; every 24 h is asked for")
    assert f"{NOW:%H:%M}" not in alarm.text


# ---- what is planned ------------------------------------------------------------------------------------------


def told_of(since_h: float, hot_for_s: float = 0.0) -> dict[str, Hygiene]:
    return {"tank": Hygiene(60.0, 1800.0, 86400.0, NOW, 3600.0 * since_h, hot_for_s)}


async def test_the_question_has_the_demand_and_when_it_was_met(tmp_path: Path) -> None:
    problem = await asked(tmp_path, SITE, TOLD, hygiene=told_of(20.0, 600.0))
    (tank,) = (asset for asset in problem.assets if isinstance(asset, Tank))
    assert (tank.hot_every_s, tank.hot_c, tank.hot_hold_s) == (86400.0, 61.0, 1800.0)
    assert tank.overdue_per_h == pytest.approx(Weights().unheated * 2.0 * 11.0)
    inputs = problem.inputs["tank"]
    assert isinstance(inputs, TankInputs)
    assert (inputs.since_hot_s, inputs.hot_for_s) == (72000.0, 600.0)
    plain = heat_models(heated())["tank"]
    assert isinstance(plain, Tank) and plain.hot_every_s == 0.0


async def test_a_question_without_it_hashes_as_it_always_did(tmp_path: Path) -> None:
    problem = await asked(tmp_path, heated(), TOLD)
    (tank,) = (asset for asset in problem.assets if isinstance(asset, Tank))
    other = replace(tank, hot_hold_s=60.0)
    held = replace(problem, assets=tuple(other if asset is tank else asset for asset in problem.assets))
    assert digest(held) != digest(problem)
    assert "hot_hold_s" in Tank.__dataclass_fields__ and tank.hot_hold_s == 0.0


@pytest.mark.parametrize("since_h", [20.0, 30.0])
async def test_a_plan_holds_it_hot_in_time_and_where_it_is_late_at_once(tmp_path: Path, since_h: float) -> None:
    problem = replace(await asked(tmp_path, SITE, TOLD, hygiene=told_of(since_h)), network=None)
    plan = Planner(None, tmp_path).plan(problem, NOW)
    assert isinstance(plan, Plan), plan
    assert check_plan(problem, plan) == ()
    hot = plan.schedules["tank"].states["temperature_c"] >= 61.0 - 1e-3
    end_h = (problem.slots.offset_s + problem.slots.duration_s) / 3600.0
    stretches = [end_h[k] for k in range(2, len(hot)) if hot[k - 2 : k + 1].all()]
    assert stretches, "two quarter-hours between three hot ends"
    late_h = float(problem.slots.duration_h @ plan.schedules["tank"].slack["overdue"])
    if since_h < 24.0:
        assert stretches[0] <= 4.25 and late_h < 1e-6
    else:
        assert stretches[0] <= 1.5 and late_h <= stretches[0]


async def test_of_the_hours_before_it_is_due_the_cheapest_is_taken(tmp_path: Path) -> None:
    """Only power heats; the price has one low hour among those that are left."""
    site = heated(**KEYS, assets__boiler=None, devices__burner=None, assets__tank__loss_kw_per_k=0.1)
    told = {name: value for name, value in TOLD.items() if not name.startswith("burner")}
    problem = replace(
        await asked(tmp_path, site, {**told, "heat_meter.heat_kw": 0.0}, hygiene=told_of(16.0)), network=None
    )
    hours = problem.slots.offset_s / 3600.0
    price = np.where((hours >= 4.0) & (hours < 5.5), 0.05, 0.45)
    tariff = replace(problem.tariff, import_price=price, export_price=0.0 * price)
    problem = replace(problem, tariff=tariff)
    plan = Planner(None, tmp_path).plan(problem, NOW)
    assert isinstance(plan, Plan), plan
    taken_kwh = sum(plan.schedules[name].power_kw for name in ("rod", "pump")) * problem.slots.duration_h
    cheap, before = price < 0.1, hours < 8.0
    assert taken_kwh[cheap].sum() > 5.0 and taken_kwh[before & ~cheap].sum() < 0.01
    hot = plan.schedules["tank"].states["temperature_c"] >= 61.0 - 1e-3
    assert hot[cheap].any() and plan.schedules["tank"].slack["overdue"][before].max() < 1e-6


# ---- what is steered without a plan ---------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["power", "fuel", "pipe"])
def test_rules_heat_at_full_power_until_it_is_hot_and_not_otherwise(by: Any) -> None:
    dear = PriceSense(cheap=False, dear=True, cheap_price=0.1, dear_price=0.5)
    view = TankView(58.0, 50.0, 80.0, 8.0, by, 61.0)
    assert heat_tank(view, dear, RuleSettings()) == 8.0
    assert heat_tank(replace(view, water_c=60.9), dear, RuleSettings()) == 8.0
    assert heat_tank(replace(view, water_c=64.5), dear, RuleSettings()) == 0.0
    assert heat_tank(replace(view, hot_c=None, water_c=63.0), dear, RuleSettings()) == 0.0


@pytest.mark.parametrize(("since_h", "is_heated"), [(17.0, False), (19.0, True), (30.0, True)])
def test_without_a_plan_it_is_heated_when_it_is_nearly_due(since_h: float, is_heated: bool) -> None:
    steering = Steering(SITE, bind(SITE), build_levers(SITE, bind(SITE)))
    scene = SceneMaker(SITE)({**TOLD, WATER: 58.0, "pump_gateway.power_kw": 0.0})
    told = steering.decide(replace(scene, hygiene=told_of(since_h))).decisions
    assert (told["boiler"].kw == 40.0) == is_heated


# ---- the daemon -----------------------------------------------------------------------------------------------


def whole(changes: Mapping[str, Any]) -> dict[str, Any]:
    parts = {path: dict(part) if isinstance(part, dict) else part for path, part in NODE.items()}
    parts["assets.tank"] |= changes
    return parts


async def test_the_daemon_watches_tells_and_remembers_over_a_restart(tmp_path: Path) -> None:
    show = Show(tmp_path, changes=whole({"hygiene_every_h": 24.0, "hygiene_hold_s": 600.0}))
    for device, values in {"probes": {"temperature_c": 62.0}, "heat_meter": {"heat_kw": 20.0}}.items():
        show.yard.drivers[device].values.update(values)
    await show.daemon.start()
    await show.daemon.cycle()
    assert "hygiene:tank" in show.daemon._alarms
    for _ in range(11):
        show.clock.advance_to(show.clock.monotonic() + 60.0)
        await show.daemon.cycle()
    assert "hygiene:tank" not in show.daemon._alarms
    done_at: datetime | None = show.daemon.loop.last.hygiene["tank"].done_at
    await show.daemon.stop()
    show.daemon = show.build()
    show.yard.drivers["probes"].values["temperature_c"] = 55.0
    await show.daemon.start()
    await show.daemon.cycle()
    told = show.daemon.loop.last.hygiene["tank"]
    assert told.done_at is not None and done_at is not None and done_at - told.done_at <= AGAIN
    assert "hygiene:tank" not in show.daemon._alarms
    await show.daemon.stop()
