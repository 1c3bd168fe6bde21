"""Tiers, several demand charges and a subscribed power, against formulations written from scratch."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from districts import BATTERY, LOAD, as_plan, districts, problem
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.optimize import LinearConstraint, linprog, milp

from ems.plan_check import check_plan
from optimization.affine import compile_model
from optimization.assets import BatteryInputs, LoadInputs
from optimization.calendar_windows import CalendarWindow
from optimization.model import build_model
from optimization.problem import DemandTerms, EnergyTiers, Subscription
from optimization.slots import uniform
from optimization.solve import Solver
from optimization.structure import structure
from optimization.weights import Weights

SOLVER = Solver()
N = 8
RNG = np.random.default_rng(7)
DEMAND = np.round(6.0 + 10.0 * RNG.random(N), 3)
PRICE = np.round(0.1 + 0.3 * RNG.random(N), 6)
EARLY = 1e-5 * np.arange(N)


def asked(*charges, price=PRICE, held=10.0):
    pairs = [(LOAD, LoadInputs(DEMAND)), (BATTERY, BatteryInputs(held, 0.2))]
    return problem(pairs, price, step_s=3600.0, export=0.01, weights=Weights(move=0.0), charges=charges)


def solved(question):
    solution = SOLVER.solve(question)
    assert check_plan(question, as_plan(question, solution)) == ()
    return solution


def plant(extra):
    """Columns: charge, discharge, import, export, and `extra` more; what is stored, the balance, the cost."""
    zero, one, more = np.zeros((N, N)), np.eye(N), np.zeros((N, extra))
    low = np.tril(np.ones((N, N)))
    stored = np.hstack([0.96 * low, -low / 0.96, zero, zero, more])
    held = 10.0 - 0.05 * np.arange(1, N + 1)
    below = (np.vstack([stored, -stored]), np.concatenate([19.0 - held, held - 1.0]))
    balance = (np.hstack([one, -one, -one, one, more]), -DEMAND)
    cost = np.concatenate([EARLY, 0.02 + EARLY, PRICE, np.full(N, -0.01), np.zeros(extra)]) - 0.2 * stored[-1]
    bounds = [(0, 10)] * N + [(0, 8)] * N + [(0, 50)] * (2 * N)
    return below, balance, cost, bounds, -0.2 * held[-1]


def test_rising_tiers_against_an_independent_formulation():
    month = np.array([0] * 5 + [1] * 3)
    left, step = np.array([[30.0, 15.0], [48.0, 28.0]]), np.array([0.05, 0.13])
    question = asked(EnergyTiers(month, left, step))
    solution = solved(question)
    (under, most), (equal, right), cost, bounds, offset = plant(4)
    bought = np.zeros((4, 4 * N + 4))
    for row, m in enumerate([0, 1, 0, 1]):
        bought[row, 2 * N : 3 * N] = month == m
        bought[row, 4 * N + row] = -1.0
    cost[4 * N :] = np.repeat(step, 2)
    found = linprog(
        cost, np.vstack([under, bought]), np.append(most, left.ravel()), equal, right, [*bounds, *[(0, None)] * 4]
    )
    assert solution.objective == pytest.approx(found.fun + offset, abs=1e-5)
    np.testing.assert_allclose(solution.charged[0].ravel(), found.x[4 * N :], atol=1e-5)
    free = solved(asked())
    assert np.abs(free.import_kw - solution.import_kw).max() > 0.1  # the case binds
    assert (solution.charged[0] > 0.1).sum() >= 2
    assert "binaries" not in solution.solve or not solution.solve["binaries"]


@pytest.mark.parametrize("left", [20.0, 60.0, 80.0, 95.0, 300.0])
def test_a_falling_tier_against_an_independent_mixed_programme(left):
    question = asked(EnergyTiers(np.zeros(N, int), np.array([[left]]), np.array([-0.15])))
    solution = solved(question)
    (under, most), (equal, right), cost, bounds, offset = plant(2)
    over, reached = 4 * N, 4 * N + 1
    bought = np.zeros(4 * N + 2)
    bought[2 * N : 3 * N] = 1.0
    no_more, if_reached = -bought, np.zeros(4 * N + 2)
    no_more[[over, reached]] = 1.0, left
    if_reached[[over, reached]] = 1.0, -400.0
    cost[over] = -0.15
    low, high = np.array([*bounds, (0, 400), (0, 1)], float).T
    found = milp(
        cost,
        constraints=[
            LinearConstraint(np.vstack([under, no_more, if_reached]), -np.inf, np.append(most, [0.0, 0.0])),
            LinearConstraint(equal, right, right),
        ],
        bounds=(low, high),
        integrality=np.append(np.zeros(4 * N + 1), 1),
    )
    assert solution.objective == pytest.approx(found.fun + offset, abs=2e-3 * abs(found.fun))
    total = float(solution.import_kw.sum())
    assert solution.charged[0][0, 0] == pytest.approx(max(0.0, total - left), abs=1e-4)


def test_two_demand_charges_of_calendar_windows_against_an_independent_formulation():
    first, second = np.array([0, 0, 0, -1, -1, -1, -1, -1]), np.array([-1, -1, 0, 0, 0, 0, 0, 0])
    one = DemandTerms(4.0, 3600.0, first, np.array([3.0]))
    two = DemandTerms(1.5, 3600.0, second, np.array([0.0]))
    question = asked(one, two)
    solution = solved(question)
    (under, most), (equal, right), cost, bounds, offset = plant(2)
    rows = []
    for k, month in enumerate((first, second)):
        for s in np.flatnonzero(month >= 0):
            row = np.zeros(4 * N + 2)
            row[2 * N + s], row[4 * N + k] = 1.0, -1.0
            rows.append(row)
    cost[4 * N :] = 4.0, 1.5
    found = linprog(
        cost, np.vstack([under, *rows]), np.append(most, np.zeros(len(rows))), equal, right,
        [*bounds, (3.0, None), (0.0, None)],
    )  # fmt: skip
    assert solution.objective == pytest.approx(found.fun + offset - 12.0, abs=1e-5)
    peaks = np.array([float(charged[0]) for charged in solution.charged])
    np.testing.assert_allclose(peaks, found.x[4 * N :], atol=1e-5)
    assert peaks[0] > 3.0
    assert peaks[0] < DEMAND[:3].max() - 0.1


def test_a_subscribed_power_against_an_independent_formulation():
    question = asked(Subscription(9.0, 0.4))
    solution = solved(question)
    (under, most), (equal, right), cost, bounds, offset = plant(N)
    above = np.hstack([np.zeros((N, 2 * N)), np.eye(N), np.zeros((N, N)), -np.eye(N)])
    cost[4 * N :] = 0.4
    found = linprog(
        cost, np.vstack([under, above]), np.append(most, np.full(N, 9.0)), equal, right, [*bounds, *[(0, None)] * N]
    )
    assert solution.objective == pytest.approx(found.fun + offset, abs=1e-5)
    np.testing.assert_allclose(solution.charged[0], np.maximum(solution.import_kw - 9.0, 0.0), atol=1e-5)
    assert 0.1 < solution.charged[0].sum() < np.maximum(DEMAND - 9.0, 0.0).sum() - 1.0


def test_a_window_of_winter_weekdays_is_laid_on_the_slots():
    zone = ZoneInfo("Europe/Berlin")
    slots = uniform(datetime(2026, 1, 2, 17, tzinfo=UTC), 8, 3600.0)  # Friday, 18 h in Berlin
    window = CalendarWindow((11, 12, 1, 2), (0, 1, 2, 3, 4), 7.0, 20.0)
    open_at = window.holds(slots.start.timestamp() + slots.offset_s, zone)
    assert open_at.tolist() == [True, True] + [False] * 6


EASY = settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])


@EASY
@given(districts(), st.sampled_from([-0.1, 0.1]), st.sampled_from([0.0, 2.0, 500.0]), st.sampled_from([900.0, 1800.0]))
def test_any_district_has_a_plan_whatever_its_charges(base, step, left, interval_s):
    n = len(base.slots)
    month = np.minimum(np.arange(n) // 3, 1)
    charges = (
        EnergyTiers(month, left + np.array([[0.0, 0.0], [5.0, 5.0]]), np.array([0.05, step])),
        DemandTerms(3.0, interval_s, np.where(np.arange(n) % 3 == 1, -1, month), np.array([1.0, 0.0]), 0.2),
        Subscription(left, 0.2),
    )
    question = replace(base, charges=charges)
    solution = SOLVER.solve(question)
    assert check_plan(question, as_plan(question, solution)) == ()


def test_a_problem_without_charges_has_no_columns_for_them():
    plain, charged = (compile_model(build_model(structure(q), None)) for q in (asked(), asked(Subscription(9.0, 0.4))))
    assert not any(name.startswith("charge") for name in plain.columns)
    assert set(charged.columns) - set(plain.columns) == {"charge[0].over_kw"}
    assert structure(asked()).charges == ()


def test_a_plan_that_counts_wrongly_is_found_out():
    rising = EnergyTiers(np.zeros(N, int), np.array([[30.0]]), np.array([0.05]))
    falling = EnergyTiers(np.zeros(N, int), np.array([[30.0]]), np.array([-0.05]))
    peak = DemandTerms(2.0, 3600.0, np.array([0] * 4 + [-1] * 4), np.array([1.0]))
    question = asked(rising, falling, peak, Subscription(8.0, 0.3))
    plan = as_plan(question, solved(question))
    for k, off, words in (
        (0, -0.1, "too little beyond step 0"),
        (1, 0.1, "too much beyond step 0"),
        (2, -0.1, "above the admitted peak"),
        (2, -40.0, "below the free one"),
        (3, -0.1, "above the subscribed power"),
        (3, np.nan, "finite numbers"),
    ):
        wrong = tuple(charged + off if k == i else charged for i, charged in enumerate(plan.charged))
        assert words in "; ".join(check_plan(question, replace(plan, charged=wrong)))
    assert "3 charges" in check_plan(question, replace(plan, charged=plan.charged[:3]))[0]


def test_wrong_charges_are_refused_with_all_reasons():
    question = asked(
        EnergyTiers(np.full(N, 2), np.array([[-1.0]]), np.array([np.nan])),
        DemandTerms(-1.0, 0.0, np.full(N, -2), np.array([-1.0])),
        Subscription(-1.0, -1.0),
        EnergyTiers(np.zeros(N, int), np.zeros(3), np.zeros(3)),
    )
    reasons = " | ".join(SOLVER.solve(question).reasons)
    for key in ("[0].step_per_kwh", "[0].left_kwh", "[0].month", "[1].price_per_kw", "[1].interval_s", "[1].free_kw",
                "[1].month", "[2].subscribed_kw", "[2].price_per_kwh",
        "[3].left_kwh"):  # fmt: skip
        assert f"charges{key}" in reasons
