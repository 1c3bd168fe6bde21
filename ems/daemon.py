"""One site's controller: the fast loop, the slow loop, their timetable, and what is told of them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any

from drivers.points import Point
from ems.clock import Clock
from ems.config.site import Site
from ems.control import ControlLoop, Cycle, Parts
from ems.evidence import Evidence
from ems.fast.counters import report
from ems.fast.fleet import Fleet
from ems.fast.queue_view import queues_view
from ems.fast.snapshot_view import live_view
from ems.health import Alarms, Health
from ems.limits.door import Door
from ems.notary import CHECK_EVERY_S as AUDIT_EVERY_S
from ems.notary import Notary
from ems.operations.vitals import Vitals
from ems.planning import Planning
from ems.privacy import discretion
from ems.readiness import Readiness
from ems.slow.lookout_watch import LookoutWatch
from ems.stores import Stores
from ems.timetable import Job, Timetable, every
from ems.wall_watch import CHECK_EVERY_S, SteppedClock, WallWatch
from ems.worker import Solver

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
        self._readiness = Readiness(site, planning.similar_stays)
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
            self.planning.tell()
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
        await self.planning.plan_once(
            last.snapshot, stated, steered=steered, overrides=overrides, limits=limits, hygiene=last.hygiene
        )
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
        await self.planning.close()
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
                written=parts.writer.written(),
                ready=self._readiness.look(parts.sessions.cars, self.planning.published, last.snapshot.at),
                plan=self.planning.published,
                prices=parts.prices(last.snapshot.at),
                health=self._health,
                alarms=self._alarms.active,
                counters=self.counters(),
                parks=parts.queues.parks,
                told=self._told,
            )
            | self._lookout.as_json()
            | self._accounts()
            | {"vitals": self.vitals.as_json(self.planning.published)}
        )

    def _accounts(self) -> dict[str, Any]:
        """Tell of month and week, of the connections beside the first one too where there are any."""
        others = {name: each.as_json() for name, each in self.planning.accounts_elsewhere.items()}
        return {"accounts": self.planning.accounts.as_json()} | ({"accounts_elsewhere": others} if others else {})
