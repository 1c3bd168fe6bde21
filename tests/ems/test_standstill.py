"""A power that stands still is believed as long as its register agrees, and no longer than it takes to see that."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from drivers.points import Measurement
from ems.config.binding import bind
from ems.config.loading import load_site
from ems.fast.standstill import Standstill

SITE = load_site(Path(__file__).parents[2] / "sites" / "demo_house")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
METER, CAR = "grid_meter.power_kw", "wallbox.power_kw"
Story = Callable[[float], tuple[float, float, float]]
"""Gives power, import and export register at an instant [s]."""


def doubts(story: Story, until_s: float, period_s: float = 5.0) -> dict[float, str]:
    """Tell when the grid meter's power is doubted, and why."""
    watch, found = Standstill(SITE, bind(SITE)), {}
    for at_s in steps(until_s, period_s):
        names = (METER, "grid_meter.import_kwh", "grid_meter.export_kwh")
        told = {name: Measurement(name, v, NOW, at_s) for name, v in zip(names, story(at_s), strict=True)}
        if why := watch.look(told.get).get(METER):
            found[at_s] = why
    return found


def steps(until_s: float, period_s: float) -> Iterable[float]:
    return (n * period_s for n in range(int(until_s / period_s)))


def restless(at_s: float) -> float:
    return 4.0 + at_s % 7 / 10.0


def counted(at_s: float, kw: float = 4.3, step_kwh: float = 0.01, every_s: float = 1.0) -> float:
    return kw * (at_s // every_s * every_s) / 3600.0 // step_kwh * step_kwh


def then(first_s: float, before: Story, after: Story) -> Story:
    return lambda at_s: before(at_s) if at_s < first_s else after(at_s)


def alive(at_s: float) -> tuple[float, float, float]:
    return restless(at_s), counted(at_s), 0.0


FROZEN: Story = lambda _: alive(600.0)  # noqa: E731
HONEST: dict[str, Story] = {
    "restless": alive,
    "exactly steady, and its register goes on": lambda s: (4.3, counted(s), 0.0),
    "nothing flows": then(600.0, alive, lambda _: (0.0, counted(600.0), 0.0)),
    "a trifle flows": then(600.0, alive, lambda _: (0.15, counted(600.0), 0.0)),
    "a trifle flows and is counted": lambda s: (0.2, counted(s, 0.2, step_kwh=0.001), 0.0),
    "a trifle flows and is counted coarsely": lambda s: (0.2, 0.09 + counted(s, 0.2, step_kwh=0.1), 0.0),
    "a trifle is told as nothing": lambda s: (0.0, counted(s, 0.19, step_kwh=0.001), 0.0),
    "a register that never moves": lambda _: (4.3, 1000.0, 0.0),
    "a register in whole kilowatt-hours": lambda s: (4.3, counted(s, step_kwh=1.0), 0.0),
    "a meter that is renewed every quarter of an hour": lambda s: (4.3, counted(s, every_s=900.0), 0.0),
    "export": lambda s: (-4.3, 0.0, counted(s)),
    "a coarse register, and then little": then(
        3600.0,
        lambda s: (restless(s), counted(s, step_kwh=0.1), 0.0),
        lambda s: (0.3, 4.3 + counted(s - 3600.0, 0.3, step_kwh=0.1), 0.0),
    ),
}


@pytest.mark.parametrize("name", HONEST)
def test_what_is_honest_is_believed(name: str) -> None:
    assert doubts(HONEST[name], 7200.0) == {}


@pytest.mark.parametrize(
    ("story", "from_s", "until_s"),
    [
        (then(600.0, alive, FROZEN), 715.0, 730.0),
        (then(600.0, alive, lambda s: (4.3, counted(s, 1.0) + 0.5, 0.0)), 715.0, 730.0),
        (then(600.0, lambda s: (-restless(s), 0.0, counted(s)), lambda _: (-4.3, 0.0, counted(600.0))), 715.0, 730.0),
        (then(3600.0, lambda s: (restless(s), counted(s, step_kwh=0.1), 0.0), lambda _: (4.3, 4.3, 0.0)), 3840.0,
         3900.0),
        (then(600.0, lambda s: (0.1, counted(s, 0.1), 0.0), lambda s: (0.1, counted(s, 6.0), 0.0)), 605.0, 625.0),
        (then(600.0, lambda s: (0.0, counted(s, 0.1), 0.0), lambda s: (0.0, counted(60.0, 0.1), counted(s - 600.0))),
         605.0, 635.0),
        (then(28800.0, lambda s: (4.3, counted(s), 0.0), lambda _: (4.3, counted(28800.0), 0.0)), 28855.0, 28935.0),
    ],
    ids=["all of it frozen", "its register goes on elsewhere", "export", "a coarse register takes longer",
         "frozen at rest while power is drawn", "frozen at nothing while power is given",
         "frozen after a steady night"],
)  # fmt: skip
def test_what_stands_still_against_its_register_is_doubted(story: Story, from_s: float, until_s: float) -> None:
    found = doubts(story, until_s + 600.0)
    assert from_s <= min(found) <= until_s
    assert max(found) == until_s + 595.0, "until it moves"
    assert "while its register tells" in found[min(found)]


def test_an_hour_in_which_it_flowed_the_other_way_is_no_pause_of_a_register() -> None:
    before = then(600.0, alive, lambda s: (-restless(s), counted(600.0), counted(s)))
    after = then(4800.0, lambda s: (restless(s), counted(s - 3600.0), counted(4200.0)),
                 lambda _: (4.3, counted(1200.0), counted(4200.0)))  # fmt: skip
    assert 4915.0 <= min(doubts(then(4200.0, before, after), 5400.0)) <= 4930.0


def test_an_hour_in_which_nothing_was_read_is_no_pause_of_a_register() -> None:
    watch, frozen_s = Standstill(SITE, bind(SITE)), 4800.0
    found: list[float] = []
    for at_s in steps(5400.0, 5.0):
        if not 600.0 <= at_s < 4200.0:
            kw, kwh, _ = alive(min(at_s, frozen_s))
            told = {METER: Measurement(METER, kw, NOW, at_s)}
            told["grid_meter.import_kwh"] = Measurement("grid_meter.import_kwh", kwh, NOW, at_s)
        found += [at_s] if METER in watch.look(told.get) else []
    assert frozen_s + 115.0 <= min(found) <= frozen_s + 130.0


def test_a_standstill_that_ended_in_time_teaches_nothing() -> None:
    def story(at_s: float) -> tuple[float, float, float]:
        return alive(at_s - at_s % 600.0 if at_s % 600.0 < 110.0 or at_s > 6000.0 else at_s)

    assert 6115.0 <= min(doubts(story, 6600.0)) <= 6130.0


def test_a_little_that_is_frozen_is_found_once_a_coarse_register_ought_to_have_stepped() -> None:
    before = then(3600.0, lambda s: (restless(s), counted(s, step_kwh=0.1), 0.0), lambda s: (0.6, 4.3, 0.0))
    assert 3600.0 + 1200.0 <= min(doubts(before, 7200.0)) <= 3600.0 + 1500.0


def test_it_is_believed_again_when_it_moves() -> None:
    found = doubts(then(600.0, alive, then(1200.0, FROZEN, alive)), 3600.0)
    assert max(found) < 1200.0


def test_what_has_no_register_is_never_doubted() -> None:
    watch = Standstill(SITE, bind(SITE))
    for at_s in steps(3600.0, 5.0):
        told = Measurement(CAR, 4.3, NOW, at_s)
        assert not watch.look({CAR: told}.get)
