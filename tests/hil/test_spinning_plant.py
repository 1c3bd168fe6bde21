"""The pretend world of a spinning reserve: the governor, loads that are picked up, an island held by both."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ems.config.loading import load_site
from ems.config.site import Site
from ems.config.sites import find_site
from hil.bench_site import changed
from hil.plant.ambient import Ambient
from hil.plant.cold_load import ColdLoad
from hil.plant.connection import TRIPS, Supply
from hil.plant.draws import stream
from hil.plant.genset import COOL_S, DROOP_HZ, START_S, Engine, Genset
from hil.plant_build import build_plant
from hil.scenario_file import load_scenario

SCENARIO = load_scenario("spinning_reserve", "demo_feeder")
LEAST_KW, RATED_KW = 8.0, 20.0


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    folder: Path = tmp_path_factory.mktemp("yard") / "site"
    return load_site(changed(find_site("demo_feeder"), SCENARIO.plant, folder))


def running() -> Genset:
    engine = Genset.drawn(stream(1, "set"), bus="house", rated_kw=RATED_KW, least_kw=LEAST_KW, fuel=(4.0, 2.4))
    engine.command(-10.0)
    for _ in range(round(START_S) + 40):
        engine.step(Ambient(), 1.0)
    assert engine.power_kw == pytest.approx(-10.0)
    return engine


def live(engine: Genset, around: Ambient, seconds: float) -> None:
    for _ in range(round(seconds / 2.0)):
        engine.step(around, 2.0)


@given(below_hz=st.floats(-2.0, 2.0))
def test_a_governor_answers_the_frequency_and_lets_go_again(below_hz: float) -> None:
    engine = running()
    live(engine, Ambient(frequency_hz=50.0 - below_hz), 60.0)
    wanted_kw = min(max(10.0 + RATED_KW * below_hz / DROOP_HZ, LEAST_KW), RATED_KW)
    assert -engine.power_kw == pytest.approx(wanted_kw, abs=0.01)
    live(engine, Ambient(), 60.0)
    assert engine.power_kw == pytest.approx(-10.0)


def test_most_of_a_step_is_there_before_an_overloaded_battery_trips() -> None:
    engine = running()
    live(engine, Ambient(frequency_hz=49.0), 4.0)
    assert -engine.power_kw > 15.0


def test_a_set_that_loses_its_bus_turns_on_and_is_back_at_once_and_one_that_stands_is_not() -> None:
    dark = Ambient(dark=frozenset({"house"}))
    warm, cold = running(), Genset("house", RATED_KW, LEAST_KW, 4.0, 2.4, 0.1)
    cold.command(-10.0)
    for engine in (warm, cold):
        live(engine, dark, COOL_S / 2.0)
        assert engine.power_kw == 0.0
        live(engine, Ambient(), 4.0)
    assert -warm.power_kw >= LEAST_KW and warm.starts == 1
    assert (cold.power_kw, cold.engine) == (0.0, Engine.STARTS)


@given(dark_s=st.integers(1, 500), later_s=st.floats(0.0, 5000.0), factor=st.floats(1.0, 5.0))
def test_loads_come_back_at_their_multiple_and_fade(dark_s: int, later_s: float, factor: float) -> None:
    cold = ColdLoad(factor, 600.0)
    assert cold.look(frozenset(), 0.0) == {}
    assert cold.look(frozenset({"a"}), 10.0) == {}
    back_s = 10.0 + dark_s
    assert cold.look(frozenset(), back_s) == {"a": factor}
    multiple = cold.look(frozenset(), back_s + later_s)["a"]
    assert multiple == pytest.approx(1.0 + (factor - 1.0) * math.exp(-later_s / 600.0))
    assert cold.look(frozenset({"a"}), back_s + later_s + 1.0) == {}


@cache
def _met(folder: Path, *, told_kw: float, factor: float) -> tuple[int, float, float]:
    """Lose the grid under a plant whose set is told a power; gives trips, the lowest frequency and what loads took."""
    here = load_site(folder)
    scenario = SCENARIO.model_copy(update={"cold_load": SCENARIO.cold_load.model_copy(update={"factor": factor})})
    plant = build_plant(here, scenario, 1, witness=False)
    plant.command("engine", told_kw or None)
    plant.command("heat_pump", 0.0)
    plant.advance(120.0)
    plant.connection.lose_grid(plant.elapsed_s)
    plant.advance(300.0)
    assert plant.connection.supply is not Supply.GRID
    trips = sum(what == TRIPS for _, what in plant.connection.events)
    return trips, plant.connection.lowest_hz, sum(device.power_kw for name, device in plant.devices.items()
                                                 if name.startswith(("houses", "office")))  # fmt: skip


def test_cold_loads_are_picked_up_with_a_set_that_runs_and_break_the_island_without(site: Site) -> None:
    factor = SCENARIO.cold_load.factor
    with_set = _met(site.folder, told_kw=-LEAST_KW, factor=factor)
    without = _met(site.folder, told_kw=0.0, factor=factor)
    as_usual = _met(site.folder, told_kw=0.0, factor=1.0)
    assert (with_set[0], as_usual[0]) == (0, 0)
    assert without[0] > 0
    assert with_set[1] >= 49.0
    battery_kw = site.file.assets["battery"].discharge_kw
    assert with_set[2] > 1.1 * battery_kw > as_usual[2]
