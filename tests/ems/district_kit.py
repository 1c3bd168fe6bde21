"""A slow loop of the demo district with everything outside it replaced: feeds, journal, clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from planning_kit import IdleSolver, ListJournal, StoredFeed, feeds, prepare_grid

from drivers.points import Quality
from ems.clock import SimulatedClock
from ems.config.binding import Bindings, bind
from ems.config.loading import load_site
from ems.config.site import Site
from ems.planning import Planning
from ems.process_image import Reading, Snapshot
from ems.slow.planning_setup import build_planning
from ems.worker import Solver

DISTRICT = Path(__file__).resolve().parents[2] / "sites" / "demo_district"
START = datetime(2025, 2, 20, 9, 0, tzinfo=UTC)

BY_ROLE: Mapping[tuple[str, str], float] = {
    ("grid_meter", "power_kw"): 60.0,
    ("grid_meter", "import_kwh"): 1000.0,
    ("metered_load", "power_kw"): 8.0,
    ("pv", "power_kw"): -2.0,
    ("battery", "power_kw"): 0.0,
    ("battery", "soc_pct"): 50.0,
    ("charge_point", "power_kw"): 0.0,
    ("charge_point", "state"): 0.0,
    ("heat_pump", "power_kw"): 5.0,
    ("heat_pump", "temperature_c"): 20.5,
    ("heat_pump", "outdoor_c"): 3.0,
    ("building_automation", "hvac_limit_kw"): 20.0,
    ("building_automation", "charging_limit_kw"): 9.0,
}
"""What is measured unless told otherwise, by kind and role."""


@cache
def district() -> Site:
    """Load the demo district once."""
    return load_site(DISTRICT)


@cache
def district_bindings() -> Bindings:
    """Bind it once."""
    return bind(district())


def seen(at: datetime, **changes: float | None) -> Snapshot:
    """Take a snapshot; `school_bas__hvac_limit_kw=5.0` changes an asset's value, None makes it bad."""
    site, bindings = district(), district_bindings()
    told = {tuple(name.split("__")): value for name, value in changes.items()}
    seconds = (at - START).total_seconds() + 1e6
    readings = {}
    for name, spec in site.file.assets.items():
        for (kind, role), usual in BY_ROLE.items():
            point = bindings.measure(name, role) if kind == spec.kind else None
            if point is not None:
                value = told.get((name, role), usual)
                quality = Quality.BAD if value is None else Quality.GOOD
                readings[point] = Reading(point, value, at, seconds, quality, "lost" if value is None else "")
    return Snapshot(at, seconds, readings)


@dataclass(slots=True)
class DistrictLoop:
    """A slow loop of the district with its surroundings in reach."""

    planning: Planning
    clock: SimulatedClock
    solver: Solver
    journal: ListJournal
    feeds: dict[str, StoredFeed]


def district_loop(state_dir: Path, solver: Solver | None = None, at: datetime = START) -> DistrictLoop:
    """Build a slow loop of the demo district; without a solver one that plans nothing."""
    site = district()
    prepare_grid(site, state_dir)
    clock, journal, published, solver = SimulatedClock(at), ListJournal(), feeds(), solver or IdleSolver()
    planning = build_planning(
        site, district_bindings(), clock, solver=solver, journal=journal, state_dir=state_dir, feeds=published
    )
    return DistrictLoop(planning, clock, solver, journal, published)
