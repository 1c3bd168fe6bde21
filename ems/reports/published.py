"""What was published over a period, with its instants of issue: from the site's folder and from a daemon's journal."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from drivers.feeds import FeedError, ForecastSeries, parse_document
from ems.config.site import Site
from ems.reports.period import Period
from ems.store.archive import ArchiveError, ArchiveFile, sha256_of
from ems.store.database import StoreError
from ems.store.journal import records_since
from optimization.slots import Floats

FOLDER = Path("series") / "published"
EARLIER = timedelta(days=4)
"""No issue reaches further ahead than this."""


@dataclass(frozen=True, slots=True, eq=False)
class Issues:
    """All issues of one quantity that may tell of a period.

    Args:
        series: in the order of their issue; the last one that covers an instant holds.
        files: what was read.
    """

    series: tuple[ForecastSeries, ...]
    files: tuple[ArchiveFile, ...]

    def at(self, instant: datetime) -> tuple[float, ForecastSeries] | None:
        """Give the newest value published for an instant, and the issue that it stands in."""
        for series in reversed(self.series):
            value = value_at(series, instant)
            if value is not None:
                return value, series
        return None

    def values(self, instants: Sequence[datetime]) -> Floats:
        """Give the newest value for each instant, `nan` where nothing was published, shape (n,)."""
        found = (self.at(instant) for instant in instants)
        return np.array([np.nan if each is None else each[0] for each in found], dtype=float)


def value_at(series: ForecastSeries, instant: datetime) -> float | None:
    """Give what an issue says of an instant; None if nothing."""
    step = (instant - series.valid_from).total_seconds() // series.step_s
    return series.values[int(step)] if 0 <= step < len(series.values) else None


def read_issues(site: Site, what: str, period: Period, *, state: Path | None = None) -> Issues:
    """Read all issues of `price` or `carbon` that may tell of a period.

    Args:
        site: the site.
        what: name of the feed, which is that of its point.
        period: the period.
        state: state directory of a daemon, whose journal keeps each issue; None to go without.

    Raises:
        ArchiveError: a file is damaged.
    """
    files = tuple(_files(site, what, period))
    found = [series for file in files for series in _series(file.path) if series.point == what]
    if state is not None:
        found += _journalled(state / "journal.db", what, period)
    near = [s for s in found if s.issued_at > period.start - EARLIER and _end(s) > period.start]
    near = [s for s in near if s.valid_from < period.end]
    return Issues(tuple(sorted(near, key=lambda s: (s.issued_at, s.source, s.version))), files)


def _files(site: Site, what: str, period: Period) -> Iterator[ArchiveFile]:
    first, last = (f"{at:%Y-%m}" for at in (period.start - EARLIER, period.end + EARLIER))
    for path in sorted((site.folder / FOLDER).glob(f"{what}-[0-9][0-9][0-9][0-9]-[0-9][0-9].json.gz")):
        if first <= path.name.removeprefix(f"{what}-").removesuffix(".json.gz") <= last:
            yield ArchiveFile((FOLDER / path.name).as_posix(), path, sha256_of(path))
    source = getattr(site.file.feeds, what).source
    if not source.startswith(("http://", "https://")):
        yield ArchiveFile(source, site.folder / source, sha256_of(site.folder / source))


def _series(path: Path) -> list[ForecastSeries]:
    try:
        content = path.read_bytes()
        text = gzip.decompress(content) if path.suffix == ".gz" else content
        held = json.loads(text)
        documents = held if isinstance(held, list) else [held]
        return [series for document in documents for series in parse_document(document, path.name)]
    except (OSError, EOFError, ValueError, FeedError) as error:
        raise ArchiveError(f"{path} holds no published forecasts ({error}); restore it from its source") from error


def _journalled(path: Path, what: str, period: Period) -> list[ForecastSeries]:
    try:
        records = records_since(path, "factor", period.start - EARLIER)
    except StoreError as error:
        raise ArchiveError(str(error)) from error
    return [_from_journal(record.body) for record in records if record.body.get("point") == what]


def _from_journal(body: Mapping[str, object]) -> ForecastSeries:
    entry = {key: value for key, value in body.items() if key != "quantiles"}
    return parse_document({"schema_version": 1, "series": [entry]}, "journal")[0]


def _end(series: ForecastSeries) -> datetime:
    return (series.valid_from + timedelta(seconds=series.step_s * len(series.values))).astimezone(UTC)
