"""The shipped site with a heat node: the daemon keeps it warm, and the heat side binds."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ems.config.heat_assets import TankAsset
from ems.config.loading import load_site
from ems.config.sites import find_site
from ems.study.arms import Controller
from tests.benchmarks.heat_site import bound, lived, measure


def test_an_hour_on_the_pretend_plant_leaves_nobody_cold() -> None:
    site = load_site(find_site("demo_heat"))
    arm, plant = lived(site, datetime(2025, 1, 20, 5, tzinfo=UTC), 1.0, 1, Controller.PLAN)
    tanks = {name: spec for name, spec in site.file.assets.items() if isinstance(spec, TankAsset)}
    assert len(tanks) == 2
    for name, tank in tanks.items():
        water_c = plant.records[f"{name}:temperature_c"]
        assert tank.low_c - 1.5 < water_c.min() and water_c.max() < tank.high_c + 1.5
    assert plant.state("warmth")["heat_kwh"] > 20.0 and plant.state("warmth_far")["heat_kwh"] > 10.0
    assert arm.verdict["heat"]["cold_kwh"] < 1e-6
    assert arm.counters["setpoints"]["refused"] == 0
    shares = bound(site, plant)
    assert shares.pop("any") >= max(shares.values()), "what binds anywhere binds the site"


@pytest.mark.soak
def test_the_heat_side_binds_in_a_twentieth_of_a_day_and_the_plan_is_worth_it() -> None:
    told = measure(first="2025-01-20", hours="24")
    plan = told["plan"]
    assert plan["bound"]["any"] >= 0.05
    assert plan["verdict"]["heat"]["cold_kwh"] < 0.01
    assert plan["verdict"]["violation_share"] == 0.0
    assert plan["counters"]["missed_deadlines"] == 0
    assert plan["verdict"]["cost"] < min(told["rules"]["verdict"]["cost"], told["none"]["verdict"]["cost"])
