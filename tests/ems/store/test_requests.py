"""Requests: append-only wishes that several processes write and the core reads."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ems.clock import SimulatedClock
from ems.store.database import StoreError
from ems.store.requests import FILE, Request, RequestBox, RequestError, read_active, release, submit

NOON = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def wish(target: str = "battery", **changes) -> Request:
    request = Request("override", target, {"power_kw": 3.0}, "test of the inverter", "operator", NOON, NOON + HOUR)
    return replace(request, **changes)


@pytest.fixture
def box(tmp_path: Path):
    box = RequestBox(tmp_path, SimulatedClock(NOON))
    yield box
    box.close()


def test_what_is_submitted_is_polled_once_and_stays_in_force(box: RequestBox, tmp_path: Path) -> None:
    number = submit(tmp_path, wish())
    assert box.poll() == [wish(id=number)]
    assert box.poll() == []
    assert box.active() == [wish(id=number)] == read_active(tmp_path, NOON)


def test_a_restarted_core_polls_nothing_old_and_still_knows_what_is_in_force(tmp_path: Path) -> None:
    submit(tmp_path, wish())
    box = RequestBox(tmp_path, SimulatedClock(NOON))
    assert box.poll() == []
    assert [request.target for request in box.active()] == ["battery"]
    box.close()


@pytest.mark.parametrize(
    ("after", "in_force"), [(timedelta(0), True), (HOUR - timedelta(seconds=1), True), (HOUR, False), (2 * HOUR, False)]
)
def test_a_request_ends_by_itself(box: RequestBox, tmp_path: Path, after: timedelta, in_force: bool) -> None:
    submit(tmp_path, wish())
    assert bool(box.active(NOON + after)) is in_force


def test_a_request_without_an_end_holds(box: RequestBox, tmp_path: Path) -> None:
    submit(tmp_path, wish(kind="lockout", expires_at=None))
    assert box.active(NOON + 10_000 * HOUR)


@pytest.mark.parametrize("by_number", [True, False])
def test_a_release_is_a_row_that_ends_it(box: RequestBox, tmp_path: Path, by_number: bool) -> None:
    number = submit(tmp_path, wish())
    other = submit(tmp_path, wish("pv"))
    released = release(tmp_path, number if by_number else "battery", "operator", "done", NOON)
    assert [request.id for request in box.active()] == [other]
    assert [(row.kind, row.id) for row in box.poll()][-1] == ("release", released)
    again = submit(tmp_path, wish())
    assert [request.id for request in box.active()] == [other, again], "a later wish is no part of an earlier release"


def test_the_newest_replaces_and_its_end_brings_nothing_back(box: RequestBox, tmp_path: Path) -> None:
    submit(tmp_path, wish(expires_at=None))
    newest = submit(tmp_path, wish(value={"power_kw": 1.0}))
    submit(tmp_path, wish(kind="mode", value={"mode": "advise"}, expires_at=None))
    assert [request.value for request in box.active()] == [{"power_kw": 1.0}, {"mode": "advise"}]
    release(tmp_path, newest, "operator", "done", NOON)
    assert [request.kind for request in box.active()] == ["mode"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"reason": " "}, "reason: is empty"),
        ({"by": ""}, "by: is empty"),
        ({"target": ""}, "target: is empty"),
        ({"kind": "wish"}, "kind: 'wish'"),
        ({"expires_at": NOON}, "is not after"),
        ({"at": datetime(2026, 1, 1)}, "time zone"),  # noqa: DTZ001
    ],
)
def test_nobody_asks_in_silence(tmp_path: Path, changes: dict, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        submit(tmp_path, wish(**changes))
    assert not (tmp_path / FILE).exists()


def test_no_file_yet_means_nothing_in_force(tmp_path: Path) -> None:
    assert read_active(tmp_path, NOON) == []


def test_a_newer_file_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.execute("PRAGMA user_version=99")
    connection.close()
    with pytest.raises(StoreError, match="schema version 99"):
        submit(tmp_path, wish())
    with pytest.raises(StoreError, match="schema version 99"):
        RequestBox(tmp_path, SimulatedClock(NOON))


def test_an_unreadable_file_is_told_once_and_control_goes_on(
    box: RequestBox, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    submit(tmp_path, wish())
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.execute("ALTER TABLE request RENAME TO moved")
    assert box.poll() == [] == box.poll()
    with pytest.raises(StoreError):
        box.active()
    connection.execute("ALTER TABLE moved RENAME TO request")
    connection.close()
    assert len(box.poll()) == 1
    assert len(caplog.records) == 2


_SUBMITTER = """
import sys
from datetime import UTC, datetime
from ems.store.requests import Request, submit
for n in range(25):
    at = datetime(2026, 1, 15, 12, tzinfo=UTC)
    submit(sys.argv[1], Request("ev", f"{sys.argv[2]}_{n}", {"energy_kwh": n}, "plugged in", "world", at))
"""


def test_several_processes_write_at_once_and_nothing_is_lost(tmp_path: Path) -> None:
    processes = [subprocess.Popen([sys.executable, "-c", _SUBMITTER, tmp_path, name]) for name in ("a", "b", "c")]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    active = read_active(tmp_path, NOON)
    assert len({request.target for request in active}) == 75
    assert [request.id for request in active] == list(range(1, 76))


@settings(max_examples=20, deadline=None)  # each example writes to the disk
@given(st.lists(st.tuples(st.sampled_from(["a", "b"]), st.integers(0, 3)), max_size=12))
def test_at_most_one_wish_a_target_is_in_force_and_it_is_the_newest(tmp_path_factory, steps: list) -> None:
    folder = tmp_path_factory.mktemp("requests")
    newest: dict[str, int | None] = {}
    for target, action in steps:
        if action == 0:
            release(folder, target, "law", "test", NOON)
            newest[target] = None
        else:
            newest[target] = submit(folder, wish(target))
    assert {r.target: r.id for r in read_active(folder, NOON)} == {t: n for t, n in newest.items() if n is not None}
