"""How HiGHS is asked: on one thread, and stopped by iterations and nodes, so that an answer repeats."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import highspy

OPTIONS: dict[str, bool | int | float | str] = {
    "output_flag": False,
    "threads": 1,
    "solver": "simplex",
    "simplex_strategy": 1,
    "random_seed": 0,
    "mip_rel_gap": 1e-3,
    "mip_max_nodes": 200,
    # The relaxation's rounding is given as a start and seldom bettered: to look for others took 19 parts of 20.
    "mip_heuristic_run_rins": False,
    "mip_heuristic_run_rens": False,
    "mip_heuristic_run_root_reduced_cost": False,
    "mip_allow_restart": False,
    "simplex_iteration_limit": 1_000_000,
}
EDGE_WEIGHTS = "simplex_dual_edge_weight_strategy"
CHOSEN, DEVEX = -1, 1
SCALED = 3
"""Of `simplex_scale_strategy`: always. HiGHS by itself leaves be what the rows of a feeder made it scale."""
DUAL_TOLERANCE = "dual_feasibility_tolerance"
COARSE, FINE = 1e-7, 1e-10
"""What a unit of a column may still save at an optimum: what HiGHS takes by itself, and the least that it knows."""
SMALL = 2000
"""Columns of a programme that is no larger than a site's with few devices."""


@contextmanager
def finely(highs: highspy.Highs) -> Iterator[None]:
    """Let nothing be an optimum that a column could better by more than `FINE`."""
    highs.setOptionValue(DUAL_TOLERANCE, FINE)
    try:
        yield
    finally:
        highs.setOptionValue(DUAL_TOLERANCE, COARSE)


def most_nodes(columns: int) -> int:
    """Bound the work of a search for whole numbers: a node of a small programme takes so much less of it."""
    return int(float(OPTIONS["mip_max_nodes"]) * max(1.0, SMALL / columns))
