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


ROOF: dict[str, Any] = {
    "devices": {"roof_gateway": {"protocol": "modbus", "profile": "hybrid_inverter", "port": 17053, "mode": "control",
                                 "safe": {"setpoint_kw": -1}}},
    "assets": {"roof": {"kind": "hybrid", "device": "roof_gateway", "bus": "house", "rated_kw": 5, "take_kw": 3,
                        "module_kw": 8, "capacity_kwh": 9, "charge_kw": 5, "discharge_kw": 5}},
}  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    folder = tmp_path_factory.mktemp("kinds") / "demo_house"
    return load_site(changed(find_site("demo_house"), KINDS, folder))


HEATER = {"protocol": "modbus", "profile": "electric_heater", "mode": "control"}
HEAT: dict[str, Any] = {
    "devices": {
        "warmth_meter": {"protocol": "modbus", "profile": "heat_meter", "port": 17045},
        "probes": {"protocol": "modbus", "profile": "tank_sensors", "port": 17046},
        "burner": {"protocol": "modbus", "profile": "boiler", "port": 17047, "mode": "control",
                   "safe": {"setpoint_kw": None}},
        "lifter": {**HEATER, "port": 17048, "safe": {"setpoint_kw": 0}},
        "rod": {**HEATER, "port": 17049, "safe": {"setpoint_kw": 0}},
        "main_pump": {**HEATER, "profile": "pipe_pump", "port": 17050, "safe": {"setpoint_kw": 2}},
        "far_probes": {"protocol": "modbus", "profile": "tank_sensors", "port": 17051},
        "far_meter": {"protocol": "modbus", "profile": "heat_meter", "port": 17052},
    },
    "assets": {
        "warmth": {"kind": "heat_load", "device": "warmth_meter", "heat_node": "net"},
        "tank": {"kind": "tank", "device": "probes", "heat_node": "net", "capacity_kwh_per_k": 0.9, "low_c": 45,
                 "high_c": 60, "charge_kw": 20, "discharge_kw": 20, "loss_kw_per_k": 0.005},
        "boiler": {"kind": "boiler", "device": "burner", "heat_node": "net", "rated_kw": 15, "minimum_kw": 3,
                   "fuel_price_per_kwh": 0.12},
        "lifted": {"kind": "heat_source", "device": "lifter", "bus": "house", "heat_node": "net", "rated_kw": 3,
                   "minimum_kw": 0.5, "supply_c": 50},
        "heated": {"kind": "electric_boiler", "device": "rod", "bus": "house", "heat_node": "net", "rated_kw": 4},
        "main": {"kind": "pipe", "device": "main_pump", "bus": "house", "heat_node": "net", "to_node": "far",
                 "rated_kw": 8, "delay_s": 300, "pump_kw_per_kw": 0.02},
        "far_tank": {"kind": "tank", "device": "far_probes", "heat_node": "far", "capacity_kwh_per_k": 0.4,
                     "low_c": 35, "high_c": 50, "charge_kw": 20, "discharge_kw": 20},
        "far_warmth": {"kind": "heat_load", "device": "far_meter", "heat_node": "far"},
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def heated(tmp_path_factory: pytest.TempPathFactory) -> Site:
    folder = changed(find_site("demo_house"), HEAT, tmp_path_factory.mktemp("heat") / "demo_house")
    file = folder / "series" / "load.csv"
    head, *rows = file.read_text(encoding="utf-8").splitlines()
    warm = [f"{row},{3.0 + 3.0 * (number % 24 in (6, 7, 18, 19, 20)):.1f},1.5" for number, row in enumerate(rows)]
    file.unlink()
    file.write_text("\n".join([f"{head},warmth_kw,far_warmth_kw", *warm]) + "\n", encoding="utf-8")
    return load_site(folder)


@pytest.mark.soak
@pytest.mark.simulation
@pytest.mark.parametrize("seed", range(1, 4))
def test_the_ten_invariants_hold_with_a_heat_node(heated: Site, seed: int, tmp_path: Path) -> None:
    outcome = simulate(Order(heated, seed, 6 * 3600.0))
    assert outcome.violations == []
    assert outcome.lost_records == 0
    assert outcome.plans > 0 and outcome.schedule


@pytest.mark.soak
@pytest.mark.simulation
@pytest.mark.parametrize("seed", range(1, 7))
def test_the_ten_invariants_hold_with_the_newer_kinds(site: Site, seed: int, tmp_path: Path) -> None:
    outcome = simulate(Order(site, seed, 8 * 3600.0))
    assert outcome.violations == []
    assert outcome.lost_records == 0
    assert outcome.plans > 0 and outcome.schedule


@pytest.mark.soak
@pytest.mark.simulation
@pytest.mark.parametrize("seed", range(1, 4))
def test_the_ten_invariants_hold_with_a_hybrid(seed: int, tmp_path: Path) -> None:
    roofed = load_site(changed(find_site("demo_house"), ROOF, tmp_path / "demo_house"))
    outcome = simulate(Order(roofed, seed, 8 * 3600.0))
    assert outcome.violations == []
    assert outcome.lost_records == 0
    assert outcome.plans > 0 and outcome.schedule
