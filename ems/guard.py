"""The guard: when the controller is proven lost, it gives devices without a watchdog their declared safe values.

Law 1: it keeps quiet while an owner is alive: lock held and record renewed within its lease.
Law 2: it takes over under a new epoch before it writes, so that a controller that comes back late writes nothing.
A controller that has stopped in good order is no loss: what it left is made sure of, without alarm.
Law 3: it looks at the epoch again before each write; whoever has taken a newer one is not disturbed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from drivers.driver import Driver
from drivers.points import Outcome, Setpoint
from drivers.registry import DeviceSpec, build_driver, profile_points
from ems.alone import alone
from ems.clock import Clock, ScaledClock, SystemClock, unhurried
from ems.commands.options import opened, parser
from ems.config.binding import device_spec, role_points
from ems.config.site import Site
from ems.config.state import make_state_dir
from ems.exit_codes import CommandError, Exit
from ems.operations.logs import begin as begin_logging
from ems.operations.supervisor import Supervisor
from ems.ownership import OwnerRecord, is_lock_held, read_record, record_locked, settle_record, write_record
from ems.standing import Standing, standing
from ems.store.database import StoreError
from ems.store.journal import Journal
from ems.store.requests import Request, read_active

log = logging.getLogger(__name__)

SCHEMA = "ems.guard/1"
_LOOKS_A_LEASE = 20

Build = Callable[[str, DeviceSpec, Clock], Driver]


@dataclass(frozen=True, slots=True)
class Ward:
    """A device that falls back only if somebody tells it to.

    Args:
        device: device id.
        spec: how it is reached.
        safe: value by point id; None releases the point to the device's own control.
    """

    device: str
    spec: DeviceSpec
    safe: Mapping[str, float | None]


def wards(site: Site) -> tuple[Ward, ...]:
    """List the devices of a site that have declared safe values and no watchdog of their own."""
    found = []
    for name, device in site.file.devices.items():
        profile = profile_points(device.protocol, device.profile)
        if device.safe and not profile.has_watchdog:
            points = role_points(name, device, profile)
            found.append(
                Ward(
                    name,
                    device_spec(device, writable=True),
                    {points[role]: value for role, value in device.safe.items()},
                )
            )
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Cause:
    """Why the guard acts, in words, and how loudly it says so: a loss is a warning, a stop is none."""

    words: str
    level: int = logging.WARNING


@dataclass(slots=True)
class Tally:
    """What the guard has done: takeovers from a lost controller, safe values applied, attempts that failed."""

    takeovers: int = 0
    applied: int = 0
    failed: int = 0


class Guard:
    """Watches the owner of one site.

    Args:
        site: whose devices these are.
        state_dir: the site's state folder.
        clock: the same clock as the controller's, so that a lease means the same to both.
        journal: the guard's own, apart from the controller's.
        build: makes a driver.
    """

    def __init__(
        self, site: Site, state_dir: Path, clock: Clock, journal: Journal, build: Build = build_driver
    ) -> None:
        self._site = site
        self._state_dir = state_dir
        self._clock = clock
        self._journal = journal
        self._build = build
        self._wards = wards(site)
        self._record: OwnerRecord | None = None
        self._owner_lease_s = 0.0
        self._pending: dict[str, Driver] = {}
        self._level = logging.WARNING
        self._done: list[str] = []
        self.tally = Tally()

    async def watch(self, stop: asyncio.Event) -> None:
        """Look and act until told to stop; then look once more, for the controller may just have stopped too."""
        log.info("the guard watches %s", self._state_dir)
        while not stop.is_set():
            await self.step()
            try:
                await self._clock.wait_for(stop.wait(), self._pause_s())
            except TimeoutError:
                continue
        await self.step()
        if self._pending:
            log.warning("the guard stops before %s has taken its safe values", ", ".join(sorted(self._pending)))
        await self._let_go()

    async def step(self) -> None:
        """Look once; if the controller is gone, try to make every ward safe."""
        if self._record is None and (cause := self._take_over()) is not None:
            self._begin(cause)
        if self._record is not None:
            await self._make_safe(self._record)

    def _pause_s(self) -> float:
        return (self._owner_lease_s or self._site.file.control.lease_s) / _LOOKS_A_LEASE

    def _take_over(self) -> Cause | None:
        """Take a new epoch if the controller is gone; gives the cause, None while there is nothing to do."""
        if read_record(self._state_dir) is None:
            return None
        with record_locked(self._state_dir):
            record, now_s = read_record(self._state_dir), self._clock.monotonic()
            self._owner_lease_s = record.lease_s if record is not None else 0.0
            if record is None or (cause := _why_gone(record, self._state_dir, now_s)) is None:
                return None
            self._record = write_record(self._state_dir, "guard", now_s=now_s, lease_s=record.lease_s, settled=False)
        return cause

    def _begin(self, cause: Cause) -> None:
        assert self._record is not None
        self._level, lost = cause.level, cause.level >= logging.WARNING
        self.tally.takeovers += lost
        then = "takes over" if lost else "makes sure of the safe values"
        log.log(cause.level, "%s: the guard %s under epoch %d", cause.words, then, self._record.epoch)
        self._journal.record("transition", {"to": "guard", "epoch": self._record.epoch, "cause": cause.words})
        orders = standing(self._site, self._requests())
        self._done = []
        for ward in self._wards:
            if why := _why_not(orders, ward.device):
                self._done.append(f"{ward.device} was not written to ({why})")
            else:
                self._pending[ward.device] = self._build(ward.device, ward.spec, unhurried(self._clock))

    def _requests(self) -> list[Request]:
        try:
            return read_active(self._state_dir, self._clock.now())
        except StoreError as error:
            log.error("%s; the guard goes by the site file alone", error)
            return []

    async def _make_safe(self, record: OwnerRecord) -> None:
        await asyncio.gather(*(self._write(ward, record) for ward in self._wards if ward.device in self._pending))
        if self._is_replaced(record):
            log.warning("a controller has taken over again: the guard goes back to watching")
            await self._let_go()
        elif not self._pending:
            settle_record(self._state_dir, record)
            done = "; ".join(self._done) or "no device depends on the guard, nothing was written"
            log.log(self._level, "%s: the guard goes back to watching", done)
            await self._let_go()

    async def _write(self, ward: Ward, record: OwnerRecord) -> None:
        if self._is_replaced(record):
            return
        setpoints = [Setpoint(point, value, "there is no controller", self._clock.monotonic() + record.lease_s)
                     for point, value in ward.safe.items()]  # fmt: skip
        self._journal.record("intent", {"epoch": record.epoch, "setpoints": setpoints})
        results = await self._pending[ward.device].write(setpoints, record.lease_s)
        self._journal.record("result", {"epoch": record.epoch, "results": results})
        if all(result.outcome is Outcome.APPLIED for result in results):
            self.tally.applied += len(results)
            self._done.append(f"{ward.device} has taken its safe values")
            await self._pending.pop(ward.device).close()
        else:
            self.tally.failed += 1

    def _is_replaced(self, record: OwnerRecord) -> bool:
        current = read_record(self._state_dir)
        return current is not None and current.epoch != record.epoch

    async def _let_go(self) -> None:
        self._record = None
        while self._pending:
            await self._pending.popitem()[1].close()


def _why_not(orders: Standing, device: str) -> str:
    """Say why a device may not be written, empty when it may."""
    if orders.may_write(device):
        return ""
    return orders.released or orders.lockouts.get(device) or f"its mode is {orders.modes[device]}"


def _why_gone(record: OwnerRecord, state_dir: Path, now_s: float) -> Cause | None:
    """Say why there is no controller, None while it is alive or its end has been dealt with."""
    if record.role == "guard":
        return None if record.settled else Cause(f"a guard ended before it was done under epoch {record.epoch}")
    if not is_lock_held(state_dir):
        if record.released:
            return Cause(f"process {record.pid} has stopped in good order and given the site back", logging.INFO)
        return Cause(f"process {record.pid} ended without a successor")
    if not record.is_fresh(now_s):
        late_s = now_s - record.renewed_monotonic_s
        return Cause(f"process {record.pid} has not renewed its lease for {late_s:.0f} s")
    return None


def command(argv: Sequence[str]) -> int:
    """Run `ems guard` until it is told to stop; raises `SiteError` and `CommandError`."""
    arguments = _parser().parse_args(argv)
    begin_logging("guard")
    site, folder = opened(arguments)
    clock = ScaledClock.from_text(arguments.clock) if arguments.clock else SystemClock()
    make_state_dir(folder)
    with alone(folder / "guard.lock", f"another guard watches {folder}; stop it first"):
        try:
            journal = Journal(folder / "guard.db", clock)
        except StoreError as error:
            raise CommandError(str(error)) from error
        guard = Guard(site, folder, clock, journal)
        asyncio.run(_watch_until_signal(guard))
        journal.close()
    if arguments.json:
        sys.stdout.write(json.dumps({"schema": SCHEMA, **asdict(guard.tally)}) + "\n")
    return Exit.OK


async def _watch_until_signal(guard: Guard) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    supervisor = Supervisor()
    feeding = asyncio.create_task(supervisor.keep_fed(SystemClock()))
    supervisor.ready()
    await guard.watch(stop)
    feeding.cancel()


def _parser() -> argparse.ArgumentParser:
    options = parser("guard", "Write the declared safe values when the controller is lost.")
    options.add_argument("--clock", metavar="TEXT", help="START@ANCHORxSPEED: the clock shared with the controller")
    return options
