"""The plant behind the drivers' contract: what is commanded is held, read back and done."""

from __future__ import annotations

from pathlib import Path

import pytest

from drivers.points import Outcome, Quality, Setpoint
from ems.clock import SimulatedClock
from ems.config.binding import bind
from ems.config.loading import load_site
from hil.in_process import plant_drivers
from hil.plant_build import build_plant
from hil.scenario_file import load_scenario

DEMO = Path(__file__).resolve().parents[2] / "sites" / "demo_feeder"


@pytest.fixture
def stage():
    site = load_site(DEMO)
    plant = build_plant(site, load_scenario("demo_hour"), 1, witness=False)
    return plant, plant_drivers(plant, site, bind(site), SimulatedClock(plant.now))


async def values(driver):
    return {m.point.split(".")[1]: m.value for m in await driver.read() if m.quality is Quality.GOOD}


async def test_the_meter_tells_what_the_grid_carries(stage):
    plant, drivers = stage
    plant.advance(20.0)
    told = await values(drivers["grid_meter"])
    assert told["power_kw"] == plant.grid.import_kw
    assert 200.0 < told["voltage_v"] < 250.0


async def test_a_battery_does_what_it_is_told_and_says_so(stage):
    plant, drivers = stage
    battery = drivers["battery_inverter"]
    (result,) = await battery.write([Setpoint("battery_inverter.setpoint_kw", 12.0, "test", 60.0)], 60.0)
    plant.advance(20.0)
    assert (result.outcome, result.effective) == (Outcome.APPLIED, 12.0)
    assert (await values(battery))["power_kw"] == pytest.approx(12.0, abs=0.2)


async def test_a_charge_point_pauses_below_its_least_current(stage):
    plant, drivers = stage
    wallbox = drivers["wallbox"]
    plant.advance(1000.0)
    assert (await values(wallbox))["state"] == 2.0
    await wallbox.write([Setpoint("wallbox.limit_a", 5.0, "test", 60.0)], 60.0)
    plant.advance(20.0)
    told = await values(wallbox)
    assert (told["state"], told["power_kw"]) == (1.0, 0.0)


async def test_a_point_that_is_no_command_is_refused(stage):
    _, drivers = stage
    (result,) = await drivers["grid_meter"].write([Setpoint("grid_meter.power_kw", 1.0, "test", 60.0)], 60.0)
    assert result.outcome is Outcome.REFUSED
