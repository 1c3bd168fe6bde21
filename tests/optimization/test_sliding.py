"""Demand charges whose intervals slide: against a programme with all their rows, the meter and a bill by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from districts import BATTERY, LOAD, START, as_plan, problem
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from ems.plan_check import check_plan
from optimization.assets import BatteryInputs, LoadInputs
from optimization.bill import bill
from optimization.calendar_windows import CalendarWindow
from optimization.invoice import invoice
from optimization.problem import DemandTerms, Refused, SlidingDemand
from optimization.sliding import running_starts_s
from optimization.solve import Solver
from optimization.structure import structure
from optimization.tariff import DemandCharge, Tariff, interval_means_kw, sliding_means_kw
from optimization.tariff_file import TariffError, load_tariff
from optimization.weights import Weights

SOLVER = Solver()
RNG = np.random.default_rng(3)
BERLIN = ZoneInfo("Europe/Berlin")


def asked(durations, demand_kw, price, terms, *, start=START, held=10.0, **more):
    return problem(
        [(LOAD, LoadInputs(demand_kw)), (BATTERY, BatteryInputs(held, 0.2))],
        price, durations=np.asarray(durations, float), start=start, weights=Weights(move=0.0), export=0.01,
        **more | terms,
    )  # fmt: skip


def begins(start_s, end_s, demand):
    """Every interval that runs or begins within a horizon and does not outlast it, in turn by its begin."""
    every, long = demand.every_s, demand.interval_s
    first = np.ceil(start_s / every - 1e-9) * every
    before = first - every * np.arange(1, len(demand.begun_kwh) + 1)
    running = [(t, k) for k, t in enumerate(before) if t + long > start_s]
    later = np.arange(first, end_s - long + 1e-6, every)
    return running, later


@pytest.mark.parametrize("every_s", [60.0, 300.0])
@pytest.mark.parametrize("interval_s", [900.0, 1800.0])
@pytest.mark.parametrize("late_s", [0, 120, 660])
@pytest.mark.parametrize("as_charge", [False, True])
def test_against_a_programme_with_a_row_for_every_interval(every_s, interval_s, late_s, as_charge):
    start = START + timedelta(seconds=late_s)
    first_s = 900 - late_s if late_s != 660 else 1140
    durations = np.array([first_s] + [900] * 9 + [900 if late_s == 660 else 1800] + [3600] * 2, float)
    n, h = len(durations), durations / 3600.0
    demand_kw, price = 8.0 + 10.0 * RNG.random(n), np.round(0.1 + 0.3 * RNG.random(n), 6)
    month = np.where(np.arange(n) == 5, -1, (np.arange(n) >= n - 3).astype(int))
    count = round(interval_s / every_s)
    begun = np.linspace(0.0, 18.0 * interval_s / 3600.0, count + 1)[:-1]
    terms = SlidingDemand(4.0, interval_s, every_s, month, np.array([5.0, 2.0]), begun, np.zeros(count, int))
    question = asked(
        durations, demand_kw, price, {"charges": (terms,)} if as_charge else {"demand": terms}, start=start
    )
    if not as_charge:
        # The running month has no gaps where the charge is the connection's own.
        terms = replace(terms, month=np.maximum(month, 0))
        question = replace(question, demand=terms)
    solution = SOLVER.solve(question)
    assert not isinstance(solution, Refused), solution
    plan = as_plan(question, solution)
    if not as_charge:
        plan = replace(plan, demand_target_kw=float(solution.peak_kw[0]))
    assert check_plan(question, plan) == ()

    ends = start.timestamp() + np.cumsum(durations)
    starts = ends - durations
    running, later = begins(starts[0], ends[-1], terms)
    at = np.array([t for t, _ in running] + list(later))
    part = np.clip(np.minimum(ends, at[:, None] + interval_s) - np.maximum(starts, at[:, None]), 0, None) / interval_s
    slot = np.searchsorted(starts, np.array(list(later)) + 1e-6, side="right") - 1
    of = np.concatenate([[0] * len(running), terms.month[slot]]).astype(int)
    before = np.array([begun[k] * 3600.0 / interval_s for _, k in running] + [0.0] * len(later))
    seen = of >= 0
    part, of, before = part[seen], of[seen], before[seen]
    zero, one = np.zeros((n, n)), np.eye(n)
    cumulated = np.tril(np.tile(h, (n, 1)))
    stored = np.hstack([0.96 * cumulated, -cumulated / 0.96, zero, zero, np.zeros((n, 2))])
    held = 10.0 - 0.05 * np.cumsum(h)
    peaks = np.hstack([np.zeros((len(part), 2 * n)), part, np.zeros((len(part), n)), -np.eye(2)[of]])
    early = 1e-5 * (starts - starts[0]) / 3600 * h
    cost = np.concatenate([early, 0.02 * h + early, price * h, -0.01 * h, [4.0, 4.0]]) - 0.2 * stored[-1]
    reference = linprog(
        cost,
        A_ub=np.vstack([stored, -stored, peaks]),
        b_ub=np.concatenate([19.0 - held, held - 1.0, -before]),
        A_eq=np.hstack([one, -one, -one, one, np.zeros((n, 2))]),
        b_eq=-demand_kw,
        bounds=[(0, 10)] * n + [(0, 8)] * n + [(0, 50)] * (2 * n) + [(5.0, None), (2.0, None)],
    )
    assert reference.status == 0
    assert solution.objective == pytest.approx(reference.fun - 4.0 * 7.0 - 0.2 * held[-1], abs=1e-5)
    peak = solution.charged[0] if as_charge else solution.peak_kw
    np.testing.assert_allclose(peak, reference.x[-2:], atol=1e-5)


def test_a_peak_between_two_fixed_intervals_is_seen_by_the_sliding_ones_alone():
    """Two quarters of different half-hours draw much: fixed half-hours see the mean of each with a calm one."""
    n, month, free = 8, np.zeros(8, int), np.zeros(1)
    demand_kw = np.where((np.arange(n) == 3) | (np.arange(n) == 4), 20.0, 4.0)
    fixed = asked([900.0] * n, demand_kw, np.full(n, 0.2), {"demand": DemandTerms(9.0, 1800.0, month, free)}, held=1.0)
    terms = SlidingDemand(9.0, 1800.0, 900.0, month, free, np.zeros(2), np.zeros(2, int))
    sliding = replace(fixed, demand=terms)
    plain, seen = (SOLVER.solve(each) for each in (fixed, sliding))
    assert seen.peak_kw[0] > plain.peak_kw[0] + 0.5
    both = seen.import_kw[3:5].mean()
    assert both <= seen.peak_kw[0] + 1e-6
    assert plain.import_kw[3:5].mean() > seen.peak_kw[0] + 0.5


def test_the_shape_of_a_model_does_not_depend_on_the_phase():
    """Wherever in an interval the horizon begins, rows and columns are the same ones."""
    found = set()
    for late_s in (0, 60, 240, 300, 540):
        n, month = 12, np.zeros(12, int)
        terms = SlidingDemand(9.0, 1800.0, 60.0, month, np.zeros(1), np.zeros(30), np.zeros(30, int))
        durations = [900.0 - late_s] + [900.0] * 7 + [3600.0] * 4
        start = START + timedelta(seconds=late_s)
        question = asked(durations, np.full(n, 9.0), np.full(n, 0.2), {"demand": terms}, start=start)
        found.add(structure(question))
    assert len(found) == 1


def test_a_plan_that_hides_a_peak_is_found_out():
    n, month = 8, np.zeros(8, int)
    terms = SlidingDemand(9.0, 900.0, 60.0, month, np.array([5.0]), np.full(15, 0.5), np.zeros(15, int))
    question = asked([900.0] * n, np.full(n, 14.0), np.full(n, 0.2), {"charges": (terms,)})
    plan = as_plan(question, SOLVER.solve(question))
    for off, said in ((-0.1, "a sliding interval above"), (-30.0, "below the free one"), (np.nan, "finite numbers")):
        wrong = replace(plan, charged=(plan.charged[0] + off,))
        assert said in "; ".join(check_plan(question, wrong))
    own = replace(question, charges=(), demand=terms)
    told = replace(as_plan(own, SOLVER.solve(own)), demand_target_kw=6.0)
    assert "the promised peak: a sliding interval above" in "; ".join(check_plan(own, told))


def test_numbers_that_do_not_fit_are_named():
    n, zero = 4, np.zeros(4, int)
    terms = SlidingDemand(9.0, 900.0, 300.0, zero, np.zeros(1), np.zeros(3), np.zeros(3, int))
    wrong = {
        "every_s: 400 does not divide": replace(terms, every_s=400.0),
        "every_s: 0.0 is not greater": replace(terms, every_s=0.0),
        "begun_kwh: shape (2,)": replace(terms, begun_kwh=np.zeros(2)),
        "begun_kwh[1]: -1.0": replace(terms, begun_kwh=np.array([0.0, -1.0, 0.0])),
        "month: must name one of 1": replace(terms, month=zero + 1),
        "begun_month: must name": replace(terms, begun_month=np.full(3, -2)),
        "price_per_kw: -1.0": replace(terms, price_per_kw=-1.0),
    }
    for words, each in wrong.items():
        for key in ({"demand": each}, {"charges": (each,)}):
            refused = SOLVER.solve(asked([900.0] * n, np.full(n, 9.0), np.full(n, 0.2), key))
            assert isinstance(refused, Refused)
            assert words in "; ".join(refused.reasons)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(0.0, 2.0), min_size=40, max_size=90), st.sampled_from([60, 180, 300]), st.integers(0, 20))
def test_the_sliding_peak_is_never_below_the_fixed_one_and_both_agree_on_one_begin(kwh, every_s, late):
    start = START + timedelta(minutes=late)
    times = [start + timedelta(minutes=k) for k in range(len(kwh) + 1)]
    starts_s, means_kw = sliding_means_kw(times, np.array(kwh), 900.0, every_s)
    fixed_kw = interval_means_kw(times, np.array(kwh), 900.0)[(1 if late % 15 else 0) :]
    assert means_kw.max(initial=0.0) >= fixed_kw.max(initial=0.0) - 1e-9
    on_quarters = starts_s % 900.0 == 0.0
    np.testing.assert_allclose(means_kw[on_quarters], fixed_kw, atol=1e-9)
    running = running_starts_s(start.timestamp(), 900.0, every_s)
    assert (running < start.timestamp()).all()
    assert running[-1] + 900.0 >= start.timestamp()


def test_the_bill_and_the_invoice_by_hand():
    """5.75 kWh in the ten minutes about half past nine: 24 kW in a sliding quarter, half of it in each fixed one."""
    times = [datetime(2026, 1, 14, 9, tzinfo=UTC) + timedelta(minutes=5 * k) for k in range(25)]
    kwh = np.full(24, 0.25)
    kwh[5:7] = 2.875  # 09:25 to 09:35 UTC
    fixed = Tariff(import_energy=0.3, demand=DemandCharge(9.5))
    sliding = Tariff(import_energy=0.3, demand=DemandCharge(9.5, sliding_s=300))
    none = np.zeros(24)
    plain, slid = (bill(each, times, kwh, none, none, zone=BERLIN) for each in (fixed, sliding))
    assert plain.demand == pytest.approx(9.5 * 4 * (2.875 + 2 * 0.25))
    assert slid.demand == pytest.approx(9.5 * 4 * (2 * 2.875 + 0.25))
    printed = invoice(slid)
    assert printed.lines[-1][0].name == "demand 2026-01"
    assert printed.lines[-1][1] == Decimal("228.00")
    assert printed.total == Decimal("228.00") + Decimal("3.38")
    morning = CalendarWindow(from_h=8, to_h=10)
    closed = replace(sliding, demand=replace(sliding.demand, when=morning))
    assert bill(closed, times, kwh, none, none, zone=BERLIN).demand == 0.0


@pytest.mark.parametrize(
    ("demand", "words"),
    [
        ({"price_per_kw": 9, "sliding_s": 120}, "120 is not known; write 60 or 180 or 300 or 900"),
        ({"price_per_kw": 9, "sliding_s": 900}, "900 is no part of `interval_s`, which is 900"),
        ({"price_per_kw": 9, "sliding_s": None}, "None is not known"),
    ],
)
def test_a_sliding_interval_that_cannot_be_is_named(demand, words):
    with pytest.raises(TariffError) as error:
        load_tariff({"schema_version": 1, "import": {}, "demand": demand})
    ((key, said),) = error.value.problems
    assert key == "demand.sliding_s"
    assert words in said


def test_a_sliding_interval_is_read():
    read = load_tariff(
        {"schema_version": 1, "import": {}, "demand": {"price_per_kw": 9, "interval_s": 1800, "sliding_s": 300}}
    )
    assert (read.demand.sliding_s, read.demand.every_s) == (300, 300)
    assert load_tariff({"schema_version": 1, "import": {}, "demand": {"price_per_kw": 9}}).demand.every_s == 900
