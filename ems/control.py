"""The fast loop: look, decide, act, every cycle.

Law 1: a cycle waits for nobody: every device has its own deadline, and a device that is late is a bad measurement.
Law 2: every cycle decides, with or without a plan.
Law 3: what is written is a lease with a reason; what was written is followed until the meter proves it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from drivers.driver import Driver
from drivers.points import Measurement, Quality
from ems.clock import Clock
from ems.config.assets import HeatPumpAsset
from ems.config.binding import KVAR_ROLE, Bindings
from ems.config.heat_assets import HeatMaker
from ems.config.site import Site
from ems.fast.bands import bands
from ems.fast.ceilings import Tapers, is_towards_end
from ems.fast.conduct import Conduct
from ems.fast.connected import Decides
from ems.fast.counters import Counters
from ems.fast.decisions import STORES, AssetKind, Decision, Lever
from ems.fast.demand import DemandDesk, DemandNow
from ems.fast.emergency import EmergencyDesk
from ems.fast.following import Following, Watch
from ems.fast.foreign import ForeignWriters
from ems.fast.heating import is_full
from ems.fast.hygiene import HygieneDesk
from ems.fast.ladder import plan_now
from ems.fast.orders import Orders
from ems.fast.outcome import Outcome
from ems.fast.powers import Powers
from ems.fast.prices import Prices
from ems.fast.queues import Queues
from ems.fast.reactive import KvarTrust
from ems.fast.returning import Returning
from ems.fast.scene import Beside, Scene
from ems.fast.sessions import Sessions
from ems.fast.standstill import Standstill
from ems.fast.turns import Turns, led_on
from ems.fast.watchman import Watchman
from ems.fast.writing import Writer
from ems.hygiene import Hygiene
from ems.limits.desk import LimitDesk
from ems.process_image import ProcessImage, Snapshot
from ems.standing import Standing
from optimization.problem import Plan, Supplied

logger = logging.getLogger(__name__)

READ_SHARE = 0.45
"""A device's answer is awaited for so large a share of the cycle."""
WARM_ENOUGH_K = 0.5


@dataclass(frozen=True, slots=True)
class Parts:
    """What the fast loop is put together from; wired in `ems/app.py`."""

    site: Site
    bindings: Bindings
    levers: MutableMapping[str, Lever]
    drivers: Mapping[str, Driver]
    clock: Clock
    image: ProcessImage
    orders: Orders
    sessions: Sessions
    queues: Queues
    demand: DemandDesk
    steering: Decides
    writer: Writer
    following: Following
    foreign: ForeignWriters
    turns: Turns
    watchman: Watchman
    counters: Counters
    plan: Callable[[Snapshot], Plan | None]
    prices: Callable[[datetime], Prices]
    keep: Callable[[datetime, Sequence[Measurement]], object]
    adopt: Callable[[Standing], Awaitable[None]]
    limits: LimitDesk | None = None
    emergency: EmergencyDesk | None = None
    hygiene: HygieneDesk | None = None
    elsewhere: Mapping[str, Desks] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Desks:
    """What is kept of a connection beside the first one alone; as in `Parts`."""

    demand: DemandDesk
    turns: Turns
    prices: Callable[[datetime], Prices]

    def beside(self, snapshot: Snapshot, told: Supplied | None) -> Beside:
        """Give what a cycle knows of it, and what the plan in force says."""
        return Beside(self.prices(snapshot.at), self.demand.update(snapshot, told), self.turns.look(snapshot))


@dataclass(frozen=True, slots=True)
class Cycle:
    """The newest cycle, for whoever looks on."""

    snapshot: Snapshot
    standing: Standing
    outcome: Outcome
    demand: DemandNow | None = None
    elsewhere: Mapping[str, Beside] = field(default_factory=dict)
    hygiene: Mapping[str, Hygiene] = field(default_factory=dict)


class ControlLoop:
    """Runs control cycles, never two at once.

    Args:
        parts: what it is put together from.
        cycle_s: its period [s].
    """

    def __init__(self, parts: Parts, cycle_s: float) -> None:
        self._parts = parts
        self.cycle_s = cycle_s
        self._commanded: set[str] = set()
        self._released = False
        self._adopted: Standing | None = None
        self._tapers = Tapers()
        self._conduct = Conduct(parts.levers, parts.bindings, cycle_s)
        self._returning = Returning(cycle_s, parts.drivers.keys() - set(parts.bindings.devices.values()))
        self._standstill = Standstill(parts.site, parts.bindings)
        self._trust = KvarTrust()
        self._bands = bands(parts.site, parts.bindings)
        self.wants_plan = False
        """A car came, left or wants something else, or an override has changed: a reason to plan soon.

        Whoever plans takes the flag down.
        """
        self.last: Cycle | None = None
        self.decided_s: float | None = None

    async def cycle(self) -> None:
        """Input, process, output."""
        sensed_s, snapshot = await self._look()
        standing, outcome = self._decide(snapshot)
        self.decided_s = self._parts.clock.monotonic()
        await self._act(standing, outcome, snapshot, sensed_s)

    async def _look(self) -> tuple[float, Snapshot]:
        """Read all devices at once and freeze what they say."""
        parts, sensed_s = self._parts, self._parts.clock.monotonic()
        scans = await asyncio.gather(*(self._read(driver) for driver in parts.drivers.values()))
        measurements = [measurement for scan in scans for measurement in scan]
        now, now_s = parts.clock.now(), parts.clock.monotonic()
        sift = self._returning.sift
        believed = (sift(device, scan, now_s) for device, scan in zip(parts.drivers, scans, strict=True))
        parts.image.absorb(one for scan in believed for one in scan)
        doubted = self._standstill.look(parts.image.newest)
        parts.image.doubt(doubted)
        parts.watchman.doubt(doubted, now)
        snapshot = parts.image.freeze(now, now_s, parts.following.unavailable(now_s))
        parts.keep(now, measurements)
        return sensed_s, self._without_lost(snapshot)

    def _without_lost(self, snapshot: Snapshot) -> Snapshot:
        """Take what somebody else steers out of the controllable set; any change of that set is a reason to plan."""
        parts = self._parts
        parts.writer.tell_again(parts.foreign.look(snapshot, parts.writer.proven(), parts.orders.requests))
        unavailable = snapshot.unavailable | parts.foreign.yielded.keys()
        unset = self._trust.look(snapshot, parts.writer.proven_kvar())
        if self.last is not None:
            self.wants_plan |= (unavailable, unset) != (self.last.snapshot.unavailable, self.last.snapshot.unset)
        return replace(snapshot, unavailable=unavailable, unset=unset)

    async def _read(self, driver: Driver) -> Sequence[Measurement]:
        """Read one device, and count how that went."""
        begun_s = self._parts.clock.monotonic()
        scan = await self._scan(driver)
        self._parts.counters.read(driver.device, scan, self._parts.clock.monotonic() - begun_s)
        return scan

    async def _scan(self, driver: Driver) -> Sequence[Measurement]:
        """Read one device within its deadline; whatever goes wrong is a bad measurement."""
        limit_s = READ_SHARE * self.cycle_s
        try:
            return await self._parts.clock.wait_for(driver.read(), limit_s)
        except TimeoutError:
            reason = f"no answer within {limit_s:g} s"
        except Exception as error:  # a defect of one driver must not stop the others
            logger.exception("the driver of %s failed", driver.device)
            reason = f"its driver failed: {error}"
        now, now_s = self._parts.clock.now(), self._parts.clock.monotonic()
        return [Measurement(point, None, now, now_s, Quality.BAD, reason) for point in driver.points]

    def _decide(self, snapshot: Snapshot) -> tuple[Standing, Outcome]:
        """Take in orders, cars and what the devices did, then decide every asset."""
        parts = self._parts
        standing = parts.orders.poll(snapshot.at)
        held = parts.writer.held()
        self._conduct.see(snapshot, held, self.last.outcome.wanted_kw if self.last is not None else {})
        limits = {asset: (h.kw, h.since_s) for asset, h in held.items() if h.kw is not None}
        if self.last is not None:
            self.wants_plan |= standing.overrides != self.last.standing.overrides
        self.wants_plan |= parts.sessions.update(snapshot, parts.orders.requests, limits)
        building = self.last.outcome.building if self.last is not None else ()
        self.wants_plan |= parts.queues.update(snapshot, parts.orders.requests, parts.sessions.cars, building)
        allowed = parts.limits.look(snapshot) if parts.limits is not None else ()
        if self.last is not None:
            self.wants_plan |= [one.kw for one in allowed] != [one.kw for one in self.last.outcome.limits]
        plan, planning = parts.plan(snapshot), parts.site.file.planning
        in_force = plan_now(plan, snapshot.at, every_s=planning.every_s, max_age_s=planning.max_plan_age_s)
        scene = Scene(
            snapshot=snapshot,
            standing=standing,
            plan=plan,
            prices=parts.prices(snapshot.at),
            cars=parts.sessions.cars,
            held=led_on(parts.levers, held, self._metered_kw(snapshot), snapshot.monotonic_s),
            tapers_kw=self._tapers.kw,
            demand=parts.demand.update(snapshot, in_force.plan if in_force else None),
            limits=allowed,
            compressors=self._conduct.compressors,
            blocks=self._conduct.blocks,
            phases=self._conduct.phases,
            swinging=self._conduct.swinging,
            waiting=parts.writer.waiting(),
            foreign={asset: str(found) for asset, found in parts.foreign.yielded.items()},
            hygiene=parts.hygiene.update(snapshot) if parts.hygiene is not None else {},
            turn=parts.turns.look(snapshot),
            elsewhere={
                name: desks.beside(snapshot, in_force.plan.supplies.get(name) if in_force else None)
                for name, desks in parts.elsewhere.items()
            },
        )
        outcome = parts.steering.decide(scene)
        self._follow(snapshot, outcome.powers, limits)
        parts.watchman.look(snapshot)
        parts.watchman.steady(parts.levers, self._conduct.swings, snapshot.at)
        parts.watchman.stored(self._bands, snapshot)
        parts.watchman.spare(parts.writer.budget, snapshot)
        parts.watchman.obey(parts.levers, scene.foreign, snapshot.at)
        parts.watchman.heed(scene.hygiene, snapshot.at)
        parts.watchman.judge(outcome, standing, parts.following, snapshot)
        parts.counters.count(outcome.decisions.values(), snapshot.monotonic_s)
        if parts.emergency is not None:
            parts.emergency.look(snapshot.at, outcome, in_force.plan.made_at if in_force else None)
        self.last = Cycle(snapshot, standing, outcome, scene.demand, scene.elsewhere, scene.hygiene)
        return standing, outcome

    def _metered_kw(self, snapshot: Snapshot) -> dict[str, float]:
        """Give what the assets that can be commanded take now [kW]."""
        points = {asset: self._parts.bindings.effect(asset) for asset in self._parts.levers}
        powers = {asset: snapshot.good(point) for asset, point in points.items()}
        return {asset: kw for asset, kw in powers.items() if kw is not None}

    def _follow(self, snapshot: Snapshot, powers: Powers, held: Mapping[str, tuple[float, float]]) -> None:
        """Compare every metered power with the command in force."""
        for asset, lever in self._parts.levers.items():
            point = self._parts.bindings.effect(asset)
            measured_kw = powers.taken_kw(asset)
            if point is None or measured_kw is None:
                continue
            told = held.get(asset)
            if lever.kind is AssetKind.BATTERY:
                self._tapers.see(lever, powers.state.get(asset), measured_kw, told, snapshot.monotonic_s)
            limited = self._is_limited(asset, lever, powers, told)
            measured_s = snapshot.read_s(point)
            self._parts.following.see(asset, measured_kw, measured_s, limited=limited, now_s=snapshot.monotonic_s)

    def _is_limited(self, asset: str, lever: Lever, powers: Powers, held: tuple[float, float] | None) -> bool:
        """Tell whether an asset may take less than it is told, by its own state."""
        value, spec = powers.state.get(asset), self._parts.site.file.assets[asset]
        if value is None:
            return False
        if lever.kind in STORES:
            return held is not None and is_towards_end(value, held[0])
        if isinstance(spec, HeatMaker):
            return is_full(self._parts.site, spec, value)
        return isinstance(spec, HeatPumpAsset) and value > spec.comfort.high_c - WARM_ENOUGH_K

    async def _act(self, standing: Standing, outcome: Outcome, snapshot: Snapshot, sensed_s: float) -> None:
        """Write what was decided to the devices that may be written, and hand back those that no longer may.

        A device that may be written from now on is written in the next cycle: its driver is built anew for that.
        """
        allowed = {
            asset: decision
            for asset, decision in outcome.decisions.items()
            if asset not in self._parts.foreign.yielded
            and standing.may_write(device := self._parts.levers[asset].device)
            and (self._adopted is None or self._adopted.may_write(device))
        }
        await self._hand_back(standing, outcome, allowed)
        held = self._parts.writer.held()
        written = await self._parts.writer.write(allowed.values())
        for one in written:
            asset, kw = one.command.decision.asset, one.command.decision.kw
            if one.command.beside:
                if one.command.beside == KVAR_ROLE:
                    self._trust.answered(asset, one.result.outcome, self._parts.clock.monotonic())
                continue
            self._commanded.add(asset)
            if kw is None:
                self._parts.following.forget(asset)
                continue
            watch = Watch(kw, sensed_s, self._parts.clock.monotonic(), outcome.powers.taken_kw(asset))
            old = held.get(asset)
            if one.command.changed:
                self._parts.following.issued(asset, watch, old.kw if old else None, one.result.outcome)
            else:
                self._parts.following.renewed(asset, watch, one.result.outcome)
        self._parts.watchman.answered(written, self._parts.writer, snapshot.at)
        await self._parts.adopt(standing)
        self._adopted = standing

    async def _hand_back(self, standing: Standing, outcome: Outcome, allowed: Mapping[str, Decision]) -> None:
        """Release what was commanded and no longer may be.

        The site switch releases every commanded point once. A device that leaves control mode falls back by its own
        watchdog; only one without a watchdog is told its safe value once more. A lockout and a loss write nothing.
        """
        parts = self._parts
        leaving = self._commanded - allowed.keys()
        for asset in leaving:
            parts.writer.forget(asset)
            parts.following.forget(asset)
        self._commanded -= leaving
        if standing.released and not self._released:
            await parts.writer.release(sorted(self._releasable(standing)), standing.released, to_safe=False)
        self._released = bool(standing.released)
        if not standing.released:
            orphans = [a for a in sorted(leaving) if a in outcome.decisions and self._is_orphan(a, standing)]
            await parts.writer.release(orphans, "its device has left control mode", to_safe=True)

    def _releasable(self, standing: Standing) -> set[str]:
        """Name the assets that the site switch releases: in control mode, and not locked out."""
        before = Standing(standing.modes, standing.lockouts, "", {})
        return {asset for asset, lever in self._parts.levers.items() if before.may_write(lever.device)}

    def _is_orphan(self, asset: str, standing: Standing) -> bool:
        device = self._parts.levers[asset].device
        if asset in self._parts.foreign.yielded:
            return False
        return device not in standing.lockouts and not self._parts.drivers[device].has_watchdog

    async def close(self) -> None:
        """Write the declared safe values to everything that is commanded, once."""
        standing = self.last.standing if self.last is not None else None
        if standing is not None and not standing.released:
            ours = [a for a in sorted(self._commanded) if standing.may_write(self._parts.levers[a].device)]
            await self._parts.writer.release(ours, "the controller is stopped", to_safe=True)
        self._commanded.clear()
