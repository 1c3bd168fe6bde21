"""The one reader of the history: joins scan files and segments, and takes rollups for long spans.

Law 1: a scan counts once, wherever it lies while it is sealed, joined or removed.
Law 2: what nobody could read is `nan`, never zero.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ems.store import sealed_elsewhere
from ems.store.scan_file import GOOD, Floats, Scans, microseconds, scans, span_us
from ems.store.segments import Gone, Level, ScanFile, Segment, counting, scan_files, segments

T = TypeVar("T")
Instants = NDArray[np.int64]
Part = tuple[Instants, list[Floats]]
Sealed = Callable[[Sequence[Path], Sequence[str], Sequence[str], tuple[int, int]], Iterator[Part]]
"""Reads segments: `sealed_elsewhere.rows`, or `sealed.rows` where pyarrow may be loaded."""

ATTEMPTS = 5


def read(
    folder: Path | str,
    points: Sequence[str],
    t0: datetime,
    t1: datetime,
    *,
    good_only: bool = True,
    sealed: Sealed = sealed_elsewhere.rows,
) -> tuple[Floats, Floats]:
    """Read the scans of points from `t0` up to and without `t1`.

    Args:
        folder: the history; empty arrays if there is none yet.
        points: ids; an id that no scan holds gives a column of `nan`.
        t0: aware instant.
        t1: aware instant.
        good_only: whether uncertain values are left out too; bad ones always are.
        sealed: reads segments.

    Returns:
        POSIX seconds, ascending, shape (n,) [s], and values, shape (n, points), `nan` where missing.

    Raises:
        StoreError: a file is of a newer version or damaged.
    """
    worst = GOOD if good_only else 1

    def once() -> tuple[Floats, Floats]:
        hot, cold = _found(Path(folder), Level.RAW, t0, t1)
        parts = [(part.at_us, _picked(part, points, worst)) for file in hot for part in scans(file.path, _span(t0, t1))]
        if cold:
            paths = [segment.path for segment in cold]
            for at_us, (value, quality) in sealed(paths, points, ("value", "quality"), _span(t0, t1)):
                parts.append((at_us, np.where(quality <= worst, value, np.nan)))
        if not parts:
            return np.empty(0), np.empty((0, len(points)))
        at_us, values = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        order = np.argsort(at_us, kind="stable")
        return at_us[order] / 1e6, values[order]

    return _again(once)


def read_means(
    folder: Path | str,
    points: Sequence[str],
    t0: datetime,
    t1: datetime,
    step_s: float,
    *,
    sealed: Sealed = sealed_elsewhere.rows,
) -> tuple[Floats, Floats]:
    """Read the mean of the good values of each step [s] from `t0` on, from rollups where they are as fine.

    Returns:
        Start of each step in POSIX seconds, shape (steps,) [s], and means, shape (steps, points), `nan` where a step
        holds no good value.

    Raises:
        StoreError: a file is of a newer version or damaged.
    """
    count = int(np.ceil((t1 - t0).total_seconds() / step_s))
    start_us, step_us = microseconds(t0), round(step_s * 1e6)

    def once() -> Floats:
        total, number = np.zeros((count, len(points))), np.zeros((count, len(points)))
        for at_us, means, counts in _counted(Path(folder), points, (t0, t1), step_s, sealed):
            step = (at_us - start_us) // step_us
            first, last = (int(step.min()), int(step.max())) if len(step) else (0, -1)
            summed, here = np.where(counts > 0, means * counts, 0.0), slice(first, last + 1)
            for column in range(len(points)):
                total[here, column] += np.bincount(step - first, summed[:, column], last + 1 - first)
                number[here, column] += np.bincount(step - first, counts[:, column], last + 1 - first)
        return np.divide(total, number, out=np.full_like(total, np.nan), where=number > 0)

    return t0.timestamp() + step_s * np.arange(count, dtype=np.float64), _again(once)


def read_minutes(
    folder: Path | str, points: Sequence[str], t0: datetime, t1: datetime, *, sealed: Sealed = sealed_elsewhere.rows
) -> tuple[Floats, Floats, Floats]:
    """Read what is sealed of each minute that begins from `t0` up to and without `t1`, also where scans are over.

    Returns:
        Start of each minute in POSIX seconds, shape (n,) [s], means and last good values, shape (n, points).
    """

    def once() -> tuple[Floats, Floats, Floats]:
        _, cold = _found(Path(folder), Level.MINUTE, t0, t1)
        paths = [segment.path for segment in cold]
        parts = [(at_us, *found) for at_us, found in sealed(paths, points, ("mean", "last"), _span(t0, t1))]
        if not parts:
            return np.empty(0), np.empty((0, len(points))), np.empty((0, len(points)))
        at_us, mean, last = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        order = np.argsort(at_us, kind="stable")
        return at_us[order] / 1e6, mean[order], last[order]

    return _again(once)


def read_at(folder: Path | str, point: str, at: datetime, within_s: float) -> float | None:
    """Read a register at an instant, on the straight line between the last good value before it and the first after it.

    Args:
        folder: the history.
        point: id of the point.
        at: aware instant.
        within_s: how far from it the values may lie [s].

    Returns:
        The value; None where the history holds no good value on one of both sides.
    """
    return read_at_each(folder, point, [at], within_s)[0]


def read_at_each(folder: Path | str, point: str, instants: Sequence[datetime], within_s: float) -> list[float | None]:
    """Read a register at many instants, as `read_at` does at one, in one pass over the time that they span."""
    if not instants:
        return []
    reach = timedelta(seconds=within_s)
    times, values = read(folder, [point], min(instants) - reach, max(instants) + reach)
    good = np.isfinite(values[:, 0])
    times, value = times[good], values[good, 0]
    return [_between(times, value, at.timestamp(), within_s) for at in instants]


def _between(times: Floats, value: Floats, at_s: float, within_s: float) -> float | None:
    after = int(np.searchsorted(times, at_s))
    before = after if after < len(times) and times[after] == at_s else after - 1
    if before < 0 or after >= len(times) or at_s - times[before] > within_s or times[after] - at_s >= within_s:
        return None
    return float(np.interp(at_s, times[before : after + 1], value[before : after + 1]))


def oldest(folder: Path | str) -> datetime | None:
    """Tell the instant of the oldest scan; None where there is none yet. Raises `StoreError` as `read` does."""
    hot = [span[0] for file in scan_files(Path(folder)) if (span := span_us(file.path)) is not None]
    cold = [microseconds(segment.start) for level in Level for segment in segments(Path(folder), level)]
    first_us = min((*hot, *cold), default=None)
    return None if first_us is None else datetime.fromtimestamp(first_us / 1e6, UTC)


def _counted(
    folder: Path, points: Sequence[str], span: tuple[datetime, datetime], step_s: float, sealed: Sealed
) -> Iterator[tuple[Instants, Floats, Floats]]:
    """Give instants, means and how many good values stand behind each."""
    level = _coarsest(*span, step_s)
    hot, cold = _found(folder, level, *span)
    for part in (part for file in hot for part in scans(file.path, _span(*span))):
        values = _picked(part, points, GOOD)
        yield part.at_us, values, np.isfinite(values).astype(np.float64)
    paths = [segment.path for segment in cold]
    if cold and level is Level.RAW:
        for at_us, (value, quality) in sealed(paths, points, ("value", "quality"), _span(*span)):
            good = (quality == GOOD) & np.isfinite(value)
            yield at_us, np.where(good, value, np.nan), good.astype(np.float64)
    elif cold:
        for at_us, (mean, number) in sealed(paths, points, ("mean", "count"), _span(*span)):
            yield at_us, mean, np.where(np.isnan(number), 0.0, number)


def _coarsest(t0: datetime, t1: datetime, step_s: float) -> Level:
    """Choose the coarsest level whose rows each lie within one step."""
    for level in (Level.QUARTER, Level.MINUTE):
        if all(length % level.step_s == 0 for length in (step_s, t0.timestamp(), t1.timestamp())):
            return level
    return Level.RAW


def _found(folder: Path, level: Level, t0: datetime, t1: datetime) -> tuple[list[ScanFile], list[Segment]]:
    """List what holds a span, each scan once: scan files first, as those that were sealed since are in both lists."""
    hot = {file.number: file for file in scan_files(folder)}
    cold = [one for one in counting(segments(folder, level)) if one.first != one.last or one.first not in hot]
    for segment in cold:
        for number in range(segment.first, segment.last + 1):
            hot.pop(number, None)
    return [hot[number] for number in sorted(hot)], [segment for segment in cold if segment.meets(t0, t1)]


def _again(read_once: Callable[[], T]) -> T:
    """Read, and read again if a file was sealed meanwhile."""
    for _ in range(ATTEMPTS - 1):
        try:
            return read_once()
        except Gone:
            continue
    return read_once()


def _picked(part: Scans, points: Sequence[str], worst: int) -> Floats:
    """Give the columns of points, `nan` where their quality is worse."""
    column = {point: index for index, point in enumerate(part.points)}
    values = np.full((len(part.at_us), len(points)), np.nan)
    for index, point in enumerate(points):
        if (place := column.get(point)) is not None:
            values[:, index] = np.where(part.quality[:, place] <= worst, part.value[:, place], np.nan)
    return values


def _span(t0: datetime, t1: datetime) -> tuple[int, int]:
    return microseconds(t0), microseconds(t1)
