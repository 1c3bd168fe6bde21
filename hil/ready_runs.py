"""When somebody makes deferrable loads ready to run, and until when a run shall have begun."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta, tzinfo

import numpy as np

from ems.config.assets import DeferrableAsset
from hil.scenario import OrderedRun

EARLY_SHARE = 0.2
"""People make a run ready within this share of its window."""


def asked_of(name: str, ordered: Iterable[OrderedRun]) -> list[float]:
    """Give when a load is made ready by the scenario's orders [s since the start]."""
    return [run.at_s for run in ordered if run.asset == name]


def daily(spec: DeferrableAsset, rng: np.random.Generator, start: datetime, span_s: float, zone: tzinfo) -> list[float]:
    """Draw when a load is made ready once each local day [s since the start]."""
    days = round(span_s / 86400.0) + 1
    opened = [_opens(spec, start, ahead, zone) for ahead in range(days)]
    ready = [(at - start).total_seconds() + EARLY_SHARE * spec.window_s * float(rng.random()) for at in opened]
    return [at_s for at_s in ready if 0.0 <= at_s < span_s]


def begin_by_s(spec: DeferrableAsset, ready: datetime, zone: tzinfo, start: datetime) -> float:
    """Give the latest start in the first window in which a run that is ready now still fits [s since the start]."""
    room = timedelta(seconds=spec.window_s - spec.length_s)
    latest = (_opens(spec, ready, ahead, zone) + room for ahead in (-1, 0, 1, 2))
    return (next(at for at in latest if at >= ready) - start).total_seconds()


def _opens(spec: DeferrableAsset, at: datetime, ahead: int, zone: tzinfo) -> datetime:
    day = at.astimezone(zone).date() + timedelta(days=ahead)
    return (datetime.combine(day, time(), zone) + timedelta(hours=spec.run_from_h)).astimezone(UTC)
