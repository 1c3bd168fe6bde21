"""Standing alone for a stated time, against a programme of its own in scipy, and what no plan may say of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from districts import as_plan, problem
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.optimize import Bounds, LinearConstraint, linprog, milp

from ems.plan_check import check_plan
from optimization.assets import Battery, BatteryInputs, Genset, GensetInputs, Load, LoadInputs
from optimization.bands import Survival
from optimization.problem import Refused
from optimization.slots import chain
from optimization.solve import Solver
from optimization.structure import structure
from optimization.survival import needs
from optimization.weights import Weights

SOLVER = Solver()
N = 8
RNG = np.random.default_rng(5)
DEMAND = np.round(6.0 + 6.0 * RNG.random(N), 3)
PRICE = np.round(0.1 + 0.4 * RNG.random(N), 6)
EARLY = 1e-5 * np.arange(N)
LOAD = Load("load")
BATTERY = Battery("battery", 20.0, 10.0, 8.0, wear_per_kwh=0.02)
ENGINE = Genset("engine", 12.0, 3.0, 2.2, fuel_idle_kw=3.0, start_cost=0.4)
EASY = settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])


def alone(carried=4.0, *, members=("battery",), hold_s=3600.0, missing=2.0, factor=1.0, pickup_s=0.0, n=N):
    return Survival(members, np.broadcast_to(carried, n) * 1.0, hold_s, missing, factor, pickup_s)


def asked(survival=None, *, held=10.0, battery=BATTERY, more=(), **options):
    pairs = [(LOAD, LoadInputs(DEMAND)), (battery, BatteryInputs(held, 0.2)), *more]
    given = {"export": 0.03, "step_s": 3600.0} | options
    return problem(pairs, PRICE, weights=Weights(move=0.0), survival=survival, **given)


def solved(question):
    solution = SOLVER.solve(question)
    assert not isinstance(solution, Refused), solution
    assert check_plan(question, as_plan(question, solution)) == ()
    return solution


def by_instants(survival, slots, count=400):
    """Follow the loads second by second from many instants of every slot; the last one goes on beyond the horizon."""
    end_s = slots.offset_s + slots.duration_s
    found = []
    for s in range(len(slots)):
        worst = 0.0
        for at_s in np.linspace(slots.offset_s[s], end_s[s], count):
            later_s = at_s + (np.arange(600) + 0.5) * survival.hold_s / 600
            of = np.minimum(np.searchsorted(end_s, later_s, side="right"), len(slots) - 1)
            worst = max(worst, survival.carried_kw[of].mean() * survival.hold_s / 3600.0)
        extra = (survival.pickup_factor - 1.0) * survival.carried_kw[s] * survival.pickup_s / 3600.0
        found.append(worst + extra)
    return np.array(found)


def reference(survival, *, held=10.0):
    """Columns: charge, discharge, import, export, energy missing; power is a matter of the ratings alone."""
    slots = asked(survival).slots
    need = by_instants(survival, slots)
    zero, one, low = np.zeros((N, N)), np.eye(N), np.tril(np.ones((N, N)))
    before = np.tril(np.ones((N, N)), -1)

    def stored(cumulated):
        return np.hstack([0.96 * cumulated, -cumulated / 0.96, zero, zero, zero])

    kept = [np.hstack([-0.96 * 0.96 * each, each, zero, zero, -one]) for each in (before, low)]
    under = np.vstack([stored(low), -stored(low), *kept])
    spare = 0.96 * (held - 1.0) - need
    most = np.concatenate([np.full(N, 19.0 - held), np.full(N, held - 1.0), spare, spare])
    balance = np.hstack([one, -one, -one, one, zero])
    cost = (
        np.concatenate([EARLY, 0.02 + EARLY, PRICE, np.full(N, -0.03), np.full(N, survival.missing_per_kwh)])
        - 0.2 * stored(low)[-1]
    )
    bounds = [(0, 10)] * N + [(0, 8)] * N + [(0, 50)] * (2 * N) + [(0, None)] * N
    found = linprog(cost, under, most, balance, -DEMAND, bounds)
    assert found.status == 0
    at_once = np.maximum(survival.pickup_factor * survival.carried_kw - 8.0, 0.0)
    short = survival.missing_per_kwh * survival.hold_s / 3600.0 * at_once.sum()
    return found.fun - 0.2 * held + short, found.x[-N:]


@pytest.mark.parametrize(
    ("hold_s", "factor", "pickup_s", "missing"),
    [(3600.0, 1.0, 0.0, 2.0), (5400.0, 1.5, 600.0, 2.0), (900.0, 2.0, 900.0, 0.4), (9000.0, 1.0, 0.0, 0.05)],
)
def test_a_battery_against_an_independent_formulation(hold_s, factor, pickup_s, missing):
    carried = np.array([2.0, 5.0, 3.0, 3.0, 4.0, 1.0, 4.0, 2.5])
    survival = alone(carried, hold_s=hold_s, factor=factor, pickup_s=pickup_s, missing=missing)
    question = asked(survival)
    solution = solved(question)
    np.testing.assert_allclose(needs(survival, question.slots)[0], by_instants(survival, question.slots), atol=0.02)
    cost, missed = reference(survival)
    # The reference follows the loads by instants that lie a little beside the worst ones.
    assert solution.objective == pytest.approx(cost, abs=0.05)
    np.testing.assert_allclose(solution.survived.missing_kwh, missed, atol=0.05)
    assert solution.objective > solved(asked()).objective + 1e-3  # the case binds


def with_engine(carried, hold_h, factor, missing, *, held):
    """Columns: charge, discharge, import, export, generation, runs, starts, stored power, run, missing, short."""
    names = ("c", "d", "i", "e", "g", "u", "v", "p", "r", "m", "k")
    one, zero, low = np.eye(N), np.zeros((N, N)), np.tril(np.ones((N, N)))
    before, lag = np.tril(np.ones((N, N)), -1), np.eye(N, k=-1)

    def rows(**parts):
        return np.hstack([parts.get(name, zero) for name in names])

    need = carried * hold_h - 0.96 * (held - 1.0)
    limits = [
        (rows(c=one, d=-one, i=-one, e=one, g=-one), -DEMAND, -DEMAND),
        (rows(c=0.96 * low, d=-low / 0.96), 1.0 - held, 19.0 - held),
        (rows(g=one, u=-12.0 * one), -np.inf, 0.0),
        (rows(g=one, u=-3.0 * one), 0.0, np.inf),
        (rows(u=one - lag, v=-one), -np.inf, 0.0),
        (rows(p=one, u=12.0 * one, k=one), factor * carried, np.inf),
        (rows(r=one, u=-12.0 * one), -np.inf, 0.0),
        *((rows(c=0.96 * 0.96 * each, d=-each, r=hold_h * one, m=one), need, np.inf) for each in (before, low)),
    ]
    price = dict.fromkeys(names, np.zeros(N)) | {
        "c": EARLY - 0.2 * 0.96, "d": EARLY + 0.02 + 0.2 / 0.96, "i": PRICE, "e": np.full(N, -0.03),
        "g": np.full(N, 2.2 * 0.09), "u": np.full(N, 3.0 * 0.09), "v": np.full(N, 0.4), "m": np.full(N, missing),
        "k": np.full(N, missing * hold_h),
    }  # fmt: skip
    most = {"c": 10.0, "d": 8.0, "i": 50.0, "e": 50.0, "g": 12.0, "u": 1.0, "v": 1.0, "p": 8.0, "r": carried}
    high = np.concatenate([np.full(N, most.get(name, np.inf)) for name in names])
    found = milp(
        np.concatenate([price[name] for name in names]),
        integrality=np.repeat([name == "u" for name in names], N),
        bounds=Bounds(np.zeros(len(high)), high),
        constraints=[LinearConstraint(*row) for row in limits],
    )
    assert found.status == 0
    return found.fun - 0.2 * held


@pytest.mark.parametrize(
    ("carried", "hold_h", "factor", "missing"),
    [(6.0, 2.0, 1.0, 0.6), (4.0, 4.0, 2.5, 0.1), (10.0, 1.0, 1.2, 0.3), (7.0, 3.0, 1.0, 0.02)],
)
def test_a_battery_and_a_set_against_an_independent_formulation(carried, hold_h, factor, missing):
    engine = (ENGINE, GensetInputs(False, 86400.0, np.full(N, 0.09)))
    survival = alone(carried, members=("battery", "engine"), hold_s=3600.0 * hold_h, factor=factor, missing=missing)
    solution = solved(asked(survival, more=(engine,)))
    cost = with_engine(carried, hold_h, factor, missing, held=10.0)
    assert solution.objective == pytest.approx(cost, rel=2e-3, abs=2e-3)
    assert solution.objective > solved(asked(more=(engine,))).objective + 1e-3  # the case binds


def test_what_the_battery_cannot_give_at_once_is_told():
    survival = alone(6.0, hold_s=600.0, factor=2.0, pickup_s=60.0)
    solution = solved(asked(survival))
    np.testing.assert_allclose(solution.survived.missing_kw, 4.0, atol=1e-6)
    np.testing.assert_allclose(solution.survived.missing_kwh, 0.0, atol=1e-6)


def test_near_empty_a_battery_gives_less():
    weak = replace(BATTERY, discharge_taper_pct=50.0)
    survival = alone(7.0, hold_s=60.0, missing=200.0)
    plain, tapered = solved(asked(survival)), solved(asked(survival, battery=weak))
    needed_kwh = 7.0 / 8.0 * 10.0
    assert tapered.schedules["battery"].states["energy_kwh"].min() >= needed_kwh - 1e-6
    assert plain.schedules["battery"].states["energy_kwh"].min() < needed_kwh - 1.0


def test_a_running_set_is_a_spinning_reserve_and_a_standing_one_is_none():
    engine = (ENGINE, GensetInputs(False, 86400.0, np.full(N, 0.02)))
    dear = (ENGINE, GensetInputs(False, 86400.0, np.full(N, 3.0)))
    survival = alone(8.0, members=("battery", "engine"), hold_s=10800.0, missing=0.2)
    with_set, without = (solved(asked(survival, held=9.0, more=(each,))) for each in (engine, dear))
    assert (with_set.schedules["engine"].states["is_running"] > 0.5).all()
    assert with_set.survived.missing_kwh.max() == pytest.approx(0.0, abs=1e-6)
    assert (without.schedules["engine"].states["is_running"] < 0.5).all()
    assert without.survived.missing_kwh.min() >= 24.0 - 0.96 * 18.0 - 1e-6


def test_a_set_that_the_loads_cannot_take_counts_for_nothing():
    strong = replace(ENGINE, least_kw=9.0)
    pair = (strong, GensetInputs(True, 86400.0, np.full(N, 0.01)))
    survival = alone(8.0, members=("battery", "engine"), hold_s=7200.0, missing=20.0)
    solution = solved(asked(survival, held=9.0, more=(pair,)))
    assert solution.survived.missing_kwh.max() > 1.0


@st.composite
def lots(draw):
    n = N
    durations = draw(st.lists(st.sampled_from([300.0, 900.0, 3600.0]), min_size=n, max_size=n))
    carried = np.array(draw(st.lists(st.sampled_from([0.0, 1.0, 3.0, 7.5]), min_size=n, max_size=n)))
    hold_s = draw(st.sampled_from([60.0, 1000.0, 1800.0, 5000.0]))
    factor, part = draw(st.sampled_from([1.0, 1.4, 3.0])), draw(st.sampled_from([0.0, 0.5, 1.0]))
    return durations, alone(
        carried, hold_s=hold_s, factor=factor, pickup_s=part * hold_s, missing=draw(st.sampled_from([0.0, 0.3, 9.0]))
    )


@EASY
@given(lots(), st.sampled_from([0.5, 6.0, 19.0]), st.booleans())
def test_any_loads_have_a_plan_that_survives_or_says_what_is_missing(lot, held, tapers):
    durations, survival = lot
    battery = replace(BATTERY, discharge_taper_pct=30.0) if tapers else BATTERY
    engine = (ENGINE, GensetInputs(False, 86400.0, np.full(N, 0.09)))
    survival = replace(survival, members=("battery", "engine"))
    solved(asked(survival, held=held, battery=battery, more=(engine,), durations=np.array(durations)))
    slots = chain(asked().slots.start, durations)
    np.testing.assert_array_less(by_instants(survival, slots, 40) - 0.05, needs(survival, slots)[0] + 1e-9)


def test_a_plan_that_hides_something_is_found_out():
    question = asked(alone(5.0, hold_s=9000.0))
    plan = as_plan(question, solved(question))
    kept = plan.survived
    wrong = {
        "says nothing of standing alone": None,
        "energy that is neither kept nor admitted": replace(kept, missing_kwh=np.maximum(kept.missing_kwh - 0.1, 0.0)),
        "misses less than nothing": replace(kept, missing_kw=kept.missing_kw - 1.0),
        "finite numbers": replace(kept, missing_kwh=kept.missing_kwh * np.nan),
    }
    assert kept.missing_kwh.max() > 0.2
    for words, each in wrong.items():
        assert words in "; ".join(check_plan(question, replace(plan, survived=each)))
    assert "speaks of standing alone" in "; ".join(check_plan(replace(question, survival=None), plan))
    weak = asked(alone(6.0, hold_s=600.0, factor=2.0, pickup_s=60.0))
    told = as_plan(weak, solved(weak))
    hidden = replace(told, survived=replace(told.survived, missing_kw=np.zeros(N)))
    assert "power that is neither there nor admitted" in "; ".join(check_plan(weak, hidden))


def test_numbers_that_do_not_fit_are_named():
    good = alone()
    wrong = {
        "members: 'load' is no battery": replace(good, members=("battery", "load")),
        "names an asset twice": replace(good, members=("battery", "battery")),
        "holds no battery": replace(good, members=()),
        "hold_s: 0.0 is not greater": replace(good, hold_s=0.0),
        "pickup_factor: 0.5 is less": replace(good, pickup_factor=0.5),
        "pickup_s: 7200.0 is greater": replace(good, pickup_s=7200.0),
        "carried_kw[0]: -1.0": replace(good, carried_kw=np.full(N, -1.0)),
        "missing_per_kwh: -1.0": replace(good, missing_per_kwh=-1.0),
    }
    for words, each in wrong.items():
        refused = SOLVER.solve(asked(each))
        assert isinstance(refused, Refused)
        assert words in "; ".join(refused.reasons)


def test_nothing_is_asked_of_a_question_without_it():
    assert structure(asked()).survival is None
    assert structure(asked(alone())) != structure(asked())


def test_what_rests_on_a_set_is_told_and_a_plan_that_hides_it_is_found_out():
    engine = (ENGINE, GensetInputs(False, 86400.0, np.full(N, 0.09)))
    survival = alone(6.0, members=("battery", "engine"), hold_s=7200.0, factor=2.0, pickup_s=60.0, missing=9.0)
    question = asked(survival, more=(engine,))
    plan = as_plan(question, solved(question))
    told = plan.survived.spinning
    np.testing.assert_allclose(told.by_set_kw["engine"], 12.0)  # it runs all the time: the battery has 8 kW, not 12
    np.testing.assert_allclose(told.rests_kw, 4.0, atol=1e-6)
    assert (plan.schedules["engine"].states["is_running"] > 0.5).all()
    stored = np.concatenate([[10.0], plan.schedules["battery"].states["energy_kwh"]])
    spare = 0.96 * (np.minimum(stored[:-1], stored[1:]) - 1.0)
    np.testing.assert_allclose(told.rests_kwh, np.maximum(12.1 - spare, 0.0), atol=1e-3)
    wrong = {
        "does not speak of the sets ['engine']": None,
        "power that rests on sets and is not told": replace(told, rests_kw=told.rests_kw * 0.5),
        "more rests on sets than they can give": replace(told, rests_kw=told.rests_kw + 20.0),
        "energy that rests on sets and is not told": replace(told, rests_kwh=told.rests_kwh - 1.0),
        "engine is not ready with what the plan says": replace(told, by_set_kw={"engine": np.full(N, 15.0)}),
        "finite numbers": replace(told, rests_kw=told.rests_kw * np.nan),
    }
    for words, each in wrong.items():
        lie = replace(plan, survived=replace(plan.survived, spinning=each))
        assert words in "; ".join(check_plan(question, lie)), words


def test_without_a_set_nothing_rests_on_one():
    assert solved(asked(alone(5.0))).survived.spinning is None


@pytest.mark.parametrize(("name", "unit"), [("island_kw", "kw"), ("island_kwh", "kwh")])
def test_what_stands_ready_for_an_island_is_worth_what_it_costs(name, unit):
    """A kWh more of need, by a longer pickup, and a kW more of power, by a higher one, cost what the price says."""
    weak = replace(BATTERY, discharge_taper_pct=50.0)
    base = alone(7.0, hold_s=60.0, missing=200.0) if unit == "kw" else alone(5.0, hold_s=9000.0, missing=2.0)
    solver, step = Solver(priced=True), 1e-3

    def at(more):
        factor = 1.0 + more / base.carried_kw[0]
        pickup_s = 0.0 if unit == "kw" else 3600.0
        return solver.solve(asked(replace(base, pickup_factor=factor, pickup_s=pickup_s), battery=weak))

    prices = {limit.name: limit.worth for limit in at(2 * step).prices.limits}
    slope = (at(3 * step).objective - at(step).objective) / (2 * step)
    assert slope > 1e-3
    assert prices[name].sum() + (prices.get("island_kw", np.zeros(1)).sum() if unit == "kwh" else 0.0) == pytest.approx(
        slope, rel=0.02
    )
