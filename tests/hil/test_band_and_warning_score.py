"""The scores of estimate and warnings, on short stretches of the pretend district."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from ems.config.loading import load_site
from ems.config.site import Site
from ems.slow.planning_setup import grid_limits, grid_path
from ems.slow.warnings import EarlyWarning, Expected, Outcome
from hil.band_score import coverage
from hil.plant.weather import Kind as Weather
from hil.warning_score import report, score
from hil.warning_truth import Event
from hil.warning_watch import Shelf, Watched, watch
from optimization.network_build import prepare
from optimization.outlook import SHORTAGE, SURPLUS, Concern, Kind

DISTRICT = Path(__file__).resolve().parents[2] / "sites" / "demo_district"
BEGINS = datetime(2026, 5, 4, tzinfo=UTC)


@pytest.fixture(scope="module")
def district() -> Site:
    return load_site(DISTRICT)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory, district: Site) -> Path:
    folder = tmp_path_factory.mktemp("score-cache")
    prepare(grid_path(district), grid_limits(district), folder)
    return folder


def test_nine_of_ten_true_values_lie_in_the_bands_of_the_estimate(district: Site, cache: Path) -> None:
    case = prepare(grid_path(district), grid_limits(district), cache)
    days = [
        coverage(district, case, seed, weather, 12.0) for seed in (1, 2) for weather in (Weather.WINTER, Weather.SUNNY)
    ]
    for what in ("voltage", "load", "loading"):
        share = np.mean([within for day in days for within in day[what]])
        assert 0.80 <= share <= 0.99, what


@pytest.mark.soak
def test_the_bands_cover_85_to_95_pct_over_seeds_and_seasons(district: Site, cache: Path) -> None:
    case = prepare(grid_path(district), grid_limits(district), cache)
    days = [coverage(district, case, s, weather) for s in range(1, 9) for weather in (Weather.WINTER, Weather.SUNNY)]
    for what in ("voltage", "load", "loading"):
        assert 0.85 <= np.mean([within for day in days for within in day[what]]) <= 0.95, what


def test_a_sunny_day_is_watched_from_measured_points_alone(district: Site, cache: Path) -> None:
    shelf = Shelf.of(district, cache)
    week = asyncio.run(watch(district, 2, shelf, days=0.75, learn_days=1.0))
    assert len(week.looks) == 72
    found = report([week], 0.75)
    assert json.loads(json.dumps(found)) == found
    assert found["weather"] == {"sunny": {k: v for k, v in found["total"].items() if k != "false_alarms_per_week"}}
    for look in week.looks:
        for each in look.expected:
            assert 0.0 < each.probability <= 1.0
            assert each.begins <= each.onset < each.ends
            assert each.begins >= look.at


def _week(events: list[Event], warnings: list[EarlyWarning]) -> Watched:
    return Watched(1, BEGINS, BEGINS + timedelta(days=7), events, warnings)


def _warning(raised_h: float, ended_h: float, danger: str = SURPLUS) -> EarlyWarning:
    at = BEGINS + timedelta(hours=ended_h)
    concerns = (Concern(Kind.OVERLOAD, "trafo", 0.9),)
    expected = Expected(danger, concerns, at, at, at, 0.9, 100.0, "%", (99.0, 105.0, 110.0), "sun")
    return EarlyWarning(expected, BEGINS + timedelta(hours=raised_h), 3600.0, Outcome.CAME_TRUE, at)


def _event(from_h: float, to_h: float, kind: Kind = Kind.OVERLOAD, danger: str = SURPLUS) -> Event:
    return Event(kind, danger, BEGINS + timedelta(hours=from_h), BEGINS + timedelta(hours=to_h), 3.0)


@pytest.mark.parametrize(
    ("raised_h", "ended_h", "foreseen", "late", "false_alarms"),
    [
        (11.0, 14.0, 1, 0, 0),
        (11.6, 14.0, 0, 1, 0),
        (9.0, 11.5, 0, 0, 1),
        (12.5, 14.0, 0, 0, 0),
        (15.0, 16.0, 0, 0, 1),
    ],
    ids=["in time", "too late", "withdrawn before it came", "raised while it was there", "afterwards"],
)
def test_warnings_are_held_against_events(
    raised_h: float, ended_h: float, foreseen: int, late: int, false_alarms: int
) -> None:
    found = score([_week([_event(12.0, 13.0)], [_warning(raised_h, ended_h)])])
    assert (found.foreseen, found.late, found.false_alarms) == (foreseen, late, false_alarms)


def test_one_warning_speaks_for_all_limits_of_its_danger_and_for_no_other() -> None:
    events = [_event(12.0, 13.0), _event(12.2, 13.5, Kind.EXPORT), _event(12.0, 13.0, Kind.IMPORT, SHORTAGE)]
    found = report([_week(events, [_warning(11.0, 14.0)])], 7.0)
    assert (found["total"]["events"], found["total"]["foreseen"], found["total"]["warnings"]) == (3, 2, 1)
    assert {kind: row["recall"] for kind, row in found["kinds"].items()} == {"export": 1, "import": 0, "overload": 1}
    assert found["dangers"]["surplus"]["false_alarms"] == 0
    assert found["dangers"]["shortage"]["events"] == 1
