"""Limits as rows: the connection's two, and the plan's, in the order of the columns that are asked for."""

from __future__ import annotations

import numpy as np
import pytest
from stage import voltage_rows

from ems.fast.rows import EXPORT, IMPORT, Margins, RowsMaker, build_rows


def test_without_a_grid_only_the_connection_counts():
    rows = build_rows(["load", "pv"], None, 0, (50.0, 40.0))
    assert rows.names == (IMPORT, EXPORT)
    np.testing.assert_allclose(rows.coefficient, [[1, 1], [-1, -1]])
    np.testing.assert_allclose(rows.trigger, [48.5, 38.8])
    np.testing.assert_allclose(rows.target, [47.5, 38.0])


def test_grid_rows_follow_the_columns_and_unknown_assets_do_not_matter_to_them():
    rows = build_rows(["pv", "stranger", "houses"], voltage_rows(), 0, (50.0, 40.0))
    np.testing.assert_allclose(rows.coefficient[2], [-0.001, 0.0, -0.0005])
    np.testing.assert_allclose(rows.coefficient[3], [1.0, 0.0, 1.0])
    np.testing.assert_allclose(rows.constant, [0.0, 0.0, 1.02, 20.0])


def test_voltages_keep_a_distance_and_loadings_a_share():
    rows = build_rows(["pv"], voltage_rows(), 0, (50.0, 40.0), margins=Margins(0.9, 0.8, 0.004, 0.006))
    np.testing.assert_allclose(rows.trigger, [45.0, 36.0, 1.046, 90.0])
    np.testing.assert_allclose(rows.target, [40.0, 32.0, 1.044, 80.0])


@pytest.mark.parametrize(("slot", "used"), [(0, 0), (3, 3), (99, 7)])
def test_beyond_the_last_slot_the_last_linearisation_counts(slot, used):
    grid = voltage_rows()
    grid.base[:, 0] = np.arange(8)
    rows = build_rows(["pv"], grid, slot, (50.0, 40.0))
    assert rows.constant[2] == used


def test_rows_that_are_kept_from_cycle_to_cycle_are_those_that_are_built_anew():
    maker, grid = RowsMaker(), voltage_rows()
    for assets, slot, unexplained_kw in (
        (["pv", "houses"], 0, 0.0),
        (["pv", "houses"], 3, 2.5),
        (["houses", "pv"], 3, 1),
    ):
        for rows_of in (grid, None):
            kept = maker.build(assets, rows_of, slot, (50.0, 40.0), unexplained_kw=unexplained_kw)
            anew = build_rows(assets, rows_of, slot, (50.0, 40.0), unexplained_kw=unexplained_kw)
            for name in ("coefficient", "constant", "trigger", "target"):
                assert np.array_equal(getattr(kept, name), getattr(anew, name))
            assert (kept.names, kept.assets) == (anew.names, anew.assets)
