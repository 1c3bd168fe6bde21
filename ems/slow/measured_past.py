"""What this site has measured, as means over five minutes: filled by every snapshot, after a start from the history.

Law 1: only good values count; a step without one is `nan`, never zero.
Law 2: the history is read only for what lies before the first snapshot, so that no race with its writer decides.
Law 3: what it collects takes its memory at the start, though the history comes piece by piece for hours; the table that
is made of it grows until two weeks are known.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from ems.process_image import Snapshot
from ems.store.database import StoreError
from optimization.forecast.past import DAY_S, Past
from optimization.slots import Floats

logger = logging.getLogger(__name__)

STEP_S = 300.0
KEPT_S = 14.0 * DAY_S
FIRST_CHUNK_S = DAY_S
NEXT_CHUNK_S = 6.0 * 3600.0

ROOM = round(KEPT_S / STEP_S) + 1
NOTHING = -1
"""A row that holds no step yet."""

MeansReader = Callable[[Sequence[str], datetime, datetime, float], tuple[Floats, Floats]]
"""Reads means of points between two instants over steps [s]: starts (n,) [s since 1970] and values (n, points)."""


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Means of points over steps of `STEP_S`.

    Args:
        points: ids of the columns.
        at_s: start of each step [s since 1970], ascending, shape (n,).
        value: means, `nan` for a gap, shape (n, points).
    """

    points: tuple[str, ...]
    at_s: Floats
    value: Floats

    def past(self, point: str | None) -> Past:
        """Give one point's past; all gaps for a point that is not kept."""
        known = point is not None and point in self.points
        value = self.value[:, self.points.index(point)] if known and point else np.full(self.at_s.shape, np.nan)
        return Past(self.at_s, value, STEP_S)


class MeasuredPast:
    """Collects five-minute means.

    Args:
        points: ids to keep.
        read: reads the history of earlier runs; None without one.
    """

    def __init__(self, points: Sequence[str], read: MeansReader | None = None) -> None:
        self._points = tuple(points)
        self._read = read
        # Of ones: zeros would get their memory only as they are written to.
        self._steps = np.full(ROOM, NOTHING)
        self._total = np.ones((ROOM, len(self._points)))
        self._count = np.ones((ROOM, len(self._points)), dtype=np.int32)
        self._last: datetime | None = None
        self._known_from_s: float | None = None
        self._goal_s = 0.0
        self._made: tuple[object, Table] | None = None

    def observe(self, snapshot: Snapshot) -> None:
        """Take one snapshot; the same instant twice counts once."""
        if self._last is not None and snapshot.at <= self._last:
            return
        self._last = snapshot.at
        step = int(snapshot.at.timestamp() // STEP_S)
        if self._known_from_s is None:
            self._known_from_s = step * STEP_S
            self._goal_s = self._known_from_s - KEPT_S
        readings = [snapshot.good(point) for point in self._points]
        self._add(step, np.array([np.nan if v is None else v for v in readings], dtype=float))

    def _add(self, step: int, value: Floats) -> None:
        row = step % ROOM
        if self._steps[row] < step:
            self._steps[row], self._total[row], self._count[row] = step, 0.0, 0
        if self._steps[row] == step:
            self._total[row] += np.nan_to_num(value)
            self._count[row] += np.isfinite(value)

    async def catch_up(self) -> None:
        """Read one more piece of the history, newest first: a day, then hours at a time, until two weeks are known."""
        end_s = self._known_from_s
        if self._read is None or end_s is None or end_s <= self._goal_s:
            return
        length_s = FIRST_CHUNK_S if end_s == self._goal_s + KEPT_S else NEXT_CHUNK_S
        start_s = max(end_s - length_s, self._goal_s)
        span = (datetime.fromtimestamp(start_s, UTC), datetime.fromtimestamp(end_s, UTC))
        self._known_from_s = start_s
        try:
            at_s, means = await asyncio.to_thread(self._read, self._points, *span, STEP_S)
        except StoreError as error:
            self._read = None
            logger.warning("the measured past begins with this start: %s", error)
            return
        for at, row in zip(at_s, means, strict=True):
            if np.isfinite(row).any():
                self._add(int(at // STEP_S), row)

    def table(self, now: datetime) -> Table:
        """Give what is known before `now`, the running step included, without gaps in time."""
        newest = int(now.timestamp() // STEP_S)
        key = (now, self._last, self._known_from_s)
        if self._made is not None and self._made[0] == key:
            return self._made[1]
        oldest = -int((KEPT_S - now.timestamp()) // STEP_S)
        within = (self._steps >= oldest) & (self._steps <= newest)
        if not within.any():
            return Table(self._points, np.empty(0), np.empty((0, len(self._points))))
        steps = self._steps[within]
        every = np.arange(steps.min(), steps.max() + 1)
        value = np.full((len(every), len(self._points)), np.nan)
        count = self._count[within]
        value[steps - steps.min()] = np.where(count > 0, self._total[within] / np.maximum(count, 1), np.nan)
        table = Table(self._points, np.asarray(every * STEP_S, dtype=np.float64), value)
        self._made = (key, table)
        return table
