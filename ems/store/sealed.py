"""Segments as Parquet files: how rows lie in them, and how those of a few points are read.

A segment is a matrix of points by instants, point after point, so that a row group holds a few whole points. Every
point has a row at each instant of the file; what was missing is null. The metadata tell the points in their order.

Run as a program it answers one question on stdin and gives arrays on stdout: the core asks it so, for it may not load
pyarrow itself (`ems/store/sealed_elsewhere.py`).
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ems.store.database import StoreError
from ems.store.sealed_elsewhere import GONE_STATUS
from ems.store.segments import Gone

Instants = NDArray[np.int64]
Floats = NDArray[np.float64]

POINTS, SHAPE = "ems.points", "ems.shape"
BROKEN_STATUS = 11


@dataclass(frozen=True, slots=True)
class Shape:
    """How a segment is laid out: its points in order, rows of each, and points in a row group."""

    points: tuple[str, ...]
    rows: int
    group: int

    def metadata(self) -> dict[str, str]:
        """Give it as the metadata of a file."""
        return {POINTS: json.dumps(self.points), SHAPE: json.dumps({"rows": self.rows, "group": self.group})}

    @classmethod
    def of(cls, metadata: Mapping[bytes, bytes]) -> Shape:
        """Read it; raises `KeyError` and `ValueError` for what is no segment."""
        told = json.loads(metadata[SHAPE.encode()])
        return cls(tuple(json.loads(metadata[POINTS.encode()])), int(told["rows"]), int(told["group"]))


def rows(
    paths: Sequence[Path], points: Sequence[str], columns: Sequence[str], span_us: tuple[int, int]
) -> tuple[Instants, list[Floats]]:
    """Read columns of points from segments of one level.

    Args:
        paths: the segments.
        points: ids; one that a file does not hold gives `nan`.
        columns: names of columns.
        span_us: from an instant up to and without another [us since 1970].

    Returns:
        Instants in the order of the files, shape (n,) [us since 1970], and for each column its values, shape
        (n, points), `nan` where null.

    Raises:
        Gone: a file is not there any more.
        StoreError: a file is damaged.
    """
    parts = [_rows(path, points, columns, span_us) for path in paths]
    at_us = np.concatenate([part[0] for part in parts]) if parts else np.empty(0, dtype=np.int64)
    none = np.empty((0, len(points)))
    return at_us, [np.concatenate([none, *(part[1][k] for part in parts)]) for k in range(len(columns))]


def shape_of(path: Path) -> Shape:
    """Read how a segment is laid out. Raises as `rows` does."""
    with _opened(path) as file:
        return Shape.of(file.metadata.metadata)


def _rows(
    path: Path, points: Sequence[str], columns: Sequence[str], span_us: tuple[int, int]
) -> tuple[Instants, list[Floats]]:
    with _opened(path) as file:
        return _picked(file, points, columns, span_us)


@contextmanager
def _opened(path: Path) -> Iterator[pq.ParquetFile]:
    try:
        with pq.ParquetFile(path) as file:
            yield file
    except FileNotFoundError as error:
        raise Gone(f"{path} is gone: read again") from error
    except (OSError, KeyError, ValueError, pa.ArrowException) as error:
        raise StoreError(f"{path} is damaged: {error}; restore it from a backup") from error


def _picked(
    file: pq.ParquetFile, points: Sequence[str], columns: Sequence[str], span_us: tuple[int, int]
) -> tuple[Instants, list[Floats]]:
    shape = Shape.of(file.metadata.metadata)
    place = {point: index for index, point in enumerate(shape.points)}
    at_us = file.read_row_group(0, columns=["at"]).column(0).to_numpy()[: shape.rows].astype(np.int64)
    inside = (at_us >= span_us[0]) & (at_us < span_us[1])
    found = [np.full((int(inside.sum()), len(points)), np.nan) for _ in columns]
    wanted = [(place[point], index) for index, point in enumerate(points) if point in place]
    for group in sorted({where // shape.group for where, _ in wanted}):
        table = file.read_row_group(group, columns=list(columns))
        for kept, name in zip(found, columns, strict=True):
            held = table.column(name).to_numpy().reshape(-1, shape.rows)
            for where, index in wanted:
                if where // shape.group == group:
                    kept[:, index] = held[where % shape.group][inside]
    return at_us[inside], found


def answer(question: str) -> bytes:
    """Answer one question of `sealed_elsewhere.rows`."""
    asked = json.loads(question)
    at_us, found = rows([Path(p) for p in asked["paths"]], asked["points"], asked["columns"], tuple(asked["span_us"]))
    sink = io.BytesIO()
    np.savez(sink, at_us, *found)
    return sink.getvalue()


def main() -> int:
    """Answer the question on stdin."""
    try:
        sys.stdout.buffer.write(answer(sys.stdin.read()))
    except Gone as error:
        sys.stderr.write(str(error))
        return GONE_STATUS
    except StoreError as error:
        sys.stderr.write(str(error))
        return BROKEN_STATUS
    return 0


if __name__ == "__main__":
    sys.exit(main())
