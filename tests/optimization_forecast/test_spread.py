"""Blocks of past forecast errors: what is learned, what is drawn, and that no future leaks in."""

from __future__ import annotations

import numpy as np
import pytest

from optimization.forecast.past import DAY_S, Past
from optimization.forecast.spread import LEAST_ALIKE, Errors, Issued, means, quantiles

STEP_S, LEADS = 600.0, 6
NOON_S = 20_000 * DAY_S + 43_200.0


def _issue(at_s: float, kind: str = "working", foreseen: float = 10.0, scale: float = 1.0) -> Issued:
    return Issued(at_s, kind, at_s, {"load": np.full(LEADS, foreseen)}, {"load": np.full(LEADS, scale)})


def _came(from_s: float, to_s: float, value: float) -> dict[str, Past]:
    at_s = np.arange(from_s, to_s, 300.0)
    return {"load": Past(at_s, np.full(len(at_s), value), 300.0)}


def _taught(days: int, value: float = 12.0, kind: str = "working") -> Errors:
    errors = Errors(STEP_S, LEADS, {"load": 1.0})
    for day in range(days):
        for hour in (-1, 0, 1):
            at_s = NOON_S + day * DAY_S + hour * 3600.0
            errors.keep(_issue(at_s, kind))
            errors.learn(_came(at_s, at_s + LEADS * STEP_S, value), at_s + LEADS * STEP_S)
    return errors


def test_an_error_is_what_came_less_what_was_foreseen() -> None:
    errors = _taught(10, value=12.0)
    drawn = errors.draw(["load"], NOON_S + 10 * DAY_S, "working", 7)["load"]
    assert drawn.shape == (7, LEADS)
    assert drawn == pytest.approx(np.full((7, LEADS), 2.0))


def test_nothing_is_learned_before_a_block_has_come_to_its_end() -> None:
    errors = Errors(STEP_S, LEADS, {})
    errors.keep(_issue(NOON_S))
    errors.learn(_came(NOON_S, NOON_S + LEADS * STEP_S, 99.0), NOON_S + LEADS * STEP_S - 1.0)
    assert len(errors) == 0
    errors.learn(_came(NOON_S, NOON_S + LEADS * STEP_S, 99.0), NOON_S + LEADS * STEP_S)
    assert len(errors) == 1


def test_a_block_that_was_hardly_measured_teaches_nothing() -> None:
    errors = Errors(STEP_S, LEADS, {})
    errors.keep(_issue(NOON_S))
    errors.learn(_came(NOON_S, NOON_S + 2 * STEP_S, 12.0), NOON_S + DAY_S)
    assert len(errors) == 0


def test_days_of_the_same_kind_are_drawn_from_where_there_are_enough() -> None:
    errors = _taught(10, value=12.0)
    for hour in range(LEAST_ALIKE):
        at_s = NOON_S + 11 * DAY_S + hour * 600.0
        errors.keep(_issue(at_s, "off"))
        errors.learn(_came(at_s, at_s + LEADS * STEP_S, 5.0), at_s + LEADS * STEP_S)
    off = errors.draw(["load"], NOON_S + 12 * DAY_S, "off", 5)["load"]
    working = errors.draw(["load"], NOON_S + 12 * DAY_S, "working", 5)["load"]
    assert off == pytest.approx(np.full((5, LEADS), -5.0))
    assert working == pytest.approx(np.full((5, LEADS), 2.0))


def test_while_little_is_known_the_stated_spread_stands_in_and_is_always_the_same() -> None:
    errors = Errors(STEP_S, LEADS, {"load": 3.0})
    first, again = (errors.draw(["load"], NOON_S, "working", 400)["load"] for _ in range(2))
    assert (first == again).all()
    assert float(first.std()) == pytest.approx(3.0, rel=0.15)
    beside = np.corrcoef(first[:, 0], first[:, 1])[0, 1]
    assert beside > 0.8  # what is too high now is too high ten minutes later


def test_means_are_nan_where_less_than_half_is_known() -> None:
    past = Past(np.array([0.0, 300.0, 600.0, 900.0]), np.array([1.0, 3.0, np.nan, np.nan]), 300.0)
    assert means(past, 0.0, 600.0, 2) == pytest.approx([2.0, np.nan], nan_ok=True)


def test_quantiles_are_those_of_the_errors_on_their_scale() -> None:
    errors = np.linspace(-1.0, 1.0, 101)[:, None]
    found = quantiles(errors, np.array([10.0]), np.array([2.0]), (0.05, 0.5, 0.95))
    assert found[:, 0] == pytest.approx([8.2, 10.0, 11.8])
