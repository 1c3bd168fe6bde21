"""Reads the stored past that came with a site: `series/*.csv`, UTC, one header line.

The files may reach past the present instant (a demo's do): whoever foresees cuts them at now first. Nothing else reads
them.
"""

from __future__ import annotations

import csv
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from optimization.assets.ev import EvSession
from optimization.forecast.past import Past, empty


class SeriesError(ValueError):
    """A series file cannot be read: the message names file, line and remedy."""


def read_load(path: Path, step_s: float) -> Past:
    """Read `start,total_kw`: the residual load of the whole site, mean from each start to the next one [kW].

    Args:
        path: the file; an empty field is a gap, not zero.
        step_s: the step to give it on, a divisor of the file's own [s].

    Returns:
        The series, cut into steps of `step_s`.

    Raises:
        SeriesError: a line cannot be read or the steps are not equal.
    """
    rows = _rows(path, ("start", "total_kw"))
    if not rows:
        return empty(step_s)
    at_s = np.array([_instant(path, line, row["start"]).timestamp() for line, row in rows])
    value = np.array([_number(path, line, row["total_kw"]) for line, row in rows])
    own_s = float(np.min(np.diff(at_s))) if len(at_s) > 1 else step_s
    if len(at_s) > 1 and (np.diff(at_s) % own_s).any():
        raise SeriesError(f"{path}: the starts are not whole multiples of {own_s:g} s apart; write equal steps")
    pieces = round(own_s / step_s)
    if pieces < 1 or abs(pieces * step_s - own_s) > 1e-6:
        raise SeriesError(f"{path}: steps of {own_s:g} s cannot be cut into {step_s:g} s; write a multiple of it")
    fine_s = (at_s[:, None] + step_s * np.arange(pieces)[None, :]).ravel()
    return Past(fine_s, np.repeat(value, pieces), step_s)


def read_sessions(path: Path) -> tuple[EvSession, ...]:
    """Read `arrival,departure,energy_kwh,charge_kw`: stays of cars, in order of arrival; raises `SeriesError`."""
    sessions = []
    for line, row in _rows(path, ("arrival", "departure", "energy_kwh")):
        arrival, departure = (_instant(path, line, row[key]) for key in ("arrival", "departure"))
        energy_kwh, charge_kw = (_number(path, line, row.get(key) or "") for key in ("energy_kwh", "charge_kw"))
        if departure <= arrival or not energy_kwh >= 0.0:
            raise SeriesError(f"{path}:{line}: a car leaves after it came and wants energy that is not negative")
        sessions.append(EvSession(arrival, departure, energy_kwh, None if np.isnan(charge_kw) else charge_kw))
    return tuple(sorted(sessions, key=lambda s: s.arrival))


def _rows(path: Path, needed: tuple[str, ...]) -> list[tuple[int, dict[str, str]]]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            lines = csv.DictReader(file)
            missing = [name for name in needed if name not in (lines.fieldnames or ())]
            if missing:
                raise SeriesError(f"{path}:1: the columns {missing} are missing; write {','.join(needed)}")
            return [(lines.line_num, row) for row in lines]
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
