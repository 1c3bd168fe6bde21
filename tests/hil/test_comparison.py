"""Criteria: each one fails by itself, and nothing else makes a run fail."""

from __future__ import annotations

import copy

import pytest

from hil.comparison import ARM_KEYS, compare
from hil.measurables import GENERAL, MEASURABLES, Evidence
from hil.scenario import Arm, Limit

ARM = dict.fromkeys(ARM_KEYS, 0.0) | {
    "currency": "EUR",
    "plant_limits": {"excursions": 0},
    "reaction_s": {},
    "drivers": {"short": 0, "waiting_h": 0.0},
}
PLAN = ARM | {"cost": 10.0, "power_flow": {}}
RULES = ARM | {"cost": 12.0}
NO_CONTROL = ARM | {"cost": 20.0, "violation_share": 0.05, "ev_unavoidable_kwh": 0.0}
COUNTERS = {
    "cycles": 360, "missed_deadlines": 0, "devices_total": 5, "devices_online": 5, "plans": 12, "churn": {},
    "setpoints": {"issued": 100, "verified": 95, "refused": 0, "unknown": 0}, "sense_to_effect_p95_s": 10.0,
    "sense_to_verified_p99_s": 4.0, "sense_to_verified_p99_cycles": 0.4,
    "ac": {"feasible": 12, "unavoidable_excess": 0, "unconverged": 0},
}  # fmt: skip
CRITERIA = {**GENERAL, "plans": Limit(at_least=8.0), "no_control_violation_share": Limit(at_least=0.03)}


def judged(*, plan=None, rules=None, no_control=None, counters=None, criteria=CRITERIA):
    arms = {Arm.PLAN: PLAN | (plan or {}), Arm.RULES: RULES | (rules or {}), Arm.NONE: NO_CONTROL | (no_control or {})}
    return compare(Evidence(arms, copy.deepcopy(COUNTERS) | (counters or {})), criteria)


def failed(result):
    return [criterion["name"] for criterion in result["criteria"] if not criterion["passed"]]


def test_a_good_run_passes():
    result = judged()
    assert result["passed"]
    assert failed(result) == []
    assert result["plan"]["cost"] == 10.0
    assert result["currency"] == result["rules"]["currency"] == "EUR"


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"counters": {"plans": 7}}, "plans"),
        ({"counters": {"missed_deadlines": 1}}, "missed_deadlines"),
        ({"plan": {"plant_limits": {"excursions": 1}}}, "plan_excursions"),
        ({"counters": {"ac": {"unconverged": 1}}}, "plans_unconverged"),
        ({"counters": {"setpoints": {"issued": 100, "verified": 94}}}, "setpoints_verified_share"),
        ({"plan": {"ev_shortfall_kwh": 0.06}}, "ev_shortfall_kwh"),
        ({"plan": {"cost": 12.01}}, "plan_cost_minus_rules_cost"),
        ({"no_control": {"violation_share": 0.029}}, "no_control_violation_share"),
    ],
)
def test_each_criterion_fails_by_itself(change, name):
    result = judged(**change)
    assert not result["passed"]
    assert failed(result) == [name]


def test_what_nobody_could_have_charged_is_allowed_to_be_missing():
    assert judged(plan={"ev_shortfall_kwh": 5.0}, no_control={"ev_unavoidable_kwh": 5.0})["passed"]
    assert not judged(plan={"ev_shortfall_kwh": 5.2}, no_control={"ev_unavoidable_kwh": 5.0})["passed"]


def test_a_scenario_may_ask_for_less():
    criteria = {name: limit for name, limit in CRITERIA.items() if name in {"plans", "missed_deadlines"}}
    assert judged(plan={"cost": 99.0}, no_control={"violation_share": 0.0}, criteria=criteria)["passed"]


@pytest.mark.parametrize(("short", "passes"), [(4, True), (5, False)])
def test_the_queue_may_be_asked_to_do_better_than_first_come(short, passes):
    criteria = {"drivers_short": Limit(at_most=0.8, times="rules_drivers_short")}
    found = judged(
        plan={"drivers": {"short": short}, "ev_shortfall_kwh": 9.0}, rules={"drivers": {"short": 5}},
        no_control={"violation_share": 0.0}, criteria=criteria,
    )  # fmt: skip
    assert failed(found) == ([] if passes else ["drivers_short"])


def test_buildings_own_limits_may_be_asked_to_be_kept():
    criteria = {"automation_excess_kwh": Limit(at_most=0.1)}
    assert failed(judged(plan={"automation_excess_kwh": 0.2}, criteria=criteria)) == ["automation_excess_kwh"]


def test_what_a_run_does_not_tell_fails_and_is_no_zero():
    arms = {Arm.PLAN: PLAN}
    found = compare(
        Evidence(arms, COUNTERS), {"rules_drivers_short": Limit(at_most=5.0), "comfort_kh": Limit(at_most=0)}
    )
    assert failed(found) == ["rules_drivers_short"]
    assert found["criteria"][0]["value"] is None
    assert (found["rules"], found["no_control"], found["ev_unavoidable_kwh"]) == (None, None, None)


def test_every_general_criterion_is_a_measurable():
    assert set(GENERAL) <= set(MEASURABLES)
