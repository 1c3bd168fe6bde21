"""A house with a machine that waits and a car that gives power back, steered by the whole daemon for an evening."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
from kinds_stage import site_with, steered

from hil.scenario import OrderedRun, PriceSpell, Visit

HOUSE = {
    "planning": {"horizon_h": 6},
    "devices": {
        "machine": {"protocol": "modbus", "profile": "deferrable_load", "port": 17031, "mode": "control",
                    "safe": {"run_state": 0}},
        "charger": {"protocol": "modbus", "profile": "bidirectional_charger", "port": 17034, "mode": "control",
                    "safe": {"setpoint_kw": 0}},
        "wallbox": {"mode": "monitor"},
    },
    "assets": {
        "washer": {"kind": "deferrable", "device": "machine", "bus": "house", "run": [[2.0, 900], [0.3, 900]],
                   "run_from_h": 17.25, "run_to_h": 18.0, "not_run_cost": 5},
        "wallbox": {"device": "charger", "discharge_kw": 8, "minimum_a": 6, "phases": 1, "charge_kw": 7.2,
                    "maximum_a": 32, "least_soc_pct": 30, "give_back_per_kwh": 0.01},
    },
}  # fmt: skip


def test_the_run_waits_for_its_window_and_is_whole_and_the_car_gives_while_it_pays(tmp_path: Path) -> None:
    arm, world = steered(
        site_with(tmp_path / "house", HOUSE),
        1.3,
        "winter_day",
        start=datetime.fromisoformat("2025-01-16T17:00"),
        runs=(OrderedRun(asset="washer", at_s=60.0),),
        cars=(Visit(arrival_s=60.0, stay_s=4500.0, energy_kwh=2.0, charge_kw=7.2),),
        price_spells=(PriceSpell(at_s=0.0, seconds=1500.0, price=1.5),),
    )
    washer_kw, car_kw = (np.array(arm.track[f"{name}:kw"]) for name in ("washer", "wallbox"))
    assert washer_kw[0] == 0.0 and washer_kw.max() > 0.5
    assert arm.verdict["runs"] == {"ended": 1.0, "late": 0.0, "paused": 0.0, "disturbed": 0.0}
    assert arm.verdict["cost_parts"]["not_run"] == 0.0
    assert car_kw.min() < -1.0 and world.plant.state("wallbox")["discharge_kwh"] > 0.3
    assert arm.verdict["ev_shortfall_kwh"] < 0.3
    assert arm.counters["setpoints"]["verified"] >= 0.95 * arm.counters["setpoints"]["issued"]
