"""A stored past: its gaps, its cut at the present instant, and the local days it is read by."""

from __future__ import annotations

import tracemalloc
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimization.forecast.past import (
    Past,
    dates_and_quarters,
    empty,
    epoch_s,
    local_days_and_quarters,
    merge,
    most_seen,
    slot_means,
    slot_middles_s,
    slot_pieces,
)
from optimization.slots import chain

BERLIN = ZoneInfo("Europe/Berlin")


def past(values: list[float], start: float = 0.0, step_s: float = 900.0) -> Past:
    return Past(start + step_s * np.arange(len(values)), np.array(values), step_s)


@pytest.mark.parametrize(
    ("now_s", "kept"),
    [(0.0, 0), (899.9, 0), (900.0, 1), (1799.0, 1), (2700.0, 3), (1e9, 3)],
)
def test_only_samples_that_have_ended_are_before_now(now_s: float, kept: int) -> None:
    assert len(past([1.0, 2.0, 3.0]).before(now_s).value) == kept


def test_a_gap_is_left_out_and_is_not_zero() -> None:
    known = past([1.0, np.nan, 0.0]).known()
    assert known.value.tolist() == [1.0, 0.0]
    assert known.at_s.tolist() == [0.0, 1800.0]


def test_the_newer_past_speaks_from_its_first_sample_on() -> None:
    joined = merge(past([1.0, 1.0, 1.0, 1.0]), past([5.0, 6.0], start=1800.0))
    assert joined.value.tolist() == [1.0, 1.0, 5.0, 6.0]
    assert merge(empty(), past([2.0])).value.tolist() == [2.0]
    assert merge(past([2.0]), empty()).value.tolist() == [2.0]


@pytest.mark.parametrize(
    ("day", "quarters"),
    [(date(2025, 3, 30), 92), (date(2025, 3, 31), 96), (date(2025, 10, 26), 100)],
)
def test_local_days_have_92_96_or_100_quarters(day: date, quarters: int) -> None:
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=BERLIN)
    at_s = np.arange(noon.timestamp() - 16 * 3600, noon.timestamp() + 16 * 3600, 900.0)
    weekday, quarter = local_days_and_quarters(at_s, BERLIN)
    own = weekday == day.weekday()
    assert int(own.sum()) == quarters
    expected = [datetime.fromtimestamp(s, UTC).astimezone(BERLIN) for s in at_s]
    assert quarter.tolist() == [t.hour * 4 + t.minute // 15 for t in expected]
    assert weekday.tolist() == [t.weekday() for t in expected]


def test_zones_that_are_off_by_half_an_hour_are_read_right() -> None:
    zone = ZoneInfo("Australia/Lord_Howe")
    at_s = datetime(2025, 4, 5, 10, tzinfo=UTC).timestamp() + 900.0 * np.arange(96)
    _, quarter = local_days_and_quarters(at_s, zone)
    local = [datetime.fromtimestamp(s, UTC).astimezone(zone) for s in at_s]
    assert quarter.tolist() == [t.hour * 4 + t.minute // 15 for t in local]


def test_the_calendar_of_one_plan_after_the_other_fills_no_memory() -> None:
    """Two weeks that move on with every plan: what is kept of them ends after a few, not after hours."""
    fortnight_s = np.arange(14 * 288) * 300.0
    tracemalloc.start()
    try:
        for plan in range(12):
            dates_and_quarters(fortnight_s + 300.0 * plan, BERLIN)
        warm, _ = tracemalloc.get_traced_memory()
        for plan in range(12, 60):
            dates_and_quarters(fortnight_s + 300.0 * plan, BERLIN)
        grown = tracemalloc.get_traced_memory()[0] - warm
    finally:
        tracemalloc.stop()
    assert grown < 50_000


def test_slot_middles_are_in_seconds_of_the_epoch() -> None:
    start = datetime(2025, 1, 1, tzinfo=UTC)
    middles = slot_middles_s(chain(start, [600.0, 900.0]))
    assert middles.tolist() == [start.timestamp() + 300.0, start.timestamp() + 1050.0]


def test_a_naive_instant_is_refused() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        epoch_s(datetime(2025, 1, 1) + timedelta(0))  # noqa: DTZ001


@given(st.lists(st.sampled_from([300.0, 900.0, 1140.0, 2700.0, 3600.0]), min_size=1, max_size=12))
def test_pieces_cover_their_slots_and_give_their_means(durations: list[float]) -> None:
    slots = chain(datetime(2025, 1, 15, 9, 5, tzinfo=UTC), durations)
    at_s, slot = slot_pieces(slots)
    assert (np.bincount(slot) == np.ceil(np.array(durations) / 900.0)).all()
    middles_s = slots.start.timestamp() + slots.offset_s + slots.duration_s / 2
    # A straight line's mean over a slot is its value in the middle of it.
    np.testing.assert_allclose(slot_means(at_s - at_s[0], slot), middles_s - at_s[0], atol=1e-6)


def test_the_most_that_was_seen_is_that_of_this_time_of_day_on_any_day() -> None:
    day = np.full(96, 1.0)
    day[48:50], day[95] = 7.0, 3.0
    cloudy = np.where(day == 7.0, 2.0, day)
    cloudy[10] = np.nan
    days = past([*cloudy, *day, *cloudy])
    at_s = 5 * 86400.0 + np.array([12.0, 12.25, 13.5, 0.0, 2.6]) * 3600.0
    assert most_seen(days, at_s, 1800.0).tolist() == [7.0, 7.0, 1.0, 3.0, 1.0]


def test_where_nothing_was_seen_there_is_no_most() -> None:
    at_s = np.array([0.0, 43200.0])
    assert np.isnan(most_seen(empty(), at_s, 1800.0)).all()
    assert np.isnan(most_seen(past([np.nan, 4.0]), at_s, 500.0)).tolist() == [True, True]
    assert most_seen(past([np.nan, 4.0]), at_s, 1400.0).tolist()[0] == 4.0
