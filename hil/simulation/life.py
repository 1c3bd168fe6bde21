"""One life of the daemon: from its start to its end in good order, or to the instant at which it is killed.

A killed daemon does nothing more: its wires carry nothing, its journal takes nothing, its lock is free. What is left of
it is what it had on disk, and what its devices hold.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from drivers.bacnet.driver import BacnetDriver
from drivers.bacnet.profile import bacnet_profile
from drivers.bacnet.station import Station
from drivers.driver import Driver
from drivers.modbus.driver import ModbusDriver
from drivers.modbus.link import Link
from drivers.modbus.profile import modbus_profile
from ems.app import build
from ems.clock import Clock
from ems.config.binding import device_spec
from ems.config.site import Site
from ems.daemon import Daemon
from ems.ownership import Owner
from ems.slow.planning_setup import feeder, history_path
from ems.store.history import History
from ems.store.requests import RequestBox
from ems.store.reserve import Reserve
from ems.stores import Stores, journal_path
from ems.timetable import LiveRunner
from ems.worker import DirectSolver, NoSolver, Solver
from hil.baselines import published_feeds
from hil.simulation.disk import Disk
from hil.simulation.faults import FEEDS
from hil.simulation.invariants import Invariant, Judge, Violation
from hil.simulation.loop import LoopClock, SeededLoop, Wall
from hil.simulation.town import Town
from hil.simulation.troubled import TroubledFeed, TroubledSolver
from hil.simulation.watch import Turns, WatchedDriver, WatchedJournal, WatchedLive, check_chain, check_kept
from hil.simulation.wires import MemoryStation, Net

logger = logging.getLogger(__name__)

Alter = Callable[[Daemon], None]
"""Changes a daemon before its first cycle; the tests of the invariants break it so."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What all lives of a run have in common.

    Args:
        site: the site. state: the daemon's state folder.
        town: the pretend world. wall: the clock on the wall.
        judge: of what passes.
        disk: what the daemon's stores lie on.
        seed: of chance. cycle_s: of the control loop [s].
        plans: whether there is a planner.
        alter: changes each new daemon.
    """

    site: Site
    state: Path
    town: Town
    wall: Wall
    judge: Judge
    disk: Disk
    seed: int
    cycle_s: float
    plans: bool = True
    alter: Alter = lambda _daemon: None


@dataclass(slots=True)
class Life:
    """One process of the daemon.

    Args:
        setting: what it lives in. number: counts the lives from 1. start_s: when it starts [s].
    """

    setting: Setting
    number: int
    start_s: float
    loop: SeededLoop = field(init=False)
    clock: LoopClock = field(init=False)
    net: Net = field(init=False)
    daemon: Daemon = field(init=False)
    stores: Stores = field(init=False)
    decided: set[int] = field(default_factory=set)
    first_decision_s: float | None = None
    first_plan_s: float | None = None
    _journal: WatchedJournal = field(init=False)
    _turns: Turns = field(init=False)
    _runner: LiveRunner = field(init=False)
    _running: asyncio.Future[None] = field(init=False)
    _watching: asyncio.Future[None] = field(init=False)
    _last_s: float = 0.0
    _phase_s: float | None = None

    def __post_init__(self) -> None:
        setting = self.setting
        self.loop = SeededLoop(Random(f"{setting.seed}/order/{self.number}"), self.start_s)
        self.clock = LoopClock(self.loop, setting.wall)
        self.net = setting.town.net()
        self._turns = Turns(self.loop)

    def run(self, until_s: float, *, killed: bool) -> None:
        """Live until an instant [s], or until the judge has stopped the run.

        Args:
            until_s: when.
            killed: whether it ends by being killed, and not in good order.
        """
        try:
            self.begin()
            self.live(until_s)
            self.end(killed=killed)
        finally:
            self.tidy_up()

    def begin(self) -> None:
        """Start the daemon."""
        self.setting.town.live_on(self.loop)
        self.setting.judge.born(self.start_s)
        self.loop.run_until_complete(self._begin())

    def live(self, until_s: float) -> None:
        """Go on until an instant [s], or until it is over."""
        self.loop.run_until_complete(self._live(until_s))

    def end(self, *, killed: bool) -> None:
        """End, and look at what is left on disk."""
        setting, killed = self.setting, killed or self.setting.town.stopped
        if not killed:
            self.loop.run_until_complete(self._stop())
        self._die()
        self.tidy_up()
        check_chain(setting.state, setting.judge, self.loop.time())
        if killed:
            check_kept(journal_path(setting.state), self._journal.acknowledged, setting.judge, self.loop.time())

    @property
    def is_over(self) -> bool:
        """Whether the judge has stopped the run, or the process has lost the site."""
        return self.setting.town.stopped or self._watching.done()

    async def _begin(self) -> None:
        self.daemon = self._build()
        self.setting.alter(self.daemon)
        self.setting.town.trouble.schedule(self.loop)
        await self.daemon.start()
        # Else each full collection walks through all that the planner's libraries made.
        gc.collect()
        gc.freeze()
        self._runner = LiveRunner(self.daemon.timetable, self.clock)
        self._running = asyncio.ensure_future(self._runner.run())
        self._watching = asyncio.ensure_future(self._watch())

    async def _live(self, until_s: float) -> None:
        end = self.loop.create_future()
        timer = self.loop.call_at(until_s, _resolve, end)
        self.setting.town.on_stop = lambda: _resolve(end)
        if not self.is_over:
            await asyncio.wait({self._running, self._watching, end}, return_when=asyncio.FIRST_COMPLETED)
        timer.cancel()
        if self._running.done() and (error := self._running.exception()) is not None:
            raise error

    async def _stop(self) -> None:
        self._watching.cancel()
        self._runner.stop()
        await self._running
        await self.daemon.stop()

    def _die(self) -> None:
        self.net.alive = self._turns.alive = False
        self.stores.owner.release()
        self.setting.judge.died()

    def tidy_up(self) -> None:
        """End what the dead process has left on its loop; idempotent."""
        if self.loop.is_closed():
            return
        gc.unfreeze()
        self.net.alive = self._turns.alive = False
        left = asyncio.all_tasks(self.loop)
        for task in left:
            task.cancel()
        if left:
            self.loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        self.loop.close()

    async def _watch(self) -> None:
        """See that every cycle decides (I10); ends when the process has lost the site and would end itself."""
        patience_s = 2.0 * self.setting.cycle_s
        while self.daemon.is_owner:
            await self.clock.sleep(self.setting.cycle_s)
            decided_s = self._last_s or self.start_s + self.setting.cycle_s
            since_s = self.loop.time() - max(decided_s, self.setting.town.trouble.resumed_s)
            if since_s > patience_s:
                facts = f"no decision for {since_s:.1f} s at a cycle of {self.setting.cycle_s:g} s"
                self.setting.judge.tell(Violation(Invariant.EVERY_CYCLE, self.loop.time(), facts))
        logger.warning("the site is lost: the process ends")

    def _on_cycle(self) -> None:
        """Note a decision, and look at what the cycle owes."""
        self.setting.disk.try_again()
        decided_s, now_s, cycle_s = self.daemon.loop.decided_s, self.loop.time(), self.setting.cycle_s
        if decided_s is None:
            return
        if self._phase_s is None:
            control = next(job for job in self.daemon.timetable.jobs if job.name == "control")
            self._phase_s = control.due_s % cycle_s
        self.decided.add(int((decided_s - self._phase_s) // cycle_s))
        self._last_s = decided_s
        if self.first_decision_s is None:
            self.first_decision_s = decided_s
        if self.first_plan_s is None and self.daemon.planning.counts.published:
            self.first_plan_s = now_s
        judge, town = self.setting.judge, self.setting.town
        judge.after_cycle(now_s)
        if (last := self.daemon.loop.last) is not None:
            judge.decided(last.outcome.decisions, last.standing, now_s)
        judge.held(town.obeyed(), town.written_s(), now_s)

    # ---- what it is made of -----------------------------------------------------------------------------------------

    def _build(self) -> Daemon:
        setting = self.setting
        return build(
            setting.site, setting.state, self.clock, self._solver(),
            cycle_s=setting.cycle_s, durable=False, feeds=self._feeds(), drivers=self._drivers(), opener=self._open,
        )  # fmt: skip

    def _open(self, state_dir: Path, clock: Clock, *, lease_s: float, durable: bool) -> Stores:
        """Open the real stores, on this loop's turns."""
        owner = Owner(state_dir, clock, lease_s)
        owner.acquire()
        disk = self.setting.disk
        reserve = Reserve(state_dir, disk.reserve_bytes, free=disk.free_bytes)
        self._journal = WatchedJournal(journal_path(state_dir), clock, self.setting.judge, self._turns, reserve)
        history = History(history_path(state_dir), durable, turn=self._turns, reserve=reserve)
        disk.lie_below(self._journal, history)
        live = WatchedLive(state_dir, self._on_cycle)
        self.stores = Stores(self._journal, history, RequestBox(state_dir, clock), owner, live, reserve)
        return self.stores

    def _drivers(self) -> Mapping[str, Driver]:
        def owner() -> Owner:
            return self.stores.owner

        setting = self.setting
        return {
            device: WatchedDriver(self._driver(device), setting.judge, self.clock, owner, setting.state)
            for device in setting.site.file.devices
        }

    def _driver(self, device: str) -> Driver:
        """Build the real driver on a wire in memory."""
        configured = self.setting.site.file.devices[device]
        spec = device_spec(configured, writable=configured.mode == "control" and not configured.lockout)
        if spec.protocol == "bacnet":
            return BacnetDriver(device, spec, bacnet_profile(spec.profile), self.clock, self._station)
        return ModbusDriver(device, spec, modbus_profile(spec.profile), self.clock, self._link)

    def _link(self, host: str, port: int, clock: Any) -> Link:
        link = Link(host, port, clock, self.net.dial)
        link.users = 1
        return link

    def _station(self) -> Station:
        return MemoryStation(self.net)

    def _solver(self) -> Solver:
        if not self.setting.plans:
            return NoSolver()
        site, state = self.setting.site, self.setting.state
        direct = DirectSolver(feeder(site, state))
        rng = Random(f"{self.setting.seed}/solver/{self.number}")
        return TroubledSolver(direct, self.clock, rng, self.setting.town.trouble.of_solver)

    def _feeds(self) -> dict[str, Any]:
        town = self.setting.town
        told: dict[str, Any] = dict(published_feeds(self.setting.site, town.world.published))
        return told | {what: TroubledFeed(told[what], town.now, town.trouble.of_feed(what)) for what in FEEDS}


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
