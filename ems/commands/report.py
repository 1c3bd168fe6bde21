"""`ems report`: a carbon report for an auditor, and the check of one."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from ems.commands.options import add_site
from ems.commands.output import emit, note
from ems.config.errors import SiteError
from ems.config.loading import load_site
from ems.config.site import Site
from ems.config.sites import find_site
from ems.exit_codes import CommandError, Exit
from ems.reports.bundle import BundleError, contents, write_bundle
from ems.reports.carbon import ReportError, carbon_report
from ems.reports.factors import FactorError
from ems.reports.manifest import NAME, ManifestError, read_manifest
from ems.reports.period import PeriodError, parse_period
from ems.reports.verify import Verdict, verify
from ems.store.archive import ArchiveError

USAGE = "usage: ems report carbon SITE --period 2025-03 --out DIR | ems report verify DIR; `ems report carbon --help`\n"


def command(argv: Sequence[str]) -> int:
    """Make a report or check one."""
    actions: dict[str, Callable[[Sequence[str]], int]] = {"carbon": _carbon, "verify": _verify}
    name = argv[0] if argv else ""
    if name in {"-h", "--help"}:
        sys.stdout.write(USAGE)
        return Exit.OK
    if name not in actions:
        known = ", ".join(f"`ems report {action}`" for action in actions)
        raise CommandError(f"`ems report {name}` is unknown; write one of {known}", Exit.USAGE)
    try:
        return actions[name](argv[1:])
    except (PeriodError, FactorError) as error:
        raise CommandError(str(error), Exit.USAGE) from error
    except (ReportError, ArchiveError, BundleError, ManifestError) as error:
        raise CommandError(str(error)) from error


def _carbon(argv: Sequence[str]) -> int:
    options = argparse.ArgumentParser(
        prog="ems report carbon", description="Hourly energy balance and location-based Scope 2 of a month or a day."
    )
    add_site(options)
    options.add_argument("--period", required=True, metavar="MONTH", help="a local month (2025-03) or day (2025-03-30)")
    options.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the report")
    options.add_argument(
        "--factor", metavar="ID", help="carbon factor of evidence/factors.yaml (default: the last valid)"
    )
    given = options.parse_args(argv)
    site = load_site(find_site(given.site))
    period = parse_period(given.period, ZoneInfo(site.file.site.timezone))
    report = carbon_report(site, period, factor=given.factor, state=given.state)
    files = contents(report, factor=given.factor)
    write_bundle(given.out, files)
    if report.is_simulated:
        note("the readings are simulated: nobody measured this")
    body = {
        "ok": True,
        "site": site.file.site.id,
        "period": period.text,
        "hours": len(period.hours),
        "simulated": report.is_simulated,
        "out": str(given.out),
        "figures": report.figures(),
        "files": sorted(files),
    }
    emit("report", body, _lines(body), as_json=given.json)
    return Exit.OK


def _lines(body: dict[str, Any]) -> list[str]:
    lines = [f"{body['site']} {body['period']}: {body['hours']} hours"]
    for figure in body["figures"]:
        value = "missing" if figure["value"] is None else f"{figure['value']:.3f}"
        lines.append(f"  {figure['figure']:<24}{value:>14} {figure['unit']:<12} {figure['grade']}")
    return [*lines, f"wrote {len(body['files'])} files to {body['out']}; begin with report.html"]


def _verify(argv: Sequence[str]) -> int:
    options = argparse.ArgumentParser(
        prog="ems report verify", description="Check a report by its hashes, and by making it again."
    )
    options.add_argument("folder", type=Path, metavar="DIR", help="folder of the report")
    options.add_argument("--site", metavar="SITE", help="the site (default: the one that the report names)")
    options.add_argument("--state", type=Path, metavar="DIR", help="state directory that the report was made with")
    options.add_argument("--json", action="store_true", help="print one JSON object on stdout")
    given = options.parse_args(argv)
    verdict = verify(given.folder, _site(given.folder, given.site), state=given.state)
    whole = not verdict.differences
    body = {"ok": whole, "folder": str(given.folder), **_told(verdict)}
    emit("report", body, _verdict_lines(verdict), as_json=given.json)
    return Exit.OK if whole else Exit.DEGRADED


def _site(folder: Path, named: str | None) -> Site | None:
    """Find the site of a report; one that was not named may be out of reach."""
    if named is not None:
        return load_site(find_site(named))
    manifest = read_manifest(folder)
    if manifest is None:
        return None
    try:
        found = find_site(str(manifest["site"]["id"]))
    except SiteError:
        return None
    return load_site(found)


def _told(verdict: Verdict) -> dict[str, Any]:
    return {
        "recomputed": verdict.recomputed,
        "outputs_checked": verdict.outputs,
        "inputs_checked": verdict.inputs,
        "differences": [{"file": d.file, "kind": d.kind, "words": d.words} for d in verdict.differences],
        "notes": list(verdict.notes),
    }


def _verdict_lines(verdict: Verdict) -> list[str]:
    lines = [f"{d.kind:<11} {d.file}: {d.words}" for d in verdict.differences]
    lines += [f"note        {words}" for words in verdict.notes]
    made = "made again with the same bytes" if verdict.recomputed else "not made again"
    checked = f"{verdict.outputs} outputs and {NAME}, {verdict.inputs} inputs"
    if verdict.differences:
        return [*lines, f"verdict     {len(verdict.differences)} differences; checked {checked}"]
    return [*lines, f"verdict     unchanged: {checked} checked, {made}"]
