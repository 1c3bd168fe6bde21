"""The desk of the grid operator's limits: what a restart takes up, and what several sources add up to."""

from __future__ import annotations

from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ems.limits.desk import LimitDesk
from ems.limits.failsafe_machine import MISSING_S, Line, Order, State, begun
from ems.limits.in_force import Direction, InForce, Instant, in_force, narrowed
from ems.limits.sources import Contact, Sources

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
BOTH = {Direction.IMPORT: 20.0, Direction.EXPORT: 5.0}


def instant(at_s: float) -> Instant:
    return Instant(NOW + timedelta(seconds=at_s), 1000.0 + at_s)


def desk_of(kept: Any = None, at_s: float = 0.0, *, records: list[Any] | None = None, **more: Any) -> LimitDesk:
    def record(_kind: str, body: Any) -> Future[int]:
        if records is not None:
            records.append(body)
        future: Future[int] = Future()
        future.set_result(1)
        return future

    return LimitDesk(Sources(BOTH, api=True, registers={}, contacts={}, **more), record, instant(at_s), kept)


def said(desk: LimitDesk, at_s: float) -> dict[str, tuple[str, float | None]]:
    return {one.direction.value: (one.state.value, one.kw) for one in desk.in_force(instant(at_s))}


def kept(**line: Any) -> dict[str, Any]:
    return {"lines": {"api": {"import": line, "export": {"kw": None, "ends_at": None, "failsafe": False}}}}


BROKEN = {
    "no record": None,
    "an empty one": {},
    "another source": {"lines": {"registers.box": {}}},
    "no limit": kept(ends_at=None, failsafe=False),
    "no end": kept(kw=3.0, failsafe=False),
    "an end that is no instant": kept(kw=3.0, ends_at="soon", failsafe=False),
    "an end without a zone": kept(kw=3.0, ends_at="2026-03-01T13:00:00", failsafe=False),
    "a negative limit": kept(kw=-3.0, ends_at=None, failsafe=False),
    "a limit that is text": kept(kw="3", ends_at=None, failsafe=False),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_record_that_cannot_be_understood_is_as_good_as_none(name: str) -> None:
    assert said(desk_of(BROKEN[name]), 0.0)["import"] == ("failsafe", 20.0)


def test_a_limit_goes_on_to_its_end_over_a_restart_and_ends_while_it_was_down() -> None:
    body = kept(kw=7.0, ends_at=(NOW + timedelta(seconds=60)).isoformat(), failsafe=False)
    desk = desk_of(body, 10.0)
    assert said(desk, 59.0) == {"import": ("limited", 7.0), "export": ("unlimited", None)}
    assert said(desk, 60.0)["import"] == ("unlimited", None)
    assert said(desk_of(body, 100.0), 100.0)["import"] == ("unlimited", None)
    assert said(desk_of(body, 100.0), 100.0 + MISSING_S)["import"] == ("failsafe", 20.0)


def test_one_direction_told_leaves_the_other_as_it_is() -> None:
    records: list[Any] = []
    desk = desk_of(records=records)
    desk.heartbeat("api", instant(1.0))
    obeyed, written = desk.tell("api", {Direction.EXPORT: 3.0}, instant(2.0))
    assert obeyed
    assert written is not None
    assert said(desk, 3.0) == {"import": ("failsafe", 20.0), "export": ("limited", 3.0)}
    trouble = desk.in_force(instant(3.0))[0].trouble
    assert trouble.startswith("the grid operator is heard again by api and has stated no import limit since")
    assert desk.tell("api", {Direction.EXPORT: 3.0}, instant(4.0)) == (True, None), "nothing has changed"
    assert len(records) == 1


# Limits end between whole seconds, at which nothing is asked.
TOLD = st.tuples(st.none() | st.floats(0.0, 60.0), st.none() | st.integers(1, 500).map(lambda s: s + 0.5))


@given(st.lists(st.tuples(st.integers(0, 90), st.none() | TOLD), max_size=12))
@settings(max_examples=40)
def test_law_what_a_desk_writes_is_what_the_next_one_takes_up(story: Any) -> None:
    records: list[Any] = []
    desk, at_s = desk_of(records=records), 0.0
    for step_s, told in story:
        at_s += step_s
        if told is None:
            desk.heartbeat("api", instant(at_s))
        else:
            desk.tell("api", {Direction.IMPORT: told[0]}, instant(at_s), told[1])
    before = said(desk, at_s)
    assert said(desk_of(records[-1] if records else None, at_s), at_s) == before


KW = st.none() | st.floats(0.0, 100.0)


@given(
    st.lists(st.tuples(KW, st.booleans()), min_size=1, max_size=4),
    st.tuples(st.floats(1.0, 100.0), st.floats(0.0, 100.0)),
)
@settings(max_examples=40)
def test_law_the_lowest_of_all_sources_holds_and_widens_nothing(lines: Any, own_kw: tuple[float, float]) -> None:
    made: dict[str, Line] = {
        f"s{i}": begun(20.0, 0.0, order=Order(kw), failsafe=failsafe) for i, (kw, failsafe) in enumerate(lines)
    }
    found = in_force(Direction.IMPORT, made, Instant(NOW, 0.0))
    assert found.kw == min((line.kw for line in made.values() if line.kw is not None), default=None)
    assert (found.state is State.FAILSAFE) == any(failsafe for _, failsafe in lines) == bool(found.trouble)
    assert bool(found.reason) == (found.kw is not None)
    now_kw = narrowed(own_kw, [found])
    assert now_kw[0] == min(own_kw[0], own_kw[0] if found.kw is None else found.kw)
    assert now_kw[1] == own_kw[1]


def test_a_site_may_be_limited_in_a_direction_by_nobody() -> None:
    sources = Sources(
        BOTH, api=False, registers={}, contacts={"inputs.a": Contact("box.state", {Direction.IMPORT: 4.0})}
    )
    desk = LimitDesk(sources, lambda *_: Future(), instant(0.0))
    assert [one.direction for one in desk.in_force(instant(0.0))] == [Direction.IMPORT]
    assert desk.directions("api") == ()
    assert narrowed((50.0, 40.0), [InForce(Direction.IMPORT, State.UNLIMITED)]) == (50.0, 40.0)
