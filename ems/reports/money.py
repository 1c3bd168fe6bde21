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

NO_REACTIVE = "reactive energy is not in it: no meter of the site counts it"


@dataclass(frozen=True, slots=True)
class Money:
    """A bill, or why there is none.

    Args:
        bill: None where it cannot be written.
        words: why not; with a bill, what is not in it; empty where all is.
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
    told = [("import", imported), ("export", exported), ("published prices", price)]
    files, bought_kwh = issues.files, None
    if site.tariff.imbalance is not None:
        bought = read_issues(site, "bought", ledger.period, state=state)
        quarters_h = np.diff([at.timestamp() for at in times]) / 3600.0
        bought_kwh = bought.values([at.astimezone(UTC) for at in times[:-1]]) * quarters_h
        files = (*files, *bought.files)
        told.append(("what was bought", bought_kwh))
    for words, series in told:
        gone = int(np.isnan(series).sum())
        if gone:
            return Money(None, f"{words}: {gone} of {len(price)} quarter-hours are missing", files)
    written = bill(site.tariff, times, imported, exported, price, zone=ledger.period.zone, bought_kwh=bought_kwh)
    return Money(written, "" if site.tariff.reactive is None else NO_REACTIVE, files)
