"""Demand-response events as charges of a plan: the connection below its baseline by what was promised.

    baseline[s] = mean of the net import at the same local time of the newest days before the event's that are of its
                  kind (working days, or those of weekends) and of which that time was measured, `baseline_days` at most

The baseline rests on days before the event's, so that nothing done on its day moves it. Days on which another event ran
at that time are left out. Where fewer than `LEAST_DAYS` days are known, the event is left to the penalty and told.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, tzinfo

import numpy as np

from ems.config.flexibility import ResponseEvent
from ems.config.response_checks import Span, span_of
from optimization.forecast.past import Past
from optimization.net_charges import demand_response
from optimization.problem import Envelope
from optimization.slots import Floats, Slots

logger = logging.getLogger(__name__)

LEAST_DAYS = 3
LOOK_BACK_DAYS = 14
WEEKEND = 5
UNKNOWN = f"its baseline is unknown, as fewer than {LEAST_DAYS} days like its own were measured"


def responses(
    events: Mapping[str, ResponseEvent], slots: Slots, zone: tzinfo, past: Past
) -> tuple[tuple[Envelope, ...], dict[str, str]]:
    """State the events that have not ended when a horizon begins.

    Args:
        events: of the site file.
        slots: the horizon.
        zone: of the site.
        past: net import at the connection [kW].

    Returns:
        a charge for each event, and why some cost nothing, by `demand_response.<id>`.
    """
    spans = {name: span_of(event, zone) for name, event in events.items()}
    found, why = [], {}
    for name, event in events.items():
        if spans[name][1] <= slots.start:
            continue
        called = _shares(spans[name], slots)
        others = [span for other, span in spans.items() if other != name]
        baseline = _baseline_kw(event, spans[name], slots, zone, past=past, others=others)
        unknown = (called > 0.0) & ~np.isfinite(baseline)
        if unknown.any():
            why[f"demand_response.{name}"] = UNKNOWN
        asked = called * ~unknown
        price = event.reward_per_kwh, event.penalty_per_kwh
        promised_kw = np.full(len(slots), event.promised_kw)
        whole = demand_response(np.where(unknown, 0.0, baseline), promised_kw, asked > 0.0, *price)
        found.append(Envelope(whole.low_kw, whole.high_kw, whole.price_per_kwh * asked, f"demand_response.{name}"))
    return tuple(found), why


def _shares(span: Span, slots: Slots) -> Floats:
    """Give the part of each slot that lies within an event, shape (n,)."""
    start_s = slots.start.timestamp() + slots.offset_s
    begin_s, end_s = (at.timestamp() for at in span)
    inside_s = np.minimum(start_s + slots.duration_s, end_s) - np.maximum(start_s, begin_s)
    share: Floats = np.clip(inside_s / slots.duration_s, 0.0, 1.0)
    return share


def _baseline_kw(
    event: ResponseEvent, span: Span, slots: Slots, zone: tzinfo, *, past: Past, others: list[Span]
) -> Floats:
    """Give the net import that each slot would have had [kW], `nan` where nobody knows it; shape (n,)."""
    if event.baseline_kw is not None:
        return np.full(len(slots), event.baseline_kw)
    baseline, days = np.full(len(slots), np.nan), list(_days_before(span[0], zone))
    for s in np.flatnonzero(_shares(span, slots) > 0.0):
        begin = max(slots.starts[s], span[0])
        end = min(slots.starts[s] + timedelta(seconds=float(slots.duration_s[s])), span[1])
        means = [_mean_kw(past, _moved(begin, day, zone), _moved(end, day, zone), others) for day in days]
        known = [mean for mean in means if np.isfinite(mean)]
        if len(known) >= LEAST_DAYS:
            baseline[s] = float(np.mean(known[: event.baseline_days]))
    return baseline


def _days_before(at: datetime, zone: tzinfo) -> Iterator[int]:
    """Count back to the days that are like that of an instant, the newest first."""
    today = at.astimezone(zone).date()
    for back in range(1, LOOK_BACK_DAYS):
        if ((today - timedelta(days=back)).weekday() >= WEEKEND) == (today.weekday() >= WEEKEND):
            yield back


def _moved(at: datetime, days: int, zone: tzinfo) -> float:
    """Give the same local time so many days before [s since 1970]."""
    return (at.astimezone(zone) - timedelta(days=days)).timestamp()


def _mean_kw(past: Past, begin_s: float, end_s: float, others: list[Span]) -> float:
    """Give the mean over a time; `nan` where a step of it is unknown or another event ran."""
    if any(begin_s < b.timestamp() and a.timestamp() < end_s for a, b in others):
        return float("nan")
    step_s = past.step_s
    at_s = np.arange(np.floor(begin_s / step_s), np.ceil(end_s / step_s), dtype=np.float64) * step_s
    weight = np.minimum(at_s + step_s, end_s) - np.maximum(at_s, begin_s)
    return float(past.at(np.asarray(at_s + 0.5 * step_s)) @ weight / weight.sum())
