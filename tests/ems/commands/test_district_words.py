"""What `ems check` and `ems status` say of a district: zones, onlookers, the metering interval, the queues."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from ems.commands import status, understood
from ems.config.binding import bind
from ems.config.loading import load_site

DISTRICT = Path(__file__).resolve().parents[3] / "sites" / "demo_district"
DEMAND = {
    "start": "2025-05-20T10:00:00+00:00", "interval_s": 900.0, "left_s": 420.0, "unknown_s": 0.0, "mean_kw": 41.25,
    "target_kw": 52.0, "basis": "planned", "allowed_kw": 60.0, "peak_kw": 47.0,
}  # fmt: skip
SNAPSHOT = {
    "at": "2025-05-20T10:08:00+00:00",
    "demand": DEMAND,
    "zones": {"homes": {"privacy": "personal", "kw": 12.5, "planned_kw": None}},
    "queues": {"market": {"waiting": [{"in_time": True}, {"in_time": False}]}},
    "assets": {
        "market_1": {"kind": "charge_point", "privacy": "personal"},
        "works_pv": {"kind": "pv", "privacy": "internal", "kw": -9.0},
    },
}


def test_a_district_is_said_back_with_its_zones_and_what_only_tells() -> None:
    site = load_site(DISTRICT)
    facts = understood.understood(site, bind(site), datetime(2025, 5, 1, tzinfo=UTC))
    lines = list(understood.describe(facts))
    assert any(line.startswith("zone      homes: residential, sums only; homes_block, homes_1") for line in lines)
    (automation,) = [line for line in lines if "building_automation on" in line]
    assert "publishes hvac_limit_kw of school_heat_pump, 30 kW unread" in automation
    assert "charging_limit_kw of market_4" in automation
    assert facts["assets"]["school_bas"]["limits"]["charging_limit_kw"] == "market_4"


def test_status_tells_sums_of_homes_and_names_no_single_home() -> None:
    lines = list(status.describe(SNAPSHOT, 1.0, []))
    assert "demand    41.25 kW so far, 420 s left; target 52.00 kW (planned)" in lines
    assert "zone      homes (personal): measured 12.50 kW, planned -" in lines
    assert "queue     market: 2 waiting, 1 of them cannot be served in time" in lines
    assert any("works_pv" in line for line in lines)
    assert not any("market_1" in line for line in lines)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"unknown_s": 300.0}, "420 s left, 300 s unknown; target 52.00 kW (planned)"),
        ({"target_kw": None, "basis": "no plan names one"}, "420 s left; no plan names one"),
        ({"mean_kw": None}, "- so far"),
    ],
)
def test_the_metering_interval_says_what_it_does_not_know(more, words) -> None:
    assert words in next(
        line for line in status.describe({**SNAPSHOT, "demand": {**DEMAND, **more}}, 1.0, []) if "demand" in line
    )
