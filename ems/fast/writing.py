"""The output of a control cycle: intents on disk, then leased setpoints to all devices at once, then their results.

Law 1: what changes is journalled before it is written. The loop waits at most `COMMIT_WAIT_S` of wall time, and no more
than a share of the cycle, for that commit: if it is late, commands towards zero and safe values go ahead with an alarm,
all others wait for another cycle.
Law 2: right before each device's writes the ownership is asked for; without it nothing is written.
Law 3: a lease is renewed at a third of its length. Repeating a value is no change and needs no new intent.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from math import inf
from typing import Any, Protocol

from drivers.driver import Driver
from drivers.points import Outcome, Setpoint, WriteResult
from ems.arbitration import MERE, is_reducing
from ems.clock import Clock
from ems.config.binding import KVAR_ROLE, PHASES_ROLE, Bindings
from ems.fast.decisions import Decision, Held, Lever, Rung
from ems.fast.foreign import Proven
from ems.fast.wear import WriteBudget
from ems.store.database import StoreError

logger = logging.getLogger(__name__)

COMMIT_WAIT_S = 0.05
COMMIT_SHARE = 0.2
WRITE_SHARE = 0.3
"""With the share for reading they leave a twentieth of the cycle for thinking: no cycle runs into the next one."""
SAME = 1e-6
FORCING = frozenset(Rung) - MERE - {Rung.DEMAND}
"""Who is written to a point whatever writes are left to it."""
MOST_TRIES = 3
"""A command that failed is tried again in the next cycles so often, afterwards only when its lease is renewed."""


class JournalLike(Protocol):
    """What is needed of the journal."""

    def record(self, kind: str, body: Mapping[str, Any]) -> Future[int]:
        """Append; the future is resolved after the commit."""


@dataclass(frozen=True, slots=True)
class Command:
    """One setpoint that is about to be written: the decision behind it, and whether its value changed.

    `beside` is the role that it is about where that is not the asset's power: the phases of a charge point, or the
    reactive power of an inverter.
    """

    decision: Decision
    setpoint: Setpoint
    changed: bool
    reducing: bool
    beside: str = ""


@dataclass(frozen=True, slots=True)
class Written:
    """One setpoint that was written, and what the device says."""

    command: Command
    result: WriteResult


@dataclass(slots=True)
class _Slot:
    """What was last commanded of one asset."""

    kw: float | None
    value: float | None
    since_s: float
    written_s: float
    tries: int
    effective: float | None = None
    is_ordered: bool = False

    @property
    def proven(self) -> bool:
        """Tell whether the device was read back to hold it."""
        return self.tries == 0


@dataclass(slots=True)
class Writer:
    """Writes decisions and remembers which commands are in force.

    Args:
        levers: by asset id.
        bindings: turn power into a point's value.
        drivers: by device id.
        journal: takes intents and results.
        clock: gives instants and bounds waits.
        owns: tells whether this process may write now.
        lease_s: how long a command holds [s].
        cycle_s: of the control loop [s].
        commit_wait_s: longest wait for the intents' commit [s of the clock].
        budget: of writes to points that wear.
    """

    levers: Mapping[str, Lever]
    bindings: Bindings
    drivers: Mapping[str, Driver]
    journal: JournalLike
    clock: Clock
    owns: Callable[[], bool]
    lease_s: float
    cycle_s: float
    commit_wait_s: float = COMMIT_WAIT_S
    late_commit: str = ""
    budget: WriteBudget = field(default_factory=lambda: WriteBudget({}))
    _slots: dict[str, _Slot] = field(default_factory=dict)
    _beside: dict[tuple[str, str], _Slot] = field(default_factory=dict)

    def held(self) -> dict[str, Held]:
        """Give the commands in force, by asset."""
        return {asset: Held(slot.kw, slot.since_s, slot.is_ordered) for asset, slot in self._slots.items()}

    def waiting(self) -> frozenset[str]:
        """Name the assets whose points have few writes left, so that no mere wish moves them now."""
        now_s, found = self.clock.monotonic(), self.bindings.points_of
        return frozenset(a for a in self.levers if any(self.budget.waits(point, now_s) for point in found(a)))

    def written(self) -> dict[str, dict[str, int]]:
        """Tell of the assets whose points wear how often these were written within 24 h, and may be."""
        now_s = self.clock.monotonic()
        told = {asset: self.budget.told(command.point, now_s) for asset, command in self.bindings.commands.items()}
        return {asset: one for asset, one in told.items() if one is not None}

    def proven(self) -> dict[str, Proven]:
        """Give what devices were read back to hold, by asset; those that were released or not proven are missing."""
        return {
            asset: Proven(binding.point, slot.effective, slot.written_s, slot.written_s + self._holds_s(binding.point))
            for asset, slot in self._slots.items()
            if slot.proven and slot.effective is not None and (binding := self.bindings.command(asset)) is not None
        }

    def proven_kvar(self) -> dict[str, Proven]:
        """Give the reactive power that inverters were read back to hold, by asset."""
        points = {asset: self.bindings.measure(asset, KVAR_ROLE) for asset, role in self._beside if role == KVAR_ROLE}
        return {
            asset: Proven(point, slot.effective, slot.written_s, slot.written_s + self.lease_s)
            for asset, point in points.items()
            if point is not None and (slot := self._beside[asset, KVAR_ROLE]).proven and slot.effective is not None
        }

    def _holds_s(self, point: str) -> float:
        """Give how long a device holds what it was told [s]."""
        return inf if self.budget.is_kept(point) else self.lease_s

    def tell_again(self, assets: Iterable[str]) -> None:
        """Write commands once more although they have not changed: the device no longer holds them."""
        for asset in assets:
            self._slots[asset].tries = max(1, self._slots[asset].tries)

    def forget(self, asset: str) -> None:
        """Forget an asset's command, because nobody renews it or its device was lost: it is written anew next time."""
        self._slots.pop(asset, None)

    async def write(self, decisions: Iterable[Decision]) -> list[Written]:
        """Write what changed and what must be renewed."""
        made = [command for decision in decisions for command in self._commands(decision)]
        commands = [command for command in made if command is not None]
        allowed = await self._journalled(commands)
        by_device: dict[str, list[Command]] = {}
        for command in allowed:
            by_device.setdefault(self.levers[command.decision.asset].device, []).append(command)
        batches = await asyncio.gather(*(self._write_device(device, batch) for device, batch in by_device.items()))
        written = [one for batch in batches for one in batch]
        for one in written:
            self._remember(one)
        return written

    def _commands(self, decision: Decision) -> tuple[Command | None, ...]:
        """Make the setpoints of a decision; the reactive power that a power rests on is never to end before it."""
        power = self._command(decision)
        return power, self._phase_command(decision), self._kvar_command(decision, renews=power is not None)

    def _command(self, decision: Decision) -> Command | None:
        """Make a setpoint of a decision; None while the one in force still says it."""
        lever, now_s = self.levers[decision.asset], self.clock.monotonic()
        binding = self.bindings.command(decision.asset)
        if binding is None:
            return None
        value, slot = binding.on(lever.phases).to_point(decision.kw), self._slots.get(decision.asset)
        setpoint = Setpoint(binding.point, value, decision.reason, now_s + self.lease_s)
        held = Held(slot.kw, slot.since_s) if slot else None
        return self._due(Command(decision, setpoint, True, is_reducing(held, decision, lever)), slot)

    def _phase_command(self, decision: Decision) -> Command | None:
        """Make a setpoint of what a charge point is told about its phases; None for nothing."""
        order, point = decision.phases, self.bindings.measure(decision.asset, PHASES_ROLE)
        if order is None or point is None:
            self._beside.pop((decision.asset, PHASES_ROLE), None)
            return None
        setpoint = Setpoint(point, float(order.phases), order.reason, self.clock.monotonic() + self.lease_s)
        slot = self._beside.get((decision.asset, PHASES_ROLE))
        return self._due(Command(decision, setpoint, True, False, PHASES_ROLE), slot)

    def _kvar_command(self, decision: Decision, *, renews: bool) -> Command | None:
        """Make a setpoint of what an inverter is told about its reactive power; what it was told is given back once."""
        point, slot = self.bindings.measure(decision.asset, KVAR_ROLE), self._beside.get((decision.asset, KVAR_ROLE))
        now_s, order = self.clock.monotonic(), decision.kvar
        if point is None or (order is None and (slot is None or (slot.value is None and slot.proven))):
            return None
        if order is None:
            given_back = Setpoint(point, None, "no plan sets it now", now_s + self.lease_s)
            return self._due(Command(decision, given_back, True, True, KVAR_ROLE), slot)
        setpoint = Setpoint(point, order.kvar, order.reason, now_s + self.lease_s)
        return self._due(Command(decision, setpoint, True, False, KVAR_ROLE), slot, renews=renews)

    def _due(self, command: Command, slot: _Slot | None, *, renews: bool = False) -> Command | None:
        """Give a command that says something new or must be renewed; None while the one in force still says it."""
        if slot is None or not _same(slot.value, command.setpoint.value):
            return command
        rung, point = command.decision.rung, command.setpoint.point
        slot.is_ordered = rung is Rung.OPERATOR
        retry, now_s = 0 < slot.tries < MOST_TRIES, self.clock.monotonic()
        if slot.proven and self.budget.is_kept(point):
            return None
        if not (retry or renews) and now_s - slot.written_s < self.lease_s / 3.0 - SAME:
            return None
        if not retry and not slot.proven and rung not in FORCING and self.budget.waits(point, now_s):
            return None
        return replace(command, changed=False)

    async def _journalled(self, commands: Sequence[Command]) -> list[Command]:
        """Record intents; give the commands that may be written now (Law 1)."""
        futures = [self.journal.record("intent", _intent(c, self.lease_s)) for c in commands if c.changed]
        self.late_commit = ""
        if not futures:
            return list(commands)
        try:
            # Shielded: giving up the wait must not cancel what the writer thread is about to resolve.
            commits = [asyncio.shield(asyncio.wrap_future(future)) for future in futures]
            await self.clock.wait_for(asyncio.gather(*commits), self.commit_wait_s)
        except TimeoutError:
            self.late_commit = "the journal did not commit the intents in time; increasing commands wait for the disk"
        except StoreError as error:
            self.late_commit = f"{error}; increasing commands wait for the disk"
        if not self.late_commit:
            return list(commands)
        return [c for c in commands if c.reducing or not c.changed]

    async def _write_device(self, device: str, batch: Sequence[Command]) -> list[Written]:
        if not self.owns():
            return []
        setpoints = [command.setpoint for command in batch]
        try:
            wait_s = WRITE_SHARE * self.cycle_s
            results = await self.clock.wait_for(self.drivers[device].write(setpoints, self.lease_s), wait_s)
        except TimeoutError:
            late = f"no answer within {WRITE_SHARE * self.cycle_s:g} s"
            results = [WriteResult(s.point, Outcome.UNKNOWN, None, late) for s in setpoints]
        answers = {result.point: result for result in results}
        silent = "the driver gave no result"
        return [
            Written(c, answers.get(c.setpoint.point) or WriteResult(c.setpoint.point, Outcome.UNKNOWN, None, silent))
            for c in batch
        ]

    def _remember(self, one: Written) -> None:
        asset, now_s = one.command.decision.asset, self.clock.monotonic()
        key = (asset, one.command.beside)
        before = self._beside.get(key) if one.command.beside else self._slots.get(asset)
        since_s = before.since_s if before and not one.command.changed else now_s
        failed = one.result.outcome is not Outcome.APPLIED
        renews = not (one.command.changed or failed or (before and not before.proven))
        if not renews:
            self.journal.record("result", _result(one))
            self.budget.count(one.command.setpoint.point, now_s)
        tries = (before.tries if before and not one.command.changed else 0) + 1 if failed else 0
        effective = None if one.command.setpoint.value is None else one.result.effective
        value = one.command.setpoint.value
        is_ordered = one.command.decision.rung is Rung.OPERATOR
        slot = _Slot(one.command.decision.kw, value, since_s, now_s, tries, effective, is_ordered)
        if one.command.beside:
            self._beside[key] = slot
        else:
            self._slots[asset] = slot

    async def release(self, assets: Iterable[str], reason: str, *, to_safe: bool) -> None:
        """Hand assets back once: to their declared safe values, or to their own control."""
        for asset in assets:
            self.forget(asset)
        levers = [self.levers[asset] for asset in assets]
        decisions = [Decision(lv.asset, lv.safe_kw if to_safe else None, Rung.SAFE, reason) for lv in levers]
        await self.write(decisions)
        for asset in assets:
            self.forget(asset)


def _same(one: float | None, other: float | None) -> bool:
    return one is other or (one is not None and other is not None and abs(one - other) <= SAME)


def _intent(command: Command, lease_s: float) -> dict[str, Any]:
    decision = command.decision
    return {
        "asset": decision.asset,
        "point": command.setpoint.point,
        "value": command.setpoint.value,
        "power_kw": decision.kw,
        "rung": decision.rung.value,
        "reason": command.setpoint.reason,
        "lease_s": lease_s,
    }


def _result(one: Written) -> dict[str, Any]:
    return {
        "asset": one.command.decision.asset,
        "point": one.result.point,
        "value": one.command.setpoint.value,
        "outcome": one.result.outcome.value,
        "effective": one.result.effective,
        "reason": one.result.reason,
    }
