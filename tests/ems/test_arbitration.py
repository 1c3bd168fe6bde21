"""The safety kernel: given a wish, bounds and the command in force, expect a decision."""

from __future__ import annotations

from math import inf, isfinite, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stage import levers_of, make_site

from ems.arbitration import MOVES, arbitrate, clamp, is_reducing, narrow, runnable, shape, whole_steps
from ems.fast.decisions import AssetKind, Bound, Decision, Held, Rung, Wish

LEVERS = levers_of(make_site())
BATTERY, CAR, HEAT, PV = LEVERS["battery"], LEVERS["car"], LEVERS["heat"], LEVERS["pv"]
LONG_AGO = 0.0
NOW_S = 1000.0


def wish(kw: float | None, rung: Rung = Rung.PLAN) -> Wish:
    return Wish(rung, kw, "because")


def bound(rung: Rung, lower: float, upper: float) -> Bound:
    return Bound(rung, lower, upper, f"{rung} says so")


@pytest.mark.parametrize(
    ("bounds", "interval"),
    [
        ([], (-inf, inf)),
        ([bound(Rung.DEVICE, -30, 30)], (-30, 30)),
        ([bound(Rung.DEVICE, -30, 30), bound(Rung.GRID, -inf, 10)], (-30, 10)),
        ([bound(Rung.GRID, -inf, 10), bound(Rung.DEVICE, -30, 30), bound(Rung.OPERATOR, 20, 20)], (10, 10)),
        ([bound(Rung.DEVICE, 0, 5), bound(Rung.OPERATOR, -20, -10)], (0, 0)),
        ([bound(Rung.LOCKOUT, 0, 0), bound(Rung.DEVICE, 5, 10)], (0, 0)),
        ([bound(Rung.BUILDING, 0, 4), bound(Rung.GRID, 6, 9)], (4, 4)),
    ],
)
def test_bounds_are_nested_and_the_higher_one_wins(bounds, interval):
    assert narrow(bounds)[:2] == interval


@pytest.mark.parametrize(
    ("given_kw", "bounds", "expect_kw", "by"),
    [
        (12.0, [bound(Rung.DEVICE, -30, 30)], 12.0, Rung.PLAN),
        (40.0, [bound(Rung.DEVICE, -30, 30)], 30.0, Rung.DEVICE),
        (-40.0, [bound(Rung.DEVICE, -30, 30)], -30.0, Rung.DEVICE),
        (20.0, [bound(Rung.DEVICE, -30, 30), bound(Rung.GRID, -inf, 8)], 8.0, Rung.GRID),
        (20.0, [bound(Rung.DEVICE, -30, 30), bound(Rung.OPERATOR, -5, -5)], -5.0, Rung.OPERATOR),
        (-5.0, [bound(Rung.DEVICE, -30, 30), bound(Rung.OPERATOR, -5, -5)], -5.0, Rung.OPERATOR),
        (-5.0, [bound(Rung.DEVICE, -30, 30), bound(Rung.OPERATOR, -5, 5)], -5.0, Rung.PLAN),
        (20.0, [bound(Rung.GRID, -inf, 3), bound(Rung.OPERATOR, 9, 9)], 3.0, Rung.GRID),
        (nan, [bound(Rung.DEVICE, -30, 30)], 0.0, Rung.PLAN),
        (inf, [bound(Rung.DEVICE, 2, 30)], 2.0, Rung.DEVICE),
    ],
)
def test_a_wish_is_clamped_and_the_decision_names_who_did_it(given_kw, bounds, expect_kw, by):
    decision = clamp("battery", wish(given_kw), bounds)
    assert (decision.kw, decision.rung) == (expect_kw, by)
    assert decision.reason == ("because" if by is Rung.PLAN else f"{by} says so")


def test_a_release_passes_as_a_release():
    decision = arbitrate(HEAT, wish(None, Rung.SAFE), [bound(Rung.DEVICE, 0, 10)], Held(5.0, 0.0), NOW_S)
    assert decision == Decision("heat", None, Rung.SAFE, "because")


@pytest.mark.parametrize(
    ("lever", "wanted_kw", "expect_kw"),
    [
        (BATTERY, 12.34, 12.3),
        (BATTERY, -12.34, -12.3),
        (BATTERY, 99.0, 30.0),
        (CAR, 22.0, 22.0),
        (CAR, 21.9, 31 * 0.69),
        (CAR, 99.0, 22.0),
        (CAR, 6 * 0.69, 6 * 0.69),
        (CAR, 5.9 * 0.69, 4.14),
        (CAR, 2.9 * 0.69, 0.0),
        (CAR, 7.6 * 0.69, 7 * 0.69),
        (HEAT, 3.19, 3.0),
        (PV, -41.4, -41.0),
    ],
)
def test_whole_steps_towards_zero_and_no_power_at_which_it_cannot_run(lever, wanted_kw, expect_kw):
    assert whole_steps(lever, wanted_kw) == pytest.approx(expect_kw)


@pytest.mark.parametrize(
    ("lever", "held_kw", "since_s", "wanted_kw", "expect_kw"),
    [
        # deadband: trifles are not re-issued, but a stop is no trifle
        (BATTERY, 10.0, LONG_AGO, 10.4, 10.0),
        (BATTERY, 10.0, LONG_AGO, 9.6, 10.0),
        (BATTERY, 10.0, LONG_AGO, 10.6, 10.6),
        (BATTERY, 0.3, LONG_AGO, 0.0, 0.0),
        (BATTERY, 0.0, LONG_AGO, 0.3, 0.3),
        # that of a small heat pump goes by its rating, or it would stay off the plan for hours
        (HEAT, 3.0, LONG_AGO, 3.19, 3.0),
        (HEAT, 3.0, LONG_AGO, 3.2, 3.2),
        (HEAT, 3.0, LONG_AGO, 2.8, 2.8),
        # down fast
        (CAR, 22.0, NOW_S, 4.14, 4.14),
        (CAR, 22.0, NOW_S, 0.0, 0.0),
        (HEAT, 10.0, NOW_S, 2.0, 2.0),
        # up slow: hold first, then a ramp that does not save up
        (CAR, 4.14, NOW_S - 10, 20.7, 4.14),
        (CAR, 4.14, NOW_S - 20, 20.7, 20 * 0.69),
        (CAR, 0.0, LONG_AGO, 20.7, 21 * 0.69),
        (HEAT, 0.0, NOW_S - 10, 10.0, 0.0),
        (HEAT, 0.0, NOW_S - 20, 10.0, 4.0),
        (HEAT, 0.0, LONG_AGO, 10.0, 6.0),
        # a battery turns round at once
        (BATTERY, -20.0, NOW_S - 10, 20.0, 20.0),
    ],
)
def test_down_fast_up_slow(lever, held_kw, since_s, wanted_kw, expect_kw):
    assert shape(lever, wanted_kw, Held(held_kw, since_s), NOW_S) == pytest.approx(expect_kw)


def test_without_a_command_in_force_a_move_is_free():
    assert shape(CAR, 20.7, None, NOW_S) == pytest.approx(20.7)
    assert shape(HEAT, 8.0, Held(None, NOW_S), NOW_S) == pytest.approx(8.0)


@pytest.mark.parametrize(("lever", "held_kw", "limit_kw"), [(CAR, 20.7, 20.0), (BATTERY, 10.0, 9.9), (HEAT, 9.0, 8.9)])
def test_a_tightened_limit_bypasses_deadband_hold_and_ramp(lever, held_kw, limit_kw):
    decision = arbitrate(lever, wish(held_kw), [bound(Rung.GRID, -inf, limit_kw)], Held(held_kw, NOW_S), NOW_S)
    assert decision.kw is not None
    assert limit_kw - lever.step_kw < decision.kw <= limit_kw
    assert decision.rung is Rung.GRID


def test_a_limit_below_the_least_running_power_is_a_standstill():
    decision = arbitrate(CAR, wish(20.7), [bound(Rung.GRID, -inf, 3.0)], Held(20.7, NOW_S), NOW_S)
    assert (decision.kw, decision.rung) == (0.0, Rung.GRID)
    assert runnable(CAR, Decision("car", 4.14, Rung.PLAN, "")).kw == 4.14


@pytest.mark.parametrize(
    ("lever", "old_kw", "new_kw", "reducing"),
    [
        (BATTERY, 10.0, 5.0, True),
        (BATTERY, 10.0, 15.0, False),
        (BATTERY, 10.0, -5.0, False),
        (BATTERY, -10.0, -5.0, True),
        (BATTERY, None, 0.0, True),
        (BATTERY, None, 1.0, False),
        (HEAT, 5.0, None, True),
        (PV, -40.0, -30.0, True),
        (PV, -40.0, -50.0, False),
        (PV, -10.0, -20.0, True),
        (CAR, 0.0, 4.14, True),
    ],
)
def test_reducing_commands_and_safe_values_need_not_wait_for_the_journal(lever, old_kw, new_kw, reducing):
    held = None if old_kw is None else Held(old_kw, 0.0)
    assert is_reducing(held, Decision(lever.asset, new_kw, Rung.PLAN, ""), lever) is reducing


KW = st.one_of(st.floats(-200, 200), st.sampled_from([nan, inf, -inf, 0.0]))
EDGES = st.tuples(st.floats(-60, 60), st.floats(0, 60)).map(lambda pair: (pair[0], pair[0] + pair[1]))
BOUNDS = st.lists(
    st.tuples(st.sampled_from([Rung.LOCKOUT, Rung.BUILDING, Rung.GRID, Rung.OPERATOR]), EDGES).map(
        lambda pair: bound(pair[0], *pair[1])
    ),
    max_size=5,
)


@given(st.sampled_from(list(LEVERS.values())), KW, BOUNDS, st.one_of(st.none(), st.floats(-60, 60)), st.floats(0, 100))
def test_law_a_decision_is_finite_and_within_every_bound_that_outranks_the_others(lever, kw, bounds, held_kw, ago_s):
    rating = bound(Rung.DEVICE, lever.lower_kw, lever.upper_kw)
    bounds = [b for b in bounds if b.rung is not Rung.LOCKOUT] + [rating]
    held = None if held_kw is None else Held(held_kw, NOW_S - ago_s)
    decision = arbitrate(lever, wish(kw), bounds, held, NOW_S)
    assert decision.kw is not None
    assert isfinite(decision.kw)
    assert lever.lower_kw - 1e-9 <= decision.kw <= lever.upper_kw + 1e-9
    assert decision.kw == 0.0 or abs(decision.kw) >= lever.minimum_kw - 1e-6
    lower, upper, _, _ = narrow(bounds)
    assert decision.kw == 0.0 or lower - 1e-9 <= decision.kw <= upper + 1e-9


@given(BOUNDS, st.randoms())
def test_law_the_order_in_which_bounds_are_given_does_not_matter(bounds, random):
    unique = list({b.rung: b for b in bounds}.values())
    shuffled = unique[:]
    random.shuffle(shuffled)
    assert narrow(unique)[:2] == narrow(shuffled)[:2]


@given(st.sampled_from([BATTERY, CAR, HEAT]), st.floats(-30, 30), st.floats(-30, 30), st.floats(0, 100))
def test_law_a_move_never_passes_its_target(lever, held_kw, wanted_kw, ago_s):
    held_kw, wanted_kw = whole_steps(lever, held_kw), whole_steps(lever, wanted_kw)
    moved = shape(lever, wanted_kw, Held(held_kw, NOW_S - ago_s), NOW_S)
    low, high = sorted((held_kw, wanted_kw))
    assert low - 1e-9 <= moved <= high + 1e-9


@given(st.floats(1.0, 80.0), st.floats(0.1, 1.0), st.floats(0.0, 1.0))
def test_law_a_heat_pump_of_any_size_comes_near_its_plan(rated_kw, wanted_share, held_share):
    lever = levers_of(make_site({"assets.heat.rated_kw": rated_kw}))["heat"]
    wanted_kw, held_kw = wanted_share * rated_kw, whole_steps(lever, held_share * rated_kw)
    for cycle in range(40):
        held_kw = shape(lever, wanted_kw, Held(held_kw, NOW_S + 30.0 * cycle - 30.0), NOW_S + 30.0 * cycle)
    assert abs(held_kw - wanted_kw) <= min(0.6, max(0.04 * rated_kw, 0.1)) + 1e-6


def test_every_kind_has_its_moves():
    assert set(MOVES) == set(AssetKind)
