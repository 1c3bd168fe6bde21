"""Assets behind one limit."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ems.plan_check.words import POWER_TOLERANCE_KW, beyond
from optimization.problem import Plan, Problem


def check_groups(problem: Problem, plan: Plan) -> Iterator[str]:
    """Add up the powers of each group: what lies beyond its limit must be admitted."""
    asked, n = {group.id for group in problem.groups}, len(problem.slots)
    if asked != plan.group_excess_kw.keys():
        yield f"the plan speaks of the groups {sorted(plan.group_excess_kw)} instead of {sorted(asked)}"
        return
    for group in problem.groups:
        excess_kw = plan.group_excess_kw[group.id]
        if np.shape(excess_kw) != (n,) or not np.isfinite(excess_kw).all():
            yield f"group {group.id}: its excess is not {n} finite numbers"
            continue
        tolerance_kw = POWER_TOLERANCE_KW * (1 + len(group.members))
        total_kw = np.sum([plan.schedules[member].power_kw for member in group.members], axis=0)
        over = np.abs(total_kw) - group.limit_kw - excess_kw
        yield from beyond(f"group {group.id} above its limit", over, tolerance_kw, "kW")
        yield from beyond(f"group {group.id}: excess below zero", -excess_kw, POWER_TOLERANCE_KW, "kW")
