"""Seals scan files into segments with their rollups, and joins the rollups of days and months.

Law 1: a segment appears under its name whole, on the disk, or not at all.
Law 2: nothing is removed here: scan files and what was joined are removed by who writes the chain of audit, once the
hash of what takes their place stands there (`ems/keeping.py`).
Law 3: whatever a crash interrupted is done by the next run; done twice it comes to the same.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ems.clock import SystemClock
from ems.store.damage import is_damage, move_aside
from ems.store.database import StoreError
from ems.store.durable import sync
from ems.store.scan_file import BAD, EVER, GOOD, Codes, Floats, Scans, scans
from ems.store.sealed import Shape, rows, shape_of, together
from ems.store.segments import (
    Level,
    ScanFile,
    Segment,
    alone,
    counting,
    scan_files,
    sealable,
    segment_path,
    segments,
)

Instants = NDArray[np.int64]

GROUP_POINTS, LEAST_ROWS, MOST_ROWS, MOST_GROUPS = 10, 36_000, 60_000, 1000
"""A row group holds so many points: more where they make too few rows or too many groups, fewer where too many rows."""
PIECE_ROWS = 2_000_000
"""So many rows at most are in memory at a time, unless a row group alone has more."""
ROLLED = ("mean", "min", "max", "last", "count", "missing")
"""Columns of a rollup: mean, least, greatest and last good value, how many were good, how many scans had none."""
_WRITING = {
    "compression": "zstd", "compression_level": 3, "max_rows_per_page": 1 << 20, "data_page_size": 1 << 24,
    "write_statistics": False, "store_schema": False,
}  # fmt: skip
PART = ".part"


@dataclass(frozen=True, slots=True)
class Sealed:
    """What a run has done: the segments that it made, and what is wrong, empty if nothing is."""

    made: tuple[Segment, ...]
    trouble: str = ""


def seal(folder: Path, now: Callable[[], datetime]) -> Sealed:
    """Seal what can be sealed and join what can be joined.

    Args:
        folder: of the history.
        now: gives the instant for the name of a damaged scan file that is moved aside.

    Returns:
        What was made, and the first thing that went wrong: it is left as it was and tried again by the next run.
    """
    made: list[Segment] = []
    trouble = ""
    try:
        with alone(folder) as is_alone:
            if not is_alone:
                return Sealed(())
            for path in folder.glob(f"*/*{PART}"):
                path.unlink()
            for file in sealable(folder):
                try:
                    made += _seal(folder, file)
                except StoreError as error:
                    if not is_damage(error.__cause__):
                        raise
                    trouble = trouble or f"{move_aside(file.path, now()).name} is damaged; restore a backup"
            made += _joined(folder)
    except (OSError, StoreError) as error:
        trouble = f"{error}"
    return Sealed(tuple(made), trouble)


def _seal(folder: Path, file: ScanFile) -> list[Segment]:
    raw = _laid_out(list(scans(file.path)))
    if raw is None:
        return []
    there = {level for level in Level for s in segments(folder, level) if s.first <= file.number <= s.last}
    made = [raw, *(_rolled(raw, level) for level in (Level.MINUTE, Level.QUARTER))]
    return [_put(folder, one, (file.number, file.number)) for one in made if one.level not in there]


# ---- what goes into a segment ---------------------------------------------------------------------------------------

Columns = Mapping[str, Floats | Codes]


@dataclass(frozen=True, slots=True, eq=False)
class _Content:
    """What a segment will hold.

    Args:
        level: how fine it is.
        points: ids in order.
        at_us: instants in order, shape (n,) [us].
        columns: gives the columns of a slice of the points, each of shape (n, points of the slice): all of them at once
            may not fit into memory.
    """

    level: Level
    points: tuple[str, ...]
    at_us: Instants
    columns: Callable[[slice], Columns]


def _laid_out(parts: Sequence[Scans]) -> _Content | None:
    """Lay the scans of a file side by side, in order of time; None without any."""
    if not parts:
        return None
    points = tuple(dict.fromkeys(point for part in parts for point in part.points))
    at_us = np.concatenate([part.at_us for part in parts])
    order = np.argsort(at_us, kind="stable")
    places = [{point: index for index, point in enumerate(part.points)} for part in parts]

    def columns(these: slice) -> Columns:
        blocks = [_block(part, place, points[these]) for part, place in zip(parts, places, strict=True)]
        value, quality = (np.concatenate(arrays)[order] for arrays in zip(*blocks, strict=True))
        return {"value": value, "quality": quality}

    return _Content(Level.RAW, points, at_us[order], columns)


def _block(part: Scans, place: Mapping[str, int], points: Sequence[str]) -> tuple[Floats, Codes]:
    """Give values and qualities of points, missing and bad where the scans do not hold one."""
    value = np.full((len(part.at_us), len(points)), np.nan)
    quality = np.full((len(part.at_us), len(points)), BAD, dtype=np.uint8)
    for index, point in enumerate(points):
        if (column := place.get(point)) is not None:
            value[:, index], quality[:, index] = part.value[:, column], part.quality[:, column]
    return value, quality


def _rolled(raw: _Content, level: Level) -> _Content:
    """Roll scans up: one row for each step in which there was a scan."""
    starts, first = np.unique(raw.at_us // (level.step_s * 1_000_000), return_index=True)
    number = np.diff(first, append=len(raw.at_us))[:, None]

    def columns(these: slice) -> Columns:
        column = raw.columns(these)
        good = (column["quality"] == GOOD) & np.isfinite(column["value"])
        value = np.where(good, column["value"], np.nan)
        count = np.add.reduceat(good, first, axis=0, dtype=np.int64).astype(float)
        return _rollup(value, first, (np.nan_to_num(value), value, value), (count, number - count))

    return _Content(level, raw.points, starts * level.step_s * 1_000_000, columns)


def _rollup(
    last: Floats, first: NDArray[np.intp], of: tuple[Floats, Floats, Floats], numbers: tuple[Floats, Floats]
) -> Columns:
    """Put rows together: sums, least and greatest ones `of` rows, and the last one that is there."""
    total, least, most = of
    total = np.add.reduceat(total, first, axis=0)
    mean = np.divide(total, numbers[0], out=np.full_like(total, np.nan), where=numbers[0] > 0)
    edges = (np.fmin.reduceat(least, first, axis=0), np.fmax.reduceat(most, first, axis=0))
    return dict(zip(ROLLED, (mean, *edges, _last(last, first), *numbers), strict=True))


def _last(value: Floats, first: NDArray[np.intp]) -> Floats:
    """Give the last finite value of each step, `nan` without any, shape (steps, points)."""
    index = np.where(np.isfinite(value), np.arange(len(value))[:, None], -1)
    place = np.maximum.reduceat(index, first, axis=0)
    return np.where(place >= first[:, None], np.take_along_axis(value, np.maximum(place, 0), axis=0), np.nan)


# ---- joining --------------------------------------------------------------------------------------------------------


def _joined(folder: Path) -> Iterator[Segment]:
    """Join the rollups of days, then of months, that are over and of which no scan file is left."""
    oldest_hot = min((file.number for file in scan_files(folder) if file.number > 0), default=0)
    for level in (Level.MINUTE, Level.QUARTER):
        for form in ("%Y%m%d", "%Y%m"):
            yield from _joined_by(folder, level, form, oldest_hot)


def _joined_by(folder: Path, level: Level, form: str, before: int) -> Iterator[Segment]:
    found = counting(segments(folder, level))
    newest = max((one.start.strftime(form) for one in found), default="")
    for period, run in groupby(_runs(found), key=lambda one: (one[0], one[1].start.strftime(form))):
        parts = [one for _, one in run]
        if len(parts) > 1 and period[1] != newest and parts[-1].last < before:
            yield _put(folder, _merged(level, parts), (parts[0].first, parts[-1].last))


def _runs(found: Sequence[Segment]) -> Iterator[tuple[int, Segment]]:
    """Pair each segment with the number of its run: a run has no gap, so that a joined one holds nothing else."""
    run, before = 0, 0
    for one in found:
        run += one.first != before + 1
        before = one.last
        yield run, one


def _merged(level: Level, parts: Sequence[Segment]) -> _Content:
    """Put rollups one after another, those of one step together."""
    paths = [part.path for part in parts]
    points = tuple(dict.fromkeys(point for path in paths for point in shape_of(path).points))
    at_us, _ = together(rows(paths, (), (), EVER))
    order = np.argsort(at_us, kind="stable")
    starts, first = np.unique(at_us[order], return_index=True)

    def columns(these: slice) -> Columns:
        _, found = together(rows(paths, points[these], ROLLED, EVER))
        mean, least, most, last, count, missing = (one[order] for one in found)
        number, none = (np.add.reduceat(np.nan_to_num(one), first, axis=0) for one in (count, missing))
        return _rollup(last, first, (np.nan_to_num(mean * count), least, most), (number, none))

    return _Content(level, points, starts, columns)


# ---- files ----------------------------------------------------------------------------------------------------------


def _put(folder: Path, content: _Content, numbers: tuple[int, int]) -> Segment:
    """Write a segment so that it is there whole or not at all, and stays there."""
    level, length_s = content.level, max(content.level.step_s, 1)
    start, end = (datetime.fromtimestamp(int(content.at_us[k] // 1_000_000), UTC) for k in (0, -1))
    path = segment_path(folder, level, numbers, (start, end := end + timedelta(seconds=length_s)))
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + PART)
    try:
        with part.open("wb") as file:
            _write(file, content)
            file.flush()
            os.fsync(file.fileno())
        part.rename(path)
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise
    sync(path.parent)
    return Segment(*numbers, start, end, level, path)


def _write(file: object, content: _Content) -> None:
    """Write row groups of a few points each, some of them at a time."""
    height, number = len(content.at_us), len(content.points)
    group = max(min(max(GROUP_POINTS, LEAST_ROWS // height), MOST_ROWS // height), -(-number // MOST_GROUPS))
    schema = _schema(content.level)
    piece = group * max(1, PIECE_ROWS // (group * height))
    # Instants repeat from point to point: split into bytes they compress to nearly nothing, exact or not.
    split = {"at": "BYTE_STREAM_SPLIT"}
    plain = [name for name in schema.names if name not in split]
    with pq.ParquetWriter(file, schema, use_dictionary=plain, column_encoding=split, **_WRITING) as out:
        for first in range(0, number, piece):
            these = slice(first, min(first + piece, number))
            columns = content.columns(these)
            for start in range(0, these.stop - these.start, group):
                some = {name: column[:, start : start + group] for name, column in columns.items()}
                points = content.points[these][start : start + group]
                out.write_table(_table(points, content.at_us, some, schema), row_group_size=group * height)
        out.add_key_value_metadata(Shape(content.points, height, group).metadata())


def _schema(level: Level) -> pa.Schema:
    names = ("value", "quality") if level is Level.RAW else ROLLED
    point = pa.field("point", pa.dictionary(pa.int32(), pa.string()), nullable=False)
    at = pa.field("at", pa.timestamp("us", "UTC"), nullable=False)
    whole = {"quality": pa.uint8(), "count": pa.int32(), "missing": pa.int32()}
    columns = [pa.field(name, whole.get(name, pa.float64()), nullable=name not in whole) for name in names]
    return pa.schema([point, at, *columns])


def _table(points: Sequence[str], at_us: Instants, columns: Columns, schema: pa.Schema) -> pa.Table:
    """Lay columns of a few points one point after another."""
    index = np.repeat(np.arange(len(points), dtype=np.int32), len(at_us))
    arrays = [pa.DictionaryArray.from_arrays(pa.array(index), pa.array(points))]
    arrays.append(pa.array(np.tile(at_us, len(points)), pa.timestamp("us", "UTC")))
    for name, column in columns.items():
        flat, kind = np.ascontiguousarray(column.T).ravel(), schema.field(name).type
        has_gaps = pa.types.is_floating(kind)
        arrays.append(pa.array(flat, kind, mask=np.isnan(flat)) if has_gaps else pa.array(flat).cast(kind))
    return pa.Table.from_arrays(arrays, schema=schema)


def main() -> int:
    """Seal the history of a folder, at a low priority: `python -m ems.store.sealing FOLDER`."""
    os.nice(10)
    done = seal(Path(sys.argv[1]), SystemClock().now)
    sys.stderr.write(done.trouble)
    return 1 if done.trouble else 0


if __name__ == "__main__":
    sys.exit(main())
