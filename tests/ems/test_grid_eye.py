"""The grid without a plan: rows about what is measured, as soon as the feeder is prepared."""

from __future__ import annotations

import numpy as np
import pytest
from stage import DEMO, make_site

from ems.config.asset_models import asset_models
from ems.fast.grid_eye import LOOK_AGAIN_CYCLES, GridEye
from optimization.grid_case import GridCase, bus_numbers, load_case
from optimization.network import GridError, GridLimits
from optimization.network_build import prepare

GRID = DEMO / "grid.json"
LIMITS = GridLimits(0.95, 1.05, 100.0, 5.0)
LOADS = {"houses": 12.0, "shop": 6.0, "pv": -40.0, "battery": 0.0, "car": 7.0, "heat": 3.0}


@pytest.fixture(scope="module")
def case(tmp_path_factory) -> GridCase:
    folder = tmp_path_factory.mktemp("grid")
    prepare(GRID, LIMITS, folder)
    found = load_case(GRID, LIMITS, folder)
    assert found is not None
    return found


def assets():
    return tuple(asset_models(make_site(), bus_numbers(GRID)).values())


def test_the_rows_tell_the_voltage_of_an_ac_power_flow_at_the_measured_powers(case):
    rows = GridEye(lambda: case, assets()).rows(LOADS)
    assert rows is not None
    barn = rows.names.index("voltage_max:barn")
    power = np.array([LOADS[name] for name in rows.assets])
    seen = rows.base[0, barn] + rows.coefficient[barn] @ power
    more = power + 5.0 * (np.array(rows.assets) == "pv") * -1.0
    assert 1.0 < seen < 1.1
    assert rows.base[0, barn] + rows.coefficient[barn] @ more > seen


def test_it_waits_for_the_feeder_and_looks_again_now_and_then(case):
    asked = []

    def load() -> GridCase | None:
        asked.append(True)
        return case if len(asked) > 1 else None

    eye = GridEye(load, assets())
    found = [eye.rows(LOADS) is not None for _ in range(LOOK_AGAIN_CYCLES + 2)]
    assert found == [False] * LOOK_AGAIN_CYCLES + [True, True]
    assert len(asked) == 2


def test_a_feeder_that_cannot_be_used_is_no_feeder():
    def load() -> GridCase:
        raise GridError("the cache is damaged")

    assert GridEye(load, assets()).rows(LOADS) is None


def test_powers_without_a_solution_give_no_rows(case):
    assert GridEye(lambda: case, assets()).rows({"houses": 1e6}) is None
