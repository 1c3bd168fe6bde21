"""Cars that are expected, and cars that said nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimization.assets.ev_session import EvSession
from optimization.forecast.ev import (
    DEFAULT_ENERGY_KWH,
    DEFAULT_STAY_S,
    expected_sessions,
    typical_guest,
    without_overlap,
)

BERLIN = ZoneInfo("Europe/Berlin")
MONDAY = datetime(2025, 3, 3, tzinfo=BERLIN)


def local(day: int, hour: float) -> datetime:
    wall = MONDAY + timedelta(days=day)
    return wall.replace(hour=int(hour), minute=int(hour % 1 * 60)).astimezone(UTC)


def commuter(days: range, *, energy_kwh: float = 12.0) -> list[EvSession]:
    return [
        EvSession(local(d, 8.0), local(d, 17.0), energy_kwh) for d in days if (MONDAY + timedelta(days=d)).weekday() < 5
    ]


def test_a_commuter_is_expected_on_working_days_only() -> None:
    found = expected_sessions(commuter(range(14)), local(14, 6.0), local(21, 0.0), BERLIN)
    assert [s.arrival for s in found] == [local(d, 8.0) for d in range(14, 19)]
    assert [s.departure for s in found] == [local(d, 17.0) for d in range(14, 19)]
    assert {s.energy_kwh for s in found} == {12.0}
    assert all(s.expected for s in found)


def test_the_local_hour_stays_over_the_change_of_clocks() -> None:
    found = expected_sessions(commuter(range(26)), local(26, 18.0), local(30, 0.0), BERLIN)
    assert [s.arrival.astimezone(BERLIN).hour for s in found] == [8, 8]
    assert [s.arrival.hour for s in found] == [6, 6]  # UTC, after 30 March


def test_a_car_that_came_seldom_is_not_expected() -> None:
    seldom = [EvSession(local(d, 20.0), local(d, 21.0), 5.0) for d in (0, 7)]
    found = expected_sessions(commuter(range(14)) + seldom, local(14, 6.0), local(15, 23.0), BERLIN)
    assert [s.arrival for s in found] == [local(14, 8.0), local(15, 8.0)]


def test_what_has_already_begun_is_not_expected_any_more() -> None:
    found = expected_sessions(commuter(range(14)), local(14, 9.0), local(15, 0.0), BERLIN)
    assert found == []


def test_a_car_that_still_stands_there_is_not_in_the_past() -> None:
    sessions = commuter(range(14))
    now = local(14, 9.0)
    later = [
        *sessions,
        EvSession(local(14, 8.0), local(14, 12.0), 99.0),
        EvSession(local(15, 8.0), local(15, 9.0), 99.0),
    ]
    until = local(21, 0.0)
    assert expected_sessions(later, now, until, BERLIN) == expected_sessions(sessions, now, until, BERLIN)


def test_no_past_expects_nothing() -> None:
    assert expected_sessions([], local(0, 6.0), local(7, 0.0), BERLIN) == []


def test_a_silent_car_is_typical() -> None:
    guest = typical_guest(commuter(range(14)), local(14, 7.5), local(14, 8.0), BERLIN)
    assert (guest.arrival, guest.departure, guest.energy_kwh) == (local(14, 7.5), local(14, 16.5), 12.0)
    assert not guest.expected
    unknown = typical_guest([], local(0, 8.0), local(0, 9.0), BERLIN)
    assert (unknown.departure - unknown.arrival).total_seconds() == DEFAULT_STAY_S
    assert unknown.energy_kwh == DEFAULT_ENERGY_KWH


def test_a_silent_car_that_stays_on_leaves_an_hour_from_now() -> None:
    guest = typical_guest(commuter(range(14)), local(14, 7.5), local(14, 20.0), BERLIN)
    assert guest.departure == local(14, 21.0)


def test_an_expected_car_comes_after_the_one_that_stands_there() -> None:
    here = EvSession(local(14, 6.0), local(14, 10.0), 5.0)
    expected = [EvSession(local(14, 8.0), local(14, 9.0), 1.0), EvSession(local(14, 9.0), local(14, 12.0), 2.0)]
    joined = without_overlap([here], expected)
    assert joined[0] == here
    assert [(s.arrival, s.departure) for s in joined[1:]] == [(local(14, 10.0), local(14, 12.0))]


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 20), st.floats(0, 23), st.floats(0.2, 30), st.floats(0, 60)), max_size=60),
    st.floats(0, 24),
)
def test_expected_stays_are_in_order_ahead_and_apart(stays: list[tuple], hour: float) -> None:
    past = [EvSession(local(d, h), local(d, h) + timedelta(hours=s), e) for d, h, s, e in stays]
    now = local(21, hour % 24)
    found = expected_sessions(past, now, now + timedelta(hours=36), BERLIN)
    assert all(now < s.arrival < s.departure for s in found)
    assert all(a.departure <= b.arrival for a, b in pairwise(found))


@pytest.mark.parametrize("extra", [EvSession(local(20, 1.0), local(20, 23.0), 500.0)])
def test_the_future_of_the_file_is_not_read(extra: EvSession) -> None:
    past, now = commuter(range(14)), local(14, 6.0)
    with_future = [*past, extra, *commuter(range(14, 28), energy_kwh=77.0)]
    until = now + timedelta(hours=36)
    assert expected_sessions(with_future, now, until, BERLIN) == expected_sessions(past, now, until, BERLIN)
    guest = [typical_guest(p, now, now, BERLIN) for p in (past, with_future)]
    assert guest[0] == guest[1]
