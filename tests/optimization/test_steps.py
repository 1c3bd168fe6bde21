"""Tap changers and capacitor banks in the linear programme, against every position tried by hand."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from districts import LOAD, PV, problem
from hypothesis import given, settings
from hypothesis import strategies as st
from test_feeder import FEEDER, N

from optimization.assets import LoadInputs, PvInputs
from optimization.problem import Connection, ReactiveEnergy, Refused, Supply, TariffSeries
from optimization.reactive_terms import governed
from optimization.slots import chain, uniform
from optimization.solve import Solver
from optimization.steps import DAY_S, CapacitorBank, Moving, Stepped, TapChanger, step_faults
from optimization.validation import faults

SUN_KW = np.array([6.0, 14.0, 22.0, 30.0, 4.0, 0.0])
LOAD_KW = np.array([1.0, 2.0, 3.0, 4.0, 30.0, 38.0])
PRICE = np.array([0.3, 0.28, 0.2, 0.1, 0.12, 0.25])
TAP = TapChanger("trafo 0", 10, -2, 2, 0, 2.0, 0, Moving(0.0))
BANK = CapacitorBank(11, 6.0, 3, Moving(0.0))


def question(steps, feeder=FEEDER, sun=SUN_KW, load=LOAD_KW, price=PRICE, **more):
    pairs = [
        (replace(LOAD, bus=12, power_factor=0.9), LoadInputs(load)),
        (replace(PV, bus=12), PvInputs(sun)),
    ]
    asked = problem(pairs, price, steps=steps, **more)
    return replace(asked, network=governed(asked, feeder))


def solved(asked):
    found = Solver().solve(asked)
    assert not isinstance(found, Refused), found
    return found


def by_hand(sun, load):
    """What each slot costs at each position of `TAP`: the plain feeder, fed with the voltage of that position."""
    table = np.zeros((N, 5))
    for column, position in enumerate(range(-2, 3)):
        fed = replace(FEEDER, slack_pu=1.0 / (1.0 + 0.02 * position), key=f"at {position}")
        fed = governed(question({}, fed, sun, load), fed)
        for s in range(N):
            one = [np.array([series[s]]) for series in (sun, load, PRICE)]
            table[s, column] = solved(question({}, fed, *one)).objective
    return table


def cheapest(table, moving, now):
    """Try every sequence of positions."""
    found = np.inf
    for way in product(range(5), repeat=N):
        moved = np.abs(np.diff([now + 2, *way]))
        dead_slots = round(moving.dead_time_s / 900.0)
        apart = np.diff(np.flatnonzero(moved)).min(initial=N)
        if (moving.most_per_day is None or moved.sum() <= moving.most_per_day) and apart >= dead_slots:
            found = min(found, table[np.arange(N), way].sum() + moving.cost * moved.sum())
    return found


@pytest.fixture(scope="module")
def table():
    return by_hand(SUN_KW, LOAD_KW)


@pytest.mark.parametrize("cost", [0.0, 0.02, 0.3, 50.0])
@pytest.mark.parametrize("most", [None, 2, 0])
def test_positions_are_the_best_of_all_sequences(table, cost, most):
    moving = Moving(cost, most_per_day=most)
    found = solved(question({"tap": Stepped(replace(TAP, moving=moving), 1)}))
    assert found.objective == pytest.approx(cheapest(table, moving, 1), rel=1e-3, abs=1e-6)
    taken = found.positions["tap"]
    moved = np.abs(np.diff(taken, prepend=1)).sum()
    assert table[np.arange(N), taken + 2].sum() + cost * moved == pytest.approx(found.objective, rel=1e-6, abs=1e-6)


def test_the_day_would_have_called_for_more_than_one_position(table):
    best = table.argmin(axis=1)
    assert len(set(best.tolist())) > 1
    assert table.max(axis=1).max() - table.min(axis=1).min() > 1.0


def test_dead_time_holds_positions_in_blocks_and_costs_what_it_has_to(table):
    moving = Moving(0.01, dead_time_s=1800.0)
    found = solved(question({"tap": Stepped(replace(TAP, moving=moving), 0)}))
    moves = np.flatnonzero(np.diff(found.positions["tap"], prepend=0))
    assert np.diff(moves).min(initial=2) >= 2
    assert found.objective >= cheapest(table, moving, 0) - 1e-6
    later = Stepped(replace(TAP, moving=moving), 0, since_s=600.0)
    assert solved(question({"tap": later})).positions["tap"][0] == 0


def test_steps_taken_today_count(table):
    moving = Moving(0.0, most_per_day=3)
    left = solved(question({"tap": Stepped(replace(TAP, moving=moving), 0, moved_today=2)}))
    assert left.objective == pytest.approx(cheapest(table, replace(moving, most_per_day=1), 0), rel=1e-3, abs=1e-6)
    assert np.abs(np.diff(left.positions["tap"], prepend=0)).sum() <= 1


def held(steps):
    """The same devices, none of which may move."""
    frozen = {n: replace(s, device=replace(s.device, moving=Moving(0.0, most_per_day=0))) for n, s in steps.items()}
    return {name: replace(stepped, moved_today=0) for name, stepped in frozen.items()}


@settings(max_examples=8, deadline=None)
@given(
    sun=st.lists(st.floats(0.0, 30.0), min_size=N, max_size=N),
    load=st.lists(st.floats(0.0, 40.0), min_size=N, max_size=N),
    now=st.tuples(st.integers(-2, 2), st.integers(0, 3)),
    cost=st.sampled_from([0.0, 0.05, 1.0]),
    most=st.sampled_from([None, 1, 4]),
)
def test_a_plan_never_gets_worse_when_a_step_is_allowed(sun, load, now, cost, most):
    moving = Moving(cost, most_per_day=most)
    steps = {"tap": Stepped(replace(TAP, moving=moving), now[0]), "bank": Stepped(replace(BANK, moving=moving), now[1])}
    sun, load = np.array(sun), np.array(load)
    free, fixed = solved(question(steps, sun=sun, load=load)), solved(question(held(steps), sun=sun, load=load))
    assert free.objective <= fixed.objective + 1e-6 * (1.0 + abs(fixed.objective))
    assert (fixed.positions["tap"] == now[0]).all() and (fixed.positions["bank"] == now[1]).all()
    for name, stepped in steps.items():
        taken = free.positions[name]
        assert stepped.device.least <= taken.min() and taken.max() <= stepped.device.most
        if most is not None:
            assert np.abs(np.diff(taken, prepend=stepped.now)).sum() <= most


@pytest.mark.parametrize("now", range(4))
def test_a_bank_is_as_good_as_the_best_number_of_steps_held(now):
    """One slot of heavy load: capacitors lift the voltage until the cable carries more."""
    one = {"sun": SUN_KW[5:], "load": LOAD_KW[5:], "price": PRICE[5:]}
    low = replace(FEEDER, v_min_pu=np.full(3, 0.985))
    costs = [solved(question(held({"bank": Stepped(BANK, on)}), low, **one)).objective for on in range(4)]
    free = solved(question({"bank": Stepped(BANK, now)}, low, **one))
    # Straight about what stands now, the susceptance of another number differs a little.
    assert free.objective == pytest.approx(min(costs), rel=0.01)
    assert free.positions["bank"].tolist() == [int(np.argmin(costs))]
    assert max(costs) > min(costs) + 1.0


def test_what_a_bank_gives_is_what_lifts_the_voltage():
    fixed = question(held({"bank": Stepped(BANK, 3)}), sun=0.0 * SUN_KW, load=np.full(N, 5.0))
    bare = question(held({"bank": Stepped(BANK, 0)}), sun=0.0 * SUN_KW, load=np.full(N, 5.0))
    with_bank, without = solved(fixed), solved(bare)
    q = with_bank.q_kvar.copy()
    lifted = FEEDER.squared_voltages(without.p_kw, without.q_kvar)
    q[1] -= 3 * 6.0 * 1.0
    assert (FEEDER.squared_voltages(with_bank.p_kw, q) > lifted)[1:].all()


def test_no_step_device_leaves_the_programme_as_it_was():
    bare = question({})
    assert bare.network is FEEDER
    assert solved(bare).positions == {}


def test_a_ring_finds_the_same_positions_as_a_chain(table):
    moving = Moving(0.02, most_per_day=4)
    asked = question({"tap": Stepped(replace(TAP, moving=moving), 1), "bank": Stepped(BANK, 1)})
    chained, ringed = Solver().solve(asked), Solver(ring=True).solve(asked)
    assert ringed.objective == pytest.approx(chained.objective, rel=1e-3)
    assert (ringed.positions["tap"] == chained.positions["tap"]).all()


BAD = {
    "tap.step_pct: 0.0": Stepped(replace(TAP, step_pct=0.0), 0),
    "tap.most: -2 is not above": Stepped(replace(TAP, most=-2), -2),
    "tap.now: 3 is none of its positions -2 to 2": Stepped(TAP, 3),
    "tap.ratio: at -2 it is 0.4": Stepped(replace(TAP, step_pct=30.0), 0),
    "tap.cost: -1.0 must be": Stepped(replace(TAP, moving=Moving(-1.0)), 0),
    "tap.dead_time_s: inf": Stepped(replace(TAP, moving=Moving(0.0, np.inf)), 0),
    "tap.most_per_day: -1": Stepped(replace(TAP, moving=Moving(0.0, most_per_day=-1)), 0),
    "tap.step_kvar: nan": Stepped(replace(BANK, step_kvar=np.nan), 0),
    "tap.now: 4 is none of its positions 0 to 3": Stepped(BANK, 4),
    "tap: since_s -1.0": Stepped(TAP, 0, since_s=-1.0),
}


@pytest.mark.parametrize("words", BAD)
def test_what_cannot_be_is_refused_in_words(words):
    assert any(fault.startswith(words) for fault in step_faults({"tap": BAD[words]}))


def test_a_network_that_knows_nothing_of_the_steps_is_refused_not_ignored():
    asked = replace(question({"tap": Stepped(TAP, 0)}), network=FEEDER)
    assert any("knows nothing of them" in fault for fault in faults(asked))


def test_a_second_connection_is_refused_beside_steps():
    flat, asked = np.ones(N), question({"tap": Stepped(TAP, 0)})
    north = Supply("north", ("pv",), TariffSeries(flat, flat, flat), Connection(flat, flat))
    assert any("several connections do not move taps" in fault for fault in faults(replace(asked, supplies=(north,))))


@pytest.mark.parametrize("now", [0, 3])
def test_capacitors_lower_what_reactive_energy_costs(now):
    charge = ReactiveEnergy(np.zeros(N, dtype=np.int64), 0.0, 0.2, np.zeros(1), "reactive")
    wide, sun = replace(FEEDER, v_min_pu=np.full(3, 0.8), flow_limit_kw=np.full(2, 200.0)), np.zeros(N)
    found = solved(question({"bank": Stepped(BANK, now)}, wide, sun, charges=(charge,)))
    kvar = LOAD_KW * np.tan(np.arccos(0.9))
    left = np.abs(kvar[:, None] - 6.0 * np.arange(4)[None, :])
    assert found.positions["bank"].tolist() == left.argmin(axis=1).tolist()
    # A bank of so many kvar at 1 pu gives less at the voltage of a loaded cable.
    assert found.charged[0][0] == pytest.approx(left.min(axis=1).sum() / 4.0, abs=0.06 * 18.0)
    bare = solved(question({}, wide, sun, charges=(charge,)))
    saved = 0.2 * float(bare.charged[0][0] - found.charged[0][0])
    assert found.objective == pytest.approx(bare.objective - saved, rel=1e-3)
    assert saved > 0.5


@pytest.mark.parametrize(
    ("dead_s", "since_s", "may"),
    [
        (0.0, np.inf, [1, 1, 1, 1, 1]),
        (900.0, np.inf, [1, 1, 1, 1, 1]),
        (1800.0, np.inf, [1, 0, 1, 0, 1]),
        (1800.0, 300.0, [0, 0, 1, 0, 1]),
        (2000.0, np.inf, [1, 0, 0, 1, 0]),
    ],
)
def test_dead_time_says_when_it_may_move(dead_s, since_s, may):
    stepped = Stepped(replace(TAP, moving=Moving(0.0, dead_s)), 0, since_s=since_s)
    assert stepped.may_move(uniform(problem([], [0.1]).slots.start, 5, 900.0)).tolist() == may


def test_days_are_counted_from_midnight():
    slots = chain(problem([], [0.1]).slots.start, [3600.0] * 30)
    days = Stepped(TAP, 0, day_left_s=2 * 3600.0).day_of(slots)
    assert days.tolist() == [0, 0] + [1] * 24 + [2] * 4
    left = Stepped(replace(TAP, moving=Moving(most_per_day=5)), 0, moved_today=7).moves_left(3)
    assert left.tolist() == [0.0, 5.0, 5.0]
    assert DAY_S == 86400.0
