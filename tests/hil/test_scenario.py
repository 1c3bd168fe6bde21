from __future__ import annotations

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from ems.config.site import Site
from hil.plant.charge_point import ChargePoint
from hil.plant_build import build_plant
from hil.scenario import Scenario, ScenarioError, load_scenario, scenario_names

BERLIN = ZoneInfo("Europe/Berlin")


def test_the_scenarios_that_come_along_can_be_read() -> None:
    assert set(scenario_names()) >= {"winter_day", "sunny_day", "demo_hour"}
    for name in scenario_names():
        assert load_scenario(name).name == name


@pytest.mark.parametrize(("name", "hour"), [("winter_day", 23), ("sunny_day", 22)])
def test_days_begin_at_local_midnight(name: str, hour: int) -> None:
    start = load_scenario(name).starts_at(BERLIN)
    assert start.tzinfo == ZoneInfo("UTC") and (start.hour, start.minute) == (hour, 0)
    assert start.astimezone(BERLIN).replace(tzinfo=None) == load_scenario(name).start


def test_another_length_changes_nothing_else() -> None:
    scenario = load_scenario("winter_day")
    assert scenario.lasting(7200.0).duration_s == 7200.0
    assert scenario.lasting(scenario.duration_s) == scenario


def written(folder: Path, **changes: object) -> str:
    lines = {"title": "x", "start": "2025-05-22T00:00:00", "duration_s": 60, "weather": "sunny", "price": "solar"}
    path = folder / "mine.yaml"
    path.write_text("\n".join(f"{key}: {value}" for key, value in (lines | changes).items()))
    return str(path)


def test_a_file_of_ones_own_is_a_scenario(tmp_path: Path) -> None:
    assert load_scenario(written(tmp_path)).name == "mine"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"price": "gold"}, "'gold' is no kind of price; write one of"),
        ({"weather": "hail"}, "weather"),
        ({"duration_s": -5}, "greater than 0"),
        ({"speed": 9}, "speed"),
        ({"faults": "[{at_s: 1, device: wallbox, kind: burn, seconds: 5}]"}, "kind"),
        ({"title": "[unclosed"}, "mine.yaml"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, changes: dict[str, object], words: str) -> None:
    with pytest.raises(ScenarioError, match=words):
        load_scenario(written(tmp_path, **changes))


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ScenarioError, match="choose one of demo_hour, ev_evening, price_spike, sunny_day, winter_day"):
        load_scenario("monsoon")


def test_cars_come_from_the_recorded_sessions_or_from_the_scenario(site: Site) -> None:
    def cars(scenario: Scenario) -> list[tuple[float, float]]:
        point = build_plant(site, scenario, 1, witness=False).devices["charge_point"]
        assert isinstance(point, ChargePoint)
        return [(car.arrival_s, car.energy_kwh) for car in point.cars]

    assert cars(load_scenario("demo_hour")) == [(900.0, 12.0)]
    january = load_scenario("winter_day").model_copy(update={"start": datetime(2025, 1, 28)})  # noqa: DTZ001
    recorded = cars(january)
    assert (63_600.0, 54.504) in recorded
    assert all(arrival_s >= 0.0 for arrival_s, _ in recorded)


def test_a_load_can_be_scaled(site: Site) -> None:
    def load_kw(scale: float) -> float:
        scenario = load_scenario("demo_hour").model_copy(update={"load_scale": scale})
        plant = build_plant(site, scenario, 1, witness=False)
        plant.advance(10.0)
        return plant.state("houses_far")["power_kw"]

    assert load_kw(2.0) == pytest.approx(2.0 * load_kw(1.0))


def test_days_without_measured_load_are_refused(site: Site) -> None:
    scenario = load_scenario("demo_hour").model_copy(update={"start": datetime(2031, 1, 1)})  # noqa: DTZ001
    with pytest.raises(ValueError, match=r"the load series runs from .* move the scenario's start"):
        build_plant(site, scenario, 1, witness=False)
