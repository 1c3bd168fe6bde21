"""The slow loop: what it asks, and what it does when something is missing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from planning_kit import NOW, Loop, build_loop, demo_site

from ems.config.assets import HeatPumpAsset
from ems.config.site import Site
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
from optimization.problem import EnergyTiers, Plan, Problem, Subscription
from optimization.tariff import CapacitySubscription, Rate, Tier

ALL = {"pv", "battery", "charge_point", "heat_pump"}


@pytest.fixture
def loop(tmp_path: Path) -> Loop:
    return build_loop(tmp_path)


def load_of(problem: Problem, asset: str) -> np.ndarray:
    inputs = problem.inputs[asset]
    assert isinstance(inputs, LoadInputs)
    return inputs.demand_kw


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
