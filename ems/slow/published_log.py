"""What was published of prices and carbon intensity: the last weeks on quarter-hours, and how far ahead it reaches.

Law 1: of several issues of a quarter-hour the newest counts.
Law 2: nothing is kept of an issue before it is told: whoever reads knows what was known.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np

from drivers.feeds import ForecastSeries
from optimization.forecast.past import DAY_S, QUARTER_S, Past, empty, epoch_s
from optimization.forecast.published import Issue, slot_means
from optimization.slots import Floats

KEPT_S = 29.0 * DAY_S
ROOM = round((KEPT_S + 4.0 * DAY_S) / QUARTER_S)
"""Four days may lie ahead."""
NOTHING = -1


class PublishedLog:
    """Keeps one series."""

    def __init__(self) -> None:
        self._quarter, self._issued_s = np.full(ROOM, NOTHING), np.full(ROOM, -np.inf)
        self._value = np.full(ROOM, np.nan)

    def keep(self, series: ForecastSeries) -> None:
        """Take one issue; gaps in it change nothing."""
        value = np.array([np.nan if v is None else v for v in series.values], dtype=float)
        issue = Issue(epoch_s(series.valid_from), series.step_s, value)
        quarter = np.arange(np.floor(issue.start_s / QUARTER_S), np.ceil(issue.end_s / QUARTER_S)).astype(np.int64)
        start_s: Floats = np.asarray(quarter * QUARTER_S, dtype=np.float64)
        told = slot_means(issue, start_s, np.full(len(quarter), QUARTER_S))
        row, issued_s = quarter % ROOM, epoch_s(series.issued_at)
        newer = (quarter > self._quarter[row]) | ((quarter == self._quarter[row]) & (issued_s >= self._issued_s[row]))
        taken = np.isfinite(told) & newer
        self._quarter[row[taken]], self._value[row[taken]] = quarter[taken], told[taken]
        self._issued_s[row[taken]] = issued_s

    def past(self, now_s: float) -> Past:
        """Give what is known, the last weeks and what lies ahead."""
        rows = np.flatnonzero(self._quarter * QUARTER_S >= now_s - KEPT_S)
        if not rows.size:
            return empty()
        rows = rows[np.argsort(self._quarter[rows])]
        return Past(np.asarray(self._quarter[rows] * QUARTER_S, dtype=np.float64), self._value[rows], QUARTER_S)

    def until_s(self) -> float:
        """Tell up to where it is known [s since 1970]."""
        return float((self._quarter.max() + 1) * QUARTER_S)


def read_factor(body: Mapping[str, Any]) -> ForecastSeries:
    """Read a published series from the journal; raises `KeyError`, `TypeError` or `ValueError` where it is none."""
    return ForecastSeries(
        point=str(body["point"]),
        unit=str(body["unit"]),
        issued_at=datetime.fromisoformat(body["issued_at"]),
        valid_from=datetime.fromisoformat(body["valid_from"]),
        step_s=float(body["step_s"]),
        values=tuple(None if value is None else float(value) for value in body["values"]),
    )
