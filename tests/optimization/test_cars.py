"""Cars: the least power, power given back, prices of their own and departures that are not certain."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from districts import LOAD, POINT, as_plan, hours, problem
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import Bounds, LinearConstraint, milp

from ems.plan_check import check_plan
from optimization.assets import ChargePoint, ChargePointInputs, EvSession, GivesBack, LoadInputs
from optimization.assets.asset import PowerBand
from optimization.coefficients import coefficients
from optimization.holding import hold, limited
from optimization.problem import Refused, Schedule
from optimization.solve import Solver
from optimization.structure import structure

N, H = 12, 0.25
LEAST = ChargePoint("point", 22.0, minimum_kw=4.0, keeps_minimum=True)
TWO_WAY = ChargePoint("point", 11.0, discharge_kw=10.0)
BOTH = replace(TWO_WAY, keeps_minimum=True)
BACK = GivesBack(8.0, stored_kwh=30.0, capacity_kwh=40.0, floor_kwh=25.0, efficiency=0.9, wear_per_kwh=0.03)
SOLVER = Solver()

series = st.lists(st.integers(-10, 60), min_size=N, max_size=N).map(lambda v: np.array(v) / 100.0)


def stay(begin=0, end=N, kwh=8.0, **more):
    return EvSession(hours(begin * H), hours(end * H), kwh, 11.0, **more)


def ask(point, cars, price, demand_kw=40.0, **more):
    pairs = [(LOAD, LoadInputs(np.full(N, demand_kw))), (point, ChargePointInputs(tuple(cars)))]
    more = {"limit": 100.0, "export": np.minimum(price, 0.05) - 0.5} | more
    return problem(pairs, price, **more)


def solved(asked):
    solution = SOLVER.solve(asked)
    assert not isinstance(solution, Refused), solution
    assert check_plan(asked, as_plan(asked, solution)) == ()
    return solution


def plan_of(point, cars, price, **more):
    asked = ask(point, cars, price, **more)
    return asked, as_plan(asked, solved(asked))


def reference(point, car, price, *, weight=3.0):
    """x = charged, given, shortfall, missed at each early departure, charges or not, gives or not."""
    early, begin = car.earlier, round((car.arrival - hours(0)).total_seconds() / 900.0)
    end = round((car.departure - hours(0)).total_seconds() / 900.0)
    here = ((np.arange(N) >= begin) & (np.arange(N) < end)).astype(float)
    known = car.gives_back if point.discharge_kw else None
    back = known or GivesBack(0.0, 0.0, 1.0)
    most = 11.0 * here
    gives = min(point.discharge_kw, back.discharge_kw) * here * float(back.stored_kwh >= back.floor_kwh)
    gain, drain = 0.92 * H * np.eye(N), H / back.efficiency * np.eye(N)
    past, j = np.tril(np.ones((N, N))), len(early)
    one, zero, none = np.eye(N), np.zeros((N, N)), np.zeros((N, 1 + j))
    rows = [(np.concatenate([gain.sum(0), -drain.sum(0), [1.0], np.zeros(j + 2 * N)]), car.energy_kwh, car.energy_kwh)]
    for i, (at, _) in enumerate(early):
        until = ((at - hours(0)).total_seconds() - 900.0 * np.arange(N)) / 900.0
        part, unit = np.clip(until, 0.0, 1.0), np.eye(j)[i]
        row = np.concatenate([part * gain.sum(0), -part * drain.sum(0), [0.0], unit, np.zeros(2 * N)])
        rows.append((row, car.energy_kwh, np.inf))
    least = point.minimum_kw * here * float(point.keeps_minimum)
    if known is None:
        least = np.minimum(least, car.energy_kwh / (0.92 * H))
    rows.append((np.hstack([one, zero, none, -np.diag(most), zero]), -np.inf, 0.0))
    rows.append((np.hstack([one, zero, none, -np.diag(least), zero]), 0.0, np.inf))
    rows.append((np.hstack([zero, one, none, zero, -np.diag(gives)]), -np.inf, 0.0))
    rows.append((np.hstack([zero, zero, none, one, one]), -np.inf, 1.0))
    missing_most = car.energy_kwh
    if known is not None:
        low, high = min(back.floor_kwh, back.stored_kwh), max(back.capacity_kwh, back.stored_kwh)
        rows.append(
            (
                np.hstack([past @ gain, -past @ drain, none, zero, zero]),
                low - back.stored_kwh,
                high - back.stored_kwh,
            )
        )
        missing_most += back.stored_kwh - low
    rest = 1.0 - sum(chance for _, chance in early)
    cost = np.concatenate(
        [
            price * H,
            (back.wear_per_kwh - price) * H,
            [weight * rest],
            [weight * chance for _, chance in early],
            np.zeros(2 * N),
        ]
    )
    high = np.concatenate([most, gives, [missing_most], np.full(j, np.inf), np.ones(2 * N)])
    whole = np.concatenate([np.zeros(2 * N + 1 + j), np.ones(2 * N)])
    found = milp(
        cost,
        constraints=[LinearConstraint(*row) for row in rows],
        integrality=whole,
        bounds=Bounds(0.0, high),
        options={"mip_rel_gap": 0.0},
    )
    assert found.status == 0
    return found.fun + 40.0 * H * price.sum()


cars = st.builds(
    lambda begin, length, kwh, back, early: stay(begin, begin + length, kwh, gives_back=back, earlier=early(begin)),
    st.integers(0, 4),
    st.integers(3, 8),
    st.sampled_from([0.0, 0.5, 3.0, 9.0, 30.0]),
    st.sampled_from([None, BACK, replace(BACK, stored_kwh=12.0), replace(BACK, stored_kwh=39.5, floor_kwh=38.0)]),
    st.sampled_from([
        lambda _: (),
        lambda begin: ((hours(begin * H + 0.4), 0.25), (hours(begin * H + 0.5), 0.35)),
        lambda begin: ((hours(begin * H + 0.7), 1.0),),
    ]),
)  # fmt: skip


@settings(max_examples=40)
@given(st.sampled_from([POINT, LEAST, TWO_WAY, BOTH]), cars, series)
def test_a_car_agrees_with_another_formulation(point, car, price) -> None:
    solution = solved(ask(point, [car], price))
    expected = reference(point, car, price)
    assert solution.objective == pytest.approx(expected, rel=1.2e-3, abs=3e-3)


def test_a_point_that_asks_for_nothing_new_has_the_columns_of_before() -> None:
    asked = ask(POINT, [stay(gives_back=BACK, shortfall_price=9.0)], np.full(N, 0.2))
    shape = structure(asked)
    own = {name for name in coefficients(asked, shape) if name.startswith("asset[1].")}
    assert shape.assets[1].traits == frozenset()
    assert {name.partition(".")[2] for name in own} == {
        "gain_h", "charge_cost", "wanted_kwh", "shortfall_cost", "charge_min_kw", "charge_max_kw"}  # fmt: skip


def test_a_car_pauses_rather_than_to_charge_below_its_least_power() -> None:
    price = np.where(np.arange(N) % 2 == 0, 0.1, 0.4)
    asked, plan = plan_of(LEAST, [stay(kwh=16.1)], price)
    kw = plan.schedules["point"].power_kw
    assert kw[kw > 1e-6].min() >= 4.0 - 1e-6
    assert plan.schedules["point"].slack["shortfall_kwh"].sum() == pytest.approx(0.0, abs=1e-6)
    with_less = SOLVER.solve(ask(replace(LEAST, keeps_minimum=False), [stay(kwh=16.1)], price))
    assert 0.1 < np.min(with_less.schedules["point"].power_kw[with_less.schedules["point"].power_kw > 1e-6]) < 4.0
    assert asked.assets[1].keeps_minimum


def test_a_power_between_the_bounds_needs_no_whole_number() -> None:
    solution = solved(ask(LEAST, [stay(kwh=0.92 * H * (11.0 + 6.0))], np.linspace(0.1, 0.4, N)))
    assert solution.solve["binaries"] == 0.0
    assert solution.schedules["point"].power_kw[:3].tolist() == pytest.approx([11.0, 6.0, 0.0])


def test_a_car_gives_back_while_power_is_dear_and_leaves_with_what_is_wanted() -> None:
    price = np.where(np.arange(N) == 5, 0.9, 0.1)
    _, plan = plan_of(TWO_WAY, [stay(kwh=4.0, gives_back=BACK)], price)
    schedule = plan.schedules["point"]
    assert schedule.power_kw[5] == pytest.approx(-8.0)
    assert schedule.states["delivered_kwh"][-1] == pytest.approx(4.0)
    assert schedule.slack["shortfall_kwh"].sum() == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("stored_kwh", [-3.0, 0.0, 24.9, 25.0, 40.0, 55.0])
def test_a_car_is_never_emptied_below_what_its_driver_keeps(stored_kwh) -> None:
    car = stay(kwh=2.0, gives_back=replace(BACK, stored_kwh=stored_kwh))
    _, plan = plan_of(TWO_WAY, [car], np.linspace(0.6, 0.1, N))
    stored = stored_kwh + plan.schedules["point"].states["delivered_kwh"]
    assert stored.min() >= min(25.0, stored_kwh) - 1e-6
    assert stored.max() <= max(40.0, stored_kwh) + 1e-6


def test_who_matters_more_is_served_first() -> None:
    one, two = POINT, replace(POINT, id="other")
    cars = [stay(kwh=12.0, shortfall_price=price) for price in (2.0, 5.0)]
    pairs = [(one, ChargePointInputs((cars[0],))), (two, ChargePointInputs((cars[1],)))]
    asked = problem(pairs, np.full(N, 0.2), limit=5.0)
    solution = solved(asked)
    missing = [solution.schedules[i].slack["shortfall_kwh"].sum() for i in ("point", "other")]
    assert missing == pytest.approx([24.0 - 5.0 * 3.0 * 0.92, 0.0])


def test_a_car_that_may_leave_early_is_charged_early_as_far_as_that_is_worth_it() -> None:
    price = np.where(np.arange(N) < 4, 0.5, 0.1)
    for chance, early_kwh in ((0.0, 0.0), (0.05, 0.0), (0.5, 8.0)):
        _, plan = plan_of(POINT, [stay(earlier=((hours(1), chance),))], price)
        assert plan.schedules["point"].states["delivered_kwh"][3] == pytest.approx(early_kwh, abs=1e-6)
        missing = plan.schedules["point"].slack["shortfall_kwh"]
        assert missing.sum() == pytest.approx(chance * (8.0 - early_kwh), abs=1e-6)


def test_a_point_whose_cars_may_leave_early_has_one_programme_with_and_without_such_a_car() -> None:
    """And what is planned is the same as where nobody thinks of it, as long as none does."""
    early, price = replace(POINT, leaves_early=True), np.where(np.arange(N) < 4, 0.5, 0.1)
    cars = [[], [stay()], [stay(earlier=((hours(1), 0.5),))]]
    assert len({structure(ask(early, each, price)) for each in cars}) == 1
    for each in cars[:2]:
        one, other = solved(ask(early, each, price)), solved(ask(POINT, each, price))
        assert one.objective == pytest.approx(other.objective, rel=1e-9)
        np.testing.assert_allclose(one.schedules["point"].power_kw, other.schedules["point"].power_kw, atol=1e-6)
        assert one.schedules["point"].slack["shortfall_kwh"].sum() == pytest.approx(0.0, abs=1e-6)


def test_departures_that_are_past_did_not_come_true() -> None:
    car = stay(-4, 20, earlier=((hours(-0.5), 0.5), (hours(1), 0.25), (hours(4), 0.1)))
    slots = ask(POINT, [car], np.full(N, 0.2)).slots
    assert car.chances(slots) == [(hours(1), 0.5)]
    assert stay(-4, 20, earlier=((hours(-0.5), 1.0),)).chances(slots) == []


@settings(max_examples=30)
@given(
    st.sampled_from([LEAST, TWO_WAY, BOTH]),
    st.sampled_from([None, BACK, replace(BACK, stored_kwh=26.0), replace(BACK, stored_kwh=3.0)]),
    st.sampled_from([-30.0, -6.0, -1.0, 0.0, 2.0, 6.0, 30.0]),
    st.sampled_from([0.4, 1.1, None]),
    st.sampled_from([0.3, 9.0]),
    series,
)
def test_whatever_people_hold_it_at_there_is_a_plan(point, back, kw, until_h, kwh, price) -> None:
    cars = [stay(-1, 5.5, kwh, gives_back=back), stay(5.6, 20, kwh, earlier=((hours(2), 0.5),))]
    free = ask(point, cars, price)
    inputs, limit_kw = free.inputs["point"], np.where(np.arange(N) < 6, 5.0, np.inf)
    held = hold(point, inputs, free.slots, kw, None if until_h is None else hours(until_h))
    for band in (
        held,
        limited(point, inputs, free.slots, limit_kw, None),
        limited(point, inputs, free.slots, limit_kw, held),
    ):
        solved(replace(free, held={"point": band}))


@pytest.mark.parametrize(
    ("car", "word"),
    [
        (stay(shortfall_price=-1.0), "shortfall_price"),
        (stay(gives_back=replace(BACK, efficiency=1.5)), "gives_back.efficiency"),
        (stay(gives_back=replace(BACK, stored_kwh=np.nan)), "gives_back.stored_kwh"),
        (stay(earlier=((hours(1), 0.7), (hours(2), 0.7))), "add up to 1.4"),
        (stay(earlier=((hours(9), 0.7),)), "not between its arrival"),
        (stay(earlier=tuple((hours(0.1 * k), 0.1) for k in range(1, 7))), "4 are told apart"),
        (stay(earlier=((hours(1).replace(tzinfo=None), 0.1),)), "no time zone"),
    ],
)
def test_what_cannot_be_is_refused_in_words(car, word) -> None:
    answer = SOLVER.solve(ask(TWO_WAY, [car], np.full(N, 0.2)))
    assert isinstance(answer, Refused)
    assert any(word in reason for reason in answer.reasons), answer.reasons


def mutant(point, cars, price, change, **more):
    """Change the powers of a good plan, and let the rest follow honestly."""
    asked, plan = plan_of(point, cars, price, **more)
    schedule = plan.schedules["point"]
    kw = change(schedule.power_kw.copy())
    gained = np.where(kw < 0.0, kw / BACK.efficiency, 0.92 * kw) * H if point.discharge_kw else 0.92 * kw * H
    follows = Schedule(kw, {"delivered_kwh": np.cumsum(gained)}, schedule.slack)
    total = kw + plan.schedules["load"].power_kw
    schedules = {**plan.schedules, "point": follows}
    moved = replace(plan, schedules=schedules, import_kw=np.maximum(total, 0.0), export_kw=np.maximum(-total, 0.0))
    return check_plan(asked, moved)


def put(changes):
    def change(kw):
        kw[list(changes)] = list(changes.values())
        return kw

    return change


CHEAP_EARLY = np.linspace(0.1, 0.4, N)
FULL = replace(BACK, stored_kwh=39.0)
MUTANTS = [
    ("below its least power", LEAST, stay(), put({0: 3.0, 1: 3.0}), "less than 4.000 kW"),
    ("a point that takes nothing back", POINT, stay(gives_back=BACK), put({5: -4.0}), "feeds back"),
    ("gives more than it can", TWO_WAY, stay(gives_back=BACK), put({5: -9.0}), "feeds back"),
    ("gives in a slot of a part", TWO_WAY, stay(0, 5.5, gives_back=BACK), put({5: -4.0}), "feeds back"),
    ("gives though it is below its floor", TWO_WAY, stay(gives_back=replace(BACK, stored_kwh=24.0)), put({5: -4.0}),
     "feeds back"),
    ("emptied below its floor", TWO_WAY, stay(gives_back=BACK), put(dict.fromkeys(range(4), -8.0)), "its driver keeps"),
    ("filled above its capacity", TWO_WAY, stay(gives_back=FULL), put({0: 8.0, 1: 0.0}), "above its capacity"),
    ("leaves with less", TWO_WAY, stay(gives_back=BACK), put({5: -4.0}), "not admitted"),
    ("stays on and gets nothing of its part", POINT, stay(0, 2 * N), lambda kw: 0.0 * kw, "not admitted"),
    ("may leave with less", POINT, stay(earlier=((hours(1), 0.5),)), lambda kw: np.roll(kw, 4), "not admitted"),
]  # fmt: skip


@pytest.mark.parametrize(("point", "car", "change", "words"), [m[1:] for m in MUTANTS], ids=[m[0] for m in MUTANTS])
def test_a_mutant_of_a_plan_is_caught(point, car, change, words) -> None:
    found = mutant(point, [car], CHEAP_EARLY, change)
    assert any(words in sentence for sentence in found), found


def test_a_mutant_that_delivers_without_losses_is_caught() -> None:
    asked, plan = plan_of(TWO_WAY, [stay(gives_back=BACK)], np.where(np.arange(N) == 5, 0.9, 0.1))
    schedule = plan.schedules["point"]
    lossless = replace(schedule, states={"delivered_kwh": np.cumsum(0.92 * schedule.power_kw * H)})
    found = check_plan(asked, replace(plan, schedules={**plan.schedules, "point": lossless}))
    assert any("delivered_kwh against" in sentence for sentence in found)


def test_below_its_least_power_is_no_fault_where_it_is_held_so() -> None:
    free = ask(LEAST, [stay()], CHEAP_EARLY)
    kw = np.full(N, 2.0)
    solved(replace(free, held={"point": PowerBand(kw, kw)}))


def test_a_full_car_park_is_started_from_a_plan_near_the_best() -> None:
    price = 0.25 + 0.1 * np.sin(np.arange(N))
    points = [replace(LEAST, id=f"p{i}") for i in range(6)]
    pairs = [(point, ChargePointInputs((stay(i // 2, 8 + i // 2, 4.0 + i),))) for i, point in enumerate(points)]
    asked = problem(pairs, price, limit=17.0)
    solution = solved(asked)
    relaxed = SOLVER.solve(replace(asked, assets=tuple(replace(point, keeps_minimum=False) for point in points)))
    assert solution.solve["binaries"] > 0
    assert relaxed.objective - 1e-6 <= solution.objective <= 1.01 * relaxed.objective
