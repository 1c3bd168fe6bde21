"""What the planner's re-solve costs beside the solver itself, and beside rebuilding the model each time.

A rolling horizon of 36 h in quarter-hours over 30 devices on a feeder of 12 buses; each step moves on by one slot, with
revised forecasts. Run as a module; prints one JSON object. CPU time, because the machine may be shared.
"""

from __future__ import annotations

import json
import statistics
import time
from datetime import UTC, datetime, timedelta

import highspy
import numpy as np
from pyomo.contrib.appsi.solvers import Highs

from optimization.assets import (
    Battery,
    BatteryInputs,
    ChargePoint,
    ChargePointInputs,
    EvSession,
    HeatPump,
    HeatPumpInputs,
    Load,
    LoadInputs,
    Pv,
    PvInputs,
)
from optimization.model import build_model
from optimization.network import Network
from optimization.problem import Connection, Problem, TariffSeries
from optimization.slots import uniform
from optimization.solve import Solver, values_of
from optimization.structure import structure

START = datetime(2026, 1, 5, tzinfo=UTC)
SLOTS, BUSES, STEPS, REBUILDS = 144, 12, 12, 2


def feeder() -> Network:
    """Make a feeder with two arms behind one transformer."""
    upper = np.array([0, 1, 2, 3, 4, 5, 1, 7, 8, 9, 10])
    r = np.full(BUSES - 1, 2e-5)
    return Network(
        bus_ids=np.arange(BUSES),
        upper=upper,
        r_pu_per_kw=r,
        x_pu_per_kvar=r * 0.5,
        flow_limit_kw=np.array([250.0] + [140.0] * (BUSES - 2)),
        v_min_pu=np.full(BUSES, 0.94),
        v_max_pu=np.full(BUSES, 1.06),
        slack_pu=1.0,
        branch_names=tuple(f"line {k}" for k in range(BUSES - 1)),
        key="bench",
    )


def devices() -> list:
    """Make 30 devices: ten loads, seven PV plants, five batteries, four charge points, four heat pumps."""
    bus = iter(np.arange(30) % (BUSES - 1) + 1)
    return [
        *(Load(f"load{i}", bus=int(next(bus))) for i in range(10)),
        *(Pv(f"pv{i}", 25.0, bus=int(next(bus))) for i in range(7)),
        *(Battery(f"battery{i}", 30.0 + i, 10.0, 10.0, int(next(bus)), wear_per_kwh=0.02 + i / 1e4) for i in range(5)),
        *(ChargePoint(f"point{i}", 11.0, bus=int(next(bus))) for i in range(4)),
        *(HeatPump(f"pump{i}", 6.0, 4.0 + i / 10, 30.0, 0.25, 1.5, 4.0, int(next(bus))) for i in range(4)),
    ]


def day(hour: np.ndarray, rng: np.random.Generator) -> dict:
    """Foresee a winter day in rough shapes, with the small revisions of a new forecast."""
    return {
        "price": 0.24 + 0.07 * np.sin((hour - 14) / 24 * 4 * np.pi) + 0.02 * np.sin(hour * 1.7),
        "sun": np.clip(np.sin((hour % 24 - 7) / 10 * np.pi), 0, None) * ((hour % 24 > 7) & (hour % 24 < 17)),
        "load": 3 + 2 * np.exp(-((((hour % 24) - 19) / 3) ** 2)) + 0.05 * rng.standard_normal(SLOTS),
        "outdoor": 3 + 3 * np.sin((hour - 9) / 24 * 2 * np.pi),
    }


def window(step: int, assets: list, network: Network, energy: dict) -> Problem:
    """Ask for the plan of one step."""
    rng = np.random.default_rng(step)
    hour = (step + np.arange(SLOTS)) / 4
    seen = day(hour, rng)
    inputs = {}
    for i, asset in enumerate(assets):
        if isinstance(asset, Load):
            inputs[asset.id] = LoadInputs(seen["load"] * (1 + i / 20))
        elif isinstance(asset, Pv):
            inputs[asset.id] = PvInputs(22.0 * seen["sun"] * (1 - 0.03 * rng.random()))
        elif isinstance(asset, Battery):
            inputs[asset.id] = BatteryInputs(energy.get(asset.id, 15.0), 0.2)
        elif isinstance(asset, ChargePoint):
            evenings = [START + timedelta(days=d, hours=17) for d in (0, 1)]
            stays = tuple(EvSession(at, at + timedelta(hours=12 + i / 10), 20.0) for at in evenings)
            inputs[asset.id] = ChargePointInputs(stays)
        else:
            low = np.where((hour % 24 > 6) & (hour % 24 < 22), 20.5, 18.0)
            inputs[asset.id] = HeatPumpInputs(20.4, 20.2, seen["outdoor"], np.full(SLOTS, 0.5), low, low + 4.0, 0.03)
    price = seen["price"]
    return Problem(
        uniform(START + timedelta(minutes=15 * step), SLOTS, 900.0),
        tuple(assets),
        inputs,
        TariffSeries(price, price * 0.5, np.full(SLOTS, 0.3), 0.08),
        Connection(np.full(SLOTS, 200.0), np.full(SLOTS, 200.0)),
        network,
    )


class Stopwatch:
    """Adds up the CPU time spent inside HiGHS."""

    spent_s = 0.0

    def watch(self) -> None:
        """Wrap the solver's run."""
        run = highspy.Highs.run

        def timed(highs: highspy.Highs) -> object:
            begin_s = time.process_time()
            try:
                return run(highs)
            finally:
                self.spent_s += time.process_time() - begin_s

        highspy.Highs.run = timed


def rebuilt_cpu_s(problem: Problem) -> tuple[float, float]:
    """Build the same model anew and solve it through Pyomo's own interface; returns CPU time and objective."""
    begin_s = time.process_time()
    shape = structure(problem)
    model = build_model(shape, problem.network)
    for name, numbers in values_of(problem, shape).items():
        for data, value in zip(model.find_component(name).values(), numbers.ravel().tolist(), strict=True):
            data.set_value(value)
    solver = Highs()
    solver.highs_options = {"threads": 1, "solver": "simplex"}
    found = solver.solve(model)
    return time.process_time() - begin_s, found.best_feasible_objective


def measure() -> dict:
    """Roll the horizon on and take medians."""
    assets, network, watch, solver = devices(), feeder(), Stopwatch(), Solver()
    watch.watch()
    resolve_s, highs_s, iterations, energy = [], [], [], {}
    for step in range(STEPS + 1):
        problem = window(step, assets, network, energy)
        before_s, begin_s = watch.spent_s, time.process_time()
        solution = solver.solve(problem)
        if step:
            resolve_s.append(time.process_time() - begin_s)
            highs_s.append(watch.spent_s - before_s)
            iterations.append(solution.solve["iterations"])
        energy = {a.id: solution.schedules[a.id].states["energy_kwh"][0] for a in assets if isinstance(a, Battery)}
    rebuilt = [rebuilt_cpu_s(problem) for _ in range(REBUILDS)]
    model = next(iter(solver._models.values())).affine
    ratios = [whole / part for whole, part in zip(resolve_s, highs_s, strict=True)]
    return {
        "devices": len(assets),
        "slots": SLOTS,
        "columns": len(model.indptr) - 1,
        "values": len(model.indices),
        "resolve_cpu_ms": round(1e3 * statistics.median(resolve_s), 2),
        "highs_cpu_ms": round(1e3 * statistics.median(highs_s), 2),
        "overhead_cpu_ms": round(1e3 * statistics.median(a - b for a, b in zip(resolve_s, highs_s, strict=True)), 2),
        "ratio": round(statistics.median(ratios), 3),
        "rebuild_cpu_ms": round(1e3 * statistics.median(spent for spent, _ in rebuilt), 1),
        "rebuild_over_resolve": round(statistics.median(s for s, _ in rebuilt) / statistics.median(resolve_s), 1),
        "iterations": statistics.median(iterations),
        "objective_difference": abs(rebuilt[0][1] - solution.objective) / abs(solution.objective),
    }


if __name__ == "__main__":
    print(json.dumps(measure()))
