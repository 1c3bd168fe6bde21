"""Past errors as paths, and the few of them that stand for all."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from optimization.forecast.load import foresee_load
from optimization.forecast.past import DAY_S, QUARTER_S, Past
from optimization.forecast.representatives import QUARTERS, day_errors, error_paths, representatives
from optimization.slots import chain

ZONE = ZoneInfo("Europe/Berlin")
DAY = 20_000
RNG = np.random.default_rng(4)


def past(days: float = 20.0) -> Past:
    at_s = (DAY - 19) * DAY_S + 300.0 * np.arange(round(days * 288))
    value = 5.0 + np.sin(at_s / DAY_S * 2 * np.pi) + RNG.random(len(at_s))
    return Past(at_s, value, 300.0)


def test_the_error_of_a_day_is_what_came_less_what_was_foreseen_when_it_began():
    known = past()
    errors = day_errors(known, DAY - 1, ZONE)
    at_s = (DAY - 1) * DAY_S + QUARTER_S * (np.arange(QUARTERS) + 0.5)
    came = known.value[-2 * 288 : -288].reshape(QUARTERS, 3).mean(axis=1)
    np.testing.assert_allclose(
        errors, came - foresee_load(known.before((DAY - 1) * DAY_S), at_s, (DAY - 1) * DAY_S, ZONE)
    )


def test_a_gap_is_bridged_and_a_day_that_was_not_measured_tells_nothing():
    known = past()
    holes = Past(known.at_s, np.where((known.at_s // 3600) % 24 == 7, np.nan, known.value), 300.0)
    errors = day_errors(holes, DAY - 1, ZONE)
    assert np.isfinite(errors).all()
    np.testing.assert_allclose(np.diff(errors[28:32], n=2), 0.0, atol=1e-12)
    assert day_errors(past(18.5), DAY - 1, ZONE) is None


def test_nothing_that_came_later_changes_the_errors_of_a_day():
    known = past()
    later = Past(known.at_s, np.where(known.at_s >= DAY * DAY_S, 99.0, known.value), 300.0)
    assert (day_errors(known, DAY - 1, ZONE) == day_errors(later, DAY - 1, ZONE)).all()


def test_a_path_is_that_of_the_same_hours_on_the_days_before():
    errors = {DAY - back: np.arange(96.0) + 1000.0 * back for back in range(1, 5)}
    start = datetime.fromtimestamp(DAY * DAY_S + 22.0 * 3600.0, UTC)
    paths = error_paths(errors, chain(start, [900.0] * 8 + [3600.0]), 28)
    assert sorted(paths) == [2, 3, 4]  # the horizon goes on tomorrow, and today is not over
    assert paths[2].tolist() == [*(2000.0 + np.arange(88.0, 96.0)), 1000.0 + 1.5]


def test_a_path_says_the_same_of_the_same_hours_as_time_moves_on():
    errors = {DAY - back: RNG.random(96) for back in range(1, 8)}
    start_s = DAY * DAY_S + 20.0 * 3600.0
    now, then = (
        error_paths(errors, chain(datetime.fromtimestamp(start_s + after_s, UTC), [900.0] * 40), 28)
        for after_s in (0.0, 3600.0)
    )
    for back in now.keys() & then.keys():
        np.testing.assert_allclose(now[back][4:], then[back][:-4])


paths_kw = arrays(float, st.tuples(st.integers(1, 9), st.just(4)), elements=st.integers(-9, 9).map(float))


@settings(max_examples=40)
@given(paths_kw, st.integers(1, 4))
def test_a_few_stand_for_all(net, count):
    chosen, p = representatives(net, np.array([0.25, 0.25, 1.0, 1.0]), count)
    assert len(chosen) == len(set(chosen)) <= count
    assert p.sum() == 1.0 or abs(p.sum() - 1.0) < 1e-12
    assert (p > 0.0).all()
    assert p[0] >= 1.0 / (1 + len(net))
    assert not any((net[path] == 0.0).all() for path in chosen)


def test_those_are_chosen_that_lie_nearest_to_the_others():
    net = np.array([[8.0], [9.0], [10.0], [-5.0], [-5.5], [0.1]])
    chosen, p = representatives(net, np.ones(1), 2)
    assert net[chosen].ravel().tolist() == [9.0, -5.0]
    np.testing.assert_allclose(p, np.array([2, 3, 2]) / 7)
