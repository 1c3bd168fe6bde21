"""The year of thirty devices, a few quarter-hours of it: every plan is checked, and no part of the way is left out."""

from __future__ import annotations

import numpy as np
import pytest

from tests.benchmarks.year_of_devices import a_year, part, write_grid


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("year")
    write_grid(made / "grid.json")
    return made


def test_winter_evenings_bind_and_are_verified(folder):
    found = part(folder, 20 * 96 + 68, 2)
    assert (found["seen"]["plans"], found["seen"]["feasible"]) == (2, 2)
    assert found["seen"]["ac_rounds"] >= 4
    assert found["words"] == []
    assert len(found["spent_s"]) == 2


@pytest.mark.soak
def test_noons_that_cost_money_need_binaries(folder):
    found = part(folder, 170 * 96 + 44, 1)
    assert found["seen"]["with_binaries"] == found["seen"]["plans"] == 1


def test_the_seasons_differ():
    winter, summer = a_year(np.arange(24.0)), a_year(24.0 * 170 + np.arange(24.0))
    assert summer["sun"].sum() > 1.5 * winter["sun"].sum()
    assert summer["outdoor"].min() > winter["outdoor"].max()
    assert winter["price"].min() > 0.0 > summer["price"].min()
