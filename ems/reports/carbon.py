"""The carbon report of a site and a period: what it rests on, its tables and its headline figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ems.config.site import Site
from ems.config.site_parts import parts_of
from ems.reports.carbon_tables import Findings, carbon_tables
from ems.reports.evidence import FOLDER, read_meters
from ems.reports.factors import hourly_factors
from ems.reports.ledger import Ledger, keep_ledger
from ems.reports.meters import Flow
from ems.reports.money import billed
from ems.reports.period import Period
from ems.reports.scope1 import burners
from ems.reports.scope2 import emissions
from ems.reports.tables import Table
from ems.store.archive import ArchiveFile, months, sha256_of


class ReportError(Exception):
    """A report cannot be made: the message names the thing, the value and the remedy."""


@dataclass(frozen=True, slots=True, eq=False)
class CarbonReport:
    """A report before it is written.

    Args:
        findings: what it states. tables: the same as tables.
        inputs: the files that it rests on, by name.
        state_sha256: of the readings that came from a state directory; empty without any.
    """

    findings: Findings
    tables: tuple[Table, ...]
    inputs: tuple[ArchiveFile, ...]
    state_sha256: str

    @property
    def is_simulated(self) -> bool:
        """Whether anything that it rests on says that nobody measured it."""
        return self.findings.ledger.archive.is_simulated

    def figures(self) -> list[dict[str, Any]]:
        """Give the headline figures, as the summary states them."""
        summary = self.tables[0]
        names = [column.name for column in summary.columns]
        return [dict(zip(names, row, strict=True)) for row in summary.rows]


def carbon_report(site: Site, period: Period, *, factor: str | None = None, state: Path | None = None) -> CarbonReport:
    """Make the carbon report of a period.

    Args:
        site: the site.
        period: a local month or day.
        factor: id of the carbon factor; None for the last one written that holds on a day.
        state: state directory of a daemon, whose readings are taken too; None to go without.

    Raises:
        ReportError: nothing was recorded in the period.
        FactorError: there is no such factor.
        ArchiveError: a history or a published file cannot be read.
        SiteError: the evidence cannot be read.
    """
    ledger = keep_ledger(site, period, state=state)
    _check_data(site, ledger)
    factors, factor_files = hourly_factors(site, period, wanted=factor, state=state)
    money, *others = (billed(part, ledger.at(at), state=state) for at, part in parts_of(site).items())
    findings = Findings(
        site, ledger, factors, emissions(ledger, factors), money, read_meters(site.folder), burners(site, ledger),
        dict(zip(site.file.connections, others, strict=True)),
    )  # fmt: skip
    files = [file for each in (money, *others) for file in each.files]
    inputs = (*_own_files(site), *ledger.archive.files, *factor_files, *files)
    by_name = {file.name: file for file in inputs}
    tables = carbon_tables(findings)
    return CarbonReport(findings, tables, tuple(by_name[n] for n in sorted(by_name)), ledger.archive.state_sha256)


def _check_data(site: Site, ledger: Ledger) -> None:
    held = [line for line in ledger.of(Flow.GRID_IMPORT) if np.isfinite(line.kwh).any()]
    if held:
        return
    shelf = site.folder / (site.file.series.history or "history")
    known = months(shelf)
    there = f"{shelf.name}/ holds {known[0]} to {known[-1]}" if known else f"there is no history in {shelf}"
    raise ReportError(
        f"{ledger.period.text} has no readings of the grid meter: {there}; choose another period, or name a daemon's "
        "state directory with --state"
    )


def _own_files(site: Site) -> Sequence[ArchiveFile]:
    """List what the site itself says: its file, its tariff, its grid and its evidence."""
    folder = site.folder
    named = ["site.yaml", site.file.tariff, site.file.grid.file, f"{FOLDER}/factors.yaml", f"{FOLDER}/meters.yaml"]
    named += [each.tariff for each in site.file.connections.values() if each.tariff is not None]
    return [ArchiveFile(name, folder / name, sha256_of(folder / name)) for name in named if (folder / name).exists()]
