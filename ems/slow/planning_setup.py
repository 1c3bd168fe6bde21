"""Puts the slow loop of a site together: its feeds, its stored past, its feeder, its tariff."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from drivers.feeds import FileFeed, ForecastSeries, HttpFeed
from ems.clock import Clock
from ems.config.asset_models import asset_models, planned_assets
from ems.config.assets import BuildingAutomation, HeatPumpAsset, LoadAsset, MeteredLoad
from ems.config.binding import MEASURED_ROLES, Bindings
from ems.config.heat_assets import HeatLoadAsset, HeatOnly
from ems.config.on_phase import plans_phases
from ems.config.site import Feed as FeedSpec
from ems.config.site import Outage as OutageSpec
from ems.config.site import Site
from ems.config.site_parts import FIRST, parts_of
from ems.evidence import RECORD as FACTOR
from ems.learner import Learner
from ems.planning import NetworkSource, PlanJournal, Planning, PlanningParts
from ems.slow.accounts import Accounts
from ems.slow.elsewhere import Elsewhere
from ems.slow.far_sight import FarSight
from ems.slow.feed_desk import BOUGHT, POINTS, Feed, FeedDesk, has_planes, is_windy
from ems.slow.forecast_record import RECORD as FORECAST
from ems.slow.foresee import Foreseer, StoredPast
from ems.slow.futures import Futures
from ems.slow.load_ladders import LoadLadders
from ems.slow.market import Market
from ems.slow.measured_past import STEP_S, MeasuredPast
from ems.slow.period_desk import PeriodDesk
from ems.slow.plan_resumed import read_plan
from ems.slow.published_log import KEPT_S, read_factor
from ems.slow.question import Questioner
from ems.slow.season_desk import SeasonDesk
from ems.slow.season_sight import SeasonSight, long_stores
from ems.slow.series_files import own_column, read_load_file, read_places, read_season
from ems.slow.situation import NEEDED_ROLES, OPTIONAL_ROLES
from ems.slow.zone_watch import Zone, ZoneWatch
from ems.store.journal import FILE as JOURNAL
from ems.store.journal import Record, last_records, latest_record, read_records, records_since
from ems.store.reader import oldest, read_at_each, read_means
from ems.store.segments import FOLDER
from ems.worker import Feeder, Solver
from optimization.assets import EvSession, HeatPump
from optimization.forecast.ladder import REMEMBERED_S
from optimization.forecast.past import Past, empty
from optimization.grid_case import bus_numbers, load_case
from optimization.network import GridLimits, Network
from optimization.periods import month_start
from optimization.problem import Plan
from optimization.switching import Outage, declared
from optimization.witness import Witness

logger = logging.getLogger(__name__)

DEMAND_RECORD = "demand_interval"
"""Journal kind of the metering intervals that the fast loop closes."""
BORDER_WITHIN_S = 30.0
"""A register tells the border of a metering interval from readings so near to it [s]."""
READ_AT_ONCE = 50
FETCH_SHARE = 0.2
"""A fetch may take so large a share of the planning period."""


def build_planning(
    site: Site,
    bindings: Bindings,
    clock: Clock,
    *,
    solver: Solver,
    journal: PlanJournal,
    state_dir: Path,
    feeds: Mapping[str, Feed] | None = None,
    learner: Learner | None = None,
    on_issue: Callable[[ForecastSeries], None] = lambda _series: None,
) -> Planning:
    """Build the slow loop of a site.

    Args:
        site: the site.
        bindings: which point measures what.
        clock: time.
        solver: answers questions.
        journal: keeps plans.
        state_dir: holds the history and the prepared feeder.
        feeds: where forecasts are published, by name; None to open those of the site file.
        learner: teaches the forecasts of loads that learn; None for nobody, so that they do without.
        on_issue: told every published issue once.

    Raises:
        GridError: the grid file cannot be read.
        SeriesError: a series file cannot be read.
    """
    file = site.file
    max_age_h = {name: feed.max_age_h for name, feed in named_feeds(site).items()}
    limit_s = FETCH_SHARE * file.planning.every_s
    opened = open_feeds(site, clock) if feeds is None else feeds
    desk = FeedDesk(opened, max_age_h, clock, limit_s, windy=is_windy(site), planes=has_planes(site), on_issue=on_issue)
    measured = MeasuredPast(measured_points(site, bindings), partial(read_means, history_path(state_dir)))
    zones = ZoneWatch(watched_zones(site), bindings)
    ladders = _ladders(site, clock, journal, learner, state_dir)
    market = Market(desk, ladders)
    market.keep(_published(state_dir / JOURNAL, clock.now()))
    foreseer = Foreseer(
        site, bindings, desk=desk, measured=measured, stored=stored_past(site), zones=zones, ladders=ladders,
        market=market,
    )  # fmt: skip
    zone = ZoneInfo(site.file.site.timezone)
    first, *others = parts_of(site).items()
    elsewhere = []
    for at, part in others:
        sight = FarSight(part, foreseer, zone, knows_rest=False)
        month = PeriodDesk(part, _accounts(part, bindings, desk, clock, state_dir, at=at), sight, _named(journal, at))
        elsewhere.append(Elsewhere(at, part, month, desk))
    accounts = _accounts(first[1], bindings, desk, clock, state_dir)
    beside = [at.periods for at in elsewhere]
    periods = PeriodDesk(first[1], accounts, FarSight(first[1], foreseer, zone), journal.record, beside=beside)
    questioner = Questioner.of(site, bindings, site.tariff, bus_numbers(grid_path(site)))
    network, futures = network_source(site, cache_dir(state_dir)), Futures(site, foreseer)
    season = _season(site, foreseer, zone, journal) if long_stores(site) else None
    parts = PlanningParts(
        measured, desk, foreseer, questioner, network, periods, futures, ladders, tuple(elsewhere), season
    )  # fmt: skip
    last = _last_plan(site, state_dir)
    return Planning(site, bindings, clock, solver=solver, journal=journal, parts=parts, last=last)


def _season(site: Site, foreseer: Foreseer, zone: ZoneInfo, journal: PlanJournal) -> SeasonDesk:
    """Let a site with long stores look at the season ahead; raises `SeriesError` where its year cannot be read."""
    return SeasonDesk(site, SeasonSight(site, FarSight(site, foreseer, zone, year=year_of(site))), journal.record)


def year_of(site: Site) -> dict[str, Past]:
    """Read the year of prices and weather that came with a site; empty without one; raises `SeriesError`."""
    name = site.file.series.season
    return {} if name is None else read_season(site.folder / "series" / name)


def _ladders(site: Site, clock: Clock, journal: PlanJournal, learner: Learner | None, state_dir: Path) -> LoadLadders:
    """Take up the ladders of the loads where the journal ends."""
    ladders, now = LoadLadders(site, journal, learner), clock.now()
    ladders.resume(_between(state_dir / JOURNAL, FORECAST, now - timedelta(seconds=REMEMBERED_S), now))
    return ladders


def _published(journal: Path, now: datetime) -> Iterator[ForecastSeries]:
    """Read the prices and carbon factors of the last weeks that the journal has; one that is none is left out."""
    for record in _between(journal, FACTOR, now - timedelta(seconds=KEPT_S), now):
        try:
            yield read_factor(record.body)
        except (KeyError, TypeError, ValueError) as error:
            logger.warning("entry %d of the journal is no published series: %s", record.id, error)


def _between(journal: Path, kind: str, since: datetime, until: datetime) -> Iterator[Record]:
    """Read records piece by piece: four weeks of forecasts at once would be more than the core ever holds."""
    before = last_records(journal, kind, 1, since)
    after_id = before[0].id if before else 0
    while records := read_records(journal, kind, after_id, READ_AT_ONCE):
        yield from (record for record in records if record.at <= until)
        after_id = records[-1].id


def _last_plan(site: Site, state_dir: Path) -> Plan | None:
    """Read the newest plan of before this start; None where it was made with another configuration."""
    kept = latest_record(state_dir / JOURNAL, "plan")
    if kept is None or kept.body.get("config") != site.config_hash:
        return None
    try:
        return read_plan(kept.body)
    except (KeyError, TypeError, ValueError) as error:
        logger.warning("the last plan cannot be read: %s", error)
        return None


def _named(journal: PlanJournal, at: str) -> Callable[[str, Mapping[str, Any]], object]:
    """Record for a connection beside the first one: what is written says its id."""
    return lambda kind, body: journal.record(kind, {**body, "connection": at})


def _accounts(
    site: Site, bindings: Bindings, desk: FeedDesk, clock: Clock, state_dir: Path, *, at: str = FIRST
) -> Accounts:
    """Take up month and week of a connection from what is stored: the newest plan's accounts, then the registers since.

    `site` is what hangs on the connection, `at` its id.
    """
    accounts = Accounts(site, bindings, partial(desk.published, "carbon"))
    journal, history, now = state_dir / JOURNAL, history_path(state_dir), clock.now()
    kept = latest_record(journal, "plan")
    since = month_start(now, ZoneInfo(site.file.site.timezone))
    body = (
        None if kept is None else kept.body.get("accounts_elsewhere", {}).get(at) if at else kept.body.get("accounts")
    )
    if kept is not None and body is not None:
        accounts.restore(body)
        since = max(since, kept.at)
    closed = (record.body for record in records_since(journal, DEMAND_RECORD, since))
    accounts.note_intervals(body for body in closed if body.get("connection", FIRST) == at)
    if accounts.register is not None and (known := oldest(history)) is not None:
        # A young history is not asked for every border of the month.
        since = max(since, known - timedelta(seconds=accounts.interval_s))
        accounts.replay(_registers(history, accounts.register, since, now, accounts.replay_s))
    return accounts


def _registers(
    history: Path, point: str, since: datetime, until: datetime, interval_s: float
) -> Iterator[tuple[datetime, float]]:
    """Read a register at the borders of metering intervals; those that nobody saw are left out."""
    first, last = math.ceil(since.timestamp() / interval_s), math.floor(until.timestamp() / interval_s)
    borders = [datetime.fromtimestamp(number * interval_s, UTC) for number in range(first, last + 1)]
    for at, register in zip(borders, read_at_each(history, point, borders, BORDER_WITHIN_S), strict=True):
        if register is not None:
            yield at, register


def history_path(state_dir: Path) -> Path:
    """Tell where the history of measurements lies."""
    return state_dir / FOLDER


def cache_dir(state_dir: Path) -> Path:
    """Tell where prepared feeders lie."""
    return state_dir / "cache"


def grid_path(site: Site) -> Path:
    """Tell where the grid of a site lies."""
    return site.folder / site.file.grid.file


def grid_limits(site: Site) -> GridLimits:
    """Give what a site allows on its feeder."""
    grid = site.file.grid
    return GridLimits(
        grid.voltage_min_pu,
        grid.voltage_max_pu,
        grid.loading_max_pct,
        grid.planning_margin_pct,
        per_phase=plans_phases(site.file),
    )


def balanced_limits(site: Site) -> GridLimits:
    """Give the same for a feeder whose phases are taken as one; it is prepared along with the phases."""
    return replace(grid_limits(site), per_phase=False)


def feeder(site: Site, state_dir: Path, witness: Witness = Witness.SAMPLED) -> Feeder:
    """Say where the plans of a site are made for, and how they are verified there."""
    bisections = site.file.planning.bisections
    return Feeder(grid_path(site), cache_dir(state_dir), grid_limits(site), witness, outages(site), bisections)


def outages(site: Site) -> tuple[Outage, ...]:
    """Give the outages that the plans of a site have to survive; raises `GridError`."""
    if not site.file.grid.outages:
        return ()
    switches, allowed = declared(grid_path(site)).switches, grid_limits(site)

    def limits(spec: OutageSpec) -> GridLimits:
        own = {key: getattr(spec, key) for key in ("voltage_min_pu", "voltage_max_pu", "loading_max_pct")}
        return replace(allowed, **{key: value for key, value in own.items() if value is not None})

    return tuple(
        Outage(name, spec.out, tuple(switches[switch] for switch in spec.closed), limits(spec))
        for name, spec in site.file.grid.outages.items()
    )


def network_source(site: Site, cache: Path) -> NetworkSource:
    """Give a function that loads the prepared feeder, once it has been prepared, and keeps it."""
    kept: list[Network] = []

    def load() -> Network | None:
        if not kept and (case := load_case(grid_path(site), grid_limits(site), cache)) is not None:
            kept.append(case.network)
        return kept[0] if kept else None

    return load


def open_feeds(site: Site, clock: Clock) -> dict[str, Feed]:
    """Open the feeds of the site file; raises nothing: a feed that is not there fails when it is fetched."""
    return {name: _open_feed(feed.source, site, clock) for name, feed in named_feeds(site).items()}


def named_feeds(site: Site) -> dict[str, FeedSpec]:
    """List the feeds of the site file by name."""
    named = {name: getattr(site.file.feeds, name) for name in (*POINTS, *BOUGHT)}
    return {name: feed for name, feed in named.items() if feed is not None}


def _open_feed(source: str, site: Site, clock: Clock) -> Feed:
    if source.startswith(("http://", "https://")):
        return HttpFeed(source, clock)
    return FileFeed(site.folder / source)


def stored_past(site: Site) -> StoredPast:
    """Read what came with the site; raises `SeriesError`."""
    series, folder = site.file.series, site.folder / "series"
    loads = {name: asset for name, asset in site.file.assets.items() if isinstance(asset, LoadAsset | MeteredLoad)}
    metered = [name for name, asset in loads.items() if isinstance(asset, MeteredLoad)]
    file = read_load_file(folder / series.load) if series.load is not None else None
    heated = [name for name, asset in site.file.assets.items() if isinstance(asset, HeatLoadAsset)]
    heated = [name for name in heated if file is not None and own_column(name) in file.columns]
    unmetered = [name for name in loads if name not in metered]
    places: dict[str, list[EvSession]] = {}
    for place, stay in read_places(folder / series.ev_sessions) if series.ev_sessions is not None else ():
        places.setdefault(place, []).append(stay)
    return StoredPast(
        file.residual(unmetered, STEP_S) if file is not None and unmetered else empty(STEP_S),
        tuple(sorted((stay for stays in places.values() for stay in stays), key=lambda stay: stay.arrival)),
        {name: file.metered(name, STEP_S) for name in (*metered, *heated)} if file is not None else {},
        {place: tuple(stays) for place, stays in places.items() if place},
    )


def measured_points(site: Site, bindings: Bindings) -> list[str]:
    """Name the points whose past is kept."""
    roles = sorted({role for needed in NEEDED_ROLES.values() for role in needed} | set(OPTIONAL_ROLES))
    found = [bindings.measure(name, role) for name in site.file.assets for role in roles]
    for name, spec in site.file.assets.items():
        if isinstance(spec, HeatOnly):
            found += [bindings.measure(name, role) for role in MEASURED_ROLES[spec.kind]]
        if isinstance(spec, BuildingAutomation):
            found += [bindings.measure(name, role) for role in spec.limits]
    return sorted({point for point in found if point is not None})


def watched_zones(site: Site) -> dict[str, Zone]:
    """Give the heated zones of a site, by asset id."""
    models = asset_models(site, {})
    zones = {}
    for name, spec in planned_assets(site).items():
        model = models[name]
        if isinstance(spec, HeatPumpAsset) and isinstance(model, HeatPump):
            zones[name] = Zone(model, spec.gains_kw, spec.window_m2)
    return zones
