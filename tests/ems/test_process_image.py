"""What may steer: good, young, and of a device that has not failed three polls in a row."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from drivers.points import Measurement, Quality
from ems.process_image import ProcessImage

START = datetime(2026, 1, 1, tzinfo=UTC)
POINT = "meter.power_kw"


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def good(seconds: float, value: float = 5.0) -> Measurement:
    return Measurement(POINT, value, at(seconds), seconds)


def bad(seconds: float, reason: str = "timeout after 0.5 s") -> Measurement:
    return Measurement(POINT, None, at(seconds), seconds, Quality.BAD, reason)


def story(*scans: Measurement, stale_after_s: float = 30.0):
    image = ProcessImage(stale_after_s)
    snapshot = image.freeze(START, 0.0)
    for scan in scans:
        image.absorb([scan])
        snapshot = image.freeze(scan.at, scan.monotonic_s)
    return image, snapshot


@pytest.mark.parametrize(
    ("scans", "steers", "quality"),
    [
        ([good(0)], 5.0, Quality.GOOD),
        ([good(0), bad(10)], 5.0, Quality.GOOD),
        ([good(0), bad(10), bad(20)], 5.0, Quality.GOOD),
        ([good(0), bad(1), bad(2), bad(3)], None, Quality.BAD),
        ([good(0), bad(40)], None, Quality.BAD),
        ([bad(0)], None, Quality.BAD),
        ([good(0), bad(1), bad(2), bad(3), good(4, 7.0)], 7.0, Quality.GOOD),
        ([Measurement(POINT, 5.0, START, 0.0, Quality.UNCERTAIN, "no fresh COV")], None, Quality.UNCERTAIN),
    ],
)
def test_quality_by_history(scans, steers, quality):
    _, snapshot = story(*scans)
    assert snapshot.good(POINT) == steers
    assert snapshot.quality(POINT) is quality


def test_a_value_grows_old_without_any_news():
    image, _ = story(good(0))
    assert image.freeze(at(30), 30.0).good(POINT) == 5.0
    late = image.freeze(at(31), 31.0)
    assert late.good(POINT) is None
    assert late.readings[POINT].reason == "no news for 31 s"
    assert late.age_s(POINT) == 31.0


def test_a_bad_point_keeps_its_last_value_for_display_with_its_own_instant_and_says_since_when():
    _, snapshot = story(good(0), bad(10), bad(20), bad(30, "connection refused"), bad(40))
    reading = snapshot.readings[POINT]
    assert (reading.value, reading.at, reading.monotonic_s) == (5.0, at(0), 0.0)
    assert reading.bad_since == at(30)
    assert reading.reason == "timeout after 0.5 s"
    assert snapshot.age_s(POINT) == 40.0


def test_coming_back_clears_the_loss():
    _, snapshot = story(good(0), bad(10), bad(20), bad(30), good(40))
    assert snapshot.readings[POINT].bad_since is None


def test_a_snapshot_does_not_change_when_more_is_absorbed():
    image, before = story(good(0))
    image.absorb([good(10, 9.0)])
    assert before.good(POINT) == 5.0
    assert image.freeze(at(10), 10.0).good(POINT) == 9.0


def test_unknown_points_are_bad_and_infinitely_old():
    _, snapshot = story(good(0))
    assert snapshot.good("no.such_kw") is None
    assert snapshot.good(None) is None
    assert snapshot.quality("no.such_kw") is Quality.BAD
    assert snapshot.age_s("no.such_kw") == float("inf")


def ranged(*scans: Measurement):
    image = ProcessImage(30.0, {POINT: (-10.0, 10.0)})
    for scan in scans:
        image.absorb([scan, Measurement("other.power_kw", 99.0, scan.at, scan.monotonic_s)])
        snapshot = image.freeze(scan.at, scan.monotonic_s)
    return snapshot


@pytest.mark.parametrize(
    ("scans", "steers", "reason"),
    [
        ([good(0, 10.0)], 10.0, ""),
        ([good(0, -10.0)], -10.0, ""),
        ([good(0, 10.1)], None, "10.1 cannot be: it lies between -10 and 10"),
        ([good(0, float("nan"))], None, "nan cannot be: it lies between -10 and 10"),
        ([good(0, 5.0), good(10, -32.7)], 5.0, ""),
        ([good(0, 5.0), good(1, 99.0), good(2, 98.0), good(3, 97.0)], None, "97 cannot be: it lies between -10 and 10"),
        ([good(0, 5.0), good(1, 99.0), bad(2), good(3, 97.0)], None, "97 cannot be: it lies between -10 and 10"),
        ([good(0, 5.0), good(1, 99.0), good(2, 98.0), good(3, 4.0), good(4, 99.0)], 4.0, ""),
        ([good(0, 5.0), good(31, 99.0)], None, "99 cannot be: it lies between -10 and 10"),
    ],
)
def test_what_cannot_be_is_a_failed_read(scans, steers, reason):
    """Seed 1 of the simulation: an inverter that answers nonsense was believed to give 32.7 kW out of 10."""
    snapshot = ranged(*scans)
    assert snapshot.good(POINT) == steers
    assert snapshot.good("other.power_kw") == 99.0
    if steers is None:
        assert snapshot.readings[POINT].reason == reason


def registered(*told: tuple[float, float]) -> list[float | None]:
    """Tell what steers after each reading (instant, value) of a register that moves 0.01 a second at the most."""
    image, found = ProcessImage(30.0, speeds={POINT: 0.01}), []
    for seconds, value in told:
        image.absorb([good(seconds, value)])
        found.append(image.freeze(at(seconds), seconds).good(POINT))
    return found


@pytest.mark.parametrize(
    ("told", "expect"),
    [
        ([(0, 1000.0), (10, 1000.1), (20, 1002.0)], [1000.0, 1000.1, 1002.0]),
        ([(0, 1000.0), (10, 429496.7), (20, 1000.2)], [1000.0, 1000.0, 1000.2]),
        ([(0, 1000.0), (10, 0.0), (20, 0.0), (30, 0.0)], [1000.0, 1000.0, None]),
        ([(0, 1000.0), (10, 7.0), *((n * 20, 7.0 + n / 10) for n in range(2, 47))], [1000.0, 1000.0, None, 11.6]),
        ([(0, 1000.0), (10, 5e5), (500, 9e5), (920, 9e5)], [1000.0, 1000.0, None, None]),
    ],
    ids=["it moves", "a spike", "reset", "another meter after a quarter of an hour", "ever another story"],
)
def test_a_register_that_jumps_must_stay_with_its_story(told, expect):
    steers = registered(*told)
    assert (steers[:2], steers[-1]) == (expect[:2], expect[-1])


def test_a_doubted_value_is_uncertain_until_the_doubt_is_gone():
    image = ProcessImage(30.0)
    image.absorb([good(0, 5.0)])
    image.doubt({POINT: "it stands still"})
    reading = image.freeze(at(1), 1.0).readings[POINT]
    assert (reading.value, reading.quality, reading.reason) == (5.0, Quality.UNCERTAIN, "it stands still")
    image.doubt({})
    assert image.freeze(at(2), 2.0).good(POINT) == 5.0
