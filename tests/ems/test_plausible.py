"""What a point can possibly tell follows from the site file."""

from __future__ import annotations

from pathlib import Path

from ems.config.binding import bind
from ems.config.loading import load_site
from ems.fast.plausible import plausible_ranges, register_speeds

SITE = load_site(Path(__file__).parents[2] / "sites" / "demo_house")


def test_ranges_follow_from_ratings_and_limits() -> None:
    assert plausible_ranges(SITE, bind(SITE)) == {
        "grid_meter.power_kw": (-94.0, 94.0),
        "pv_inverter.power_kw": (-21.0, 21.0),
        "battery_inverter.power_kw": (-13.0, 13.0),
        "battery_inverter.soc_pct": (-1.0, 101.0),
        "wallbox.power_kw": (-23.0, 23.0),
        "heat_pump_controller.power_kw": (-9.0, 9.0),
        "heat_pump_controller.temperature_c": (-40.0, 80.0),
    }


def test_registers_move_no_faster_than_the_power_that_is_believed() -> None:
    speeds = register_speeds(SITE, bind(SITE))
    assert speeds["grid_meter.import_kwh"] == speeds["grid_meter.export_kwh"] == 94.0 / 3600.0
    assert speeds["wallbox.energy_kwh"] == 23.0 / 3600.0
    assert set(speeds) == {
        "grid_meter.import_kwh", "grid_meter.export_kwh", "pv_inverter.energy_kwh", "battery_inverter.discharge_kwh",
        "wallbox.energy_kwh", "heat_pump_controller.energy_kwh",
    }  # fmt: skip
