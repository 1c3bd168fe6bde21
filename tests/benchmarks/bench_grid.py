"""How fast and how exact the grid part is: `python tests/benchmarks/bench_grid.py` prints one JSON object.

Ratios are taken on the same machine in the same run, so they mean something on a loaded one too:
`ac96_over_runpp_loop` is the time of the AC check of 96 slots over that of 96 calls of pandapower's runpp.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "optimization_grid"))

from feeder_days import GRID, LIMITS, sunny_day, winter_day  # noqa: E402

from optimization.grid_case import load_case  # noqa: E402
from optimization.network_build import prepare  # noqa: E402
from optimization.problem import Plan, Problem, Refused  # noqa: E402
from optimization.rolling import Planner  # noqa: E402

SLOTS = 96


def timed(work: Callable[[], object], repeats: int) -> float:
    """Median CPU time of some calls [s]."""
    spent = []
    for _ in range(repeats):
        before = time.process_time()
        work()
        spent.append(time.process_time() - before)
    return median(spent)


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(Path(folder)), indent=1))
    return 0


def measure(cache_dir: Path) -> dict[str, float | int | dict[str, float]]:
    case = prepare(GRID, LIMITS, cache_dir)
    rng = np.random.default_rng(96)
    p_kw = rng.uniform(-40.0, 40.0, (len(case.ac.bus_ids), SLOTS))
    q_kvar = p_kw * rng.uniform(-0.3, 0.4, p_kw.shape)
    case.ac.witness(p_kw, q_kvar, 0)
    loop = []
    loop_s = timed(lambda: loop.extend(case.ac.witness(p_kw, q_kvar, slot) for slot in range(SLOTS)), 1)
    result = case.ac.check(p_kw, q_kvar)
    batch_s = timed(lambda: [case.ac.check(p_kw, q_kvar) for _ in range(20)], 5) / 20
    return {
        "schema_version": 1,
        "ac96_over_runpp_loop": batch_s / loop_s,
        "ac96_ms": batch_s * 1e3,
        "max_dv_pu": max(float(np.abs(v - result.v_pu[:, s]).max()) for s, (v, _) in enumerate(loop)),
        "max_dloading_pct": max(float(np.abs(i - result.loading_pct[:, s]).max()) for s, (_, i) in enumerate(loop)),
        "linear_max_dv_pu": float(np.abs(np.sqrt(case.network.squared_voltages(p_kw, q_kvar)) - result.v_pu)[1:].max()),
        "warm_load_over_runpp_loop": timed(lambda: load_case(GRID, LIMITS, cache_dir), 5) / loop_s,
        "plans": plans(cache_dir),
    }


def plans(cache_dir: Path) -> dict[str, float]:
    """CPU time of whole plans, first and warm, with the rounds they took."""
    planner = Planner(GRID, cache_dir, LIMITS)
    return planning("sunny", planner, sunny_day()) | planning("winter", planner, winter_day())


def planning(name: str, planner: Planner, problem: Problem) -> dict[str, float]:
    answers: list[Plan | Refused] = []

    def plan() -> None:
        answers.append(planner.plan(problem, problem.slots.start))

    return {
        f"{name}_first_ms": 1e3 * timed(plan, 1),
        f"{name}_warm_ms": 1e3 * timed(plan, 5),
        f"{name}_rounds": max(answer.ac.rounds for answer in answers if isinstance(answer, Plan)),
    }


if __name__ == "__main__":
    sys.exit(main())
