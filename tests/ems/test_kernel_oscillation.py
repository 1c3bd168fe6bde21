"""Does a command swing, and what becomes of one that does? Stimulus, response and laws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stage import NOW, Journal, SceneMaker, levers_of, make_plan, make_site, snapshot

from ems.arbitration import CALM_DEADBANDS, CALM_HOLD_S, MOVES, arbitrate, shape, whole_steps
from ems.config.binding import bind
from ems.fast.conduct import Conduct
from ems.fast.decisions import Bound, Held, Rung, Wish
from ems.fast.oscillation import FEW_TURNS, MANY_TURNS, WINDOW_S, Swing, amplitude_kw, follow
from ems.fast.steering import Steering
from ems.fast.watchman import Watchman
from ems.health import Alarms, Health

LEVERS = levers_of(make_site())
BATTERY, CAR, HEAT, PV = LEVERS["battery"], LEVERS["car"], LEVERS["heat"], LEVERS["pv"]
NOW_S = 1000.0


def played(commands_kw: Sequence[float], step_s: float = 10.0, amplitude: float = 3.0) -> Swing:
    swing: Swing | None = None
    for number, kw in enumerate(commands_kw):
        swing = follow(swing, kw, amplitude, number * step_s)
    assert swing is not None
    return swing


@pytest.mark.parametrize(("asset", "expected_kw"), [("battery", 3.0), ("car", 2.2), ("heat", 1.0), ("pv", 6.0)])
def test_a_movement_counts_from_a_tenth_of_the_rating_on(asset, expected_kw):
    assert amplitude_kw(LEVERS[asset]) == pytest.approx(expected_kw)


def test_a_small_asset_goes_by_its_deadband():
    small = replace(CAR, upper_kw=3.0)
    assert amplitude_kw(small) == 2 * MOVES[CAR.kind].deadband_kw


@pytest.mark.parametrize(
    ("commands_kw", "expected"),
    [
        ([5], Swing(5)),
        ([5, 7.9], Swing(5)),
        ([5, 8], Swing(8, 1)),
        ([5, 2], Swing(2, -1)),
        ([5, 8, 9, 12], Swing(12, 1)),
        ([5, 2, 1, 0], Swing(0, -1)),
        # a turn is a movement back by the amplitude, from the furthest point
        ([5, 8, 12, 9.1], Swing(12, 1)),
        ([5, 8, 12, 9], Swing(9, -1, (30.0,))),
        ([5, 8, 12, 9, 12], Swing(12, 1, (30.0, 40.0))),
        ([5, 2, 0, 2.9], Swing(0, -1)),
        ([5, 2, 0, 3], Swing(3, 1, (30.0,))),
        ([5, 8, 8.5, 5.5], Swing(5.5, -1, (30.0,))),
        # small movements are no turns, however many
        ([5, 8, 7, 8, 7, 8, 7], Swing(8, 1)),
        # the same command again is no movement
        ([5, 8, 5, 5, 5], Swing(5, -1, (20.0,))),
        # across zero it is a movement like any other
        ([-2, 2, -2], Swing(-2, -1, (20.0,))),
    ],
)
def test_turns_are_counted_where_the_way_changes(commands_kw, expected):
    assert played(commands_kw) == expected


def test_a_small_amplitude_counts_small_movements():
    assert played([5.0, 5.5, 5.0], amplitude=0.5) == Swing(5.0, -1, (20.0,))


def test_it_swings_from_many_turns_on_until_few_are_left():
    to_and_fro = [0.0, *([5.0, 0.0] * MANY_TURNS)]
    seen = [played(to_and_fro[:count]) for count in range(1, len(to_and_fro))]
    assert [swing.swinging for swing in seen] == [len(swing.turns_s) >= MANY_TURNS for swing in seen]
    last = played(to_and_fro[: MANY_TURNS + 2])
    assert last.swinging
    assert len(last.turns_s) == MANY_TURNS
    left = {}
    for later_s in range(0, 900, 10):
        calm = follow(last, last.extreme_kw, 3.0, last.turns_s[-1] + later_s)
        left[len(calm.turns_s)] = calm.swinging
    assert left == {count: count > FEW_TURNS for count in range(MANY_TURNS + 1)}


def test_turns_are_forgotten_after_the_window():
    swing = Swing(0.0, -1, (0.0, 0.1, 100.0))
    assert follow(swing, 0.0, 3.0, WINDOW_S - 0.1).turns_s == (0.0, 0.1, 100.0)
    assert follow(swing, 0.0, 3.0, WINDOW_S).turns_s == (0.1, 100.0)


@given(st.lists(st.integers(-9, 9), min_size=1, max_size=40))
def test_law_turns_are_the_corners_of_the_zigzag_that_small_movements_leave(commands):
    """Count them in another way: scan for the first movement, then for the largest fall or rise from each corner."""
    turns, start, way = 0, 0, 0
    while True:
        corner, found = start, False
        for index in range(start, len(commands)):
            if way and (commands[index] - commands[corner]) * way > 0:
                corner = index
            back = (commands[index] - commands[corner]) * (-way if way else 1)
            if (way and back >= 3) or (not way and abs(commands[index] - commands[start]) >= 3):
                turns += bool(way)
                way = -way if way else (1 if commands[index] > commands[start] else -1)
                start, found = index, True
                break
        if not found:
            break
    assert len(played(commands, step_s=1.0).turns_s) == turns


@pytest.mark.parametrize(
    ("lever", "held_kw", "ago_s", "wanted_kw", "expected_kw"),
    [
        # less goes ahead as ever
        (BATTERY, 10.0, 0.0, 5.0, 5.0),
        (BATTERY, -10.0, 0.0, 0.0, 0.0),
        (CAR, 22.0, 0.0, 4.14, 4.14),
        # more waits
        (BATTERY, 10.0, CALM_HOLD_S - 1.0, 15.0, 10.0),
        (BATTERY, 10.0, CALM_HOLD_S, 15.0, 15.0),
        (HEAT, 2.0, CALM_HOLD_S - 1.0, 5.0, 2.0),
        (BATTERY, 0.5, 0.0, 1.5, 0.5),
        # and is worth four deadbands
        (BATTERY, 10.0, 999.0, 11.9, 10.0),
        (BATTERY, 10.0, 999.0, 12.0, 12.0),
        (HEAT, 2.0, 999.0, 2.7, 2.0),
        (HEAT, 2.0, 999.0, 2.8, 2.8),
        # across zero it goes in two steps
        (BATTERY, -10.0, 0.0, 10.0, 0.0),
        (BATTERY, -10.0, CALM_HOLD_S, 10.0, 10.0),
        (BATTERY, 1.0, 999.0, -0.9, 0.0),
        (BATTERY, 0.0, CALM_HOLD_S - 1.0, 10.0, 0.0),
    ],
)
def test_what_swings_is_calmed_on_the_way_up_only(lever, held_kw, ago_s, wanted_kw, expected_kw):
    assert shape(lever, wanted_kw, Held(held_kw, NOW_S - ago_s), NOW_S, swinging=True) == pytest.approx(expected_kw)


KW = st.floats(-40, 40)


@given(st.sampled_from([BATTERY, CAR, HEAT, PV]), KW, st.floats(0, 1), st.floats(0, 300))
def test_law_no_reducing_command_is_calmed(lever, held_kw, share, ago_s):
    held = Held(whole_steps(lever, held_kw), NOW_S - ago_s)
    assert held.kw is not None
    wanted_kw = share * held.kw
    assert shape(lever, wanted_kw, held, NOW_S, swinging=True) == shape(lever, wanted_kw, held, NOW_S)


@given(st.sampled_from([BATTERY, CAR, HEAT, PV]), KW, KW, st.floats(0, 300), st.floats(0, 40), st.booleans())
def test_law_no_limit_waits_because_an_asset_swings(lever, wish_kw, held_kw, ago_s, limit_kw, narrow):
    limit = Bound(Rung.GRID, -limit_kw if narrow else -inf, limit_kw, "limit")
    held = Held(whole_steps(lever, held_kw), NOW_S - ago_s)
    decision = arbitrate(lever, Wish(Rung.PLAN, wish_kw, "plan"), [limit], held, NOW_S, swinging=True)
    assert decision.kw is not None
    assert decision.kw <= limit_kw
    assert not narrow or decision.kw >= -limit_kw


@given(st.sampled_from([BATTERY, CAR, HEAT, PV]), KW, KW, st.floats(0, 300))
def test_law_calmed_it_is_never_further_from_zero_than_it_is_or_would_be(lever, wish_kw, held_kw, ago_s):
    held = Held(whole_steps(lever, held_kw), NOW_S - ago_s)
    assert held.kw is not None
    calmed, free = shape(lever, wish_kw, held, NOW_S, swinging=True), shape(lever, wish_kw, held, NOW_S)
    assert abs(calmed) <= max(abs(held.kw), abs(free)) + 1e-9


def test_an_asset_that_swings_every_second_is_slowed_to_minutes_and_let_go_afterwards():
    site = make_site()
    conduct = Conduct(levers_of(site), bind(site), 1.0)
    held, ups_s, swung = Held(0.0, 0.0), [], []
    for second in range(3600):
        now_s = float(second)
        conduct.see(snapshot(now_s=now_s), {"battery": held})
        wish_kw = (20.0 if second % 2 else -20.0) if second < 1800 else 5.0
        calm = "battery" in conduct.swinging
        decision = arbitrate(BATTERY, Wish(Rung.PLAN, wish_kw, "plan"), [], held, now_s, swinging=calm)
        assert decision.kw is not None
        if decision.kw != held.kw:
            if calm and abs(decision.kw) > abs(held.kw or 0.0):
                ups_s.append(now_s)
            held = Held(decision.kw, now_s)
        swung.append(calm)
    assert swung.index(True) <= MANY_TURNS + 3
    assert all(swung[swung.index(True) : 1800])
    assert all(later - sooner >= CALM_HOLD_S for sooner, later in pairwise(ups_s))
    assert ups_s
    assert not any(swung[1800 + int(WINDOW_S) :])
    assert held.kw == 5.0


def test_what_is_remembered_goes_by_commands_in_force():
    site = make_site()
    conduct = Conduct(levers_of(site), bind(site), 1.0)
    conduct.see(snapshot(now_s=1.0), {"battery": Held(5.0, 0.0), "heat": Held(None, 0.0)})
    conduct.see(snapshot(now_s=2.0), {"battery": Held(9.0, 0.0), "heat": Held(None, 0.0)})
    assert conduct.swings == {"battery": Swing(9.0, 1)}
    assert conduct.swinging == frozenset()
    conduct.see(snapshot(now_s=3.0), {"battery": Held(None, 0.0)})
    assert conduct.swings == {}


def test_steering_calms_what_swings():
    site = make_site()
    scene = SceneMaker(site)(
        plan=make_plan({"battery": 15.0, "heat": 2.0, "car": 0.0, "pv": -10.0}, grid_kw=40.0),
        held_kw={"battery": 14.0},
        at=NOW,
    )
    steering = Steering(site, bind(site), levers_of(site))
    assert steering.decide(scene).decisions["battery"].kw == 15.0
    assert steering.decide(replace(scene, swinging=frozenset({"battery"}))).decisions["battery"].kw == 14.0


def test_the_alarm_says_which_and_ends():
    journal = Journal()
    alarms = Alarms(journal.record)
    watchman = Watchman(alarms, Health(journal.record), {})
    swinging = {"battery": Swing(0.0, 1, (), swinging=True), "car": Swing(0.0, 1)}
    watchman.steady(LEVERS, swinging, NOW)
    (alarm,) = alarms.active
    assert alarm.key == "oscillation:battery"
    assert alarm.text == "battery was told to and fro 30 times within 10 min: it is calmed"
    watchman.steady(LEVERS, {}, NOW)
    assert alarms.active == ()


def test_calm_is_calmer_than_usual():
    assert all(moves.hold_s < CALM_HOLD_S for moves in MOVES.values())
    assert CALM_DEADBANDS > 1.0
    assert WINDOW_S / (CALM_HOLD_S + 10.0) > FEW_TURNS, "an alarm must not end while it swings on, calmed"
