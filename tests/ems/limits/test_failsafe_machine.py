"""The failsafe machine: a table of what happens, two field bugs by name, and laws against a second implementation."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, nan

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ems.limits.failsafe_machine import (
    MISSING_S,
    LimitError,
    Line,
    Order,
    State,
    advanced,
    begun,
    checked_kw,
    checked_s,
    heartbeat,
    told,
)

FAILSAFE_KW = 25.0


@dataclass(frozen=True)
class Event:
    """What happens at a second; `kw` None is a release."""

    at_s: float
    what: str = "heartbeat"
    kw: float | None = None
    duration_s: float | None = None


def beat(at_s: float) -> Event:
    return Event(at_s)


def limit(at_s: float, kw: float | None, duration_s: float | None = None) -> Event:
    return Event(at_s, "limit", kw, duration_s)


def lived(line: Line, events: list[Event], until_s: float) -> Line:
    for event in events:
        if event.what == "heartbeat":
            line = heartbeat(line, event.at_s)
        elif event.what == "limit":
            line = told(line, event.at_s, event.kw, event.duration_s)
        else:
            line = advanced(line, event.at_s)
    return advanced(line, until_s)


def beats(first_s: int, last_s: int) -> list[Event]:
    return [beat(float(s)) for s in range(first_s, last_s + 1, 60)]


RUNNING = begun(FAILSAFE_KW, 0.0, order=Order(None), failsafe=False)
TABLE = {
    "nothing known of before": (begun(FAILSAFE_KW, 0.0), [], 0.0, State.FAILSAFE, 25.0),
    "released before the restart": (RUNNING, [], 119.9, State.UNLIMITED, None),
    "no heartbeat after the restart": (RUNNING, [], 120.0, State.FAILSAFE, 25.0),
    "heartbeats and no limit": (RUNNING, beats(0, 600), 650.0, State.UNLIMITED, None),
    "a limit at once": (RUNNING, [beat(5.0), limit(5.0, 10.0)], 5.0, State.LIMITED, 10.0),
    "a limit of nothing": (RUNNING, [beat(5.0), limit(5.0, 0.0)], 5.0, State.LIMITED, 0.0),
    "the newest limit counts": (RUNNING, [beat(5.0), limit(5.0, 10.0), limit(6.0, 20.0)], 7.0, State.LIMITED, 20.0),
    "without a duration it does not expire": (
        RUNNING, [*beats(0, 86400), limit(86400.0, 10.0), *beats(86460, 2 * 86400)], 2 * 86400.0, State.LIMITED, 10.0,
    ),
    "just before its end": (RUNNING, [beat(5.0), limit(5.0, 10.0, 100.0)], 104.9, State.LIMITED, 10.0),
    "at its end": (RUNNING, [beat(5.0), limit(5.0, 10.0, 100.0)], 105.0, State.UNLIMITED, None),
    "released early": (RUNNING, [beat(5.0), limit(5.0, 9.0, 99.0), limit(9.0, None)], 9.0, State.UNLIMITED, None),
    "a heartbeat just in time": (RUNNING, [beat(0.0), beat(119.9)], 239.8, State.UNLIMITED, None),
    "two heartbeats missing": (RUNNING, [beat(7.0)], 127.0, State.FAILSAFE, 25.0),
    "limited, then lost: the lower one": (RUNNING, [beat(0.0), limit(1.0, 10.0)], 300.0, State.FAILSAFE, 10.0),
    "limited above, then lost": (RUNNING, [beat(0.0), limit(1.0, 40.0)], 120.0, State.FAILSAFE, 25.0),
    "lost, then the limit ends": (RUNNING, [beat(0.0), limit(1.0, 10.0, 200.0)], 201.0, State.FAILSAFE, 25.0),
    "a release without a heartbeat": (RUNNING, [limit(200.0, None)], 200.0, State.FAILSAFE, 25.0),
    "a tighter limit without a heartbeat": (RUNNING, [limit(5.0, 10.0, 1.0)], 60.0, State.LIMITED, 10.0),
    "a looser limit without a heartbeat": (RUNNING, [limit(5.0, 10.0), limit(6.0, 20.0)], 60.0, State.LIMITED, 10.0),
    "a tighter limit in failsafe": (RUNNING, [limit(200.0, 5.0)], 200.0, State.FAILSAFE, 5.0),
    "limit before heartbeat": (RUNNING, [limit(200.0, 30.0), beat(201.0)], 202.0, State.FAILSAFE, 25.0),
    "heartbeat and a limit, before two hours": (
        RUNNING, [beat(400.0), limit(401.0, 30.0)], 401.0, State.LIMITED, 30.0,
    ),
    "heartbeat and a release, before two hours": (
        RUNNING, [beat(400.0), limit(401.0, None)], 401.0, State.UNLIMITED, None,
    ),
    "the limit comes 119 s after the heartbeat": (
        RUNNING, [beat(400.0), limit(519.0, 30.0)], 519.0, State.LIMITED, 30.0,
    ),
    "the limit comes 120 s after the heartbeat": (
        RUNNING, [beat(400.0), limit(520.0, 30.0)], 520.0, State.FAILSAFE, 25.0,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TABLE)
def test_the_table(name: str) -> None:
    line, events, until_s, state, kw = TABLE[name]
    after = lived(line, events, until_s)
    assert (after.state, after.kw) == (state, kw)


@pytest.mark.parametrize("hours", [0.1, 1.99, 2.0, 2.01, 24.0, 24.0 * 365])
def test_never_silently_un_limit_on_long_outage(hours: float) -> None:
    line = lived(RUNNING, [beat(0.0), limit(1.0, 60.0)], 3600.0 * hours)
    assert (line.state, line.kw) == (State.FAILSAFE, FAILSAFE_KW)


@pytest.mark.parametrize("back_s", [130.0, 7199.0, 7200.0, 7201.0, 86400.0])
def test_leave_failsafe_only_on_heartbeat_and_a_new_limit(back_s: float) -> None:
    lost = lived(RUNNING, [beat(0.0), limit(1.0, 60.0)], back_s)
    heard = lived(lost, [beat(back_s + 60.0 * k) for k in range(100)], back_s + 6000.0)
    assert (heard.state, heard.kw) == (State.FAILSAFE, FAILSAFE_KW), "heartbeats alone"
    said = lived(lost, [limit(back_s + 1.0, 60.0)], back_s + 1.0)
    assert (said.state, said.kw) == (State.FAILSAFE, FAILSAFE_KW), "a limit alone"
    both = lived(lost, [beat(back_s + 1.0), limit(back_s + 1.0, 60.0)], back_s + 1.0)
    assert (both.state, both.kw) == (State.LIMITED, 60.0), "at once, even before two hours"


@pytest.mark.parametrize("value", [-1.0, -1e-9, nan, inf, -inf, True, "4 kW", None])
def test_a_limit_that_cannot_be_kept_is_refused_by_name_value_and_remedy(value: object) -> None:
    with pytest.raises(LimitError, match=r"import_kw: .* is no limit; write a power in kW, 0 or more"):
        checked_kw("import_kw", value)
    if isinstance(value, float):
        with pytest.raises(LimitError):
            told(RUNNING, 0.0, value)


@pytest.mark.parametrize("value", [0.0, -5.0, nan, inf, False, "PT1H"])
def test_a_duration_that_cannot_pass_is_refused(value: object) -> None:
    with pytest.raises(LimitError, match=r"duration_s: .* is no duration; write seconds"):
        checked_s("duration_s", value)
    if isinstance(value, float):
        with pytest.raises(LimitError):
            told(RUNNING, 0.0, 5.0, value)


KW = st.one_of(st.none(), st.floats(0.0, 100.0))
STEP = st.one_of(st.sampled_from([0.0, 1.0, 59.0, 60.0, 119.0, 120.0, 121.0]), st.floats(0.0, 8000.0))
SOMETHING = st.tuples(
    STEP, st.sampled_from(["heartbeat", "limit", "nothing"]), KW, st.one_of(st.none(), st.floats(0.1, 9000.0))
)


@st.composite
def stories(draw: st.DrawFn) -> tuple[Line, list[Event], float]:
    known = draw(st.booleans())
    order = Order(draw(KW)) if known else None
    line = begun(FAILSAFE_KW, 0.0, order=order, failsafe=draw(st.booleans()))
    at_s, events = 0.0, []
    for step_s, what, kw, duration_s in draw(st.lists(SOMETHING, max_size=14)):
        at_s += step_s
        events.append(Event(at_s, what, kw, duration_s))
    return line, events, at_s + draw(STEP)


def in_force_by_definition(line: Line, events: list[Event], now_s: float) -> tuple[State, float]:
    """Say what holds by looking back over all that happened: a second implementation, without any state."""

    def heard_before(index: int, at_s: float) -> bool:
        return any(e.what == "heartbeat" and at_s - e.at_s < MISSING_S for e in events[:index])

    beats_s = [0.0, *(e.at_s for e in events if e.what == "heartbeat")]
    nexts_s = [*beats_s[1:], now_s]
    losses_s = [b + MISSING_S for b, after in zip(beats_s, nexts_s, strict=True) if after - b >= MISSING_S]
    firm = [(i, e) for i, e in enumerate(events) if e.what == "limit" and heard_before(i, e.at_s)]
    last_loss_s = max(losses_s, default=0.0 if line.failsafe else -1.0)
    failsafe = last_loss_s >= 0.0 and not any(e.at_s >= last_loss_s for _, e in firm)
    index, kw, until_s = (-1, line.order.kw, inf)
    if firm:
        index, said = firm[-1]
        kw, until_s = said.kw, inf if said.duration_s is None or said.kw is None else said.at_s + said.duration_s
    for event in events[index + 1 :]:
        kw = None if event.at_s >= until_s else kw
        if event.what == "limit" and event.kw is not None and event.kw < (inf if kw is None else kw):
            kw, until_s = event.kw, inf
    kw = None if now_s >= until_s else kw
    open_kw = inf if kw is None else kw
    if failsafe:
        return State.FAILSAFE, min(FAILSAFE_KW, open_kw)
    return (State.UNLIMITED, inf) if kw is None else (State.LIMITED, open_kw)


@given(stories())
def test_two_implementations_agree(story: tuple[Line, list[Event], float]) -> None:
    line, events, now_s = story
    after = lived(line, events, now_s)
    assert (after.state, inf if after.kw is None else after.kw) == in_force_by_definition(line, events, now_s)


@given(stories(), st.floats(MISSING_S, 1e8))
@settings(max_examples=40)
def test_law_without_a_heartbeat_never_more_than_the_failsafe_limit(
    story: tuple[Line, list[Event], float], silence_s: float
) -> None:
    line, events, now_s = story
    lost = lived(line, events, now_s + silence_s)
    assert lost.state is State.FAILSAFE
    assert lost.kw is not None
    assert lost.kw <= FAILSAFE_KW


@given(stories(), st.lists(st.tuples(STEP, st.booleans(), KW), max_size=10))
@settings(max_examples=40)
def test_law_failsafe_ends_only_on_a_heartbeat_and_then_a_limit(
    story: tuple[Line, list[Event], float], later: list[tuple[float, bool, float | None]]
) -> None:
    line, events, now_s = story
    lost = lived(line, events, now_s + MISSING_S)
    at_s = now_s + MISSING_S
    for step_s, is_heartbeat, kw in later:
        at_s += step_s
        fresh = lost.is_fresh(at_s)
        lost = heartbeat(lost, at_s) if is_heartbeat else told(lost, at_s, kw)
        if not is_heartbeat and fresh:
            assert lost.state is not State.FAILSAFE, "at once"
            return
        assert lost.state is State.FAILSAFE


@given(stories(), st.floats(0.0, 1e6))
@settings(max_examples=50)
def test_law_a_restart_loosens_nothing(story: tuple[Line, list[Event], float], off_s: float) -> None:
    line, events, now_s = story
    before = lived(line, events, now_s)
    kept = Order(before.order.kw)
    again = begun(FAILSAFE_KW, now_s + off_s, order=kept, failsafe=before.failsafe)
    assert again.state is before.state
    assert again.kw == before.kw
    forgotten = begun(FAILSAFE_KW, now_s + off_s)
    assert (forgotten.state, forgotten.kw) == (State.FAILSAFE, FAILSAFE_KW)
    assert not again.is_fresh(now_s + off_s), "whoever was heard before the restart is to be heard again"
