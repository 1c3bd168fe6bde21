"""What an asset is told that knows a few levels only, and how long a heat pump with SG Ready may be blocked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from math import inf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stage import SceneMaker, levers_of, make_plan, make_site, make_standing

from ems.arbitration import arbitrate, runnable, whole_steps
from ems.balancing import Flex, Rows, balance
from ems.config.binding import bind
from ems.fast.compressor import Compressor
from ems.fast.conduct import Conduct
from ems.fast.decisions import AssetKind, Bound, Decision, Held, Rest, Rung, Wish
from ems.fast.following import follows
from ems.fast.levels import LONGEST_STEP_S, MOST_BANDS, Debt, level_above, level_below, moved, owe, running_at, stay
from ems.fast.sg_ready import LONGEST_BLOCK_S, Block, follow, why_released
from ems.fast.steering import Steering
from ems.fast.turns import Turn, led_on

SITE = make_site({
    "devices.heater.profile": "daikin_homehub",
    "devices.heater.safe": {"sg_state": None},
    "assets.heat.rated_kw": 4.0,
    "assets.heat.sg_ready": {"recommended_kw": 2.0, "dwell_s": 900.0},
})  # fmt: skip
LEVER = levers_of(SITE)["heat"]
LEVELS = (0.0, 2.0, 4.0)
ON_OFF = replace(LEVER, levels_kw=(0.0, 4.0), minimum_kw=4.0)
NOW_S = 10_000.0
KW = st.floats(0.0, 4.0)


def test_the_site_file_declares_them():
    assert (LEVER.levels_kw, LEVER.minimum_kw, LEVER.dwell_s, LEVER.safe_kw) == (LEVELS, 2.0, 900.0, None)
    assert all(lever.levels_kw == () for lever in levers_of(make_site()).values())


@pytest.mark.parametrize(
    ("kw", "below", "above"),
    [(-1.0, 0.0, 0.0), (0.0, 0.0, 0.0), (0.1, 0.0, 2.0), (2.0, 2.0, 2.0), (3.9, 2.0, 4.0), (4.0, 4.0, 4.0),
     (9.0, 4.0, 4.0), (2.0 - 9e-7, 2.0, 2.0), (2.0 + 9e-7, 2.0, 2.0), (2.0 - 2e-6, 0.0, 2.0), (2.0 + 2e-6, 2.0, 4.0)],
)  # fmt: skip
def test_levels_about_a_power(kw, below, above):
    assert (level_below(LEVELS, kw), level_above(LEVELS, kw)) == (below, above)
    assert whole_steps(LEVER, kw) == below
    assert runnable(LEVER, Decision("heat", kw, Rung.GRID, "so")) == Decision("heat", below, Rung.GRID, "so")


def test_a_release_has_no_level():
    assert runnable(LEVER, Decision("heat", None, Rung.GRID, "so")).kw is None


def test_above_the_least_level_there_is_a_least_level():
    assert level_below((1.0, 2.0), 0.5) == 1.0


@pytest.mark.parametrize(
    ("kw", "expected_kw"), [(-1.0, 0.0), (0.9, 0.0), (1.1, 2.0), (1.86, 2.0), (3.1, 4.0), (9.0, 4.0)]
)
def test_a_measured_power_is_that_of_the_nearest_level(kw, expected_kw):
    assert running_at(LEVER, kw) == expected_kw
    assert running_at(replace(LEVER, levels_kw=()), kw) == kw


def test_without_a_command_in_force_it_is_led_on_at_the_level_at_which_it_runs():
    assert led_on({"heat": LEVER}, {}, {"heat": 1.86}, NOW_S)["heat"].kw == 2.0
    waiting = Turn(waiting=frozenset({"heat"}))
    scene = SceneMaker(SITE)({"heater.power_kw": 1.86}, plan=make_plan({"heat": 4.0}), held_kw={"heat": 2.0})
    assert steer(replace(scene, turn=waiting)).kw == 2.0


@pytest.mark.parametrize(
    ("was_kw", "wanted_kw", "beyond", "expected_kw"),
    [
        (4.0, 3.0, True, 2.0), (4.0, 3.0, False, 4.0), (4.0, 2.0, True, 2.0), (4.0, 2.0, False, 2.0),
        (4.0, 0.5, True, 0.0), (4.0, 0.5, False, 2.0), (0.0, 3.0, True, 4.0), (0.0, 3.0, False, 2.0),
        (0.0, 1.0, False, 0.0), (0.0, 4.0, True, 4.0), (3.0, 3.5, False, 3.0), (3.0, 2.5, False, 3.0),
        (4.0, 9.0, True, 4.0), (0.0, -1.0, True, 0.0), (3.0, 3.5, True, 4.0), (3.0, 2.5, True, 2.0),
        (5.0, 6.0, True, 5.0), (-1.0, -2.0, True, -1.0),
    ],
)  # fmt: skip
def test_a_move_ends_on_a_level_past_or_short_of_what_is_wanted(was_kw, wanted_kw, beyond, expected_kw):
    assert moved(LEVELS, was_kw, wanted_kw, beyond=beyond) == expected_kw


@pytest.mark.parametrize(
    ("wish_kw", "held", "expected_kw"),
    [
        (4.0, None, 4.0),
        (3.9, None, 2.0),
        (1.9, None, 0.0),
        # each level is kept for its least time, up and down
        (4.0, Held(2.0, NOW_S - 899.9), 2.0),
        (0.0, Held(2.0, NOW_S - 899.9), 2.0),
        (4.0, Held(0.0, NOW_S), 0.0),
        (4.0, Held(2.0, NOW_S - 900.0), 4.0),
        (0.0, Held(2.0, NOW_S - 900.0), 0.0),
        # what was told otherwise before, or released, is no level to keep
        (4.0, Held(3.0, NOW_S), 2.0),
        (4.0, Held(None, NOW_S), 4.0),
    ],
)
def test_a_wish_waits_for_the_least_time(wish_kw, held, expected_kw):
    assert stay(LEVER, wish_kw, held, NOW_S) == expected_kw
    assert arbitrate(LEVER, Wish(Rung.PLAN, wish_kw, "plan"), (), held, NOW_S).kw == expected_kw


@pytest.mark.parametrize("rung", [Rung.LOCKOUT, Rung.DEVICE, Rung.BUILDING, Rung.GRID, Rung.OPERATOR])
@pytest.mark.parametrize(("upper_kw", "expected_kw"), [(3.9, 2.0), (1.0, 0.0), (0.0, 0.0), (4.0, 4.0)])
def test_every_bound_acts_at_once_and_is_rounded_towards_zero(rung, upper_kw, expected_kw):
    bound = Bound(rung, -inf, upper_kw, "so")
    decision = arbitrate(LEVER, Wish(Rung.PLAN, 4.0, "plan"), [bound], Held(4.0, NOW_S), NOW_S, least_kw=2.0)
    assert decision.kw == expected_kw
    assert decision.rung is (Rung.PLAN if expected_kw == 4.0 else rung)


@pytest.mark.parametrize(("asked_kw", "expected_kw"), [(0.0, 0.0), (1.0, 0.0), (3.0, 2.0), (4.0, 4.0)])
def test_what_an_operator_fixes_is_told_as_the_level_below(asked_kw, expected_kw):
    fixed = Bound(Rung.OPERATOR, asked_kw, asked_kw, "Ada")
    decision = arbitrate(LEVER, Wish(Rung.PLAN, 2.0, "plan"), [fixed], Held(2.0, NOW_S), NOW_S)
    assert (decision.kw, decision.rung) == (expected_kw, Rung.OPERATOR)


@given(
    KW | st.sampled_from([-1.0, 9.0]),
    st.lists(st.tuples(st.sampled_from(list(Rung)[:5]), st.floats(0.0, 5.0)), max_size=4),
    st.one_of(st.none(), st.tuples(st.sampled_from([None, *LEVELS]), st.floats(0.0, 2000.0))),
)
def test_law_a_level_is_told_and_no_limit_is_passed(wish_kw, uppers, held):
    bounds = [Bound(rung, 0.0, upper, "so") for rung, upper in uppers]
    held = None if held is None else Held(held[0], NOW_S - held[1])
    decision = arbitrate(LEVER, Wish(Rung.PLAN, wish_kw, "plan"), bounds, held, NOW_S)
    assert decision.kw in LEVELS
    assert decision.kw <= min((upper for _, upper in uppers), default=inf) + 1e-6


# ---- what is owed ------------------------------------------------------------------------------------------------

BAND_KWH = 0.25
"""Half of 2 kW for 900 s."""


@pytest.mark.parametrize(
    ("before", "wanted_kw", "taken_kw", "expected"),
    [
        # at first the nearer level, the upper one in the middle
        (None, 0.9, 0.0, (0.0, 0.0)), (None, 1.0, 0.0, (0.0, 2.0)), (None, 2.9, 0.0, (0.0, 2.0)),
        (None, 3.0, 0.0, (0.0, 4.0)), (None, 2.0, 9.0, (0.0, 2.0)), (None, 4.0, 0.0, (0.0, 4.0)),
        (None, 9.0, 0.0, (0.0, 4.0)),
        # what is owed adds up; the level stays until it is half a change's worth
        (Debt(0.1, 0.0, NOW_S - 36.0), 1.5, 0.5, (0.11, 0.0)), (Debt(0.1, 2.0, NOW_S - 36.0), 1.5, 2.5, (0.09, 2.0)),
        (Debt(BAND_KWH, 0.0, NOW_S), 0.5, 0.0, (BAND_KWH, 2.0)),
        (Debt(0.249, 0.0, NOW_S), 0.5, 0.0, (0.249, 0.0)),
        (Debt(-BAND_KWH, 2.0, NOW_S), 1.5, 0.0, (-BAND_KWH, 0.0)),
        (Debt(-0.249, 2.0, NOW_S), 1.5, 0.0, (-0.249, 2.0)),
        (Debt(BAND_KWH, 2.0, NOW_S), 2.5, 0.0, (BAND_KWH, 4.0)),
        # a level that is no neighbour of what is wished is left at once
        (Debt(0.0, 0.0, NOW_S), 2.5, 0.0, (0.0, 2.0)), (Debt(0.0, 4.0, NOW_S), 1.5, 0.0, (0.0, 2.0)),
        # a wish for nothing is obeyed, and what is owed is kept
        (Debt(0.4, 2.0, NOW_S), 0.0, 2.0, (0.4, 0.0)), (Debt(-0.4, 2.0, NOW_S - 36.0), 0.0, 1.0, (-0.41, 0.0)),
        # no more than two such amounts are owed, either way
        (Debt(0.5, 0.0, NOW_S - 36.0), 1.5, 0.0, (0.5, 2.0)), (Debt(-0.5, 2.0, NOW_S - 36.0), 1.5, 4.0, (-0.5, 0.0)),
        # a long gap counts for a minute
        (Debt(0.0, 0.0, NOW_S - 7200.0), 0.6, 0.0, (0.01, 0.0)),
    ],
)  # fmt: skip
def test_what_is_owed_chooses_the_level(before, wanted_kw, taken_kw, expected):
    debt = owe(before, LEVER, wanted_kw, taken_kw, NOW_S)
    assert (debt.kwh, debt.level_kw) == pytest.approx(expected, abs=1e-12)
    assert debt.at_s == NOW_S


@pytest.mark.parametrize(
    ("dwell_s", "rest", "least_s"),
    [(900.0, Rest(600.0, 600.0, 3), 900.0), (60.0, Rest(600.0, 300.0, 3), 600.0), (60.0, Rest(300.0, 700.0, 3), 700.0),
     (60.0, None, 60.0)],
)  # fmt: skip
def test_the_band_goes_by_the_longest_of_the_least_times(dwell_s, rest, least_s):
    lever, band_kwh = replace(LEVER, dwell_s=dwell_s, rest=rest), 2.0 * 0.5 * least_s / 3600.0
    for owed, level in ((band_kwh + 1e-9, 2.0), (band_kwh - 1e-9, 0.0)):
        assert owe(Debt(owed, 0.0, NOW_S), lever, 1.0, 0.0, NOW_S).level_kw == level
    assert owe(Debt(9.0, 0.0, NOW_S), lever, 1.0, 0.0, NOW_S).kwh == pytest.approx(MOST_BANDS * band_kwh)
    assert LONGEST_STEP_S == 60.0


@settings(max_examples=50)
@given(st.sampled_from([LEVER, ON_OFF]), st.lists(KW, min_size=1, max_size=8), st.sampled_from([5.0, 10.0, 30.0]))
def test_law_the_energy_of_a_wish_is_given_in_whole_levels(lever, wishes_kw: Sequence[float], cycle_s: float):
    """Quarter hours of wishes that a pump obeys: it is never owed more than what the levels' least times leave."""
    debt: Debt | None = None
    told_kw, now_s, worst_kwh = 0.0, 0.0, 0.0
    held = Held(0.0, -inf)
    balance_kwh = 0.0
    for wanted_kw in [max(kw, 0.05) for kw in wishes_kw]:
        for _ in range(round(900.0 / cycle_s)):
            debt = owe(debt, lever, wanted_kw, told_kw, now_s)
            told_kw = stay(lever, debt.level_kw, held, now_s)
            held = held if held.kw == told_kw else Held(told_kw, now_s)
            balance_kwh += (wanted_kw - told_kw) * cycle_s / 3600.0
            worst_kwh, now_s = max(worst_kwh, abs(balance_kwh)), now_s + cycle_s
    widest_kw = max(np.diff(lever.levels_kw))
    # Half a band, and what a level that must still be kept for its least time gives too much or too little.
    assert worst_kwh <= 1.5 * widest_kw * 900.0 / 3600.0 + widest_kw * cycle_s / 3600.0


@settings(max_examples=30)
@given(KW.filter(lambda kw: kw > 0.01))
def test_law_a_steady_wish_changes_no_faster_than_the_least_time(wanted_kw):
    debt: Debt | None = None
    told_kw, changes_s = 0.0, []
    for i in range(2000):
        now_s = 10.0 * i
        debt = owe(debt, LEVER, wanted_kw, told_kw, now_s)
        if debt.level_kw != told_kw:
            changes_s.append(now_s)
        told_kw = debt.level_kw
    assert all(later - before >= 900.0 - 10.0 for before, later in pairwise(changes_s[1:]))


def test_a_small_wish_is_not_rounded_away_for_ever():
    debt: Debt | None = None
    given_kwh = told_kw = 0.0
    for i in range(8 * 360):
        debt = owe(debt, LEVER, 0.3, told_kw, 10.0 * i)
        told_kw = debt.level_kw
        given_kwh += told_kw * 10.0 / 3600.0
    assert given_kwh == pytest.approx(8 * 0.3, abs=BAND_KWH + 0.01)


# ---- how long it may be blocked ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "held", "expected"),
    [
        (Block(), None, Block()),
        (Block(), Held(2.0, 9050.0), Block()),
        (Block(), Held(0.0, 9050.0), Block(9050.0)),
        (Block(9040.0), Held(0.0, 9050.0), Block(9040.0)),
        (Block(9040.0, 9.0), Held(0.0, 9050.0), Block(9040.0, 9.0)),
        (Block(None, 9.0), Held(0.0, 9050.0), Block(9050.0, 9.0)),
        # without a command in force it stands as it did: nobody told it otherwise
        (Block(9040.0, 9.0), None, Block(9040.0, 9.0)),
        (Block(9040.0, 9.0), Held(2.0, 9050.0), Block(None, 9.0)),
        (Block(None, 9.0), Held(2.0, 9050.0), Block(None, 9.0)),
        # a full block is remembered
        (Block(NOW_S - LONGEST_BLOCK_S), Held(None, NOW_S), Block(None, NOW_S)),
        (Block(NOW_S - LONGEST_BLOCK_S, 9.0), Held(2.0, NOW_S), Block(None, NOW_S)),
        (Block(NOW_S - LONGEST_BLOCK_S + 0.1, 9.0), Held(None, NOW_S), Block(None, 9.0)),
    ],
)
def test_a_block_goes_by_the_commands_in_force(before, held, expected):
    assert follow(before, held, NOW_S) == expected


@pytest.mark.parametrize(
    ("block", "reason"),
    [
        (Block(), ""),
        (Block(NOW_S - LONGEST_BLOCK_S + 0.1), ""),
        (Block(NOW_S - LONGEST_BLOCK_S), "SG Ready: a heat pump is blocked for 2 h at the most"),
        (Block(None, NOW_S - 899.9), "SG Ready: it is left to itself for 15 min after a full block"),
        (Block(None, NOW_S - 900.0), ""),
    ],
)
def test_after_two_hours_it_is_released_for_the_least_time(block, reason):
    assert why_released(block, LEVER, NOW_S) == reason


@given(st.lists(st.sampled_from([0.0, 2.0, 4.0]), min_size=30, max_size=80), st.sampled_from([60.0, 300.0, 900.0]))
def test_law_no_block_is_longer_than_two_hours_whatever_is_wished(wishes_kw, cycle_s):
    block, held = Block(), None
    blocked_s = free_s = 0.0
    was_full = False
    for i, wish_kw in enumerate([0.0] * 130 + wishes_kw):
        now_s = i * cycle_s
        block = follow(block, held, now_s)
        kw = None if why_released(block, LEVER, now_s) else wish_kw
        held = held if held is not None and held.kw == kw else Held(kw, now_s)
        if kw == 0.0:
            assert not was_full or free_s >= LEVER.dwell_s - cycle_s
            blocked_s, free_s, was_full = blocked_s + cycle_s, 0.0, False
        else:
            was_full = was_full or blocked_s >= LONGEST_BLOCK_S
            blocked_s, free_s = 0.0, free_s + cycle_s
        assert blocked_s <= LONGEST_BLOCK_S + cycle_s


# ---- in the fast loop --------------------------------------------------------------------------------------------

MEASURED = {"heater.power_kw": 2.0}


def steer(*scenes):
    """Decide some scenes one after the other; give what the heat pump is told at last."""
    steering = Steering(SITE, bind(SITE), levers_of(SITE))
    return [steering.decide(scene).decisions["heat"] for scene in scenes][-1]


def test_a_plan_between_two_levels_is_told_as_one_and_says_so():
    scene = SceneMaker(SITE)(MEASURED, plan=make_plan({"heat": 1.4}))
    decision = steer(scene)
    assert decision.kw == 2.0
    assert "heat with 1.4 kW" in decision.reason
    assert decision.reason.endswith("; now heat with 2.0 kW")


def test_what_is_owed_is_remembered_from_cycle_to_cycle():
    maker = SceneMaker(SITE)
    scene = maker({"heater.power_kw": 0.0}, plan=make_plan({"heat": 0.8}))
    later = [
        replace(scene, snapshot=replace(scene.snapshot, monotonic_s=scene.snapshot.monotonic_s + 60.0 * i))
        for i in range(25)
    ]
    assert steer(*later[:15]).kw == 0.0
    assert steer(*later).kw == 2.0, "0.8 kW for 20 min are more than half a change's worth"


def test_a_full_block_ends_in_its_own_control_whatever_limits_it():
    plan, standing = make_plan({"heat": 0.0}), make_standing(SITE, overrides={"heat": 0.0})
    blocked = Block(1000.0 - LONGEST_BLOCK_S)
    for scene in (SceneMaker(SITE)(MEASURED, plan=plan), SceneMaker(SITE)(MEASURED, plan=plan, standing=standing)):
        decision = steer(replace(scene, blocks={"heat": blocked}))
        assert (decision.kw, decision.rung) == (None, Rung.DEVICE)
        assert "2 h at the most" in decision.reason
    assert steer(SceneMaker(SITE)(MEASURED, plan=plan)).kw == 0.0


def test_a_safe_value_stays_as_it_is_declared():
    scene = SceneMaker(SITE)({**MEASURED, "heater.temperature_c": None}, plan=make_plan({"heat": 2.0}))
    assert steer(scene) == replace(steer(scene), kw=None, rung=Rung.SAFE)


def test_the_connection_limit_blocks_it_at_once():
    scene = SceneMaker(SITE)({**MEASURED, "meter.power_kw": 95.0}, plan=make_plan({"heat": 2.0}), held_kw={"heat": 2.0})
    decision = steer(replace(scene, compressors={"heat": Compressor(True, 999.0, 999.0)}))
    assert (decision.kw, decision.rung) == (0.0, Rung.GRID)


def test_blocks_are_remembered_for_those_with_sg_ready():
    conduct = Conduct(levers_of(SITE), bind(SITE), 1.0)
    scene = SceneMaker(SITE)(MEASURED)
    conduct.see(scene.snapshot, {"heat": Held(0.0, 5.0), "battery": Held(0.0, 5.0)})
    assert conduct.blocks == {"heat": Block(5.0)}


@pytest.mark.parametrize(
    ("command_kw", "measured_kw", "obeyed"),
    [(0.0, 0.3, True), (0.0, 2.0, False), (2.0, 0.0, True), (2.0, 4.0, True), (4.0, 0.0, True), (4.0, 4.6, False)],
)
def test_only_a_block_is_judged_by_the_meter(command_kw, measured_kw, obeyed):
    assert follows(LEVER, command_kw, measured_kw) is obeyed


# ---- between two plans -------------------------------------------------------------------------------------------


def flex(power_kw: float, **more: object) -> Flex:
    return Flex("heat", AssetKind.HEAT_PUMP, power_kw, 0.0, 4.0, levels_kw=LEVELS, minimum_kw=2.0, **more)


def eased(flexes: list[Flex], limit_kw: float, *, lifted: float | None = None) -> dict[str, float]:
    """Relieve one import row; `lifted` adds a row that takes less so much room when the pump takes less."""
    names = tuple(each.asset for each in flexes)
    matrix = [[1.0] * len(names)] + ([] if lifted is None else [[-1.0] * len(names)])
    constant = np.zeros(len(matrix))
    limits = np.array([limit_kw] if lifted is None else [limit_kw, lifted])
    rows = Rows(("import", "other")[: len(matrix)], names, np.array(matrix), constant, limits, limits)
    return dict(balance(flexes, rows, {}).power_kw)


@pytest.mark.parametrize(("limit_kw", "expected_kw"), [(4.0, 4.0), (3.9, 2.0), (2.0, 2.0), (1.9, 0.0), (0.0, 0.0)])
def test_relief_goes_down_to_a_level(limit_kw, expected_kw):
    assert eased([flex(4.0)], limit_kw) == {"heat": expected_kw}


@pytest.mark.parametrize(("room_kw", "expected_kw"), [(0.0, 0.0), (-1.0, 2.0), (-2.0, 2.0), (-2.1, 4.0), (-4.0, 4.0)])
def test_relief_stops_where_another_row_has_no_room(room_kw, expected_kw):
    """The other row stands at minus the pump's power, and may come up to `room_kw`."""
    assert eased([flex(4.0)], 0.0, lifted=room_kw) == {"heat": expected_kw}


def test_a_level_outside_what_it_may_take_is_not_used():
    assert eased([replace(flex(4.0), lower_kw=3.0)], 1.0) == {"heat": 4.0}
    assert eased([replace(flex(3.5), lower_kw=3.1, upper_kw=3.9)], 1.0) == {"heat": 3.5}
