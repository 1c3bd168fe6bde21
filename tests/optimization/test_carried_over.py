"""From window to window nothing is forgotten: rolling to the same end is the one plan of the beginning."""

from __future__ import annotations

import numpy as np
import pytest
from districts import BATTERY, LOAD, POINT, START, hours, problem

from optimization.assets import BatteryInputs, ChargePointInputs, EvSession, Genset, GensetInputs, LoadInputs
from optimization.solve import Solver
from optimization.weights import Weights

N, H = 8, 0.25
ENGINE = Genset("engine", 20.0, 8.0, 2.2, fuel_idle_kw=6.0, least_run_s=2700.0, least_stand_s=1800.0, start_cost=0.8)
FUEL = 0.09
PRICE = np.where(np.arange(N) == 2, 0.9, np.linspace(0.1, 0.17, N))
"""One dear slot: an engine that forgets that it has just started stops after it."""
DEMAND_KW = np.full(N, 30.0)
FORGETFUL_S = 86400.0


class Rolled:
    """Plans to the same end again and again, a slot later each time, and does what the first slot says."""

    def __init__(self, remembers=True):
        self.remembers, self.solver = remembers, Solver()
        self.energy_kwh, self.wanted_kwh = 9.0, 14.0
        self.is_running, self.since_s = False, FORGETFUL_S
        self.paid, self.ran = 0.0, []

    def asked(self, first):
        n = N - first
        since_s = self.since_s if self.remembers else FORGETFUL_S
        pairs = [
            (LOAD, LoadInputs(DEMAND_KW[first:])),
            (BATTERY, BatteryInputs(self.energy_kwh, 0.1)),
            (POINT, ChargePointInputs((EvSession(hours(-1), hours(1.8), self.wanted_kwh, 11.0),))),
            (ENGINE, GensetInputs(self.is_running, since_s, np.full(n, FUEL))),
        ]
        start = START + (hours(first * H) - hours(0))
        return problem(pairs, PRICE[first:], limit=100.0, start=start, weights=Weights(move=0.0))

    def step(self, first):
        """Do what a slot is planned to do, and pay for it."""
        solution = self.solver.solve(self.asked(first))
        kw = {name: float(schedule.power_kw[0]) for name, schedule in solution.schedules.items()}
        runs = bool(solution.schedules["engine"].states["is_running"][0] > 0.5)
        self.paid += H * (PRICE[first] * solution.import_kw[0] - 0.5 * PRICE[first] * solution.export_kw[0])
        self.paid += H * (0.02 * max(-kw["battery"], 0.0) + FUEL * (2.2 * -kw["engine"] + 6.0 * runs))
        self.paid += ENGINE.start_cost * (runs and not self.is_running)
        self.energy_kwh = float(solution.schedules["battery"].states["energy_kwh"][0])
        self.wanted_kwh -= 0.92 * H * kw["point"]
        self.since_s = self.since_s + 900.0 if runs == self.is_running else 900.0
        self.is_running = runs
        self.ran.append(runs)

    def all(self):
        for first in range(N):
            self.step(first)
        return self.paid - 0.1 * self.energy_kwh


def runs(ran):
    """Count the slots of each run that had ended before the end."""
    edges = np.flatnonzero(np.diff([0, *map(int, ran)]))
    return [int(b - a) for a, b in zip(edges[::2], edges[1::2], strict=False)]


@pytest.fixture
def no_ties(monkeypatch):
    monkeypatch.setattr("optimization.weights.EARLY_PER_KWH_H", 0.0)


@pytest.mark.usefixtures("no_ties")
def test_rolling_to_the_same_end_costs_what_the_one_plan_costs():
    rolled = Rolled()
    one = Solver().solve(rolled.asked(0))
    assert one.schedules["engine"].states["is_running"].sum() >= 3
    assert rolled.all() == pytest.approx(one.objective, rel=2e-3)
    assert rolled.wanted_kwh == pytest.approx(0.0, abs=1e-6)
    assert min(runs(rolled.ran)) >= 3


@pytest.mark.usefixtures("no_ties")
def test_the_day_is_one_on_which_forgetting_shows():
    """Without what is carried over the engine would break its least run, so that the test above can fail."""
    forgetful = Rolled(remembers=False)
    forgetful.all()
    assert min(runs(forgetful.ran)) < 3
