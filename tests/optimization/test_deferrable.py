"""Loads whose run may wait: against every sequence of starts tried one by one, and the mutants of a good plan."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import product

import numpy as np
import pytest
from districts import BATTERY, LOAD, START, as_plan, hours, problem
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ems.plan_check import check_plan
from optimization.assets import (
    BatteryInputs,
    Deferrable,
    DeferrableInputs,
    LoadInputs,
    Programme,
    StartWindow,
    interruptible,
)
from optimization.problem import Refused
from optimization.solve import Solver

N = 8
EVEN = [900.0] * N
UNEVEN = [420.0, 900.0, 900.0, 900.0, 1800.0, 1800.0, 3600.0, 3600.0]
WASH = Programme((2.0, 0.4, 1.5), (600.0, 1500.0, 600.0))
DRY = Programme((1.2,), (1800.0,))
MACHINE = Deferrable("machine", (WASH,), not_run_cost=6.0)
PAIR = Deferrable("machine", (WASH, DRY), not_run_cost=6.0)
SOLVER = Solver()


def minutes(m):
    return START + timedelta(minutes=m)


def between(earliest_min, latest_min):
    return StartWindow(minutes(earliest_min), minutes(latest_min))


def question(machine, inputs, price, durations, *, demand_kw=1.0, limit=50.0, more=()):
    pairs = [(LOAD, LoadInputs(np.full(len(price), demand_kw))), (machine, inputs), *more]
    return problem(pairs, price, durations=durations, limit=limit)


def solved(asked):
    solution = SOLVER.solve(asked)
    assert not isinstance(solution, Refused), solution
    assert check_plan(asked, as_plan(asked, solution)) == ()
    return solution


def drawn_by_minute(programme):
    """What it draws in each minute from its start; all its steps are whole minutes."""
    return np.concatenate(
        [np.full(int(s // 60), kw) for kw, s in zip(programme.power_kw, programme.duration_s, strict=True)]
    )


def reference(asked, machine, inputs):
    """The least cost over all sequences of starts, each laid out minute by minute, beyond the horizon too."""
    slots, price = asked.slots, asked.tariff.import_price
    horizon_min = int((slots.end - slots.start).total_seconds() // 60)
    slot_of = np.repeat(np.arange(len(slots)), (slots.duration_s // 60).astype(int))
    limit, demand_kw = asked.connection.import_limit_kw, asked.inputs["load"].demand_kw
    begins = (slots.offset_s // 60).astype(int)
    ends = begins + (slots.duration_s // 60).astype(int)
    window = [tuple(int((at - slots.start).total_seconds() // 60) for at in (w.earliest, w.latest))
              for w in inputs.windows]  # fmt: skip
    fixed, free_from = np.zeros(horizon_min + 600), 0
    if inputs.running_s is not None:
        rest = drawn_by_minute(machine.programmes[inputs.done])[int(inputs.running_s // 60) :]
        fixed[: len(rest)] += rest
        free_from = len(rest)
    waiting = range(inputs.begun, len(machine.programmes))
    choices = [
        [None, *(max(b, window[j][0]) for b, e in zip(begins, ends, strict=True)
                 if max(b, window[j][0]) < e and max(b, window[j][0]) <= window[j][1])]
        for j in waiting
    ]  # fmt: skip
    best = np.inf
    for starts in product(*choices):
        kw, cost, free, dropped = fixed.copy(), 0.0, free_from, False
        for j, at in zip(waiting, starts, strict=True):
            programme = machine.programmes[j]
            if at is None:
                dropped = True
                gone = window[j][1] < horizon_min
                cost += machine.not_run_cost if gone else inputs.later_price * programme.energy_kwh
                continue
            if dropped or at < free:
                break
            run = drawn_by_minute(programme)
            kw[at : at + len(run)] += run
            beyond_min = np.arange(at, at + len(run)) >= horizon_min
            cost += inputs.later_price * run[beyond_min].sum() / 60.0
            free = at + len(run)
        else:
            mean = np.bincount(slot_of, kw[:horizon_min]) / np.bincount(slot_of) + demand_kw
            over = np.minimum(np.maximum(mean - limit, 0.0), mean)
            cost += ((price * mean + 50.0 * over) * slots.duration_h).sum()
            best = min(best, cost)
    return best


prices = st.lists(st.integers(2, 60), min_size=N, max_size=N).map(lambda v: np.array(v) / 100.0)
shapes = st.sampled_from([EVEN, UNEVEN])
WINDOWS = [(0, 400), (-40, 70), (0, 35), (20, 22), (47, 90), (-60, -5)]


@settings(max_examples=40)
@given(prices, shapes, st.integers(-40, 130), st.integers(0, 200), st.sampled_from([0.02, 0.3]), st.booleans())
def test_one_run_agrees_with_every_start_tried(price, durations, opens, wide, later, is_tight) -> None:
    inputs = DeferrableInputs((between(opens, opens + wide),), later)
    asked = question(MACHINE, inputs, price, durations, limit=2.2 if is_tight else 50.0)
    assert solved(asked).objective == pytest.approx(reference(asked, MACHINE, inputs), rel=1.5e-3, abs=2e-3)


@settings(max_examples=30)
@given(
    prices,
    shapes,
    st.sampled_from(WINDOWS),
    st.sampled_from(WINDOWS),
    st.sampled_from([(0, None), (0, None), (0, 0.0), (0, 1500.0), (0, 9000.0), (1, None), (1, 600.0), (2, None)]),
)
def test_a_sequence_agrees_with_all_sequences_tried(price, durations, first, second, state) -> None:
    inputs = DeferrableInputs((between(*first), between(*second)), 0.3, *state)
    asked = question(PAIR, inputs, price, durations)
    assert solved(asked).objective == pytest.approx(reference(asked, PAIR, inputs), rel=1.5e-3, abs=2e-3)


def test_the_second_waits_for_the_first_though_both_would_like_the_same_hour() -> None:
    price = np.array([0.5, 0.5, 0.1, 0.1, 0.5, 0.5, 0.5, 0.5])
    inputs = DeferrableInputs((between(0, 60), between(0, 60)), 0.3)
    asked = question(PAIR, inputs, price, EVEN)
    solution = solved(asked)
    assert solution.objective == pytest.approx(reference(asked, PAIR, inputs), abs=2e-3)
    assert solution.schedules["machine"].states["programmes_started"].tolist() == [1, 1, 1, 2, 2, 2, 2, 2]


def test_it_runs_whole_in_the_cheapest_hour_and_its_energy_falls_into_the_slots_it_fills() -> None:
    price = np.array([0.5, 0.5, 0.5, 0.1, 0.1, 0.1, 0.5, 0.5])
    schedule = solved(question(MACHINE, DeferrableInputs((between(0, 75),), 0.3), price, EVEN)).schedules["machine"]
    assert schedule.states["programmes_started"].tolist() == [0.0] * 3 + [1.0] * 5
    np.testing.assert_allclose(schedule.power_kw, [0, 0, 0, 22 / 15, 0.4, 17 / 15, 0, 0], atol=1e-6)


def test_a_window_that_lies_within_one_slot_is_kept_to_the_minute() -> None:
    inputs = DeferrableInputs((between(20, 22),), 0.3)
    schedule = solved(question(MACHINE, inputs, np.full(N, 0.3), EVEN)).schedules["machine"]
    np.testing.assert_allclose(schedule.power_kw[1:4], [2.0 * 10 / 15, 0.4, (10 * 0.4 + 5 * 1.5) / 15], atol=1e-6)


def test_what_runs_already_goes_on_though_power_is_dear() -> None:
    inputs = DeferrableInputs((between(-90, -60),), 0.3, running_s=1800.0)
    schedule = solved(question(MACHINE, inputs, np.full(N, 9.0), EVEN)).schedules["machine"]
    np.testing.assert_allclose(schedule.power_kw, [(5 * 0.4 + 10 * 1.5) / 15, *[0.0] * 7], atol=1e-6)


def test_the_next_plan_goes_on_with_the_run_of_the_last() -> None:
    price = np.array([0.1, 0.5, 0.5, 0.5, 0.1, 0.1, 0.1, 0.1])
    first = solved(question(MACHINE, DeferrableInputs((between(0, 10),), 0.3), price, EVEN)).schedules["machine"]
    inputs = DeferrableInputs((between(0, 10),), 0.3, running_s=900.0)
    asked = replace(question(MACHINE, inputs, price, EVEN))
    later = solved(asked).schedules["machine"]
    np.testing.assert_allclose(later.power_kw[:7], first.power_kw[1:], atol=1e-6)


def test_a_run_that_costs_more_than_it_is_worth_is_told_as_not_run() -> None:
    inputs = DeferrableInputs((between(0, 60),), 0.3)
    schedule = solved(question(MACHINE, inputs, np.full(N, 9.0), EVEN)).schedules["machine"]
    assert schedule.slack["programmes_not_run"].tolist() == [0.0] * 7 + [1.0]
    assert not schedule.power_kw.any()
    later = DeferrableInputs((between(0, 600),), 0.3)
    schedule = solved(question(MACHINE, later, np.full(N, 9.0), EVEN)).schedules["machine"]
    assert schedule.slack["programmes_not_run"].tolist() == [0.0] * 8  # its window outlasts the horizon


def test_between_equal_prices_the_earlier_start_is_taken() -> None:
    inputs = DeferrableInputs((between(0, 600),), 0.3)
    schedule = solved(question(MACHINE, inputs, np.full(N, 0.3), EVEN)).schedules["machine"]
    assert schedule.states["programmes_started"].tolist() == [1.0] * 8


def test_what_may_be_interrupted_pauses_while_power_is_dear() -> None:
    pump = Deferrable("machine", interruptible(3.0, 4000.0, 900.0), not_run_cost=9.0)
    assert [each.length_s for each in pump.programmes] == [900.0] * 4 + [400.0]
    price = np.array([0.1, 0.1, 0.9, 0.1, 0.9, 0.1, 0.2, 0.9])
    inputs = DeferrableInputs((between(0, 105),) * 5, 0.3)
    schedule = solved(question(pump, inputs, price, EVEN)).schedules["machine"]
    np.testing.assert_allclose(schedule.power_kw, [3, 3, 0, 3, 0, 3, 3 * 400 / 900, 0], atol=1e-6)
    with pytest.raises(ValueError, match="greater than 0"):
        interruptible(3.0, 0.0, 900.0)


def test_a_structure_is_kept_while_windows_and_state_move() -> None:
    price = np.full(N, 0.3)
    states = [DeferrableInputs((between(m, 60 + m),), 0.3, *now) for m in (0, 7) for now in ((0,), (0, 60.0), (1,))]
    solver = Solver()
    for durations in (UNEVEN, [300.0, *UNEVEN[1:]]):
        for inputs in states:
            solver.solve(question(MACHINE, inputs, price, durations))
    assert len(solver._models) == 1


@settings(max_examples=25)
@given(
    prices,
    shapes,
    st.integers(0, 2),
    st.none() | st.floats(0.0, 2e4),
    st.integers(-600, 300),
    st.sampled_from([0.0, 1.5, 50.0]),
)
def test_any_measured_state_gives_a_plan(price, durations, done, running_s, opens, limit) -> None:
    assume(done < 2 or running_s is None)
    inputs = DeferrableInputs((between(opens, opens + 45), between(opens + 10, opens + 300)), 0.2, done, running_s)
    more = [(BATTERY, BatteryInputs(9.0, 0.1))]
    solved(question(PAIR, inputs, price - 0.1, durations, limit=limit, more=more))


def good():
    """Wash, then dry, between dear ends; a third programme whose window has closed."""
    machine = Deferrable("machine", (WASH, DRY, DRY), not_run_cost=6.0)
    price = np.array([0.5, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.5])
    asked = question(machine, DeferrableInputs((between(10, 40), between(50, 100), between(-9, -5)), 0.3), price, EVEN)
    solution = solved(asked)
    assert solution.schedules["machine"].states["programmes_started"].tolist() == [0, 1, 1, 1, 2, 2, 2, 2]
    return asked, as_plan(asked, solution)


def drawn(*runs):
    kw = np.zeros(60 * 9)
    for programme, at_min in runs:
        run = drawn_by_minute(programme)
        kw[at_min : at_min + len(run)] += run
    return kw[: 15 * N].reshape(N, 15).mean(axis=1)


@pytest.mark.parametrize(
    ("started", "runs", "not_run", "words"),
    [
        ([0, 1, 1, 1, 2, 2, 2, 2], [(WASH, 15), (DRY, 61)], 1.0, "power against its programmes"),
        ([0, 1, 1, 1, 2, 2, 2, 2], [(WASH, 15)], 1.0, "power against its programmes"),
        ([0, 0.5, 0.5, 0.5, 1, 1, 1, 1], [(WASH, 15)], 1.0, "starts by a part"),
        ([0, 1, 1, 0, 2, 2, 2, 2], [(WASH, 15), (DRY, 60)], 1.0, "takes a start back"),
        ([0, 1, 1, 1, 4, 4, 4, 4], [(WASH, 15), (DRY, 60)], 1.0, "programmes started of 3"),
        ([0, 1, 2, 2, 2, 2, 2, 2], [(WASH, 15), (DRY, 50)], 1.0, "before its window opens"),
        ([0, 0, 0, 1, 1, 1, 2, 2], [(WASH, 45), (DRY, 90)], 1.0, "after its window has closed"),
        ([0, 0, 1, 1, 2, 2, 2, 2], [(WASH, 30), (DRY, 60)], 1.0, "s before the one ahead has ended"),
        ([0, 1, 1, 1, 2, 2, 2, 2], [(WASH, 15), (DRY, 60)], 0.0, "not run against those admitted"),
        ([0, 1, 1, 1, 1, 1, 1, 1], [(WASH, 15)], 1.0, "not run against those admitted"),
    ],
)
def test_a_mutant_is_caught(started, runs, not_run, words) -> None:
    asked, plan = good()
    kw = drawn(*runs)
    schedule = replace(
        plan.schedules["machine"],
        power_kw=kw,
        states={"programmes_started": np.array(started, float)},
        slack={"programmes_not_run": np.append(np.zeros(N - 1), not_run)},
    )
    mutant = replace(plan, schedules={**plan.schedules, "machine": schedule}, import_kw=kw + 1.0)
    assert any(words in sentence for sentence in check_plan(asked, mutant)), check_plan(asked, mutant)


def test_a_plan_that_does_not_say_what_starts_is_caught() -> None:
    asked, plan = good()
    silent = replace(plan.schedules["machine"], states={})
    assert any("what starts when" in s for s in check_plan(asked, replace(
        plan, schedules={**plan.schedules, "machine": silent})))  # fmt: skip


@pytest.mark.parametrize(
    ("machine", "inputs", "word"),
    [
        (Deferrable("m", (), 1.0), DeferrableInputs((), 0.3), "m.programmes"),
        (Deferrable("m", (Programme((1.0,), ()),), 1.0), DeferrableInputs((between(0, 9),), 0.3), "one for each"),
        (Deferrable("m", (Programme((-1.0,), (60.0,)),), 1.0), DeferrableInputs((between(0, 9),), 0.3), "power_kw"),
        (Deferrable("m", (Programme((1.0,), (0.0,)),), 1.0), DeferrableInputs((between(0, 9),), 0.3), "duration_s"),
        (Deferrable("m", (DRY,), -1.0), DeferrableInputs((between(0, 9),), 0.3), "not_run_cost"),
        (Deferrable("m", (DRY,), 1.0), DeferrableInputs((), 0.3), "windows"),
        (Deferrable("m", (DRY,), 1.0), DeferrableInputs((between(9, 0),), 0.3), "closes at"),
        (Deferrable("m", (DRY,), 1.0), DeferrableInputs((between(0, 9),), 0.3, 1, 5.0), "m.done"),
        (Deferrable("m", (DRY,), 1.0), DeferrableInputs((between(0, 9),), 0.3, 0, -5.0), "running_s"),
        (Deferrable("m", (DRY,), 1.0), DeferrableInputs((between(0, 9),), np.nan), "later_price"),
        (Deferrable("m", (DRY,), 1.0), DeferrableInputs(
            (StartWindow(START.replace(tzinfo=None), hours(1)),), 0.3), "no time zone"),
    ],
)  # fmt: skip
def test_nonsense_is_refused(machine, inputs, word) -> None:
    answer = Solver().solve(problem([(machine, inputs)], np.full(N, 0.3)))
    assert isinstance(answer, Refused)
    assert any(word in reason for reason in answer.reasons), answer.reasons
