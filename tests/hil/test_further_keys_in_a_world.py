"""A house whose battery has a datasheet and whose wallbox and heat pump share a fuse, steered by the whole daemon."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
from kinds_stage import site_with, steered

from hil.plant.battery import Battery
from hil.scenario import Visit

BATTERY = {
    "charge_curve": [[2, 0.97], [6, 0.93]],
    "discharge_curve": [[2, 0.97], [6, 0.93]],
    "charge_taper_pct": 70,
    "outage_reserve_pct": 30,
    "depth_wear": [[50, 0.01], [100, 0.06]],
    "warranty_kwh_per_day": 10,
    "over_warranty_per_kwh": 0.1,
}


def test_reserve_and_group_bind_and_every_setpoint_is_verified(tmp_path: Path) -> None:
    changes = {
        "assets": {"battery": BATTERY},
        "groups": {"fuse": {"members": ["wallbox", "battery"], "limit_kw": 7}},
    }
    site = site_with(tmp_path / "house", changes)
    car = Visit(arrival_s=0.0, stay_s=9000.0, energy_kwh=18.0, charge_kw=11.0)
    arm, world = steered(site, 1.0, start=datetime.fromisoformat("2025-05-22T10:00"), cars=(car,), battery_soc_pct=36.0)
    made = world.plant.devices["battery"]
    assert isinstance(made, Battery)
    setpoints = arm.counters["setpoints"]
    assert setpoints["issued"] >= 10
    assert setpoints["verified"] >= 0.95 * setpoints["issued"]
    assert arm.counters["plans"] >= 4
    charging, battery = np.array(arm.track["wallbox:kw"]), np.array(arm.track["battery:kw"])
    # The fuse binds: the battery gives what the car takes beyond it, until only what is kept for an outage is left.
    assert (charging + battery).max() <= 7.0
    assert (charging > 7.0).any() and (battery < -1.0).any()
    assert 29.0 < made.soc_pct < 32.0
