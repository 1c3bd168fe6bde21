"""Tap changers as a pandapower file declares them, and as somebody says where it is silent; needs no pandapower."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optimization.network import GridError
from optimization.steps import Moving, TapChanger
from optimization.switching import declared_trafos

COLUMNS = {"least": "tap_min", "most": "tap_max", "neutral": "tap_neutral", "step_pct": "tap_step_percent"}
"""Which column of the grid file tells what."""
BY_HABIT = {"neutral": 0, "side": "hv"}


@dataclass(frozen=True, slots=True)
class Told:
    """What is said of a tap changer beside the grid file; None where that tells.

    Args:
        least: lowest position. most: highest position. neutral: position of the rated ratio, 0 where nobody tells.
        step_pct: what a step adds to the ratio [pct].
        side: `hv` or `lv`, the former where nobody tells.
    """

    least: int | None = None
    most: int | None = None
    neutral: int | None = None
    step_pct: float | None = None
    side: str | None = None


def tap_changer(grid_path: Path, trafo: str, told: Told, moving: Moving) -> TapChanger:
    """Put a tap changer together from the grid file and what is told besides.

    Raises:
        GridError: the transformer is not there, both tell different things, neither tells, or the steps are of a kind
            that turns the phase or changes the impedance by a table.
    """
    trafos = declared_trafos(grid_path)
    if trafo not in trafos:
        raise GridError(f"{grid_path}: there is no transformer {trafo!r}; its transformers are {', '.join(trafos)}")
    row = trafos[trafo]
    _refuse(grid_path, trafo, row)
    side = _one(grid_path, trafo, "side", told.side, row.get("tap_side"))
    values = {key: _one(grid_path, trafo, key, getattr(told, key), row.get(column)) for key, column in COLUMNS.items()}
    neutral, at = int(values["neutral"]), _known(row.get("tap_pos"))
    stands = neutral if at is None else int(at)
    if stands != neutral and "tap_changer_type" in row and row["tap_changer_type"] is None:
        raise GridError(
            f"{grid_path}: transformer {trafo!r} stands at tap_pos {stands} and has no tap_changer_type, so that "
            "pandapower takes it as neutral; write tap_changer_type Ratio"
        )
    return TapChanger(
        trafo, int(row[f"{side}_bus"]), int(values["least"]), int(values["most"]), neutral,
        float(values["step_pct"]), stands, moving,
    )  # fmt: skip


def _refuse(path: Path, trafo: str, row: Mapping[str, Any]) -> None:
    """Refuse what is no plain ratio in phase."""
    kind = row.get("tap_changer_type")
    if kind not in {None, "Ratio"}:
        raise GridError(f"{path}: transformer {trafo!r} has tap_changer_type {kind!r}; only Ratio is known")
    if _known(row.get("tap_step_degree")) or row.get("tap_phase_shifter"):
        raise GridError(f"{path}: transformer {trafo!r} turns the phase by its steps; only a ratio in phase is known")
    if row.get("tap_dependency_table") or row.get("tap_dependent_impedance"):
        raise GridError(f"{path}: transformer {trafo!r} has an impedance by position; only one for all is known")


def _one(path: Path, trafo: str, key: str, told: Any, written: Any) -> Any:
    """Choose what is told or written; raises `GridError` where both differ or both are missing."""
    column, known = COLUMNS.get(key, "tap_side"), _known(written)
    if told is not None and known is not None and told != known:
        raise GridError(
            f"{path}: transformer {trafo!r} has {column} {known!r} there, and {key} says {told!r}; "
            f"leave {key} out, or mend the grid file"
        )
    found = known if told is None else told
    if found is None and (found := BY_HABIT.get(key)) is None:
        raise GridError(f"{path}: transformer {trafo!r} has no {column}, and nobody says {key}; write it")
    return found


def _known(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value
