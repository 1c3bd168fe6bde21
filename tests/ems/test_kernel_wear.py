"""What wears from being written: the budget, its rest, and who is written all the same."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stage import levers_of, make_site

from drivers.registry import profile_points
from ems.arbitration import STAYS, arbitrate, whole_steps
from ems.config.binding import bind
from ems.fast import wear
from ems.fast.decisions import Bound, Held, Rung, Wish
from ems.fast.wear import DAY_S, Allowance, WriteBudget, allowances, journalled

LEVERS = levers_of(make_site())
BATTERY, CAR, HEAT, PV = LEVERS["battery"], LEVERS["car"], LEVERS["heat"], LEVERS["pv"]
NOW_S = 1000.0
POINT = "heater.setpoint_kw"


def budget(per_day: int) -> WriteBudget:
    return WriteBudget({POINT: Allowance(per_day, is_kept=True)})


def newest(writes_s: list[float], at_s: float) -> int:
    return sum(1 for one in writes_s if at_s - DAY_S < one <= at_s)


@given(st.integers(1, 24), st.lists(st.tuples(st.floats(0.0, 14_400.0), st.booleans()), max_size=120))
def test_law_wishes_never_write_more_than_the_budget_within_any_day(per_day, moves):
    """Whatever else is written: a wish is written only where the day before it had room for it."""
    counted, writes_s, now_s = budget(per_day), [], 0.0
    for gap_s, forced in moves:
        now_s += gap_s
        if forced or not counted.waits(POINT, now_s):
            assert forced or newest(writes_s, now_s) < per_day
            counted.count(POINT, now_s)
            writes_s.append(now_s)
        assert counted.spent(POINT, now_s) == newest(writes_s, now_s)


@given(st.integers(1, 24), st.lists(st.floats(0.0, 14_400.0), max_size=120))
def test_law_where_wishes_alone_write_none_waits_longer_than_a_day_s_part_of_the_rest(per_day, gaps_s):
    counted, now_s, last_s = budget(per_day), 0.0, -inf
    for gap_s in gaps_s:
        now_s += gap_s
        if not counted.waits(POINT, now_s):
            counted.count(POINT, now_s)
            last_s = now_s
        assert not counted.waits(POINT, last_s + DAY_S / -(-per_day // 4) + 1e-6)


def test_the_last_quarter_is_rationed_and_a_spent_budget_comes_back_with_the_hours():
    counted = budget(8)
    for second in range(5):
        counted.count(POINT, float(second))
    assert (counted.is_low(POINT, 5.0), counted.waits(POINT, 5.0)) == (False, False)
    counted.count(POINT, 5.0)
    assert (counted.is_low(POINT, 6.0), counted.waits(POINT, 6.0)) == (True, True)
    half_day_s = 5.0 + DAY_S / 2
    assert [counted.waits(POINT, half_day_s - 1.0), counted.waits(POINT, half_day_s)] == [True, False]
    for _ in range(2):
        counted.count(POINT, half_day_s)
    assert counted.told(POINT, half_day_s) == {"within_24_h": 8, "most": 8}
    assert [counted.waits(POINT, DAY_S + second) for second in (-1.0, 1.0, 2.0)] == [True, True, False]
    assert counted.spent(POINT, DAY_S + 2.0) == 5


def test_what_wears_not_is_neither_counted_nor_told():
    counted = budget(8)
    counted.count("store.setpoint_kw", 0.0)
    assert not counted.waits("store.setpoint_kw", 0.0)
    assert not counted.is_kept("store.setpoint_kw")
    assert counted.is_kept(POINT)
    assert counted.told("store.setpoint_kw", 0.0) is None


def test_a_site_file_names_what_wears_and_a_point_that_nobody_commands_has_no_budget():
    site = make_site({"devices.heater.writes_per_day": 12, "devices.meter.writes_per_day": 5})
    assert allowances(site, bind(site)) == {POINT: Allowance(12, is_kept=True)}
    assert allowances(make_site(), bind(make_site())) == {}


def test_where_the_site_file_names_no_budget_that_of_the_profile_counts(monkeypatch):
    """No shipped profile names one yet."""

    def wearing(protocol, name):
        profile = profile_points(protocol, name)
        roles = {r: replace(i, writes_per_day=30) if i.writable else i for r, i in profile.roles.items()}
        return replace(profile, roles=roles)

    monkeypatch.setattr(wear, "profile_points", wearing)
    site = make_site({"devices.heater.writes_per_day": 12})
    told = allowances(site, bind(site))
    assert told[POINT].per_day == 12
    assert {allowance.per_day for point, allowance in told.items() if point != POINT} == {30}


def test_a_charge_point_s_phases_are_counted_where_they_can_be_told():
    changes = {
        "devices.wallbox.profile": "alfen_ng9xx",
        "devices.wallbox.writes_per_day": 9,
        "assets.car.phase_switch": {},
        "assets.car.phases": [1, 3],
    }
    site = make_site(changes)
    told = allowances(site, bind(site))
    assert told == {"wallbox.limit_a": Allowance(9, is_kept=False), "wallbox.phases": Allowance(9, is_kept=False)}


def test_phases_that_are_only_read_have_no_budget():
    site = make_site({"devices.heater.roles": {"phases": "outdoor_c"}, "devices.heater.writes_per_day": 9})
    assert allowances(site, bind(site)) == {POINT: Allowance(9, is_kept=True)}


def test_the_journal_tells_what_was_written_and_what_may_have_been():
    at = [datetime(2026, 1, 1, hour, tzinfo=UTC) for hour in range(6)]
    records = [
        (at[0], "intent", {"point": POINT}),
        (at[1], "result", {"point": POINT}),
        (at[2], "result", {"point": "store.setpoint_kw"}),
        (at[3], "intent", {"point": POINT}),
        (at[4], "intent", {"point": POINT}),
        (at[5], "intent", {"point": "store.setpoint_kw"}),
    ]
    assert journalled(records, [POINT]) == [(at[1], POINT), (at[4], POINT)]
    counted = WriteBudget({POINT: Allowance(2, is_kept=True)})
    counted.restore([(-7200.0, POINT), (0.0, POINT)])
    assert counted.spent(POINT, 0.0) == 2


@pytest.mark.parametrize(
    ("lever", "held_kw", "rung", "wanted_kw", "expected_kw"),
    [
        # a wish waits, upwards and downwards
        (BATTERY, 10.0, Rung.PLAN, 15.0, 10.0),
        (BATTERY, 10.0, Rung.RULES, 0.0, 10.0),
        (HEAT, 2.0, Rung.SHIFTED_PLAN, 5.0, 2.0),
        (PV, -20.0, Rung.PLAN, -60.0, -20.0),
        # the device's own does not
        (HEAT, 2.0, Rung.DEVICE, 5.0, 5.0),
    ],
)
def test_what_waits_is_moved_by_no_mere_wish(lever, held_kw, rung, wanted_kw, expected_kw):
    held = Held(held_kw, NOW_S - 100.0)
    decision = arbitrate(lever, Wish(rung, wanted_kw, "because"), [], held, NOW_S, waits=True)
    assert decision.kw == pytest.approx(expected_kw)
    assert decision.reason == (STAYS if expected_kw == held_kw else "because")


def test_what_waits_and_is_where_it_is_wished_says_why_it_is_there():
    decision = arbitrate(BATTERY, Wish(Rung.PLAN, 10.0, "cheap"), [], Held(10.0, 0.0), NOW_S, waits=True)
    assert (decision.kw, decision.reason) == (10.0, "cheap")


@pytest.mark.parametrize("held", [None, Held(None, 0.0), Held(10.0, 0.0, is_ordered=True)])
def test_a_first_command_the_return_from_its_own_control_and_the_end_of_an_order_do_not_wait(held):
    wish = Wish(Rung.PLAN, 5.0, "plan")
    assert arbitrate(BATTERY, wish, [], held, NOW_S, waits=True) == arbitrate(BATTERY, wish, [], held, NOW_S)


def test_a_release_does_not_wait():
    assert arbitrate(HEAT, Wish(Rung.PLAN, None, "own"), [], Held(3.0, 0.0), NOW_S, waits=True).kw is None


KW = st.floats(-40, 40)


@given(
    st.sampled_from([BATTERY, CAR, HEAT, PV]),
    KW,
    KW,
    st.floats(0, 40),
    st.sampled_from([Rung.LOCKOUT, Rung.DEVICE, Rung.BUILDING, Rung.GRID, Rung.OPERATOR]),
)
def test_law_no_limit_waits_because_few_writes_are_left(lever, wish_kw, held_kw, limit_kw, rung):
    limit = Bound(rung, -limit_kw, limit_kw, "limit")
    held = Held(whole_steps(lever, held_kw), NOW_S - 100.0)
    decision = arbitrate(lever, Wish(Rung.PLAN, wish_kw, "plan"), [limit], held, NOW_S, waits=True)
    assert decision.kw is not None
    assert abs(decision.kw) <= limit_kw
    if abs(held.kw or 0.0) <= limit_kw and decision.kw != 0.0:
        assert decision.kw == held.kw, "and none moves it that it keeps already"
