"""What stands still is doubted once more has driven it than ever before, and nothing that may rest."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from history_replay import Replay
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.points import Measurement
from ems.fast.stuck import GREW, LEARNING, MANY, TIMES, Stuck, hours_passing, watched

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HOUSE = Replay("demo_house")
ROOM, CHARGE = "heat_pump_controller.temperature_c", "battery_inverter.soc_pct"
OUTDOOR, VOLTS = "heat_pump_controller.outdoor_c", "grid_meter.voltage_v"
POWER_OF = {ROOM: "heat_pump_controller.power_kw", CHARGE: "battery_inverter.power_kw", OUTDOOR: "", VOLTS: ""}
STEP_H = 1.0 / 60.0
Story = Callable[[float], tuple[float, float]]
"""Gives the value and the power beside it at an hour [h]."""


def doubts(point: str, story: Story, until_h: float) -> dict[float, str]:
    """Tell when a point of the demo house is doubted, and why; a reading a minute."""
    one = next(each for each in watched(HOUSE.site, HOUSE.bindings) if each.point == point)
    found = {}
    for minute in range(round(until_h * 60)):
        value, kw = story(minute * STEP_H)
        told = {point: Measurement(point, value, NOW, minute * 60.0)}
        told[POWER_OF[point]] = Measurement(POWER_OF[point], kw, NOW, minute * 60.0)
        if why := one.look(told.get):
            found[minute * STEP_H] = why
    return found


def then(first_h: float, before: Story, after: Story) -> Story:
    return lambda h: before(h) if h < first_h else after(h)


def restless(kw: float, every_h: float = 0.1) -> Story:
    """A value that changes so often, whatever is driven."""
    return lambda h: (20.0 + int(h / every_h) % 7 / 10.0, kw)


def still(kw: float, value: float = 20.0) -> Story:
    return lambda _: (value, kw)


def swings(h: float) -> tuple[float, float]:
    """A battery that regulates: so much in as out."""
    return 50.0, 3.0 if int(h * 10) % 2 else -3.0 * 0.95 * 0.95


HONEST: dict[str, tuple[str, Story]] = {
    "a room where nothing heats, all summer": (ROOM, then(100.0, restless(1.0), still(0.0))),
    "a room whose heat pump stands by": (ROOM, then(100.0, restless(1.0), still(0.1))),
    "a room that was never seen to move": (ROOM, still(4.0)),
    "a room told in steps of hours": (ROOM, restless(4.0, every_h=7.0)),
    "a room that is told by the quarter of an hour": (ROOM, then(100.0, restless(4.0), restless(4.0, every_h=0.9))),
    "a battery at rest": (CHARGE, then(50.0, restless(3.0), still(0.1))),
    "a battery that regulates": (CHARGE, then(50.0, restless(3.0), swings)),
    "a full battery that is charged on": (CHARGE, then(50.0, restless(3.0), still(1.0, value=97.0))),
    "an empty battery that is drained on": (CHARGE, then(50.0, restless(3.0), still(-1.0, value=8.0))),
    "a charge told in tenths": (CHARGE, lambda h: (10.0 * int(h * 2.5) % 90, 3.0)),
    "fog": (OUTDOOR, then(200.0, restless(0.0), then(223.0, still(0.0), restless(0.0)))),
    "a voltage in whole volts at night": (VOLTS, then(48.0, restless(0.0, every_h=0.5), restless(0.0, every_h=1.9))),
}


@pytest.mark.parametrize("name", HONEST)
def test_what_may_rest_is_never_doubted(name: str) -> None:
    point, story = HONEST[name]
    assert doubts(point, story, 400.0) == {}


@pytest.mark.parametrize(
    ("point", "before", "after", "within_h", "words"),
    [
        (ROOM, restless(2.0), still(2.0), 2.1, "4.0 kWh went into its heat pump"),
        (ROOM, restless(2.0, every_h=1.0), still(2.0), 4.1, "8.0 kWh went into its heat pump"),
        (CHARGE, restless(3.0), still(3.0), 0.6, "% of its capacity flowed"),
        (CHARGE, restless(3.0), still(-3.0, value=95.0), 0.6, "% of its capacity flowed"),
        (OUTDOOR, restless(0.0), still(0.0), 24.1, "24.0 h passed; it never stood for more than 0.1 before"),
        (VOLTS, restless(0.0), still(0.0), 6.1, "6.0 h passed"),
    ],
    ids=["a room", "a coarse room takes longer", "charging", "discharging from full", "outdoors", "voltage"],
)
def test_what_is_driven_and_stands_still_is_doubted_until_it_moves(point, before, after, within_h, words) -> None:
    frozen_h = 200.0
    story = then(frozen_h, before, then(frozen_h + 40.0, after, before))
    found = doubts(point, story, frozen_h + 80.0)
    assert frozen_h < min(found) <= frozen_h + within_h
    assert frozen_h + 39.9 < max(found) < frozen_h + 40.0
    assert words in found[min(found)]


def test_a_point_that_was_not_read_anew_is_not_judged_anew() -> None:
    one = Stuck("p", hours_passing, 1.0, "h passed")
    told = Measurement("p", 1.0, NOW, 0.0)
    for _ in range(10_000):
        assert one.look({"p": told}.get) == ""
    assert one.passed == 0.0


def test_an_outage_counts_as_little_as_nobody_knows_of_it() -> None:
    one = Stuck("p", hours_passing, 1.0, "h passed", changes=MANY, lived=LEARNING)
    assert one.look({"p": Measurement("p", 1.0, NOW, 0.0)}.get) == ""
    assert one.look({"p": Measurement("p", 1.0, NOW, 86_400.0)}.get) == ""
    assert one.passed <= 0.02


def test_a_power_of_another_time_drives_nothing() -> None:
    one = next(each for each in watched(HOUSE.site, HOUSE.bindings) if each.point == ROOM)
    old = Measurement(POWER_OF[ROOM], 4.0, NOW, -600.0)
    for at_s in (0.0, 60.0, 120.0):
        one.look({ROOM: Measurement(ROOM, 20.0, NOW, at_s), POWER_OF[ROOM]: old}.get)
    assert one.passed == 0.0


def live(one: Stuck, runs_min: list[int]) -> list[str]:
    """Let a point stand still for so many minutes each time, and tell what was said."""
    said, minute = [], 0
    for number, run in enumerate(runs_min):
        for _ in range(run):
            said.append(one.look({"p": Measurement("p", float(number), NOW, 60.0 * minute)}.get))
            minute += 1
    return said


RUNS = st.lists(st.integers(1, 59), min_size=1, max_size=60)


@given(RUNS)
@settings(max_examples=60, deadline=None)
def test_law_nothing_is_said_of_what_never_stands_for_longer_than_the_least(runs) -> None:
    assert not any(live(Stuck("p", hours_passing, 1.0, "h passed"), runs))


@given(st.lists(st.integers(10, 200), min_size=MANY + 1, max_size=60))
@settings(max_examples=60, deadline=None)
def test_law_what_stands_for_good_is_found_after_four_times_its_longest(runs) -> None:
    one = Stuck("p", hours_passing, 1.0, "h passed")
    if any(live(one, runs)):
        return  # it stood for four times its longest before
    live(one, [1])
    longest_h = one.longest
    assert longest_h <= max(runs) / 60.0 + 1e-9
    due_min = round(60.0 * max(1.0, TIMES * longest_h))
    said = [one.look({"p": Measurement("p", -1.0, NOW, 1e6 + 60.0 * k)}.get) for k in range(due_min + 5)]
    first = next(k for k, why in enumerate(said) if why)
    assert due_min <= first <= due_min + 3
    assert all(said[first:])


def test_a_doubt_that_ends_teaches_but_not_much() -> None:
    one = Stuck("p", hours_passing, 1.0, "h passed")
    assert not any(live(one, [20] * 60))
    longest_h = one.longest
    live_from_s = 1e6
    for k in range(2000):
        one.look({"p": Measurement("p", -1.0, NOW, live_from_s + 60.0 * k)}.get)
    assert one.why
    one.look({"p": Measurement("p", -2.0, NOW, live_from_s + 60.0 * 2000)}.get)
    assert one.why == ""
    assert one.longest == pytest.approx(GREW * longest_h)


COARSE = {"temperature_c": 0.5, "outdoor_c": 0.5, "soc_pct": 5.0, "voltage_v": 1.0}
FINE = {"temperature_c": 0.1, "outdoor_c": 0.1, "soc_pct": 1.0, "voltage_v": 0.1}
COARSEST = {"temperature_c": 1.0, "outdoor_c": 1.0, "soc_pct": 10.0, "voltage_v": 1.0}
SOAK = (pytest.mark.soak, pytest.mark.faults)


@pytest.mark.parametrize(
    ("site", "months", "steps"),
    [
        ("demo_house", (2,), COARSE),
        *(
            pytest.param(site, (2, 3, 4), steps, marks=SOAK)
            for site in ("demo_house", "demo_district")
            for steps in ({}, FINE, COARSE, COARSEST)
        ),
    ],
)
def test_the_demo_sites_histories_give_no_false_alarm(site, months, steps) -> None:
    replay = Replay(site, months, steps)
    assert list(replay.doubts()) == []
    assert all(one.changes >= MANY and one.lived >= LEARNING * one.least for one in replay.watched.values())
