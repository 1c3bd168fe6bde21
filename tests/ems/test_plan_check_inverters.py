"""What a plan says of reactive power is held against the inverters' curves, and every lie about it is found."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from plan_samples import sample_plan, sample_problem

from ems.plan_check.plan import check_plan
from optimization.problem import AcVerdict
from optimization.reactive import Chosen, FactorOfPower, Inverter, ReactiveOfVoltage

DROOP = ReactiveOfVoltage(((0.93, -1.0), (0.97, 0.0), (1.03, 0.0), (1.07, 1.0)))
CEILING = ((1.09, 1.0), (1.11, 0.0))


def asked(rule, ceiling=()):
    problem = sample_problem()
    rated_kw = max(1.0, float(-sample_plan(problem).schedules["pv"].power_kw.min()))
    inverter = Inverter(1.2 * rated_kw, rated_kw, 0.5 * rated_kw, rule, ceiling)
    return replace(problem, inverters={"pv": inverter}), inverter


def answered(problem, inverter, v_pu, chosen_kvar=0.0, status="feasible"):
    plan = sample_plan(problem)
    power_kw = plan.schedules["pv"].power_kw
    at_v_pu = np.full(power_kw.shape, v_pu)
    kvar = inverter.kvar(power_kw, at_v_pu, chosen_kvar)
    return replace(plan, ac=AcVerdict(status), reactive_kvar={"pv": kvar}, inverter_v_pu={"pv": at_v_pu})


RULES = [
    (Chosen(), 1.0),
    (Chosen(0.9), 1.0),
    (FactorOfPower(), 1.0),
    (FactorOfPower(((0.0, 0.95),)), 1.02),
    (DROOP, 0.9),
    (DROOP, 0.95),
    (DROOP, 1.05),
    (DROOP, 1.2),
]


@pytest.mark.parametrize(("rule", "v_pu"), RULES)
def test_what_follows_the_curve_passes(rule, v_pu):
    problem, inverter = asked(rule)
    assert check_plan(problem, answered(problem, inverter, v_pu)) == ()


def sunniest(problem):
    return int(np.argmin(sample_plan(problem).schedules["pv"].power_kw))


def off_by(amount, slot):
    def change(plan):
        kvar = plan.reactive_kvar["pv"].copy()
        kvar[slot] += amount
        return replace(plan, reactive_kvar={"pv": kvar})

    return change


def without(field):
    return lambda plan: replace(plan, **{field: {}})


def unknown(plan):
    return replace(plan, reactive_kvar={"pv": plan.reactive_kvar["pv"] * np.nan})


MUTANTS = [
    (Chosen(0.95), 1.0, off_by(0.5, 0), "pv: below its least cos phi"),
    (FactorOfPower(), 1.0, off_by(0.01, 3), "pv: reactive power off its curve"),
    (FactorOfPower(), 1.0, off_by(-0.01, 3), "pv: reactive power off its curve"),
    (DROOP, 1.05, off_by(0.01, 0), "pv: reactive power off its curve"),
    (DROOP, 1.05, lambda p: replace(p, inverter_v_pu={"pv": p.inverter_v_pu["pv"] + 0.002}), "off its curve"),
    (Chosen(), 1.0, off_by(1e3, 0), "pv: above the rating of its inverter"),
    (Chosen(), 1.0, off_by(-1e3, 0), "pv: more reactive power than its inverter has"),
    (DROOP, 1.05, without("reactive_kvar"), "the plan speaks of the inverters [] instead of ['pv']"),
    (DROOP, 1.05, without("inverter_v_pu"), "instead of ['pv']"),
    (DROOP, 1.05, unknown, "pv: its reactive power or its voltage is not"),
]


@pytest.mark.parametrize(("rule", "v_pu", "mutate", "words"), MUTANTS)
def test_a_lie_about_reactive_power_is_found(rule, v_pu, mutate, words):
    problem, inverter = asked(rule)
    found = check_plan(problem, mutate(answered(problem, inverter, v_pu)))
    assert any(words in line for line in found)


@pytest.mark.parametrize(("v_pu", "status", "caught"), [
    (1.0899, "feasible", False),
    (1.1, "feasible", True),
    (1.1, "unavoidable_excess", False),
])  # fmt: skip
def test_what_is_given_above_p_of_u_is_found_where_the_plan_claims_to_be_feasible(v_pu, status, caught):
    problem, inverter = asked(Chosen(), CEILING)
    found = check_plan(problem, answered(problem, inverter, v_pu, status=status))
    assert any("pv: gives more than P(U) allows" in line for line in found) == caught


def test_a_plan_without_a_feeder_says_nothing_of_inverters():
    problem, inverter = asked(DROOP)
    assert check_plan(problem, sample_plan(problem)) == ()
    told = replace(answered(problem, inverter, 1.05), ac=AcVerdict("unchecked"))
    assert "the plan speaks of the inverters ['pv'] instead of []" in check_plan(problem, told)


def test_the_sample_gives_enough_for_the_mutants_to_mean_something():
    problem, inverter = asked(DROOP)
    assert sample_plan(problem).schedules["pv"].power_kw[sunniest(problem)] < -1.0
    assert inverter.most_kvar > 0.5
