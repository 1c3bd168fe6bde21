"""`ems forecasts SITE`: how the daemon foresees each load now, how good that lately was, and what errors cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from ems.commands.output import note
from ems.commands.progress import ProgressLine
from ems.config.assets import LoadAsset
from ems.config.forecasts import UNMETERED
from ems.config.site import Site
from ems.exit_codes import CommandError
from ems.privacy import LEAST_MEMBERS, discretion
from ems.slow.forecast_record import CHANGE, RECORD, Judged, read_issue, skill_of
from ems.store.database import StoreError
from ems.store.journal import FILE, last_records, latest_record, records_since
from ems.study.kept_cost import LOOK_BACK, kept_costs

CHANGES = 200
"""So many changes of methods are looked through for the newest of each load."""


def standing(site: Site, state: Path, *, cost: bool) -> dict[str, Any]:
    """Tell of every load what the journal has; raises `CommandError`."""
    try:
        kept = _kept(state)
        changes = {record.body["point"]: record.body for record in last_records(state / FILE, CHANGE, CHANGES)}
        shown = {name: issues for name, issues in kept.items() if not _is_hidden(site, name)}
        if not shown:
            words = f"{state / FILE} has no forecast; a core that runs keeps one of each load every four hours"
            raise CommandError(words)
        costs = _costs(site, state, kept) if cost else None
    except (StoreError, KeyError, TypeError, ValueError) as error:
        raise CommandError(f"{state / FILE}: {error}") from error
    hidden = kept.keys() - shown.keys()
    if costs is not None:
        costs["ways"] = {way: row for way, row in costs["ways"].items() if way not in hidden}
    loads = {name: _row(issues[-1], changes.get(name, {})) for name, issues in shown.items()}
    return {"ok": True, "site": site.file.site.id, "currency": site.file.site.currency, "loads": loads, "costs": costs}


def _kept(state: Path) -> dict[str, list[Judged]]:
    """Read the newest issues, in order, by load."""
    newest = latest_record(state / FILE, RECORD)
    found: dict[str, list[Judged]] = {}
    for record in records_since(state / FILE, RECORD, newest.at - LOOK_BACK) if newest is not None else ():
        judged = replace(read_issue(record.body), at_s=record.at.timestamp())
        found.setdefault(judged.point, []).append(judged)
    return found


def _costs(site: Site, state: Path, kept: Mapping[str, list[Judged]]) -> dict[str, Any] | None:
    with ProgressLine("plans") as progress:
        found = kept_costs(site, state, kept, progress)
    if found is None:
        note(
            f"{site.file.site.id} has no battery, no recorded prices, or too few days of forecasts: no plans are tried"
        )
    return found


def _is_hidden(site: Site, name: str) -> bool:
    """Tell whether a load may not be told of: it is a personal one, or the sum of few of them."""
    told = discretion(site)
    members = (
        [n for n, spec in site.file.assets.items() if isinstance(spec, LoadAsset)] if name == UNMETERED else [name]
    )
    return len(members) < LEAST_MEMBERS and any(told.hides(member) for member in members)


def _row(judged: Judged, change: Mapping[str, Any]) -> dict[str, Any]:
    standing, method = judged.standing, judged.standing.choice.method
    return {
        "unit": judged.unit,
        "issued_at": _instant(judged.issue.issued_s if judged.at_s is None else judged.at_s),
        "chosen": method,
        "since": standing.since,
        "young": standing.young,
        "speaks": change.get("method", method),
        "why": change.get("why", ""),
        "skill": judged.skill,
        "coverage": judged.coverage.get(method),
        "promised": judged.levels[-1] - judged.levels[0],
        "methods": {n: {"loss": loss, "skill": skill_of(n, judged.loss)} for n, loss in judged.loss.items()},
        "silent": judged.silent,
    }


def _instant(at_s: float) -> datetime:
    return datetime.fromtimestamp(at_s, UTC)


def standing_lines(site: Site, told: Mapping[str, Any]) -> Iterator[str]:
    """Write what `standing` tells for people, one line after the other."""
    zone = ZoneInfo(site.file.site.timezone)
    for name, row in told["loads"].items():
        since = row["since"].astimezone(zone)
        young = ", as only hours of it are known" if row["young"] else ""
        yield f"{name}: {row['chosen']} since {since:%Y-%m-%d %H:%M}{young}; {_skilled(row)}"
        if row["why"]:
            yield f"  {row['speaks']} speaks in its place: {row['why']}"
        for method, figures in row["methods"].items():
            skill = "" if figures["skill"] is None else f", skill {figures['skill']:.1%}"
            yield f"  {method:<12} mean loss {figures['loss']:.4f} {row['unit']}{skill}"
        for method, why in row["silent"].items():
            yield f"  {method:<12} says nothing: {why}"
    if (costs := told["costs"]) is not None:
        start, end = (f"{costs[key].astimezone(zone):%Y-%m-%d %H:%M}" for key in ("from", "to"))
        yield f"plans from {start} to {end}"
        for way, figures in costs["ways"].items():
            yield f"  by {way:<12} {figures['cost']:>10.2f} {told['currency']}, errors {figures['error_cost']:>8.2f}"


def _skilled(row: Mapping[str, Any]) -> str:
    skill, coverage = row["skill"], row["coverage"]
    if skill is None:
        return "how good it is is not known yet"
    held = "" if coverage is None else f"; its band promises {row['promised']:.0%} and held {coverage:.0%}"
    return f"skill {skill:.1%} over persistence{held}"
