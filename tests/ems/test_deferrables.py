"""A load whose run may wait on its way: window, question, plan, rules, and the fast loop that never interrupts it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from question_kit import asked
from stage import NOW, SceneMaker, make_plan, make_site, make_standing

from ems.config.assets import DeferrableAsset
from ems.config.binding import bind
from ems.config.site import Site
from ems.failsafe import failsafe_extremes
from ems.fast.decisions import Rung
from ems.fast.levers import build_levers
from ems.fast.rules import PriceSense, RuleSettings, RunView, start_run
from ems.fast.runs import GOES_ON
from ems.fast.steering import Steering
from ems.limits.failsafe_machine import State
from ems.limits.in_force import Direction, InForce
from ems.plan_check import check_plan
from ems.run_window import run_window
from ems.slow.running import begun
from ems.standing import Override
from optimization.assets import Deferrable, DeferrableInputs
from optimization.problem import Plan
from optimization.rolling import Planner

BERLIN = ZoneInfo("Europe/Berlin")
WASHER = {
    "kind": "deferrable", "device": "machine", "bus": "office", "run": [[8.0, 1800.0], [1.0, 1800.0]],
    "run_from_h": 11.0, "run_to_h": 18.0, "not_run_cost": 5.0,
}  # fmt: skip
PUMP = {**WASHER, "run": [[8.0, 7200.0]], "piece_s": 1800.0}
MACHINE = {
    "protocol": "simulated", "profile": "deferrable_load", "port": 7, "mode": "control", "safe": {"run_state": 0.0}
}  # fmt: skip


def yard(asset: dict[str, Any] = WASHER, **changes: Any) -> Site:
    return make_site({"assets.washer": asset, "devices.machine": MACHINE, **changes})


def told(state: float, power_kw: float = 0.0, run_s: float = 0.0) -> dict[str, float]:
    return {"machine.power_kw": power_kw, "machine.state": state, "machine.run_s": run_s}


def spec_of(site: Site) -> DeferrableAsset:
    spec = site.file.assets["washer"]
    assert isinstance(spec, DeferrableAsset)
    return spec


SITE, PUMPED = yard(), yard(PUMP)
LEVER = build_levers(SITE, bind(SITE))["washer"]


# ---- window and progress --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("from_h", "to_h", "at", "opens", "latest"),
    [
        (11, 18, "2025-05-20T06:00", "2025-05-20T11:00", "2025-05-20T17:00"),
        (11, 18, "2025-05-20T17:00", "2025-05-20T11:00", "2025-05-20T17:00"),
        (11, 18, "2025-05-20T17:01", "2025-05-21T11:00", "2025-05-21T17:00"),
        (22, 6, "2025-05-20T01:00", "2025-05-19T22:00", "2025-05-20T05:00"),
        (22, 6, "2025-05-20T05:30", "2025-05-20T22:00", "2025-05-21T05:00"),
        (0, 24, "2025-05-20T23:30", "2025-05-21T00:00", "2025-05-21T23:00"),
        (2, 3, "2025-03-30T00:30", "2025-03-30T03:00", "2025-03-30T03:00"),
    ],
)
def test_a_run_begins_so_that_it_ends_in_its_window(from_h, to_h, at, opens, latest) -> None:
    spec = spec_of(SITE).model_copy(update={"run_from_h": from_h, "run_to_h": to_h})
    local = [datetime.fromisoformat(text).replace(tzinfo=BERLIN) for text in (at, opens, latest)]
    found = run_window(spec, local[0].astimezone(UTC), BERLIN)
    assert [found.earliest, found.latest] == [each.astimezone(UTC) for each in local[1:]]


@given(
    from_h=st.integers(0, 23), length=st.integers(1, 24), minute=st.integers(0, 366 * 1440),
    run_min=st.integers(1, 1440),
)  # fmt: skip
def test_law_a_window_that_was_not_missed_is_the_one_that_counts(from_h, length, minute, run_min) -> None:
    """On every day of the year, those on which clocks change included."""
    keys = {"run_from_h": float(from_h), "run_to_h": float((from_h + length) % 24), "run": ((1.0, 60.0 * run_min),)}
    spec = spec_of(SITE).model_copy(update=keys)
    now = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(minutes=minute)
    window = run_window(spec, now, BERLIN)
    assert now <= window.latest and window.earliest <= window.latest
    assert window.earliest - now <= timedelta(hours=49)
    assert window.earliest.astimezone(BERLIN).hour in (from_h, (from_h + 1) % 24)


@pytest.mark.parametrize(
    ("site", "state", "run_s", "count", "expected"),
    [
        (SITE, 0.0, 0.0, 1, (1, None)),
        (SITE, 1.0, 0.0, 1, (0, None)),
        (SITE, 2.0, 600.0, 1, (0, 600.0)),
        (SITE, 2.0, 3700.0, 1, (0, 3700.0)),
        (PUMPED, 1.0, 0.0, 4, (0, None)),
        (PUMPED, 2.0, 2000.0, 4, (1, 200.0)),
        (PUMPED, 1.0, 2000.0, 4, (1, None)),
        (PUMPED, 2.0, 9000.0, 4, (3, 3600.0)),
        (PUMPED, 0.0, 0.0, 4, (4, None)),
    ],
)
def test_how_far_a_run_is(site, state, run_s, count, expected) -> None:
    assert begun(spec_of(site), state, run_s, count) == expected


# ---- question and plan ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("site", "count"), [(SITE, 1), (PUMPED, 4)])
async def test_the_question_tells_what_waits_and_when_it_may_run(tmp_path: Path, site: Site, count: int) -> None:
    problem = await asked(tmp_path, site, told(1.0))
    (model,) = [asset for asset in problem.assets if isinstance(asset, Deferrable)]
    given_ = problem.inputs["washer"]
    assert isinstance(given_, DeferrableInputs)
    assert [each.length_s for each in model.programmes] == ([3600.0] if count == 1 else [1800.0] * 4)
    assert (given_.done, given_.running_s, len(given_.windows)) == (0, None, count)
    assert given_.windows[0] == run_window(spec_of(site), problem.slots.start, BERLIN)
    assert given_.later_price == pytest.approx(
        np.average(problem.tariff.import_price, weights=problem.slots.duration_s)
    )


@pytest.mark.parametrize(
    ("state", "kw", "expected"),
    [(1.0, 8.0, (0, 0.0, 0.0)), (1.0, 0.0, (0, None, 8.0)), (2.0, 0.0, (0, 60.0, 0.0)), (0.0, 8.0, (1, None, 0.0))],
)
async def test_an_override_begins_a_run_or_lets_it_wait_until_its_end(tmp_path, state, kw, expected) -> None:
    override = {"washer": Override(kw, "override by Ada", NOW + timedelta(hours=8))}
    problem = await asked(tmp_path, SITE, told(state, run_s=60.0 if state == 2.0 else 0.0), overrides=override)
    given_ = problem.inputs["washer"]
    assert isinstance(given_, DeferrableInputs) and not problem.held
    waits_h = max((given_.windows[0].earliest - NOW) / timedelta(hours=1), 0.0)
    assert (given_.done, given_.running_s, waits_h) == expected
    assert given_.windows[0].latest >= given_.windows[0].earliest


async def test_the_plan_puts_it_where_energy_is_cheap_in_its_window(tmp_path: Path) -> None:
    problem = await asked(tmp_path, SITE, told(1.0))
    start = problem.slots.start.astimezone(BERLIN)
    at_h = start.hour + start.minute / 60.0 + problem.slots.offset_s / 3600.0
    cheap = np.where((at_h >= 14.0) & (at_h < 15.0), 0.1, np.where(at_h >= 18.0, 0.05, 0.3))
    tariff = replace(problem.tariff, import_price=cheap, export_price=np.full_like(cheap, 0.02))
    alone = tuple(asset for asset in problem.assets if asset.id in {"houses", "washer"})
    inputs = {asset.id: problem.inputs[asset.id] for asset in alone}
    question = replace(problem, network=None, tariff=tariff, assets=alone, inputs=inputs, groups=())
    plan = Planner(None, tmp_path).plan(question, NOW)
    assert isinstance(plan, Plan)
    assert check_plan(question, plan) == ()
    washer = plan.schedules["washer"]
    assert at_h[washer.power_kw > 0.0][0] == 14.0
    assert washer.power_kw @ plan.slots.duration_h == pytest.approx(4.5)
    off = replace(washer, power_kw=np.roll(washer.power_kw, 1))
    assert any("power against its programmes" in words for words in check_plan(
        question, replace(plan, schedules={**plan.schedules, "washer": off})
    ))  # fmt: skip


# ---- rules ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cheap", "room_kw", "surplus_kw", "latest_in_h", "expected"),
    [
        (True, 9.0, -5.0, 3.0, 8.0),
        (True, 7.0, -5.0, 3.0, 0.0),
        (False, 9.0, 7.9, 3.0, 0.0),
        (False, 9.0, 8.0, 3.0, 8.0),
        (False, 0.0, -9.0, 0.05, 8.0),
        (False, 0.0, -9.0, 0.2, 0.0),
    ],
)
def test_without_a_plan_it_runs_when_cheap_sunny_or_late(cheap, room_kw, surplus_kw, latest_in_h, expected) -> None:
    sense = PriceSense(cheap, False, 0.1, 0.3)
    assert start_run(RunView(8.0, latest_in_h), sense, room_kw, surplus_kw, RuleSettings()) == expected


# ---- the fast loop --------------------------------------------------------------------------------------------

PLANNED = {"pv": -10.0, "battery": 0.0, "car": 0.0, "heat": 2.0, "houses": 20.0, "shop": 8.0}


def decided(site: Site, state: float, plan_kw: float | None, *, power_kw: float = 0.0, **scene: Any) -> Any:
    steering = Steering(site, bind(site), build_levers(site, bind(site)))
    plan = None if plan_kw is None else make_plan({**PLANNED, "washer": plan_kw})
    measured = {**told(state, power_kw), **scene.pop("changes", {})}
    limits = scene.pop("limits", ())
    return steering.decide(replace(SceneMaker(site)(measured, plan=plan, **scene), limits=limits)).decisions["washer"]


@pytest.mark.parametrize(
    ("site", "state", "plan_kw", "kw", "rung"),
    [
        (SITE, 1.0, 8.0, 8.0, Rung.PLAN),
        (SITE, 1.0, 0.4, 8.0, Rung.PLAN),
        (SITE, 1.0, 0.0, 0.0, Rung.PLAN),
        (SITE, 0.0, 8.0, 0.0, Rung.PLAN),
        (SITE, 2.0, 0.0, 8.0, Rung.DEVICE),
        (PUMPED, 2.0, 0.0, 0.0, Rung.PLAN),
        (PUMPED, 2.0, 8.0, 8.0, Rung.PLAN),
        (SITE, 1.0, None, 0.0, Rung.RULES),
        (SITE, 2.0, None, 8.0, Rung.DEVICE),
    ],
)
def test_the_plan_begins_a_run_that_waits_and_ends_none(site, state, plan_kw, kw, rung) -> None:
    told_ = decided(site, state, plan_kw, power_kw=8.0 if state == 2.0 else 0.0)
    assert (told_.kw, told_.rung) == (kw, rung)


def test_what_it_is_told_is_said_in_words() -> None:
    assert "let its run wait" in decided(SITE, 1.0, 0.0).reason
    assert ": run," in decided(SITE, 1.0, 8.0).reason
    assert decided(SITE, 2.0, 0.0).reason == GOES_ON


def test_before_its_window_it_waits_whatever_the_plan_says() -> None:
    late = yard({**WASHER, "run_from_h": 13.0})
    assert decided(late, 1.0, 8.0).kw == 0.0
    ordered = make_standing(late, overrides={"washer": 8.0})
    assert decided(late, 1.0, 0.0, standing=ordered).kw == 8.0


@pytest.mark.parametrize(("site", "kw"), [(SITE, 8.0), (PUMPED, 0.0)])
def test_an_operators_standstill_ends_only_what_may_pause(site: Site, kw: float) -> None:
    assert decided(site, 2.0, 8.0, power_kw=8.0, standing=make_standing(site, overrides={"washer": 0.0})).kw == kw


NARROW = InForce(Direction.IMPORT, State.LIMITED, 5.0, "api", reason="the grid operator allows 5 kW of import")


@pytest.mark.parametrize(
    ("site", "state", "expected"),
    [(SITE, 1.0, (0.0, Rung.GRID)), (SITE, 2.0, (8.0, Rung.DEVICE)), (PUMPED, 2.0, (0.0, Rung.GRID))],
)
def test_a_limit_delays_a_start_and_ends_only_what_may_pause(site, state, expected) -> None:
    empty = {"store.soc_pct": 5.0, "meter.power_kw": 28.0 if state == 2.0 else 20.0}
    found = decided(site, state, 8.0, power_kw=8.0 if state == 2.0 else 0.0, changes=empty, limits=(NARROW,))
    assert (found.kw, found.rung) == expected


def test_too_much_sun_begins_no_run() -> None:
    full = {"store.soc_pct": 95.0, "meter.power_kw": -60.0, "inverter.power_kw": -60.0}
    assert decided(SITE, 1.0, 0.0, changes=full).kw == 0.0


def test_a_running_load_counts_at_the_limit_with_what_it_takes() -> None:
    """It is told to run, which stands for 8 kW, and takes one: the car may have the rest."""
    steering = Steering(SITE, bind(SITE), build_levers(SITE, bind(SITE)))
    scene = SceneMaker(SITE)({**told(2.0, 1.0), "meter.power_kw": 46.0}, plan=make_plan({**PLANNED, "washer": 8.0}))
    assert steering.decide(scene).excess == ()


def test_stale_inputs_leave_its_declared_safe_value() -> None:
    assert decided(SITE, 2.0, 8.0, changes={"meter.power_kw": None}).rung is Rung.SAFE
    assert decided(SITE, 1.0, 8.0, changes={"machine.state": None}).rung is Rung.SAFE


@pytest.mark.parametrize(("site", "safe", "most_kw"), [(SITE, 0.0, 8.0), (PUMPED, 0.0, 0.0), (PUMPED, None, 8.0)])
def test_in_failsafe_a_run_that_has_begun_may_go_on(site: Site, safe: float | None, most_kw: float) -> None:
    asset = {**(WASHER if site is SITE else PUMP)}
    held = yard(asset, **{"devices.machine": {**MACHINE, "safe": {"run_state": safe}}})
    highest, lowest = failsafe_extremes(held, bind(held))
    assert (highest.power_kw["washer"], lowest.power_kw["washer"]) == (most_kw, 0.0)
