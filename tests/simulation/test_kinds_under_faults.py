"""Loads whose run may wait, wind and cars that give power back, under every fault at once: the ten invariants hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ems.config.loading import load_site
from ems.config.site import Site
from ems.config.sites import find_site
from hil.bench_site import changed
from hil.simulation.simulate import Order, simulate

LOAD = {"protocol": "modbus", "profile": "deferrable_load", "mode": "control"}
KINDS: dict[str, Any] = {
    "devices": {
        "machine": {**LOAD, "port": 17041, "safe": {"run_state": 0}},
        "pump": {**LOAD, "port": 17042, "safe": {"run_state": 0}},
        "turbine": {"protocol": "modbus", "profile": "sunspec_pv", "port": 17043, "mode": "control",
                    "safe": {"limit_kw": 1}},
        "charger": {"protocol": "modbus", "profile": "bidirectional_charger", "port": 17044, "mode": "control",
                    "safe": {"setpoint_kw": 0}},
    },
    "assets": {
        "washer": {"kind": "deferrable", "device": "machine", "bus": "house", "run": [[2.1, 1200], [0.3, 2400]],
                   "not_run_cost": 3},
        "pool_pump": {"kind": "deferrable", "device": "pump", "bus": "house", "run": [[1.2, 7200]], "piece_s": 1800,
                      "not_run_cost": 2},
        "mill": {"kind": "wind", "device": "turbine", "bus": "house", "rated_kw": 8, "hub_m": 30},
        "carport": {"kind": "charge_point", "device": "charger", "bus": "house", "charge_kw": 7.2, "maximum_a": 32,
                    "phases": 1, "discharge_kw": 7, "least_soc_pct": 30},
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    folder = tmp_path_factory.mktemp("kinds") / "demo_house"
    return load_site(changed(find_site("demo_house"), KINDS, folder))


@pytest.mark.soak
@pytest.mark.simulation
@pytest.mark.parametrize("seed", range(1, 7))
def test_the_ten_invariants_hold_with_the_newer_kinds(site: Site, seed: int, tmp_path: Path) -> None:
    outcome = simulate(Order(site, seed, 8 * 3600.0))
    assert outcome.violations == []
    assert outcome.lost_records == 0
    assert outcome.plans > 0 and outcome.faults
