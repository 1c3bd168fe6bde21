"""Checks a plan for several scenarios: each branch answers its own scenario, all share a stem, and the costs add up.

p[k, s] = p[0, s] in every slot s that begins less than two hours after the end of the first one
objective = (1 - weight) * sum of p[k] * cost[k] + weight * CVaR,   CVaR by trying every cost as its threshold
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from ems.plan_check.words import POWER_TOLERANCE_KW, beyond
from optimization.assets import Inputs
from optimization.problem import Plan, Problem
from optimization.slots import Floats, Slots
from optimization.uncertainty import Scenario, Uncertainty

SHARED_H = 2.0
MONEY_TOLERANCE = 1e-6

Check = Callable[[Problem, Plan], tuple[str, ...]]


def check_scenarios(problem: Problem, plan: Plan, check: Check) -> Iterator[str]:
    """Check the branches of a plan; `check` re-simulates a plan without any."""
    uncertainty = problem.uncertainty or Uncertainty()
    asked = {scenario.name: scenario for scenario in uncertainty.scenarios}
    if asked.keys() != plan.branches.keys():
        yield f"the plan speaks of the scenarios {sorted(plan.branches)} instead of {sorted(asked)}"
        return
    for name, branch in plan.branches.items():
        yield from (f"in scenario {name}: {words}" for words in check(_question(problem, asked[name]), branch))
        if branch.schedules.keys() == plan.schedules.keys() and len(branch.slots) == len(plan.slots):
            yield from (f"in scenario {name}: {words}" for words in _stem(plan, branch))
    if asked:
        yield from _costs(uncertainty, plan)


def _shared(slots: Slots) -> int:
    after_h = (slots.offset_s - slots.duration_s[0]) / 3600.0
    return int(np.count_nonzero(after_h < SHARED_H))


def _question(problem: Problem, scenario: Scenario) -> Problem:
    """Write the question of a scenario; its feeder is linear, and AC power flow is asked about the nominal one only."""
    shared, inputs, held = _shared(problem.slots), dict(problem.inputs), dict(problem.held)
    for asset in problem.assets:
        if asset.id in scenario.inputs and (asset.is_source or asset.id not in held):
            inputs[asset.id] = _later(problem.inputs[asset.id], scenario.inputs[asset.id], shared)
            if asset.id in held:
                able = asset.reach(inputs[asset.id], problem.slots)
                low, high = held[asset.id].low_kw, held[asset.id].high_kw
                held[asset.id] = replace(
                    able, low_kw=np.maximum(low, able.low_kw), high_kw=np.maximum(high, able.low_kw)
                )
    return replace(problem, uncertainty=None, network=None, inputs=inputs, held=held)


def _later(foreseen: Inputs, series: Any, shared: int) -> Inputs:
    changed = {}
    for key, value in series.items():
        changed[key] = np.array(value, dtype=float)
        changed[key][:shared] = getattr(foreseen, key)[:shared]
    return replace(foreseen, **changed)  # type: ignore[type-var]


def _stem(plan: Plan, branch: Plan) -> Iterator[str]:
    shared = _shared(plan.slots)
    for name, schedule in plan.schedules.items():
        apart_kw = np.abs(branch.schedules[name].power_kw - schedule.power_kw)[:shared]
        yield from beyond(f"{name}: another power in the shared slots", apart_kw, POWER_TOLERANCE_KW, "kW")


def _costs(uncertainty: Uncertainty, plan: Plan) -> Iterator[str]:
    cost = np.array([float(plan.solve.get("nominal_cost", np.nan)), *(b.objective for b in plan.branches.values())])
    order = [list(plan.branches).index(scenario.name) + 1 for scenario in uncertainty.scenarios]
    cost, p = cost[[0, *order]], np.array([each.probability for each in uncertainty.scenarios])
    p = np.append(1.0 - p.sum(), p)
    expected, tail = float(p @ cost), _tail(cost, p, uncertainty.tail)
    told = (("expected_cost", expected), ("tail_cost", tail))
    promised = [(name, float(plan.solve.get(name, np.nan)), value) for name, value in told]
    whole = (1.0 - uncertainty.weight) * expected + uncertainty.weight * tail
    for name, said, found in (*promised, ("objective", plan.objective, whole)):
        if not abs(said - found) <= MONEY_TOLERANCE * max(1.0, abs(found)):
            yield f"the plan's {name} is {said:g}; the costs of its scenarios come to {found:g}"


def _tail(cost: Floats, p: Floats, tail: float) -> float:
    """Give the mean of the worst share: the least over all thresholds, one of which is a cost."""
    return min(float(eta + p @ np.maximum(cost - eta, 0.0) / tail) for eta in cost.tolist())
