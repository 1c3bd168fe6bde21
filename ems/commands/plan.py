"""`ems plan`: show the newest plan of the journal, explain it, tell two apart, or make one from a site's files."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from ems.clock import SystemClock
from ems.commands.options import add_site, instant, opened
from ems.commands.output import emit
from ems.commands.plan_compared import compared, comparison_lines
from ems.commands.plan_explained import explained, explanation_lines
from ems.commands.plan_kept import Kept
from ems.commands.plan_shown import shown, table_lines
from ems.config.site import Site
from ems.exit_codes import CommandError, Exit
from ems.store.database import StoreError
from ems.store.journal import FILE, Record, last_records

LOOKED_THROUGH = 20
"""So many plans are read to find one and the one before it; more are never made in a second."""


def command(argv: Sequence[str]) -> int:
    """Run `ems plan show`, `ems plan solve`, `ems plan explain` or `ems plan diff`."""
    arguments = _parser().parse_args(argv)
    site, state = opened(arguments)
    doing: Callable[[argparse.Namespace, Site, Path], None] = arguments.doing
    doing(arguments, site, state)
    return Exit.OK


def _parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(prog="ems plan", description="Look into the plans of the journal, or make one.")
    whats = options.add_subparsers(dest="what", required=True, metavar="show|solve|explain|diff")
    showing = whats.add_parser("show", help="the newest plan as a table")
    solving = whats.add_parser("solve", help="plan once from the site's files, without a core; nothing is sent")
    explaining = whats.add_parser("explain", help="what binds an asset, what a kWh is worth, and which wish is lost")
    telling = whats.add_parser("diff", help="what moved between two plans, in kW and money, and why")
    for one, doing in ((showing, _show), (solving, _solve), (explaining, _explain), (telling, _diff)):
        add_site(one)
        one.set_defaults(doing=doing)
    showing.add_argument("--plan", metavar="ID", help="another plan than the newest")
    solving.add_argument("--at", metavar="INSTANT", help="ISO 8601 (default: now, or the end of the site's history)")
    solving.add_argument(
        "--measured",
        action="append",
        default=[],
        metavar="ASSET.ROLE=VALUE",
        help="what is measured then, again and again",
    )
    solving.add_argument(
        "--series", type=Path, metavar="FILE", help="CSV of what to foresee: start, price, load_kw, ..."
    )
    explaining.add_argument("asset", metavar="ASSET", help="an asset of the site")
    explaining.add_argument("--at", metavar="INSTANT", help="ISO 8601 or HH:MM (default: the start of the plan)")
    explaining.add_argument("--plan", metavar="ID", help="another plan than the newest")
    telling.add_argument("--old", metavar="ID", help="a plan (default: the one before the new one)")
    telling.add_argument("--new", metavar="ID", help="a plan (default: the newest)")
    return options


def _show(arguments: argparse.Namespace, site: Site, state: Path) -> None:
    kept = _kept(site, _records(state, arguments.plan)[-1])
    body = shown(kept, SystemClock().now())
    emit("plan.show", body, table_lines(site, kept, body["age_s"]), as_json=arguments.json)


def _solve(arguments: argparse.Namespace, site: Site, state: Path) -> None:
    from ems.commands.plan_solved import solve  # noqa: PLC0415 - the planner itself is loaded for nothing else here

    solve(arguments, site, state)


def _explain(arguments: argparse.Namespace, site: Site, state: Path) -> None:
    kept = _kept(site, _records(state, arguments.plan)[-1])
    if arguments.asset not in kept.plan.schedules:
        known = ", ".join(kept.plan.schedules)
        raise CommandError(f"plan {kept.plan.id} has no asset `{arguments.asset}`; it has {known}", Exit.USAGE)
    at = kept.plan.slots.start if arguments.at is None else _instant(arguments.at, site, kept.plan.slots.start)
    slot = kept.plan.slots.index_at(at)
    if slot is None:
        words = f"{at.isoformat()} is not in plan {kept.plan.id}"
        horizon = f"{kept.plan.slots.start.isoformat()} to {kept.plan.slots.end.isoformat()}"
        raise CommandError(f"{words}, which reaches from {horizon}; name an instant within", Exit.USAGE)
    body = explained(site, kept, arguments.asset, slot)
    emit("plan.explain", body, explanation_lines(site, body), as_json=arguments.json)


def _diff(arguments: argparse.Namespace, site: Site, state: Path) -> None:
    newer = _records(state, arguments.new)
    older = newer[:-1] if arguments.old is None else _records(state, arguments.old)
    if not older:
        raise CommandError(f"the journal has no plan before {newer[-1].body.get('id')}; wait for the next one")
    body = compared(site, _kept(site, older[-1]), _kept(site, newer[-1]))
    emit("plan.diff", body, comparison_lines(site, body), as_json=arguments.json)


def _instant(text: str, site: Site, start: datetime) -> datetime:
    try:
        return instant(text, ZoneInfo(site.file.site.timezone), start)
    except ValueError as error:
        raise CommandError(
            f"{text!r} is no instant; write HH:MM or for example 2026-01-31T18:00", Exit.USAGE
        ) from error


def _records(state: Path, plan_id: str | None) -> list[Record]:
    """Read a plan of the journal, after the one before it if there is one; raises `CommandError`."""
    try:
        records = last_records(state / FILE, "plan", LOOKED_THROUGH, _made_within(plan_id))
    except (StoreError, ValueError) as error:
        raise CommandError(str(error)) from error
    ends = [i for i, record in enumerate(records, start=1) if plan_id in {None, record.body.get("id")}]
    if not ends:
        named = "no plan" if plan_id is None else f"no plan `{plan_id}`"
        raise CommandError(f"{state / FILE} has {named}; a core that runs plans once every few minutes")
    return records[max(0, ends[-1] - 2) : ends[-1]]


def _made_within(plan_id: str | None) -> datetime | None:
    """Give the end of the second that a plan's id begins with."""
    if plan_id is None:
        return None
    try:
        made = datetime.strptime(plan_id.partition("-")[0], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise ValueError(f"{plan_id!r} is no id of a plan; `ems plan show` tells that of the newest") from None
    return made + timedelta(seconds=1)


def _kept(site: Site, record: Record) -> Kept:
    try:
        return Kept.of(record.body, site)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CommandError(
            f"entry {record.id} of the journal is no plan that this version can read: {error}"
        ) from error
