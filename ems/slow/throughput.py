"""What a battery's warranty leaves to be discharged: a mean of a week, counted from what its meter showed."""

from __future__ import annotations

from datetime import datetime

from optimization.forecast.past import DAY_S, Past, epoch_s

COUNTED_S = 7.0 * DAY_S
"""So much of the past counts, or as much of it as is known [s]."""


def left_kwh(kwh_per_day: float, power: Past, now: datetime, horizon_s: float) -> float:
    """Give what may be discharged within the horizon [kWh]: the allowance of past and horizon, less what was used.

    Args:
        kwh_per_day: that the warranty allows.
        power: at the battery's terminals, gaps left out [kW].
        now: UTC instant.
        horizon_s: how far the plan looks [s].
    """
    known = power.since(epoch_s(now) - COUNTED_S).known()
    if not len(known.at_s):
        return kwh_per_day * horizon_s / DAY_S
    span_s = epoch_s(now) - float(known.at_s[0])
    used_kwh = float((-known.value).clip(min=0.0).sum()) * known.step_s / 3600.0
    return max(0.0, kwh_per_day * (span_s + horizon_s) / DAY_S - used_kwh)
