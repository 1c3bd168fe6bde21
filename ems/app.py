"""All wiring, here and nowhere else: from a site, a state folder, a clock and a solver to a daemon."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from drivers.driver import Driver
from drivers.points import Point
from ems.clock import Clock
from ems.config.binding import Bindings, bind
from ems.config.site import Site
from ems.control import ControlLoop, Cycle, Parts
from ems.delivery.outbox import Outbox
from ems.delivery.receivers import receivers
from ems.evidence import Evidence
from ems.fast.counters import Counters, report
from ems.fast.emergency import EmergencyDesk
from ems.fast.fleet import Fleet
from ems.fast.following import Following
from ems.fast.grid_eye import GridEye
from ems.fast.levers import build_levers
from ems.fast.orders import Orders
from ems.fast.plausible import believable
from ems.fast.prices import PriceBook
from ems.fast.queue_view import queues_view
from ems.fast.snapshot_view import live_view
from ems.fast.steering import Steering
from ems.fast.turns import Turns
from ems.fast.watchman import Watchman
from ems.fast.writing import COMMIT_SHARE, COMMIT_WAIT_S, Writer
from ems.health import Alarms, Health
from ems.keeping import Keeper
from ems.limits.door import Door
from ems.notary import CHECK_EVERY_S as AUDIT_EVERY_S
from ems.notary import Notary
from ems.operations.vitals import Vitals
from ems.planning import Planning
from ems.privacy import discretion
from ems.process_image import ProcessImage
from ems.resume import resumed_demand, resumed_foreign, resumed_limits, resumed_queues, resumed_sessions, transitions
from ems.slow.asset_models import asset_models
from ems.slow.feed_desk import Feed
from ems.slow.lookout_setup import build_lookout
from ems.slow.lookout_watch import LookoutWatch
from ems.slow.planning_setup import build_planning, cache_dir, grid_limits, grid_path
from ems.stores import OpenStores, Stores, open_stores, speed
from ems.timetable import Job, Timetable, every
from ems.wall_watch import CHECK_EVERY_S, SteppedClock, WallWatch
from ems.worker import Solver
from optimization.grid_case import bus_numbers, load_case

logger = logging.getLogger(__name__)

REGISTERS_EVERY_S = 3600.0
RENEWAL_SHARE = 0.02
"""The renewal of ownership is awaited for so small a share of the cycle: a busy disk must not hold control up."""
MANY_POINTS = 2000
"""More points are put into words by a thread, so that onlookers hold up no control."""
FIRST_FETCH_S = 2.0


class Daemon:
    """One site's controller: the fast loop, the slow loop and their timetable."""

    def __init__(
        self,
        site: Site,
        clock: Clock,
        *,
        stores: Stores,
        fleet: Fleet,
        parts: Parts,
        planning: Planning,
        solver: Solver,
        alarms: Alarms,
        health: Health,
        evidence: Evidence,
        lookout: LookoutWatch,
        door: Door | None,
        notary: Notary | None,
        vitals: Vitals,
        cycle_s: float,
    ) -> None:
        self._site, self._clock, self._evidence, self._lookout = site, clock, evidence, lookout
        self._stores, self._fleet, self._parts = stores, fleet, parts
        self._solver, self._alarms, self._health = solver, alarms, health
        self._solver_was_ready, self._notary = False, notary
        self._told, self._door = discretion(site), door
        self.planning, self.vitals = planning, vitals
        self.loop = ControlLoop(parts, cycle_s)
        self.timetable = Timetable(clock)
        self._control_job, self._plan_job = self._fill(cycle_s)

    def _fill(self, cycle_s: float) -> tuple[Job, Job]:
        start, table = self.timetable.start, self.timetable
        control = table.add("control", every(cycle_s, start), self.cycle)
        plan = table.add("plan", every(self._site.file.planning.every_s, start), self.plan, may_be_cut=True)
        table.add(
            "registers", every(REGISTERS_EVERY_S, start + timedelta(seconds=REGISTERS_EVERY_S)), self._keep_registers
        )
        if self._notary is not None:
            table.add("audit", every(AUDIT_EVERY_S, start), self._notary.check).ask()
        if isinstance(self._clock, SteppedClock):
            table.add("wall clock", every(CHECK_EVERY_S, start), WallWatch(self._clock, self._alarms).check)
        return control, plan

    @property
    def is_owner(self) -> bool:
        """Whether this process may still write; once False it stays so."""
        return self._stores.owner.valid()

    @property
    def state(self) -> str:
        """The state of health with its cause, in words."""
        return f"{self._health.state}: {self._health.cause}"

    def withhold(self, why: str) -> None:
        """Let nothing be controlled for a reason, or for an empty one allow it again."""
        self._parts.orders.withheld = why
        self._alarms.set("withheld", why or None, self._clock.now())

    async def start(self) -> None:
        """Begin to warm the solver and to tell live values; raises `NotOwner` if the site was lost meanwhile."""
        await self._stores.live.start()
        if self._door is not None:
            await self._door.start()
        await self._solver.start()
        # The first fetch loads what it needs, which would hold up a control cycle.
        with suppress(TimeoutError):
            await self._clock.wait_for(self.planning.desk.refresh(self._clock.now()), FIRST_FETCH_S)
        # On a busy machine all this takes longer than a lease, which nobody renews before the first cycle.
        if not self._stores.owner.valid():
            self._stores.owner.acquire()
        self._stores.record("transition", {"event": "start", "epoch": self._stores.owner.epoch})

    async def cycle(self) -> None:
        """Run one control cycle and tell about it."""
        owner = self._stores.owner
        kept = await owner.keep(RENEWAL_SHARE * self.loop.cycle_s)
        lost = None if kept else "another process has taken over this site: nothing is written any more"
        self._alarms.set("owner", lost, self._clock.now())
        self._alarms.set("disk", self._stores.trouble() or None, self._clock.now())
        self._alarms.set("plan", self.planning.trouble or None, self._clock.now())
        await self.loop.cycle()
        self._control_job.decided_s = self.loop.decided_s
        if self.loop.last is not None:
            self.planning.observe(self.loop.last.snapshot)
            self._evidence.observe(self.loop.last.snapshot, self._points)
        first_ready = self._solver.ready and not self._solver_was_ready
        if self.loop.wants_plan or first_ready:
            self.loop.wants_plan, self._solver_was_ready = False, self._solver.ready
            self._plan_job.ask()
        self._publish()

    async def plan(self) -> None:
        """Plan once, on the newest snapshot."""
        last = self.loop.last
        if last is None:
            return
        steered = {a for a, lever in self._parts.levers.items() if last.standing.may_write(lever.device)}
        stated = self._parts.sessions.stated(self._clock.now())
        overrides, limits = last.standing.overrides, last.outcome.limits
        await self.planning.plan_once(last.snapshot, stated, steered=steered, overrides=overrides, limits=limits)
        self._lookout.after_plan(
            last.snapshot, self.planning.measured(last.snapshot.at), self.planning.sky,
            cars=stated, plan=self.planning.published, steered=steered, limits=limits,
        )  # fmt: skip

    async def stop(self) -> None:
        """Write the declared safe values, then close everything."""
        await self._keep_registers()
        self._parts.following.finish()
        await self.loop.close()
        await self._solver.close()
        await self._fleet.close()
        await self._stores.live.close()
        if self._door is not None:
            await self._door.close()
        last = self._stores.record("transition", {"event": "stop", "epoch": self._stores.owner.epoch})
        if self._notary is not None:
            await self._notary.sign(last, ending=True)
        self._stores.close()

    def queues(self) -> dict[str, Any]:
        """Tell who waits at the car parks and who is called where, as the live stream does."""
        return queues_view(self._parts.queues.parks)

    def counters(self) -> dict[str, Any]:
        """Give the figures by which the run is judged."""
        last = self.loop.last
        devices = self._parts.watchman.devices(last.snapshot) if last is not None else {}
        return report(
            self._parts.counters,
            self._parts.following.tally,
            self.planning.counts,
            missed=self._control_job.missed,
            devices=len(self._site.file.devices),
            online=sum(state.online for state in devices.values()),
            cycle_s=self.loop.cycle_s,
        )

    async def _keep_registers(self) -> None:
        """Journal every energy register: they cannot be backfilled."""
        if self.loop.last is not None:
            self._evidence.keep(self.loop.last.snapshot)

    def _points(self) -> Mapping[str, Point]:
        return self._fleet.points

    def _publish(self) -> None:
        """Offer the newest cycle; what is told of it is put together only while somebody listens."""
        last = self.loop.last
        if last is not None:
            self._stores.live.publish(lambda: self._view(last), heavy=len(last.snapshot.readings) > MANY_POINTS)

    def _view(self, last: Cycle) -> dict[str, Any]:
        parts = self._parts
        return (
            live_view(
                self._site,
                last,
                levers=parts.levers,
                points=self._points(),
                devices=parts.watchman.devices(last.snapshot),
                held=parts.writer.held(),
                plan=self.planning.published,
                prices=parts.prices(last.snapshot.at),
                health=self._health,
                alarms=self._alarms.active,
                counters=self.counters(),
                parks=parts.queues.parks,
                told=self._told,
            )
            | self._lookout.as_json()
            | {"accounts": self.planning.accounts.as_json(), "vitals": self.vitals.as_json(self.planning.published)}
        )


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
        opener: opens the stores, as `open_stores` does.

    Raises:
        NotOwner: another process steers this site.
        StoreError: a file of the state folder cannot be used.
        GridError, SeriesError: the site's data cannot be read.
    """
    stores = opener(state_dir, clock, lease_s=site.file.control.lease_s, durable=durable)
    bindings = bind(site)
    evidence = Evidence(site, bindings, stores.record)
    planning = build_planning(
        site, bindings, clock,
        solver=solver, journal=stores.journal, state_dir=state_dir, feeds=feeds, on_issue=evidence.issue,
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
    return GridEye(lambda: load_case(path, grid_limits(site), cache_dir(state_dir)), assets)


def _parts(wiring: _Wiring, planning: Planning, *, orders: Orders, watchman: Watchman) -> Parts:
    site, bindings, clock, stores = wiring.site, wiring.bindings, wiring.clock, wiring.stores
    levers, before = build_levers(site, bindings), transitions(wiring.state_dir, clock.now())
    book = PriceBook(site.tariff, planning.desk, ZoneInfo(site.file.site.timezone))
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
        demand=resumed_demand(site, bindings, stores.record, wiring.state_dir, clock.now()),
        steering=Steering(site, bindings, levers, _eye(site, wiring.state_dir).rows),
        writer=writer,
        following=Following(levers, wiring.cycle_s),
        foreign=resumed_foreign(levers, stores.record, before, clock),
        turns=Turns(site, levers, bindings, cold=stores.owner.after_boot),
        watchman=watchman,
        counters=Counters(),
        plan=planning.in_force,
        prices=book.at,
        keep=stores.history.append,
        adopt=wiring.fleet.adopt,
        limits=resumed_limits(site, stores.record, wiring.state_dir, clock),
        emergency=EmergencyDesk(levers, site.file.grid, stores.record),
    )
