"""A feeder and what an outage makes of it in one linear programme, against the same question written down for scipy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from districts import LOAD, PV, problem
from scipy.optimize import linprog
from test_feeder import FEEDER, N

from optimization.assets import LoadInputs, PvInputs
from optimization.network import FACET_SHARE, FACETS_DEG, Network
from optimization.solve import Solver

AFTER = Network(
    bus_ids=np.array([10, 12, 11]),
    upper=np.array([0, 1]),
    r_pu_per_kw=np.array([5e-4, 6e-4]),
    x_pu_per_kvar=np.array([2e-4, 2e-4]),
    flow_limit_kw=np.array([45.0, 45.0]),
    v_min_pu=np.full(3, 0.9),
    v_max_pu=np.full(3, 1.03),
    slack_pu=1.0,
    branch_names=("tie 1", "line 0"),
    key="three buses from the other end",
)
TAN = float(np.tan(np.arccos(0.95)))
LOAD_KW = np.array([1.0, 2.0, 3.0, 4.0, 0.5, 6.0])
NEAR_KW, FAR_KW = np.full(N, 25.0), np.array([6.0, 14.0, 22.0, 30.0, 30.0, 18.0])
PRICE = np.array([0.3, 0.28, 0.2, 0.1, 0.12, 0.25])


def question(*outages, base=FEEDER):
    pairs = [
        (replace(LOAD, bus=11, power_factor=0.95), LoadInputs(LOAD_KW)),
        (replace(PV, id="near", bus=11), PvInputs(NEAR_KW)),
        (replace(PV, id="far", bus=12), PvInputs(FAR_KW)),
    ]
    return problem(pairs, PRICE, network=replace(base, outages=outages))


def way(network, bus):
    """Name the branches on the way to a place."""
    found = []
    while bus:
        found.append(bus - 1)
        bus = int(network.upper[bus - 1])
    return found


def rows_of(network, s):
    """Write the limits of one feeder as rows @ (near, far) <= rhs."""
    p = {11: (LOAD_KW[s], np.array([-1.0, 0.0])), 12: (0.0, np.array([0.0, -1.0]))}
    q = {11: TAN * LOAD_KW[s], 12: 0.0}
    place = {bus: int(np.flatnonzero(network.bus_ids == bus)[0]) for bus in (11, 12)}
    flow = {}
    for k in (0, 1):
        below = [bus for bus in (11, 12) if k in way(network, place[bus])]
        flow[k] = (sum(p[b][0] for b in below), sum(p[b][1] for b in below), sum(q[b] for b in below))
    rows, rhs = [], []
    for k in (0, 1):
        constant, row = 1.0, np.zeros(2)
        for j in way(network, k + 1):
            r, x = network.r_pu_per_kw[j], network.x_pu_per_kvar[j]
            constant -= 2 * (r * flow[j][0] + x * flow[j][2])
            row = row - 2 * r * flow[j][1]
        rows += [row, -row]
        rhs += [network.v_max_pu[k + 1] ** 2 - constant, constant - network.v_min_pu[k + 1] ** 2]
        for a in np.radians(FACETS_DEG):
            share = FACET_SHARE * network.flow_limit_kw[k] / 2
            rows.append(np.cos(a) * flow[k][1] - share * row)
            rhs.append(share * (1 + constant) - np.cos(a) * flow[k][0] - np.sin(a) * flow[k][2])
    return rows, rhs


def with_scipy(*networks):
    cost = 0.0
    for s in range(N):
        rows, rhs = [], []
        for network in networks:
            more = rows_of(network, s)
            rows, rhs = rows + more[0], rhs + more[1]
        earned = 0.25 * 0.5 * PRICE[s]
        done = linprog([-earned, -earned], rows, rhs, bounds=[(0, NEAR_KW[s]), (0, FAR_KW[s])])
        assert done.success
        assert -done.fun / earned > LOAD_KW[s]  # more than is drawn, so that a price of export alone counts
        cost += done.fun + earned * LOAD_KW[s]
    return cost


def test_the_limits_after_an_outage_are_kept_by_the_same_powers():
    one, both = Solver().solve(question()), Solver().solve(question(AFTER))
    assert one.objective == pytest.approx(with_scipy(FEEDER), abs=1e-7)
    assert both.objective == pytest.approx(with_scipy(FEEDER, AFTER), abs=1e-7)
    assert both.objective > one.objective + 1e-3
    assert both.grid_excess_kva == pytest.approx(0.0, abs=1e-7)


def test_both_the_feeder_and_what_is_left_of_it_bind():
    after_alone = Solver().solve(question(base=AFTER))
    both = Solver().solve(question(AFTER))
    assert both.objective > after_alone.objective + 1e-3


def test_what_an_outage_exceeds_is_told_and_its_price_is_seen_at_the_bus():
    tight = replace(AFTER, v_max_pu=np.full(3, 0.99))
    solution = Solver(priced=True).solve(question(tight))
    assert solution.grid_excess_kva.max() > 1.0
    bound = Solver(priced=True).solve(question(AFTER))
    free = Solver(priced=True).solve(question())
    assert (bound.prices.local_value["near"] < free.prices.local_value["near"] - 1e-3).any()


def test_an_outage_more_is_another_model_and_cuts_in_it_are_not():
    solver = Solver()
    assert solver.solve(question()).solve["start"] == "cold"
    assert solver.solve(question(AFTER)).solve["start"] == "cold"
    cut = replace(AFTER, tighten_v_pu=np.stack([np.full((N, 3), 0.01), np.zeros((N, 3))]))
    tight = solver.solve(question(cut))
    assert tight.solve["start"] == "warm"
    assert tight.objective == pytest.approx(
        with_scipy(FEEDER, replace(AFTER, v_max_pu=AFTER.v_max_pu - 0.01)), abs=1e-7
    )


def test_the_price_of_a_limit_after_an_outage_is_the_slope_of_the_cost() -> None:
    priced, storm, step_pu = Solver(priced=True), replace(AFTER, after="storm"), 1e-5
    solution = priced.solve(question(storm))
    found = {limit.name: limit for limit in solution.prices.limits if limit.name.endswith(" after storm")}
    assert "voltage_pu:bus 11 after storm" in found
    looser = priced.solve(question(replace(storm, v_max_pu=storm.v_max_pu + step_pu)))
    worth = sum(limit.worth.sum() for limit in found.values() if limit.name.startswith("voltage_pu"))
    assert worth > 0.0
    assert solution.objective - looser.objective == pytest.approx(step_pu * worth, rel=0.02)
