"""A fixed load: calendar mean, shifted by the last day and by the last hour.

    demand(t) = m(t) + level + (bias - level) * exp(-(t - now) / tau),   not negative
    m(t) = sum over past samples i at the same local quarter-hour of w_i x_i / sum of w_i
    w_i = k(weekday(t), weekday(i)) * exp(-age_i / theta)
    level = 0.6 * mean over the last day of (x - m),    bias = mean over the last hour of (x - m)

Symbols: x [kW] measured, m [kW] calendar mean, k likeness of two weekdays (1 the same, 0.8 both working days or both
days off, 0.5 else), theta 7 days, tau [s]. Own derivation; to blend a mean profile with the newest measurements is
common practice. The constants were chosen on the demo feeder's winter and spring for hourly to daily horizons.
"""

from __future__ import annotations

from datetime import tzinfo

import numpy as np

from optimization.forecast.past import DAY_S, QUARTER_S, Past, local_days_and_quarters
from optimization.slots import Floats, Ints

WINDOW_S = 28.0 * DAY_S
AGE_S = 7.0 * DAY_S
HOUR_S = 3600.0
DECAY_S = 2.0 * HOUR_S
LEVEL_SHARE = 0.6
SATURDAY = 5
SAME_KIND, OTHER_KIND = 0.8, 0.5


def foresee_load(past: Past, at_s: Floats, now_s: float, zone: tzinfo, least: float = 0.0) -> Floats | None:
    """Foresee a load's mean power [kW] at instants `at_s` [s since 1970], shape (n,).

    Args:
        past: measured power [kW]; whatever ends after `now_s` is cut away first.
        at_s: middle of each slot, all after `now_s`.
        now_s: the present instant.
        zone: the site's time zone.
        least: what it does not fall below [kW]; prices may be negative.

    Returns:
        The forecast, or None if no sample at all is known.
    """
    known = past.before(now_s).known()
    if not known.at_s.size:
        return None
    # The mean must not hold the hour that is compared with it, or it would take part of the bias away.
    settled = known.before(now_s - HOUR_S)
    base = settled.since(settled.at_s[-1] - WINDOW_S) if settled.at_s.size else known
    last_day = known.since(now_s - DAY_S)
    foreseen = calendar_mean(base, np.concatenate([at_s, last_day.at_s]), zone)
    shift = _shift(last_day, foreseen[len(at_s) :], at_s - now_s, now_s)
    return np.maximum(foreseen[: len(at_s)] + shift, least)


def _shift(last_day: Past, mean: Floats, ahead_s: Floats, now_s: float) -> Floats:
    """Give what the last day and the last hour say beyond the calendar mean [kW]; nothing where they are unknown."""
    if not last_day.at_s.size:
        return np.zeros_like(ahead_s)
    error = last_day.value - mean
    level = LEVEL_SHARE * float(error.mean())
    newest = last_day.at_s >= now_s - HOUR_S
    bias = float(error[newest].mean()) if newest.any() else level
    return level + (bias - level) * np.exp(-ahead_s / DECAY_S)


def calendar_mean(past: Past, at_s: Floats, zone: tzinfo) -> Floats:
    """Give the weighted mean of the same local quarter-hour, shape of `at_s`; `past` has a sample and no gap."""
    day, quarter = _cells(past.at_s, zone)
    asked_day, asked_quarter = _cells(at_s, zone)
    weight = np.exp((past.at_s - past.at_s[-1]) / AGE_S)
    # A sample longer than a quarter-hour stands for each quarter that it covers.
    weights, totals = np.zeros((2, 7, 96))
    for k in range(max(1, round(past.step_s / QUARTER_S))):
        np.add.at(weights, (day, (quarter + k) % 96), weight)
        np.add.at(totals, (day, (quarter + k) % 96), weight * past.value)
    likeness = _likeness()[asked_day]
    weights, totals = (np.einsum("nd,dn->n", likeness, table[:, asked_quarter]) for table in (weights, totals))
    otherwise = float(np.average(past.value, weights=weight))
    return np.where(weights > 0.0, totals / np.where(weights > 0.0, weights, 1.0), otherwise)


def _cells(at_s: Floats, zone: tzinfo) -> tuple[Ints, Ints]:
    day, quarter = local_days_and_quarters(at_s, zone)
    return day.astype(np.int64), quarter.astype(np.int64)


def _likeness() -> Floats:
    """Give how much a sample of one weekday (column) says about another (row), shape (7, 7)."""
    off = np.arange(7) >= SATURDAY
    table = np.where(off[:, None] == off[None, :], SAME_KIND, OTHER_KIND)
    np.fill_diagonal(table, 1.0)
    return table
