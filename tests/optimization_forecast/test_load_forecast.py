"""Foreseeing the load: calendar, bias, gaps, the cut at now, and the skill against persistence."""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimization.forecast.load import DECAY_S, LEVEL_SHARE, calendar_mean, foresee_load
from optimization.forecast.past import Past, empty
from optimization.slots import Floats

BERLIN = ZoneInfo("Europe/Berlin")
LOAD_FILE = Path(__file__).resolve().parents[2] / "sites" / "demo_feeder" / "series" / "load.csv"


def repeating(start: datetime, weeks: int, step_s: float = 900.0) -> Past:
    """A load that depends on the local quarter-hour alone."""
    at_s = start.timestamp() + step_s * np.arange(round(weeks * 7 * 86400 / step_s))
    return Past(at_s, pattern(at_s), step_s)


def pattern(at_s: Floats) -> Floats:
    local = [datetime.fromtimestamp(s, UTC).astimezone(BERLIN) for s in at_s]
    return np.array([10.0 + (t.hour * 4 + t.minute // 15) / 10.0 for t in local])


def middles(now: datetime, count: int) -> Floats:
    return now.timestamp() + 450.0 + 900.0 * np.arange(count)


@pytest.mark.parametrize(
    "now",
    [
        datetime(2025, 2, 10, 6, tzinfo=UTC),
        datetime(2025, 3, 30, 0, tzinfo=UTC),  # the day of 92 quarters
        datetime(2025, 10, 25, 22, tzinfo=UTC),  # the day of 100 quarters
    ],
)
def test_a_daily_load_is_foreseen_exactly_also_over_a_change_of_clocks(now: datetime) -> None:
    past = repeating(now - timedelta(weeks=4), 4)
    at_s = middles(now, 144)
    foreseen = foresee_load(past, at_s, now.timestamp(), BERLIN)
    assert foreseen is not None
    assert np.allclose(foreseen, pattern(at_s))


def test_the_same_weekday_says_most_and_the_other_kind_of_day_least() -> None:
    now = datetime(2025, 2, 10, tzinfo=UTC)  # a Monday
    weight = {}
    for day in range(7):
        marked = now.timestamp() - 14 * 86400.0 + 86400.0 * day
        at_s = now.timestamp() - 14 * 86400.0 + 900.0 * np.arange(14 * 96)
        value = np.where((at_s >= marked) & (at_s < marked + 86400.0), 1.0, 0.0)
        weight[day] = float(calendar_mean(Past(at_s, value, 900.0), middles(now, 40)[20:21], BERLIN)[0])
    assert weight[0] > weight[1]  # Monday, though a day older than Tuesday
    assert 0.0 < weight[5] < 0.75 * weight[4]  # Saturday, though a day younger than Friday


def test_an_hourly_past_counts_for_all_its_quarters() -> None:
    now = datetime(2025, 2, 10, tzinfo=UTC)
    past = repeating(now - timedelta(weeks=3), 3, step_s=3600.0)
    at_s = middles(now, 96)
    hour = np.floor(at_s / 3600.0) * 3600.0
    assert np.allclose(calendar_mean(past, at_s, BERLIN), pattern(hour))


@pytest.mark.parametrize(
    ("hours", "level", "bias"),
    [
        (24.0, LEVEL_SHARE, 1.0),  # all of the last day was higher: the level follows, the hour follows wholly
        (1.0, LEVEL_SHARE / 24.0, 1.0),  # the last hour alone was
    ],
)
def test_the_last_day_shifts_the_level_and_the_last_hour_fades(hours: float, level: float, bias: float) -> None:
    now = datetime(2025, 2, 10, 12, tzinfo=UTC)
    past = repeating(now - timedelta(weeks=4), 4)
    higher = np.where(past.at_s >= now.timestamp() - hours * 3600.0, past.value + 4.0, past.value)
    at_s = middles(now, 96)
    foreseen = foresee_load(Past(past.at_s, higher, 900.0), at_s, now.timestamp(), BERLIN)
    assert foreseen is not None
    expected = 4.0 * (level + (bias - level) * np.exp(-(at_s - now.timestamp()) / DECAY_S))
    # The shifted samples also raise the mean of their own quarter-hours a little.
    assert np.allclose(foreseen - pattern(at_s), expected, atol=0.75)
    assert foreseen[0] - pattern(at_s)[0] > 3.0


def test_gaps_are_no_zeros() -> None:
    now = datetime(2025, 2, 10, tzinfo=UTC)
    past = repeating(now - timedelta(weeks=4), 4)
    holes = past.value.copy()
    holes[::7] = np.nan
    holes[-6:] = np.nan
    at_s = middles(now, 96)
    foreseen = foresee_load(Past(past.at_s, holes, 900.0), at_s, now.timestamp(), BERLIN)
    assert foreseen is not None
    assert np.allclose(foreseen, pattern(at_s))


def test_nothing_known_is_said_and_not_made_up() -> None:
    now = datetime(2025, 2, 10, tzinfo=UTC)
    assert foresee_load(empty(), middles(now, 4), now.timestamp(), BERLIN) is None
    gaps = Past(np.array([0.0, 900.0]), np.array([np.nan, np.nan]), 900.0)
    assert foresee_load(gaps, middles(now, 4), now.timestamp(), BERLIN) is None


def test_one_day_is_enough_to_begin_with() -> None:
    now = datetime(2025, 2, 11, tzinfo=UTC)
    past = Past(now.timestamp() - 86400.0 + 900.0 * np.arange(96), np.linspace(5.0, 15.0, 96), 900.0)
    foreseen = foresee_load(past, middles(now, 192), now.timestamp(), BERLIN)
    assert foreseen is not None
    assert np.isfinite(foreseen).all()
    assert 5.0 <= foreseen[100] <= 15.0


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(-1e6, 1e6))
def test_altering_the_future_changes_nothing(seed: int, alteration: float) -> None:
    now = datetime(2025, 2, 10, 7, 30, tzinfo=UTC)
    random = np.random.default_rng(seed)
    at_s = (now - timedelta(days=10)).timestamp() + 900.0 * np.arange(12 * 96)
    value = random.uniform(0.0, 50.0, len(at_s))
    future = np.where(at_s + 900.0 > now.timestamp(), value + alteration, value)
    asked = middles(now, 96)
    answers = [foresee_load(Past(at_s, v, 900.0), asked, now.timestamp(), BERLIN) for v in (value, future)]
    assert answers[0] is not None and answers[1] is not None
    assert np.array_equal(answers[0], answers[1])


def site_load() -> Past:
    with LOAD_FILE.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    at_s = np.array([datetime.fromisoformat(row["start"]).timestamp() for row in rows])
    return Past(at_s, np.array([float(row["total_kw"]) for row in rows]), 3600.0)


@pytest.mark.skipif(not LOAD_FILE.exists(), reason="the demo site's series are not there")
@pytest.mark.parametrize("hours", [1, 6, 24])
def test_it_beats_persistence_on_the_sites_own_load(hours: int) -> None:
    past = site_load()
    errors, persistence = [], []
    for start in past.at_s[24 * 60 : -24 : 61]:
        asked = start + 1800.0 + 3600.0 * np.arange(hours)
        foreseen = foresee_load(past, asked, float(start), BERLIN)
        assert foreseen is not None
        first = int(np.searchsorted(past.at_s, start))
        truth = past.value[first : first + hours]
        errors.append(np.abs(foreseen - truth).mean())
        # The better of the two persistences: the last hour, and the same hours of yesterday.
        last = np.abs(past.value[first - 1] - truth).mean()
        yesterday = np.abs(past.value[first - 24 : first - 24 + hours] - truth).mean()
        persistence.append((last, yesterday))
    best = np.mean(persistence, axis=0).min()
    assert np.mean(errors) < 0.98 * best
