"""What the live stream tells of the cars that stand at charge points, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, tzinfo
from typing import Any


def standing_cars(snapshot: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Give what is told of cars, by charge point; of those in personal zones nothing is."""
    assets: Mapping[str, Any] = snapshot.get("assets") or {}
    return {name: asset["car"] for name, asset in assets.items() if asset.get("car")}


def car_lines(cars: Mapping[str, Mapping[str, Any]], zone: tzinfo) -> Iterator[str]:
    """Say of each car what it wants, when it leaves, and how probable it is that it is ready then."""
    if not cars:
        yield "no car stands at a charge point, or none of which anything may be told"
    for name, car in cars.items():
        yield f"{name}: {car_words(car, zone)}"


def car_words(car: Mapping[str, Any], zone: tzinfo) -> str:
    """Say of a car how it is."""
    leaves = _local(car["departure"], zone)
    if car["told"]:
        wants = "has what it wants" if not car["wanted_kwh"] else f"wants {car['wanted_kwh']:g} kWh more"
        by = f", by the plan at {_local(car['ready_at'], zone)}" if car["ready_at"] and car["wanted_kwh"] else ""
        words = f"{wants}{by}, leaves at {leaves}"
    else:
        words = f"nobody said what it wants; taken to leave at {leaves}"
    return f"{words}; ready when it leaves: {_share(car['ready_probability'])}"


def _share(probability: float | None) -> str:
    return "not known" if probability is None else f"{100.0 * probability:.0f} %"


def _local(instant: str, zone: tzinfo) -> str:
    return f"{datetime.fromisoformat(instant).astimezone(zone):%d.%m. %H:%M}"
