"""What a point can possibly tell follows from the site file."""

from __future__ import annotations

from pathlib import Path

from ems.config.binding import bind
from ems.config.loading import load_site
from ems.fast.plausible import plausible_ranges

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
