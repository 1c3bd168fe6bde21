"""A fixed load: calendar mean with a decaying bias.

    demand(t) = m(weekday(t), quarter(t)) + bias * exp(-(t - now) / tau),   not negative
    bias = mean over the last measured hour of (measured - m)

Symbols: m [kW] mean of the stored past in that quarter-hour of that local weekday (all days of the same kind, then all
days, where that weekday has none), tau [s]. Own derivation; the blend of a mean profile with the newest measurement is
common practice.
"""

from __future__ import annotations

from datetime import tzinfo

import numpy as np

from optimization.forecast.past import DAY_S, Past, local_days_and_quarters
from optimization.slots import Floats

WINDOW_DAYS = 56
BIAS_S = 3600.0
DECAY_S = 2.0 * 3600.0
SATURDAY = 5


def foresee_load(past: Past, at_s: Floats, now_s: float, zone: tzinfo) -> Floats | None:
    """Foresee a load's mean power [kW] at instants `at_s` [s since 1970], shape (n,).

    Args:
        past: measured power [kW]; whatever ends after `now_s` is cut away first.
        at_s: middle of each slot, all after `now_s`.
        now_s: the present instant.
        zone: the site's time zone.

    Returns:
        The forecast, or None if no sample at all is known.
    """
    known = past.before(now_s).known()
    if not known.at_s.size:
        return None
    recent = known.since(known.at_s[-1] - WINDOW_DAYS * DAY_S)
    last_hour = known.since(now_s - BIAS_S)
    foreseen = calendar_mean(recent, np.concatenate([at_s, last_hour.at_s]), zone)
    bias = float(np.mean(last_hour.value - foreseen[len(at_s) :])) if last_hour.at_s.size else 0.0
    return np.maximum(foreseen[: len(at_s)] + bias * np.exp(-(at_s - now_s) / DECAY_S), 0.0)


def calendar_mean(past: Past, at_s: Floats, zone: tzinfo) -> Floats:
    """Give the mean at the same local weekday and quarter-hour, shape of `at_s`; `past` has no gap and a sample."""
    day, quarter = local_days_and_quarters(past.at_s, zone)
    asked_day, asked_quarter = local_days_and_quarters(at_s, zone)
    quarters_a_step = max(1, round(past.step_s / 900.0))
    value = np.tile(past.value, quarters_a_step)
    quarter = np.mod(np.concatenate([quarter + k for k in range(quarters_a_step)]), 96.0)
    day = np.tile(day, quarters_a_step)
    answer = np.full(at_s.shape, float(np.mean(past.value)))
    by_quarter = (quarter, asked_quarter)
    by_kind = (quarter + 96.0 * (day >= SATURDAY), asked_quarter + 96.0 * (asked_day >= SATURDAY))
    by_weekday = (quarter + 96.0 * day, asked_quarter + 96.0 * asked_day)
    for cell, asked in (by_quarter, by_kind, by_weekday):
        count = np.bincount(cell.astype(int), minlength=7 * 96)
        total = np.bincount(cell.astype(int), weights=value, minlength=7 * 96)
        index = asked.astype(int)
        answer = np.where(count[index] > 0, total[index] / np.maximum(count[index], 1), answer)
    return answer
