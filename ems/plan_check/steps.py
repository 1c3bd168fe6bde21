"""Tap changers and capacitor banks: whole positions within their range, moved no more often than they may be."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from optimization.problem import Plan, Problem
from optimization.slots import Ints, Slots
from optimization.steps import Stepped

DAY_S = 86400.0


def check_steps(problem: Problem, plan: Plan) -> Iterator[str]:
    """Say what is impossible about the positions of a plan; without a feeder none is told."""
    asked = set() if plan.ac.status == "unchecked" else set(problem.steps)
    if asked != set(plan.positions):
        yield f"the plan speaks of the steps {sorted(plan.positions)} instead of {sorted(asked)}"
        return
    for name in sorted(asked):
        taken, stepped = np.asarray(plan.positions[name]), problem.steps[name]
        if taken.shape != (len(problem.slots),) or not np.issubdtype(taken.dtype, np.integer):
            yield f"{name}: its positions are not one whole number a slot"
            continue
        yield from _range(name, stepped, taken)
        yield from _moves(name, stepped, taken, problem.slots)


def _range(name: str, stepped: Stepped, taken: Ints) -> Iterator[str]:
    low, high = stepped.device.least, stepped.device.most
    out = np.flatnonzero((taken < low) | (taken > high))
    if out.size:
        yield f"{name}: position {taken[out[0]]} in slot {out[0]}, it has {low} to {high}"


def _moves(name: str, stepped: Stepped, taken: Ints, slots: Slots) -> Iterator[str]:
    moving, last_s, before = stepped.device.moving, -stepped.since_s, stepped.now
    per_day: dict[int, int] = {0: stepped.moved_today}
    for s, position in enumerate(taken.tolist()):
        at_s = float(slots.offset_s[s])
        moved, before = abs(position - before), position
        if not moved:
            continue
        if at_s - last_s < moving.dead_time_s - 1e-3:
            yield f"{name}: moves in slot {s}, {at_s - last_s:.0f} s after its last move of {moving.dead_time_s:g} s"
        day = 0 if at_s < stepped.day_left_s - 1e-3 else 1 + int((at_s - stepped.day_left_s + 1e-3) // DAY_S)
        per_day[day] = per_day.get(day, 0) + moved
        last_s = at_s
        most = moving.most_per_day
        if most is not None and per_day[day] > most and per_day[day] > stepped.moved_today * (day == 0):
            yield f"{name}: {per_day[day]} steps by slot {s} of day {day}, at most {most} may be"
