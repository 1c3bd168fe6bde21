"""Feeders with closed loops: the linear network against currents through impedances, and against scipy's optimum."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from districts import LOAD, PV, problem
from drawn_feeders import drawn_feeder
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from optimization.assets import LoadInputs, PvInputs
from optimization.network import FACET_SHARE, FACETS_DEG, Network
from optimization.solve import Solver

RING = Network(
    bus_ids=np.array([10, 11, 12, 13]),
    upper=np.array([0, 1, 1, 2]),
    r_pu_per_kw=np.array([1e-5, 3e-4, 1e-4, 2e-4]),
    x_pu_per_kvar=np.array([4e-5, 1e-4, 2e-4, 1e-4]),
    flow_limit_kw=np.array([200.0, 20.0, 20.0, 20.0]),
    v_min_pu=np.full(4, 0.9),
    v_max_pu=np.full(4, 1.1),
    slack_pu=1.0,
    branch_names=("trafo 0", "line 0", "line 1", "tie"),
    key="a ring by hand",
    loop_lower=np.array([3]),
)
N = 4
SUN = (np.array([60.0, 30.0, 45.0, 0.0]), np.array([50.0, 35.0, 5.0, 0.0]))


def by_currents(network: Network, p_kw, q_kvar):
    """Send a current of the conjugate power through the impedances, at 1 pu everywhere: Kirchhoff's two laws, whole."""
    buses, branches = len(network.bus_ids), len(network.upper)
    ends = np.zeros((branches, buses))
    ends[np.arange(branches), network.upper] = 1.0
    ends[np.arange(branches), network.lower] -= 1.0
    y = 1.0 / (network.r_pu_per_kw + 1j * network.x_pu_per_kvar)
    matrix = ends.T @ (y[:, None] * ends)
    drop = np.zeros((buses, p_kw.shape[1]), dtype=complex)
    drop[1:] = np.linalg.solve(matrix[1:, 1:], -(p_kw - 1j * q_kvar)[1:])
    return np.conj(y[:, None] * (ends @ drop)), drop


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_law_flows_are_those_of_currents_through_the_impedances(seed: int) -> None:
    form, now = np.random.default_rng([1, seed]), np.random.default_rng([2, seed])
    network, _, _ = drawn_feeder(form, now, key="k")
    if network is None:
        return
    p_kw, q_kvar = now.uniform(-30.0, 30.0, (2, len(network.bus_ids), 5))
    p, q = network.flows(p_kw, q_kvar)
    expected, drop = by_currents(network, p_kw, q_kvar)
    np.testing.assert_allclose(p + 1j * q, expected, atol=1e-8)
    squared = network.squared_voltages(p_kw, q_kvar)
    np.testing.assert_allclose(squared[1:], (network.slack_pu**2 + 2.0 * drop.real)[1:], atol=1e-10)


def question(network: Network):
    pairs = [
        (replace(LOAD, bus=11), LoadInputs(np.zeros(N))),
        (replace(PV, id="left", bus=12), PvInputs(SUN[0])),
        (replace(PV, id="right", bus=13), PvInputs(SUN[1])),
    ]
    return replace(problem(pairs, np.full(N, 0.3), limit=500.0), network=network)


def most_sun_kw(network: Network) -> float:
    """Find the most that both plants may give, slot by slot, with distribution factors of the currents."""
    per_kw, drop = by_currents(network, -np.eye(4)[:, 2:], np.zeros((4, 2)))
    v_per_kw = 2.0 * drop.real[network.lower]
    total = 0.0
    for left, right in zip(*SUN, strict=True):
        rows, limits = [], []
        for a in np.radians(FACETS_DEG):
            along = np.cos(a) * per_kw.real + np.sin(a) * per_kw.imag
            carried = FACET_SHARE / 2.0 * network.flow_limit_kw
            rows.append(along - carried[:, None] * v_per_kw)
            limits.append(carried * (1.0 + network.slack_pu**2))
        best = linprog([-1.0, -1.0], A_ub=np.vstack(rows), b_ub=np.concatenate(limits), bounds=[(0, left), (0, right)])
        total -= best.fun
    return total


OPENED = replace(
    RING,
    upper=RING.upper[:3],
    r_pu_per_kw=RING.r_pu_per_kw[:3],
    x_pu_per_kvar=RING.x_pu_per_kvar[:3],
    flow_limit_kw=RING.flow_limit_kw[:3],
    branch_names=RING.branch_names[:3],
    loop_lower=RING.loop_lower[:0],
    key="the ring opened",
)


@pytest.mark.parametrize("network", [RING, OPENED], ids=["closed", "open"])
def test_a_feeder_carries_what_another_formulation_finds(network: Network) -> None:
    solution = Solver().solve(question(network))
    given_kw = -sum(solution.schedules[name].power_kw.sum() for name in ("left", "right"))
    assert given_kw == pytest.approx(most_sun_kw(network), abs=1e-4)
    assert given_kw < sum(sun.sum() for sun in SUN) - 10.0, "a limit binds"
    assert solution.grid_excess_kva.max() < 1e-6


def test_closing_the_ring_lets_both_ways_carry_one_plant() -> None:
    assert most_sun_kw(RING) > most_sun_kw(OPENED) + 1.0
