"""What was lost is believed once it has answered for a while, the longer the more often it comes and goes."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.points import Measurement, Quality
from ems.fast.returning import Returning
from ems.fast.turns import GOOD_POLLS
from ems.process_image import MISSED_POLLS

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def scan(answers: bool, at_s: float) -> list[Measurement]:
    lost = Measurement("meter.b", None, NOW, at_s, Quality.BAD, "no answer")
    return [Measurement("meter.a", 1.0, NOW, at_s) if answers else lost._replace(point="meter.a"), lost]


def believed(polls: str, period_s: float = 10.0, *, prompt: bool = False) -> str:
    """Let a device answer (a) or not (-) poll by poll; gives in which of them something was good."""
    returning = Returning(period_s, {"meter"} if prompt else set())
    told = (returning.sift("meter", scan(one == "a", n * period_s), n * period_s) for n, one in enumerate(polls))
    return "".join("a" if any(one.quality is Quality.GOOD for one in each) else "-" for each in told)


def changes_s(polls: str, period_s: float) -> list[float]:
    """Tell when a device became lost or came back [s]: after three polls in which nothing was good, and by one."""
    found, lost, misses = [], False, 0
    for n, one in enumerate(believed(polls, period_s)):
        misses = 0 if one == "a" else misses + 1
        if lost != (misses >= MISSED_POLLS):
            lost = not lost
            found.append(n * period_s)
    return found


@pytest.mark.parametrize(
    ("polls", "expect"),
    [
        ("aa--aa-aaa", "aa--aa-aaa"),
        ("aa---aaaaaaa", "aa-----aaaaa"),
        ("aa--------aaaaa", "aa----------aaa"),
        ("aa--------a-aaaa", "aa------------aa"),
        ("-----aaa", "-----aaa"),
        ("aa---aaaaaa---aaaaaaaaa", "aa-----aaaa---------aaa"),
        ("aa---aaaaaa---aaa-aaaaaaaa", "aa-----aaaa-------------aa"),
        ("a---aaaaaa---aaaaaaaa---" + 14 * "a", "a-----aaaa---------aa---" + 12 * "-" + "aa"),
    ],
    ids=["two misses", "lost for a while", "three answers without a gap", "a gap", "never heard before",
         "a relapse waits a minute", "a gap after a relapse", "the next one two minutes"],
)  # fmt: skip
def test_what_comes_and_goes_must_prove_itself(polls: str, expect: str) -> None:
    assert believed(polls) == expect


@pytest.mark.parametrize(
    ("polls", "expect"), [("aa---aaaaa", "aa---aaaaa"), ("aa---aa---aaaaaaaaa", "aa---aa---------aaa")]
)
def test_what_no_asset_hangs_on_is_believed_at_its_first_return(polls: str, expect: str) -> None:
    assert believed(polls, prompt=True) == expect


def test_a_loss_long_ago_is_forgotten() -> None:
    polls = "a---aaaaa" + 60 * "a" + "---aaaaa"
    assert believed(polls) == "a-----aaa" + 60 * "a" + "-----aaa"


def test_the_longest_proof_is_ten_minutes() -> None:
    polls = 12 * ("---" + 50 * "a") + "---" + 61 * "a"
    assert believed(polls)[-2:] == "-a"


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), max_size=12), st.sampled_from([5.0, 10.0]))
def test_no_minute_holds_two_losses_whatever_a_wire_does(times: list[tuple[int, int]], period_s: float) -> None:
    found = changes_s("".join(up * "a" + down * "-" for up, down in times), period_s)
    assert all(later - lost >= 60.0 for lost, later in pairwise(found[::2]))


@given(st.lists(st.tuples(st.integers(1, 90), st.integers(1, 90)), max_size=12))
def test_at_a_cycle_of_a_second_it_is_nearly_a_minute(times: list[tuple[int, int]]) -> None:
    found = changes_s("".join(up * "a" + down * "-" for up, down in times), 1.0)
    assert all(later - lost >= 57.0 for lost, later in pairwise(found[::2]))


@given(st.sampled_from([(1.0, 36), (5.0, 6), (10.0, 2)]), st.data())
def test_what_never_answers_for_long_enough_changes_once(case: tuple[float, int], data: st.DataObject) -> None:
    period_s, most = case
    up, down = data.draw(st.integers(1, most)), data.draw(st.integers(1, 40))
    assert len(changes_s(20 * (up * "a" + down * "-"), period_s)) <= 1


@given(st.integers(3, 100), st.sampled_from([1.0, 5.0, 10.0]))
def test_what_stays_is_steered_within_a_minute_of_its_return(down: int, period_s: float) -> None:
    polls = believed("a" + down * "-" + 70 * "a", period_s)
    assert (polls.rindex("-") + GOOD_POLLS - down) * period_s <= 60.0


def test_other_devices_are_other_wires() -> None:
    returning = Returning(1.0)
    for n in range(20):
        returning.sift("meter", scan(n % 5 == 0, n), n)
    assert returning.sift("other", scan(True, 20.0), 20.0)[0].quality is Quality.GOOD
    assert "it was lost" in returning.sift("meter", scan(True, 20.0), 20.0)[0].reason
