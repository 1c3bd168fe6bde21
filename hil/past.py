"""What a daemon would remember if it had run before a scenario begins: the month's highest metering interval."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from ems.clock import SimulatedClock
from ems.config.site import Site
from ems.fast.demand import RECORD
from ems.store.journal import Journal
from ems.stores import journal_path

DAYS = 4
"""Enough for rules to trust the peak as well."""


def remember_peak(site: Site, state: Path, start: datetime, peak_kw: float) -> None:
    """Journal the metering intervals of the days before a start, so far as they lie in the same local month.

    Args:
        site: whose tariff; one without a demand charge leaves nothing.
        state: the daemon's state folder, before it starts.
        start: UTC.
        peak_kw: mean import of each of them [kW]; 0 leaves nothing.
    """
    charge = site.tariff.demand
    if charge is None or peak_kw <= 0.0:
        return
    zone = ZoneInfo(site.file.site.timezone)
    interval, step = timedelta(seconds=charge.interval_s), timedelta(seconds=charge.every_s)
    count = round(DAYS * 86400.0 / charge.every_s)
    first = start - timedelta(seconds=start.timestamp() % charge.every_s) - interval + step
    journal = Journal(journal_path(state), SimulatedClock(start), durable=False)
    for begin in (first - k * step for k in range(count, 0, -1)):
        if begin.astimezone(zone).month == start.astimezone(zone).month:
            body = {"start": begin.isoformat(), "interval_s": charge.interval_s, "mean_kw": peak_kw, "unknown_s": 0.0}
            journal.record(RECORD, body, at=begin + interval)
    journal.close()
