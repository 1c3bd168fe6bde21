"""The slow loop: what it asks, and what it does when something is missing."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from planning_kit import NOW, Loop, build_loop, demo_site

from ems.config.assets import HeatPumpAsset
from ems.config.site import Site
from ems.slow.plan_record import digest
from optimization.assets import (
    BatteryInputs,
    ChargePointInputs,
    EvSession,
    HeatPumpInputs,
    Load,
    LoadInputs,
    PvInputs,
)
from optimization.calendar_windows import CalendarWindow
from optimization.problem import CarbonBudget, DemandTerms, EnergyTiers, Plan, Problem, Refused, Subscription
from optimization.tariff import CapacitySubscription, Rate, Tier

ALL = {"pv", "battery", "charge_point", "heat_pump"}


@pytest.fixture
def loop(tmp_path: Path) -> Loop:
    return build_loop(tmp_path)


def load_of(problem: Problem, asset: str) -> np.ndarray:
    inputs = problem.inputs[asset]
    assert isinstance(inputs, LoadInputs)
    return inputs.demand_kw


# ---- slots


# ---- the question


async def test_windows_tiers_and_a_subscribed_power_of_the_tariff_are_planned_for(tmp_path: Path) -> None:
    site = demo_site()
    night = Rate(0.01, {}, "night", CalendarWindow(from_h=22.0, to_h=6.0))
    subscribed = CapacitySubscription(12.0, excess_per_kwh=0.3)
    tiers = (Tier("second", 400.0, 0.05), Tier("third", 1000.0, 0.03))
    tariff = replace(
        site.tariff, import_windows=(night,), subscription=subscribed, tiers=tiers, zone=ZoneInfo("Europe/Berlin")
    )
    loop = build_loop(tmp_path, site.model_copy(update={"tariff": tariff}))
    plan = await loop.plan()
    assert isinstance(plan, Plan)
    problem = loop.problem
    local = [at.astimezone(tariff.zone) for at in problem.slots.starts]
    at_night = np.array([at.hour >= 22 or at.hour < 6 for at in local])
    assert at_night.any()
    assert (np.abs(problem.tariff.import_price - 0.01 * 1.19) < 1e-9).tolist() == at_night.tolist()
    steps, charge = problem.charges
    assert isinstance(steps, EnergyTiers)
    assert steps.step_per_kwh == pytest.approx([0.05 * 1.19, -0.02 * 1.19])
    assert steps.left_kwh[:, 0].tolist() == [400.0, 1000.0]
    assert isinstance(charge, Subscription)
    assert (charge.subscribed_kw, charge.price_per_kwh) == (12.0, 0.3)


async def test_it_asks_for_what_is_measured_and_foreseen(loop: Loop) -> None:
    assert isinstance(await loop.plan(), Plan)
    problem = loop.problem
    battery, pump = problem.inputs["battery"], problem.inputs["heat_pump"]
    assert isinstance(battery, BatteryInputs) and isinstance(pump, HeatPumpInputs)
    assert battery.energy_kwh == 55.0
    assert (pump.temperature_c, pump.mass_c) == (21.0, 21.0)
    assert pump.outdoor_c[0] == pytest.approx(3.0)  # as measured, not as published
    assert problem.connection.import_limit_kw.tolist() == [58.0 * 0.92] * 144
    assert problem.weights.ev_shortfall == 3.0
    assert problem.tariff.import_price[0] == pytest.approx((loop.planning.foresight.price[0] + 0.1) * 1.19)  # type: ignore[union-attr]
    shares = [load_of(problem, name)[0] for name in ("houses_near", "houses_far", "office_load")]
    assert shares == pytest.approx([0.4 * sum(shares), 0.4 * sum(shares), 0.2 * sum(shares)])
    assert problem.network is not None
    assert {problem.network.position(a.bus) for a in problem.assets} == {1, 2, 3, 4, 5}


async def load_after_an_hour(folder: Path, **changes: float | None) -> float:
    loop = build_loop(folder)
    for minute in range(0, 65, 5):
        await loop.plan(minute, **changes)
    return float(sum(load_of(loop.problem, name)[0] for name in ("houses_near", "houses_far", "office_load")))


async def test_the_load_is_what_no_device_explains(tmp_path: Path) -> None:
    base = await load_after_an_hour(tmp_path / "base")
    more = await load_after_an_hour(tmp_path / "more", grid_meter__power_kw=40.0)
    battery = {"grid_meter__power_kw": 40.0, "battery_inverter__power_kw": 12.0}
    explained = await load_after_an_hour(tmp_path / "explained", **battery)
    silent = await load_after_an_hour(tmp_path / "silent", wallbox__power_kw=None, grid_meter__power_kw=99.0)
    assert more - base == pytest.approx(10.0, abs=1.0)
    assert explained == pytest.approx(base)
    assert silent < more  # an hour in which one device is unknown explains nothing, and is no zero


async def test_the_comfort_band_follows_local_time_over_a_change_of_clocks(tmp_path: Path) -> None:
    # Thursday before, and Monday after the last Sunday of March 2025.
    for day, utc_hour in ((27, 6), (31, 5)):
        loop = build_loop(tmp_path / str(day), at=datetime(2025, 3, day, 2, tzinfo=UTC))
        await loop.plan()
        pump, slots = loop.problem.inputs["heat_pump"], loop.problem.slots
        assert isinstance(pump, HeatPumpInputs)
        ends = [slots.start + timedelta(seconds=float(s)) for s in slots.offset_s + slots.duration_s]
        warm = [end for end, low in zip(ends, pump.comfort_low_c, strict=True) if low == 20.5 + 0.1]
        assert warm[0].hour == utc_hour
        assert warm[0].minute == 0


async def test_the_band_is_drawn_together_by_the_margin_of_the_site(loop: Loop) -> None:
    await loop.plan()
    pump = loop.problem.inputs["heat_pump"]
    assert isinstance(pump, HeatPumpInputs)
    spec = demo_site().file.assets["heat_pump"]
    assert isinstance(spec, HeatPumpAsset)
    assert pump.comfort_low_c.min() == pytest.approx(spec.comfort.low_c + demo_site().file.planning.comfort_margin_k)
    assert pump.comfort_high_c.max() == pytest.approx(spec.comfort.high_c - demo_site().file.planning.comfort_margin_k)


async def gains_after_an_hour(folder: Path, *, cooling_k_per_h: float) -> np.ndarray:
    loop = build_loop(folder)
    for minute in range(0, 65, 5):
        await loop.plan(minute, air_handler__temperature_c=21.0 - cooling_k_per_h * minute / 60.0)
    pump = loop.problem.inputs["heat_pump"]
    assert isinstance(pump, HeatPumpInputs)
    return pump.gains_kw


async def test_heat_that_the_model_does_not_explain_counts_as_gains_for_some_hours(tmp_path: Path) -> None:
    slow = await gains_after_an_hour(tmp_path / "slow", cooling_k_per_h=0.2)
    fast = await gains_after_an_hour(tmp_path / "fast", cooling_k_per_h=1.2)
    less_kw = slow - fast
    assert less_kw[0] > 0.3
    assert less_kw[16] == pytest.approx(less_kw[0] / np.e, rel=0.05)
    assert (np.diff(less_kw) < 0.0).all()


async def test_cars_that_said_what_they_want_are_asked_for(loop: Loop) -> None:
    told = EvSession(NOW - timedelta(hours=1), NOW + timedelta(hours=4), 20.0, 11.0)
    await loop.plan(wallbox__state=1.0, sessions={"charge_point": (told,)})
    cars = loop.problem.inputs["charge_point"]
    assert isinstance(cars, ChargePointInputs)
    assert cars.sessions[0] == told
    assert all(s.expected and s.arrival >= told.departure for s in cars.sessions[1:])


async def test_a_car_that_said_nothing_is_typical_and_gets_less_wanting(loop: Loop) -> None:
    unstated = EvSession(NOW, NOW + timedelta(hours=8), 15.0, 11.0, expected=True)
    await loop.plan(wallbox__state=1.0, sessions={"charge_point": (unstated,)})
    first = _car(loop)
    assert not first.expected
    assert first.departure > NOW
    assert first.charge_kw == 11.0
    for minute in range(5, 35, 5):
        await loop.plan(minute, wallbox__state=2.0, wallbox__power_kw=10.0, sessions={"charge_point": (unstated,)})
    assert first.energy_kwh - _car(loop).energy_kwh == pytest.approx(10.0 * 0.5 * 0.92, rel=0.2)


async def test_without_a_car_only_cars_ahead_are_expected(loop: Loop) -> None:
    gone = EvSession(NOW - timedelta(hours=3), NOW + timedelta(hours=4), 20.0)
    await loop.plan(sessions={"charge_point": (gone,)})
    cars = loop.problem.inputs["charge_point"]
    assert isinstance(cars, ChargePointInputs)
    assert all(s.expected and s.arrival > NOW for s in cars.sessions)


async def test_a_car_that_overstays_is_taken_to_stay_an_hour_more(loop: Loop) -> None:
    late = EvSession(NOW - timedelta(hours=9), NOW - timedelta(minutes=10), 5.0)
    await loop.plan(wallbox__state=1.0, sessions={"charge_point": (late,)})
    assert _car(loop).departure == NOW + timedelta(hours=1)


def _car(loop: Loop) -> EvSession:
    cars = loop.problem.inputs["charge_point"]
    assert isinstance(cars, ChargePointInputs)
    return cars.sessions[0]


# ---- devices that cannot be planned with


@pytest.mark.parametrize(
    ("changes", "asset", "powers"),
    [
        ({"steered": ALL - {"battery"}, "battery_inverter__power_kw": -6.0}, "battery", (-6.0, 0.0)),
        ({"unavailable": frozenset({"battery"})}, "battery", (2.0, 0.0)),
        ({"battery_inverter__soc_pct": None}, "battery", (2.0, 0.0)),
        ({"battery_inverter__power_kw": None}, "battery", (0.0, 0.0)),
        ({"wallbox__state": None, "wallbox__power_kw": 7.0}, "charge_point", (7.0, 4.14)),
        ({"wallbox__power_kw": None}, "charge_point", (4.14, 4.14)),
        ({"air_handler__temperature_c": None}, "heat_pump", (4.0, 4.0)),
        ({"air_handler__temperature_c": None, "air_handler__power_kw": None}, "heat_pump", (0.0, 0.0)),
    ],
)
async def test_a_device_that_cannot_be_steered_is_planned_around(
    loop: Loop, changes: dict, asset: str, powers: tuple[float, float]
) -> None:
    assert isinstance(await loop.plan(**changes), Plan)
    model = next(a for a in loop.problem.assets if a.id == asset)
    assert isinstance(model, Load)
    demand = load_of(loop.problem, asset)
    assert (demand[0], demand[-1]) == pytest.approx(powers)
    assert loop.journal.records[-1][1]["not_planned_with"][asset]


async def test_an_inverter_that_is_not_steered_feeds_what_the_sun_gives(loop: Loop) -> None:
    await loop.plan()
    free = loop.problem.inputs["pv"]
    assert isinstance(free, PvInputs)
    await loop.plan(5.0, steered=ALL - {"pv"})
    assert load_of(loop.problem, "pv")[1:] == pytest.approx(-free.available_kw[1:], abs=0.5)
    await loop.plan(10.0, pv_inverter__power_kw=None)  # silent: its own failsafe limits it
    assert load_of(loop.problem, "pv").min() >= -35.0


async def test_a_site_released_to_local_plans_with_nothing(tmp_path: Path) -> None:
    site = demo_site()
    control = site.file.control.model_copy(update={"release_all_to_local": True})
    released: Site = site.model_copy(update={"file": site.file.model_copy(update={"control": control})})
    loop = build_loop(tmp_path, released)
    await loop.plan()
    assert all(isinstance(asset, Load) for asset in loop.problem.assets)
    assert set(loop.journal.records[-1][1]["not_planned_with"]) == ALL


# ---- the future


async def test_altering_the_future_of_what_is_stored_leaves_the_question_identical(tmp_path: Path) -> None:
    loop = build_loop(tmp_path / "a")
    await loop.plan()
    folder = _altered_site(tmp_path / "site", demo_site().folder, NOW)
    altered = build_loop(tmp_path / "b", demo_site().model_copy(update={"folder": folder}))
    await altered.plan()
    assert digest(altered.problem) == digest(loop.problem)
    for name in ("load.csv", "ev_sessions.csv"):
        assert (folder / "series" / name).read_text() != (demo_site().folder / "series" / name).read_text()


async def test_altering_the_past_does_change_the_question(tmp_path: Path) -> None:
    loop = build_loop(tmp_path / "a")
    await loop.plan()
    folder = _altered_site(tmp_path / "site", demo_site().folder, NOW - timedelta(days=1))
    altered = build_loop(tmp_path / "b", demo_site().model_copy(update={"folder": folder}))
    await altered.plan()
    assert digest(altered.problem) != digest(loop.problem)


def _altered_site(folder: Path, original: Path, after: datetime) -> Path:
    """Copy a site; whatever its series say of the time from `after` on is turned into something else."""
    (folder / "series").mkdir(parents=True)
    for name in ("grid.json", "tariff.yaml"):
        (folder / name).write_bytes((original / name).read_bytes())
    for name, column in (("load.csv", 1), ("ev_sessions.csv", 2)):
        head, *lines = (original / "series" / name).read_text().splitlines()
        rows = [line.split(",") for line in lines]
        for row in rows:
            # A load's hour that has begun, and a stay that has not ended, both lie in the future.
            ends = row[1] if name == "ev_sessions.csv" else row[0]
            end = datetime.fromisoformat(ends) + (timedelta(0) if name == "ev_sessions.csv" else timedelta(hours=1))
            if end > after:
                row[column] = str(99.0)
        text = "\n".join([head, *(",".join(row) for row in rows)])
        (folder / "series" / name).write_text(text + "\n")
    return folder


async def test_what_was_issued_after_now_is_not_looked_at(loop: Loop) -> None:
    await loop.plan()
    before = loop.problem.tariff.import_price.copy()
    feed = loop.feeds["price"]
    feed.formulas = {"price": lambda _: 4.0}
    honest = feed.fetch

    async def early(now: datetime) -> list:
        return [replace(s, issued_at=now + timedelta(seconds=1)) for s in await honest(now)]

    loop.feeds["price"].fetch = early  # type: ignore[method-assign]
    await loop.plan()
    assert (loop.problem.tariff.import_price == before).all()


# ---- feeds that fail


async def test_the_ladder_of_a_lost_feed_labels_the_plan(loop: Loop, caplog: pytest.LogCaptureFixture) -> None:
    await loop.plan()
    fresh = loop.problem.tariff.import_price
    assert loop.journal.records[-1][1]["forecast"] == "fresh"
    loop.feeds["price"].failing = "no route"
    with caplog.at_level(logging.INFO, "ems.slow.feed_desk"):
        await loop.plan(5.0)
        await loop.plan(10.0)
        assert (loop.problem.tariff.import_price[:100] == fresh[:100]).all()
        record = loop.journal.records[-1][1]
        assert record["forecast"] == "degraded forecast"
        assert record["labels"]["price"].rung == "last_known"
        assert record["labels"]["price"].issued_at == NOW
        assert loop.planning.foresight is not None
        assert loop.planning.foresight.degraded == ("price",)
        loop.feeds["price"].failing = ""
        await loop.plan(15.0)
    assert loop.journal.records[-1][1]["forecast"] == "fresh"
    assert [r.message for r in caplog.records if "price" in r.message] == [
        "the price feed fails: no route; planning goes on with the last known series",
        "the price feed is back",
    ]
    assert (loop.planning.counts.published, loop.planning.counts.degraded) == (4, 2)


async def test_after_max_age_the_last_known_series_is_not_used_any_more(loop: Loop) -> None:
    await loop.plan()
    loop.feeds["price"].failing = "no route"
    await loop.plan(40.0 * 60.0)  # past the end of what was published: yesterday's profile
    assert loop.planning.foresight is not None
    assert loop.planning.foresight.labels["price"].rung == "yesterday"
    await loop.plan(49.0 * 60.0)
    assert loop.planning.foresight.labels["price"].rung == "flat"
    assert np.ptp(loop.problem.tariff.import_price) == 0.0


async def test_a_feed_without_anything_ever_is_flat_and_planning_goes_on(loop: Loop) -> None:
    for feed in loop.feeds.values():
        feed.failing = "not there"
    assert isinstance(await loop.plan(), Plan)
    assert loop.planning.foresight is not None
    assert set(loop.planning.foresight.degraded) == {"price", "carbon", "outdoor_c", "irradiance_w_m2"}
    assert np.isfinite(loop.problem.tariff.import_price).all()


async def test_gaps_in_a_feed_are_filled_and_never_zero(loop: Loop) -> None:
    loop.feeds["price"].formulas = {"price": lambda h: None if int(h) % 3 == 0 else 0.2}
    await loop.plan()
    assert loop.problem.tariff.import_price == pytest.approx((0.2 + 0.1) * 1.19)


async def test_nothing_known_of_the_load_is_refused(tmp_path: Path) -> None:
    site = demo_site()
    series = site.file.series.model_copy(update={"load": None})
    bare: Site = site.model_copy(update={"file": site.file.model_copy(update={"series": series})})
    loop = build_loop(tmp_path, bare)
    answer = await loop.plan(grid_meter__power_kw=None)
    assert isinstance(answer, Refused)
    assert "series.load" in answer.reasons[0]
    for minute in (1.0, 2.0, 3.0):
        answer = await loop.plan(minute)
    assert isinstance(answer, Refused)  # a step of five minutes has to end first
    assert isinstance(await loop.plan(5.0), Plan)


# ---- small things


def test_the_digest_sees_every_part_of_a_question() -> None:
    from plan_samples import sample_problem

    problem = sample_problem()
    base = digest(problem)
    mutants = [
        replace(problem, inputs={**problem.inputs, "battery": BatteryInputs(40.000001, 0.2)}),
        replace(problem, tariff=replace(problem.tariff, carbon_price=0.0800001)),
        replace(problem, assets=problem.assets[::-1]),
        replace(problem, weights=replace(problem.weights, move=2e-4)),
        replace(problem, demand=DemandTerms(9.0, 900.0, np.zeros(4, int), np.array([20.0, 0.0]))),
        replace(problem, demand=DemandTerms(9.0, 900.0, np.zeros(4, int), np.array([20.001, 0.0]))),
        replace(problem, carbon_budget=CarbonBudget(np.ones((1, 4)), np.array([40.0]), 0.5)),
        replace(problem, slots=replace(problem.slots, start=problem.slots.start + timedelta(seconds=1))),
    ]
    assert len({base, *(digest(m) for m in mutants)}) == 9


def test_the_core_side_never_loads_the_heavy_libraries() -> None:
    code = (
        "import sys, ems.slow.planning_setup, ems.planning, ems.worker, ems.plan_check\n"
        "print([m for m in ('pandas', 'pyomo', 'highspy', 'pandapower', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ})
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("limit_kw", "share"),
    [
        (None, 0.6),  # released: what is missing is missing from the sun
        (80.0, 0.6),
        (22.0, 1.0),  # held back: it says nothing about the sun
    ],
)
async def test_the_sun_is_learnt_only_from_an_inverter_that_was_free(
    tmp_path: Path, limit_kw: float | None, share: float
) -> None:
    noon = datetime(2025, 5, 14, 11, tzinfo=UTC)
    loop = build_loop(tmp_path, at=noon)
    await loop.plan(pv_inverter__power_kw=None)  # nothing to learn from yet
    free = loop.planning.foresight
    assert free is not None
    measured_kw = -0.6 * float(free.pv_kw["pv"][0])
    for minute in range(5, 65, 5):
        await loop.plan(minute, pv_inverter__power_kw=measured_kw, pv_inverter__limit_kw=limit_kw)
    await loop.plan(65.0, pv_inverter__power_kw=measured_kw, pv_inverter__limit_kw=limit_kw)
    later = loop.planning.foresight
    assert later is not None
    assert later.pv_kw["pv"][0] / free.pv_kw["pv"][4] == pytest.approx(share, abs=0.05)
