"""A table of outages that a grid cannot have: each said at its place, with what the grid has."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from small_site import SITE, problems

from ems.config.loading import load_site
from ems.config.sites import find_site
from ems.slow.planning_setup import feeder, grid_limits
from optimization.switching import Outage
from optimization.witness import Witness

RING = SITE.replace("bus: houses", "bus: houses_near")
LIMIT = "  export_limit_kw: 40\n"
BROKEN = {
    "{out: [busbar - brn]}": "out: grid.json has no line or transformer 'busbar - brn' (did you mean `busbar - barn`?)"
    "; known are busbar - houses_near, busbar - office,",
    "{out: [busbar - barn], closed: [tie]}": "closed: grid.json has no switch 'tie'; known are tie at the barn",
    "{out: []}": "out: ",
    "{closed: []}": "out: is missing",
    "{out: [busbar - barn], loading_max: 120}": "loading_max: is not a known key here (did you mean `loading_max_p",
    "{out: [busbar - barn], voltage_min_pu: 1.1, voltage_max_pu: 1.0}": "voltage_min_pu: 1.1 is not below",
}


@pytest.fixture
def ring(yard: Path) -> Path:
    shutil.copy(find_site("demo_ring") / "grid.json", yard / "grid.json")
    return yard


@pytest.mark.parametrize("outage", BROKEN)
def test_one_slip_of_an_outage_gives_one_problem_at_its_place(ring: Path, outage: str) -> None:
    text = RING.replace(LIMIT, f"{LIMIT}  outages:\n    cable: {outage}\n")
    (found,) = problems(ring, text)
    assert found.startswith("site.yaml:12:"), found
    assert f"  grid.outages.cable.{BROKEN[outage]}" in found, found


def test_the_outages_of_a_site_reach_the_planner() -> None:
    site = load_site(find_site("demo_ring"))
    asked = feeder(site, Path("state"), Witness.LIVE)
    assert asked.outages == (
        Outage("houses_cable", ("busbar - houses_near",), (0,), grid_limits(site)),
        Outage("barn_cable", ("busbar - barn",), (0,), grid_limits(site)),
    )
    assert (asked.witness, asked.bisections) == (Witness.LIVE, 3)


def test_other_limits_until_the_repair_are_taken_where_they_are_said(ring: Path) -> None:
    text = RING.replace(LIMIT, f"{LIMIT}  outages:\n    cable: {{out: [busbar - barn], loading_max_pct: 120}}\n")
    (ring / "site.yaml").write_text(text, encoding="utf-8")
    (outage,) = feeder(load_site(ring), ring).outages
    assert outage.limits is not None
    assert (outage.limits.loading_max_pct, outage.limits.voltage_max_pu) == (120.0, 1.05)
