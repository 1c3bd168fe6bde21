"""Bands and envelopes of a site file: in the question, in a plan that passes its check, in the record and the table."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from planning_kit import build_loop, demo_site

from ems.commands.plan_kept import Kept
from ems.commands.plan_shown import table_lines
from ems.commands.understood import describe, understood
from ems.config.binding import bind
from ems.config.flexibility import PowerEnvelope, ReserveBand
from ems.config.flexibility_models import envelopes, reserves
from ems.config.site import Site
from ems.plan_check import check_plan
from ems.slow.plan_record import plan_record
from ems.store.encoding import to_json
from optimization.assets import Battery, Load
from optimization.problem import Envelope, Plan
from optimization.rolling import Planner
from optimization.slots import uniform

MEMBERS = ("battery", "pv")
BAND = ReserveBand(members=MEMBERS, up_kw=12.0, down_kw=4.0, hold_s=900.0, missing_per_kwh=2.0, from_h=11, to_h=14)
GREEDY = ReserveBand(members=("battery",), up_kw=60.0, hold_s=3600.0, missing_per_kwh=0.1)
NOON = PowerEnvelope(low_kw=6.0, price_per_kwh=3.0, from_h=11.0, to_h=13.5)
AT = datetime(2025, 5, 14, 5, tzinfo=UTC)
ZONE = ZoneInfo("Europe/Berlin")


@pytest.fixture(scope="module")
def site() -> Site:
    bands = {"reserves": {"spinning": BAND, "greedy": GREEDY}, "envelopes": {"noon": NOON}}
    return demo_site().model_copy(update={"file": demo_site().file.model_copy(update=bands)})


def test_hours_are_local_and_a_slot_partly_within_counts_by_its_part(site: Site) -> None:
    slots = uniform(datetime(2025, 5, 14, 8, tzinfo=UTC), 5, 3600.0)  # local 10, 11, 12, 13, 14 o'clock
    (wanted,) = envelopes(site.file, slots, ZONE)
    assert wanted.price_per_kwh == pytest.approx([0.0, 3.0, 3.0, 1.5, 0.0])
    assert (wanted.low_kw == 6.0).all()
    assert (wanted.high_kw == site.file.grid.import_limit_kw).all()
    first, second = reserves(site.file, slots, ZONE, (Battery("battery", 10.0, 4.0, 4.0), Load("pv")))
    assert first.up_kw.tolist() == [0.0, 12.0, 12.0, 12.0, 0.0]
    assert first.members == ("battery",), "what nobody steers keeps nothing ready"
    assert second.up_kw.tolist() == [60.0] * 5
    assert reserves(site.file, slots, ZONE, (Load("battery"), Load("pv"))) == ()


async def test_a_plan_of_the_site_holds_what_it_can_and_tells_what_is_missing(site: Site, tmp_path: Path) -> None:
    loop = build_loop(tmp_path, site, at=AT)
    loop.solver.answer = lambda problem, now: None
    await loop.plan()
    asked = replace(loop.solver.asked[-1], network=None)
    assert [band.id for band in asked.reserves] == ["spinning", "greedy"]
    assert sum(isinstance(charge, Envelope) for charge in asked.charges) == 1
    plan = Planner(None, tmp_path).plan(asked, AT)
    assert isinstance(plan, Plan), plan
    assert check_plan(asked, plan) == ()
    missing = {name: held.up_missing_kw.max() for name, held in plan.held_reserves.items()}
    assert missing["spinning"] == pytest.approx(0.0, abs=1e-4)
    assert missing["greedy"] > 20.0
    foresight: Any = SimpleNamespace(degraded=False, labels={}, methods={}, branches={})
    body = json.loads(to_json(plan_record(asked, plan, foresight, {})))
    lines = list(table_lines(site, Kept.of(body, site), None))
    assert "reserve   spinning: 12 kW up, 4 kW down is held" in lines
    assert any(line.startswith("reserve   greedy: 60 kW up, 0 kW down misses ") for line in lines)
    hours = plan.slots.duration_h
    outside_kwh = float(hours @ plan.charged[-1])
    assert f"envelope  noon: {outside_kwh:.1f} kWh outside" in lines
    wanted = next(charge for charge in asked.charges if isinstance(charge, Envelope))
    at_noon_kw = (plan.import_kw - plan.export_kw)[wanted.price_per_kwh > 0.0]
    assert at_noon_kw.min() == pytest.approx(6.0, abs=1e-3), "it binds, as the sun would rather be sold or stored"


def test_what_was_understood_is_said_back(site: Site) -> None:
    facts = understood(site, bind(site), AT)
    facts["assets"]["pv"]["curves"] = ["Q(U)", "P(U)"]
    lines = list(describe(facts))
    power = "12 kW up and 4 kW down for 900 s"
    assert f"reserve   spinning: battery, pv keep {power} ready, every day from 11:00 to 14:00" in lines
    assert "envelope  noon: at least 6 kW of import are wanted, every day from 11:00 to 13:30" in lines
    assert "curves    pv: its inverter follows Q(U) and P(U) by itself" in lines
