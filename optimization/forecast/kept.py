"""Forecasts kept with their instants of issue: what was known when.

Law 1: a read for an instant gives what was issued at it or before, never later.
Law 2: what was issued is never changed; another issue of the same instant and point is refused.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from optimization.forecast.ladder import Served
from optimization.slots import Floats

COLUMNS = ("point", "issued_s", "at_s", "level", "value", "method", "calibrated")


@dataclass(frozen=True, slots=True, eq=False)
class KeptIssue:
    """One issue of one point.

    Args:
        issued_s: its instant [s since 1970].
        at_s: middle of each quarter-hour [s since 1970], ascending, shape (n,).
        levels: of the quantiles, ascending.
        value: `nan` where nothing was known, shape (levels, n).
        method: whose each value is, empty where nothing was known, shape (n,).
        calibrated: whether past errors have moved each value, shape (n,).
    """

    issued_s: float
    at_s: Floats
    levels: tuple[float, ...]
    value: Floats
    method: tuple[str, ...]
    calibrated: tuple[bool, ...]


@dataclass(slots=True, eq=False)
class Kept:
    """What was issued, by point."""

    _issues: dict[str, list[KeptIssue]] = field(default_factory=dict)

    def keep(self, point: str, served: Served) -> None:
        """Keep an issue; raises `ValueError` where the point has one of that instant."""
        spread = tuple(bool(c) for c in served.calibrated)
        self._put(point, KeptIssue(served.issued_s, served.at_s, served.levels, served.value, served.method, spread))

    def _put(self, point: str, issue: KeptIssue) -> None:
        kept = self._issues.setdefault(point, [])
        if any(each.issued_s == issue.issued_s for each in kept):
            raise ValueError(f"{point}: there is an issue of {issue.issued_s:.0f} s; what was issued is not changed")
        insort(kept, issue, key=lambda each: each.issued_s)

    def points(self) -> tuple[str, ...]:
        """Name the points."""
        return tuple(sorted(self._issues))

    def as_of(self, point: str, now_s: float) -> KeptIssue | None:
        """Give the newest issue that was known at an instant [s since 1970]; None before the first."""
        kept = self._issues.get(point, [])
        count = bisect_right(kept, now_s, key=lambda each: each.issued_s)
        return kept[count - 1] if count else None

    def columns(self) -> dict[str, list[Any]]:
        """Lay everything out as columns of equal length, a row a value, as a table or Parquet file holds them."""
        rows: dict[str, list[Any]] = {name: [] for name in COLUMNS}
        for point in self.points():
            for issue in self._issues[point]:
                count, levels = len(issue.at_s), len(issue.levels)
                rows["point"] += [point] * (count * levels)
                rows["issued_s"] += [issue.issued_s] * (count * levels)
                rows["at_s"] += issue.at_s.tolist() * levels
                rows["level"] += np.repeat(issue.levels, count).tolist()
                rows["value"] += issue.value.ravel().tolist()
                rows["method"] += list(issue.method) * levels
                rows["calibrated"] += list(issue.calibrated) * levels
        return rows


def from_columns(columns: Mapping[str, Any]) -> Kept:
    """Read back what `Kept.columns` laid out; raises `ValueError` where a column is missing or rows do not fit."""
    missing = [name for name in COLUMNS if name not in columns]
    if missing:
        raise ValueError(f"the columns {missing} are missing; write {', '.join(COLUMNS)}")
    points, issued = np.asarray(columns["point"]), np.asarray(columns["issued_s"], dtype=float)
    at_s, level, value = (np.asarray(columns[name], dtype=float) for name in ("at_s", "level", "value"))
    kept = Kept()
    for point in dict.fromkeys(points.tolist()):
        for instant in np.unique(issued[points == point]).tolist():
            rows = np.flatnonzero((points == point) & (issued == instant))
            levels = np.unique(level[rows])
            count = len(rows) // len(levels)
            first = rows[:count]
            if (np.tile(at_s[first], len(levels)) != at_s[rows]).any() or (
                np.repeat(levels, count) != level[rows]
            ).any():
                raise ValueError(f"{point}: the rows of the issue of {instant:.0f} s do not fit together")
            method, spread = ([columns[name][i] for i in first] for name in ("method", "calibrated"))
            quantiles = value[rows].reshape(len(levels), count)
            issue = KeptIssue(instant, at_s[first], tuple(levels.tolist()), quantiles, tuple(method), tuple(spread))
            kept._put(str(point), issue)  # noqa: SLF001 - its own reader
    return kept
