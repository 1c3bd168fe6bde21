"""Sun and store behind one inverter: the bus, clipping and both ways, against a formulation of its own in scipy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from districts import LOAD, as_plan, hours, problem
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import Bounds, LinearConstraint, milp

from ems.plan_check import check_plan
from optimization.assets import Battery, BatteryInputs, Hybrid, HybridInputs, LoadInputs
from optimization.holding import hold, limited
from optimization.problem import Refused
from optimization.solve import Solver

N, H = 8, 0.5
SOLVER = Solver()
STORE = Battery(
    "store", 20.0, 12.0, 10.0, charge_efficiency=0.98, discharge_efficiency=0.97, standby_kw=0.04, wear_per_kwh=0.01
)
HYBRID = Hybrid("hybrid", STORE, rated_kw=8.0, take_kw=5.0, give_efficiency=0.95, take_efficiency=0.94)
SUN = np.array([0.0, 6.0, 16.0, 22.0, 18.0, 9.0, 0.0, 0.0])
DAY = np.array([0.1, 0.3, 0.2, 0.2, 0.25, 0.4, 0.6, 0.5])
DEMAND_KW = 3.0


def now(energy_kwh=4.0, sun=SUN, end=0.05, **more):
    return HybridInputs(BatteryInputs(energy_kwh, end, **more), sun)


def asked(hybrid, inputs, price=DAY, **more):
    pairs = [(LOAD, LoadInputs(np.full(N, DEMAND_KW))), (hybrid, inputs)]
    return problem(pairs, price, step_s=3600.0 * H, **more)


def solved(hybrid, inputs, price=DAY, **more):
    question = asked(hybrid, inputs, price, **more)
    solution = SOLVER.solve(question)
    assert not isinstance(solution, Refused), solution
    assert check_plan(question, as_plan(question, solution)) == ()
    return question, solution


def reference(hybrid, inputs, price, export, limit=50.0):
    """x = import, export, from AC, to AC, sun, charge, discharge, energy; then whole: imports, takes, charges."""
    one, zero, lag = np.eye(N), np.zeros((N, N)), np.eye(N, k=-1)
    store = hybrid.battery
    first = np.eye(N)[0] * inputs.store.energy_kwh - store.standby_kw * H

    def row(**parts):
        names = ("imp", "exp", "take", "give", "sun", "c", "d", "e", "buys", "takes", "charges")
        return np.hstack([parts.get(name, zero) for name in names])

    into, out = one * store.charge_efficiency * H, one / store.discharge_efficiency * H
    rows = [
        (row(imp=one, exp=-one, take=-one, give=one), DEMAND_KW, DEMAND_KW),
        (row(sun=one, d=one, take=one * hybrid.take_efficiency, c=-one, give=-one / hybrid.give_efficiency), 0.0, 0.0),
        (row(e=one - lag, c=-into, d=out), first, first),
        (row(imp=one, buys=-limit * one), -np.inf, 0.0),
        (row(exp=one, buys=limit * one), -np.inf, limit),
        (row(take=one, takes=-hybrid.take_kw * one), -np.inf, 0.0),
        (row(give=one, takes=hybrid.rated_kw * one), -np.inf, hybrid.rated_kw),
        (row(c=one, charges=-store.charge_kw * one), -np.inf, 0.0),
        (row(d=one, charges=store.discharge_kw * one), -np.inf, store.discharge_kw),
    ]
    end = np.eye(N)[-1] * inputs.store.end_value_per_kwh
    cost = np.concatenate([price * H, -export * H, np.zeros(4 * N), np.full(N, store.wear_per_kwh * H), -end,
                           np.zeros(3 * N)])  # fmt: skip
    low, high = np.zeros(11 * N), np.concatenate([np.full(4 * N, limit), inputs.available_kw, np.full(2 * N, limit),
                                                  np.full(N, 19.0), np.ones(3 * N)])  # fmt: skip
    low[7 * N : 8 * N] = 1.0
    whole = np.repeat([0, 1], [8 * N, 3 * N])
    found = milp(
        cost, constraints=[LinearConstraint(*row) for row in rows], integrality=whole, bounds=Bounds(low, high)
    )
    assert found.status == 0
    return found.fun


prices = st.lists(st.integers(-20, 60), min_size=N, max_size=N).map(lambda v: np.array(v) / 100.0)
suns = st.lists(st.integers(0, 25), min_size=N, max_size=N).map(lambda v: np.array(v, float))


@settings(max_examples=10, deadline=None)
@given(prices, suns, st.sampled_from([1.5, 9.0, 18.9]), st.sampled_from([0.0, 5.0]))
def test_any_day_agrees_with_another_formulation(price, sun, energy_kwh, spread) -> None:
    export = price - spread / 100.0
    inputs = now(energy_kwh, sun)
    _, solution = solved(HYBRID, inputs, price, export=export)
    assert solution.objective == pytest.approx(reference(HYBRID, inputs, price, export), rel=2e-3, abs=2e-3)


DEAR_EVENING = np.where(np.arange(N) == 6, 2.0, DAY)


@pytest.mark.parametrize(
    ("wider", "hybrid", "sun", "price"),
    [
        ({"rated_kw": 12.0}, HYBRID, SUN, DAY),
        ({"take_kw": 9.0}, HYBRID, 0.0 * SUN, DAY),
        ({"give_efficiency": 1.0}, HYBRID, SUN, DAY),
        ({"take_efficiency": 1.0}, HYBRID, 0.0 * SUN, DAY),
        ({"battery": replace(STORE, charge_kw=30.0)}, HYBRID, SUN, DAY),
        ({"battery": replace(STORE, discharge_kw=14.0)}, replace(HYBRID, rated_kw=20.0), SUN, DEAR_EVENING),
    ],
    ids=["rating", "taking", "efficiency out", "efficiency in", "charging", "discharging"],
)
def test_each_limit_binds(wider, hybrid, sun, price) -> None:
    """What is wider earns more, by as much as another formulation says."""
    before = reference(hybrid, now(sun=sun), price, 0.5 * price)
    _, solution = solved(replace(hybrid, **wider), now(sun=sun), price)
    after = reference(replace(hybrid, **wider), now(sun=sun), price, 0.5 * price)
    assert solution.objective == pytest.approx(after, rel=1e-3, abs=1e-3)
    assert after < before - 1e-2


def test_the_sun_charges_past_the_rating_of_the_inverter() -> None:
    _, solution = solved(HYBRID, now(), np.full(N, 0.3))
    schedule = solution.schedules["hybrid"]
    used = schedule.states["sun_kw"]
    assert used.max() > HYBRID.rated_kw / HYBRID.give_efficiency + 5.0
    assert (schedule.power_kw >= -HYBRID.rated_kw - 1e-6).all()
    assert used[3] < SUN[3] - 0.5, "what neither fits is clipped"


energies = st.integers(-4, 48).map(lambda k: k / 2)
ROUNDED = replace(STORE, charge_taper_pct=80.0, charge_curve=((6.0, 0.98), (12.0, 0.95)), depth_wear=((100.0, 0.01),))


@settings(max_examples=12, deadline=None)
@given(
    prices, suns, energies, st.floats(-12.0, 12.0), st.sampled_from([0.3, 1.6, None]), st.sampled_from([0.0, 0.03, 2.5])
)
def test_whatever_is_measured_and_held_there_is_a_plan(price, sun, energy_kwh, kw, until_h, limit_kw) -> None:
    hybrid = HYBRID if kw < 0.0 else replace(HYBRID, battery=ROUNDED)
    inputs = now(energy_kwh, sun, reserve_kwh=np.full(N, 9.0), throughput_left_kwh=2.0)
    held = hold(hybrid, inputs, asked(hybrid, inputs).slots, kw, None if until_h is None else hours(until_h))
    limit_kw, slots = np.where(np.arange(N) < 3, limit_kw, np.inf), asked(hybrid, inputs).slots
    for band in (
        None,
        held,
        limited(hybrid, inputs, slots, limit_kw, None),
        limited(hybrid, inputs, slots, limit_kw, held),
    ):
        solved(hybrid, inputs, price, held={} if band is None else {"hybrid": band}, export=price - 0.01)


def test_it_is_held_at_what_it_is_told() -> None:
    inputs = now(15.0, np.zeros(N))
    for kw in (-3.0, 0.5):
        band = hold(HYBRID, inputs, asked(HYBRID, inputs).slots, kw, hours(2.0))
        _, solution = solved(HYBRID, inputs, held={"hybrid": band})
        np.testing.assert_allclose(solution.schedules["hybrid"].power_kw[:4], kw, atol=1e-6)


@pytest.mark.parametrize(
    ("hybrid", "word"),
    [
        (replace(HYBRID, rated_kw=0.0), "hybrid.rated_kw"),
        (replace(HYBRID, take_kw=0.0), "hybrid.take_kw"),
        (replace(HYBRID, give_efficiency=1.1), "hybrid.give_efficiency"),
        (replace(HYBRID, battery=replace(STORE, capacity_kwh=-1.0)), "store.capacity_kwh"),
        (replace(HYBRID, battery=replace(STORE, soc_min_pct=99.0)), "store: the band"),
    ],
)
def test_an_impossible_hybrid_is_refused(hybrid, word) -> None:
    answer = SOLVER.solve(asked(hybrid, now()))
    assert isinstance(answer, Refused)
    assert any(word in reason for reason in answer.reasons), answer.reasons


def test_inputs_that_make_no_sense_are_refused() -> None:
    for inputs, word in ((now(sun=-SUN), "available_kw"), (now(np.nan), "energy_kwh"),
                         (now(reserve_kwh=np.ones(3)), "reserve_kwh")):  # fmt: skip
        answer = SOLVER.solve(asked(HYBRID, inputs))
        assert isinstance(answer, Refused)
        assert any(word in reason for reason in answer.reasons)


def put(slot, value):
    def change(values):
        changed = values.copy()
        changed[slot] = value
        return changed

    return change


@pytest.mark.parametrize(
    ("where", "change", "words"),
    [
        ("power_kw", put(3, -9.0), "gives above its rating"),
        ("power_kw", put(0, 6.0), "takes above its rating"),
        ("power_kw", put(6, -2.0), "energy_kwh against"),
        ("sun_kw", put(0, 3.0), "more than the sun allows"),
        ("sun_kw", put(2, -1.0), "less than no sun"),
        ("sun_kw", put(2, 11.0), "energy_kwh against"),
        ("energy_kwh", lambda e: e * 1.02, "energy_kwh against"),
        ("sun_kw", None, "does not say what it uses of the sun"),
    ],
)
def test_a_mutant_is_caught(where, change, words) -> None:
    question, solution = solved(HYBRID, now())
    schedule = solution.schedules["hybrid"]
    states = {k: v for k, v in schedule.states.items() if change is not None or k != where}
    power_kw = change(schedule.power_kw) if where == "power_kw" else schedule.power_kw
    if where in states:
        states[where] = change(states[where])
    mutant = replace(schedule, power_kw=power_kw, states=states)
    plan = as_plan(question, solution)
    found = check_plan(question, replace(plan, schedules={**plan.schedules, "hybrid": mutant}))
    assert any(words in sentence for sentence in found), found
