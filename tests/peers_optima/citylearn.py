"""CityLearn's challenge of 2022, phase 1: five buildings with sun and a battery each, steered by the planner.

    DATA=<folder> CITYLEARN_PYTHON=<python> python -m tests.peers_optima.citylearn [HOURS] [--persistence]

`DATA` holds `schema.json` of `citylearn_challenge_2022_phase_1` and the files that it names; `CITYLEARN_PYTHON` is a
Python that has `citylearn` 3.0.2. The score is the environment's: the mean of cost, carbon and grid, grid being the
mean of ramping and one less the load factor, each over what it is without batteries.

Once a day we plan `HORIZON` hours with perfect foresight, building after building and twice over. Each is its own
connection, whose export is worth nothing: for the planner the connection is that of all five, the four others a load,
and what the one building draws lies outside of an envelope. Ramping and the peak of 730 hours are charges of all five,
priced as the score has them. In between a battery takes what is planned and what it is behind the planned energy. The
planner believes in one efficiency; the environment has one that varies with the power, and less power when full.

With `--persistence` each hour of load, sun and carbon is foreseen as the last one at that time of day that has been,
and plans are made four times a day; the price is a tariff and known.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from optimization.assets import Battery, BatteryInputs, Load, LoadInputs
from optimization.extract import Solution
from optimization.net_charges import FAR_KW
from optimization.problem import Connection, DemandTerms, Envelope, Problem, Ramping, TariffSeries
from optimization.slots import Floats, uniform
from optimization.solve import Solver

SIDE = Path(__file__).with_name("citylearn_side.py")
START = datetime(2022, 1, 1, tzinfo=UTC)
A_YEAR, HORIZON, WINDOW, SWEEPS, A_DAY = 8759, 48, 730, 2, 24
EVERY, EVERY_WITHOUT_FORESIGHT = 24, 6
HOUR_S, NO_LIMIT_KW = 3600.0, 1e3
USUAL_KW = 1.2
"""Power at which the planner reads the efficiency off the environment's curve."""
PEAK_LEFT = 0.8
"""Share of a window's uncontrolled peak about which the load factor's price is taken."""


class Environment:
    """The environment in its own process."""

    def __init__(self, python: str, schema: Path, hours: int, *, rules: bool = False) -> None:
        line = [python, "-P", str(SIDE)]
        self._process = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.told: Any = self.ask({"schema": str(schema), "hours": hours, "rules": rules})

    def ask(self, what: Any) -> Any:
        """Tell it a line and hear the answer; raises `RuntimeError` where it ends without one."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()
        for line in self._process.stdout:
            if line.startswith("@"):
                return json.loads(line[1:])
        raise RuntimeError("the environment has ended")


@dataclass
class District:
    """The five buildings: what is known of them, shapes (5, hours), and what their batteries hold [kWh]."""

    fixed_kw: Floats
    price: Floats
    carbon: Floats
    foresees: bool
    batteries: list[Battery]
    ramp_price: float
    peak_price: Floats
    energy_kwh: Floats = field(default_factory=lambda: np.zeros(5))
    before_kw: float = 0.0
    peak_kw: dict[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.intended_kw = np.zeros_like(self.fixed_kw)

    @classmethod
    def of(cls, buildings: list[dict[str, Any]], hours: int, *, foresees: bool) -> District:
        """Scale everything so that the score's parts cost what they count, in units of a kWh's mean price."""
        fixed_kw = np.array([each["load_kw"] for each in buildings])[:, :hours]
        fixed_kw = fixed_kw - np.array([each["sun_kw"] for each in buildings])[:, :hours]
        drawn_kw, shared_kw = np.maximum(fixed_kw, 0.0), fixed_kw.sum(axis=0)
        parts = [np.array([each[name] for each in buildings])[:, :hours] for name in ("price", "carbon")]
        price, carbon = (part / (15.0 * (part * drawn_kw).sum(axis=1, keepdims=True)) for part in parts)
        scale = float(parts[0].mean() / (price + carbon).mean())
        windows = [shared_kw[first : first + WINDOW] for first in range(0, hours, WINDOW)]
        peaks, means = (np.array([look(each) for each in windows]) for look in (np.max, np.mean))
        factor = float((1.0 - means / peaks).mean())
        of_peak = means / (PEAK_LEFT * peaks) ** 2 / len(windows) / factor / 6.0
        return cls(
            fixed_kw, scale * price, scale * carbon, foresees,
            [_battery(k, each["battery"]) for k, each in enumerate(buildings)],
            scale / (12.0 * np.maximum(np.diff(shared_kw), 0.0).sum()), scale * np.maximum(of_peak, 0.0),
        )  # fmt: skip

    def plan(self, solver: Solver, first: int) -> tuple[Floats, Floats]:
        """Plan the hours from one on: powers [kW] and energies [kWh] of the batteries, shape (5, hours)."""
        now = slice(first, min(first + HORIZON, self.fixed_kw.shape[1]))
        fixed_kw, taken_kw = self.foreseen(self.fixed_kw, now), self.intended_kw[:, now]
        cost = self.price[:, now] + self.foreseen(self.carbon, now)
        stored_kwh = np.zeros_like(taken_kw)
        for _ in range(SWEEPS):
            for k in range(len(self.batteries)):
                drawn_kw = fixed_kw + taken_kw
                others_kw = drawn_kw.sum(axis=0) - drawn_kw[k]
                solution = solver.solve(self.question(k, now, fixed_kw[k], others_kw, cost[k]))
                assert isinstance(solution, Solution), solution
                schedule = solution.schedules["battery"]
                taken_kw[k], stored_kwh[k] = schedule.power_kw, schedule.states["energy_kwh"]
        return taken_kw, stored_kwh

    def foreseen(self, series: Floats, now: slice) -> Floats:
        """Give hours of a series as they are foreseen at the first of them, shape (5, hours); 0 on the first day."""
        hour = np.arange(now.start, now.stop)
        if self.foresees:
            return series[:, now]
        known = hour - A_DAY * ((hour - now.start) // A_DAY + 1)
        return np.asarray(np.where(known >= 0, series[:, np.maximum(known, 0)], 0.0))

    def question(self, k: int, now: slice, own_kw: Floats, others_kw: Floats, cost: Floats) -> Problem:
        """Ask for one battery, given what its building and the others take and what a kWh drawn costs."""
        n, window = len(others_kw), np.arange(now.start, now.stop) // WINDOW
        nothing = np.zeros(n)
        free_kw = [self.peak_kw.get(int(w), 0.0) for w in range(window[0], window[-1] + 1)]
        return Problem(
            uniform(START + timedelta(hours=now.start), n, HOUR_S),
            (Load("own"), Load("others"), self.batteries[k]),
            {
                "own": LoadInputs(own_kw),
                "others": LoadInputs(others_kw),
                "battery": BatteryInputs(float(self.energy_kwh[k])),
            },
            TariffSeries(nothing, nothing, nothing),
            Connection(np.full(n, NO_LIMIT_KW), np.full(n, NO_LIMIT_KW)),
            charges=(
                Envelope(np.full(n, -FAR_KW), others_kw, cost),
                Ramping(self.before_kw, np.full(n, self.ramp_price)),
                DemandTerms(float(self.peak_price[window[0]]), HOUR_S, window - window[0], np.array(free_kw)),
            ),
        )

    def live(self, hour: int, stored_kwh: Floats) -> None:
        """Take in what the environment says of an hour."""
        gained = stored_kwh - self.energy_kwh
        eta = np.array([battery.charge_efficiency for battery in self.batteries])
        self.before_kw = float((self.fixed_kw[:, hour] + np.where(gained > 0.0, gained / eta, gained * eta)).sum())
        self.peak_kw[hour // WINDOW] = max(self.peak_kw.get(hour // WINDOW, 0.0), self.before_kw)
        self.energy_kwh = stored_kwh


def _battery(k: int, told: dict[str, Any]) -> Battery:
    share, efficiency = zip(*told["efficiency"], strict=True)
    one_way = float(np.sqrt(np.interp(USUAL_KW / told["kw"], share, efficiency)))
    return Battery(
        "battery", told["kwh"], told["kw"], told["kw"], charge_efficiency=one_way, discharge_efficiency=one_way,
        soc_min_pct=0.0, soc_max_pct=100.0,
    )  # fmt: skip


def steered(environment: Environment, *, foresees: bool) -> dict[str, float]:
    """Live through the hours; returns the score's parts."""
    hours, every = environment.told["hours"], EVERY if foresees else EVERY_WITHOUT_FORESIGHT
    district, solver = District.of(environment.told["buildings"], hours, foresees=foresees), Solver()
    answer: Any = None
    for first in range(0, hours, every):
        taken_kw, planned_kwh = district.plan(solver, first)
        for s in range(min(every, hours - first)):
            held_kwh = planned_kwh[:, s - 1] if s else district.energy_kwh
            behind_kw = held_kwh - district.energy_kwh
            answer = environment.ask((taken_kw[:, s] + behind_kw).tolist())
            if isinstance(answer, list):
                district.live(first + s, np.array(answer))
    parts: dict[str, float] = answer
    return parts


def score(parts: dict[str, float]) -> float:
    """Take the mean as the challenge does."""
    grid = (parts["ramping_average"] + parts["monthly_one_minus_load_factor_average"]) / 2.0
    return (parts["cost_total"] + parts["carbon_emissions_total"] + grid) / 3.0


def main() -> int:
    """Run the environment's rules and the planner."""
    python, data = os.environ.get("CITYLEARN_PYTHON"), os.environ.get("DATA")
    if python is None or data is None:
        print(
            "set DATA to the folder of the schema and CITYLEARN_PYTHON to a Python that has citylearn", file=sys.stderr
        )
        return 2
    words = [word for word in sys.argv[1:] if word != "--persistence"]
    foresees, hours = len(words) == len(sys.argv) - 1, int(words[0]) if words else A_YEAR
    schema = Path(data) / "schema.json"
    for name in ("rules", "ours"):
        before = time.process_time()
        environment = Environment(python, schema, hours, rules=name == "rules")
        parts = environment.told if name == "rules" else steered(environment, foresees=foresees)
        figures = {key: round(value, 4) for key, value in (parts | {"score": score(parts)}).items()}
        print(json.dumps({name: figures, "our_cpu_s": round(time.process_time() - before, 1)}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
