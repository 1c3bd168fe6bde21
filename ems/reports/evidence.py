"""Reads what an auditor needs beside the measurements: `evidence/factors.yaml` and `evidence/meters.yaml` of a site.

Both are lists that only ever grow: what was used once stays as it was, what replaces it is written below with its date.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import ValidationError, model_validator

from ems.config.documents import Document, Keys, read_document
from ems.config.errors import SiteError, SiteProblem
from ems.config.strict import Id, NotNegative, Strict

FOLDER = "evidence"
Content = TypeVar("Content", bound=Strict)


class Dated(Strict):
    """An entry: `recorded` is the day on which it was written, `valid_from` to `valid_to` the local days it is for."""

    recorded: date
    valid_from: date
    valid_to: date | None = None

    def holds(self, day: date) -> bool:
        """Tell whether it is for a local day."""
        return self.valid_from <= day and (self.valid_to is None or day <= self.valid_to)


class Factor(Dated):
    """A carbon factor [kg/kWh]: of electricity from the grid, or of the fuel that some assets burn.

    That of electricity is one value, or a feed that publishes one for each hour; that of a fuel is a value for each kWh
    of the heating value in which the assets' fuel is told.
    """

    id: Id
    kind: Literal["location_based", "fuel"]
    unit: Literal["kg/kWh"]
    value: NotNegative | None = None
    feed: Literal["carbon"] | None = None
    assets: tuple[Id, ...] = ()
    source: str
    version: str

    @model_validator(mode="after")
    def _one_of_two(self) -> Factor:
        if (self.value is None) == (self.feed is None):
            raise ValueError("a factor has either `value` or `feed`; write one of them")
        if (self.kind == "fuel") != bool(self.assets):
            raise ValueError(
                "`assets` names what burns a fuel: it belongs to a factor of the kind `fuel`, and to no other"
            )
        if self.kind == "fuel" and self.feed is not None:
            raise ValueError("nobody publishes the factor of a fuel by the hour; write its `value`")
        return self


class MeterEntry(Dated):
    """A meter's register: which point it is, what it measures, who checked it last."""

    point: str
    serial: str
    measures: str
    direction: Literal["import", "export", "generation", "consumption", "charge_and_discharge", "heat"]
    zone: Id | None = None
    calibrated: date | None = None


class FactorFile(Strict):
    """`factors.yaml`."""

    schema_version: Literal[1]
    factors: tuple[Factor, ...]


class MeterFile(Strict):
    """`meters.yaml`."""

    schema_version: Literal[1]
    meters: tuple[MeterEntry, ...]


def read_factors(site_folder: Path) -> tuple[Factor, ...]:
    """Read the carbon factors; raises `SiteError` with everything that is wrong, a missing file included."""
    return _read(site_folder, "factors.yaml", FactorFile).factors


def read_meters(site_folder: Path) -> tuple[MeterEntry, ...]:
    """Read the register of meters, empty for a site without one; raises `SiteError` with everything that is wrong."""
    if not (site_folder / FOLDER / "meters.yaml").exists():
        return ()
    return _read(site_folder, "meters.yaml", MeterFile).meters


def factor_for(factors: Sequence[Factor], day: date, wanted: str | None) -> Factor | None:
    """Find the grid's factor of a local day: the last one written that holds then (of that id, if one is wanted)."""
    grid = (f for f in reversed(factors) if f.kind == "location_based")
    return next((f for f in grid if f.holds(day) and wanted in {None, f.id}), None)


def fuel_factor_for(factors: Sequence[Factor], day: date, asset: str) -> Factor | None:
    """Find the factor of what an asset burns on a local day: the last one written that names it and holds then."""
    return next((f for f in reversed(factors) if asset in f.assets and f.holds(day)), None)


def entry_for(meters: Sequence[MeterEntry], point: str, day: date) -> MeterEntry | None:
    """Find the meter behind a point on a local day: the last entry that holds then."""
    return next((m for m in reversed(meters) if m.point == point and m.holds(day)), None)


def _read(site_folder: Path, name: str, content: type[Content]) -> Content:
    document = read_document(site_folder / FOLDER / name, f"{FOLDER}/{name}")
    if document.root is None:
        raise SiteError(document.problems)
    try:
        found = content.model_validate(document.root.value)
    except ValidationError as error:
        raise SiteError([*document.problems, *_problems(document, error)]) from error
    if document.problems:
        raise SiteError(document.problems)
    return found


def _problems(document: Document, error: ValidationError) -> list[SiteProblem]:
    found = []
    for one in error.errors(include_url=False):
        path: Keys = tuple(one["loc"])
        found.append(SiteProblem(document.name, *document.position(path), ".".join(map(str, path)), _words(one)))
    return sorted(found)


def _words(one: Mapping[str, Any]) -> str:
    match one["type"]:
        case "missing":
            return "is missing; write it"
        case "extra_forbidden":
            return "is no key here; take it out"
        case "value_error":
            return str(one["msg"]).removeprefix("Value error, ")
        case _:
            return f"{one['input']!r} cannot be used: {str(one['msg']).lower()}"
