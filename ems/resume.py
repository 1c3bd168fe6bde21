"""What the fast loop takes up after a restart, from what was stored before it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ems.clock import Clock
from ems.config.binding import Bindings
from ems.config.site import Site
from ems.fast.decisions import Lever
from ems.fast.demand import KEPT, RECORD, DemandDesk
from ems.fast.foreign import ForeignWriters
from ems.fast.hygiene import HygieneDesk
from ems.fast.queues import CALL_S, Queues
from ems.fast.sessions import Sessions
from ems.fast.wear import DAY_S, WriteBudget, allowances, journalled
from ems.limits.desk import RECORD as LIMIT_RECORD
from ems.limits.desk import LimitDesk
from ems.limits.in_force import Instant
from ems.limits.sources import sources_of
from ems.slow.planning_setup import history_path
from ems.store.journal import FILE, latest_record, records_since
from ems.store.journal import Record as Journalled
from ems.store.reader import read_at

Record = Callable[[str, Mapping[str, Any]], object]

MONTH = timedelta(days=31)
"""No car stands, no dispute lasts and no tank stays hot for longer."""
NEAR_S = 60.0
"""A stored register within so much of a metering interval's start tells its first value [s]."""


def transitions(state_dir: Path, now: datetime) -> list[Journalled]:
    """Read the transitions of the last month that were journalled before this start, oldest first."""
    return records_since(state_dir / FILE, "transition", now - MONTH)


def resumed_sessions(site: Site, bindings: Bindings, record: Record, before: Iterable[Journalled]) -> Sessions:
    """Take up the cars that stood at the charge points before this start."""
    sessions = Sessions(site, bindings, record)
    sessions.restore((one.at, one.body) for one in before)
    return sessions


def resumed_foreign(
    levers: Mapping[str, Lever], record: Record, before: Iterable[Journalled], clock: Clock
) -> ForeignWriters:
    """Take up the disputes with other writers of before this start."""
    foreign, now, now_s = ForeignWriters(levers, record), clock.now(), clock.monotonic()
    foreign.restore(((min(now_s - (now - one.at).total_seconds(), now_s), one.body) for one in before), now_s)
    return foreign


def resumed_budget(site: Site, bindings: Bindings, state_dir: Path, clock: Clock) -> WriteBudget:
    """Take up the writes of the last 24 h to points that wear."""
    budget, now, now_s = WriteBudget(allowances(site, bindings)), clock.now(), clock.monotonic()
    if budget.allowances:
        since = now - timedelta(seconds=DAY_S)
        kept = [one for kind in ("intent", "result") for one in records_since(state_dir / FILE, kind, since)]
        kept.sort(key=lambda record: record.id)
        told = journalled(((one.at, one.kind, one.body) for one in kept), budget.allowances)
        budget.restore(sorted((min(now_s - (now - at).total_seconds(), now_s), point) for at, point in told))
    return budget


def resumed_demand(
    site: Site, bindings: Bindings, record: Record, state_dir: Path, now: datetime, *, at: str = ""
) -> DemandDesk:
    """Take up the running metering interval and the month's peak so far of a connection, by its id."""

    def named(kind: str, body: Mapping[str, Any]) -> object:
        return record(kind, {**body, "connection": at})

    desk = DemandDesk(site, bindings, named if at else record)
    kept = records_since(state_dir / FILE, RECORD, now - KEPT)
    history = history_path(state_dir)
    desk.restore(
        (one.body for one in kept if one.body.get("connection", "") == at),
        lambda point, at: read_at(history, point, at, NEAR_S),
        now,
    )
    return desk


def resumed_queues(
    site: Site, bindings: Bindings, record: Record, before: Iterable[Journalled], now: datetime
) -> Queues:
    """Take up the calls that stood before this start."""
    queues = Queues(site, bindings, record)
    queues.restore(one.body for one in before if now - one.at <= timedelta(seconds=CALL_S))
    return queues


def resumed_hygiene(site: Site, bindings: Bindings, record: Record, before: Iterable[Journalled]) -> HygieneDesk:
    """Take up when tanks were last hot."""
    desk = HygieneDesk(site, bindings, record)
    desk.restore(one.body for one in before)
    return desk


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
