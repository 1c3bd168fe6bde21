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
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
) -> Iterator[tuple[Instants, list[Floats]]]:
    """Read columns of points from segments of one level, one after another.

    Args:
        paths: the segments.
        points: ids; one that a file does not hold gives `nan`.
        columns: names of columns.
        span_us: from an instant up to and without another [us since 1970].

    Yields:
        Instants, shape (n,) [us since 1970], and for each column its values, shape (n, points), `nan` where null.

    Raises:
        Gone: a file is not there any more.
        StoreError: a file is damaged.
    """
    for path in paths:
        with _opened(path) as file:
            part = _picked(file, points, columns, span_us)
        yield part


def together(parts: Iterable[tuple[Instants, list[Floats]]]) -> tuple[Instants, list[Floats]]:
    """Put what `rows` gives for at least one segment one after another."""
    instants, found = zip(*parts, strict=True)
    return np.concatenate(instants), [np.concatenate(arrays) for arrays in zip(*found, strict=True)]


def shape_of(path: Path) -> Shape:
    """Read how a segment is laid out. Raises as `rows` does."""
    with _opened(path) as file:
        return Shape.of(file.metadata.metadata)


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
    wanted = [(place[point], index) for index, point in enumerate(points) if point in place]
    groups = sorted({where // shape.group for where, _ in wanted}) or [0]
    inside, found = slice(0, 0), [np.empty((0, len(points))) for _ in columns]
    at_us = np.empty(0, dtype=np.int64)
    for group in groups:
        table = file.read_row_group(group, columns=["at", *columns], use_threads=False)
        if group == groups[0]:
            # Every point has the same instants.
            at_us = table.column("at").to_numpy()[: shape.rows].view(np.int64)
            inside = slice(*np.searchsorted(at_us, span_us))
            found = [np.full((inside.stop - inside.start, len(points)), np.nan) for _ in columns]
        for kept, name in zip(found, columns, strict=True):
            held = table.column(name).to_numpy().reshape(-1, shape.rows)
            for where, index in wanted:
                if where // shape.group == group:
                    kept[:, index] = held[where % shape.group][inside]
    return at_us[inside], found


def answer(question: str) -> bytes:
    """Answer one question of `sealed_elsewhere.rows`."""
    asked = json.loads(question)
    paths, span_us = [Path(path) for path in asked["paths"]], tuple(asked["span_us"])
    at_us, found = together(rows(paths, asked["points"], asked["columns"], span_us))
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
