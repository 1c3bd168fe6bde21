"""Local time of day, many times a second: the offset to UTC changes on full hours and is looked up once in each."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

HOUR_S, DAY_S = 3600.0, 86400.0
MONDAY_FROM_EPOCH = 3
"""The epoch was a Thursday."""


class LocalTime:
    """Local time counted from the start of a run.

    Args:
        start: UTC start of the run.
        zone: local time.
    """

    def __init__(self, start: datetime, zone: ZoneInfo) -> None:
        self._start, self._zone = start, zone
        self._epoch_s = start.timestamp()
        self._hour = -1
        self._offset_s = 0.0

    def at(self, elapsed_s: float) -> tuple[int, float]:
        """Give weekday (0 is Monday) and time of day [h] so long after the start [s]."""
        utc_s = self._epoch_s + elapsed_s
        hour = math.floor(utc_s / HOUR_S)
        if hour != self._hour:
            offset = (self._start + timedelta(seconds=elapsed_s)).astimezone(self._zone).utcoffset()
            self._hour, self._offset_s = hour, offset.total_seconds() if offset is not None else 0.0
        day, second = divmod(utc_s + self._offset_s, DAY_S)
        return (int(day) + MONDAY_FROM_EPOCH) % 7, second / HOUR_S
