"""`ems plan solve`: plan a site once from its files; tell what binds, and what one more kW is worth to whom."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd

from ems.clock import SystemClock
from ems.commands.options import instant
from ems.commands.output import emit
from ems.commands.plan_explained import explained
from ems.commands.plan_kept import Kept
from ems.commands.plan_shown import table_lines
from ems.config.loading import SITE_FILE
from ems.config.site import Site
from ems.exit_codes import CommandError, Exit
from ems.privacy import discretion
from ems.store.archive import ArchiveError
from ems.store.encoding import to_json
from ems.study.offline import Occasion, Solved, solve_offline
from ems.study.recorded import newest
from optimization.more_room import MoreRoom

TOLD_KWH = 0.05
"""Less that moves or is served is not told [kWh, or the unit of a wish]."""
DECIMALS = 4


def solve(arguments: argparse.Namespace, site: Site, state: Path) -> None:
    """Plan once and print it."""
    occasion = Occasion(
        _instant(arguments.at, site, state), _measured(arguments.measured), _series(arguments.series, site)
    )
    try:
        solved = solve_offline(site, state if state.is_dir() else None, occasion)
    except (ArchiveError, ValueError) as error:
        raise CommandError(str(error)) from error
    kept = Kept.of(_as_stored(solved.record), site)
    body = {
        "ok": True,
        "starts": kept.plan.slots.starts,
        "plan": kept.body,
        "binds": list(_binding(site, kept)),
        "one_kw_more": _one_kw_more(site, solved),
    }
    emit("plan.solve", body, _lines(site, kept, body), as_json=arguments.json)


def _as_stored(record: Mapping[str, Any]) -> dict[str, Any]:
    """Give a record as it comes back from a journal."""
    stored: dict[str, Any] = json.loads(to_json(dict(record)))
    return stored


def _instant(text: str | None, site: Site, state: Path) -> datetime:
    """Read `--at`; without it the present where a daemon keeps a state here, else the end of the site's own history."""
    now = SystemClock().now()
    if text is None:
        recorded = None if state.is_dir() else newest(site)
        return now if recorded is None else recorded
    try:
        return instant(text, ZoneInfo(site.file.site.timezone), now).astimezone(UTC)
    except ValueError as error:
        raise CommandError(f"--at {text!r} is no instant; write for example 2026-01-31T18:00", Exit.USAGE) from error


def _measured(words: list[str]) -> dict[str, float]:
    found = {}
    for word in words:
        name, _, value = word.partition("=")
        try:
            found[name] = float(value)
        except ValueError as error:
            told = f"--measured {word!r}: write <asset>.<role>=<number>, such as battery.soc_pct=50"
            raise CommandError(told, Exit.USAGE) from error
    return found


def _series(path: Path | None, site: Site) -> pd.DataFrame | None:
    """Read a CSV with `start` and columns; instants without an offset are of the site's zone."""
    if path is None:
        return None
    try:
        table = pd.read_csv(path)
        starts = pd.to_datetime(table.pop("start"), format="ISO8601")
        aware = starts.dt.tz_localize(site.file.site.timezone) if starts.dt.tz is None else starts
        return table.astype(float).set_index(pd.DatetimeIndex(aware))
    except (OSError, KeyError, ValueError, AttributeError) as error:
        told = (
            f"--series {path}: {error}; give a CSV with `start` in ISO 8601 and one number a row in each other column"
        )
        raise CommandError(told, Exit.USAGE) from error


def _binding(site: Site, kept: Kept) -> Iterator[dict[str, Any]]:
    """Sum up each limit that binds, with its key in the site file, the dearest first."""
    limits = (kept.body["prices"] or {"limits": []})["limits"]
    for limit in sorted(limits, key=lambda limit: -sum(limit["worth"])):
        told = {key: limit[key] for key in ("asset", "name", "side")}
        worst = limit["at"][limit["worth"].index(max(limit["worth"]))]
        where = {"key": None, "line": None}
        if limit["side"] != "session":
            asset = limit["asset"] or _behind(site, kept, limit["name"])
            named = explained(site, kept, asset, worst)["limits"]
            where = next(({k: one[k] for k in where} for one in named if told.items() <= one.items()), where)
        yield {**told, "slots": len(limit["at"]), "worth": round(sum(limit["worth"]), DECIMALS), **where}


def _behind(site: Site, kept: Kept, name: str) -> str:
    """Name an asset that hangs on the connection of a limit."""
    at = name.partition(":")[2]
    hanging = (a for a in kept.plan.schedules if site.file.assets[a].connection == at)
    return next(hanging, None) or next(iter(kept.plan.schedules))


def _one_kw_more(site: Site, solved: Solved) -> dict[str, Any]:
    return {direction: _told(room, site) for direction, room in solved.room.items()}


def _told(room: MoreRoom, site: Site) -> dict[str, Any]:
    hides = discretion(site).hides
    moved = {a: round(kwh, DECIMALS) for a, kwh in room.moved_kwh.items() if kwh >= TOLD_KWH and not hides(a)}
    served = {
        a: {name: round(amount, DECIMALS) for name, amount in wishes.items() if amount >= TOLD_KWH}
        for a, wishes in room.served.items()
        if not hides(a)
    }
    return {
        "saved": round(room.saved, DECIMALS),
        "moved_kwh": moved,
        "served": {a: wishes for a, wishes in served.items() if wishes},
    }


def _lines(site: Site, kept: Kept, body: Mapping[str, Any]) -> Iterator[str]:
    currency = site.file.site.currency
    yield from table_lines(site, kept, 0.0)
    yield from (_bound(limit, currency) for limit in body["binds"])
    for direction, room in body["one_kw_more"].items():
        yield f"one kW    more {direction} throughout saves {room['saved']:.2f} {currency}{_to_whom(room)}"


def _bound(limit: Mapping[str, Any], currency: str) -> str:
    """Say of a limit where it binds, and what one unit more room would save there."""
    whose, worth = limit["asset"] or "grid", f"{limit['worth']:g} {currency}"
    if limit["side"] == "session":
        return f"binds     {whose}: {limit['name']} of {_count(limit, 'stay')}, one unit less of each is worth {worth}"
    place = "" if limit["key"] is None else f" ({SITE_FILE}:{limit['line']} {limit['key']})"
    where = f"{limit['name']} is at its {limit['side']} in {_count(limit, 'slot')}{place}"
    return f"binds     {whose}: {where}, one unit more room in each is worth {worth}"


def _count(limit: Mapping[str, Any], word: str) -> str:
    return f"{limit['slots']} {word}s" if limit["slots"] > 1 else f"one {word}"


def _to_whom(room: Mapping[str, Any]) -> str:
    told = [
        f"{asset} gets {amount:g} of {name}" for asset, all_ in room["served"].items() for name, amount in all_.items()
    ]
    told += [f"{asset} moves {kwh:g} kWh" for asset, kwh in room["moved_kwh"].items()]
    return f": {', '.join(told)}" if told and round(room["saved"], 2) else ""
