"""The simple and the learning rungs of the ladder: tables of stimulus and response, gaps, no look ahead."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimization.forecast.features import LEAST_DAYS, Lessons, features, quarter_means
from optimization.forecast.learned import Learned, boosted, linear
from optimization.forecast.load import foresee_load
from optimization.forecast.methods import (
    LEVELS,
    Asked,
    TooLittleKnown,
    calendar,
    climatology,
    last_week,
    persistence,
    weighted_quantiles,
)
from optimization.forecast.past import DAY_S, QUARTER_S, Past, empty
from optimization.forecast.published import Issue, PublishedPast
from optimization.forecast.quarters import SATURDAY, SUNDAY, WORKING, Calendar, lay

BERLIN = Calendar(ZoneInfo("Europe/Berlin"))
NOW = datetime(2025, 2, 10, 12, tzinfo=UTC)  # a Monday
SIMPLE = (persistence, last_week, climatology, calendar)


def local(at_s, zone=BERLIN.zone):
    return [datetime.fromtimestamp(float(s), UTC).astimezone(zone) for s in at_s]


def made(days, value, now=NOW, step_s=QUARTER_S):
    """A past of some days, each value from its local start."""
    at_s = now.timestamp() - days * DAY_S + step_s * np.arange(round(days * DAY_S / step_s))
    return Past(at_s, np.array([float(value(t)) for t in local(at_s)]), step_s)


def asked(past, now=NOW, count=144, cal=BERLIN, **more):
    return Asked(past, now.timestamp() + QUARTER_S * (np.arange(count) + 0.5), now.timestamp(), cal, **more)


def day_of(t):
    return (t.date() - date(2025, 1, 1)).days


def test_a_day_of_the_calendar_is_working_a_saturday_or_a_sunday_and_a_holiday_is_a_sunday():
    cal = Calendar(BERLIN.zone, frozenset({date(2025, 4, 18)}))
    days = np.array([(date(2025, 4, d) - date(1970, 1, 1)).days for d in (17, 18, 19, 20, 21)])
    assert cal.kinds(days).tolist() == [WORKING, SUNDAY, SATURDAY, SUNDAY, WORKING]
    assert BERLIN.kinds(days).tolist() == [WORKING, WORKING, SATURDAY, SUNDAY, WORKING]


@pytest.mark.parametrize(("month", "day", "quarters"), [(3, 30, 92), (10, 26, 96), (7, 1, 96)])
def test_a_day_whose_clocks_change_has_gaps_and_no_zeros(month, day, quarters):
    end = datetime(2025, month, day, tzinfo=BERLIN.zone) + timedelta(days=2)
    table = lay(made(4, lambda t: 5.0 + t.hour, end), BERLIN, end.timestamp(), 3)
    row = table.value[0]
    assert np.isfinite(row).sum() == quarters
    assert np.allclose(row[np.isfinite(row)], (5.0 + np.arange(96) // 4)[np.isfinite(row)])


@pytest.mark.parametrize("step_s", [300.0, 900.0, 3600.0])
def test_a_past_on_other_steps_is_laid_as_its_means(step_s):
    table = lay(made(3, lambda t: t.hour, step_s=step_s), BERLIN, NOW.timestamp(), 3)
    assert np.allclose(table.value[1], np.arange(96) // 4)
    assert np.isfinite(table.value[2]).sum() == 13 * 4  # of today, until 13 o'clock local time


def test_persistence_is_the_last_day_and_what_today_has_shown():
    foreseen = persistence(asked(made(9, day_of)))
    when = local(asked(empty()).at_s)
    assert foreseen[0].tolist() == [40.0 if t.hour < 13 else 39.0 for t in when]


def test_persistence_passes_over_a_gap_to_the_day_before_but_not_further_than_a_week():
    past = made(12, day_of)
    newest = np.where(past.at_s >= NOW.timestamp() - 2.0 * DAY_S, np.nan, past.value)
    assert persistence(asked(Past(past.at_s, newest, QUARTER_S)))[1].max() == 38.0
    older = Past(past.at_s, np.where(past.at_s >= NOW.timestamp() - 8.0 * DAY_S, np.nan, past.value), QUARTER_S)
    with pytest.raises(TooLittleKnown, match="last week"):
        persistence(asked(older))


@pytest.mark.parametrize(
    ("holidays", "expected"),
    [
        (frozenset(), {33, 34, 35}),  # Monday, Tuesday and an hour of Wednesday of the week before
        (frozenset({date(2025, 2, 10)}), {39, 34, 35}),  # a holiday is like the Sunday before it
        (frozenset({date(2025, 2, 3)}), {26, 34, 35}),  # a holiday of a week ago says nothing about a working day
    ],
)
def test_last_week_is_the_same_weekday_unless_one_of_the_two_is_a_holiday(holidays, expected):
    cal = Calendar(BERLIN.zone, holidays)
    foreseen = last_week(asked(made(28, day_of), cal=cal))
    assert set(foreseen[0].tolist()) == expected


def test_climatology_is_the_spread_of_such_days_only():
    def value(t):
        return 100.0 if t.weekday() >= 5 else float(t.date().isocalendar().week % 2)

    low, middle, high = climatology(asked(made(56, value)))
    assert (low == 0.0).all() and (high == 1.0).all()
    assert ((middle >= 0.0) & (middle <= 1.0)).all()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-50, 50), min_size=3, max_size=12), st.integers(0, 4))
def test_equal_weights_give_the_quantiles_of_hazen(values, gaps):
    column = np.array(values + [np.nan] * gaps)[:, None]
    found = weighted_quantiles(column, np.ones(len(column)), LEVELS)[:, 0]
    assert np.allclose(found, np.quantile(values, LEVELS, method="hazen"), atol=1e-9)


def test_of_hardly_any_values_there_are_no_quantiles():
    column = np.array([1.0, 2.0, np.nan, np.nan])[:, None]
    assert np.isnan(weighted_quantiles(column, np.ones(4), LEVELS)).all()


def test_the_calendar_is_what_the_daemon_plans_loads_with():
    past = made(28, lambda t: t.hour + t.weekday())
    one = asked(past)
    assert np.array_equal(calendar(one)[1], foresee_load(past, one.at_s, one.now_s, BERLIN.zone))


@pytest.mark.parametrize("method", SIMPLE)
def test_nothing_known_is_said_and_not_made_up(method):
    for past in (empty(), Past(NOW.timestamp() - DAY_S + QUARTER_S * np.arange(9), np.full(9, np.nan), QUARTER_S)):
        with pytest.raises(TooLittleKnown, match="known"):
            method(asked(past))


@pytest.mark.parametrize("method", SIMPLE)
def test_an_hour_that_was_never_measured_is_no_zero(method):
    past = made(56, lambda t: np.nan if t.hour == 7 else 20.0)
    foreseen = method(asked(past))
    night = np.array([t.hour == 7 for t in local(asked(past).at_s)])
    assert np.allclose(foreseen[:, ~night], 20.0)
    assert (np.isnan(foreseen[:, night]) | np.isclose(foreseen[:, night], 20.0)).all()


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.floats(-1e6, 1e6), st.sampled_from((*SIMPLE, features)))
def test_altering_the_future_changes_nothing(seed, alteration, method):
    random = np.random.default_rng(seed)
    at_s = NOW.timestamp() - 30.0 * DAY_S + QUARTER_S * np.arange(32 * 96)
    value = random.uniform(0.0, 50.0, len(at_s))
    future = np.where(at_s + QUARTER_S > NOW.timestamp(), value + alteration, value)
    known, altered = (method(asked(Past(at_s, v, QUARTER_S))) for v in (value, future))
    assert np.array_equal(known, altered)


def weather(days, missing=0.0):
    """Issues every six hours, each wrong by its own offset, for as long as two days."""
    issued = np.arange(NOW.timestamp() - days * DAY_S, NOW.timestamp() + 1.0, 6.0 * 3600.0)
    random = np.random.default_rng(3)
    out = random.uniform(size=len(issued)) < missing
    values = [
        np.where(lost, np.nan, true_c(s + 3600.0 * (np.arange(54) + 0.5))) for s, lost in zip(issued, out, strict=True)
    ]
    return PublishedPast(issued, tuple(Issue(float(s), 3600.0, v) for s, v in zip(issued, values, strict=True)))


def true_c(at_s):
    return 5.0 + 6.0 * np.sin(at_s / 86400.0 * 1.7) + 3.0 * np.sin(at_s / 86400.0 * 2.0 * np.pi)


def heated(days):
    past = made(days, lambda t: 20.0 - true_c(np.array([t.timestamp() + 450.0]))[0] + (4.0 if 6 <= t.hour < 9 else 0.0))
    noise = np.random.default_rng(1).normal(0.0, 0.5, len(past.value))
    return Past(past.at_s, past.value + noise, QUARTER_S)


def test_what_is_published_counts_from_its_issue_on():
    told = weather(3)
    start = np.array([NOW.timestamp() + 3600.0])
    known = PublishedPast(np.array([0.0, 100.0]), (Issue(0.0, 3600.0, np.ones(9)), Issue(0.0, 3600.0, np.full(9, 2.0))))
    assert [known.told(np.array([3600.0]), np.array([900.0]), now)[0] for now in (0.0, 99.0, 100.0)] == [1.0, 1.0, 2.0]
    assert np.isnan(told.told(start, np.array([900.0]), NOW.timestamp() - 4.0 * DAY_S))


@pytest.fixture(scope="module")
def cold():
    return asked(heated(32), beside={"outdoor_c": weather(40)})


@pytest.fixture(scope="module")
def lessons():
    return Lessons()


@pytest.mark.parametrize("fit", [linear, boosted])
def test_what_learns_uses_what_is_published_and_beats_the_calendar(fit, cold, lessons):
    truth = 20.0 - true_c(cold.at_s) + np.array([4.0 if 6 <= t.hour < 9 else 0.0 for t in local(cold.at_s)])
    learned = Learned(fit, lessons)(cold)
    error, usual = (np.abs(value[1] - truth).mean() for value in (learned, calendar(cold)))
    assert error < 0.5 * usual
    assert (np.diff(learned, axis=0) >= 0.0).all()


def test_boosted_quantiles_are_the_same_again_and_narrower_than_what_nobody_has_explained(cold, lessons):
    lesson = lessons.until(cold, cold.now_s)
    first, again = (boosted(lesson, LEVELS)(lesson.features) for _ in range(2))
    assert np.array_equal(first, again)
    good = np.isfinite(lesson.error)
    unexplained = np.quantile(lesson.error[good], LEVELS)
    assert np.median(first[2] - first[0]) < 0.7 * (unexplained[2] - unexplained[0])
    assert ((lesson.error < first[2])[good].mean(), (lesson.error < first[0])[good].mean()) == pytest.approx(
        (0.9, 0.1), abs=0.05
    )


def test_a_young_site_is_told_that_nothing_is_learned_yet():
    with pytest.raises(TooLittleKnown, match=f"fewer than {LEAST_DAYS} days"):
        Learned(linear, Lessons())(asked(made(LEAST_DAYS - 1, lambda t: t.hour)))


@pytest.mark.parametrize(("gaps", "missing", "words"), [(0.4, 0.0, "measured past"), (0.0, 0.99, "outdoor_c")])
def test_nothing_is_learned_from_what_is_mostly_missing(gaps, missing, words):
    """FlexMeasures 1245 and 1546: regressors that were all missing were filled with zeros, and learned from."""
    past = heated(24)
    lost = np.random.default_rng(2).uniform(size=len(past.value)) < gaps
    holes = Past(past.at_s, np.where(lost, np.nan, past.value), QUARTER_S)
    with pytest.raises(TooLittleKnown, match=f"of {words}|of the {words}") as caught:
        Learned(linear, Lessons())(asked(holes, beside={"outdoor_c": weather(30, missing)}))
    assert "nothing is learned" in str(caught.value)


def test_a_gap_in_a_feature_leaves_a_gap_where_the_function_is_linear(cold, lessons):
    short = replace(cold, at_s=NOW.timestamp() + QUARTER_S * (np.arange(240) + 0.5))  # the weather ends before
    foreseen = Learned(linear, lessons)(short)
    beyond = short.at_s > NOW.timestamp() + 54.5 * 3600.0
    assert np.isnan(foreseen[:, beyond]).all()
    assert np.isfinite(foreseen[:, ~beyond]).mean() > 0.9


def test_a_fortnight_without_a_meter_leaves_what_lies_around_it_to_learn_from():
    past = made(44, lambda t: t.hour)
    dark = (past.at_s > NOW.timestamp() - 30 * DAY_S) & (past.at_s < NOW.timestamp() - 20 * DAY_S)
    outage = Past(past.at_s, np.where(dark, np.nan, past.value), QUARTER_S)
    foreseen = Learned(linear, Lessons())(asked(outage))
    assert np.allclose(foreseen[1], [t.hour for t in local(asked(outage).at_s)], atol=0.5)


def test_quarter_means_of_finer_steps_leave_gaps_out():
    past = Past(300.0 * np.arange(6), np.array([1.0, np.nan, 3.0, np.nan, np.nan, np.nan]), 300.0)
    assert quarter_means(past, np.array([450.0, 1350.0])) == pytest.approx([2.0, np.nan], nan_ok=True)
