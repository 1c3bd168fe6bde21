"""Laws of the safety kernel: whatever is wished, bounded and held, what may a decision never be?"""

from __future__ import annotations

from dataclasses import replace
from math import inf, isfinite, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stage import levers_of, make_site

from ems.arbitration import (
    LONGEST_RAMP_S,
    MOVES,
    Moves,
    arbitrate,
    clamp,
    is_reducing,
    narrow,
    runnable,
    shape,
    whole_steps,
)
from ems.config.binding import bind
from ems.fast.ceilings import SETTLED_S, learn_ceiling
from ems.fast.decisions import STORES, AssetKind, Bound, Decision, Held, Rung, Wish

LEVERS = levers_of(make_site())
BATTERY, CAR, HEAT, PV = LEVERS["battery"], LEVERS["car"], LEVERS["heat"], LEVERS["pv"]
NOW_S = 1000.0
EPS = 1e-9
ABOVE = (Rung.LOCKOUT, Rung.DEVICE, Rung.BUILDING, Rung.GRID, Rung.OPERATOR)
"""The rungs that limit, highest first, as the house rules name them."""

KW = st.floats(-70, 70).map(lambda kw: round(kw, 3))
ANY_KW = st.one_of(KW, st.sampled_from([nan, inf, -inf, 0.0, 1e300, -1e300, 5e-324]))
AGO_S = st.floats(0, 100)
LEVER = st.sampled_from(list(LEVERS.values()))
HELD = st.one_of(st.none(), st.tuples(st.one_of(st.none(), KW), AGO_S).map(lambda h: Held(h[0], NOW_S - h[1])))
EDGES = st.tuples(KW, st.floats(0, 40)).map(lambda pair: (pair[0], pair[0] + pair[1]))
BOUNDS = st.lists(st.tuples(st.sampled_from(ABOVE), EDGES), max_size=6, unique_by=lambda pair: pair[0]).map(
    lambda pairs: [Bound(rung, *edges, f"{rung} says so") for rung, edges in pairs]
)


def nested(bounds: list[Bound]) -> tuple[float, float]:
    """Nest bounds in another way: intersect them by rank; one that misses what is left is its nearest end."""
    low, high = -inf, inf
    for rung in ABOVE:
        for bound in (b for b in bounds if b.rung is rung):
            if bound.lower_kw > high:
                low = high
            elif bound.upper_kw < low:
                high = low
            else:
                low, high = max(low, bound.lower_kw), min(high, bound.upper_kw)
    return low, high


@given(BOUNDS)
def test_law_nesting_is_intersection_by_rank(bounds):
    assert narrow(bounds)[:2] == nested(bounds)


@given(LEVER, ANY_KW, BOUNDS, HELD, st.sampled_from([Rung.PLAN, Rung.RULES, Rung.DEMAND]))
def test_law_whatever_is_wished_the_decision_is_a_standstill_or_within_what_every_rung_leaves(
    lever, kw, bounds, held, rung
):
    decision = arbitrate(lever, Wish(rung, kw, "because"), bounds, held, NOW_S)
    assert decision.kw is not None
    assert isfinite(decision.kw)
    for count in range(len(ABOVE) + 1):
        low, high = nested([bound for bound in bounds if bound.rung in ABOVE[:count]])
        assert decision.kw == 0.0 or low - EPS <= decision.kw <= high + EPS


@given(LEVER, BOUNDS, HELD)
def test_law_a_release_stays_a_release_with_its_reason(lever, bounds, held):
    wish = Wish(Rung.SAFE, None, "its own control")
    assert arbitrate(lever, wish, bounds, held, NOW_S) == Decision(lever.asset, None, Rung.SAFE, "its own control")


@given(LEVER, ANY_KW, st.floats(0, 60), HELD, st.sampled_from(ABOVE))
def test_law_a_tightened_limit_holds_in_the_same_cycle_whatever_deadband_hold_and_ramp_say(
    lever, kw, limit_kw, held, rung
):
    limit = Bound(rung, -limit_kw, limit_kw, "tightened")
    decision = arbitrate(lever, Wish(Rung.PLAN, kw, "because"), [limit], held, NOW_S)
    assert decision.kw is not None
    assert abs(decision.kw) <= limit_kw


@given(LEVER, KW, st.floats(0, 1), AGO_S)
def test_law_less_is_told_at_once_unless_it_is_a_trifle(lever, held_kw, share, ago_s):
    held_kw = whole_steps(lever, held_kw)
    wanted_kw = whole_steps(lever, share * held_kw)
    told_kw = shape(lever, share * held_kw, Held(held_kw, NOW_S - ago_s), NOW_S)
    assert abs(told_kw) <= abs(held_kw)
    assert told_kw == wanted_kw or abs(wanted_kw - held_kw) < MOVES[lever.kind].deadband_kw
    assert told_kw == 0.0 or wanted_kw != 0.0


@given(st.sampled_from([CAR, HEAT]), st.floats(0, 1), st.floats(0, 1), AGO_S)
def test_law_more_comes_no_faster_than_the_ramp_and_not_within_the_hold(lever, held_share, wanted_share, ago_s):
    held_kw = whole_steps(lever, held_share * lever.rating_kw)
    told_kw = shape(lever, wanted_share * lever.rating_kw, Held(held_kw, NOW_S - ago_s), NOW_S)
    moves = MOVES[lever.kind]
    reach_kw = max(moves.ramp_kw_per_s * min(ago_s, LONGEST_RAMP_S), lever.minimum_kw, lever.step_kw)
    assert told_kw <= held_kw + reach_kw + EPS
    if NOW_S - (NOW_S - ago_s) < moves.hold_s:
        assert told_kw <= held_kw


@given(LEVER, ANY_KW)
def test_law_whole_steps_exceed_neither_the_rating_nor_the_wish_but_for_the_least_running_power(lever, kw):
    if not isfinite(kw):
        kw = 0.0
    steps_kw = whole_steps(lever, kw)
    assert abs(steps_kw) <= lever.rating_kw
    assert steps_kw * kw >= 0.0
    lifted = steps_kw != 0.0 and abs(abs(steps_kw) - lever.minimum_kw) < EPS and abs(kw) >= 0.45 * lever.minimum_kw
    assert abs(steps_kw) <= abs(kw) + 1e-5 * lever.step_kw or lifted
    assert steps_kw == 0.0 or abs(steps_kw) >= lever.minimum_kw - 1e-6
    if abs(kw) >= lever.minimum_kw:
        assert abs(steps_kw) > min(abs(kw), lever.rating_kw) - lever.step_kw
    assert whole_steps(lever, steps_kw) == pytest.approx(steps_kw)


@given(st.sampled_from([1, 3]), st.floats(100, 400), st.integers(6, 32), st.integers(0, 999))
def test_law_a_charge_point_is_told_whole_amperes_exactly(phases, voltage_v, amperes, milliamperes):
    site = make_site({"assets.car.phases": phases, "assets.car.voltage_v": voltage_v, "assets.car.charge_kw": 100.0})
    lever, command = levers_of(site)["car"], bind(site).command("car")
    assert command is not None
    whole_kw = command.to_kw(amperes)
    told = [whole_steps(lever, whole_kw), whole_steps(lever, command.to_kw(min(amperes + milliamperes / 1000.0, 32.0)))]
    assert [command.to_point(kw) for kw in told] == [amperes, amperes]


@given(st.floats(0, 1), st.floats(0, 1), AGO_S, st.floats(0, 1))
def test_law_ramps_and_limits_leave_a_charge_point_on_whole_amperes_too(held_share, wanted_share, ago_s, limit_share):
    held = Held(whole_steps(CAR, held_share * 21.0), NOW_S - ago_s)
    limit = Bound(Rung.GRID, 0.0, limit_share * 21.9, "less")
    decision = arbitrate(CAR, Wish(Rung.PLAN, wanted_share * 21.9, "because"), [limit], held, NOW_S)
    assert decision.kw is not None
    amperes = decision.kw / CAR.step_kw
    assert amperes == pytest.approx(round(amperes), abs=1e-6)


def test_what_leaves_no_whole_step_is_told_as_it_is():
    fixed = Bound(Rung.OPERATOR, 10.0, 10.0, "override by Ada")
    assert arbitrate(CAR, Wish(Rung.PLAN, 20.7, "because"), [fixed], None, NOW_S).kw == 10.0
    forced = Bound(Rung.GRID, 10.0, 14.0, "between")
    assert arbitrate(CAR, Wish(Rung.PLAN, 20.7, "because"), [forced], Held(20.7, NOW_S), NOW_S).kw == pytest.approx(
        13.8
    )


@pytest.mark.parametrize(
    ("lever", "wish_kw", "edges_kw", "held_kw", "expected_kw"),
    [
        # the deadband would keep what the limit forbids: told is the whole step below the limit
        (CAR, 10.35, (0.0, 7.2), 7.3, 10 * 0.69),
        (CAR, 10.35, (10 * 0.69, 7.2), 7.3, 10 * 0.69),
        (CAR, 10.35, (7.0, 7.2), 7.3, 7.2),
        (BATTERY, 12.0, (-30.0, 9.87), 10.0, 9.8),
        (BATTERY, -12.0, (-9.87, 30.0), -10.0, -9.8),
        # the hold would keep what must rise: no step lies below
        (HEAT, 9.0, (3.1, 10.0), 2.0, 3.1),
        (BATTERY, 0.1, (0.0, 5.0), -0.3, 0.0),
        # what no limit touches stays, whole step or not
        (CAR, 10.2, (0.0, 22.0), 10.0, 10.0),
        (BATTERY, 15.0, (-30.0, 30.0), 10.0, 15.0),
    ],
)
def test_what_a_limit_forces_is_a_whole_step_within_it(lever, wish_kw, edges_kw, held_kw, expected_kw):
    limit = Bound(Rung.GRID, *edges_kw, "limit")
    decision = arbitrate(lever, Wish(Rung.PLAN, wish_kw, "because"), [limit], Held(held_kw, NOW_S), NOW_S)
    assert decision.kw == pytest.approx(expected_kw)


@given(LEVER, st.one_of(st.none(), KW), st.one_of(st.none(), KW))
def test_law_a_command_is_reducing_if_it_is_nearer_to_zero_on_the_same_side_or_the_safe_value(lever, old_kw, new_kw):
    lever = replace(lever, safe_kw=7.0)
    held = None if old_kw is None else Held(old_kw, 0.0)
    nearer = new_kw is None or (abs(new_kw) <= abs(old_kw or 0.0) and (new_kw >= 0) == ((old_kw or 0.0) >= 0))
    expected = nearer or new_kw in (0.0, 7.0)
    assert is_reducing(held, Decision(lever.asset, new_kw, Rung.PLAN, ""), lever) is expected


@pytest.mark.parametrize(
    ("wish_kw", "limit_kw", "held", "expected"),
    [
        (10.35, 22.0, None, Decision("car", 10.35, Rung.PLAN, "because")),
        (10.35, 22.0, Held(6.9, NOW_S - 1.0), Decision("car", 6.9, Rung.PLAN, "because")),
        (10.35, 22.0, Held(0.0, NOW_S - 1.0), Decision("car", 0.0, Rung.PLAN, "because")),
        (10.35, 6.9, None, Decision("car", 6.9, Rung.GRID, "grid says so")),
        (10.35, 6.9, Held(10.35, NOW_S), Decision("car", 6.9, Rung.GRID, "grid says so")),
        (10.35, 6.9, Held(7.2, NOW_S), Decision("car", 6.9, Rung.GRID, "grid says so")),
        (10.35, 1.0, Held(10.35, NOW_S), Decision("car", 0.0, Rung.GRID, "grid says so")),
        (10.35, 3.0, None, Decision("car", 0.0, Rung.GRID, "grid says so")),
        (-5.0, 22.0, None, Decision("car", 0.0, Rung.GRID, "grid says so")),
    ],
)
def test_a_decision_is_told_whole_with_its_owner_and_its_reason(wish_kw, limit_kw, held, expected):
    limit = Bound(Rung.GRID, 0.0, limit_kw, "grid says so")
    decision = arbitrate(CAR, Wish(Rung.PLAN, wish_kw, "because"), [limit], held, NOW_S)
    assert (decision.asset, decision.rung, decision.reason) == (expected.asset, expected.rung, expected.reason)
    assert decision.kw == pytest.approx(expected.kw)


@pytest.mark.parametrize(
    ("kw", "expected_kw"), [(None, None), (0.0, 0.0), (1.0, 0.0), (-1.0, 0.0), (4.13, 0.0), (4.14, 4.14), (9.0, 9.0)]
)
def test_a_power_below_the_least_is_a_standstill_for_the_same_reason(kw, expected_kw):
    decision = Decision("car", kw, Rung.GRID, "grid says so")
    assert runnable(CAR, decision) == replace(decision, kw=expected_kw)


ON_OFF = replace(HEAT, minimum_kw=10.0)
COARSE = replace(HEAT, step_kw=5.0)
FINE = replace(HEAT, step_kw=0.05)


@pytest.mark.parametrize(
    ("lever", "held_kw", "ago_s", "wanted_kw", "expected_kw"),
    [
        # what can only run or stand starts although its ramp would not reach so far, but not within the hold
        (ON_OFF, 0.0, 20.0, 10.0, 10.0),
        (ON_OFF, 0.0, 19.9, 10.0, 0.0),
        (ON_OFF, 10.0, 0.0, 4.0, 0.0),
        # what moves in coarse steps moves by one at least
        (COARSE, 5.0, 20.0, 10.0, 10.0),
        (COARSE, 0.0, 20.0, 10.0, 5.0),
        # the deadband of a heat pump is a share of its rating, where that is less
        (FINE, 3.0, 50.0, 3.1, 3.0),
        (FINE, 3.0, 50.0, 2.9, 3.0),
        (FINE, 3.0, 50.0, 3.2, 3.2),
        # the same again is no movement, wherever it stands
        (CAR, 6.9, 0.0, 6.9, 6.9),
        (CAR, 0.0, 0.0, 0.0, 0.0),
    ],
)
def test_moves_of_odd_assets(lever, held_kw, ago_s, wanted_kw, expected_kw):
    assert shape(lever, wanted_kw, Held(held_kw, NOW_S - ago_s), NOW_S) == pytest.approx(expected_kw)


@pytest.mark.parametrize(
    ("kw", "expected_kw"), [(1.9, 0.0), (2.0, 4.0), (3.9, 4.0), (4.0, 4.0), (5.9, 4.0), (6.0, 6.0), (-0.0, 0.0)]
)
def test_from_half_of_the_least_running_power_on_it_runs(kw, expected_kw):
    steps_kw = whole_steps(replace(HEAT, minimum_kw=4.0, step_kw=2.0), kw)
    assert steps_kw == expected_kw
    assert str(steps_kw) == str(expected_kw), "a standstill has no sign"


@pytest.mark.parametrize(
    ("old_kw", "new_kw", "reducing"),
    [(5.0, 5.0, True), (5.0, 5.1, False), (0.5, 0.4, True), (0.5, -0.4, False), (None, 0.0, True), (-5.0, -4.0, True)],
)
def test_the_same_again_is_reducing_and_the_other_side_is_not(old_kw, new_kw, reducing):
    held = None if old_kw is None else Held(old_kw, 0.0)
    assert is_reducing(held, Decision("battery", new_kw, Rung.PLAN, ""), replace(BATTERY, safe_kw=9.0)) is reducing


def test_the_ranks_are_those_of_the_house():
    assert tuple(Rung)[: len(ABOVE)] == ABOVE
    assert {
        AssetKind.BATTERY: Moves(0.5, inf, 0.0, inf),
        AssetKind.HYBRID: Moves(0.5, inf, 0.0, inf),
        AssetKind.CHARGE_POINT: Moves(0.6, 0.5, 20.0, inf),
        AssetKind.GENSET: Moves(0.5, inf, 20.0, inf),
        AssetKind.DEFERRABLE: Moves(0.0, inf, 0.0, inf),
        AssetKind.HEAT_PUMP: Moves(0.4, 0.2, 20.0, 0.02),
        AssetKind.CHILLER: Moves(0.4, 0.2, 20.0, 0.02),
        AssetKind.PV: Moves(0.5, inf, 0.0, inf),
        AssetKind.BOILER: Moves(0.5, inf, 20.0, 0.02),
        AssetKind.PIPE: Moves(0.5, inf, 20.0, 0.02),
        AssetKind.COLD_PIPE: Moves(0.5, inf, 20.0, 0.02),
    } == MOVES
    assert {AssetKind.BATTERY, AssetKind.HYBRID} == STORES


@pytest.mark.parametrize(
    ("kw", "bounds", "expected"),
    [
        # who sets an edge first keeps it, and its name, until a lower rung tightens it
        (9.0, [(Rung.DEVICE, 0, 5), (Rung.GRID, 0, 5)], (5.0, Rung.DEVICE)),
        (9.0, [(Rung.DEVICE, 0, 5), (Rung.GRID, 0, 4)], (4.0, Rung.GRID)),
        (-9.0, [(Rung.DEVICE, -5, 0), (Rung.GRID, -5, 0)], (-5.0, Rung.DEVICE)),
        (-9.0, [(Rung.DEVICE, -5, 0), (Rung.GRID, -4, 0)], (-4.0, Rung.GRID)),
        # a fixed value of the operator is his, that of anybody else is a limit like any other
        (3.0, [(Rung.OPERATOR, 3, 3)], (3.0, Rung.OPERATOR)),
        (3.0, [(Rung.GRID, 3, 3)], (3.0, Rung.PLAN)),
        (3.0, [(Rung.GRID, 3, 9), (Rung.OPERATOR, 0, 3)], (3.0, Rung.PLAN)),
        (3.0, [(Rung.OPERATOR, 3, 4)], (3.0, Rung.PLAN)),
        # at an edge the wish is its own reason
        (5.0, [(Rung.DEVICE, 0, 5)], (5.0, Rung.PLAN)),
        (0.0, [(Rung.DEVICE, 0, 5)], (0.0, Rung.PLAN)),
        (-inf, [(Rung.DEVICE, 2, 5)], (2.0, Rung.DEVICE)),
        (nan, [(Rung.DEVICE, -5, -2)], (-2.0, Rung.DEVICE)),
    ],
)
def test_an_edge_has_one_owner(kw, bounds, expected):
    limits = [Bound(rung, low, high, f"{rung} says so") for rung, low, high in bounds]
    decision = clamp("battery", Wish(Rung.PLAN, kw, "because"), limits)
    assert (decision.asset, decision.kw, decision.rung) == ("battery", *expected)
    assert decision.reason == ("because" if expected[1] is Rung.PLAN else f"{expected[1]} says so")


@pytest.mark.parametrize(
    ("ceiling_kw", "measured_kw", "held_kw", "held_for_s", "expected_kw"),
    [
        # near the ceiling there is room again, up to the rating
        (10.0, 9.5, 10.0, 100.0, 11.5),
        (10.0, 9.0, 10.0, 100.0, 10.0),
        (30.0, 29.9, 30.0, 100.0, 30.0),
        # a command that is not used up lowers it, once the device had time to respond
        (30.0, 5.0, 20.0, SETTLED_S + 0.1, 6.0),
        (30.0, 5.0, 20.0, SETTLED_S, 30.0),
        (30.0, 5.0, 7.0, 100.0, 30.0),
        (30.0, 5.0, 7.1, 100.0, 6.0),
    ],
)
def test_a_ceiling_goes_by_what_is_taken(ceiling_kw, measured_kw, held_kw, held_for_s, expected_kw):
    learned = learn_ceiling(ceiling_kw, measured_kw, held_kw, held_for_s, step_kw=1.0, rating_kw=30.0)
    assert learned == pytest.approx(expected_kw)


@pytest.mark.parametrize(
    ("ceiling_kw", "measured_kw", "held_kw", "expected_kw"),
    [(10.0, 9.0, 13.0, 13.0), (30.0, 5.0, 9.1, 7.0), (30.0, 5.0, 8.9, 30.0), (11.0, 9.0, 13.0, 11.0)],
)
def test_a_ceiling_leaves_two_steps_of_room(ceiling_kw, measured_kw, held_kw, expected_kw):
    learned = learn_ceiling(ceiling_kw, measured_kw, held_kw, 100.0, step_kw=2.0, rating_kw=30.0)
    assert learned == pytest.approx(expected_kw)


@given(*[st.floats(0, 30)] * 3, st.floats(0, 60))
def test_law_a_ceiling_stays_between_what_is_taken_and_the_rating(ceiling_kw, measured_kw, held_kw, held_for_s):
    learned = learn_ceiling(ceiling_kw, measured_kw, held_kw, held_for_s, step_kw=1.0, rating_kw=30.0)
    assert min(measured_kw, 29.0) <= learned <= 30.0
