"""What a site file cannot say of phases: each said at its place, with what to write instead."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from small_site import SITE, problems

from ems.commands.understood import describe, understood
from ems.config.asset_models import asset_models
from ems.config.binding import bind
from ems.config.loading import load_site
from ems.config.sites import find_site
from ems.slow.planning_setup import balanced_limits, grid_limits
from optimization.grid_case import bus_numbers
from optimization.phases import on_phase

STREET = SITE.replace("bus: houses", "bus: street_end")
LOAD = "bus: street_end, residual_share: 1"
ON_A = STREET.replace(LOAD, f"phase: a, {LOAD}")
POINT = "    charge_kw: 22\n"
LIMIT = "  export_limit_kw: 40\n"
BROKEN = {
    "no such phase": (STREET.replace(LOAD, f"phase: d, {LOAD}"), ":32:", "houses.phase: 'd' is not one of a, b, c"),
    "a point with three phases at one": (
        ON_A.replace(POINT, f"{POINT}    phase: b\n"),
        ":40:",
        "charge_point.phases: 3 stands beside `phase`; a charge point at one phase has one: write 1",
    ),
    "nobody at one phase": (
        STREET.replace(LIMIT, f"{LIMIT}  per_phase: true\n"),
        ":11:",
        "grid.per_phase: true, yet no asset has a `phase`; write it where an asset is connected at one",
    ),
}


@pytest.fixture
def street(yard: Path) -> Path:
    shutil.copy(find_site("demo_phases") / "grid.json", yard / "grid.json")
    return yard


@pytest.mark.parametrize("name", BROKEN)
def test_one_slip_of_a_phase_gives_one_problem_at_its_place(street: Path, name: str) -> None:
    text, line, words = BROKEN[name]
    (found,) = problems(street, text)
    assert found.startswith(f"site.yaml{line}"), found
    assert words in found, found


def test_a_grid_without_a_zero_sequence_is_named_with_what_it_lacks(yard: Path) -> None:
    shutil.copy(find_site("demo_feeder") / "grid.json", yard / "grid.json")
    text = SITE.replace("bus: houses, residual", "bus: houses_far, phase: c, residual").replace(
        "bus: houses\n", "bus: houses_far\n"
    )
    (found,) = problems(yard, text)
    assert found.startswith("site.yaml:8:"), found
    assert "grid.json has no zero sequence (line lacks r0_ohm_per_km, x0_ohm_per_km, c0_nf_per_km; trafo lacks" in found
    assert "which `phase: c` of houses needs; add the columns with pandapower, or leave out every `phase`" in found


def test_the_phases_of_a_site_reach_the_planner() -> None:
    site = load_site(find_site("demo_phases"))
    assert grid_limits(site).per_phase
    assert not balanced_limits(site).per_phase
    buses = bus_numbers(site.folder / site.file.grid.file)
    models = asset_models(site, buses)
    assert models["car_1"].bus == on_phase(buses["street_end"], "a")
    assert models["homes_corner"].bus == buses["corner"]


def test_what_was_understood_names_the_phase() -> None:
    site = load_site(find_site("demo_phases"))
    lines = list(describe(understood(site, bind(site), datetime(2025, 1, 15, tzinfo=UTC))))
    assert "asset     homes_end_b: load at street_end phase b, 16 % of what no device explains" in lines
    assert "asset     homes_corner: load at corner, 52 % of what no device explains" in lines


def test_a_site_may_have_its_phases_planned_as_one(street: Path) -> None:
    (street / "site.yaml").write_text(ON_A.replace(LIMIT, f"{LIMIT}  per_phase: false\n"), encoding="utf-8")
    assert not grid_limits(load_site(street)).per_phase
    (street / "site.yaml").write_text(STREET, encoding="utf-8")
    assert not grid_limits(load_site(street)).per_phase
