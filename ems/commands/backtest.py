"""`ems backtest`: what a controller would have made of a period that the site has recorded."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from ems.clock import SystemClock
from ems.commands.options import instant
from ems.commands.output import note
from ems.commands.progress import ProgressLine
from ems.config.loading import load_site
from ems.config.sites import find_site
from ems.exit_codes import CommandError, Exit
from ems.store.encoding import to_json
from ems.study.arms import Controller
from ems.study.backtest import Task, run_arms, table
from ems.study.bench import Period
from ems.study.page import write_page

ALL = "all"


def command(argv: Sequence[str]) -> int:
    """Run a backtest."""
    arguments = _options().parse_args(argv)
    folder = find_site(arguments.site)
    folder = folder if folder.is_dir() else folder.parent
    site = load_site(folder)
    task = Task(folder, period(arguments, ZoneInfo(site.file.site.timezone)), arguments.seed, arguments.ladder)
    controllers = list(Controller) if arguments.controller == ALL else [Controller(arguments.controller)]
    days = task.period.seconds / 86400.0
    note(f"{site.file.site.name}: {days:g} days, {', '.join(controllers)}")
    with ProgressLine("backtest") as progress:
        arms = run_arms(task, controllers, progress)
    result = table(task, arms, site.file.site.currency)
    if arguments.html is not None:
        write_page(arguments.html, result, {arm.controller.value: arm.track for arm in arms}, rows(result))
        note(f"the page is {arguments.html}")
    sys.stdout.write(to_json(result) + "\n" if arguments.json else "\n".join(tell(result)) + "\n")
    return Exit.OK


def _options() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(
        prog="ems backtest", description="Try controllers on what a site has recorded, on a plant of that site."
    )
    options.add_argument("site", metavar="SITE", help="a site folder, a site file, or the name of a site in ./sites")
    options.add_argument("--from", dest="start", required=True, metavar="DATE", help="local date or instant")
    options.add_argument("--to", dest="end", required=True, metavar="DATE", help="local date or instant, not included")
    words = "plan, rules, none, oracle, or all of them (default), which also gives the captured share"
    options.add_argument("--controller", choices=[*Controller, ALL], default=ALL, help=words)
    options.add_argument("--ladder", action="store_true", help="let the plan rest on the ladder's forecasts of loads")
    options.add_argument("--seed", type=int, default=1, metavar="N", help="seed of the plant's parameters (default: 1)")
    options.add_argument("--html", type=Path, metavar="FILE", help="also write a page with plots")
    options.add_argument("--json", action="store_true", help="print one JSON object on stdout")
    return options


def period(arguments: argparse.Namespace, zone: ZoneInfo) -> Period:
    """Read `start` and `end` of the arguments; raises `CommandError` where they are no period."""
    start, end = _instant(arguments.start, "--from", zone), _instant(arguments.end, "--to", zone)
    if end <= start:
        raise CommandError(f"--to {arguments.end} is not after --from {arguments.start}; give a later end", Exit.USAGE)
    return Period(start, end)


def _instant(text: str, flag: str, zone: ZoneInfo) -> datetime:
    try:
        return instant(text, zone, SystemClock().now()).astimezone(UTC)
    except ValueError as error:
        raise CommandError(f"{flag} {text!r} is no date; write it like 2025-02-03", Exit.USAGE) from error


ROWS = (
    ("cost", "cost [{currency}]"),
    ("energy_kwh", "import [kWh]"),
    ("export_kwh", "export [kWh]"),
    ("co2_kg", "CO2 [kg]"),
    ("peak_import_kw", "peak import [kW]"),
    ("peak_export_kw", "peak export [kW]"),
    ("violation_share", "violations"),
    ("ev_shortfall_kwh", "EV short [kWh]"),
    ("comfort_kh", "discomfort [Kh]"),
    ("churn_kw_per_h", "churn [kW/h]"),
)


def rows(result: dict[str, Any]) -> list[list[str]]:
    """Lay the figures out for people: a head, then a row a figure."""
    arms = result["arms"]
    lines = [["", *arms]]
    for key, words in ROWS:
        figures = ("-" if arm[key] is None else format(arm[key], ".3f") for arm in arms.values())
        lines.append([words.format(currency=result["currency"]), *figures])
    return lines


def tell(result: dict[str, Any]) -> Iterator[str]:
    """Write the table for people, one line after the other."""
    for first, *figures in rows(result):
        yield f"{first:<20}" + "".join(f"{figure:>12}" for figure in figures)
    share = result["captured_share"]
    yield "captured share      " + ("needs no control, plan and oracle" if share is None else f"{share:>12.1%}")
