"""`ems forecasts`: how each load is foreseen now, or how well methods would have done on what a site has recorded.

Both tell what errors cost, in money.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from ems.commands.backtest import period
from ems.commands.forecasts_kept import standing, standing_lines
from ems.commands.options import add_site, opened
from ems.commands.output import emit, note
from ems.commands.progress import ProgressLine
from ems.config.loading import load_site
from ems.config.site import Site
from ems.config.sites import find_site
from ems.exit_codes import CommandError, Exit
from ems.store.encoding import to_json
from ems.study.bench import Period
from ems.study.error_cost import OLDEST_H, Tried, error_costs, fits
from ems.study.past_series import PastSeries, site_series
from ems.study.skill import Replayed, judged, keep, replay
from optimization.forecast.methods import LEVELS
from optimization.forecast.quarters import Calendar

SCHEMA = "ems.forecasts/1"
COLUMNS = ("loss", "skill", "error", "bias", "coverage", "width")


def command(argv: Sequence[str]) -> int:
    """Try the methods on what a site has recorded."""
    arguments = _options().parse_args(argv)
    if arguments.start is None or arguments.end is None:
        return _in_force(arguments)
    if arguments.cost and arguments.every_h > OLDEST_H:
        words = f"--cost plans a day ahead of issues that reach a day and a half: --every-h {OLDEST_H:g} hours at most"
        raise CommandError(words, Exit.USAGE)
    folder = find_site(arguments.site)
    site = load_site(folder)
    zone = ZoneInfo(site.file.site.timezone)
    wanted = period(arguments, zone)
    known = site_series(site, wanted)
    series = _wanted(known, arguments.only, site)
    with ProgressLine("forecasts") as progress:
        done = _replay(series, wanted, Calendar(zone), arguments.every_h * 3600.0, progress)
    result = {
        "schema": SCHEMA,
        "site": site.file.site.id,
        "from": wanted.start.isoformat(),
        "to": wanted.end.isoformat(),
        "currency": site.file.site.currency,
        "levels": list(LEVELS),
        "series": {n: {"unit": series[n].unit, **judged(one, list(series[n].ladder()))} for n, one in done.items()},
        "plans": _plans(site, wanted, known, done) if arguments.cost else None,
    }
    if arguments.out is not None:
        keep(arguments.out, done)
        note(f"what was foreseen when is in {arguments.out}")
    sys.stdout.write(to_json(result) + "\n" if arguments.json else "\n".join(tell(result)) + "\n")
    return Exit.OK


def _in_force(arguments: argparse.Namespace) -> int:
    """Tell by which method each load is foreseen now."""
    given = {"--from": arguments.start, "--to": arguments.end, "--only": arguments.only, "--out": arguments.out}
    if named := [name for name, value in given.items() if value]:
        words = f"{', '.join(named)}: a study needs both --from and --to; leave them out for what the daemon does"
        raise CommandError(words, Exit.USAGE)
    site, state = opened(arguments)
    told = standing(site, state, cost=arguments.cost)
    emit("forecasts.kept", told, standing_lines(site, told), as_json=arguments.json)
    return Exit.OK


def _options() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(
        prog="ems forecasts",
        description="Tell by which method each load is foreseen now; with --from and --to, foresee what a site has "
        "recorded as it would have been, and score it.",
    )
    add_site(options)
    options.add_argument("--from", dest="start", metavar="DATE", help="local date or instant")
    options.add_argument("--to", dest="end", metavar="DATE", help="local date or instant, not included")
    options.add_argument("--only", nargs="+", default=[], metavar="NAME", help="some of the series (default: all)")
    options.add_argument("--every-h", type=float, default=6.0, metavar="HOURS", help="from issue to issue (default: 6)")
    options.add_argument("--cost", action="store_true", help="also plan the batteries by each forecast")
    options.add_argument("--out", type=Path, metavar="FILE", help="also write every forecast, as Parquet")
    return options


def _wanted(series: Mapping[str, PastSeries], only: Sequence[str], site: Site) -> dict[str, PastSeries]:
    unknown = [name for name in only if name not in series]
    if unknown or not series:
        words = f"{site.file.site.id} has no series {', '.join(unknown)}; it has {', '.join(series) or 'none'}"
        raise CommandError(words, Exit.USAGE)
    return {name: one for name, one in series.items() if name in only or not only}


def _replay(
    series: Mapping[str, PastSeries], wanted: Period, calendar: Calendar, every_s: float, progress: Any
) -> dict[str, Replayed]:
    done = {}
    for i, (name, one) in enumerate(series.items()):
        done[name] = replay(one, wanted, calendar, every_s)
        progress((i + 1) / len(series))
    return done


def _plans(
    site: Site, wanted: Period, series: Mapping[str, PastSeries], done: Mapping[str, Replayed]
) -> dict[str, Any] | None:
    planned = fits(list(done), site)
    if not planned:
        raise CommandError("--cost needs a load or a PV plant among the series; leave --only out", Exit.USAGE)
    with ProgressLine("plans") as progress:
        found = error_costs(Tried(site, series, {name: done[name] for name in planned}), wanted, progress)
    if found is None:
        note(f"{site.file.site.id} has no battery, or no recorded prices: no plans are tried")
    return found


def tell(result: Mapping[str, Any]) -> Iterator[str]:
    """Write the tables for people, one line after the other."""
    for name, one in result["series"].items():
        chosen = ", ".join(f"{method} {count}" for method, count in one["chosen"].items())
        yield f"{name} [{one['unit']}], issues by choice: {chosen}; without a forecast {one['gaps']:.1%}"
        yield f"  {'':<14}" + "".join(f"{column:>10}" for column in COLUMNS)
        for method, row in one["methods"].items():
            yield f"  {method:<14}" + "".join(_figure(row[column]) for column in COLUMNS)
    for way, row in (result["plans"] or {}).items():
        yield f"plans by {way:<12} {row['cost']:>10.2f} {result['currency']}, errors {row['error_cost']:>8.2f}"


def _figure(value: float | None) -> str:
    return f"{'-':>10}" if value is None else f"{value:>10.4f}"
