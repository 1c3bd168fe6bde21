"""The demo feeder is drawn so that its limits bind. What it was drawn for is measured here with pandapower itself."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import pytest
from feeder_days import GRID

from optimization.grid_case import GridCase, bus_numbers

LAGGING = {"load": 0.97, "heat_pump": 0.97, "car": 0.99}


@dataclass(frozen=True)
class State:
    """Powers into the assets [kW]; the load is shared 40/40/20 over houses near, houses far and office."""

    load: float = 0.0
    heat_pump: float = 0.0
    car: float = 0.0
    pv: float = 0.0
    battery: float = 0.0


def _powers(case: GridCase, state: State) -> tuple[np.ndarray, np.ndarray]:
    active = {
        "houses_near": [("load", 0.4 * state.load)],
        "houses_far": [("load", 0.4 * state.load), ("car", state.car)],
        "office": [("load", 0.2 * state.load), ("heat_pump", state.heat_pump)],
        "barn": [("pv", -state.pv)],
        "busbar": [("battery", state.battery)],
    }
    power = np.zeros((2, len(case.ac.bus_ids), 1))
    for bus, parts in active.items():
        for kind, kw in parts:
            tan = np.tan(np.arccos(LAGGING.get(kind, 1.0)))
            power[:, case.ac.bus_names.index(bus), 0] += kw, tan * kw
    return power[0], power[1]


#         state                                             bus           voltage [pu]      transformer [pct]
STRESS = [
    (State(), "barn", (1.000, 1.010), (0, 1)),
    (State(load=10, pv=80), "barn", (1.053, 1.062), (101, 110)),
    (State(load=10, pv=60), "barn", (1.040, 1.048), (70, 80)),
    (State(load=10, pv=80, battery=40), "barn", (1.043, 1.048), (35, 50)),
    (State(load=35, heat_pump=15, car=22), "houses_far", (0.945, 0.952), (115, 130)),
    (State(load=30, heat_pump=12, car=22), "houses_far", (0.950, 0.960), (102, 115)),
    (State(load=35, heat_pump=15, car=22, battery=-40), "houses_far", (0.955, 0.970), (50, 70)),
    (State(load=35, heat_pump=15, car=4.1), "houses_far", (0.960, 0.975), (85, 98)),  # the declared safe values
]


@pytest.mark.parametrize(("state", "bus", "voltage_pu", "transformer_pct"), STRESS, ids=str)
def test_the_feeder_binds_where_it_was_meant_to(case, state, bus, voltage_pu, transformer_pct) -> None:
    solved = case.ac.witness(*_powers(case, state), 0)
    assert solved is not None
    voltages, loadings = solved
    assert voltage_pu[0] <= voltages[case.ac.bus_names.index(bus)] <= voltage_pu[1]
    assert transformer_pct[0] <= loadings[case.ac.branch_names.index("transformer")] <= transformer_pct[1]
    assert np.delete(loadings, case.ac.branch_names.index("transformer")).max() < 60  # the cables are strong enough


def test_its_buses_are_the_ones_that_the_site_names() -> None:
    assert list(bus_numbers(GRID)) == ["mv", "busbar", "houses_near", "office", "houses_far", "barn"]


def test_its_file_holds_no_empty_table_and_stays_readable() -> None:
    assert len(GRID.read_text()) < 8000
    assert set(json.loads(GRID.read_text())["_object"]) >= {"bus", "line", "trafo", "ext_grid"}
