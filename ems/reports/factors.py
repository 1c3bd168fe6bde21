"""The carbon factor of every hour, with where it comes from: which factor, whose, which edition, issued when.

A value that was issued after its hour is what happened; one that was issued before is a forecast, and is called one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from drivers.feeds import ForecastSeries
from ems.config.site import Site
from ems.reports.evidence import Factor, factor_for, read_factors
from ems.reports.period import HOUR, Period
from ems.reports.published import Issues, read_issues
from ems.store.archive import ArchiveFile

QUARTER = timedelta(minutes=15)
DECIMALS = 6


class FactorError(ValueError):
    """There is no factor for what is asked: the message names it and says what to write."""


@dataclass(frozen=True, slots=True)
class HourFactor:
    """The factor of one hour.

    Args:
        factor: the entry of the evidence that it is.
        kg_per_kwh: None where a feed published nothing.
        issued_at: when a feed published it; None for a fixed value.
        source: who published it. version: which edition.
        basis: `fixed`, `actual`, `forecast`, or `missing`.
    """

    factor: Factor
    kg_per_kwh: float | None
    issued_at: datetime | None
    source: str
    version: str
    basis: str

    @classmethod
    def fixed(cls, factor: Factor) -> HourFactor:
        """Give a factor that is one value."""
        return cls(factor, factor.value, None, factor.source, factor.version, "fixed")


def hourly_factors(
    site: Site, period: Period, *, wanted: str | None = None, state: Path | None = None
) -> tuple[tuple[HourFactor, ...], tuple[ArchiveFile, ...]]:
    """Find the factor of each hour of a period, and the files that they came from.

    Args:
        site: the site.
        period: the period.
        wanted: id of a factor; None for the last one written that holds on a day.
        state: state directory of a daemon, whose journal keeps each issue; None to go without.

    Raises:
        FactorError: no factor of the evidence holds on a day, or the wanted one is not there.
        SiteError: the evidence cannot be read.
        ArchiveError: what was published cannot be read.
    """
    factors = read_factors(site.folder)
    chosen = [_choose(factors, period, hour, wanted) for hour in period.hours]
    if not any(factor.feed for factor in chosen):
        return tuple(HourFactor.fixed(factor) for factor in chosen), ()
    issues = read_issues(site, "carbon", period, state=state)
    pairs = zip(chosen, period.hours, strict=True)
    return tuple(_of(factor, hour, issues) for factor, hour in pairs), issues.files


def _choose(factors: Sequence[Factor], period: Period, hour: datetime, wanted: str | None) -> Factor:
    day = hour.astimezone(period.zone).date()
    factor = factor_for(factors, day, wanted)
    if factor is not None:
        return factor
    grid = [f for f in factors if f.kind == "location_based"]
    known = ", ".join(f"{f.id} ({f.valid_from} to {f.valid_to or 'now'})" for f in grid) or "none"
    name = f"carbon factor {wanted!r}" if wanted else "carbon factor"
    raise FactorError(
        f"no {name} holds on {day}; evidence/factors.yaml has {known}: name one, or write one for that day"
    )


def _of(factor: Factor, hour: datetime, issues: Issues) -> HourFactor:
    if factor.value is not None:
        return HourFactor.fixed(factor)
    # A zone may lie half an hour beside UTC: its hour is the mean of its quarters then.
    found = [each for k in range(4) if (each := issues.at(hour + k * QUARTER)) is not None]
    if len(found) < 4:
        return HourFactor(factor, None, None, factor.source, factor.version, "missing")
    newest: ForecastSeries = max((series for _, series in found), key=lambda series: series.issued_at)
    value = round(sum(value for value, _ in found) / 4.0, DECIMALS)
    basis = "actual" if all(series.issued_at >= hour + HOUR for _, series in found) else "forecast"
    source, version = newest.source or factor.source, newest.version or factor.version
    return HourFactor(factor, value, newest.issued_at, source, version, basis)
