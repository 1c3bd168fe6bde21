"""The simulated disk: what is set aside on it is given to the journal, and a daemon that starts on it plans at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from story_machine import SITE, SPENT_BYTES, prepared_in

from ems.slow.planning_setup import cache_dir
from ems.store.journal import read_records
from ems.store.reserve import FILE
from ems.stores import journal_path
from hil.simulation.disk import RESERVE_BYTES
from hil.simulation.faults import Kind
from hil.simulation.simulate import Order
from hil.simulation.story import Story

Begin = Callable[[int], Story]


@pytest.fixture
def begin(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> Begin:
    cache_dir(tmp_path).symlink_to(prepared_in(tmp_path_factory.mktemp("prepared")))
    return lambda reserve_bytes: Story(Order(SITE, 4, 86400.0, reserve_bytes=reserve_bytes), tmp_path)


@pytest.mark.parametrize(("kind", "size"), [(Kind.DISK_FULL, 0.0), (Kind.DISK_FAILS, 2.0), (Kind.DISK_FAILS, 15.0)])
def test_a_daemon_killed_on_a_bad_disk_has_an_optimised_plan_within_a_minute(
    begin: Begin, kind: Kind, size: float
) -> None:
    story = begin(RESERVE_BYTES)
    story.wait(40.0)
    story.strike(kind, 7200.0, size=size)
    story.wait(330.0)
    story.end(2.0, killed=True)
    story.wait(60.0)
    assert story.life.first_plan_s is not None
    assert story.life.first_plan_s - story.life.start_s <= 60.0
    assert story.violations == []
    story.close()


def test_scans_wait_while_the_journal_takes_what_is_set_aside_and_both_go_on_with_room(begin: Begin) -> None:
    story = begin(RESERVE_BYTES)
    story.wait(40.0)
    story.strike(Kind.DISK_FULL, 120.0)
    story.wait(100.0)
    stores, before = story.life.stores, len(read_records(journal_path(story.state)))
    assert not (story.state / FILE).exists()
    assert "is full" in stores.trouble()
    assert stores.history.backlog().unwritten > 0
    assert stores.journal.backlog().failing == ""
    story.wait(60.0)
    assert (story.state / FILE).stat().st_size == RESERVE_BYTES
    assert stores.trouble() == ""
    assert stores.history.backlog().unwritten == 0
    assert len(read_records(journal_path(story.state))) >= before
    assert story.violations == []
    story.close()


def test_once_it_is_spent_the_journal_takes_nothing(begin: Begin) -> None:
    story = begin(SPENT_BYTES)
    story.wait(40.0)
    story.strike(Kind.DISK_FULL, 400.0)
    story.wait(350.0)
    assert "disk is full" in story.life.stores.journal.backlog().failing
    story.wait(120.0)
    assert story.life.stores.journal.backlog().failing == ""
    assert story.violations == []
    story.close()
