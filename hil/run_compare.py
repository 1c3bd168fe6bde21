"""`ems hil compare`: stored runs beside each other, criterion by criterion, and what differs in how they were made."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ems.commands.output import emit
from ems.exit_codes import CommandError, Exit
from hil.run_record import RunError, RunRecord, read_run

SETTINGS = ("site", "scenario", "seed", "days", "cycle_s", "arms", "config_hash", "scenario_hash", "bench", "faults")


def command(argv: Sequence[str]) -> int:
    """Compare; exit status 1 where a criterion that held in the first run does not hold in a later one."""
    options = argparse.ArgumentParser(prog="ems hil compare", description="Hold stored runs beside each other.")
    options.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folders that `ems hil run` wrote")
    options.add_argument("--json", action="store_true", help="print one JSON object on stdout")
    arguments = options.parse_args(argv)
    if len(arguments.runs) < 2:
        raise CommandError("one run has nothing beside it; name two or more", Exit.USAGE)
    try:
        runs = [read_run(path) for path in arguments.runs]
    except RunError as error:
        raise CommandError(str(error)) from error
    told = compared(runs)
    emit("hil_compare", told, _lines(told), as_json=arguments.json)
    return Exit.FAILURE if told["worse"] else Exit.OK


def compared(runs: Sequence[RunRecord]) -> dict[str, Any]:
    """Hold runs beside each other.

    Returns:
        `runs` (names), `settings` and `versions` that differ (one value a run), `criteria` (value, verdict and wanted
        of each run, `change` from the first to the last), and `worse`: criteria that held in the first run and do not
        in a later one.
    """
    abouts = [run.about for run in runs]
    settings = {key: [about[key] for about in abouts] for key in SETTINGS}
    every = sorted({name for about in abouts for name in about["versions"]})
    versions = {name: [about["versions"].get(name) for about in abouts] for name in every}
    judged = [{one["name"]: one for one in about["result"]["criteria"]} for about in abouts]
    criteria = [_criterion(name, judged) for name in dict.fromkeys(name for each in judged for name in each)]
    return {
        "runs": [run.name for run in runs],
        "settings": {key: values for key, values in settings.items() if any(v != values[0] for v in values)},
        "versions": {key: values for key, values in versions.items() if any(v != values[0] for v in values)},
        "criteria": criteria,
        "worse": [one["name"] for one in criteria if one["passed"][0] and False in one["passed"][1:]],
    }


def _criterion(name: str, judged: Sequence[dict[str, Any]]) -> dict[str, Any]:
    found = [each.get(name) for each in judged]
    values = [one["value"] if one else None for one in found]
    first, last = values[0], values[-1]
    return {
        "name": name,
        "values": values,
        "wanted": [one["wanted"] if one else None for one in found],
        "passed": [one["passed"] if one else None for one in found],
        "change": None if first is None or last is None else last - first,
    }


def _lines(told: dict[str, Any]) -> Iterator[str]:
    for number, name in enumerate(told["runs"], start=1):
        yield f"run {number}   {name}"
    for key, values in (told["settings"] | told["versions"]).items():
        yield f"differs {key}: " + " | ".join(_short(value) for value in values)
    for one in told["criteria"]:
        cells = (_cell(value, passed) for value, passed in zip(one["values"], one["passed"], strict=True))
        yield f"{one['name']:<34}" + "".join(f"{cell:>18}" for cell in cells)
    for name in told["worse"]:
        yield f"worse   {name} held in run 1 and does not any more"


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 24 else f"{text[:21]}..."


def _cell(value: float | None, passed: bool | None) -> str:
    if passed is None:
        return "-"
    figure = "?" if value is None else f"{value:.4g}"
    return f"{figure} {'ok' if passed else 'FAIL'}"
