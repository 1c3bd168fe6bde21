"""What is charged over a month or a week: against formulations written from scratch, the meter, and the calendar."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from districts import BATTERY, LOAD, START, as_plan, districts, money, problem
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from ems.plan_check import check_plan
from optimization.assets import (
    BatteryInputs,
    Boiler,
    BoilerInputs,
    ElectricBoiler,
    ElectricBoilerInputs,
    Genset,
    GensetInputs,
    HeatLoad,
    HeatLoadInputs,
    LoadInputs,
)
from optimization.periods import (
    month_of_slots,
    month_start,
    months_within,
    reach,
    shares,
    week_shares,
    week_start,
    weeks_within,
)
from optimization.problem import CarbonBudget, DemandTerms
from optimization.slots import chain, uniform
from optimization.solve import Solver
from optimization.structure import structure
from optimization.tariff import Tariff, interval_means_kw
from optimization.weights import Weights

BERLIN = ZoneInfo("Europe/Berlin")
SOLVER = Solver()
NO_TIES = Weights(move=0.0)
FEW = settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])


def metered(asked, solution):
    """What the utility reads: the mean of each metering interval, with what it held before [kW]."""
    slots, demand = asked.slots, asked.demand
    begun = datetime.fromtimestamp(slots.start.timestamp() // demand.interval_s * demand.interval_s, UTC)
    times = [*slots.starts, slots.end]
    energy = solution.import_kw * slots.duration_h
    if begun < slots.start:
        times, energy = [begun, *times], np.concatenate([[demand.begun_kwh], energy])
    means = interval_means_kw(times, energy, demand.interval_s)
    if begun == slots.start:
        means[0] += demand.begun_kwh / (demand.interval_s / 3600.0)
    outlasts = len(means) > 1 and slots.end.timestamp() % demand.interval_s > 0
    return means[: len(means) - outlasts]


@pytest.mark.parametrize("interval_s", [900.0, 1800.0])
@pytest.mark.parametrize("late_s", [0, 300, 660])
def test_demand_against_an_independent_formulation(interval_s, late_s):
    rng = np.random.default_rng(late_s + int(interval_s))
    start = START + timedelta(seconds=late_s)
    first_s = 900 - late_s if late_s != 660 else 1140
    durations = np.array([first_s] + [900] * 7 + [900 if late_s == 660 else 1800] + [3600] * 3, float)
    n, h = len(durations), durations / 3600.0
    demand_kw, price = 8.0 + 10.0 * rng.random(n), np.round(0.1 + 0.3 * rng.random(n), 6)
    begun = 0.8 if late_s else 0.0
    # The second month begins with the last three slots.
    terms = DemandTerms(4.0, interval_s, (np.arange(n) >= n - 3).astype(int), np.array([5.0, 2.0]), begun)
    asked = problem(
        [(LOAD, LoadInputs(demand_kw)), (BATTERY, BatteryInputs(10.0, 0.2))],
        price, durations=durations, start=start, weights=NO_TIES, export=0.01, demand=terms,
    )  # fmt: skip
    solution = SOLVER.solve(asked)
    # x = charge, discharge, import, export, two peaks; a matrix of what each slot gives to each interval.
    ends = late_s + np.cumsum(durations)
    starts = ends - durations
    borders = np.arange(np.floor(late_s / interval_s), np.ceil(ends[-1] / interval_s)) * interval_s
    part = np.clip(np.minimum(ends, borders[:, None] + interval_s) - np.maximum(starts, borders[:, None]), 0, None)
    part /= interval_s
    month = (borders >= starts[n - 3] - 1e-6).astype(int)
    zero, one = np.zeros((n, n)), np.eye(n)
    cumulated = np.tril(np.tile(h, (n, 1)))
    stored = np.hstack([0.96 * cumulated, -cumulated / 0.96, zero, zero, np.zeros((n, 2))])
    held = 10.0 - 0.05 * np.cumsum(h)
    peaks = np.hstack([np.zeros((len(part), 2 * n)), part, np.zeros((len(part), n)), -np.eye(2)[month]])
    running = np.zeros(len(part))
    running[0] = begun / (interval_s / 3600)
    early = 1e-5 * (starts - late_s) / 3600 * h
    cost = np.concatenate([early, 0.02 * h + early, price * h, -0.01 * h, [4.0, 4.0]]) - 0.2 * stored[-1]
    reference = linprog(
        cost,
        A_ub=np.vstack([stored, -stored, peaks]),
        b_ub=np.concatenate([19.0 - held, held - 1.0, -running]),
        A_eq=np.hstack([one, -one, -one, one, np.zeros((n, 2))]),
        b_eq=-demand_kw,
        bounds=[(0, 10)] * n + [(0, 8)] * n + [(0, 50)] * (2 * n) + [(5.0, None), (2.0, None)],
    )
    assert reference.status == 0
    fun = reference.fun - 4.0 * 7.0 - 0.2 * held[-1]
    assert solution.objective == pytest.approx(fun, abs=1e-5)
    np.testing.assert_allclose(solution.peak_kw, reference.x[-2:], atol=1e-5)
    assert solution.peak_kw[0] > 5.5  # the case binds: the peak is above what is free, and below that of the load
    assert solution.peak_kw[0] < metered(asked, replace(solution, import_kw=demand_kw)).max()


@FEW
@given(districts())
def test_no_metering_interval_passes_the_promised_peak_nor_hidden_carbon_the_budget(asked):
    solution = SOLVER.solve(asked)
    assert check_plan(asked, as_plan(asked, solution)) == ()
    if asked.demand is not None:
        highest = metered(asked, solution)
        assert highest.max() <= solution.peak_kw.max() + 1e-5
        if asked.demand.price_per_kw:
            tight = np.maximum(asked.demand.free_kw, [highest.max()] * 2)
            assert (solution.peak_kw <= tight + 1e-5).all()
    if asked.carbon_budget is not None:
        kg = asked.carbon_budget.share @ (solution.import_kw * asked.tariff.carbon_kg_per_kwh * asked.slots.duration_h)
        assert (kg <= asked.carbon_budget.left_kg + solution.carbon_excess_kg + 1e-6).all()


@FEW
@given(
    st.lists(st.sampled_from([300.0, 600.0, 900.0, 1140.0, 2700.0, 3600.0]), min_size=1, max_size=10),
    st.integers(0, 29),
    st.sampled_from([900.0, 1800.0]),
)
def test_the_rows_look_at_every_interval_once_or_at_a_slot_that_holds_it(durations, minute, interval_s):
    slots = chain(START + timedelta(minutes=minute), [durations[0], *(max(900.0, d) for d in durations[1:])])
    pairs = reach(slots, interval_s)
    share, counts = shares(slots, interval_s, pairs)
    energy = np.random.default_rng(minute).random(len(slots)) * slots.duration_h
    rows = np.zeros(2 * len(slots))
    for (row, slot), part in zip(pairs, share, strict=True):
        rows[row] += part * energy[slot] / slots.duration_h[slot]
    means = interval_means_kw([*slots.starts, slots.end], energy, interval_s)
    # An interval that begins in the last slot and outlasts the horizon is the next plan's.
    outlasts = len(means) > 1 and slots.end.timestamp() % interval_s > 0
    assert rows[counts].max() >= means[: len(means) - outlasts].max() - 1e-9
    known = np.concatenate([means, energy / slots.duration_h])
    assert all(np.abs(known - row).min() < 1e-9 for row in rows[counts])
    assert (rows[~counts] == 0.0).all()


def test_a_budget_moves_import_to_cleaner_hours_up_to_its_price():
    n, dirty = 8, np.array([0.8] * 4 + [0.2] * 4)
    pairs = [(LOAD, LoadInputs(np.full(n, 4.0))), (BATTERY, BatteryInputs(10.0, 0.3))]
    base = problem(pairs, np.full(n, 0.3), step_s=3600.0, export=0.0)
    base = replace(base, tariff=replace(base.tariff, carbon_kg_per_kwh=dirty))
    week = np.stack([np.ones(n), np.zeros(n)])

    def emitted(left_kg, price):
        asked = replace(base, carbon_budget=CarbonBudget(week, np.array([left_kg, 0.0]), price))
        solution = SOLVER.solve(asked)
        return float(solution.import_kw @ dirty), float(solution.carbon_excess_kg[0]), solution, asked

    free, none, *_ = emitted(1000.0, 5.0)
    kept, excess, solution, asked = emitted(free - 3.0, 5.0)
    assert none == 0.0
    assert kept == pytest.approx(free - 3.0)
    assert excess == pytest.approx(0.0, abs=1e-9)
    assert solution.objective == pytest.approx(money(asked, solution), abs=1e-3)
    lax, paid, *_ = emitted(free - 3.0, 1e-4)
    assert lax == pytest.approx(free)
    assert paid == pytest.approx(3.0)
    least, beyond, *_ = emitted(0.0, 5.0)
    assert least == pytest.approx(beyond)
    assert least < kept


@pytest.mark.parametrize("first", [300.0, 1140.0])
def test_an_interval_over_the_end_of_a_month_counts_to_the_first_slot_that_begins_in_it(first):
    terms = DemandTerms(9.0, 900.0, np.array([0, 1, 1]), np.zeros(2))
    asked = problem(
        [(LOAD, LoadInputs(np.array([2.0, 9.0, 4.0])))], np.full(3, 0.3), durations=[first, 900.0, 900.0], demand=terms
    )
    solution = SOLVER.solve(asked)
    assert check_plan(asked, as_plan(asked, solution)) == ()
    # The first 900 s hold 300 s of the first slot and 600 s of the second, or nothing but the first.
    assert solution.peak_kw[0] == pytest.approx((2.0 + 2 * 9.0) / 3 if first == 300.0 else 2.0)
    wrong = replace(as_plan(asked, solution), demand_target_kw=float(solution.peak_kw[0]) - 0.1)
    assert "above the promised peak" in check_plan(asked, wrong)[0]


@FEW
@given(districts(negative_prices=False))
def test_the_same_question_again_moves_nothing(asked):
    first = SOLVER.solve(asked)
    again = SOLVER.solve(replace(asked, previous=as_plan(asked, first)))
    for name, schedule in first.schedules.items():
        np.testing.assert_allclose(again.schedules[name].power_kw, schedule.power_kw, atol=1e-4, err_msg=name)


def test_a_plan_that_hides_a_peak_or_carbon_is_found_out():
    terms = DemandTerms(9.0, 900.0, np.zeros(4, int), np.array([3.0, 0.0]))
    budget = CarbonBudget(np.stack([np.ones(4), np.zeros(4)]), np.array([1.0, 0.0]), 0.1)
    asked = problem([(LOAD, LoadInputs(np.array([5.0, 7.0, 6.0, 4.0])))], np.full(4, 0.3), demand=terms)
    asked = replace(asked, carbon_budget=budget, tariff=replace(asked.tariff, carbon_kg_per_kwh=np.full(4, 0.4)))
    plan = as_plan(asked, SOLVER.solve(asked))
    assert check_plan(asked, plan) == ()
    assert plan.demand_target_kw == pytest.approx(7.0)
    assert plan.carbon_excess_kg == pytest.approx([1.2, 0.0])
    for mutant, words in (
        (replace(plan, demand_target_kw=6.9), "above the promised peak: 0.1 kW in slot 1"),
        (replace(plan, demand_target_kw=None), "a number was asked for"),
        (replace(plan, demand_target_kw=2.0), "below the free one"),
        (replace(plan, carbon_excess_kg=np.array([1.1, 0.0])), "not admitted: 0.1 kg"),
        (replace(plan, carbon_excess_kg=None), "numbers were asked for"),
    ):
        assert words in "; ".join(check_plan(asked, mutant))
    assert "nobody asked" in check_plan(replace(asked, demand=None), plan)[0]


def test_wrong_terms_are_refused_with_all_reasons():
    terms = DemandTerms(-1.0, 0.0, np.array([0, 5]), np.array([-3.0]), np.nan)
    budget = CarbonBudget(np.ones((1, 3)), np.array([np.inf]), -0.1)
    asked = problem([(LOAD, LoadInputs(np.ones(2)))], np.ones(2), demand=terms, carbon_budget=budget)
    reasons = " | ".join(SOLVER.solve(asked).reasons)
    for key in (
        "price_per_kw",
        "interval_s",
        "begun_kwh",
        "free_kw",
        "demand.month",
        "left_kg",
        "price_per_kg",
        "share",
    ):
        assert key in reasons


def test_the_local_calendar_over_a_change_of_clocks():
    assert month_start(datetime(2025, 3, 31, 21, 59, tzinfo=UTC), BERLIN) == datetime(2025, 2, 28, 23, tzinfo=UTC)
    assert month_start(datetime(2025, 3, 31, 22, 0, tzinfo=UTC), BERLIN) == datetime(2025, 3, 31, 22, tzinfo=UTC)
    assert month_start(datetime(2025, 12, 5, tzinfo=UTC), BERLIN, 1) == datetime(2025, 12, 31, 23, tzinfo=UTC)
    sunday = datetime(2025, 3, 30, 12, tzinfo=UTC)
    assert week_start(sunday, BERLIN) == datetime(2025, 3, 23, 23, tzinfo=UTC)
    assert week_start(sunday, BERLIN, 1) == datetime(2025, 3, 30, 22, tzinfo=UTC)
    slots = uniform(datetime(2025, 3, 30, 20, 30, tzinfo=UTC), 3, 3600.0)
    np.testing.assert_allclose(week_shares(slots, BERLIN, 2), [[1, 0.5, 0], [0, 0.5, 1]])
    month_end = uniform(datetime(2025, 3, 31, 20, 30, tzinfo=UTC), 3, 3600.0)
    assert month_of_slots(month_end, BERLIN, 2).tolist() == [0, 0, 1]


@given(st.integers(0, 2 * 8760), st.integers(1, 45 * 24))
def test_there_is_room_for_every_month_and_week_that_a_horizon_touches(late_h, hours):
    slots = uniform(datetime(2024, 1, 1, tzinfo=UTC) + timedelta(hours=late_h), hours, 3600.0)
    horizon_s = hours * 3600.0
    assert month_of_slots(slots, BERLIN, 99).max() < months_within(horizon_s)
    np.testing.assert_allclose(week_shares(slots, BERLIN, weeks_within(horizon_s)).sum(axis=0), 1.0)
    assert Tariff().demand is None


@pytest.mark.parametrize("interval_s", [900.0, 1800.0])
def test_the_structure_is_the_same_wherever_in_an_interval_the_horizon_begins(interval_s):
    from ems.config.site import Planning
    from ems.slow.question import plan_slots

    planning, found = Planning(horizon_h=8.0, coarse_after_h=3.0), set()
    for minutes in range(0, 130, 7):
        slots = plan_slots(START + timedelta(minutes=minutes), planning)
        n = len(slots)
        terms = DemandTerms(9.0, interval_s, np.zeros(n, int), np.zeros(2))
        asked = problem([(LOAD, LoadInputs(np.ones(n)))], np.ones(n), demand=terms)
        found.add(structure(replace(asked, slots=slots)))
    assert len(found) == 1


def test_what_is_burnt_counts_for_the_budget_too():
    """A set and a boiler against scipy: both are cheaper than the grid, and dirtier."""
    n, fuel_kg, left_kg = 6, 0.3, 20.0
    load_kw, heat_kw, per_kw = np.array([4.0, 6.0, 9.0, 3.0, 7.0, 5.0]), np.array([2.0, 8.0, 3.0, 6.0, 4.0, 7.0]), 2.5
    pairs = [
        (LOAD, LoadInputs(load_kw)),
        (Genset("set", 20.0, 0.0, per_kw), GensetInputs(True, 9e3, np.full(n, 0.08), fuel_kg)),
        (HeatLoad("houses", "cellar"), HeatLoadInputs(heat_kw)),
        (Boiler("burner", "cellar", 30.0, 0.8), BoilerInputs(True, 9e3, np.full(n, 0.08), fuel_kg)),
        (ElectricBoiler("rod", "cellar", 30.0, 1.0), ElectricBoilerInputs(True, 9e3)),
    ]
    base = problem(pairs, np.full(n, 0.3), limit=60.0, step_s=3600.0, export=0.0)
    base = replace(base, tariff=replace(base.tariff, carbon_kg_per_kwh=np.full(n, 0.2)))
    budget = CarbonBudget(np.stack([np.ones(n), np.zeros(n)]), np.array([left_kg, 0.0]), 0.4)
    asked = replace(base, carbon_budget=budget)
    solution = SOLVER.solve(asked)
    assert check_plan(asked, as_plan(asked, solution)) == ()
    # x = import, generated, fuel of the boiler, power of the rod, excess
    one, none = np.eye(n), np.zeros((n, n))
    found = linprog(
        np.concatenate([np.full(n, 0.3), np.full(n, 0.08 * per_kw), np.full(n, 0.08), np.zeros(n), [0.4]]),
        A_ub=np.concatenate([np.full(n, 0.2), np.full(n, fuel_kg * per_kw), np.full(n, fuel_kg), np.zeros(n), [-1.0]])[
            None
        ],
        b_ub=[left_kg],
        A_eq=np.block([[one, one, none, -one, np.zeros((n, 1))], [none, none, 0.8 * one, one, np.zeros((n, 1))]]),
        b_eq=np.concatenate([load_kw, heat_kw]),
        bounds=[(0.0, 60.0)] * n + [(0.0, 20.0)] * n + [(0.0, 30.0)] * 2 * n + [(0.0, None)],
    )
    assert float(solution.carbon_excess_kg[0]) == pytest.approx(found.x[-1], abs=1e-4)
    fuel_kwh = solution.schedules["burner"].states["fuel_kw"].sum() - per_kw * solution.schedules["set"].power_kw.sum()
    assert fuel_kwh == pytest.approx(found.x[2 * n : 3 * n].sum() + per_kw * found.x[n : 2 * n].sum(), abs=1e-3)
    assert fuel_kwh < per_kw * load_kw.sum() + heat_kw.sum() / 0.8 - 1.0, "without the budget all is burnt"
    hidden = replace(as_plan(asked, solution), carbon_excess_kg=solution.carbon_excess_kg - [0.1, 0.0])
    assert "not admitted: 0.1 kg" in "; ".join(check_plan(asked, hidden))
