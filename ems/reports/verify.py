"""Checks a report: every output and input by its hash, then by making it again from the inputs."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from ems.config.errors import SiteError
from ems.config.site import Site
from ems.reports.bundle import STATE_INPUT, contents, strangers
from ems.reports.carbon import CarbonReport, ReportError, carbon_report
from ems.reports.factors import FactorError
from ems.reports.manifest import NAME, described, read_manifest, tool
from ems.reports.period import parse_period
from ems.store.archive import ArchiveError


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that is not as the report says.

    Args:
        file: its name. kind: `changed`, `missing`, `foreign`, `input` or `recomputed`.
        words: what exactly.
    """

    file: str
    kind: str
    words: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came out.

    Args:
        differences: all that were found. recomputed: whether the report was made again.
        notes: what could not be checked, and why.
        outputs: how many outputs were checked. inputs: how many inputs were.
    """

    differences: tuple[Difference, ...]
    recomputed: bool
    notes: tuple[str, ...]
    outputs: int
    inputs: int


def verify(folder: Path, site: Site | None, *, state: Path | None = None) -> Verdict:
    """Check a report's folder.

    Args:
        folder: where the report lies.
        site: the site that it is about; None if it cannot be reached: then hashes alone are checked.
        state: the state directory that it was made with, if any.

    Raises:
        ManifestError: there is no report.
    """
    manifest = read_manifest(folder)
    if manifest is None:
        changed_manifest = Difference(NAME, "changed", "does not carry its own digest any more")
        return Verdict(
            (changed_manifest,), False, ("nothing that it says can be believed: nothing else was checked",), 0, 0
        )
    differences = [*_outputs(folder, manifest)]
    inputs = [one for one in manifest["inputs"] if one["name"] != STATE_INPUT]
    if site is None:
        words = "the site is not reachable: inputs were not checked and nothing was made again; name it with --site"
        return Verdict(tuple(differences), False, (words,), len(manifest["outputs"]), 0)
    if manifest["parameters"]["state"] and state is None:
        changed = [*_inputs(site.folder, inputs)]
        words = "the report rests on a state directory; name it with --state to make the report again"
        return Verdict((*differences, *changed), False, (words,), len(manifest["outputs"]), len(inputs))
    changed = [*_inputs(site.folder, inputs)]
    try:
        fresh = _again(manifest, site, state)
    except (ReportError, FactorError, ArchiveError, SiteError) as error:
        words = f"it cannot be made again: {error}"
        return Verdict((*differences, *changed), False, (words,), len(manifest["outputs"]), len(inputs))
    changed += _unlisted(fresh, inputs)
    again, notes = _recomputed(folder, manifest, contents(fresh, factor=manifest["parameters"]["factor"]))
    return Verdict((*differences, *changed, *again), True, notes, len(manifest["outputs"]), len(inputs))


def _outputs(folder: Path, manifest: Mapping[str, Any]) -> Iterator[Difference]:
    for output in manifest["outputs"]:
        path = folder / output["name"]
        if not path.is_file():
            yield Difference(output["name"], "missing", "is not there")
        elif (found := described(output["name"], path.read_bytes())) != output:
            yield Difference(output["name"], "changed", _hashes(output, found))
    for name in strangers(folder):
        yield Difference(name, "foreign", "is no part of the report")


def _inputs(site_folder: Path, inputs: Sequence[Mapping[str, Any]]) -> Iterator[Difference]:
    for one in inputs:
        path = site_folder / one["name"]
        if not path.is_file():
            yield Difference(one["name"], "input", f"is not in {site_folder.name}/ any more")
        elif (found := described(one["name"], path.read_bytes())) != one:
            yield Difference(one["name"], "input", _hashes(one, found))


def _unlisted(report: CarbonReport, inputs: Sequence[Mapping[str, Any]]) -> Iterator[Difference]:
    known = {one["name"] for one in inputs}
    for file in report.inputs:
        if file.name not in known:
            yield Difference(file.name, "input", "was not there when the report was made")


def _hashes(said: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    return (
        f"SHA-256 is {found['sha256'][:12]} ({found['bytes']} bytes), not {said['sha256'][:12]} ({said['bytes']} bytes)"
    )


def _again(manifest: Mapping[str, Any], site: Site, state: Path | None) -> CarbonReport:
    period = parse_period(manifest["period"]["text"], ZoneInfo(site.file.site.timezone))
    return carbon_report(site, period, factor=manifest["parameters"]["factor"], state=state)


def _recomputed(
    folder: Path, manifest: Mapping[str, Any], fresh: Mapping[str, bytes]
) -> tuple[tuple[Difference, ...], tuple[str, ...]]:
    """Compare what lies in the folder with what was made again."""
    here = tool()
    notes = []
    names = [name for name in fresh if name != NAME]
    if manifest["tool"] != here:
        notes.append(f"made by {_versions(manifest['tool'])}; here is {_versions(here)}: only CSV files are compared")
        names = [name for name in names if name.endswith(".csv")]
    found = []
    for name in names:
        path = folder / name
        if path.is_file() and path.read_bytes() != fresh[name]:
            found.append(Difference(name, "recomputed", _where(name, path.read_bytes(), fresh[name])))
    if not notes and not found and (folder / NAME).read_bytes() != fresh[NAME]:
        found.append(Difference(NAME, "recomputed", _where(NAME, (folder / NAME).read_bytes(), fresh[NAME])))
    return tuple(found), tuple(notes)


def _versions(said: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{name} {version}" for name, version in [(said["name"], said["version"]), *said["libraries"].items()]
    )


def _where(name: str, here: bytes, fresh: bytes) -> str:
    """Say where two contents differ first."""
    if name.endswith(".csv"):
        return _cell(here.decode("utf-8", "replace"), fresh.decode())
    place = next((i for i, (a, b) in enumerate(zip(here, fresh, strict=False)) if a != b), min(len(here), len(fresh)))
    return f"differs from byte {place} on ({len(here)} bytes here, {len(fresh)} made again)"


def _cell(here: str, fresh: str) -> str:
    mine, theirs = ([*csv.reader(io.StringIO(text, newline=""))] for text in (here, fresh))
    for number, (row, other) in enumerate(zip(mine, theirs, strict=False), start=1):
        for column, (value, expected) in enumerate(zip(row, other, strict=False)):
            if value != expected:
                name = theirs[0][column] if number > 1 and column < len(theirs[0]) else f"column {column + 1}"
                return f"line {number}, {name}: {value!r} here, {expected!r} made again"
        if len(row) != len(other):
            return f"line {number}: {len(row)} fields here, {len(other)} made again"
    return (
        f"{len(mine)} lines here, {len(theirs)} made again"
        if len(mine) != len(theirs)
        else "line ends or quotes differ"
    )
