"""The bill of a period, from the same quarter-hours that the balance rests on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from pathlib import Path

import numpy as np

from ems.config.site import Site
from ems.reports.ledger import Ledger, bounds
from ems.reports.published import read_issues
from ems.store.archive import ArchiveFile
from optimization.bill import Bill, bill


@dataclass(frozen=True, slots=True)
class Money:
    """A bill, or why there is none.

    Args:
        bill: None where it cannot be written.
        words: why not; empty with a bill.
        files: where the prices came from.
    """

    bill: Bill | None
    words: str
    files: tuple[ArchiveFile, ...]


def billed(site: Site, ledger: Ledger, *, state: Path | None = None) -> Money:
    """Write the bill of a month. What is missing is not guessed at: without it there is no bill.

    Raises:
        ArchiveError: what was published cannot be read.
    """
    if not ledger.period.is_month:
        return Money(None, "a bill is written for a month", ())
    issues = read_issues(site, "price", ledger.period, state=state)
    times = bounds(ledger.period)
    price = issues.values([at.astimezone(UTC) for at in times[:-1]])
    imported, exported = ledger.quarter_kwh
    for words, series in (("import", imported), ("export", exported), ("published prices", price)):
        gone = int(np.isnan(series).sum())
        if gone:
            return Money(None, f"{words}: {gone} of {len(price)} quarter-hours are missing", issues.files)
    return Money(bill(site.tariff, times, imported, exported, price, zone=ledger.period.zone), "", issues.files)
