"""Which cars come where: from the scenario or from the site's recorded sessions, drawn by chance in what nobody knows.

A place is a car park, or a charge point that belongs to none. A session names its place as `park` or `asset`; without
either it belongs to the only place that a site has.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ems.config.assets import ChargePointAsset
from ems.config.site import Site
from hil.plant.charge_point import Car
from hil.plant.draws import stream
from hil.plant.weather import Era
from hil.scenario import Scenario, ScenarioError


@dataclass(frozen=True, slots=True)
class Stay:
    """One stay: where, arrival and departure [s since the start], energy [kWh], power [kW]."""

    place: str | None
    arrival_s: float
    departure_s: float
    energy_kwh: float
    charge_kw: float


def places(site: Site) -> dict[str, list[str]]:
    """Name the places of a site, each with its charge points, in the order of the site file."""
    found: dict[str, list[str]] = {}
    for name, spec in site.file.assets.items():
        if isinstance(spec, ChargePointAsset):
            found.setdefault(spec.park or name, []).append(name)
    return found


def draw_cars(site: Site, scenario: Scenario, era: Era, start: datetime, span_s: float) -> dict[str, list[Car]]:
    """Draw the cars of every place, in order of arrival; one that comes in an altered future wants another amount.

    Args:
        site: the site.
        scenario: what it meets.
        era: seeds of chance.
        start: UTC start of the run.
        span_s: how far cars are wanted [s].

    Raises:
        ScenarioError: a stay names no place, or one that the site does not have.
    """
    known = places(site)
    stays: dict[str, list[Stay]] = {place: [] for place in known}
    for stay in _stays(site, scenario, start):
        if 0.0 <= stay.arrival_s < span_s or scenario.cars is not None:
            stays[_place(stay, known)].append(stay)
    return {place: _cars(place, sorted(found, key=lambda s: s.arrival_s), era) for place, found in stays.items()}


def _place(stay: Stay, known: Mapping[str, Sequence[str]]) -> str:
    if stay.place in known:
        return str(stay.place)
    if stay.place is None and len(known) == 1:
        return next(iter(known))
    where = f"at {stay.place!r}" if stay.place is not None else "at no place"
    raise ScenarioError(f"a car comes {where}: name a park or a charge point without one: {', '.join(known) or 'none'}")


def _cars(place: str, stays: Sequence[Stay], era: Era) -> list[Car]:
    cars = []
    for i, stay in enumerate(stays):
        later = era.altered_from_s is not None and stay.arrival_s >= era.altered_from_s
        rng = stream(era.altered_seed if later else era.seed, f"{place} car {i}")
        wanted_kwh = stay.energy_kwh * float(rng.uniform(0.5, 0.9)) if later else stay.energy_kwh
        span = (stay.arrival_s, stay.departure_s)
        name = f"{place}-{i + 1}"
        cars.append(Car.drawn(rng, stay_s=span, energy_kwh=wanted_kwh, charge_kw=stay.charge_kw, name=name))
    return cars


def _stays(site: Site, scenario: Scenario, start: datetime) -> list[Stay]:
    if scenario.cars is not None:
        return [
            Stay(v.place, v.arrival_s, v.arrival_s + v.stay_s, v.energy_kwh, v.charge_kw)
            for v in sorted(scenario.cars, key=lambda v: v.arrival_s)
        ]
    if site.file.series.ev_sessions is None:
        return []
    return _recorded(site.folder / "series" / site.file.series.ev_sessions, start)


def _recorded(path: Path, start: datetime) -> list[Stay]:
    with path.open(newline="") as file:
        return [_stay(row, start) for row in csv.DictReader(file)]


def _stay(row: Mapping[str, str], start: datetime) -> Stay:
    arrival_s, departure_s = (
        (datetime.fromisoformat(row[key]) - start).total_seconds() for key in ("arrival", "departure")
    )
    place = row.get("park") or row.get("asset") or None
    return Stay(place, arrival_s, departure_s, float(row["energy_kwh"]), float(row["charge_kw"]))
