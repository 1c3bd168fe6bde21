"""A report as a folder: every table as CSV and Parquet, a workbook, a page, a manifest; there whole or not at all."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ems.reports.carbon import CarbonReport
from ems.reports.manifest import NAME, SCHEMA, described, read_manifest, tool, written
from ems.reports.page import to_page
from ems.reports.tables import to_csv, to_parquet, to_workbook

STATE_INPUT = "state (readings)"


class BundleError(Exception):
    """A folder cannot take a report: the message names it, what is in the way and the remedy."""


def contents(report: CarbonReport, *, factor: str | None) -> dict[str, bytes]:
    """Write all files of a report in memory, the manifest last.

    Args:
        report: the report.
        factor: id of the carbon factor that was asked for, if one was.
    """
    about = _about(report, factor)
    files: dict[str, bytes] = {}
    for table in report.tables:
        files[f"{table.name}.csv"] = to_csv(table)
        files[f"{table.name}.parquet"] = to_parquet(table)
    title = f"Carbon report {about['site']['id']} {about['period']['text']}"
    comments = "Simulated: nobody measured this." if report.is_simulated else ""
    files["report.xlsx"] = to_workbook(report.tables, {"title": title, "comments": comments})
    files["report.html"] = to_page(report.tables, about)
    outputs = [described(name, files[name]) for name in sorted(files)]
    return {**files, NAME: written({**about, "outputs": outputs})}


def _about(report: CarbonReport, factor: str | None) -> dict[str, Any]:
    """Say what a report is and what it rests on."""
    ledger = report.findings.ledger
    site, period = report.findings.site.file.site, ledger.period
    inputs = [described(file.name, file.path.read_bytes()) for file in report.inputs]
    if report.state_sha256:
        number = sum(ledger.archive.from_state.values())
        inputs.append({"name": STATE_INPUT, "sha256": report.state_sha256, "values": number})
    return {
        "schema": SCHEMA,
        "site": {"id": site.id, "name": site.name, "timezone": site.timezone, "currency": site.currency},
        "site_config_hash": report.findings.site.config_hash,
        "period": {
            "text": period.text,
            "start": period.start.isoformat(),
            "end": period.end.isoformat(),
            "hours": len(period.hours),
        },
        "simulated": report.is_simulated,
        "parameters": {"factor": factor, "state": bool(report.state_sha256)},
        "inputs": inputs,
        "tool": tool(),
    }


def write_bundle(folder: Path, files: Mapping[str, bytes]) -> None:
    """Put a report into a folder; an earlier report in it is replaced, anything else is left alone.

    Raises:
        BundleError: the folder holds what is no part of an earlier report, or cannot be written.
    """
    foreign = strangers(folder)
    if foreign:
        words = f"{folder} holds {', '.join(foreign[:3])}{' and more' if len(foreign) > 3 else ''}"
        raise BundleError(f"{words}, which is no part of a report; name an empty or a new folder with --out")
    try:
        _swap(folder, files)
    except OSError as error:
        raise BundleError(f"{folder} cannot be written ({error.strerror}); name another folder with --out") from error


def strangers(folder: Path) -> list[str]:
    """Name what lies in a folder and is no part of the report there."""
    if not folder.is_dir():
        return [folder.name] if folder.exists() else []
    held = sorted(path.name for path in folder.iterdir())
    manifest = read_manifest(folder) if NAME in held else None
    own = {NAME, *(output["name"] for output in manifest["outputs"])} if manifest else set()
    return [name for name in held if name not in own]


def _swap(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write beside the folder, then change places: nobody ever sees half a report."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        fresh = part / "new"
        fresh.mkdir()
        for name, content in files.items():
            (fresh / name).write_bytes(content)
        _change_places(folder, fresh, part / "old")
    finally:
        shutil.rmtree(part)


def _change_places(folder: Path, fresh: Path, old: Path) -> None:
    if folder.exists():
        folder.rename(old)
    try:
        fresh.rename(folder)
    except OSError:
        if old.exists():
            old.rename(folder)
        raise
