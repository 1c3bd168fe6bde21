"""What the fast loop takes up after a restart, from what was stored before it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ems.clock import Clock
from ems.config.binding import Bindings
from ems.config.site import Site
from ems.fast.demand import KEPT, RECORD, DemandDesk
from ems.fast.queues import CALL_S, Queues
from ems.limits.desk import RECORD as LIMIT_RECORD
from ems.limits.desk import LimitDesk
from ems.limits.in_force import Instant
from ems.limits.sources import sources_of
from ems.slow.planning_setup import history_path
from ems.store.journal import FILE, latest_record, read_records, records_since
from ems.store.reader import read_at

Record = Callable[[str, Mapping[str, Any]], object]

NEAR_S = 60.0
"""A stored register within so much of a metering interval's start tells its first value [s]."""


def transitions(state_dir: Path) -> Iterator[Mapping[str, Any]]:
    """Read the transitions that were journalled before this start, oldest first."""
    after_id = 0
    while records := read_records(state_dir / FILE, kind="transition", after_id=after_id):
        yield from (record.body for record in records)
        after_id = records[-1].id


def resumed_demand(site: Site, bindings: Bindings, record: Record, state_dir: Path, now: datetime) -> DemandDesk:
    """Take up the running metering interval and the month's peak so far."""
    desk = DemandDesk(site, bindings, record)
    kept = records_since(state_dir / FILE, RECORD, now - KEPT)
    history = history_path(state_dir)
    desk.restore((one.body for one in kept), lambda point, at: read_at(history, point, at, NEAR_S), now)
    return desk


def resumed_queues(site: Site, bindings: Bindings, record: Record, state_dir: Path, now: datetime) -> Queues:
    """Take up the calls that stood before this start."""
    queues = Queues(site, bindings, record)
    kept = records_since(state_dir / FILE, "transition", now - timedelta(seconds=CALL_S))
    queues.restore(one.body for one in kept)
    return queues


def resumed_limits(
    site: Site, record: Callable[[str, Mapping[str, Any]], Future[int]], state_dir: Path, clock: Clock
) -> LimitDesk | None:
    """Take up what the grid operator had limited; None for a site that no grid operator limits."""
    sources = sources_of(site)
    if sources is None:
        return None
    kept = latest_record(state_dir / FILE, LIMIT_RECORD)
    now = Instant(clock.now(), clock.monotonic())
    return LimitDesk(sources, record, now, None if kept is None else kept.body)
