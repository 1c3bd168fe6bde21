"""Checks a demand charge whose metering intervals slide: meters the plan at every begin of an interval."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from ems.plan_check.words import POWER_TOLERANCE_KW, beyond
from optimization.problem import Plan, SlidingDemand
from optimization.slots import Floats, Ints


def check_sliding(name: str, charge: SlidingDemand, plan: Plan, counted_kw: Floats) -> Iterator[str]:
    """Compare the mean of every interval with the peak that the plan admits for its month, of the months given."""
    free_kw = charge.free_kw[: len(counted_kw)]
    yield from beyond(f"{name}: a peak below the free one", free_kw - counted_kw, POWER_TOLERANCE_KW, "kW")
    means_kw, month = _metered(charge, plan)
    looked_at = (month >= 0) & (month < len(counted_kw))
    if looked_at.any():
        hidden_kw = means_kw[looked_at] - counted_kw[month[looked_at]]
        yield from beyond(f"{name}: a sliding interval above the admitted peak", hidden_kw, POWER_TOLERANCE_KW, "kW")


def _metered(charge: SlidingDemand, plan: Plan) -> tuple[Floats, Ints]:
    """Give the mean import of each interval that runs or begins [kW], and its month, -1 where it is not looked at."""
    start_s, horizon_s = plan.slots.start.timestamp(), float(np.sum(plan.slots.duration_s))
    every_s, long_s = charge.every_s, charge.interval_s
    edge_s = np.append(0.0, np.cumsum(plan.slots.duration_s))
    read_kwh = np.append(0.0, np.cumsum(plan.import_kw * plan.slots.duration_s / 3600.0))
    multiple = start_s / every_s
    first = round(multiple) if abs(multiple - round(multiple)) * every_s < 1e-6 else math.ceil(multiple)
    last = math.floor((start_s + horizon_s - long_s + 1e-6) / every_s)
    later = np.arange(first, last + 1) * every_s - start_s
    begun = (first - 1 - np.arange(len(charge.begun_kwh))) * every_s - start_s
    at_s = np.concatenate([later, begun])
    kwh = np.interp(at_s + long_s, edge_s, read_kwh) - np.interp(at_s, edge_s, read_kwh)
    kwh[len(later) :] += charge.begun_kwh
    slot = np.searchsorted(edge_s, later + 1e-6, side="right") - 1
    month = np.concatenate([charge.month[slot], np.where(begun + long_s > 1e-6, charge.begun_month, -1)])
    return kwh / (long_s / 3600.0), month
