"""A year of thirty devices at quarter-hours: every plan with AC rounds, its check, and forecasts that are revised.

    .venv/bin/python -m tests.benchmarks.year_of_devices [DAYS] [--first 0] [--cores 2]

A horizon of 24 h rolls by a quarter-hour over the district of `bench_solver` on a feeder that pandapower has prepared.
Each plan is made by the planner of a site, in a ring, from the state that the plan before left: at most three rounds
of linear programme and AC power flow, binaries where the relaxation breaks, prices of each limit, then the independent
check of every equation. The feeder binds on winter evenings. On some summer noons energy has a negative price, and
binaries are needed. Each core plans a part of the year by itself.
Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from ems.plan_check import check_plan
from optimization.extract import Solution
from optimization.network import GridLimits
from optimization.problem import Plan, Problem, Refused
from optimization.rolling import Planner
from optimization.solve import Solver
from optimization.warm import SolveError
from tests.benchmarks.solver_windows import District, a_winter_day

DEVICES, A_DAY, BRANCHES = 30, 96, 11
LIMITS = GridLimits(voltage_min_pu=0.94, voltage_max_pu=1.06)
R_OHM, X_OHM, KV = 0.0032, 0.0016, 0.4
ARM_KW, HEAD_KW = 140.0, 70.0
"""The lines are those of `solver_windows.feeder` at 400 V, but for the first one: it binds on winter evenings."""


def a_year(hour: np.ndarray) -> dict[str, np.ndarray]:
    """Foresee a year in rough shapes: winter days whose sun and warmth follow the season, and noons that cost money."""
    seen = a_winter_day(hour)
    summer = 0.5 - 0.5 * np.cos((hour / 24.0 + 5.0) / 365.0 * 2.0 * np.pi)
    of_day = hour % 24
    half_h = 5.0 + 3.0 * summer
    sun = np.clip(np.cos((of_day - 12.5) / half_h * np.pi / 2.0), 0.0, None) * (np.abs(of_day - 12.5) < half_h)
    noon = np.exp(-(((of_day - 13.0) / 2.0) ** 2)) * (np.sin(hour // 24 * 0.9) > 0.7)
    return seen | {
        "sun": sun * (0.5 + 0.5 * summer),
        "outdoor": seen["outdoor"] + 17.0 * summer,
        "price": seen["price"] - 0.3 * summer * noon,
    }


def write_grid(path: Path) -> None:
    """Write the feeder as a pandapower grid."""
    import pandapower as pp  # takes seconds, and the processes that plan read the cache instead

    net = pp.create_empty_network()
    for k in range(BRANCHES + 1):
        pp.create_bus(net, KV, name=f"bus {k}")
    pp.create_ext_grid(net, 0)
    for k in range(BRANCHES):
        upper = 0 if k == 0 else 1 if k % 5 == 1 else k
        most_ka = (HEAD_KW if k == 0 else ARM_KW) / (np.sqrt(3.0) * KV * 1e3)
        pp.create_line_from_parameters(net, upper, k + 1, 1.0, R_OHM, X_OHM, 0.0, most_ka, name=f"line {k}")
    pp.to_json(net, str(path))


@dataclass
class Checked:
    """Answers with plans that a site would publish; counts what it sees, and where there is no plan goes on without."""

    planner: Planner
    spent_s: list[float] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)
    words: list[str] = field(default_factory=list)
    beside: Solver = field(default_factory=Solver)

    def solve(self, question: Problem) -> Plan | Solution:
        """Plan and check."""
        begin_s = time.process_time()
        plan = self.planner.plan(question, question.slots.start)
        if isinstance(plan, Refused):
            return self._without(question, f"refused: {plan.reasons[0]}")
        wrong = check_plan(question, plan)
        self.spent_s.append(time.process_time() - begin_s)
        if wrong:
            return self._without(question, f"failed its check: {wrong[0]}")
        self.seen["plans"] += 1
        self.seen[plan.ac.status] += 1
        self.seen["ac_rounds"] += plan.ac.rounds
        self.seen["with_binaries"] += float(plan.solve["binaries"]) > 0
        return plan

    def _without(self, question: Problem, words: str) -> Solution:
        self.seen["no_plan"] += 1
        self.words.append(f"{question.slots.start:%Y-%m-%dT%H:%MZ}: {words}")
        answer = self.beside.solve(question)
        if isinstance(answer, Refused):
            raise SolveError(answer.reasons[0])
        return answer


def part(folder: Path, first: int, steps: int) -> dict[str, object]:
    """Plan so many quarter-hours from the first one on, in one process."""
    solver = Solver(ring=True, priced=True, cache_dir=folder / "cache")
    asked = Checked(Planner(folder / "grid.json", folder / "cache", LIMITS, solver))
    district = District(DEVICES, solver=asked, foresee=a_year)
    memory, begin_s = [], time.process_time()
    for step, _ in enumerate(district.windows(steps, first)):
        if step % max(1, steps // 20) == 0:
            memory.append(_resident_mib())
    return {
        "seen": dict(asked.seen),
        "words": asked.words[:10],
        "cpu_s": time.process_time() - begin_s,
        "spent_s": asked.spent_s,
        "resident_mib": memory,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0,
    }


def measure(days: int, first: int, cores: int) -> dict[str, object]:
    """Plan so many days from the first on, in as many parts as there are cores."""
    edges = (A_DAY * np.linspace(first, first + days, cores + 1)).round().astype(int).tolist()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_grid(folder / "grid.json")
        begin_s = time.perf_counter()
        with ProcessPoolExecutor(cores, mp_context=get_context("spawn")) as pool:
            spans = [(a, b - a) for a, b in pairwise(edges) if b > a]
            parts = [pool.submit(part, folder, *span) for span in spans]
            found = [each.result() for each in parts]
        wall_s = time.perf_counter() - begin_s
    seen = sum((Counter(each["seen"]) for each in found), Counter())
    spent_s = np.concatenate([each["spent_s"] for each in found])
    return {
        "days": days,
        "wall_min": wall_s / 60.0,
        "cpu_min": sum(each["cpu_s"] for each in found) / 60.0,
        "plan_ms": 1e3 * float(np.median(spent_s)),
        "plan_p99_ms": 1e3 * float(np.percentile(spent_s, 99)),
        **{name: seen[name] for name in ("plans", "no_plan", "feasible", "unavoidable_excess", "with_binaries")},
        "ac_rounds_a_plan": seen["ac_rounds"] / max(1, seen["plans"]),
        "resident_mib": [each["resident_mib"] for each in found],
        "peak_mib": max(each["peak_mib"] for each in found),
        "without_plan": [words for each in found for words in each["words"]],
    }


def _resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return round(pages * resource.getpagesize() / 2**20, 1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("days", nargs="?", type=int, default=365)
    parser.add_argument("--first", type=int, default=0, help="day of the year to begin with")
    parser.add_argument("--cores", type=int, default=2)
    told = parser.parse_args()
    print(json.dumps(measure(told.days, told.first, told.cores)))
