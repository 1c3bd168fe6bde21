"""Never both at once: where prices invert, binaries decide, and they find the true optimum."""

from __future__ import annotations

import numpy as np
import pytest
from districts import BATTERY, LOAD, PV, assert_physical, problem
from scipy.optimize import Bounds, LinearConstraint, milp

from optimization.assets import BatteryInputs, LoadInputs, PvInputs
from optimization.exclusive import find_pairs
from optimization.solve import Solver
from optimization.warm import WarmModel
from optimization.weights import Weights

N, H = 8, 0.25
PAIRS = [(LOAD, LoadInputs(np.full(N, 2.0))), (PV, PvInputs(np.full(N, 6.0))), (BATTERY, BatteryInputs(18.0))]
FLAT = np.full(N, 0.2)
DEEP = np.array([0.1, -0.4, -0.4, -0.4, -0.4, 0.3, 0.2, 0.2])


@pytest.mark.parametrize(
    ("price", "export", "needed"),
    [
        (FLAT, 0.1, False),
        (FLAT, 0.2, False),
        (FLAT, 0.25, True),
        (DEEP, DEEP - 0.01, True),
        (DEEP, DEEP + 0.05, True),
    ],
    ids=["ordinary", "equal prices", "export earns more", "negative", "negative and inverted"],
)
def test_binaries_come_only_where_prices_invert(price, export, needed):
    asked = problem(PAIRS, price, export=export, limit=20.0)
    solution = Solver().solve(asked)
    assert (solution.solve["binaries"] > 0) == needed
    assert_physical(asked, solution)


@pytest.mark.parametrize("export", [DEEP - 0.01, DEEP + 0.05], ids=["negative", "inverted"])
def test_the_binaries_find_the_optimum(export):
    solution = Solver().solve(problem(PAIRS, DEEP, export=export, limit=20.0, weights=Weights(move=0.0)))
    # x = import, export, charge, discharge, sun used, importing?, charging?
    one, zero = np.eye(N), np.zeros((N, N))
    cumulated = np.tril(np.ones((N, N))) * H
    rows = [
        (np.hstack([one, -one, -one, one, one, zero, zero]), 2.0, 2.0),
        (
            np.hstack([zero, zero, 0.96 * cumulated, -cumulated / 0.96, zero, zero, zero]),
            1.0 - 18.0 + 0.05 * H * np.arange(1, N + 1),
            19.0 - 18.0 + 0.05 * H * np.arange(1, N + 1),
        ),
        (np.hstack([one, zero, zero, zero, zero, -20 * one, zero]), -np.inf, 0.0),
        (np.hstack([zero, one, zero, zero, zero, 20 * one, zero]), -np.inf, 20.0),
        (np.hstack([zero, zero, one, zero, zero, zero, -10 * one]), -np.inf, 0.0),
        (np.hstack([zero, zero, zero, one, zero, zero, 8 * one]), -np.inf, 8.0),
    ]
    cost = np.concatenate([DEEP * H, -export * H, np.zeros(N), np.full(N, 0.02 * H), np.zeros(3 * N)])
    reference = milp(
        cost,
        constraints=[LinearConstraint(a, low, high) for a, low, high in rows],
        integrality=np.concatenate([np.zeros(5 * N), np.ones(2 * N)]),
        bounds=Bounds(0.0, np.concatenate([np.full(v * N, u) for v, u in ((2, 20), (1, 10), (1, 8), (1, 6), (2, 1))])),
    )
    assert reference.status == 0
    # The gap that is allowed, and the prices of being late.
    assert solution.objective == pytest.approx(reference.fun, rel=5e-4, abs=1e-3)


def test_a_battery_that_would_burn_what_nobody_may_export_is_settled_in_three_runs(monkeypatch):
    """What it may not lose in one slot it would lose in the next, slot by slot for ever."""
    runs, run = [], WarmModel._run_mixed
    monkeypatch.setattr(WarmModel, "_run_mixed", lambda self, *a: runs.append(len(a[1])) or run(self, *a))
    slots = 48
    feed_in = 3.0 * np.sin(np.linspace(0.0, np.pi, slots))
    pairs = [(LOAD, LoadInputs(-feed_in)), (BATTERY, BatteryInputs(18.0))]
    asked = problem(pairs, np.full(slots, 0.3), limit=0.0)
    solution = Solver().solve(asked)
    assert_physical(asked, solution, tolerance=1e-4)
    assert 1 <= len(runs) <= 3
    assert runs[-1] == slots
    assert solution.solve["gap"] <= 5e-3


def test_a_thing_with_more_pairs_than_another_keeps_its_own():
    """A charge point has a pair for each car in each slot, a battery one for each slot."""
    columns = {"buys": slice(0, 2), "sells": slice(2, 4), "takes": slice(4, 8), "gives": slice(8, 12)}
    pairs = find_pairs([(("buys",), ("sells",)), (("takes",), ("gives",))], columns)
    assert pairs.thing.tolist() == [0, 0, 1, 1, 1, 1]
    np.testing.assert_array_equal(pairs.of_the_same_things(np.array([3])), [2, 3, 4, 5])
