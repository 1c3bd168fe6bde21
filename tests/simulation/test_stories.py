"""Whatever goes wrong, in whatever order it is told: what must hold holds, and what does not becomes a short story."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test
from story_machine import SITE, PlannedStories, Stories, prepared_in

import ems.ownership
from ems.process_image import ProcessImage
from ems.slow.planning_setup import cache_dir
from hil.simulation.invariants import Invariant
from hil.simulation.simulate import Order
from hil.simulation.story import Story

LEFT_OUT = ("slow_down", "corrupt", "freeze", "disobey", "end", "stall", "fill_disk", "limit", "silence", "ask")
SEARCH = (Phase.generate, Phase.shrink)


@pytest.fixture(scope="module", autouse=True)
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    Stories.prepared = prepared_in(tmp_path_factory.mktemp("prepared"))
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def play(machine: type[Stories], stories: int, steps: int, phases: tuple[Phase, ...] = SEARCH) -> None:
    how = settings(
        max_examples=stories, stateful_step_count=steps, database=None, phases=phases, report_multiple_bugs=False
    )
    run_state_machine_as_test(machine, settings=how)


def test_no_short_story_breaks_an_invariant() -> None:
    play(Stories, 3, 8)


def test_a_second_daemon_that_gets_the_site_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache_dir(tmp_path).symlink_to(Stories.prepared)
    story = Story(Order(SITE, 4, 86400.0, plans=False), tmp_path)
    story.second_daemon()
    assert story.violations == []
    monkeypatch.setattr(ems.ownership, "_try_lock", lambda path: path.open("a"))
    story.second_daemon()
    story.life.end(killed=True)
    assert story.violations[0].invariant is Invariant.OWNER


@pytest.mark.soak
@pytest.mark.simulation
@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("machine", [Stories, PlannedStories])
def test_no_story_breaks_an_invariant(machine: type[Stories], number: int) -> None:
    play(seed(number)(type(f"{machine.__name__}{number}", (machine,), {})), 25, 30)


@pytest.mark.soak
@pytest.mark.simulation
def test_a_defect_becomes_a_story(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that ignores staleness is found out among fewer kinds of events, and its story is told."""
    real = ProcessImage._judge

    def ignorant(self: ProcessImage, point: str, held: Any, miss: Any, now_s: float) -> Any:
        return real(self, point, held, miss, now_s) if held is None else (held.reason, held.quality)

    monkeypatch.setattr(ProcessImage, "_judge", ignorant)
    with pytest.raises(AssertionError, match="I3") as caught:
        play(type("Few", (Stories,), dict.fromkeys(LEFT_OUT)), 20, 6, (Phase.generate,))
    told = [line for note in caught.value.__notes__ for line in note.splitlines() if line.startswith("state.")]
    steps = [line for line in told if "all_hold" not in line]
    print("\n".join(steps))
    assert any("drop" in line for line in steps)
