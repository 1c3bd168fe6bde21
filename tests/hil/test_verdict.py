"""The judge, on evidence made by hand."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ems.config.site import Site
from hil.plant.charge_point import Departure
from hil.plant.feeder import Plant
from hil.plant.records import Records
from hil.plant_build import build_plant
from hil.scenario_file import load_scenario
from hil.service import comfort_by_zone_kh, ev_shortfall_kwh
from hil.verdict import carbon_of, judge, judge_limits

GRID = SimpleNamespace(
    voltage_min_pu=0.95, voltage_max_pu=1.05, loading_max_pct=100.0, import_limit_kw=80.0, export_limit_kw=40.0
)
LIMITS: Any = SimpleNamespace(file=SimpleNamespace(grid=GRID))


def evidence(volts: list[float], loads: list[float], import_kw: list[float] | None = None) -> Records:
    records = Records(("time_s", "supply", "import_kw", "v:barn", "loading:trafo"))
    for k, row in enumerate(zip(import_kw or [0.0] * len(volts), volts, loads, strict=True)):
        records.append([10.0 * (k + 1), 1.0, *row])
    return records


def steps(*pieces: tuple[int, float]) -> list[float]:
    return [value for count, value in pieces for _ in range(count)]


QUIET_V, QUIET_PCT = 1.0, 50.0


@pytest.mark.parametrize(
    ("volts", "violated"),
    [
        (steps((120, 1.0)), 0),
        (steps((120, 1.06)), 120),
        (steps((60, 1.06), (60, 1.0)), 60),
        (steps((25, 1.06), (95, 1.0)), 0),  # 250 s of 1.06 in a 10-minute window: the mean is 1.025
        (steps((59, 1.051), (61, 1.0)), 60),
        (steps((60, 0.94), (60, 1.0)), 60),
        (steps((30, 1.09), (30, 1.0), (60, 1.0)), 0),
        (steps((60, 1.0), (30, 1.2)), 30),  # the last window is short: its mean counts
    ],
)
def test_voltage_is_judged_as_ten_minute_means(volts: list[float], violated: int) -> None:
    found = judge_limits(LIMITS, evidence(volts, [QUIET_PCT] * len(volts)))
    assert int(found.violated.sum()) == violated


@pytest.mark.parametrize(
    ("loads", "violated"),
    [
        (steps((12, 99.0)), 0),
        (steps((12, 101.0)), 12),
        (steps((3, 110.0), (3, 89.0), (6, 50.0)), 0),
        (steps((3, 115.0), (3, 89.0), (6, 50.0)), 6),
        (steps((1, 130.0), (11, 50.0)), 0),  # 10 s above 120 % may be
        (steps((2, 130.0), (10, 50.0)), 2),  # more may not
        (steps((5, 50.0), (2, 125.0), (5, 50.0)), 2),  # also across the border of two minutes
        (steps((1, 130.0), (4, 50.0), (1, 130.0), (6, 50.0)), 0),
    ],
)
def test_loading_is_judged_as_minute_means_and_never_far_above(loads: list[float], violated: int) -> None:
    found = judge_limits(LIMITS, evidence([QUIET_V] * len(loads), loads))
    assert int(found.violated.sum()) == violated


@pytest.mark.parametrize(
    ("import_kw", "violated"),
    [
        (steps((12, 79.0)), 0),
        (steps((12, 81.0)), 12),
        (steps((12, -39.0)), 0),
        (steps((6, -41.0), (6, 0.0)), 6),
        (steps((1, 200.0), (11, -20.0)), 0),
        (steps((2, -49.0), (10, 0.0)), 2),
    ],
)
def test_the_connection_is_judged_as_branches_are(import_kw: list[float], violated: int) -> None:
    count = len(import_kw)
    found = judge_limits(LIMITS, evidence([QUIET_V] * count, [QUIET_PCT] * count, import_kw))
    assert int(found.violated.sum()) == violated


def test_margins_are_shares_of_the_limit() -> None:
    found = judge_limits(LIMITS, evidence([1.0395] * 60, [80.0] * 60))
    assert found.margin.min() == pytest.approx(0.01)
    found = judge_limits(LIMITS, evidence([1.0] * 60, [110.0] * 60))
    assert found.margin.min() == pytest.approx(-0.1)


def test_steps_before_control_are_not_judged() -> None:
    records = evidence(steps((30, 1.2), (60, 1.0)), [QUIET_PCT] * 90)
    assert judge_limits(LIMITS, records).violated.any()
    found = judge_limits(LIMITS, records, from_s=300.0)
    assert not found.violated.any() and len(found.violated) == 60


def test_nothing_is_no_violation() -> None:
    found = judge_limits(LIMITS, evidence([], []))
    assert len(found.violated) == 0


@given(st.lists(st.tuples(st.floats(0.9, 1.1), st.floats(0.0, 150.0)), min_size=1, max_size=200))
def test_a_margin_below_nothing_is_a_violation(rows: list[tuple[float, float]]) -> None:
    found = judge_limits(LIMITS, evidence([v for v, _ in rows], [load for _, load in rows]))
    assert (found.violated | (found.margin >= 0.0)).all()
    assert len(found.violated) == len(rows)


@pytest.fixture
def plant(site: Site) -> Plant:
    return build_plant(site, load_scenario("demo_hour"), 1, witness=False)


def test_the_sum_of_the_parts_is_the_cost(site: Site, plant: Plant) -> None:
    plant.advance(3600.0)
    found = judge(site, plant)
    assert found["cost"] == pytest.approx(sum(found["cost_parts"].values()))
    assert found["energy_kwh"] == plant.import_kwh and found["export_kwh"] == plant.export_kwh
    assert found["currency"] == "EUR"
    assert found["plant_limits"]["steps_judged"] == 360
    assert found["violation_share"] > 0.03 and found["plant_limits"]["excursions"] >= 1
    assert found["reaction_s"]["max"] >= 60.0
    assert found["power_flow"] == {"asked": 0}


def test_the_bill_is_what_the_meter_counted(site: Site, plant: Plant) -> None:
    plant.command("pv", 0.0)
    plant.advance(3600.0)
    tariff, price = site.tariff, plant.market.price_at(plant.start)
    expected = plant.import_kwh * float(tariff.import_price(np.array([price]))[0]) + tariff.fixed_per_day / 24.0
    assert judge(site, plant)["cost_parts"]["bill"] == pytest.approx(expected - 0.0, rel=1e-3)
    assert carbon_of(plant) == pytest.approx(plant.import_kwh * plant.market.carbon_at(plant.start), rel=1e-3)


def test_stored_energy_is_worth_what_it_saves(site: Site) -> None:
    full, idle = (build_plant(site, load_scenario("demo_hour"), 1, witness=False) for _ in range(2))
    full.command("battery", 40.0)
    for each in (full, idle):
        each.advance(1800.0)
    stored_kwh = full.state("battery")["energy_kwh"] - idle.state("battery")["energy_kwh"]
    price = float(site.tariff.import_price(np.array([full.market.price_at(full.start)]))[0])
    worth = judge(site, idle)["cost_parts"]["stored"] - judge(site, full)["cost_parts"]["stored"]
    assert stored_kwh > 17.0
    assert worth == pytest.approx(stored_kwh * price * 0.96, rel=0.01)


def test_heat_counts_in_winter_and_not_in_may(site: Site) -> None:
    def worth(name: str, power_kw: float) -> float:
        made = build_plant(site, load_scenario(name), 1, witness=False)
        made.command("heat_pump", power_kw)
        made.advance(3600.0)
        return -float(judge(site, made)["cost_parts"]["stored"])

    assert worth("winter_day", 15.0) > worth("winter_day", 0.0) + 1.0
    assert worth("demo_hour", 15.0) == pytest.approx(worth("demo_hour", 0.0), abs=0.01)


def test_cars_that_leave_hungry_cost(site: Site, plant: Plant) -> None:
    before = judge(site, plant)["cost_parts"]["ev_shortfall"] if len(plant.records) else 0.0
    plant.advance(10.0)
    plant.devices["charge_point"].departures += [Departure(5.0, 10.0, 7.5), Departure(6.0, 10.0, 10.2)]  # type: ignore[attr-defined]
    assert ev_shortfall_kwh(plant) == 2.5
    assert judge(site, plant)["cost_parts"]["ev_shortfall"] - before == pytest.approx(7.5)


def test_kelvin_hours_outside_the_band_are_discomfort(site: Site, plant: Plant) -> None:
    building = plant.devices["heat_pump"]
    plant.advance(10.0)
    building.air_c = building.mass_c = 19.5  # type: ignore[attr-defined]
    plant.command("heat_pump", 0.0)
    plant.advance(1790.0)
    air = plant.records["heat_pump:temperature_c"]
    assert comfort_by_zone_kh(site, plant)["site"] == pytest.approx(np.maximum(20.5 - air, 0.0).sum() / 360.0, rel=1e-6)
    assert comfort_by_zone_kh(site, plant)["site"] > 0.1
