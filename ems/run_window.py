"""The hours of the local day in which a deferrable load shall run, laid on UTC."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta, tzinfo

from ems.config.assets import DeferrableAsset
from optimization.assets.deferrable import StartWindow


def run_window(spec: DeferrableAsset, now: datetime, zone: tzinfo) -> StartWindow:
    """Give between which instants a run may start that still ends in its window: the first in which that is possible.

    The clock on the wall counts: on a day of 23 hours a window may be an hour shorter than the site file says, and a
    run that does not fit into it begins as it opens.

    Args:
        spec: the load.
        now: UTC instant; a window that holds it counts while a run may still start.
        zone: local time of the site.
    """
    today = now.astimezone(zone).date()
    for ahead in range(-1, 3):
        midnight = datetime.combine(today + timedelta(days=ahead), time(), zone)
        opens = (midnight + timedelta(hours=spec.run_from_h)).astimezone(UTC)
        closes = (midnight + timedelta(hours=spec.run_from_h, seconds=spec.window_s)).astimezone(UTC)
        latest = max(closes - timedelta(seconds=spec.length_s), opens)
        if latest >= now:
            return StartWindow(opens, latest)
    raise AssertionError("a window of two days ahead lies ahead")
