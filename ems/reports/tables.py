"""A table of a report, and its three written forms: CSV, Parquet and a sheet; the same figures in each.

Numbers are rounded once, here, half to even, and written with a fixed number of decimals: neither locale nor library
decides how a figure looks. What is missing is an empty field, a null or an empty cell.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import xlsxwriter

CREATED = datetime(2000, 1, 1)  # noqa: DTZ001 - the workbook's own field knows no zone, and is no instant of anything
"""What a workbook says of its making: the same for all, or no two would be equal."""
WIDEST = 48

Value = str | int | float | datetime | None


class Kind(StrEnum):
    """What a column holds."""

    TEXT = "text"
    WHOLE = "whole"
    NUMBER = "number"
    INSTANT = "instant"


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name with the unit in it, its kind, the decimals of a number."""

    name: str
    kind: Kind = Kind.TEXT
    decimals: int = 3


@dataclass(frozen=True, slots=True)
class Table:
    """A table of a report.

    Args:
        name: of its files. title: for people.
        columns: in order.
        rows: one value a column each.
    """

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Value, ...], ...]

    @classmethod
    def of(cls, name: str, title: str, columns: Sequence[Column], rows: Iterable[Sequence[Value]]) -> Table:
        """Make a table, its numbers rounded; raises `ValueError` for a row that does not fit."""
        return cls(name, title, tuple(columns), tuple(_fit(name, columns, row) for row in rows))

    def texts(self) -> list[list[str]]:
        """Give all rows as text."""
        return [[_text(column, v) for column, v in zip(self.columns, row, strict=True)] for row in self.rows]


def text_column(name: str) -> Column:
    """Make a column of text."""
    return Column(name)


def number_column(name: str, decimals: int = 3) -> Column:
    """Make a column of numbers."""
    return Column(name, Kind.NUMBER, decimals)


def to_csv(table: Table) -> bytes:
    """Write a table as CSV: UTF-8, commas, one header line, line feeds."""
    sink = io.StringIO(newline="")
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow([column.name for column in table.columns])
    writer.writerows(table.texts())
    return sink.getvalue().encode()


def to_parquet(table: Table) -> bytes:
    """Write a table as Parquet."""
    kinds = {
        Kind.TEXT: pa.string(),
        Kind.WHOLE: pa.int64(),
        Kind.NUMBER: pa.float64(),
        Kind.INSTANT: pa.timestamp("us", "UTC"),
    }
    cells = zip(*table.rows, strict=True) if table.rows else [()] * len(table.columns)
    arrays = [pa.array(list(values), kinds[column.kind]) for column, values in zip(table.columns, cells, strict=True)]
    sink = io.BytesIO()
    written = pa.table(arrays, names=[column.name for column in table.columns])
    pq.write_table(written.replace_schema_metadata({"title": table.title}), sink, compression="zstd")
    return sink.getvalue()


def to_workbook(tables: Sequence[Table], properties: Mapping[str, str]) -> bytes:
    """Write tables as the sheets of one workbook."""
    sink = io.BytesIO()
    book = xlsxwriter.Workbook(sink, {"in_memory": True, "default_date_format": "yyyy-mm-dd hh:mm"})
    book.set_properties({**properties, "created": CREATED})
    head = book.add_format({"bold": True, "bottom": 1, "text_wrap": True, "valign": "top"})
    formats: dict[int, Any] = {}
    for table in tables:
        sheet = book.add_worksheet(table.name[:31])
        sheet.freeze_panes(1, 0)
        for place, column in enumerate(table.columns):
            form = None
            if column.kind is Kind.NUMBER:
                form = formats.setdefault(
                    column.decimals, book.add_format({"num_format": f"0.{'0' * column.decimals}"})
                )
            sheet.write_string(0, place, column.name, head)
            sheet.set_column(place, place, _width(table, place), form)
        for number, row in enumerate(table.rows, start=1):
            for place, value in enumerate(row):
                _write(sheet, (number, place), table.columns[place], value)
    book.close()
    return sink.getvalue()


def _write(sheet: Any, at: tuple[int, int], column: Column, value: Value) -> None:
    if value is None:
        return
    if column.kind in {Kind.NUMBER, Kind.WHOLE}:
        sheet.write_number(*at, value)
    else:
        sheet.write_string(*at, _text(column, value))


def _width(table: Table, place: int) -> int:
    """Make a column as wide as its heading and its first rows need."""
    shown = [_text(table.columns[place], row[place]) for row in table.rows[:50]]
    return min(WIDEST, max(len(text) for text in (table.columns[place].name, *shown)) + 2)


def _fit(name: str, columns: Sequence[Column], row: Sequence[Value]) -> tuple[Value, ...]:
    if len(row) != len(columns):
        raise ValueError(f"{name}: {len(row)} values for {len(columns)} columns: give one each")
    return tuple(_rounded(column, value) for column, value in zip(columns, row, strict=True))


def _rounded(column: Column, value: Value) -> Value:
    if column.kind is not Kind.NUMBER or value is None:
        return value
    if not isinstance(value, int | float) or not np.isfinite(value):
        return None
    return round(float(value), column.decimals) + 0.0


def _text(column: Column, value: Value) -> str:
    match value:
        case None:
            return ""
        case datetime():
            return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        case float() if column.kind is Kind.NUMBER:
            return f"{value:.{column.decimals}f}"
        case _:
            return str(value)
