"""Counts what became of the planning cycles, and how far plans move away from each other."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from optimization.problem import Plan

CHURN_SLOTS_S = 3600.0


@dataclass(slots=True)
class PlanCounts:
    """What became of the planning cycles.

    Args:
        published: plans published.
        degraded: of which with a degraded forecast.
        refused: questions that were invalid.
        unanswered: no answer within the deadline, or no worker.
        failed_checks: answers that the verifier turned down.
        unjournalled: plans that the journal did not take.
        failed: planning cycles that an error ended.
        ac: published plans by AC verdict.
        moved_kw: mean change of the planned powers of the next hour from plan to plan, summed up over plans [kW].
    """

    published: int = 0
    degraded: int = 0
    refused: int = 0
    unanswered: int = 0
    failed_checks: int = 0
    unjournalled: int = 0
    failed: int = 0
    ac: Counter[str] = field(default_factory=Counter)
    moved_kw: float = 0.0


def moved_kw(old: Plan, new: Plan) -> float:
    """Give the mean change of the planned powers over the new plan's next hour, summed over the assets [kW]."""
    near = np.flatnonzero(new.slots.offset_s < CHURN_SLOTS_S)
    there = [old.slots.index_at(new.slots.starts[s]) for s in near]
    pairs = [(int(s), place) for s, place in zip(near, there, strict=True) if place is not None]
    if not pairs:
        return 0.0
    now, before = (list(side) for side in zip(*pairs, strict=True))
    shared = new.schedules.keys() & old.schedules.keys()
    moves = (np.abs(new.schedules[a].power_kw[now] - old.schedules[a].power_kw[before]).mean() for a in sorted(shared))
    return float(sum(moves))
