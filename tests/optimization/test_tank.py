"""A tank on a heat node, against a formulation of its own in scipy; legionella by whole numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from districts import as_plan, problem
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import Bounds, LinearConstraint, milp

from ems.plan_check import check_plan
from optimization.assets import ElectricBoiler, ElectricBoilerInputs, HeatLoad, HeatLoadInputs, Tank, TankInputs
from optimization.problem import Refused
from optimization.solve import Solver

N, H = 12, 0.25
ROD = ElectricBoiler("rod", "water", 8.0, 1.0)
SHOWER = HeatLoad("shower", "water")
TANK = Tank("tank", "water", 0.6, 45.0, 65.0, 9.0, 6.0, loss_kw_per_k=0.05)
HYGIENE = replace(TANK, hot_every_s=3600.0, hot_c=60.0, overdue_per_h=2.0)


HELD = replace(HYGIENE, hot_hold_s=1500.0)


def now(water=50.0, since_hot_s=0.0, end=0.0, hot_for_s=0.0):
    return TankInputs(water, np.linspace(12.0, 18.0, N), since_hot_s, end, hot_for_s)


def solved(tank, inputs, price, drawn_kw):
    pairs = [(tank, inputs), (ROD, ElectricBoilerInputs(False, 0.0)), (SHOWER, HeatLoadInputs(drawn_kw))]
    asked = problem(pairs, price)
    solution = Solver().solve(asked)
    assert not isinstance(solution, Refused), solution
    plan = as_plan(asked, solution)
    assert check_plan(asked, plan) == ()
    return asked, plan


def reference(tank, inputs, price, drawn_kw, unheated=10.0):
    """x = rod, flow, outside, z, missed, lacking, surplus; the temperature is written out as a sum over the flows."""
    keep = np.exp(-tank.loss_kw_per_k * H / tank.capacity_kwh_per_k)
    per_kw = (1.0 - keep) / tank.loss_kw_per_k
    free, gain, at = np.empty(N), np.zeros((N, N)), inputs.temperature_c
    for s in range(N):
        at = inputs.around_c[s] + (at - inputs.around_c[s]) * keep
        free[s] = at
        gain[s, : s + 1] = per_kw * keep ** np.arange(s, -1, -1)
    one, zero, inf = np.eye(N), np.zeros((N, N)), np.full(N, np.inf)
    back = [k for k in range(N + 1) if 900.0 * (k - 1) < tank.hot_hold_s or k == 0]
    held = [(s, s - k) for s in range(N) for k in back]
    is_hot = inputs.hot_for_s > 0.0 or inputs.temperature_c >= tank.hot_c
    begun = [is_hot and inputs.hot_for_s >= tank.hot_hold_s - 900.0 * (s + 1) for s in range(N)]
    may = [all(t >= 0 or begun[s] for at, t in held if at == s) for s in range(N)]
    pick = np.array([np.eye(N)[t] for _, t in held if t >= 0])
    marked = np.array([np.eye(N)[s] for s, t in held if t >= 0])
    least, most = np.minimum(tank.low_c, free), np.maximum(tank.high_c, free)
    sees = np.tril(sum(np.eye(N, k=-k) for k in range(N) if 900.0 * k < max(tank.hot_every_s, 1.0)))
    due = (900.0 * np.arange(N) + inputs.since_hot_s >= tank.hot_every_s).astype(float) * bool(tank.hot_every_s)
    rows = [
        LinearConstraint(np.hstack([-one, one, zero, zero, zero, -one, one]), -drawn_kw, -drawn_kw),
        LinearConstraint(np.hstack([zero, gain, zero, zero, zero, zero, zero]), least - free, most - free),
        LinearConstraint(np.hstack([zero, gain, one, zero, zero, zero, zero]), tank.low_c - free, inf),
        LinearConstraint(np.hstack([zero, gain, -one, zero, zero, zero, zero]), -inf, tank.high_c - free),
        LinearConstraint(
            np.hstack([0 * pick, pick @ gain, 0 * pick, -500.0 * marked, *[0 * pick] * 3]),
            tank.hot_c - 500.0 - pick @ free,
            np.inf,
        ),
        LinearConstraint(np.hstack([zero, zero, zero, sees, one, zero, zero]), due, inf),
    ]
    end = inputs.end_value_per_kwh * tank.capacity_kwh_per_k
    parts = [price * H, -end * gain[-1], np.full(N, H), np.zeros(N), np.full(N, tank.overdue_per_h * H)]
    low = np.concatenate([np.zeros(N), np.full(N, -tank.discharge_kw), np.zeros(5 * N)])
    most_z = np.array(may, float)
    high = np.concatenate([np.full(N, 8.0), np.full(N, tank.charge_kw), inf, most_z, np.ones(N), inf, inf])
    found = milp(
        np.concatenate([*parts, np.full(2 * N, unheated * H)]),
        constraints=rows,
        integrality=np.repeat([0, 0, 0, 1, 0, 0, 0], N),
        bounds=Bounds(low, high),
    )
    assert found.status == 0
    return found.fun - end * (free[-1] - tank.low_c)


prices = st.lists(st.integers(5, 60), min_size=N, max_size=N).map(lambda v: np.array(v) / 100.0)
draws = st.lists(st.integers(0, 12), min_size=N, max_size=N).map(lambda v: np.array(v, float))


@settings(max_examples=12)
@given(prices, draws, st.floats(2.0, 110.0), st.sampled_from([0.0, 0.1, 0.3]))
def test_any_tank_agrees_with_another_formulation(price, drawn_kw, water, end) -> None:
    inputs = now(water, end=end)
    _, plan = solved(TANK, inputs, price, drawn_kw)
    assert plan.objective == pytest.approx(reference(TANK, inputs, price, drawn_kw), rel=1e-5, abs=1e-5)


@settings(max_examples=6)
@given(prices, draws, st.floats(20.0, 66.0), st.sampled_from([0.0, 1800.0, 9e5]))
def test_hygiene_agrees_with_another_formulation(price, drawn_kw, water, since_hot_s) -> None:
    inputs = now(water, since_hot_s)
    _, plan = solved(HYGIENE, inputs, price, drawn_kw)
    expected = reference(HYGIENE, inputs, price, drawn_kw)
    assert plan.objective == pytest.approx(expected, rel=6e-3, abs=1e-2)


@settings(max_examples=8)
@given(prices, draws, st.floats(20.0, 66.0), st.sampled_from([1800.0, 9e5]), st.sampled_from([0.0, 300.0, 1200.0]))
def test_a_hold_agrees_with_another_formulation(price, drawn_kw, water, since_hot_s, hot_for_s) -> None:
    inputs = now(water, since_hot_s, hot_for_s=hot_for_s if water >= 60.0 else 0.0)
    _, plan = solved(HELD, inputs, price, drawn_kw)
    expected = reference(HELD, inputs, price, drawn_kw)
    assert plan.objective == pytest.approx(expected, rel=6e-3, abs=1e-2)


@pytest.mark.parametrize(
    ("hold_s", "hot_for_s", "slots"),
    [(0.0, 0.0, 1), (900.0, 0.0, 2), (1500.0, 0.0, 3), (1800.0, 0.0, 3), (1800.0, 900.0, 1), (1800.0, 600.0, 2)],
)
def test_it_is_held_hot_for_as_long_as_it_has_to_be_and_no_longer(hold_s, hot_for_s, slots) -> None:
    tank = replace(HYGIENE, loss_kw_per_k=0.1, hot_every_s=86400.0, hot_hold_s=hold_s, overdue_per_h=50.0)
    water = 60.5 if hot_for_s else 59.0
    _, plan = solved(tank, now(water, 86400.0, hot_for_s=hot_for_s), np.full(N, 0.3), np.zeros(N))
    hot = plan.schedules["tank"].states["temperature_c"] >= 60.0 - 1e-4
    assert hot.tolist() == [True] * slots + [False] * (N - slots)
    overdue = plan.schedules["tank"].slack["overdue"]
    assert overdue.tolist() == pytest.approx([1.0] * (slots - 1) + [0.0] * (N - slots + 1), abs=1e-6)


def test_it_becomes_hot_when_it_is_time_in_the_cheapest_slot_before() -> None:
    price = np.full(N, 0.6)
    price[3] = 0.05
    tank = replace(HYGIENE, loss_kw_per_k=0.005, hot_every_s=86400.0, overdue_per_h=50.0)
    _, plan = solved(tank, now(58.5, since_hot_s=86400.0 - 2 * 3600.0), price, np.zeros(N))
    schedule = plan.schedules["tank"]
    assert schedule.states["temperature_c"][3] == pytest.approx(60.0, abs=1e-4)
    assert schedule.slack["overdue"].max() == pytest.approx(0.0, abs=1e-6)
    assert np.delete(schedule.states["heat_kw"], 3).max() <= 1e-6


def test_a_tank_that_was_hot_lately_needs_no_whole_numbers_and_one_that_cannot_is_told_as_late() -> None:
    weekly = replace(HYGIENE, hot_every_s=7 * 86400.0)
    inputs, slots = now(55.0, 86400.0), problem([(ROD, ElectricBoilerInputs(False, 0.0))], np.ones(N)).slots
    assert not weekly.shape(inputs, slots, 0).traits
    _, plan = solved(weekly, inputs, np.full(N, 0.3), np.zeros(N))
    assert "overdue" not in plan.schedules["tank"].slack
    weak = replace(HYGIENE, charge_kw=0.5)
    _, plan = solved(weak, now(50.0, 9e9), np.full(N, 0.3), np.zeros(N))
    assert plan.schedules["tank"].slack["overdue"].tolist() == pytest.approx([1.0] * N)


def test_a_tank_measured_outside_its_band_is_not_taken_further_out() -> None:
    _, plan = solved(TANK, now(30.0), np.full(N, 0.3), np.full(N, 6.0))
    drift = [30.0]
    for around in now().around_c:
        drift.append(around + (drift[-1] - around) * np.exp(-0.05 * H / 0.6))
    assert (plan.schedules["tank"].states["temperature_c"] >= np.array(drift[1:]) - 1e-6).all()
    _, plan = solved(TANK, now(95.0), np.full(N, 0.3), np.zeros(N))
    assert (np.diff(plan.schedules["tank"].states["temperature_c"]) < 0.0).all()


@pytest.mark.parametrize(
    ("tank", "inputs", "word"),
    [
        (replace(TANK, heat_node=""), now(), "heat_node"),
        (replace(TANK, low_c=70.0), now(), "low_c"),
        (replace(HYGIENE, hot_c=70.0), now(), "hot_c"),
        (replace(TANK, capacity_kwh_per_k=0.0), now(), "capacity_kwh_per_k"),
        (replace(TANK, loss_kw_per_k=-0.1), now(), "loss_kw_per_k"),
        (TANK, now(since_hot_s=-1.0), "since_hot_s"),
        (TANK, now(hot_for_s=-1.0), "hot_for_s"),
        (replace(HYGIENE, hot_hold_s=-1.0), now(), "hot_hold_s"),
    ],
)
def test_nonsense_is_refused(tank, inputs, word) -> None:
    answer = Solver().solve(problem([(tank, inputs)], np.full(N, 0.3)))
    assert isinstance(answer, Refused)
    assert any(word in reason for reason in answer.reasons)


def _mutant(plan, where, name, change):
    schedule = plan.schedules["tank"]
    parts = {**getattr(schedule, where), name: change(getattr(schedule, where)[name])}
    return replace(plan, schedules={**plan.schedules, "tank": replace(schedule, **{where: parts})})


def test_a_mutant_of_a_good_plan_is_caught() -> None:
    inputs = now(40.0, 9e5)
    asked, plan = solved(HYGIENE, inputs, np.full(N, 0.3), np.full(N, 3.0))
    schedule = plan.schedules["tank"]
    assert schedule.slack["overdue"].max() == pytest.approx(1.0)
    assert schedule.slack["outside_k"].max() > 1.0
    for words, mutant in (
        ("temperature_c against", _mutant(plan, "states", "temperature_c", lambda t: t + 0.1)),
        ("charges above its rating", _mutant(plan, "states", "heat_kw", lambda q: q + 9.0)),
        ("discharges above its rating", _mutant(plan, "states", "heat_kw", lambda q: q - 15.0)),
        ("cooled below its band", _mutant(plan, "states", "heat_kw", lambda q: 0.0 * q - 3.0)),
        ("heated above its band", _mutant(plan, "states", "heat_kw", lambda q: 0.0 * q + 9.0)),
        ("outside its band, not admitted", _mutant(plan, "slack", "outside_k", lambda k: 0.9 * k)),
        ("not hot in time", _mutant(plan, "slack", "overdue", lambda m: 0.0 * m)),
        ("heat balance of water", _mutant(plan, "states", "heat_kw", lambda q: q + 0.1)),
    ):
        assert any(words in sentence for sentence in check_plan(asked, mutant)), words


def test_a_hold_that_is_too_short_is_caught() -> None:
    inputs = now(58.0, 9e5)
    asked, plan = solved(HYGIENE, inputs, np.full(N, 0.3), np.zeros(N))
    assert plan.schedules["tank"].slack["overdue"].max() < 1e-6
    longer = replace(asked, assets=tuple(replace(a, hot_hold_s=3600.0) if a.id == "tank" else a for a in asked.assets))
    assert any("not hot in time" in sentence for sentence in check_plan(longer, plan))
