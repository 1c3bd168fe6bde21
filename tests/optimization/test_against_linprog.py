"""The planner against formulations written from scratch for scipy, on cases with one optimum."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from districts import BATTERY, LOAD, POINT, PUMP, PV, hours, problem, tariff, zone, zone_step
from scipy.optimize import linprog

from optimization.assets import BatteryInputs, ChargePointInputs, EvSession, LoadInputs, PvInputs
from optimization.solve import Solver
from optimization.weights import Weights

N, H = 16, 0.25
NO_TIES = Weights(move=0.0)
RNG = np.random.default_rng(5)
PRICE = np.round(0.1 + 0.4 * RNG.random(N), 6)
SOLVER = Solver()


def test_battery_and_pv():
    demand, sun = 3.0 + RNG.random(N), 12.0 * np.sin(np.linspace(0, np.pi, N))
    pairs = [(LOAD, LoadInputs(demand)), (PV, PvInputs(sun)), (BATTERY, BatteryInputs(6.0, 0.15))]
    asked = replace(
        problem(pairs, PRICE, limit=6.0, weights=NO_TIES),
        tariff=tariff(PRICE, 0.3 * PRICE, carbon=0.4, carbon_price=0.1),
    )
    solution = SOLVER.solve(asked)
    # x = import, export, charge, discharge, sun used
    one, zero = np.eye(N), np.zeros((N, N))
    cumulated = np.tril(np.ones((N, N))) * H
    balance = np.hstack([one, -one, -one, one, one])
    stored = np.hstack([zero, zero, 0.96 * cumulated, -cumulated / 0.96, zero])
    start = 6.0 - 0.05 * H * np.arange(1, N + 1)
    cost = np.concatenate([(PRICE + 0.04) * H, -0.3 * PRICE * H, np.zeros(N), np.full(N, 0.02 * H), np.zeros(N)])
    cost -= 0.15 * stored[-1]
    reference = linprog(
        cost,
        A_ub=np.vstack([stored, -stored]),
        b_ub=np.concatenate([19.0 - start, start - 1.0]),
        A_eq=balance,
        b_eq=demand,
        bounds=[(0, 6)] * N + [(0, 6)] * N + [(0, 10)] * N + [(0, 8)] * N + [(0, s) for s in sun],
    )
    assert reference.status == 0
    early = 1e-5 * np.arange(N) * H * H @ np.abs(solution.schedules["battery"].power_kw)
    assert solution.objective - early == pytest.approx(reference.fun - 0.15 * start[-1], abs=2e-5)
    power = solution.schedules["battery"].power_kw
    np.testing.assert_allclose(power, reference.x[2 * N : 3 * N] - reference.x[3 * N : 4 * N], atol=1e-5)


def test_a_car_charges_when_it_is_cheapest():
    session = EvSession(hours(0.5), hours(3), 14.0, charge_kw=11.0)
    solution = SOLVER.solve(problem([(POINT, ChargePointInputs((session,)))], PRICE, weights=NO_TIES))
    stands = np.zeros(N)
    stands[2:12] = 11.0
    reference = linprog(
        PRICE * H, A_eq=np.full((1, N), 0.92 * H), b_eq=[14.0], bounds=np.stack([np.zeros(N), stands], axis=1)
    )
    np.testing.assert_allclose(solution.schedules["point"].power_kw, reference.x, atol=1e-6)
    assert solution.schedules["point"].slack["shortfall_kwh"].sum() == pytest.approx(0.0, abs=1e-7)


def test_a_heat_pump_heats_ahead_of_dear_hours():
    inputs = zone(N, temperature=20.2, mass=20.0, outdoor=-3.0, gains=0.5, low=20.0, high=22.0, end=0.03)
    solution = SOLVER.solve(problem([(PUMP, inputs)], PRICE, weights=NO_TIES))
    cop = 3.0 + 0.07 * -3.0

    def simulate(power):
        air, mass, path = 20.2, 20.0, []
        for p in power:
            air, mass = zone_step(PUMP, air, mass, -3.0, cop * p + 0.5, H)
            path.append((air, mass))
        return np.array(path)

    free = simulate(np.zeros(N))
    answer = np.stack([simulate(np.eye(N)[k]) - free for k in range(N)], axis=1)
    one = np.eye(N)
    cost = PRICE * H - 0.03 * (4.0 * answer[-1, :, 0] + 40.0 * answer[-1, :, 1])
    reference = linprog(
        np.concatenate([cost, np.full(N, 1.0 * H)]),
        A_ub=np.vstack([np.hstack([-answer[:, :, 0], -one]), np.hstack([answer[:, :, 0], -one])]),
        b_ub=np.concatenate([free[:, 0] - 20.0, 22.0 - free[:, 0]]),
        bounds=[(0, 6.0)] * N + [(0, None)] * N,
    )
    constant = 0.03 * (4.0 * (free[-1, 0] - 20.0) + 40.0 * (free[-1, 1] - 20.0))
    assert solution.objective == pytest.approx(reference.fun - constant, abs=1e-6)
    np.testing.assert_allclose(solution.schedules["pump"].power_kw, reference.x[:N], atol=1e-4)
