"""Where the fast power flow does not hold, pandapower's own decides; nothing it was not made for counts as solved."""

from __future__ import annotations

import numpy as np
import pytest
from feeder_days import GRID
from village import BUSES, village, village_powers

from optimization.grid_reading import read_ac_grid
from optimization.network import GridError


@pytest.fixture(scope="module")
def changed(tmp_path_factory):
    """Read the demo feeder after a change."""
    import pandapower

    def read(change):
        net = pandapower.from_json(GRID)
        change(net, pandapower)
        path = tmp_path_factory.mktemp("changed") / "grid.json"
        pandapower.to_json(net, path)
        return read_ac_grid(path)

    return read


@pytest.fixture(scope="module")
def plain(changed):
    return changed(lambda net, pp: None)


def _powers(slots: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(4)
    p_kw = rng.uniform(-20.0, 20.0, (6, slots))
    return p_kw, 0.2 * p_kw


def _second_slack(net, pp) -> None:
    pp.create_ext_grid(net, 5, vm_pu=1.01)


def _voltage_controlled(net, pp) -> None:
    pp.create_gen(net, 5, p_mw=0.01, vm_pu=1.02)


def _zip_load(net, pp) -> None:
    pp.create_load(net, 4, 0.02, 0.005, const_z_p_percent=60.0, const_i_p_percent=20.0, const_z_q_percent=50.0)


BEYOND = [
    (_second_slack, "2 external grids: more than one slack"),
    (_voltage_controlled, "gen [0]: a voltage is controlled"),
    (_zip_load, "load [0]: power that depends on the voltage"),
]


@pytest.mark.parametrize(("change", "why"), BEYOND)
def test_what_the_fast_method_does_not_know_goes_to_runpp(changed, plain, change, why) -> None:
    grid = changed(change)
    assert grid.beyond == (why,)
    powers = _powers(1)
    assert not grid.voltages(*powers)[1].any()
    result = grid.check(*powers)
    assert result.converged.all()
    v_pu, loading_pct = grid.witness(*powers, 0)
    assert v_pu == pytest.approx(result.v_pu[:, 0], abs=1e-12)
    assert loading_pct == pytest.approx(result.loading_pct[:, 0], abs=1e-6)
    # What it was made for is no longer what the grid is: the fast method would be wrong by far.
    fast, _ = plain.voltages(*powers)
    assert np.abs(np.abs(fast) - result.v_pu).max() > 1e-3


def test_a_controlled_voltage_that_cannot_be_had_is_unconverged_and_not_feasible(changed) -> None:
    grid = changed(_voltage_controlled)
    p_kw = np.zeros((6, 2))
    p_kw[4, 1] = 5e4
    result = grid.check(p_kw, p_kw)
    assert result.converged.tolist() == [True, False]
    assert np.isnan(result.v_pu[:, 1]).all()


def _meshed(net, pp) -> None:
    pp.create_line_from_parameters(net, 4, 5, 0.1, r_ohm_per_km=0.6, x_ohm_per_km=0.1, c_nf_per_km=0, max_i_ka=0.1)
    pp.create_load(net, 4, 0.012, 0.003)
    pp.create_sgen(net, 5, 0.008, -0.001)
    pp.create_shunt(net, 3, q_mvar=-0.01)


def test_loops_constant_powers_and_capacitors_of_the_grid_file_are_within(changed) -> None:
    grid = changed(_meshed)
    assert grid.beyond == ()
    powers = _powers(2)
    voltage, converged = grid.voltages(*powers)
    assert converged.all()
    result = grid.result(voltage, converged)
    assert len(result.loading_pct) == len(grid.bus_ids)
    for slot in range(2):
        v_pu, loading_pct = grid.witness(*powers, slot)
        assert np.abs(v_pu - result.v_pu[:, slot]).max() <= 1e-8
        assert np.abs(loading_pct - result.loading_pct[:, slot]).max() <= 1e-5


def test_a_branch_without_a_place_is_refused(changed) -> None:
    with pytest.raises(GridError, match=r"table 'impedance' has 1 rows; draw them as lines and transformers"):
        changed(lambda net, pp: pp.create_impedance(net, 3, 4, 0.01, 0.01, 0.1))


def test_a_village_of_129_buses_agrees_with_runpp_in_voltages_and_currents(tmp_path) -> None:
    grid = read_ac_grid(village(tmp_path / "village.json"))
    assert len(grid.bus_ids) == BUSES
    p_kw, q_kvar = village_powers(96)
    result = grid.check(p_kw, q_kvar)
    assert result.converged.all()
    assert result.loading_pct.max() > 120.0
    for slot in (0, 95):
        v_pu, loading_pct = grid.witness(p_kw, q_kvar, slot)
        assert np.abs(v_pu - result.v_pu[:, slot]).max() <= 1e-8
        assert np.abs(loading_pct - result.loading_pct[:, slot]).max() <= 1e-5
