"""Following: what counts as verified, what as lost, and how an asset comes back."""

from __future__ import annotations

import pytest
from stage import levers_of, make_site

from drivers.points import Outcome
from ems.fast.following import FIRST_PAUSE_S, IGNORES, REFUSES, Following, Tally, Watch, follows, tolerance_kw

LEVERS = levers_of(make_site())
CYCLE_S = 10.0


def start(kw: float, asset: str = "battery", *, start_kw: float = 0.0, outcome: Outcome = Outcome.APPLIED) -> Following:
    following = Following(LEVERS, CYCLE_S)
    following.issued(asset, Watch(kw, 0.0, 0.1, start_kw), None, outcome)
    return following


def see(following: Following, asset: str, *samples: tuple[float, float], limited: bool = False) -> Tally:
    for at_s, kw in samples:
        following.see(asset, kw, at_s, limited=limited, now_s=at_s)
    return following.tally


@pytest.mark.parametrize(
    ("asset", "command_kw", "measured_kw", "limited", "expect"),
    [
        ("battery", 10.0, 8.6, False, True),
        ("battery", 10.0, 8.4, False, False),
        ("battery", 10.0, 11.6, False, False),
        ("battery", 10.0, 3.0, True, True),
        ("battery", -10.0, -3.0, True, True),
        ("battery", 10.0, -3.0, True, False),
        ("battery", 10.0, 12.0, True, False),
        ("heat", 5.0, 4.5, False, True),
        ("heat", 5.0, 4.4, False, False),
        ("car", 11.0, 0.0, False, True),
        ("car", 11.0, 12.0, False, True),
        ("car", 11.0, 12.2, False, False),
        ("car", 0.0, 5.0, False, False),
        ("pv", -20.0, -10.0, False, True),
        ("pv", -20.0, -22.9, False, True),
        ("pv", -20.0, -23.1, False, False),
    ],
)
def test_setpoints_are_followed_and_limits_are_kept(asset, command_kw, measured_kw, limited, expect):
    assert follows(LEVERS[asset], command_kw, measured_kw, limited=limited) is expect


def test_the_tolerance_is_five_percent_and_at_least_half_a_kilowatt():
    assert tolerance_kw(LEVERS["battery"]) == 1.5
    assert tolerance_kw(LEVERS["heat"]) == 0.5


def test_a_followed_command_is_verified_once_and_timed_from_the_sensing_instant():
    tally = see(start(10.0), "battery", (10.0, 9.9), (20.0, 10.0))
    assert (tally.issued, tally.verified) == (1, 1)
    assert list(tally.sense_to_effect_s) == [10.0]


def test_a_response_inside_the_window_is_verified_and_a_later_one_is_not():
    assert see(start(10.0), "battery", (10.0, 2.0), (20.0, 6.0), (30.0, 9.9)).verified == 1
    assert see(start(10.0), "battery", (10.0, 2.0), (20.0, 6.0), (31.0, 6.0), (40.0, 9.9)).verified == 0


def test_a_reading_from_before_the_write_proves_nothing():
    assert see(start(0.0), "battery", (0.05, 0.0)).verified == 0


@pytest.mark.parametrize("outcome", [Outcome.REFUSED, Outcome.UNKNOWN])
def test_what_was_not_applied_is_counted_and_never_verified(outcome):
    tally = see(start(10.0, outcome=outcome), "battery", (10.0, 10.0))
    assert (tally.issued, tally.verified) == (1, 0)
    assert (tally.refused, tally.unknown) == (outcome is Outcome.REFUSED, outcome is Outcome.UNKNOWN)


def test_a_command_that_is_taken_at_the_second_try_is_verified_and_issued_once():
    following = start(10.0, outcome=Outcome.UNKNOWN)
    following.renewed("battery", Watch(10.0, 10.0, 10.1, 0.0), Outcome.APPLIED)
    tally = see(following, "battery", (20.0, 10.0))
    assert (tally.issued, tally.verified, tally.unknown) == (1, 1, 1)


@pytest.mark.parametrize(
    ("start_kw", "last_kw", "verified"),
    [(0.0, 4.0, 1), (0.0, 0.0, 0), (0.0, -2.0, 0), (20.0, 15.0, 1), (20.0, 20.5, 0)],
)
def test_a_command_replaced_inside_its_window_is_judged_by_the_way_it_went(start_kw, last_kw, verified):
    following = start(10.0, start_kw=start_kw)
    see(following, "battery", (10.0, last_kw))
    following.issued("battery", Watch(12.0, 10.0, 10.1, last_kw), 10.0, Outcome.APPLIED)
    assert following.tally.issued == 2
    assert following.tally.verified == verified


def ignore(following: Following, since_s: float, cycles: int) -> float:
    for cycle in range(1, cycles + 1):
        at_s = since_s + cycle * CYCLE_S
        following.see("battery", 0.0, at_s, limited=False, now_s=at_s)
    return since_s + cycles * CYCLE_S


def test_an_asset_that_ignores_its_commands_leaves_and_comes_back_after_a_pause_that_doubles():
    following = start(10.0)
    at_s = ignore(following, 0.0, 1)
    assert following.unavailable(at_s) == frozenset()
    at_s = ignore(following, at_s, 1)
    assert following.unavailable(at_s) == {"battery"}
    assert following.lost("battery") == (at_s, IGNORES)
    back_s = at_s + FIRST_PAUSE_S
    assert following.unavailable(back_s - 1.0) == {"battery"}
    assert following.unavailable(back_s) == frozenset()
    following.issued("battery", Watch(10.0, back_s, back_s, 0.0), 0.0, Outcome.APPLIED)
    lost_s = ignore(following, back_s, 2)
    assert following.unavailable(lost_s + FIRST_PAUSE_S) == {"battery"}
    assert following.unavailable(lost_s + 2 * FIRST_PAUSE_S) == frozenset()


def test_one_that_comes_nearer_is_given_its_window_and_six_cycles():
    following = start(10.0)
    see(following, "battery", (10.0, 1.0), (20.0, 2.0), (30.0, 3.0), (40.0, 4.0), (50.0, 5.0), (60.0, 6.0))
    see(following, "battery", (70.0, 7.0), (80.0, 8.0))
    assert following.unavailable(80.0) == frozenset()
    see(following, "battery", (90.0, 8.0))
    assert following.unavailable(90.0) == {"battery"}


def test_one_that_ignores_is_found_although_it_is_told_something_else_each_cycle():
    following = start(10.0)
    for at_s, kw in ((10.0, 12.0), (20.0, -8.0)):
        following.see("battery", 0.0, at_s, limited=False, now_s=at_s)
        following.issued("battery", Watch(kw, at_s, at_s + 0.1, 0.0), 10.0, Outcome.APPLIED)
    assert following.unavailable(20.0) == {"battery"}


def test_within_ten_seconds_nothing_is_ignored_however_often_it_is_read():
    following = start(10.0)
    see(following, "battery", *[(float(k), 0.0) for k in range(1, 10)])
    assert following.unavailable(9.0) == frozenset()
    see(following, "battery", (11.0, 0.0))
    assert following.unavailable(11.0) == {"battery"}


def test_a_heat_pump_may_take_its_time():
    following = start(5.0, "heat")
    see(following, "heat", *[(10.0 * k, 0.0) for k in range(1, 9)])
    assert following.unavailable(80.0) == frozenset()
    see(following, "heat", (90.0, 0.0))
    assert following.unavailable(90.0) == {"heat"}


def test_three_refusals_in_a_row_are_enough_whatever_was_refused():
    following = start(10.0, outcome=Outcome.REFUSED)
    following.issued("battery", Watch(11.0, 10.0, 10.1, 0.0), 10.0, Outcome.UNKNOWN)
    assert following.unavailable(10.1) == frozenset()
    following.renewed("battery", Watch(11.0, 20.0, 20.1, 0.0), Outcome.REFUSED)
    assert following.lost("battery") == (20.1, REFUSES)
    assert following.unavailable(20.1) == {"battery"}


def test_a_command_that_is_taken_forgets_earlier_refusals():
    following = start(10.0, outcome=Outcome.REFUSED)
    for at_s, outcome in ((10.0, Outcome.REFUSED), (20.0, Outcome.APPLIED), (30.0, Outcome.REFUSED)):
        following.renewed("battery", Watch(10.0, at_s, at_s, 0.0), outcome)
    assert following.unavailable(30.0) == frozenset()


def test_an_asset_is_forgiven_when_it_follows_after_its_pause():
    following = start(10.0)
    at_s = ignore(following, 0.0, 2) + FIRST_PAUSE_S
    following.issued("battery", Watch(5.0, at_s, at_s, 0.0), 0.0, Outcome.APPLIED)
    following.see("battery", 5.0, at_s + 10.0, limited=False, now_s=at_s + 10.0)
    assert following.lost("battery") is None


def test_one_good_response_resets_the_count():
    following = start(10.0)
    see(following, "battery", (10.0, 0.0), (20.0, 10.0), (30.0, 0.0))
    assert following.unavailable(30.0) == frozenset()


def test_a_forgotten_asset_is_not_judged():
    following = start(10.0)
    following.forget("battery")
    ignore(following, 0.0, 12)
    assert following.unavailable(200.0) == frozenset()
    assert following.tally.verified == 0


def test_the_percentile_of_reaction_times():
    tally = Tally()
    assert tally.sense_to_effect_p95_s() is None
    tally.sense_to_effect_s.extend(float(k) for k in range(1, 101))
    assert tally.sense_to_effect_p95_s() == 95.0
    tally.sense_to_effect_s.clear()
    tally.sense_to_effect_s.append(7.0)
    assert tally.sense_to_effect_p95_s() == 7.0


def test_moved_power_adds_up():
    following = start(10.0)
    following.issued("battery", Watch(-5.0, 10.0, 10.1, 10.0), 10.0, Outcome.APPLIED)
    assert following.tally.moved_kw == 25.0


def test_what_was_written_last_and_never_read_again_is_pending_and_not_issued():
    following = start(10.0)
    see(following, "battery", (10.0, 10.0))
    following.issued("battery", Watch(-5.0, 10.0, 10.1, 10.0), 10.0, Outcome.APPLIED)
    following.finish()
    assert (following.tally.issued, following.tally.verified, following.tally.pending) == (1, 1, 1)


def test_what_an_asset_was_told_before_it_was_lost_is_pending_if_no_reading_came_after():
    following = start(10.0)
    following.forget("battery")
    following.finish()
    assert (following.tally.issued, following.tally.verified, following.tally.pending) == (0, 0, 1)


def test_what_an_asset_was_seen_not_to_follow_stays_issued_when_it_is_lost():
    following = start(10.0)
    see(following, "battery", (10.0, 0.0))
    following.forget("battery")
    assert (following.tally.issued, following.tally.verified, following.tally.pending) == (1, 0, 0)


def test_what_was_told_anew_before_any_reading_stays_issued():
    following = start(10.0)
    following.issued("battery", Watch(-5.0, 10.0, 10.1, 10.0), 10.0, Outcome.APPLIED)
    following.finish()
    assert (following.tally.issued, following.tally.verified, following.tally.pending) == (1, 0, 1)


def test_a_command_that_was_read_and_not_followed_stays_issued_at_the_end():
    following = start(10.0)
    see(following, "battery", (10.0, 0.0))
    following.finish()
    assert (following.tally.issued, following.tally.verified, following.tally.pending) == (1, 0, 0)


class TestSenseToVerified:
    """From sensing to a write that was read back: what a device takes at once, and what it takes only later."""

    def test_a_write_that_was_read_back_counts_from_the_sensing_that_caused_it(self):
        following = Following({"battery": LEVERS["battery"]}, 10.0)
        following.issued("battery", Watch(5.0, 100.0, 101.5, 0.0), None, Outcome.APPLIED)
        following.renewed("battery", Watch(5.0, 120.0, 121.0, 5.0), Outcome.APPLIED)
        assert list(following.tally.sense_to_verified_s) == [1.5]

    def test_a_command_that_is_taken_only_when_written_again_counts_from_the_first(self):
        following = Following({"battery": LEVERS["battery"]}, 10.0)
        following.issued("battery", Watch(5.0, 100.0, 101.0, 0.0), None, Outcome.UNKNOWN)
        assert following.tally.sense_to_verified_p99_s() is None
        following.renewed("battery", Watch(5.0, 110.0, 111.0, 0.0), Outcome.APPLIED)
        assert following.tally.sense_to_verified_p99_s() == 11.0

    def test_the_percentile_is_the_slowest_of_few(self):
        following = Following({"battery": LEVERS["battery"]}, 10.0)
        for index in range(50):
            following.issued("battery", Watch(float(index), 0.0, 1.0 + (index == 20), 0.0), None, Outcome.APPLIED)
        assert following.tally.sense_to_verified_p99_s() == 2.0
