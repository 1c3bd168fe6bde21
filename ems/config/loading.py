"""Reads a site folder: everything that is wrong with it in one run, or a `Site`.

The order: YAML, the schema (pydantic), what must hold between keys and files, what the devices' profiles offer, the
tariff. Each step goes on with what the steps before could understand.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Set
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from ems.config.asset_checks import check_assets, check_groups
from ems.config.checks import check_parts, is_file
from ems.config.connection_checks import check_connections, check_own_tariff
from ems.config.district_checks import check_district
from ems.config.documents import Document, Key, Keys, read_document, thing_of
from ems.config.errors import SiteError, SiteProblem
from ems.config.flexibility_models import check_flexibility
from ems.config.forecast_checks import check_forecasts
from ems.config.heat_checks import check_heat
from ems.config.inverter_models import check_inverters
from ems.config.operator_checks import check_grid_operator, check_island
from ems.config.parts import Complaint, Parts, salvage, schema_at, text
from ems.config.profile_checks import check_profiles
from ems.config.response_checks import check_responses
from ems.config.season_checks import check_season
from ems.config.secrets import check_secrets
from ems.config.site import Site, SiteFile
from ems.config.sun_checks import check_sun
from ems.config.tariff_checks import check_tariff
from ems.config.wording import meant_key, place, say
from optimization.tariff import Tariff
from optimization.tariff_file import TariffError, load_tariff

SITE_FILE = "site.yaml"


def load_site(folder_or_file: Path) -> Site:
    """Read and check a site.

    Args:
        folder_or_file: the site's folder, or its site file.

    Raises:
        SiteError: with everything that is wrong with the site file, its tariff and its grid.
    """
    folder, name = _split(folder_or_file)
    document = read_document(folder / name)
    problems = list(document.problems)
    if document.root is None:
        raise SiteError(problems)
    file, parts, complaints = _validate(document)
    complaints += check_parts(parts, folder)
    complaints += check_district(parts, folder)
    complaints += check_profiles(parts)
    complaints += check_grid_operator(parts)
    complaints += check_island(parts)
    complaints += check_groups(parts)
    complaints += check_connections(parts)
    complaints += check_heat(parts)
    complaints += check_season(parts)
    complaints += check_inverters(parts)
    complaints += check_flexibility(parts)
    complaints += check_responses(parts)
    complaints += check_forecasts(parts)
    complaints += check_sun(parts)
    complaints += check_secrets(parts)
    complaints += check_assets(parts, {path[1] for path, _ in complaints if path[:1] == ("assets",) and path[1:]})
    problems += _problems(document, complaints)
    tariff_content, tariff = _read_tariff(folder, parts.raw.get("tariff"), parts.raw, problems)
    problems += _problems(document, check_tariff(parts, tariff))
    own = {
        at: _read_tariff(folder, text(part, "tariff"), parts.raw, problems) for at, part in parts.named("connections")
    }
    tariffs = {at: tariff if read is None else read for at, (_, read) in own.items()}
    for at, read in tariffs.items():
        problems += _problems(document, check_own_tariff(parts, at, read))
    if problems or file is None:
        raise SiteError(_in_order(problems, document.name))
    contents = {at: content for at, (content, _) in own.items() if content is not None}
    config_hash = _hash(file, tariff_content, folder / file.grid.file, contents)
    return Site(file=file, folder=folder, tariff=tariff, config_hash=config_hash, tariffs=tariffs)


def _split(folder_or_file: Path) -> tuple[Path, str]:
    if folder_or_file.is_dir():
        return folder_or_file, SITE_FILE
    return folder_or_file.parent, folder_or_file.name


def _validate(document: Document) -> tuple[SiteFile | None, Parts, list[Complaint]]:
    raw: Mapping[str, Any] = document.root.value if document.root else {}
    try:
        return SiteFile.model_validate(raw), salvage(raw, frozenset()), []
    except ValidationError as error:
        found = error.errors(include_url=False)
    broken_zones = {place(one)[1] for one in found if place(one)[:1] == ("zones",) and len(place(one)) > 1}
    errors = [one for one in found if not _said_of_the_zone(place(one), raw, broken_zones)]
    # A key that is missing because it was misspelled is said once, where it was misspelled.
    replaced = {
        (*place(one)[:-1], meant_key(str(place(one)[-1]), schema_at(place(one)[:-1], raw)))
        for one in errors
        if one["type"] == "extra_forbidden"
    }
    complaints = [
        (place(one), say(one, schema_at(place(one)[:-1], raw)))
        for one in errors
        if not (one["type"] == "missing" and place(one) in replaced)
    ]
    return None, salvage(raw, frozenset(place(one) for one in errors)), complaints


def _said_of_the_zone(path: Keys, raw: Mapping[str, Any], broken_zones: Set[Key]) -> bool:
    """Tell whether an error of an asset's comfort band is said of the zone that the asset would have it from."""
    if path[:1] != ("assets",) or path[2:3] != ("comfort",):
        return False
    asset, zones = raw["assets"][path[1]], raw.get("zones", {})
    zone = asset.get("zone")
    if "comfort" in asset or not isinstance(zone, str):
        return False
    return not isinstance(zones, dict) or zone not in zones or zone in broken_zones


def _problems(document: Document, complaints: Iterable[Complaint]) -> list[SiteProblem]:
    return [
        SiteProblem(document.name, *document.position(path), thing_of(path), message)
        for path, message in complaints
        if not any(path[: len(unread)] == unread for unread in document.unread)
    ]


def _in_order(problems: Iterable[SiteProblem], first: str) -> list[SiteProblem]:
    """Sort by file (the site file first), line and column, and say nothing twice."""
    return sorted(set(problems), key=lambda problem: (problem.file != first, problem))


def _read_tariff(
    folder: Path, name: object, raw: Mapping[str, Any], problems: list[SiteProblem]
) -> tuple[Any, Tariff | None]:
    """Read a tariff as plain values and as what it means; what is wrong is added to the problems."""
    if not isinstance(name, str) or not is_file(folder / name):
        return None, None
    document = read_document(folder / name, name)
    problems += document.problems
    if document.root is None:
        return None, None
    try:
        return document.root.value, load_tariff(document.root.value, _zone(raw))
    except TariffError as error:
        problems += _problems(document, ((tuple(key.split(".")), words) for key, words in error.problems))
        return None, None


def _zone(raw: Mapping[str, Any]) -> tzinfo:
    """Give the time zone of a site file; UTC where it names none, which is said elsewhere."""
    try:
        return ZoneInfo(raw["site"]["timezone"])
    except (TypeError, KeyError, ValueError, OSError):
        return UTC


def _hash(file: SiteFile, tariff: Any, grid: Path, tariffs: Mapping[str, Any]) -> str:
    """Hash what the site means: comments and the order of keys do not count, the grid file counts byte by byte.

    `tariffs` are the other files of its connections.
    """
    said = file.model_dump(mode="json")
    for section in ("grid_operator", "island"):
        if said[section] is None:
            # A site without a section keeps the hash that its records were made under before there was one.
            del said[section]
    said["audit"] = {key: value for key, value in said["audit"].items() if value is not None or key == "deliver_to"}
    content = {
        "file": said,
        "tariff": tariff,
        "grid": hashlib.sha256(grid.read_bytes()).hexdigest(),
        **({"tariffs": tariffs} if tariffs else {}),
    }
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()
