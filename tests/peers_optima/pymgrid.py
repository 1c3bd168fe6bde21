"""The even cases of pymgrid25, planned by us and lived through in their own environment.

    PYMGRID_PYTHON=<python> python -m tests.peers_optima.pymgrid [CASES ...]

`PYMGRID_PYTHON` is a Python that has `python-microgrid` (it needs NumPy below 2). Every `EVERY` hours we plan `HORIZON`
hours with perfect foresight, the generating set's least power by whole numbers; the year's actions are then replayed in
the environment, whose cost counts. Beside it stands the bound: the year as one linear programme, the least power left
out. "unmet" is what the environment had to make up for, load that is not served included.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from optimization.assets import Battery, BatteryInputs, Genset, GensetInputs, Load, LoadInputs, Pv, PvInputs
from optimization.extract import Solution
from optimization.problem import Connection, Problem, TariffSeries
from optimization.slots import uniform
from optimization.solve import Solver
from optimization.weights import Weights
from tests.benchmarks.house_year import Rows

SIDE = Path(__file__).with_name("pymgrid_side.py")
START = datetime(2025, 1, 1, tzinfo=UTC)
EVEN = tuple(range(0, 25, 2))
STEPS, EVERY, HORIZON = 8759, 24, 48
HOUR_S = 3600.0
NO_LIMIT = 1e-6
"""A linear programme's rounding [kW]."""

Case = dict[str, Any]


def ask(python: str, **asked: Any) -> dict[str, Any]:
    """Ask the environment."""
    done = subprocess.run([python, "-P", SIDE], input=json.dumps(asked), capture_output=True, text=True, check=True)
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


class Grid:
    """A case as arrays and assets."""

    def __init__(self, case: Case) -> None:
        self.load_kw, self.pv_kw = np.array(case["load"])[:STEPS], np.array(case["pv"])[:STEPS]
        none = np.zeros((4, STEPS))
        self.buy, self.sell, self.co2, self.up = np.array(case["grid"])[:, :STEPS] if "grid" in case else none
        self.co2_price = case.get("cost_per_unit_co2", 0.0)
        self.limits_kw = case.get("max_import", 0.0) * self.up, case.get("max_export", 0.0) * self.up
        spec, self.genset = case["battery"], case.get("genset")
        self.unserved, self.stored_kwh, self.cycle = case["loss_load_cost"], spec["charge"], spec["battery_cost_cycle"]
        # The environment charges a price on what the cells take and on what they give. What they give they have taken,
        # but for the difference between the year's start and its end, which the bound counts exactly.
        self.battery = Battery(
            "battery", spec["max_capacity"], spec["max_charge"] / spec["efficiency"],
            spec["max_discharge"] * spec["efficiency"], charge_efficiency=spec["efficiency"],
            discharge_efficiency=spec["efficiency"], soc_min_pct=100.0 * spec["min_capacity"] / spec["max_capacity"],
            soc_max_pct=100.0, wear_per_kwh=2.0 * spec["battery_cost_cycle"] / spec["efficiency"],
        )  # fmt: skip
        if self.genset is not None and not self.genset["instant"]:
            raise ValueError("this script knows no set that takes time to start")

    def question(self, first: int, last: int, energy_kwh: float, *, runs: bool) -> Problem:
        """Ask for the steps from one up to and without another."""
        now, n = slice(first, last), last - first
        assets: list[Any] = [Load("load"), Pv("pv", float(self.pv_kw.max())), self.battery]
        inputs: dict[str, Any] = {
            "load": LoadInputs(self.load_kw[now]),
            "pv": PvInputs(self.pv_kw[now]),
            "battery": BatteryInputs(energy_kwh, 0.0),
        }
        if self.genset is not None:
            assets.append(Genset("genset", self.genset["most"], self.genset["least"], fuel_per_kw=1.0))
            inputs["genset"] = GensetInputs(runs, HOUR_S, np.full(n, self.genset["cost"]))
        return Problem(
            uniform(START + timedelta(hours=first), n, HOUR_S),
            tuple(assets),
            inputs,
            TariffSeries(self.buy[now], self.sell[now], self.co2[now], self.co2_price),
            Connection(*(kw[now] for kw in self.limits_kw)),
            weights=Weights(unserved=self.unserved),
        )

    def actions(self) -> list[dict[str, Any]]:
        """Plan the year piece by piece, and give what is done in each step."""
        solver, energy_kwh, done = Solver(), self.stored_kwh, []
        runs = self.genset is not None and self.genset["runs"]
        for first in range(0, STEPS, EVERY):
            solution = solver.solve(self.question(first, min(first + HORIZON, STEPS), energy_kwh, runs=runs))
            assert isinstance(solution, Solution), solution
            for s in range(min(EVERY, STEPS - first)):
                done.append(self._action(solution, s))
            energy_kwh = float(solution.schedules["battery"].states["energy_kwh"][s])
            runs = "genset" in done[-1] and done[-1]["genset"][0][0] == 1
        return done

    def _action(self, solution: Solution, s: int) -> dict[str, Any]:
        action: dict[str, Any] = {"battery": [-float(solution.schedules["battery"].power_kw[s])]}
        if self.limits_kw[0].any():
            action["grid"] = [float(solution.import_kw[s] - solution.export_kw[s])]
        if self.genset is not None:
            made = -float(solution.schedules["genset"].power_kw[s])
            action["genset"] = [[1, made] if made > NO_LIMIT else [0, 0.0]]
        return action

    def bound(self) -> float:
        """Find what the year costs at the least without the set's least power."""
        rows, every, one, battery = Rows(STEPS), np.arange(STEPS), np.ones(STEPS), self.battery
        buy, sell = (rows.block(0.0, kw) for kw in self.limits_kw)
        sun, lost = rows.block(0.0, self.pv_kw), rows.block(0.0, np.inf)
        made = rows.block(0.0, self.genset["most"] if self.genset is not None else 0.0)
        charge, discharge = rows.block(0.0, battery.charge_kw), rows.block(0.0, battery.discharge_kw)
        store = rows.block(*battery.band_kwh)
        flows = ((buy, 1.0), (sell, -1.0), (sun, 1.0), (lost, 1.0), (made, 1.0), (charge, -1.0), (discharge, 1.0))
        rows.rows(self.load_kw, self.load_kw, [(every, np.arange(b.start, b.stop), v * one) for b, v in flows], STEPS)
        start = np.zeros(STEPS)
        start[0] = self.stored_kwh
        gain, loss = one * battery.charge_efficiency, one / battery.discharge_efficiency
        rows.link(store, one, [(charge, gain, 0), (discharge, -loss, 0)], start)
        rows.cost[buy], rows.cost[sell] = self.buy + self.co2_price * self.co2, -self.sell
        rows.cost[discharge], rows.cost[lost] = battery.wear_per_kwh, self.unserved
        rows.cost[store.stop - 1] = self.cycle
        rows.cost[made] = 0.0 if self.genset is None else self.genset["cost"]
        rows.solved()
        return float(rows.bound) - self.cycle * self.stored_kwh


def main() -> int:
    python = os.environ.get("PYMGRID_PYTHON")
    if python is None:
        print("set PYMGRID_PYTHON to a Python that has python-microgrid", file=sys.stderr)
        return 2
    print(f"{'case':>4}{'bound':>15}{'ours':>15}{'gap':>9}{'unmet kWh':>11}{'CPU s':>8}")
    for number in [int(word) for word in sys.argv[1:]] or EVEN:
        grid, before = Grid(ask(python, case=number)), time.process_time()
        actions = grid.actions()
        cpu_s = time.process_time() - before
        lived, bound = ask(python, case=number, actions=actions), grid.bound()
        gap = lived["cost"] / bound - 1.0
        print(
            f"{number:>4}{bound:>15,.0f}{lived['cost']:>15,.0f}{gap:>9.2%}{lived['unmet_kwh']:>11,.0f}{cpu_s:>8.1f}",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
