"""What must hold of a district: its zones, what only tells, the two lengths of a plan's steps, its recorded series."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from ems.config.binding import COMMANDED_ROLE
from ems.config.documents import Keys
from ems.config.parts import Complaint, Parts, number, text
from ems.config.wording import did_you_mean, shown

HOUR_S = 3600.0
TOTAL = "total_kw"


def check_district(parts: Parts, folder: Path) -> Iterator[Complaint]:
    """Check zones, heat meters, building automation, coarse steps and the columns of the load series."""
    yield from _zones(parts)
    yield from _heat_meters(parts)
    yield from _published_limits(parts)
    yield from _coarse_steps(parts)
    yield from _columns(parts, folder)
    yield from _history(parts, folder)


def _zones(parts: Parts) -> Iterator[Complaint]:
    known = parts.raw.get("zones", {})
    if not isinstance(known, dict):
        return
    for name, asset in parts.named("assets"):
        zone = text(asset, "zone")
        if zone is None or zone in known:
            continue
        names = f"known are {', '.join(known)}" if known else f"add a block `zones:` with `{zone}:` in it"
        yield ("assets", name, "zone"), f"there is no zone {shown(zone)}{did_you_mean(zone, known)}; {names}"


def _heat_meters(parts: Parts) -> Iterator[Complaint]:
    kinds = _kinds(parts)
    pumps = [name for name, kind in kinds.items() if kind == "heat_pump"]
    for name, asset in parts.named("assets"):
        target = text(asset, "of") if kinds[name] == "heat_meter" else None
        if target is not None:
            yield from _target(("assets", name, "of"), target, pumps, kinds, parts)


def _published_limits(parts: Parts) -> Iterator[Complaint]:
    kinds = _kinds(parts)
    steered = [name for name, kind in kinds.items() if kind in COMMANDED_ROLE]
    for name, asset in parts.named("assets"):
        if kinds[name] != "building_automation":
            continue
        path: Keys = ("assets", name)
        limits = block(asset, "limits")
        for role, target in limits.items():
            if isinstance(target, str):
                yield from _target((*path, "limits", role), target, steered, kinds, parts)
        if not parts.is_broken((*path, "fallback_kw")) and not parts.is_broken((*path, "limits")):
            yield from _fallbacks(path, limits, block(asset, "fallback_kw"))


def _fallbacks(path: Keys, limits: Mapping[str, Any], fallback: Mapping[str, Any]) -> Iterator[Complaint]:
    for role in [role for role in limits if role not in fallback]:
        words = f"declares none for {role}; add `{role}:` with the power in kW that holds while it cannot be read"
        yield (*path, "fallback_kw"), words
    for role in [role for role in fallback if role not in limits]:
        words = f"limits name no {role}{did_you_mean(role, limits)}; name the asset that it limits there, or remove it"
        yield (*path, "fallback_kw", role), words


def _target(path: Keys, target: str, wanted: list[str], kinds: Mapping[str, str], parts: Parts) -> Iterator[Complaint]:
    """Check that an asset points to one of a wanted kind; about one whose own kind is wrong that is said there."""
    choices = f"write one of {', '.join(wanted)}" if wanted else "there is none of the kind that is wanted here"
    if target in kinds and target not in wanted:
        yield path, f"{target} is a {kinds[target]}; {choices}"
    elif target not in _keys(parts, "assets"):
        yield path, f"there is no asset {shown(target)}{did_you_mean(target, wanted)}; {choices}"


def _coarse_steps(parts: Parts) -> Iterator[Complaint]:
    planning = parts.sections.get(("planning",))
    after_h, horizon_h = number(planning, "coarse_after_h"), number(planning, "horizon_h")
    step_s, coarse_s = number(planning, "step_s"), number(planning, "coarse_step_s")
    if after_h is None or step_s is None or HOUR_S % step_s:
        return
    if horizon_h is not None and after_h >= horizon_h:
        words = f"{after_h:g} h is not below `horizon_h`, which is {horizon_h:g}; write a smaller coarse_after_h"
        yield ("planning", "coarse_after_h"), words
    if after_h * HOUR_S % step_s:
        words = f"{after_h:g} h does not hold a whole number of steps of {step_s:g} s; write whole hours"
        yield ("planning", "coarse_after_h"), words
    if coarse_s is not None and (coarse_s % step_s or (HOUR_S % coarse_s and coarse_s % HOUR_S)):
        words = f"{coarse_s:g} s is no multiple of step_s, {step_s:g} s, that divides an hour or is whole hours"
        yield ("planning", "coarse_step_s"), f"{words}; write 3600"


def _columns(parts: Parts, folder: Path) -> Iterator[Complaint]:
    """Look for the column of every load in the file of the load series."""
    name = text(parts.sections.get(("series",)), "load")
    header = _header(folder / "series" / name) if name else None
    if header is None:
        return
    kinds = _kinds(parts)
    needed = [asset for asset, kind in kinds.items() if kind == "metered_load"]
    if TOTAL not in header:
        needed += [asset for asset, kind in kinds.items() if kind == "load"]
    if missing := [f"{asset}_kw" for asset in needed if f"{asset}_kw" not in header]:
        words = f"{name} has no column {', '.join(missing)}; add it with the mean power in kW, or rename it in the file"
        yield ("series", "load"), words


def _header(path: Path) -> list[str] | None:
    """Read the names of a series' columns; None where there is no file to read, which is said elsewhere."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return next(csv.reader(file), [])
    except (OSError, ValueError, csv.Error):
        return None


def _history(parts: Parts, folder: Path) -> Iterator[Complaint]:
    name = text(parts.sections.get(("series",)), "history")
    if name is not None and not _is_folder(folder, name):
        words = f"there is no folder {shown(name)} in {folder.name}/; write the name of a folder that is there"
        yield ("series", "history"), words


def _is_folder(folder: Path, name: str) -> bool:
    try:
        return (folder / name).is_dir()
    except (OSError, ValueError):
        return False


def _kinds(parts: Parts) -> dict[str, str]:
    return {name: str(text(asset, "kind")) for name, asset in parts.named("assets")}


def _keys(parts: Parts, group: str) -> list[str]:
    found = parts.raw.get(group)
    return list(found) if isinstance(found, dict) else []


def block(part: BaseModel, key: str) -> dict[str, Any]:
    """Read a block of keys of a part; an empty one where it is absent or broken."""
    value = getattr(part, key, None)
    return value if isinstance(value, dict) else {}
