"""What a site's own files tell of an instant: what was measured before it, and what had been published by then.

Measurements are those of the site's history and of the state directory (`ems.store.archive`), as snapshots every five
minutes. Powers are means over the recorded quarter-hour, states are those last read, registers stand at quarter-hours.
Published are the documents of `series/published/`; a feed that has none of the time is asked itself.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from drivers.feeds import FeedError, ForecastSeries, parse_document
from drivers.points import Quality
from ems.clock import Clock
from ems.config.assets import GridMeter
from ems.config.binding import Bindings
from ems.config.site import Site
from ems.process_image import Reading, Snapshot
from ems.slow.feed_desk import KEPT, Feed
from ems.slow.measured_past import KEPT_S
from ems.slow.measured_past import STEP_S as SNAPSHOT_S
from ems.slow.planning_setup import measured_points, open_feeds
from ems.store.archive import STEP_S, Wanted, months, read_archive
from optimization.periods import month_start

POWER = ".power_kw"
SHELF = Path("series") / "published"


def newest(site: Site) -> datetime | None:
    """Tell the end of the site's own history, in UTC; None where it has none."""
    shelf = _shelf(site)
    held = months(shelf)
    if not held:
        return None
    at = pd.read_parquet(shelf / f"{held[-1]}.parquet", columns=["at"])["at"].max()
    found: datetime = at.to_pydatetime().astimezone(UTC)
    return found


def snapshots(
    site: Site, bindings: Bindings, at: datetime, *, state: Path | None, told: Mapping[str, float]
) -> Iterator[Snapshot]:
    """Give what was measured, from two weeks before an instant or its month's start on; the last snapshot is its own.

    Args:
        site: the site.
        bindings: which point measures what.
        at: UTC.
        state: its state directory; None to go without.
        told: values that hold at the instant whatever was recorded, by point.

    Raises:
        ArchiveError: a history cannot be read.
    """
    registers, powers, states = _points(site, bindings)
    until = at - timedelta(seconds=at.timestamp() % STEP_S)
    since = min(until - timedelta(seconds=KEPT_S), month_start(until, ZoneInfo(site.file.site.timezone)))
    first = since - timedelta(seconds=since.timestamp() % STEP_S)
    stale_s = 2.0 * site.file.control.stale_after_s
    frame = read_archive(
        _shelf(site), Wanted([*registers, *states], powers, first, until), state=state, stale_s=stale_s
    ).frame
    values = {point: frame[point].to_numpy() for point in frame}
    for row in range(1, len(frame)):
        bound = frame.index[row - 1].to_pydatetime()
        for part in range(round(STEP_S / SNAPSHOT_S)):
            known = {point: values[point][row] for point in powers}
            known |= {point: values[point][row - 1] for point in states}
            known |= {point: values[point][row - 1] for point in registers} if part == 0 else {}
            yield _snapshot(bound + timedelta(seconds=part * SNAPSHOT_S), known)
    yield _snapshot(at, {**{point: series[-1] for point, series in values.items()}, **told})


def _points(site: Site, bindings: Bindings) -> tuple[list[str], list[str], list[str]]:
    """Sort the points whose past is wanted: registers, powers, states."""
    known = measured_points(site, bindings)
    meters = [name for name, spec in site.file.assets.items() if isinstance(spec, GridMeter)]
    registers = [point for name in meters if (point := bindings.measure(name, "import_kwh")) is not None]
    powers = [point for point in known if point.endswith(POWER)]
    powers += [p for n in meters if (p := bindings.measure(n, "power_kw")) is not None and p not in powers]
    return registers, powers, [point for point in known if point not in powers]


def _snapshot(at: datetime, values: Mapping[str, float]) -> Snapshot:
    read_s = at.timestamp()
    readings = {p: Reading(p, float(v), at, read_s, Quality.GOOD) for p, v in values.items() if np.isfinite(v)}
    return Snapshot(at, read_s, readings)


@dataclass(frozen=True, slots=True)
class PublishedShelf:
    """Gives all issues of the last days up to an instant, as a daemon would have collected them.

    Args:
        series: all that are stored.
        name: of the feed, for messages.
    """

    series: Sequence[ForecastSeries]
    name: str

    async def fetch(self, now: datetime) -> Sequence[ForecastSeries]:
        """Give them, the oldest first; raises `FeedError` where there is none."""
        issues = [each for each in self.series if now - KEPT < each.issued_at <= now]
        if not issues:
            raise FeedError(f"{self.name}: {SHELF} holds nothing that was published in the days before {now}")
        return sorted(issues, key=lambda each: each.issued_at)


def feeds(site: Site, at: datetime, clock: Clock) -> dict[str, Feed]:
    """Put what was published before an instant behind the site's feeds."""
    own = open_feeds(site, clock)
    shelves = {name: PublishedShelf(_stored(site, name, at), name) for name in own}
    return {name: shelf if shelf.series else own[name] for name, shelf in shelves.items()}


def _stored(site: Site, name: str, at: datetime) -> list[ForecastSeries]:
    since = at - KEPT
    wanted = {f"{name}-{instant:%Y-%m}.json.gz" for instant in (since, at, at + timedelta(days=1))}
    found = []
    for path in sorted((site.folder / SHELF).glob(f"{name}-*.json.gz")):
        if path.name in wanted:
            for document in json.loads(gzip.decompress(path.read_bytes())):
                found += parse_document(document, path.name)
    return [each for each in found if since < each.issued_at <= at]


def _shelf(site: Site) -> Path:
    return site.folder / (site.file.series.history or "history")
