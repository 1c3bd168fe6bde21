from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyomo.environ as pyo
import pytest
from feeder_days import LIMITS
from pyomo.contrib.appsi.solvers import Highs

from optimization.network import FACET_SHARE, FACETS_DEG, GridError, GridLimits
from optimization.network_block import add_network, limit_params


def _within_limits(case, slots: int) -> tuple[np.ndarray, np.ndarray]:
    """States of the feeder that keep its limits: the linear network need be right there, and only there."""
    rng = np.random.default_rng(5)
    p_kw = rng.uniform([[0], [-40], [0], [0], [-80], [0]], [[0], [40], [14], [22], [0], [36]], (6, slots))
    q_kvar = np.where(p_kw > 0, 0.25, 0.0) * p_kw
    q_kvar[1] = 0.0
    result = case.ac.check(p_kw, q_kvar)
    good = (result.loading_pct.max(axis=0) <= 100) & (result.v_pu.max(axis=0) < 1.05) & (result.v_pu.min(axis=0) > 0.95)
    return p_kw[:, good], q_kvar[:, good]


def test_linear_voltages_and_flows_are_near_ac(case) -> None:
    p_kw, q_kvar = _within_limits(case, 3000)
    result = case.ac.check(p_kw, q_kvar)
    linear_pu = np.sqrt(case.network.squared_voltages(p_kw, q_kvar))
    assert np.abs(linear_pu - result.v_pu)[1:].max() < 3.0e-3
    busy = result.loading_pct > 80
    error_pct = (case.network.use_kva(p_kw, q_kvar) / case.rating_kva[:, None] * 100 - result.loading_pct)[busy]
    assert busy.sum() > 100
    assert error_pct.min() > -3.5  # import: losses add to the current
    assert error_pct.max() < 6.0  # export: losses take from it, so the linear network is careful


def test_flows_add_up_what_is_below(case) -> None:
    p_kw = np.array([[0.0], [1.0], [2.0], [4.0], [8.0], [16.0]])
    by_name = dict(zip(case.ac.branch_names, case.network.flows(p_kw, 0.0 * p_kw)[0][:, 0], strict=True))
    at = dict(zip(case.ac.bus_names, p_kw[:, 0], strict=True))
    assert by_name["transformer"] == 31.0
    assert by_name["busbar - houses_near"] == at["houses_near"] + at["houses_far"]
    assert by_name["houses_near - houses_far"] == at["houses_far"]
    assert by_name["busbar - barn"] == at["barn"]


def test_planned_limits_keep_a_share_of_every_limit_free() -> None:
    planned = LIMITS.planned
    assert planned.loading_max_pct == pytest.approx(92.0)
    assert planned.voltage_max_pu == pytest.approx(1.046)
    assert planned.voltage_min_pu == pytest.approx(0.954)
    assert planned.planned == planned


def test_the_polygon_lies_inside_the_circle_and_close_to_it() -> None:
    angles = np.radians(np.linspace(-30.0, 30.0, 601))
    for side in (0.0, np.pi):
        reach = 1.0 / (np.cos(angles[:, None] + side - np.radians(FACETS_DEG)) / FACET_SHARE).max(axis=1)
        assert reach.max() <= 1.0 + 1e-9
        assert reach.min() >= 0.991


def test_an_unknown_bus_is_refused(case) -> None:
    with pytest.raises(GridError, match=r"bus 77 is not in the grid; its buses are \[0, 1"):
        case.network.position(77)


def _model(network, power_kw: float, slots: int = 2) -> pyo.ConcreteModel:
    """A model that wants as much power at the far houses as the feeder gives."""
    m = pyo.ConcreteModel()
    m.power = pyo.Var(range(slots), bounds=(0.0, power_kw))
    far = len(network.bus_ids) - 1
    take = {far: m.power}
    add_network(
        m,
        network,
        range(slots),
        lambda bus, s: take[bus][s] if bus in take else 0.0,
        lambda bus, s: 0.25 * take[bus][s] if bus in take else 0.0,
    )
    m.goal = pyo.Objective(expr=sum(50.0 * m.grid_excess[s] - m.power[s] for s in range(slots)))
    return m


def _solve(m: pyo.ConcreteModel) -> list[float]:
    Highs().solve(m)
    return [pyo.value(m.power[s]) for s in m.power]


def test_the_block_and_the_numpy_operator_are_the_same_feeder(case) -> None:
    m = _model(case.network, 500.0)
    power = _solve(m)
    p_kw = np.zeros((6, 2))
    p_kw[-1] = power
    v = case.network.squared_voltages(p_kw, 0.25 * p_kw)
    use = case.network.use_kva(p_kw, 0.25 * p_kw)
    assert [[pyo.value(m.v[b, s]) for s in range(2)] for b in range(1, 6)] == pytest.approx(v[1:], abs=1e-6)
    floor, _ = case.network.squared_band(2)
    on_a_limit = (
        np.isclose(use, case.network.flow_limits_kva(2), rtol=1e-6).any() or np.isclose(v, floor, atol=1e-7).any()
    )
    assert on_a_limit
    assert sum(pyo.value(m.grid_excess[s]) for s in range(2)) == pytest.approx(0.0, abs=1e-6)


def test_tightening_is_an_update_of_params(case) -> None:
    m = _model(case.network, 500.0)
    before = _solve(m)
    cut = np.zeros((2, 5))
    cut[1] = 40.0
    tight = replace(case.network, tighten_flow_kva=cut, tighten_v_pu=np.zeros((2, 2, 6)))
    for name, values in limit_params(tight, 2).items():
        param = getattr(m, name)
        for key, value in zip(param, values.ravel().tolist(), strict=True):
            param[key] = value
    after = _solve(m)
    assert after[0] == pytest.approx(before[0], abs=1e-6)
    assert after[1] < before[1] - 20.0


def test_what_must_flow_is_paid_for_and_never_infeasible(case) -> None:
    m = _model(case.network, 500.0)
    for s in m.power:
        m.power[s].fix(90.0)
    _solve(m)
    assert pyo.value(m.grid_excess[0]) > 20.0
    assert pyo.value(m.flow_slack_kva[0, 0]) > 20.0
    assert pyo.value(m.v_slack[5, 0]) > 0.0


def test_a_limit_below_zero_after_cuts_is_zero(case) -> None:
    tight = replace(case.network, tighten_flow_kva=np.full((3, 5), 1e6))
    assert (tight.flow_limits_kva(3) == 0.0).all()


def test_limits_can_be_exchanged(case) -> None:
    wide = case.network_within(GridLimits(0.9, 1.1, 120.0, 0.0))
    assert wide.flow_limit_kw == pytest.approx(case.network.flow_limit_kw * 120.0 / 92.0)
    assert (wide.v_min_pu == 0.9).all()
    assert (wide.v_max_pu == 1.1).all()
