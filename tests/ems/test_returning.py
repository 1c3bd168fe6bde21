"""A lost device is believed at once, one that comes and goes only after it has answered for a while."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from drivers.points import Measurement, Quality
from ems.fast.returning import Returning

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def scan(answers: bool, at_s: float) -> list[Measurement]:
    lost = Measurement("meter.b", None, NOW, at_s, Quality.BAD, "no answer")
    return [Measurement("meter.a", 1.0, NOW, at_s) if answers else lost._replace(point="meter.a"), lost]


def believed(polls: str, period_s: float = 10.0) -> str:
    """Let a device answer (a) or not (-) poll by poll; gives in which of them something was good."""
    returning = Returning()
    told = (returning.sift("meter", scan(one == "a", n * period_s), n * period_s) for n, one in enumerate(polls))
    return "".join("a" if any(one.quality is Quality.GOOD for one in each) else "-" for each in told)


@pytest.mark.parametrize(
    ("polls", "expect"),
    [
        ("aa--aa-aaa", "aa--aa-aaa"),
        ("aa---aaaaa", "aa---aaaaa"),
        ("aa---aa---aaaaaaaaa", "aa---aa---------aaa"),
        ("aa---aa---aaa-aaaaaaaa", "aa---aa-------------aa"),
        ("a---a---aaaaaaa---" + 14 * "a", "a---a---------a---" + 12 * "-" + "aa"),
    ],
    ids=["two misses", "first loss", "a relapse waits a minute", "without a gap", "the next one two minutes"],
)
def test_what_comes_and_goes_must_prove_itself(polls: str, expect: str) -> None:
    assert believed(polls) == expect


def test_a_loss_long_ago_is_forgotten() -> None:
    polls = "---a" + 60 * "a" + "---a"
    assert believed(polls) == polls


def test_the_longest_proof_is_ten_minutes() -> None:
    polls = 12 * ("---" + 50 * "a") + "---" + 61 * "a"
    assert believed(polls)[-2:] == "-a"


def test_other_devices_are_other_wires() -> None:
    returning = Returning()
    for n in range(20):
        returning.sift("meter", scan(n % 5 == 0, n), n)
    assert returning.sift("other", scan(True, 20.0), 20.0)[0].quality is Quality.GOOD
    assert "comes and goes" in returning.sift("meter", scan(True, 20.0), 20.0)[0].reason
