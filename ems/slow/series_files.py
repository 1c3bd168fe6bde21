"""Reads the stored past that came with a site: `series/*.csv`, UTC, one header line.

The files may reach past the present instant (a demo's do): whoever foresees cuts them at now first. Nothing else reads
them.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from optimization.assets.ev_session import EvSession
from optimization.forecast.past import Past
from optimization.slots import Floats

TOTAL = "total_kw"
"""The column of all unmetered loads together."""
SEASON = ("price", "carbon", "outdoor_c", "irradiance_w_m2", "wind_m_s")
"""Columns of a year that a look at the season ahead repeats, in the units in which feeds publish them."""


class SeriesError(ValueError):
    """A series file cannot be read: the message names file, line and remedy."""


@dataclass(frozen=True, slots=True, eq=False)
class LoadFile:
    """The stored past of the loads: mean powers over equal steps.

    Args:
        path: the file, for messages.
        at_s: UTC start of each step [s since 1970], ascending, shape (n,).
        own_s: the file's own step [s]; None for a file of fewer than two lines.
        columns: mean power by name of the column [kW], `nan` for a gap, shape (n,) each.
    """

    path: Path
    at_s: Floats
    own_s: float | None
    columns: Mapping[str, Floats]

    def residual(self, loads: Sequence[str], step_s: float) -> Past:
        """Give all unmetered loads together [kW]: `total_kw`, or the sum of their own columns where there is none.

        Args:
            loads: ids of the unmetered loads.
            step_s: the step to give it on, a divisor of the file's own [s].

        Raises:
            SeriesError: a column is missing, or the steps cannot be cut so.
        """
        names = [TOTAL] if TOTAL in self.columns or not loads else [own_column(load) for load in loads]
        return self._past(np.sum([self._column(name) for name in names], axis=0), step_s)

    def metered(self, load: str, step_s: float) -> Past:
        """Give one load from its own column [kW]; raises `SeriesError` as `residual` does."""
        return self._past(self._column(own_column(load)), step_s)

    def _column(self, name: str) -> Floats:
        if name not in self.columns:
            known = ",".join(("start", *self.columns))
            raise SeriesError(f"{self.path}:1: the column {name} is missing from {known}; write it")
        return self.columns[name]

    def _past(self, value: Floats, step_s: float) -> Past:
        own_s = step_s if self.own_s is None else self.own_s
        pieces = round(own_s / step_s)
        if pieces < 1 or abs(pieces * step_s - own_s) > 1e-6:
            raise SeriesError(
                f"{self.path}: steps of {own_s:g} s cannot be cut into {step_s:g} s; write a multiple of it"
            )
        fine_s = (self.at_s[:, None] + step_s * np.arange(pieces)[None, :]).ravel()
        return Past(fine_s, np.repeat(value, pieces), step_s)


def own_column(load: str) -> str:
    """Name the column of a load that has its own."""
    return f"{load}_kw"


def read_load_file(path: Path) -> LoadFile:
    """Read `start` and one column or more in kW: means from each start to the next one.

    Args:
        path: the file; an empty field is a gap, not zero.

    Raises:
        SeriesError: a line cannot be read, the steps are not equal, or there is no column of powers.
    """
    names, rows = _rows(path, ("start",))
    powers = [name for name in names if name.endswith("_kw")]
    if not powers:
        raise SeriesError(f"{path}:1: there is no column of powers; write start,{TOTAL}, or a column <load>_kw a load")
    at_s, own_s = _equal_steps(path, [_instant(path, line, row["start"]).timestamp() for line, row in rows])
    columns = {
        name: np.array([_number(path, line, row[name] or "") for line, row in rows], dtype=float) for name in powers
    }
    return LoadFile(path, at_s, own_s, columns)


def _equal_steps(path: Path, starts_s: Sequence[float]) -> tuple[Floats, float | None]:
    """Give starts as an array, and their step [s]; None for fewer than two; raises `SeriesError`."""
    at_s = np.array(starts_s)
    own_s = float(np.min(np.diff(at_s))) if len(at_s) > 1 else None
    if own_s is not None and (own_s <= 0.0 or (np.diff(at_s) % own_s).any()):
        raise SeriesError(f"{path}: the starts are not whole multiples of {own_s:g} s apart; write equal steps")
    return at_s, own_s


def read_load(path: Path, step_s: float, loads: Sequence[str] = ()) -> Past:
    """Read all unmetered loads together [kW], as `LoadFile.residual` gives them; raises `SeriesError`."""
    return read_load_file(path).residual(loads, step_s)


def read_season(path: Path) -> dict[str, Past]:
    """Read `start` and one column or more of `SEASON`: means from each start to the next one, by column.

    Args:
        path: the file, a past or typical year; an empty field is a gap, not zero.

    Raises:
        SeriesError: a line cannot be read, the steps are not equal, or there is no such column.
    """
    names, rows = _rows(path, ("start",))
    points = [name for name in names if name in SEASON]
    if not points:
        raise SeriesError(f"{path}:1: there is nothing of a season; write start and one of {', '.join(SEASON)}")
    at_s, step_s = _equal_steps(path, [_instant(path, line, row["start"]).timestamp() for line, row in rows])
    columns = {point: [_number(path, line, row[point] or "") for line, row in rows] for point in points}
    return {point: Past(at_s, np.array(value, dtype=float), step_s or 3600.0) for point, value in columns.items()}


def read_sessions(path: Path) -> tuple[EvSession, ...]:
    """Read `arrival,departure,energy_kwh,charge_kw`: stays of cars, in order of arrival; raises `SeriesError`."""
    return tuple(session for _, session in read_places(path))


def read_places(path: Path) -> list[tuple[str, EvSession]]:
    """Read the same with the place of each stay: its `park`, else its `asset`, else nothing; raises `SeriesError`."""
    found = []
    for line, row in _rows(path, ("arrival", "departure", "energy_kwh"))[1]:
        arrival, departure = (_instant(path, line, row[key]) for key in ("arrival", "departure"))
        energy_kwh, charge_kw = (_number(path, line, row.get(key) or "") for key in ("energy_kwh", "charge_kw"))
        if departure <= arrival or not energy_kwh >= 0.0:
            raise SeriesError(f"{path}:{line}: a car leaves after it came and wants energy that is not negative")
        session = EvSession(arrival, departure, energy_kwh, None if np.isnan(charge_kw) else charge_kw)
        found.append((row.get("park") or row.get("asset") or "", session))
    return sorted(found, key=lambda each: each[1].arrival)


def _rows(path: Path, needed: tuple[str, ...]) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """Read the names of the columns, and the rows with the numbers of their lines."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            lines = csv.DictReader(file)
            missing = [name for name in needed if name not in (lines.fieldnames or ())]
            if missing:
                raise SeriesError(f"{path}:1: the columns {missing} are missing; write {','.join(needed)}")
            return list(lines.fieldnames or ()), [(lines.line_num, row) for row in lines]
    except OSError as error:
        raise SeriesError(
            f"{path} cannot be read ({error.strerror}); put the file there or take it out of site.yaml"
        ) from error


def _instant(path: Path, line: int, text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except (TypeError, ValueError) as error:
        raise SeriesError(f"{path}:{line}: {text!r} is no instant; write it like 2025-01-31T07:00:00Z") from error
    if at.tzinfo is None:
        raise SeriesError(f"{path}:{line}: {text!r} has no time zone; write UTC with a Z")
    return at.astimezone(UTC)


def _number(path: Path, line: int, text: str) -> float:
    try:
        return float(text) if text.strip() else float("nan")
    except ValueError as error:
        raise SeriesError(f"{path}:{line}: {text!r} is no number; write one, or nothing for a gap") from error
