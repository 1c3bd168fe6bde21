"""Reserve bands against formulations of their own in scipy, and what a plan may not say of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from districts import as_plan, districts, hours, problem
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.optimize import Bounds, LinearConstraint, linprog, milp

from ems.plan_check import check_plan
from optimization.assets import (
    Battery,
    BatteryInputs,
    ChargePoint,
    ChargePointInputs,
    EvSession,
    Genset,
    GensetInputs,
    Load,
    LoadInputs,
    Pv,
    PvInputs,
)
from optimization.bands import Reserve
from optimization.holding import hold
from optimization.problem import Refused
from optimization.solve import Solver
from optimization.structure import structure
from optimization.weights import Weights

SOLVER = Solver()
N = 8
RNG = np.random.default_rng(5)
DEMAND = np.round(6.0 + 6.0 * RNG.random(N), 3)
SUN = np.round(np.clip(14.0 * np.sin(np.arange(N) / 7.0 * np.pi), 0.0, None), 3)
PRICE = np.round(0.1 + 0.4 * RNG.random(N), 6)
EARLY = 1e-5 * np.arange(N)
LOAD, PV = Load("load"), Pv("pv", rated_kw=20.0)
BATTERY = Battery("battery", 20.0, 10.0, 8.0, wear_per_kwh=0.02)
ENGINE = Genset("engine", 12.0, 4.0, 2.2, fuel_idle_kw=3.0, start_cost=0.4)
EASY = settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])


def band(up=0.0, down=0.0, *, members=("battery", "pv"), hold_s=1800.0, missing=2.0, name="band"):
    return Reserve(name, members, np.broadcast_to(up, N) * 1.0, np.broadcast_to(down, N) * 1.0, hold_s, missing)


def asked(*reserves, held=10.0, battery=BATTERY, more=(), **options):
    pairs = [(LOAD, LoadInputs(DEMAND)), (battery, BatteryInputs(held, 0.2)), (PV, PvInputs(SUN)), *more]
    given = {"export": 0.03, "limit": 50.0} | options
    return problem(pairs, PRICE, step_s=3600.0, weights=Weights(move=0.0), reserves=reserves, **given)


def solved(question):
    solution = SOLVER.solve(question)
    assert not isinstance(solution, Refused), solution
    assert check_plan(question, as_plan(question, solution)) == ()
    return solution


def reference(up, down, *, hold_h=0.5, held=10.0, missing=2.0, limit=50.0):
    """Columns: charge, discharge, import, export, sun, up and down of the battery, then of the sun, both missing."""
    zero, one, low = np.zeros((N, N)), np.eye(N), np.tril(np.ones((N, N)))
    names = ("c", "d", "i", "e", "g", "ub", "db", "ug", "dg", "mu", "md")

    def rows(**parts):
        return np.hstack([parts.get(name, zero) for name in names])

    under, most = [], []

    def at_most(matrix, right):
        under.append(matrix)
        most.append(np.broadcast_to(right, len(matrix)))

    at_most(rows(ub=one, d=one, c=-one), 8.0)
    at_most(rows(db=one, c=one, d=-one), 10.0)
    at_most(rows(ug=one, g=one), SUN)
    at_most(rows(dg=one, g=-one), 0.0)
    at_most(rows(ub=one, ug=one, e=one, i=-one), limit)
    at_most(rows(db=one, dg=one, i=one, e=-one), limit)
    before = np.tril(np.ones((N, N)), -1)
    after = np.vstack([low[1:], low[-1:]])
    for stored in (before, low, after):
        at_most(rows(c=-0.96 * stored, d=stored / 0.96, ub=hold_h / 0.96 * one), held - 1.0)
        at_most(rows(c=0.96 * stored, d=-stored / 0.96, db=hold_h * 0.96 * one), 19.0 - held)
    equal = np.vstack([rows(c=one, d=-one, i=-one, e=one, g=-one), rows(ub=one, ug=one, mu=one),
                       rows(db=one, dg=one, md=one)])  # fmt: skip
    right = np.concatenate([-DEMAND, np.broadcast_to(up, N), np.broadcast_to(down, N)])
    price = dict.fromkeys(names, np.zeros(N)) | {
        "c": EARLY - 0.2 * 0.96, "d": EARLY + 0.02 + 0.2 / 0.96, "i": PRICE, "e": np.full(N, -0.03),
        "mu": np.full(N, missing), "md": np.full(N, missing),
    }  # fmt: skip
    bounds = [(0, most) for most in (10, 8, limit, limit) for _ in range(N)]
    bounds += [(0, kw) for kw in SUN] + [(0, None)] * (6 * N)
    cost = np.concatenate([price[name] for name in names])
    found = linprog(cost, np.vstack(under), np.concatenate(most), equal, right, bounds)
    assert found.status == 0
    return found.fun - 0.2 * held


@pytest.mark.parametrize(
    ("up", "down", "held", "limit"),
    [(6.0, 0.0, 10.0, 50.0), (0.0, 9.0, 10.0, 50.0), (5.0, 8.0, 4.0, 50.0), (9.0, 12.0, 9.0, 50.0),
     (5.0, 5.0, 10.0, 13.0)],
)  # fmt: skip
def test_a_band_of_battery_and_sun_against_an_independent_formulation(up, down, held, limit) -> None:
    solution = solved(asked(band(up, down), held=held, limit=limit))
    assert solution.objective == pytest.approx(reference(up, down, held=held, limit=limit), abs=1e-5)
    free = solved(asked(held=held, limit=limit))
    assert solution.objective > free.objective + 1e-3  # the case binds


def test_an_hour_is_dearer_than_a_minute() -> None:
    costs = [solved(asked(band(4.0, hold_s=hold_s))).objective for hold_s in (60.0, 1800.0, 3600.0)]
    assert costs == sorted(costs)
    assert costs[-1] > costs[0] + 0.01


def test_two_bands_share_what_one_battery_can_spare() -> None:
    one, two = band(5.0, name="one", members=("battery",)), band(5.0, name="two", members=("battery",), missing=0.5)
    solution = solved(asked(one, two))
    held = solution.held_reserves
    together = held["one"].up_kw["battery"] + held["two"].up_kw["battery"]
    assert (together <= 8.0 + solution.schedules["battery"].power_kw + 1e-6).all()
    assert held["two"].up_missing_kw.sum() > held["one"].up_missing_kw.sum()


def spinning(up, is_running):
    """Columns: import, export, generation, runs, starts, up, missing."""
    one, zero, lag = np.eye(N), np.zeros((N, N)), np.eye(N, k=-1)
    first = np.zeros(N)
    first[0] = float(is_running)
    rows = [
        (np.hstack([one, -one, one, zero, zero, zero, zero]), DEMAND, DEMAND),
        (np.hstack([zero, zero, one, -12.0 * one, zero, one, zero]), -np.inf, 0.0),
        (np.hstack([zero, zero, one, -4.0 * one, zero, zero, zero]), 0.0, np.inf),
        (np.hstack([zero, zero, zero, one - lag, -one, zero, zero]), -np.inf, first),
        (np.hstack([zero, zero, zero, zero, zero, one, one]), up, up),
    ]
    fuel = 0.09
    cost = np.concatenate([PRICE, np.full(N, -0.03), np.full(N, 2.2 * fuel), np.full(N, 3.0 * fuel), np.full(N, 0.4),
                           np.zeros(N), np.full(N, 2.0)])  # fmt: skip
    high = np.repeat([50.0, 50.0, 12.0, 1.0, 1.0, np.inf, np.inf], N)
    whole = np.repeat([0, 0, 0, 1, 0, 0, 0], N)
    found = milp(cost, integrality=whole, bounds=Bounds(np.zeros(7 * N), high),
                 constraints=[LinearConstraint(*row) for row in rows])  # fmt: skip
    assert found.status == 0
    return found.fun


@pytest.mark.parametrize(("up", "is_running"), [(5.0, False), (7.9, True), (12.0, False)])
def test_a_spinning_reserve_keeps_an_engine_running(up, is_running) -> None:
    pairs = [(LOAD, LoadInputs(DEMAND)), (ENGINE, GensetInputs(is_running, 86400.0, np.full(N, 0.09)))]
    question = problem(pairs, PRICE, step_s=3600.0, export=0.03, weights=Weights(move=0.0),
                       reserves=(band(up, members=("engine",)),))  # fmt: skip
    solution = solved(question)
    assert solution.objective == pytest.approx(spinning(np.full(N, up), is_running), rel=2e-3)
    without = solved(replace(question, reserves=()))
    assert solution.schedules["engine"].states["is_running"].sum() > without.schedules["engine"].states[
        "is_running"].sum()  # fmt: skip


def test_cars_that_charge_can_pause_and_nothing_more() -> None:
    point = ChargePoint("point", 11.0)
    cars = ChargePointInputs((EvSession(hours(0), hours(N), 40.0, 11.0),))
    solution = solved(asked(band(4.0, 2.0, members=("point",)), more=[(point, cars)]))
    held, power_kw = solution.held_reserves["band"], solution.schedules["point"].power_kw
    assert (held.up_kw["point"] <= power_kw + 1e-6).all()
    assert held.up_kw["point"].sum() > 20.0
    np.testing.assert_allclose(held.down_missing_kw, 2.0, atol=1e-6)


def test_what_people_hold_spares_nothing() -> None:
    question = asked(band(3.0, members=("battery",)))
    holding = {"battery": hold(BATTERY, BatteryInputs(10.0), question.slots, 2.0, question.slots.end)}
    solution = solved(replace(question, held=holding))
    np.testing.assert_allclose(solution.held_reserves["band"].up_missing_kw, 3.0, atol=1e-6)


def test_a_store_that_tapers_spares_less_near_its_ends() -> None:
    tapering = replace(BATTERY, discharge_taper_pct=60.0, charge_taper_pct=70.0)
    question = asked(band(7.0, 9.0, members=("battery",), hold_s=300.0), battery=tapering)
    plain = asked(band(7.0, 9.0, members=("battery",), hold_s=300.0))
    assert solved(question).objective > solved(plain).objective + 1e-3


@EASY
@given(
    districts(), st.sampled_from([0.0, 4.0, 40.0]), st.sampled_from([0.0, 9.0]), st.sampled_from([60.0, 900.0, 7200.0])
)
def test_any_district_has_a_plan_whatever_stands_ready(base, up, down, hold_s) -> None:
    n = len(base.slots)
    reserves = (
        Reserve("all", ("battery", "pv", "point"), np.full(n, up), np.full(n, down), hold_s, 1.0),
        Reserve("store", ("battery",), np.arange(n) * 1.0, np.full(n, 1.0), 900.0, 0.3),
    )
    question = replace(base, reserves=reserves)
    solution = SOLVER.solve(question)
    assert check_plan(question, as_plan(question, solution)) == ()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda held: replace(held, up_kw={}), "held by [] instead of"),
        (lambda held: replace(held, up_missing_kw=np.zeros(3)), "finite numbers"),
        (lambda held: replace(held, down_missing_kw=held.down_missing_kw - 9.0), "less than nothing"),
        (
            lambda held: replace(held, up_missing_kw=held.up_missing_kw - held.up_missing_kw),
            "neither held nor admitted",
        ),
        (lambda held: replace(held, up_kw=more(held.up_kw, "battery", 9.0)), "a call up beyond what it can do"),
        (lambda held: replace(held, down_kw=more(held.down_kw, "battery", 19.0)), "a call down beyond what it can do"),
        (lambda held: replace(held, up_kw=more(held.up_kw, "pv", 15.0)), "pv: a call up beyond"),
        (lambda held: replace(held, down_kw=more(held.down_kw, "pv", 15.0)), "pv: a call down beyond"),
        (lambda held: replace(held, up_kw=more(held.up_kw, "battery", 60.0)), "exceeds the export limit"),
        (lambda held: replace(held, down_kw=more(held.down_kw, "pv", 60.0)), "exceeds the import limit"),
    ],
)
def test_a_plan_that_promises_too_much_is_found_out(change, words) -> None:
    question = asked(band(9.0, 12.0), held=15.0)
    plan = as_plan(question, solved(question))
    assert plan.held_reserves["band"].up_missing_kw.max() > 0.1
    wrong = replace(plan, held_reserves={"band": change(plan.held_reserves["band"])})
    assert words in "; ".join(check_plan(question, wrong))


def more(kw, member, by):
    return {**kw, member: kw[member] + by}


@pytest.mark.parametrize(("up", "down", "words"), [(4.0, 0.0, "empties it"), (0.0, 4.0, "overfills it")])
def test_a_call_that_the_store_cannot_follow_to_its_end_is_found_out(up, down, words) -> None:
    question = asked(band(up, down, members=("battery",), hold_s=600.0))
    plan = as_plan(question, solved(question))
    longer = replace(question, reserves=(replace(question.reserves[0], hold_s=3 * 3600.0),))
    assert words in "; ".join(check_plan(longer, plan))


def test_a_question_without_bands_has_the_structure_of_before() -> None:
    assert structure(asked()).reserves == ()


@pytest.mark.parametrize(
    ("reserve", "word"),
    [
        (band(members=("nobody",)), "'nobody' is no asset that can spare"),
        (band(members=("load",)), "'load' is no asset that can spare"),
        (band(members=()), "at least one asset"),
        (band(members=("pv", "pv")), "each once"),
        (band(-1.0), "up_kw[0]"),
        (band(hold_s=0.0), "hold_s"),
        (band(missing=-1.0), "missing_per_kwh"),
        (band(name="other"), "more than once"),
    ],
)
def test_what_cannot_be_is_refused_in_words(reserve, word) -> None:
    answer = SOLVER.solve(asked(reserve, band(name="other")))
    assert isinstance(answer, Refused)
    assert any(word in reason for reason in answer.reasons), answer.reasons
