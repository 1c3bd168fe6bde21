"""Published series on slots: the ladder, its labels, its gaps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimization.forecast.published import RUNGS, Issue, Rung, fill, slot_means, smoothed

DAY = 86400.0
NAN = np.nan


def hourly(values: list[float], start_s: float = 0.0) -> Issue:
    return Issue(start_s, 3600.0, np.array(values))


def laid(issues: list[Issue], *, fresh: bool = True, hours: int = 4, start_s: float = 0.0) -> tuple[list[float], list]:
    starts = start_s + 3600.0 * np.arange(hours)
    filled = fill(issues, starts, np.full(hours, 3600.0), fresh=fresh, default=0.25)
    return filled.value.tolist(), [RUNGS[int(r)] for r in filled.rung]


F, K, Y, L = Rung.FRESH, Rung.LAST_KNOWN, Rung.YESTERDAY, Rung.FLAT


@pytest.mark.parametrize(
    ("given_issues", "fresh", "values", "rungs"),
    [
        ([hourly([1, 2, 3, 4])], True, [1, 2, 3, 4], [F, F, F, F]),
        ([hourly([1, 2, 3, 4])], False, [1, 2, 3, 4], [K, K, K, K]),
        ([hourly([1, NAN, 3, 4]), hourly([9, 8, 7, 6])], True, [1, 8, 3, 4], [F, K, F, F]),
        ([hourly([1, 2]), hourly([5, 6, 7, 8], -DAY)], True, [1, 2, 7, 8], [F, F, Y, Y]),
        ([hourly([1, 2]), hourly([5, 6, 7, 8], -2 * DAY)], True, [1, 2, 7, 8], [F, F, Y, Y]),
        ([hourly([1, 3])], True, [1, 3, 2, 2], [F, F, L, L]),
        ([hourly([NAN, NAN, NAN, NAN])], True, [0.25] * 4, [L, L, L, L]),
        ([], False, [0.25] * 4, [L, L, L, L]),
    ],
)
def test_the_ladder(given_issues: list[Issue], fresh: bool, values: list[float], rungs: list[Rung]) -> None:
    assert laid(given_issues, fresh=fresh) == (values, rungs)


def test_a_slot_is_the_time_weighted_mean_of_what_it_covers() -> None:
    issue = hourly([10.0, 20.0])
    got = slot_means(issue, np.array([1800.0, 3000.0, 3600.0]), np.array([900.0, 1200.0, 3600.0]))
    assert got.tolist() == [10.0, 15.0, 20.0]


def test_a_slot_outside_the_issue_or_mostly_in_a_gap_is_unknown() -> None:
    issue = hourly([10.0, NAN, 30.0])
    got = slot_means(issue, np.array([-3600.0, 3600.0, 2700.0, 10800.0]), np.full(4, 3600.0))
    assert np.isnan(got).tolist() == [True, True, True, True]
    assert slot_means(issue, np.array([1800.0]), np.array([3600.0])).tolist() == [10.0]


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.one_of(st.floats(-50, 50), st.just(NAN)), min_size=1, max_size=48),
    st.floats(-2 * DAY, 2 * DAY),
    st.booleans(),
)
def test_it_never_leaves_a_gap_and_never_leaves_the_known_range(values: list[float], start: float, fresh: bool) -> None:
    got, _ = laid([hourly(values)], fresh=fresh, hours=36, start_s=start)
    known = [v for v in values if np.isfinite(v)] or [0.25]
    assert np.isfinite(got).all()
    assert min(known) - 1e-9 <= min(got)
    assert max(got) <= max(known) + 1e-9


def test_weather_runs_smoothly_through_the_middles_of_its_steps() -> None:
    fine = smoothed(hourly([10.0, 20.0, 40.0]), [hourly([0.0], start_s=-3600.0)])
    assert fine.step_s == 300.0
    got = slot_means(fine, np.array([0.0, 1800.0, 3600.0, 5400.0, 9000.0]), np.full(5, 1800.0))
    assert got.tolist() == pytest.approx([7.5, 12.5, 17.5, 25.0, 40.0])


def test_beside_a_gap_and_without_an_older_issue_a_step_keeps_its_own_mean() -> None:
    fine = smoothed(hourly([10.0, NAN, 30.0, 50.0]))
    got = slot_means(fine, 1800.0 * np.arange(8), np.full(8, 1800.0))
    assert np.array_equal(got, [10.0, 10.0, NAN, NAN, 30.0, 35.0, 45.0, 50.0], equal_nan=True)
    # An older issue that says nothing of the step before is no help and no harm.
    assert np.array_equal(smoothed(hourly([10.0, 20.0]), [hourly([1.0], 7200.0)]).value[:6], [10.0] * 6)
