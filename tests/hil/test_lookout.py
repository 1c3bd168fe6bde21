"""The lookout on the demo feeder: what it tells, when it warns, and what it keeps to itself."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ems.config.binding import bind
from ems.config.loading import load_site
from ems.limits.failsafe_machine import State
from ems.limits.in_force import Direction, InForce
from ems.process_image import Snapshot
from ems.slow.foresee import Sky
from ems.slow.loads import Loads
from ems.slow.lookout_setup import build_lookout
from ems.slow.lookout_watch import LookoutWatch
from ems.slow.measured_past import MeasuredPast
from ems.slow.planning_setup import grid_limits, grid_path, measured_points, stored_past
from hil.plant.feeder import Plant
from hil.plant.weather import Kind as Weather
from hil.plant_build import build_plant
from hil.scenario import Scenario
from hil.warning_watch import Sensors
from optimization.network_build import prepare
from optimization.slots import uniform

SITE = load_site(Path(__file__).resolve().parents[2] / "sites" / "demo_feeder")


class Room:
    """A lookout over a plant at noon, with its alarms and its journal."""

    def __init__(self, cache: Path, plant: Plant, hidden: frozenset[str] = frozenset()) -> None:
        self.alarms: dict[str, str] = {}
        self.journal: list[Mapping[str, Any]] = []
        bindings = bind(SITE)
        self._measured = MeasuredPast(measured_points(SITE, bindings))
        self._sensors, self._plant = Sensors(plant, SITE, bindings), plant
        lookout = build_lookout(
            SITE, bindings, cache, lambda _kind, body: self.journal.append(body), hides=hidden.__contains__
        )
        self.watch = LookoutWatch(lookout, self, hidden.__contains__, 7200.0)

    def set(self, key: str, text: str | None, now: datetime) -> None:
        if text is None:
            self.alarms.pop(key)
        else:
            self.alarms[key] = text

    def look(self, sun_kw: float, *limits: InForce) -> dict[str, Any]:
        snapshot: Snapshot = self._sensors.snapshot()
        self._measured.observe(snapshot)
        slots = uniform(snapshot.at, 40, 900.0)
        rising = sun_kw * np.minimum(np.arange(40) / 6.0, 1.0)
        table = self._measured.table(snapshot.at)
        loads = Loads(SITE, bind(SITE)).foresee(stored_past(SITE), table, slots, snapshot.at)
        sky = Sky(slots, {"pv": rising}, np.full(40, 15.0), np.full(40, 500.0), {}, loads=loads)
        self.watch.after_plan(snapshot, table, sky, cars={}, plan=None, steered=frozenset(), limits=limits)
        return self.watch.as_json()

    def wait(self, seconds: float) -> None:
        self._plant.advance(seconds)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lookout-cache")
    prepare(grid_path(SITE), grid_limits(SITE), folder)
    return folder


@pytest.fixture
def plant() -> Plant:
    start = datetime(2025, 3, 12, 4)  # noqa: DTZ001 - local: a scenario says its start so
    scenario = Scenario(name="look", title="", start=start, duration_s=9e4, weather=Weather.SUNNY, price="solar")
    return build_plant(SITE, scenario, 1, witness=False)


def test_it_tells_bands_and_what_is_not_observable(cache: Path, plant: Plant) -> None:
    told = Room(cache, plant).look(0.0)
    estimate = told["estimate"]
    assert set(estimate["loads"]) == {"houses_near", "houses_far", "office_load"}
    assert not estimate["loads"]["houses_far"]["observable"]
    assert estimate["buses"]["busbar"]["observable"]
    assert estimate["buses"]["houses_far"]["observable"] is False
    for row in (*estimate["buses"].values(), *estimate["branches"].values(), *estimate["loads"].values()):
        value = next(v for key, v in row.items() if key not in {"low", "high", "observable"})
        assert row["low"] <= value <= row["high"]
    assert told["warnings"] == []


def test_a_sun_that_the_feeder_cannot_carry_is_an_alarm_with_a_cause_and_ends(cache: Path, plant: Plant) -> None:
    room = Room(cache, plant)
    told = room.look(90.0)
    (surplus,) = told["warnings"]
    assert surplus["danger"] == "surplus"
    assert {"export", "overload"} <= {concern["kind"] for concern in surplus["concerns"]}
    assert surplus["lead_s"] >= 1500.0
    assert "pv gives" in surplus["cause"]
    assert surplus["worst"]["q50"] > surplus["limit"]
    assert room.alarms == {"warning:surplus": surplus["text"]}
    assert [body["event"] for body in room.journal] == ["raised"]
    room.wait(600.0)
    assert room.look(0.0)["warnings"] == []
    assert room.alarms == {}
    assert [body["outcome"] for body in room.journal[1:]] == ["withdrawn"]


def test_what_the_grid_operator_allows_is_held_against_until_its_end(cache: Path, plant: Plant) -> None:
    assert Room(cache, plant).look(30.0)["warnings"] == []
    soon = Sensors(plant, SITE, bind(SITE)).snapshot().at + timedelta(minutes=20)
    assert Room(cache, plant).look(30.0, InForce(Direction.EXPORT, State.LIMITED, 3.0, ends_at=soon))["warnings"] == []
    (surplus,) = Room(cache, plant).look(30.0, InForce(Direction.EXPORT, State.LIMITED, 3.0))["warnings"]
    assert [concern["kind"] for concern in surplus["concerns"]] == ["export"]
    assert surplus["limit"] == 3.0


def test_personal_loads_are_told_neither_in_the_estimate_nor_in_a_cause(cache: Path, plant: Plant) -> None:
    told = Room(cache, plant, frozenset({"pv", "houses_far"})).look(90.0)
    assert "houses_far" not in told["estimate"]["loads"]
    assert all("pv" not in warning["cause"] for warning in told["warnings"])


def test_before_the_first_foresight_there_is_nothing_to_tell(cache: Path, plant: Plant) -> None:
    assert Room(cache, plant).watch.as_json() == {"estimate": None, "warnings": []}
