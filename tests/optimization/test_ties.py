"""No churn: what costs the same is decided the same way, early, and as the plan before."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from districts import BATTERY, LOAD, POINT, PUMP, START, as_plan, hours, money, problem, zone

from optimization.assets import BatteryInputs, ChargePointInputs, EvSession, LoadInputs
from optimization.coefficients import previous_kw
from optimization.slots import chain, uniform
from optimization.solve import Solver, values_of
from optimization.structure import structure
from optimization.weights import EARLY_PER_KWH_H, Weights

N = 32
FLAT = np.full(N, 0.25)
STAY = EvSession(hours(-1), hours(7), 30.0)
POWERS = ("battery", "point", "pump")


def day(price, *, start=START, step_s=900.0, energy=10.0, wanted=30.0, noise=0.0, **more):
    rng = np.random.default_rng(3)
    n = len(price)
    pairs = [
        (LOAD, LoadInputs(4.0 + noise * rng.standard_normal(n))),
        (BATTERY, BatteryInputs(energy, 0.2)),
        (POINT, ChargePointInputs((replace(STAY, energy_kwh=wanted),))),
        (PUMP, zone(n, outdoor=2.0, temperature=20.5, mass=20.5)),
    ]
    return problem(pairs, price, start=start, step_s=step_s, **more)


def churn_kw(first, second, slots=8):
    return max(abs(first.schedules[a].power_kw[:slots] - second.schedules[a].power_kw[:slots]).max() for a in POWERS)


def test_between_equal_prices_a_car_charges_early():
    power = Solver().solve(day(FLAT)).schedules["point"].power_kw
    full = int(30.0 / 0.92 / (22.0 * 0.25))
    np.testing.assert_allclose(power[:full], 22.0, atol=1e-6)
    np.testing.assert_allclose(power[full + 1 :], 0.0, atol=1e-6)


def test_a_cheaper_hour_is_still_worth_waiting_for():
    price = FLAT.copy()
    price[20:28] -= 0.002
    power = Solver().solve(day(price)).schedules["point"].power_kw
    np.testing.assert_allclose(power[:20], 0.0, atol=1e-6)


def test_asked_twice_it_answers_the_same():
    solver, asked = Solver(), day(0.2 + 0.1 * np.sin(np.arange(N)))
    first = solver.solve(asked)
    again = solver.solve(replace(asked, previous=as_plan(asked, first)))
    assert churn_kw(first, again, N) <= 1e-6


def on_the_edge(price):
    """Ask for a battery alone: what it gives saves, in each hour, what it is worth later, its wear and being late."""
    edge = 0.24 / BATTERY.discharge_efficiency + BATTERY.wear_per_kwh + EARLY_PER_KWH_H * np.arange(8)
    pairs = [(LOAD, LoadInputs(np.full(8, 4.0))), (BATTERY, BatteryInputs(10.0, 0.24))]
    solution = Solver().solve(problem(pairs, edge + price, step_s=3600.0))
    return solution.schedules["battery"].power_kw


def test_noise_below_a_millionth_moves_nothing():
    price = np.round(0.2 + 0.1 * np.sin(np.arange(N)), 6)
    first = Solver().solve(day(price))
    noisy = Solver().solve(day(price + 3e-7 * np.cos(np.arange(N))))
    assert churn_kw(first, noisy, N) <= 1e-6
    hours_on, power = np.arange(8), on_the_edge(0.0)
    for noise in (4e-7 * (-1.0) ** hours_on, -4e-7, 3e-7 * np.cos(hours_on)):
        np.testing.assert_allclose(on_the_edge(noise), power, atol=1e-6)
    assert abs(on_the_edge(1e-5 * (hours_on == 7)) - power).max() > 1.0, "what is no noise does move it"


def test_noise_does_not_reach_the_programme():
    """A step that was averaged leaves 1e-11 where nothing was meant: too little for a row, too much to be nothing."""
    step = np.where(np.arange(N) % 8 < 3, 0.35, 0.0)
    asked, noisy = day(step + 0.1, export=step), day(step + 0.1 + 2e-7, export=step + 1.2e-11)
    meant, told = (values_of(each, structure(each)) for each in (asked, noisy))
    assert meant.keys() == told.keys()
    for name, numbers in meant.items():
        np.testing.assert_array_equal(told[name], numbers, err_msg=name)


def test_prices_that_step_to_nothing_and_back_leave_no_trace_in_a_kept_model():
    solver, step = Solver(), np.where(np.arange(N) % 8 < 3, 0.35, 0.0)
    for export in (step, step + 1.2e-11, 0.0 * step, step):
        asked = day(FLAT + 0.2, export=export)
        kept, anew = solver.solve(asked), Solver().solve(asked)
        assert kept.objective == pytest.approx(anew.objective, rel=1e-7)


def test_what_saves_next_to_nothing_moves_a_plan_that_holds_to_none_and_leaves_one_that_does():
    """To wait an hour would save 3e-5 a kWh and cost 1e-5 for being late."""
    solver, asked = Solver(), day(FLAT)
    first, late = solver.solve(asked), FLAT.copy()
    late[4:] -= 3e-5
    held = solver.solve(replace(day(late), previous=as_plan(asked, first)))
    free = solver.solve(replace(day(late, weights=Weights(move=0.0)), previous=as_plan(asked, first)))
    assert churn_kw(first, free) > 1.0
    assert churn_kw(first, held) <= 1e-6


@pytest.mark.parametrize(("saves", "waits"), [(1e-6, False), (3e-5, True)])
def test_the_plan_in_force_is_kept_where_it_costs_next_to_nothing(saves, waits):
    """The second revision makes a planner without an anchor wait an hour; the first is less than waiting costs."""
    solver, first_asked = Solver(), day(FLAT, noise=0.2)
    first = solver.solve(first_asked)
    late = FLAT.copy()
    late[4:] -= saves
    free = solver.solve(day(late, noise=0.2, weights=Weights(move=0.0)))
    held_asked = replace(day(late, noise=0.2), previous=as_plan(first_asked, first))
    held = solver.solve(held_asked)
    assert bool(churn_kw(first, free) > 1.0) is waits
    assert churn_kw(first, held) <= 1e-6
    assert money(held_asked, held) <= money(held_asked, free) * (1 + 5e-4)


@pytest.mark.parametrize("seed", range(4))
def test_holding_on_costs_at_most_a_twentieth_of_a_percent(seed):
    rng = np.random.default_rng(seed)
    old_asked, new_price = day(0.25 + 0.1 * rng.random(N)), 0.25 + 0.1 * rng.random(N)
    solver = Solver()
    previous = as_plan(old_asked, solver.solve(old_asked))
    asked = replace(day(new_price), previous=previous)
    held = solver.solve(asked)
    free = solver.solve(replace(asked, weights=Weights(move=0.0), previous=None))
    assert money(asked, held) - money(asked, free) <= 5e-4 * abs(money(asked, free)) + 1e-6


def test_five_minutes_later_and_nothing_new_the_same_powers_are_planned():
    """The running slot is cut by the clock: its power is that of the plan, never one derived from a sliver."""
    solver, asked = Solver(), day(FLAT)
    first = solver.solve(asked)
    schedule = {a: first.schedules[a].power_kw[0] for a in POWERS}
    passed = timedelta(minutes=5)
    inputs = dict(asked.inputs)
    inputs["point"] = ChargePointInputs((replace(STAY, energy_kwh=30.0 - 0.92 * schedule["point"] / 12),))
    later = replace(
        asked,
        slots=chain(START + passed, [600.0] + [900.0] * (N - 1)),
        inputs=inputs,
        previous=as_plan(asked, first),
    )
    second = solver.solve(later)
    for asset in ("battery", "point"):
        np.testing.assert_allclose(
            second.schedules[asset].power_kw[:8], first.schedules[asset].power_kw[:8], atol=1e-5, err_msg=asset
        )


def test_the_previous_plan_is_read_by_absolute_time():
    asked = day(FLAT)
    plan = as_plan(asked, Solver().solve(asked))
    power = np.arange(N, dtype=float)
    plan.schedules["battery"] = replace(plan.schedules["battery"], power_kw=power)
    later = uniform(START + timedelta(minutes=10), N, 900.0)
    read = previous_kw(plan, "battery", later)
    np.testing.assert_allclose(read[:-1], power[:-1] + 2 / 3)
    assert np.isnan(read[-1])
    assert np.isnan(previous_kw(plan, "battery", uniform(START - timedelta(minutes=1), 2, 900.0))[0])
    assert previous_kw(plan, "stranger", later) is None
