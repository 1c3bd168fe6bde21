"""The ladder as a whole: scores, coverage, the choice and its hysteresis, what is served, what is kept."""

from __future__ import annotations

import csv
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimization.forecast.choice import DAYS, MARGIN, Choice, reconsider
from optimization.forecast.conformal import LEAST_BLOCKS, calibrated
from optimization.forecast.features import quarter_means
from optimization.forecast.kept import COLUMNS, Kept, from_columns
from optimization.forecast.ladder import Ladder, all_methods
from optimization.forecast.methods import (
    LEVELS,
    Asked,
    TooLittleKnown,
    calendar,
    climatology,
    last_week,
    persistence,
)
from optimization.forecast.past import DAY_S, QUARTER_S, Past
from optimization.forecast.published import Issue, PublishedPast
from optimization.forecast.quarters import Calendar
from optimization.forecast.score import pinball, score, skill

BERLIN = Calendar(ZoneInfo("Europe/Berlin"))
START_S = datetime(2025, 1, 6, tzinfo=UTC).timestamp()
SITES = Path(__file__).resolve().parents[2] / "sites"
QUICK = {"persistence": persistence, "last_week": last_week, "climatology": climatology, "calendar": calendar}
LEADS = 48


def noisy(days, seed=0, sigma=1.0):
    """A load with a daily shape, weekends and noise that remembers."""
    random = np.random.default_rng(seed)
    at_s = START_S + QUARTER_S * np.arange(days * 96)
    day = (at_s - START_S) // DAY_S % 7
    shape = 10.0 + 4.0 * np.sin(at_s / DAY_S * 2.0 * np.pi) - 3.0 * (day >= 5)
    wander = random.normal(0.0, sigma, len(at_s))
    for i in range(1, len(at_s)):
        wander[i] += 0.8 * wander[i - 1]
    return Past(at_s, shape + wander, QUARTER_S)


def at(now_s, count=LEADS):
    return now_s + QUARTER_S * (np.arange(count) + 0.5)


def issues(ladder, past, days, every_s=DAY_S, first_day=14):
    """Issue day after day; gives what was served and what came."""
    nows = START_S + first_day * DAY_S + np.arange(0.0, days * DAY_S, every_s)
    served = [ladder.issue(Asked(past, at(now), float(now), BERLIN)) for now in nows]
    return served, np.array([quarter_means(past, at(now)) for now in nows])


# Scores


@pytest.mark.parametrize(
    ("level", "value", "came", "loss"),
    [(0.1, 5.0, 6.0, 0.1), (0.1, 5.0, 4.0, 0.9), (0.9, 5.0, 6.0, 0.9), (0.5, 5, 5, 0)],
)
def test_pinball_is_that_of_its_definition(level, value, came, loss):
    assert pinball((level,), np.array([[value]]), np.array([came]))[0] == pytest.approx(loss)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.05, 0.95), st.floats(-2.0, 2.0))
def test_nobody_loses_less_than_who_says_the_quantile_itself(seed, level, off):
    came = np.random.default_rng(seed).normal(size=400)
    honest = np.quantile(came, level)
    losses = [pinball((level,), np.full((1, 400), q), came).mean() for q in (honest, honest + off)]
    assert losses[0] <= losses[1] + 1e-3


def test_a_score_counts_only_what_was_foreseen_and_came():
    value = np.array([[1.0, 1.0, np.nan, 1.0], [2.0, 2.0, 2.0, 2.0], [3.0, 3.0, 3.0, 3.0]])
    found = score(LEVELS, value, np.array([2.5, 9.0, 2.0, np.nan]))
    assert found is not None
    assert (found.count, found.coverage, found.error, found.bias, found.width) == (2, 0.5, 3.75, 3.75, 2.0)
    assert score(LEVELS, value, np.full(4, np.nan)) is None
    assert skill(0.5, 2.0) == 0.75
    assert np.isnan(skill(0.0, 0.0))


# Coverage


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.floats(-5.0, 5.0), st.floats(0.1, 20.0))
def test_past_errors_give_a_point_forecast_its_coverage(seed, bias, sigma):
    errors = np.random.default_rng(seed).normal(bias, sigma, (60, 1, 40)).repeat(3, axis=1)
    bands = calibrated(LEVELS, np.zeros((3, 40)), errors[:40])
    came = errors[40:, 0]
    assert abs(((came >= bands[0]) & (came <= bands[2])).mean() - 0.8) < 0.1
    assert np.median(bands[1]) == pytest.approx(bias, abs=0.35 * sigma)


def test_of_too_few_blocks_there_is_no_spread_and_a_gap_in_one_is_none():
    errors = np.ones((LEAST_BLOCKS, 3, 20))
    assert np.isfinite(calibrated(LEVELS, np.zeros((3, 20)), errors)).all()
    assert np.isnan(calibrated(LEVELS, np.zeros((3, 20)), errors[1:])).all()
    errors[0, :, 7] = np.nan
    assert np.isnan(calibrated(LEVELS, np.zeros((3, 20)), errors)[:, 7]).all()


def test_quantiles_never_cross():
    errors = np.random.default_rng(0).normal(size=(20, 3, 30)) * np.array([1.0, 9.0, 1.0])[None, :, None]
    moved = calibrated(LEVELS, np.zeros((3, 30)), errors)
    assert (np.diff(moved, axis=0) >= 0.0).all()


@pytest.mark.parametrize(("site", "column"), [("demo_house", "house_load_kw"), ("demo_feeder", "total_kw")])
def test_the_bands_of_the_demo_loads_hold_what_they_promise_on_days_they_have_not_seen(site, column):
    with (SITES / site / "series" / "load.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if "2024-12-15" <= row["start"][:10] <= "2025-03-20"]
    at_s = np.array([datetime.fromisoformat(row["start"]).timestamp() for row in rows])
    past = Past(at_s, np.array([float(row[column]) for row in rows]), float(at_s[1] - at_s[0]))
    ladder = Ladder(methods=QUICK, bounds=(0.0, np.inf))
    served, came = issues(ladder, past, 48, first_day=10)
    held_out = slice(12, None)
    told = np.array([s.value for s in served[held_out]]).transpose(1, 0, 2)
    found = score(LEVELS, told, came[held_out])
    assert found is not None and found.count == 36 * LEADS
    assert 0.72 <= found.coverage <= 0.88
    points = np.array([s.each["persistence"] for s in served[held_out]]).transpose(1, 0, 2)
    reference = score(LEVELS, points, came[held_out])
    assert reference is not None
    assert skill(found.loss, reference.loss) > 0.1


# The choice


def test_a_challenger_must_be_better_by_the_margin_for_days_in_a_row():
    better = {"persistence": 1.0, "boosted": 1.0 - MARGIN - 0.01}
    choice = Choice("persistence")
    for _ in range(DAYS - 1):
        choice = reconsider(choice, better)
        assert choice.method == "persistence"
    assert reconsider(choice, better) == Choice("boosted")
    once_not = reconsider(choice, {"persistence": 1.0, "boosted": 1.0 - MARGIN + 0.01})
    assert once_not == Choice("persistence", 0)


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        ({}, Choice("calendar")),  # nothing was scored: nothing changes
        ({"persistence": 2.0, "last_week": 1.0}, Choice("last_week")),  # who has nothing to show gives way at once
        ({"persistence": 1.0, "last_week": 1.0}, Choice("persistence")),  # of equals the simpler one
        ({"persistence": 0.0, "calendar": 0.0}, Choice("calendar")),  # nobody is better than none
    ],
)
def test_the_choice_of_a_day(loss, expected):
    assert reconsider(Choice("calendar", 1), loss) == expected


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0.5, 1.5), min_size=1, max_size=40))
def test_the_choice_changes_at_most_every_so_many_days(losses):
    choice, changes = Choice("a"), []
    for day, loss in enumerate(losses):
        following = reconsider(choice, {"a": 1.0, "b": loss})
        if following.method != choice.method:
            changes.append(day)
        choice = following
    assert all(later - earlier >= DAYS for earlier, later in zip([-1, *changes], changes, strict=False))


def test_losses_that_swing_from_day_to_day_change_nothing():
    choice = Choice("a")
    for day in range(60):
        choice = reconsider(choice, {"a": 1.0, "b": 0.5 if day % DAYS else 1.5})
    assert choice.method == "a"


# What is served


def silent(asked):
    raise TooLittleKnown("it never knows anything")


def morning(asked):
    value = np.full((len(asked.levels), len(asked.at_s)), np.nan)
    value[:, : LEADS // 2] = 7.0
    return value


def test_who_says_nothing_is_passed_over_and_it_is_said_why_and_whose_each_value_is():
    ladder = Ladder(methods={"persistence": persistence, "morning": morning, "never": silent}, choice=Choice("morning"))
    served = ladder.issue(Asked(noisy(20), at(START_S + 15 * DAY_S), START_S + 15 * DAY_S, BERLIN))
    assert served.method == ("morning",) * (LEADS // 2) + ("persistence",) * (LEADS // 2)
    assert (served.value[:, : LEADS // 2] == 7.0).all() and np.isfinite(served.value).all()
    assert served.silent == {"never": "it never knows anything"}
    assert not served.calibrated.any()


def test_where_nobody_says_anything_there_is_a_gap_and_no_zero():
    ladder = Ladder(methods={"morning": morning, "never": silent}, bounds=(0.0, np.inf))
    served = ladder.issue(Asked(noisy(20), at(START_S + 15 * DAY_S), START_S + 15 * DAY_S, BERLIN))
    assert np.isnan(served.value[:, LEADS // 2 :]).all()
    assert set(served.method[LEADS // 2 :]) == {""}


@pytest.mark.parametrize(("lost_for_h", "published"), [(0, LEADS), (6, LEADS - 24), (13, 0)])
def test_a_feed_that_is_lost_is_served_to_its_end_and_then_the_statistics_are(lost_for_h, published):
    """batcontrol 69, 274 and 303: an hour after its forecast failed it went on without one for the night."""
    now_s = START_S + 15 * DAY_S
    feed = PublishedPast(
        np.array([now_s - lost_for_h * 3600.0]), (Issue(now_s - lost_for_h * 3600.0, 3600.0, np.full(12, 9.0)),)
    )

    def told(asked):
        start_s = asked.at_s - QUARTER_S / 2.0
        return asked.point(asked.beside["sun"].told(start_s, np.full(len(start_s), QUARTER_S), asked.now_s))

    ladder = Ladder(methods={**QUICK, "told": told}, choice=Choice("told"))
    served = ladder.issue(Asked(noisy(20), at(now_s), now_s, BERLIN, beside={"sun": feed}))
    assert np.isfinite(served.value).all()
    assert served.method.count("told") == published == int((served.value[1] == 9.0).sum())


def test_bounds_hold_for_every_quantile():
    ladder = Ladder(methods=QUICK, bounds=(8.0, 12.0))
    served, _ = issues(ladder, noisy(40), 12)
    assert all(s.value.min() >= 8.0 and s.value.max() <= 12.0 for s in served)


def test_the_ladder_climbs_to_what_is_better_and_what_it_serves_does_not_depend_on_the_future():
    past = noisy(50)
    altered = Past(past.at_s, np.where(past.at_s >= START_S + 40 * DAY_S, -99.0, past.value), QUARTER_S)
    first, other = (issues(Ladder(methods=QUICK, choice=Choice("persistence")), one, 26)[0] for one in (past, altered))
    assert first[0].chosen == "persistence"
    assert first[-1].chosen in {"climatology", "calendar"}
    for one, again in zip(first, other, strict=True):
        assert np.array_equal(one.value, again.value)
        assert (one.chosen, one.method) == (again.chosen, again.method)
    assert first[-1].calibrated.all()


def test_a_ladder_goes_on_in_time_and_asks_for_as_much_each_time():
    ladder, past = Ladder(methods=QUICK), noisy(20)
    now_s = START_S + 15 * DAY_S
    ladder.issue(Asked(past, at(now_s), now_s, BERLIN))
    with pytest.raises(ValueError, match="does not lie after"):
        ladder.issue(Asked(past, at(now_s), now_s, BERLIN))
    with pytest.raises(ValueError, match="ask for as many"):
        ladder.issue(Asked(past, at(now_s + 900.0, 4), now_s + 900.0, BERLIN))


def test_the_methods_are_named_from_the_simplest_to_the_one_that_learns_most():
    assert list(all_methods()) == ["persistence", "last_week", "climatology", "calendar", "linear", "boosted"]


# What is kept


@pytest.fixture(scope="module")
def kept():
    served, _ = issues(Ladder(methods={**QUICK, "morning": morning}, choice=Choice("morning")), noisy(30), 9)
    found = Kept()
    for one in (*served[4:], *served[:4]):  # kept in any order
        found.keep("load", one)
    found.keep("pv", served[0])
    return found, served


def test_what_was_known_when(kept):
    found, served = kept
    assert found.as_of("load", served[0].issued_s - 1.0) is None
    for one, after in pairwise(served):
        for now_s in (one.issued_s, after.issued_s - 1.0):
            known = found.as_of("load", now_s)
            assert known is not None and known.issued_s == one.issued_s
            assert np.array_equal(known.value, one.value)
    assert found.as_of("nobody", 1e12) is None


def test_what_was_issued_is_not_changed(kept):
    found, served = kept
    with pytest.raises(ValueError, match="not changed"):
        found.keep("load", served[2])


def test_columns_give_back_what_was_kept_gaps_included(kept):
    found, served = kept
    columns = found.columns()
    assert tuple(columns) == COLUMNS
    assert len({len(column) for column in columns.values()}) == 1
    again = from_columns(columns)
    assert again.points() == ("load", "pv")
    for one in served:
        first, second = (each.as_of("load", one.issued_s) for each in (found, again))
        assert first is not None and second is not None
        assert np.array_equal(first.value, second.value, equal_nan=True)
        assert (first.levels, first.method, first.calibrated) == (second.levels, second.method, second.calibrated)
    with pytest.raises(ValueError, match="method"):
        from_columns({name: column for name, column in columns.items() if name != "method"})
