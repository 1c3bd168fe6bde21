"""A device behind Modbus TCP: reads in few blocks, writes as its profile declares, proves by reading back."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from drivers.driver import DriverClock
from drivers.leases import objection
from drivers.modbus.batches import Block, coalesce
from drivers.modbus.commands import (
    Command,
    Terms,
    WriteRequest,
    bounds,
    effective,
    reading,
    safe_value,
    write_requests,
)
from drivers.modbus.link import ACKNOWLEDGE, GATEWAY_SILENT, Link, LinkError, Refusal, release, share
from drivers.modbus.profile import ModbusProfile, PointMap
from drivers.modbus.registers import EncodeError, Register, Table, Unusable
from drivers.modbus.scan import Placed, Scan, decode_block, headed, spans, unread
from drivers.modbus.sunspec import Model, NotSunSpec, discover
from drivers.points import Measurement, Outcome, Point, Setpoint, WriteResult
from drivers.profiles import RoleKind
from drivers.readings import all_bad
from drivers.spec import DeviceSpec
from drivers.transitions import Transitions

_LOG = logging.getLogger(__name__)

OpenLink = Callable[[str, int, DriverClock], Link]
"""Gives the link to a host and a port, as `share` does."""


class ModbusDriver:
    """One Modbus device. What it learns of the device (where the models lie, the ratings) holds for one session.

    Args:
        device: id of the device. spec: how it is reached. profile: its registers.
        clock: time.
        open_link: gives its link.
    """

    def __init__(
        self, device: str, spec: DeviceSpec, profile: ModbusProfile, clock: DriverClock, open_link: OpenLink = share
    ) -> None:
        self._device = device
        self._spec = spec
        self._profile = profile
        self._clock, self._open_link = clock, open_link
        self._link: Link | None = None
        self._session = 0
        self._placed: Mapping[str, Placed] = {}
        self._blocks: tuple[Block, ...] = ()
        self._scan = Scan(profile, {}, 0.0)
        self._unarmed = ""
        self._points = {f"{device}.{name}": point.role.at(device) for name, point in profile.points.items()}
        self._transitions = Transitions(device, _LOG)

    @property
    def device(self) -> str:
        """Id of the device."""
        return self._device

    @property
    def points(self) -> Mapping[str, Point]:
        """All points by id; after the first contact with the bounds that the device's own ratings give."""
        return self._points

    @property
    def has_watchdog(self) -> bool:
        """Whether the device reverts by itself."""
        return self._profile.has_watchdog

    async def read(self) -> Sequence[Measurement]:
        """Read all points."""
        at, at_s = self._clock.now(), self._clock.monotonic()
        try:
            link = await self._ready()
            self._scan = await self._read(link, self._blocks)
        except (LinkError, NotSunSpec) as error:
            self._transitions.lost(str(error))
            return all_bad(self._points, str(error), at, at_s)
        self._transitions.back()
        at += timedelta(seconds=self._scan.at_s - at_s)
        points = self._profile.points
        return [reading(points[name], self._scan).of(f"{self._device}.{name}", at, self._scan.at_s) for name in points]

    async def write(self, setpoints: Sequence[Setpoint], lease_s: float) -> Sequence[WriteResult]:
        """Write each set-point as the profile declares, and read back what the device holds."""
        return [await self._write(setpoint, lease_s) for setpoint in setpoints]

    async def close(self) -> None:
        """Give the link back; writes nothing."""
        link, self._link, self._session = self._link, None, 0
        if link is not None:
            await release(link)

    # ---- contact ----------------------------------------------------------------------------------------------------

    async def _ready(self) -> Link:
        """Be in a session in which the device is known and its failsafe is set."""
        if self._link is None:
            self._link = self._open_link(self._spec.host, self._spec.port, self._clock)
        link = self._link
        session = await link.connect(self._spec.unit, timeout_s=self._spec.timeout_s)
        if session != self._session:
            self._placed = await self._locate(link)
            profile = self._profile
            limit = profile.max_registers
            blocks = coalesce(spans(self._placed, limit), max_registers=limit, max_gap=profile.max_gap)
            self._blocks = headed(blocks, self._placed, limit)
            self._scan = await self._read(link, self._blocks)
            self._adopt_ratings()
            if self._spec.writable:
                await self._arm(link)
            self._session = session
        return link

    async def _locate(self, link: Link) -> Mapping[str, Placed]:
        """Find where each register lies in this device; raises `NotSunSpec`."""
        models: Mapping[int, Model] = {}
        if self._profile.models:
            models = await discover(lambda address, count: self._read_or_none(link, address, count))
            missing = [str(model) for model in self._profile.models if model not in models]
            if missing:
                raise NotSunSpec(f"lacks SunSpec model {', '.join(missing)}; it has {', '.join(map(str, models))}")
        return {
            name: Placed(register, _address(register, models)) for name, register in self._profile.registers.items()
        }

    async def _read_or_none(self, link: Link, address: int, count: int) -> list[int] | None:
        try:
            return await link.read(self._spec.unit, Table.HOLDING, address, count, timeout_s=self._spec.timeout_s)
        except Refusal:
            return None

    def _adopt_ratings(self) -> None:
        for name, point in self._profile.points.items():
            if point.role.writable:
                lower, upper = bounds(point, self._scan)
                self._points[f"{self._device}.{name}"] = replace(point.role.at(self._device), lower=lower, upper=upper)

    async def _arm(self, link: Link) -> None:
        """Tell the device what to fall back to, and make sure that it took it."""
        self._unarmed = ""
        for name, point in self._profile.points.items():
            if not point.failsafe:
                continue
            try:
                is_limit = point.role.kind is RoleKind.LIMIT
                terms = Terms(safe=safe_value(point, self._spec.safe.get(name), self._scan), is_limit=is_limit)
                requests = write_requests(point.failsafe, terms, self._scan, self._placed)
                await self._send(link, [request for request in requests if not request.repeats(self._scan)])
                self._scan = await self._read_back(link, point)
                if not all(request.held_by(self._scan) for request in requests):
                    self._unarmed = f"{name}: the device does not keep its failsafe value"
            except (EncodeError, Refusal) as error:
                self._unarmed = f"{name}: its failsafe value cannot be set: {error}"
        if self._unarmed:
            _LOG.warning("%s is not commanded: %s", self._device, self._unarmed)

    # ---- reading ----------------------------------------------------------------------------------------------------

    async def _read(self, link: Link, blocks: Sequence[Block]) -> Scan:
        """Read blocks in one round; raises `LinkError`. A refused block only silences its own values."""
        at_s = self._clock.monotonic()
        raw: dict[str, float | Unusable] = {}
        for block in blocks:
            raw |= await self._read_block(link, block)
        return Scan(self._profile, raw, at_s)

    async def _read_block(self, link: Link, block: Block) -> dict[str, float | Unusable]:
        try:
            words = await link.read(
                self._spec.unit, block.table, block.address, block.count, timeout_s=self._spec.timeout_s
            )
        except Refusal as refusal:
            halves = block.halves() if refusal.code in (2, 3) else None
            if halves is None:
                return unread(block, str(refusal), self._placed)
            self._blocks = tuple(part for each in self._blocks for part in (halves if each is block else (each,)))
            return await self._read_block(link, halves[0]) | await self._read_block(link, halves[1])
        return decode_block(block, words, self._placed)

    async def _read_back(self, link: Link, point: PointMap) -> Scan:
        """Read again what proves a command, and keep the rest of the newest scan."""
        names = point.names()
        proof = [block for block in self._blocks if any(names.intersection(span.names) for span in block.spans)]
        fresh = await self._read(link, proof)
        return Scan(self._profile, {**self._scan.raw, **fresh.raw}, fresh.at_s)

    # ---- writing ----------------------------------------------------------------------------------------------------

    async def _write(self, setpoint: Setpoint, lease_s: float) -> WriteResult:
        refusal = objection(setpoint, self._points, lease_s=lease_s, now_s=self._clock.monotonic())
        if not refusal and not self._spec.writable:
            refusal = f"{self._device} is not in control mode"
        if refusal:
            return WriteResult(setpoint.point, Outcome.REFUSED, None, refusal)
        point = self._profile.points[setpoint.point.removeprefix(f"{self._device}.")]
        try:
            link = await self._ready()
            if self._unarmed and setpoint.value is not None:
                await self._arm(link)
            if self._unarmed and setpoint.value is not None:
                return WriteResult(setpoint.point, Outcome.REFUSED, None, self._unarmed)
            command = Command(point, setpoint.value, self._spec.safe.get(point.role.point), lease_s)
            requests = command.requests(self._scan, self._placed)
        except (LinkError, NotSunSpec) as error:
            return WriteResult(setpoint.point, Outcome.UNKNOWN, None, f"not sent: {error}")
        except EncodeError as error:
            return WriteResult(setpoint.point, Outcome.REFUSED, None, str(error))
        outcome, reason = await self._try_send(link, requests)
        return await self._proven(command, WriteResult(setpoint.point, outcome, None, reason))

    async def _send(self, link: Link, requests: Sequence[WriteRequest]) -> None:
        for request in requests:
            await link.write(self._spec.unit, request.address, request.words, timeout_s=self._spec.timeout_s)

    async def _try_send(self, link: Link, requests: Sequence[WriteRequest]) -> tuple[Outcome, str]:
        try:
            await self._send(link, requests)
        except LinkError as error:
            return Outcome.UNKNOWN, str(error)
        except Refusal as refusal:
            unsure = refusal.code in (ACKNOWLEDGE, GATEWAY_SILENT)
            return Outcome.UNKNOWN if unsure else Outcome.REFUSED, str(refusal)
        return Outcome.APPLIED, ""

    async def _proven(self, command: Command, result: WriteResult) -> WriteResult:
        """Complete a result with what the device holds now."""
        try:
            link = await self._ready()
            self._scan = await self._read_back(link, command.point)
        except (LinkError, NotSunSpec) as error:
            if result.outcome is Outcome.APPLIED:
                return replace(result, outcome=Outcome.UNKNOWN, reason=f"acknowledged, but not read back: {error}")
            return result
        result = replace(result, effective=effective(command.point, self._scan))
        if result.outcome is Outcome.APPLIED and not command.is_held(self._scan, self._placed):
            unit = command.point.role.unit
            held = "its own control" if result.effective is None else f"{result.effective:g} {unit}"
            return replace(result, outcome=Outcome.REFUSED, reason=f"acknowledged, but the device stays at {held}")
        return result


def _address(register: Register, models: Mapping[int, Model]) -> int:
    if register.model is None:
        return register.at
    model = models[register.model]
    if register.at + register.layout.words > model.length + 2:
        raise NotSunSpec(f"model {register.model} is too short for {register.name}: it has {model.length} registers")
    return model.address + register.at
