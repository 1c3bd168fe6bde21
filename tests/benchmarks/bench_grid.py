"""How fast and how exact the grid part is: `python tests/benchmarks/bench_grid.py` prints one JSON object.

Ratios are taken on the same machine in the same run, so they mean something on a loaded one too:
`ac96_over_runpp_loop` is the time of the AC check of 96 slots, branch currents and loadings included, over that of 96
calls of pandapower's runpp on the same grid of 129 buses; `ac_max_abs_dv_pu` and `ac_max_abs_dloading_pct` are how far
the two are apart at the worst. Valid for one slack and constant power; what else there is goes to runpp itself, which
`tests/optimization_grid/test_grid_validity.py` shows. The grid is drawn by `village.py` beside it.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "optimization_grid")]

from ems.one_thread import keep_to_one_thread  # noqa: E402

keep_to_one_thread()  # as in the planner's own process

import numpy as np  # noqa: E402
from feeder_days import GRID, LIMITS, sunny_day, winter_day  # noqa: E402
from village import village, village_powers  # noqa: E402

from optimization.grid_case import load_case  # noqa: E402
from optimization.grid_reading import read_ac_grid  # noqa: E402
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


def measure(cache_dir: Path) -> dict[str, object]:
    grid = read_ac_grid(village(cache_dir / "village.json"))
    p_kw, q_kvar = village_powers(SLOTS)
    grid.witness(p_kw, q_kvar, 0)
    loop = []
    loop_s = timed(lambda: loop.extend(grid.witness(p_kw, q_kvar, slot) for slot in range(SLOTS)), 1)
    result = grid.check(p_kw, q_kvar)
    batch_s = timed(lambda: [grid.check(p_kw, q_kvar) for _ in range(10)], 5) / 10
    prepare(GRID, LIMITS, cache_dir)
    return {
        "schema_version": 2,
        "buses": len(grid.bus_ids),
        "branches": len(grid.branch_names),
        "converged_without_newton": int(grid.voltages(p_kw, q_kvar)[1].sum()),
        "ac96_over_runpp_loop": batch_s / loop_s,
        "ac96_ms": batch_s * 1e3,
        "runpp_loop_s": loop_s,
        "ac_max_abs_dv_pu": max(float(np.abs(v - result.v_pu[:, s]).max()) for s, (v, _) in enumerate(loop)),
        "ac_max_abs_dloading_pct": max(
            float(np.abs(i - result.loading_pct[:, s]).max()) for s, (_, i) in enumerate(loop)
        ),
        "greatest_loading_pct": float(result.loading_pct.max()),
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
