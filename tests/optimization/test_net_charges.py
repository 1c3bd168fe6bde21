"""Envelopes, demand response, imbalance and reactive energy, against formulations written from scratch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from districts import as_plan, districts, problem
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from ems.plan_check import check_plan
from optimization.assets import Battery, BatteryInputs, Load, LoadInputs
from optimization.net_charges import FAR_KW, demand_response
from optimization.problem import Envelope, Imbalance, Ramping, ReactiveEnergy, Refused
from optimization.solve import Solver
from optimization.weights import Weights

SOLVER = Solver()
N = 8
RNG = np.random.default_rng(11)
DEMAND = np.round(6.0 + 10.0 * RNG.random(N), 3)
PRICE = np.round(0.1 + 0.3 * RNG.random(N), 6)
EARLY = 1e-5 * np.arange(N)
LOAD = Load("load", power_factor=0.9)
BATTERY = Battery("battery", 20.0, 10.0, 8.0, wear_per_kwh=0.02, power_factor=0.95)
TAN = {"load": np.tan(np.arccos(0.9)), "battery": np.tan(np.arccos(0.95))}
EXPORT = 0.01


def asked(*charges, held=10.0, price=PRICE, demand=DEMAND):
    pairs = [(LOAD, LoadInputs(demand)), (BATTERY, BatteryInputs(held, 0.2))]
    return problem(pairs, price, step_s=3600.0, export=EXPORT, weights=Weights(move=0.0), charges=charges)


def solved(question):
    solution = SOLVER.solve(question)
    assert not isinstance(solution, Refused), solution
    assert check_plan(question, as_plan(question, solution)) == ()
    return solution


def net_kw(solution):
    return solution.import_kw - solution.export_kw


def reference(extra_cost, rows, right, extra, *, price=PRICE, demand=DEMAND):
    """Columns: charge, discharge, import, export, and `extra` more; rows are over all of them, at most `right`."""
    zero, one, more = np.zeros((N, N)), np.eye(N), np.zeros((N, extra))
    low = np.tril(np.ones((N, N)))
    stored = np.hstack([0.96 * low, -low / 0.96, zero, zero, more])
    under = np.vstack([stored, -stored, *rows])
    most = np.concatenate([np.full(N, 9.0), np.full(N, 9.0), *right])
    balance = np.hstack([one, -one, -one, one, more])
    cost = np.concatenate([EARLY, 0.02 + EARLY, price, np.full(N, -EXPORT), np.zeros(extra)]) - 0.2 * stored[-1]
    bounds = [(0, 10)] * N + [(0, 8)] * N + [(0, 50)] * (2 * N) + [(0, None)] * extra
    found = linprog(cost + extra_cost, under, most, balance, -demand, bounds)
    assert found.status == 0
    return found.fun - 0.2 * 10.0


def of_net(extra, k=slice(None)):
    """Rows that give net import."""
    one = np.eye(N)[k]
    return np.hstack([np.zeros((len(one), 2 * N)), one, -one, np.zeros((len(one), extra))])


def minus(extra):
    """Rows that take off what is counted in each slot."""
    return np.hstack([np.zeros((N, 4 * N)), -np.eye(N), np.zeros((N, extra - N))])


def test_an_envelope_against_an_independent_formulation():
    low, high = np.full(N, 7.75), np.full(N, 8.25)
    price = np.where(np.arange(N) < 6, 0.3, 0.0)
    solution = solved(asked(Envelope(low, high, price)))
    rows = [of_net(N) + minus(N), -of_net(N) + minus(N)]
    cost = np.concatenate([np.zeros(4 * N), price])
    assert solution.objective == pytest.approx(reference(cost, rows, [high, -low], N), abs=1e-5)
    outside = np.maximum(np.maximum(net_kw(solution) - high, low - net_kw(solution)), 0.0)[:6]
    assert (outside > 0.1).any()
    free = net_kw(solved(asked()))
    assert ((free > high + 0.1) | (free < low - 0.1))[:6].sum() > (outside > 0.1).sum()


def test_demand_response_is_kept_where_it_pays_and_forfeited_where_it_cannot_be():
    baseline, called = DEMAND.copy(), (np.arange(N) >= 3) & (np.arange(N) < 6)
    event = demand_response(baseline, np.full(N, 7.5), called, 0.6, 0.4)
    solution = solved(asked(event, held=12.0))
    less = baseline - net_kw(solution)
    free = baseline - net_kw(solved(asked(held=12.0)))
    assert less[called].sum() > free[called].sum() + 1.0
    assert (less[called] <= 7.5 + 1e-6).all()
    missing = np.maximum(7.5 - less[called], 0.0)
    np.testing.assert_allclose(solution.charged[0][called], missing, atol=1e-6)
    assert missing.sum() > 0.5  # the store does not hold it all
    high = np.where(called, baseline - 7.5, FAR_KW)
    cost = np.concatenate([np.zeros(4 * N), np.where(called, 1.0, 0.0)])
    question = asked(event)
    found = reference(cost, [of_net(N) + minus(N)], [high], N)
    assert solved(question).objective == pytest.approx(found, abs=1e-5)


def test_imbalance_against_an_independent_formulation():
    bought = DEMAND - 2.0 + 7.0 * np.sin(2.0 * np.arange(N))
    short, long = 0.4 + 0.2 * np.cos(np.arange(N)), 0.05 + 0.1 * np.sin(2.0 * np.arange(N))
    fees = np.full(N, 0.08)
    solution = solved(asked(Imbalance(bought, short, long), price=fees))
    cost = np.concatenate([np.zeros(2 * N), long, -long, short - long])
    found = reference(cost, [of_net(N) + minus(N)], [bought], N, price=fees) - long @ bought
    assert solution.objective == pytest.approx(found, abs=1e-5)
    over = net_kw(solution) - bought
    assert over.max() > 0.1
    assert over.min() < -0.1


def test_one_price_of_deviations_leaves_nothing_undetermined():
    bought, price = DEMAND + 2.0, np.linspace(0.1, 0.5, N)
    solution = solved(asked(Imbalance(bought, price, price), price=np.full(N, 0.01)))
    cost = np.concatenate([np.zeros(2 * N), price, -price])
    found = reference(cost, [], [], 0, price=np.full(N, 0.01)) - price @ bought
    assert solution.objective == pytest.approx(found, abs=1e-5)


def test_ramping_against_an_independent_formulation():
    before, price = DEMAND[0] + 3.0, 0.02 + 0.03 * (np.arange(N) % 2)
    solution = solved(asked(Ramping(before, price)))
    change = of_net(N) - np.vstack([0.0 * of_net(N)[:1], of_net(N)[:-1]])
    first = before * (np.arange(N) == 0)
    cost = np.concatenate([np.zeros(4 * N), price])
    found = reference(cost, [change + minus(N), -change + minus(N)], [first, -first], N)
    assert solution.objective == pytest.approx(found, abs=1e-5)
    over = np.abs(np.diff(net_kw(solution), prepend=before))
    np.testing.assert_allclose(solution.charged[0], over, atol=1e-6)
    free = np.abs(np.diff(net_kw(solved(asked())), prepend=before))
    assert 1.0 < over.sum() < free.sum() - 1.0


def test_reactive_energy_against_an_independent_formulation():
    """The load exceeds what the battery can give, so that it is never worth while to buy and sell at once."""
    month, demand = np.array([0] * 5 + [1] * 3), DEMAND + 4.0
    share, price, free = 0.3, 0.9, np.array([2.0, -1.0])
    solution = solved(asked(ReactiveEnergy(month, share, price, free), demand=demand))
    zero = np.zeros((N, N))
    tan = TAN["battery"] * np.eye(N)
    kvar = np.hstack([tan, -tan, zero, zero])
    load_kvar = TAN["load"] * demand
    rows = [np.hstack([side * kvar, -np.eye(N), np.zeros((N, 2))]) for side in (1.0, -1.0)]
    counted = np.zeros((2, 5 * N + 2))
    for k in range(2):
        counted[k, 2 * N : 3 * N] = -share * (month == k)
        counted[k, 4 * N : 5 * N] = month == k
        counted[k, 5 * N + k] = -1.0
    cost = np.concatenate([np.zeros(3 * N), np.full(N, 9.0), np.zeros(N), [price, price]])
    found = reference(cost, [*rows, counted], [-load_kvar, load_kvar, free], N + 2, demand=demand)
    assert solution.objective == pytest.approx(found, abs=1e-5)
    assert (solution.charged[0] > 0.1).any()
    free_kw = solved(asked(demand=demand)).schedules["battery"].power_kw
    assert np.abs(free_kw - solution.schedules["battery"].power_kw).max() > 0.1  # the case binds


EASY = settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])


@EASY
@given(districts(), st.sampled_from([-30.0, 0.0, 20.0]), st.sampled_from([0.0, 0.2, 5.0]))
def test_any_district_has_a_plan_whatever_is_asked_of_its_connection(base, middle, price):
    n = len(base.slots)
    kw = middle + np.arange(n)
    charges = (
        Envelope(kw - 5.0, kw + 5.0, np.full(n, price)),
        Imbalance(kw, np.full(n, price + 0.1), np.full(n, -price)),
        ReactiveEnergy(np.minimum(np.arange(n) // 3, 1), 0.4, price, np.array([1.0, -1.0])),
        Ramping(middle, np.full(n, price)),
    )
    question = replace(base, charges=charges)
    solution = SOLVER.solve(question)
    assert check_plan(question, as_plan(question, solution)) == ()


def test_a_plan_that_counts_wrongly_is_found_out():
    question = asked(
        Envelope(np.full(N, 9.0), np.full(N, 9.5), np.full(N, 0.3)),
        Imbalance(DEMAND - 3.0, np.full(N, 0.3), np.full(N, 0.1)),
        ReactiveEnergy(np.zeros(N, int), 0.1, 0.01, np.zeros(1)),
        Ramping(0.0, np.full(N, 0.05)),
    )
    plan = as_plan(question, solved(question))
    said_of = (
        "outside of the envelope",
        "beyond what was bought",
        "beyond the free share",
        "a change of the net power",
    )
    for k, words in enumerate(said_of):
        for off, said in ((-0.1, words), (-60.0, "less than nothing"), (np.nan, "finite numbers")):
            wrong = tuple(counted + off if k == i else counted for i, counted in enumerate(plan.charged))
            assert said in "; ".join(check_plan(question, replace(plan, charged=wrong)))


def test_wrong_charges_are_refused_with_all_reasons():
    one = np.ones(N)
    question = asked(
        Envelope(one, 0.0 * one, one),
        Envelope(one, one, -one),
        Imbalance(one, one, 2.0 * one),
        Imbalance(np.full(N, np.nan), one, one),
        ReactiveEnergy(np.full(N, 3), -1.0, -1.0, np.array([np.nan])),
        Ramping(np.nan, -one),
    )
    reasons = " | ".join(SOLVER.solve(question).reasons)
    for key in ("[0].low_kw", "[1].price_per_kwh", "[2].long_price", "[3].bought_kw", "[4].month", "[4].free_share",
                "[4].price_per_kvarh", "[4].free_kvarh", "[5].before_kw", "[5].price_per_kw"):  # fmt: skip
        assert f"charges{key}" in reasons
