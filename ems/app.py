"""All wiring, here and nowhere else: from a site, a state folder, a clock and a solver to a daemon."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

from drivers.driver import Driver
from ems.clock import Clock
from ems.config.asset_models import asset_models
from ems.config.binding import Bindings, bind
from ems.config.inverter_models import inverters
from ems.config.site import Site
from ems.config.site_parts import FIRST, connection_of, parts_of
from ems.config.step_models import nobody_sets
from ems.control import Desks, Parts
from ems.daemon import Daemon
from ems.delivery.outbox import Outbox
from ems.delivery.receivers import receivers
from ems.evidence import Evidence
from ems.fast.connected import steering_of
from ems.fast.counters import Counters
from ems.fast.decisions import Lever
from ems.fast.emergency import EmergencyDesk
from ems.fast.fleet import Fleet
from ems.fast.following import Following
from ems.fast.grid_eye import GridEye
from ems.fast.levers import build_levers
from ems.fast.orders import Orders
from ems.fast.plausible import believable
from ems.fast.prices import PriceBook
from ems.fast.turns import Turns
from ems.fast.watchman import Watchman
from ems.fast.writing import COMMIT_SHARE, COMMIT_WAIT_S, Writer
from ems.health import Alarms, Health
from ems.keeping import Keeper
from ems.learner import Learner
from ems.limits.door import Door
from ems.notary import Notary
from ems.operations.vitals import Vitals
from ems.planning import Planning
from ems.privacy import discretion
from ems.process_image import ProcessImage
from ems.resume import (
    resumed_budget,
    resumed_demand,
    resumed_foreign,
    resumed_hygiene,
    resumed_limits,
    resumed_queues,
    resumed_sessions,
    transitions,
)
from ems.slow.feed_desk import Feed
from ems.slow.lookout_setup import build_lookout
from ems.slow.lookout_watch import LookoutWatch
from ems.slow.planning_setup import build_planning, cache_dir, grid_limits, grid_path
from ems.stores import OpenStores, Stores, open_stores, speed
from ems.worker import Solver
from optimization.grid_case import bus_numbers, load_case


def build(
    site: Site,
    state_dir: Path,
    clock: Clock,
    solver: Solver,
    *,
    cycle_s: float,
    durable: bool = True,
    feeds: Mapping[str, Feed] | None = None,
    drivers: Mapping[str, Driver] | None = None,
    withheld: str = "",
    learner: Learner | None = None,
    opener: OpenStores = open_stores,
) -> Daemon:
    """Wire a daemon; it owns the site from here on and writes nothing before its first cycle.

    Args:
        site: the loaded site.
        state_dir: its state folder.
        clock: time.
        solver: answers planning questions.
        cycle_s: period of the control loop [s].
        durable: whether records survive a power cut (a bench needs no such thing).
        feeds: where forecasts are published; None for those of the site file.
        drivers: by device id; None to build those of the site file.
        withheld: why nothing may be controlled yet, see `Daemon.withhold`.
        learner: teaches the forecasts that learn; None for nobody, as simulations have to be fast and repeatable.
        opener: opens the stores, as `open_stores` does.

    Raises:
        NotOwner: another process steers this site.
        StoreError: a file of the state folder cannot be used.
        GridError, SeriesError: the site's data cannot be read.
    """
    withheld = withheld or nobody_sets(site)
    stores = opener(state_dir, clock, lease_s=site.file.control.lease_s, durable=durable)
    bindings = bind(site)
    evidence = Evidence(site, bindings, stores.record)
    planning = build_planning(
        site, bindings, clock,
        solver=solver, journal=stores.journal, state_dir=state_dir, feeds=feeds, learner=learner,
        on_issue=evidence.issue,
    )  # fmt: skip
    orders = Orders(site, stores.box, stores.record)
    orders.withheld = withheld
    fleet = Fleet(site, clock, orders.poll(clock.now()), given=drivers)
    alarms, health = Alarms(stores.record), Health(stores.record)
    wiring = _Wiring(site, bindings, clock, stores, fleet, cycle_s, state_dir)
    watchman = Watchman(alarms, health, fleet.drivers, discretion(site))
    parts = _parts(wiring, planning, orders=orders, watchman=watchman)
    daemon = Daemon(
        site,
        clock,
        stores=stores,
        fleet=fleet,
        parts=parts,
        planning=planning,
        solver=solver,
        alarms=alarms,
        health=health,
        evidence=evidence,
        lookout=_lookout(wiring, alarms),
        door=_door(wiring, parts),
        notary=_notary(wiring, alarms) if durable else None,
        vitals=Vitals(state_dir, stores, parts.counters, planning.counts),
        cycle_s=cycle_s,
    )
    if durable:
        keeper = Keeper(site.file.retention, state_dir, clock, journal=stores.journal, alarms=alarms)
        keeper.enter(daemon.timetable)
    daemon.withhold(withheld)
    return daemon


@dataclass(frozen=True, slots=True)
class _Wiring:
    """What nearly every part needs."""

    site: Site
    bindings: Bindings
    clock: Clock
    stores: Stores
    fleet: Fleet
    cycle_s: float
    state_dir: Path


def _lookout(wiring: _Wiring, alarms: Alarms) -> LookoutWatch:
    site, hides = wiring.site, discretion(wiring.site).hides
    lookout = build_lookout(site, wiring.bindings, cache_dir(wiring.state_dir), wiring.stores.record, hides=hides)
    return LookoutWatch(lookout, alarms, hides, site.file.planning.max_plan_age_s)


def _notary(wiring: _Wiring, alarms: Alarms) -> Notary:
    site, journal = wiring.site, wiring.stores.journal
    outbox = Outbox(receivers(site, wiring.state_dir), journal, wiring.state_dir)
    return Notary(site.file.site.id, wiring.state_dir, wiring.clock, journal=journal, alarms=alarms, outbox=outbox)


def _door(wiring: _Wiring, parts: Parts) -> Door | None:
    spec = wiring.site.file.grid_operator
    if parts.limits is None or spec is None or spec.api is None:
        return None
    return Door(parts.limits, wiring.clock, wiring.state_dir)


def _eye(site: Site, state_dir: Path) -> GridEye:
    path = grid_path(site)
    assets = tuple(asset_models(site, bus_numbers(path)).values())
    return GridEye(lambda: load_case(path, grid_limits(site), cache_dir(state_dir)), assets, inverters(site))


def _parts(wiring: _Wiring, planning: Planning, *, orders: Orders, watchman: Watchman) -> Parts:
    site, bindings, clock, stores = wiring.site, wiring.bindings, wiring.clock, wiring.stores
    levers, before = build_levers(site, bindings), transitions(wiring.state_dir, clock.now())
    first, *others = (_desks(wiring, planning, levers, *each) for each in parts_of(site).items())
    writer = Writer(
        levers=levers,
        bindings=bindings,
        drivers=wiring.fleet.drivers,
        journal=stores.journal,
        clock=clock,
        owns=stores.owner.valid,
        lease_s=site.file.control.lease_s,
        cycle_s=wiring.cycle_s,
        commit_wait_s=min(COMMIT_WAIT_S * speed(clock), COMMIT_SHARE * wiring.cycle_s),
        budget=resumed_budget(site, bindings, wiring.state_dir, clock),
    )

    return Parts(
        site=site,
        bindings=bindings,
        levers=levers,
        drivers=wiring.fleet.drivers,
        clock=clock,
        image=ProcessImage(site.file.control.stale_after_s, *believable(site, bindings)),
        orders=orders,
        sessions=resumed_sessions(site, bindings, stores.record, before),
        queues=resumed_queues(site, bindings, stores.record, before, clock.now()),
        demand=first.demand,
        steering=steering_of(site, bindings, levers, _eye(site, wiring.state_dir).rows),
        writer=writer,
        following=Following(levers, wiring.cycle_s),
        foreign=resumed_foreign(levers, stores.record, before, clock),
        turns=first.turns,
        watchman=watchman,
        counters=Counters(),
        plan=planning.in_force,
        prices=first.prices,
        keep=stores.history.append,
        adopt=wiring.fleet.adopt,
        limits=resumed_limits(site, stores.record, wiring.state_dir, clock),
        hygiene=resumed_hygiene(site, bindings, stores.record, before),
        emergency=EmergencyDesk(_hanging(site, levers, FIRST), site.file.grid, stores.record),
        elsewhere=dict(zip(site.file.connections, others, strict=True)),
    )


def _desks(wiring: _Wiring, planning: Planning, levers: Mapping[str, Lever], at: str, part: Site) -> Desks:
    """Build what is kept of a connection alone: its metering interval, its turns after an outage, its prices."""
    bindings, stores, now = wiring.bindings, wiring.stores, wiring.clock.now()
    here = _hanging(wiring.site, levers, at)
    return Desks(
        demand=resumed_demand(part, bindings, stores.record, wiring.state_dir, now, at=at),
        turns=Turns(part, here, bindings, cold=stores.owner.after_boot),
        prices=PriceBook(part.tariff, planning.desk, ZoneInfo(part.file.site.timezone)).at,
    )


def _hanging(site: Site, levers: Mapping[str, Lever], at: str) -> Mapping[str, Lever]:
    """Give the levers of what hangs on a connection."""
    return {name: lever for name, lever in levers.items() if connection_of(site, name) == at}
