"""The planner on a feeder against its equations written out by hand for scipy, where each kind of limit binds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from districts import BATTERY, LOAD, PV, problem
from scipy.optimize import linprog

from optimization.assets import BatteryInputs, LoadInputs, PvInputs
from optimization.network import Network
from optimization.solve import Solver
from optimization.weights import Weights

N, H = 6, 0.25
PRICE = np.array([0.31, 0.12, 0.27, 0.44, 0.18, 0.36])
NEAR, FAR = np.array([6.0, 9.0, 4.0, 7.0, 5.0, 8.0]), np.array([3.0, 5.0, 8.0, 2.0, 6.0, 4.0])
TAN_NEAR, TAN_FAR = np.tan(np.arccos(0.95)), np.tan(np.arccos(0.9))
R, X = (2e-4, 6e-4), (1e-4, 2e-4)
SOLVER = Solver()


def feeder(trafo_kva, line_kva, low, high):
    return Network(
        bus_ids=np.array([10, 11, 12]),
        upper=np.array([0, 1]),
        r_pu_per_kw=np.array(R),
        x_pu_per_kvar=np.array(X),
        flow_limit_kw=np.array([trafo_kva, line_kva]),
        v_min_pu=np.full(3, low),
        v_max_pu=np.full(3, high),
        slack_pu=1.0,
        branch_names=("trafo 0", "line 0"),
        key="three buses by hand",
    )


def reference(trafo_kva, line_kva, low, high, sun, factor):
    """x = import, export, sun used, charge, discharge, unserved near and far, beyond both flows and both voltages."""
    one, zero = np.eye(N), np.zeros((N, N))

    def of(**parts):
        names = ("buy", "sell", "sun", "charge", "discharge", "near", "far", "over_0", "over_1", "off_1", "off_2")
        return np.hstack([parts.get(name, 0.0) * one for name in names])

    # What flows into the line and the transformer: a matrix of x and what is drawn anyway.
    p_1, q_1 = of(sun=-1.0, far=-1.0), of(far=-TAN_FAR)
    p_0, q_0 = p_1 + of(charge=1.0, discharge=-1.0, near=-1.0), q_1 + of(near=-TAN_NEAR)
    drawn_1, drawn_0 = (factor * FAR, TAN_FAR * factor * FAR), np.array([factor * FAR + NEAR, zero[0]])
    drawn_0[1] = TAN_FAR * factor * FAR + TAN_NEAR * NEAR
    v_1, base_1 = -2.0 * (R[0] * p_0 + X[0] * q_0), 1.0 - 2.0 * (R[0] * drawn_0[0] + X[0] * drawn_0[1])
    v_2, base_2 = v_1 - 2.0 * (R[1] * p_1 + X[1] * q_1), base_1 - 2.0 * (R[1] * drawn_1[0] + X[1] * drawn_1[1])
    rows, limits = [], []
    for v, base, name in ((v_1, base_1, "off_1"), (v_2, base_2, "off_2")):
        rows += [v - of(**{name: 1.0}), -v - of(**{name: 1.0})]
        limits += [high**2 - base, base - low**2]
    inside = np.cos(np.pi / 24.0)
    for p, q, drawn, v, base, limit, name in (
        (p_0, q_0, drawn_0, v_1, base_1, trafo_kva, "over_0"),
        (p_1, q_1, drawn_1, v_2, base_2, line_kva, "over_1"),
    ):
        for corner in range(24):
            angle = np.pi * (corner + 0.5) / 12.0
            if abs(np.cos(angle)) > np.cos(np.pi / 6.0):
                carried = inside * limit / 2.0
                rows.append(np.cos(angle) * p + np.sin(angle) * q - carried * v - of(**{name: 1.0}))
                limits.append(carried * (1.0 + base) - np.cos(angle) * drawn[0] - np.sin(angle) * drawn[1])
    stored = np.tril(np.ones((N, N))) @ of(charge=0.96 * H, discharge=-H / 0.96)
    start = 10.0 - 0.05 * H * np.arange(1, N + 1)
    rows += [stored, -stored]
    limits += [19.0 - start, start - 1.0]
    late = 1e-5 * np.arange(N) * H * H
    wear = np.concatenate([PRICE * H, -0.5 * PRICE * H, 0.0 * PRICE, late, late + 0.02 * H])
    beyond = np.concatenate([np.full(2 * N, 100.0 * H), np.full(2 * N, 50.0 * H), np.full(2 * N, 50.0 * 500.0 * H)])
    cost = np.concatenate([wear, beyond]) - 0.2 * stored[-1]
    most = [60.0, 60.0, sun, 10.0, 8.0, NEAR, factor * FAR, *[np.inf] * 4]
    found = linprog(
        cost,
        A_ub=np.vstack(rows),
        b_ub=np.concatenate(limits),
        A_eq=of(buy=1.0, sell=-1.0) - p_0,
        b_eq=drawn_0[0],
        bounds=np.stack([np.zeros(11 * N), np.concatenate([np.broadcast_to(each, N) for each in most])], axis=1),
    )
    assert found.status == 0, found.message
    return found.fun - 0.2 * start[-1], found.x.reshape(11, N)


CASES = {
    "the ceiling of the voltage curtails the sun": (200.0, 200.0, 0.9, 1.01, 40.0, 1.0),
    "the floor of the voltage is passed by the far load": (200.0, 200.0, 0.995, 1.05, 0.0, 1.0),
    "the line cannot carry the sun": (200.0, 12.0, 0.9, 1.1, 40.0, 1.0),
    "the line cannot carry the far load": (200.0, 5.0, 0.9, 1.1, 0.0, 1.0),
    "the transformer holds the battery back": (14.0, 200.0, 0.9, 1.1, 0.0, 1.0),
    "reactive power fills the transformer": (9.0, 200.0, 0.9, 1.1, 0.0, 1.5),
}


@pytest.mark.parametrize("name", CASES)
def test_each_limit_of_a_feeder_binds_and_agrees_with_another_formulation(name):
    trafo_kva, line_kva, low, high, sun, factor = CASES[name]
    pairs = [
        (replace(LOAD, id="near", bus=11, power_factor=0.95), LoadInputs(NEAR)),
        (replace(LOAD, id="far", bus=12, power_factor=0.9), LoadInputs(factor * FAR)),
        (replace(PV, bus=12), PvInputs(np.full(N, sun))),
        (replace(BATTERY, bus=11), BatteryInputs(10.0, 0.2)),
    ]
    asked = problem(pairs, PRICE, limit=60.0, weights=Weights(move=0.0))
    solution = SOLVER.solve(replace(asked, network=feeder(trafo_kva, line_kva, low, high)))
    optimum, x = reference(trafo_kva, line_kva, low, high, sun, factor)
    assert solution.objective == pytest.approx(optimum, rel=1e-6, abs=1e-5)
    assert solution.objective > SOLVER.solve(asked).objective + 1e-3
    np.testing.assert_allclose(-solution.schedules["pv"].power_kw.sum(), x[2].sum(), atol=1e-3)
    np.testing.assert_allclose(solution.grid_excess_kva.sum(), (x[7:9].sum() + 500.0 * x[9:].sum()), atol=1e-3)
