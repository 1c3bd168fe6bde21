"""The verifier of plans for several scenarios catches branches that are no plans, other stems, costs that are off."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from plan_samples import N, balanced, sample_plan, sample_problem, stored

from ems.plan_check import check_plan
from optimization.problem import Plan, Problem, Schedule
from optimization.uncertainty import Scenario, Uncertainty

SHARED = 9
MORE_KW = np.where(np.arange(N) < SHARED, 0.0, 4.0)


def question() -> Problem:
    """Ask with one scenario in which the houses take more."""
    asked = sample_problem()
    more = {"houses": {"demand_kw": asked.inputs["houses"].demand_kw + 4.0}}
    return replace(asked, uncertainty=Uncertainty((Scenario("cold", 0.3, more),), 0.5, 0.2))


def answer() -> Plan:
    """Answer it: the sample, and a branch that draws what is taken more."""
    plan = sample_plan()
    houses = plan.schedules["houses"]
    more = replace(houses, power_kw=houses.power_kw + MORE_KW)
    branch = balanced(replace(plan, schedules={**plan.schedules, "houses": more}, objective=20.0))
    told = {"nominal_cost": 10.0, "expected_cost": 13.0, "tail_cost": 20.0}
    return replace(plan, objective=16.5, solve=told, branches={"cold": branch})


def branch(plan: Plan, **changed: object) -> Plan:
    return replace(plan, branches={"cold": replace(plan.branches["cold"], **changed)})  # type: ignore[arg-type]


def battery(plan: Plan, slot: int) -> Plan:
    """Let the branch's battery do something else in a slot, honestly."""
    cold = plan.branches["cold"]
    kw = cold.schedules["battery"].power_kw.copy()
    kw[slot] -= 2.0
    return replace(plan, branches={"cold": balanced(
        replace(cold, schedules={**cold.schedules, "battery": Schedule(kw, {"energy_kwh": stored(kw)})}))})  # fmt: skip


def test_a_possible_plan_passes() -> None:
    assert check_plan(question(), answer()) == ()
    assert check_plan(question(), battery(answer(), SHARED)) == ()


MUTANTS = [
    ("no branch", lambda p: replace(p, branches={}), "speaks of the scenarios"),
    ("a branch nobody asked for", lambda p: replace(p, branches={**p.branches, "warm": p}), "speaks of the scenarios"),
    ("another stem", lambda p: battery(p, SHARED - 1), "another power in the shared slots"),
    ("a branch of the foreseen", lambda p: branch(p, schedules=p.schedules), "in scenario cold"),
    ("a branch without balance", lambda p: branch(p, import_kw=p.import_kw), "in scenario cold: the power balance"),
    ("an expected cost", lambda p: replace(p, solve={**p.solve, "expected_cost": 12.0}), "expected_cost is 12"),
    ("a tail", lambda p: replace(p, solve={**p.solve, "tail_cost": 19.0}), "tail_cost is 19"),
    ("no tail", lambda p: replace(p, solve={"nominal_cost": 10.0, "expected_cost": 13.0}), "tail_cost is nan"),
    ("a cost of the branch", lambda p: branch(p, objective=21.0), "come to"),
    ("an objective", lambda p: replace(p, objective=13.0), "objective is 13"),
]


@pytest.mark.parametrize(("mutate", "words"), [m[1:] for m in MUTANTS], ids=[m[0] for m in MUTANTS])
def test_a_mutant_is_caught(mutate, words: str) -> None:  # type: ignore[no-untyped-def]
    found = check_plan(question(), mutate(answer()))
    assert any(words in sentence for sentence in found), found


def test_branches_of_a_plan_for_one_future_are_caught() -> None:
    assert any("speaks of the scenarios" in words for words in check_plan(sample_problem(), answer()))
