"""A device behind BACnet/IP: reads many properties in one request, commands one slot, proves by reading back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from drivers.backoff import Backoff
from drivers.bacnet.apdu import OBJECT_IDENTIFIER, OBJECT_TYPES, PRESENT_VALUE, STATUS_FLAGS, ObjectId, Route
from drivers.bacnet.denials import Denial, Silence
from drivers.bacnet.objects import is_same, name_of, overriding, reading
from drivers.bacnet.profile import BacnetProfile, ObjectMap
from drivers.bacnet.station import Peer, Station, release, share
from drivers.driver import DriverClock
from drivers.leases import objection, outside
from drivers.points import Measurement, Outcome, Point, Setpoint, WriteResult
from drivers.readings import all_bad
from drivers.spec import DeviceSpec
from drivers.transitions import Transitions

_LOG = logging.getLogger(__name__)
PROPERTIES = (PRESENT_VALUE, STATUS_FLAGS)


class BacnetDriver:
    """One BACnet device. One request at a time: small controllers have room for no more.

    Args:
        device: id of the device. spec: how it is reached. profile: its objects.
        clock: time.
        open_station: gives our end of the network, as `share` does.
    """

    def __init__(
        self,
        device: str,
        spec: DeviceSpec,
        profile: BacnetProfile,
        clock: DriverClock,
        open_station: Callable[[], Station] = share,
    ) -> None:
        self._device = device
        self._spec = spec
        self._profile = profile
        self._clock, self._open_station = clock, open_station
        self._station: Station | None = None
        self._peer = Peer(spec.host, spec.port, clock, spec.timeout_s, _route(spec))
        self._turn = asyncio.Lock()
        self._pause = Backoff(f"{self._peer.name}/{spec.device_instance}")
        self._is_known = False
        self._per_request = max(1, profile.max_properties // len(PROPERTIES))
        self._ids = {name: (OBJECT_TYPES[p.object_type], p.instance) for name, p in profile.points.items()}
        self._points = {f"{device}.{name}": point.role.at(device) for name, point in profile.points.items()}
        self._transitions = Transitions(device, _LOG)

    @property
    def device(self) -> str:
        """Id of the device."""
        return self._device

    @property
    def points(self) -> Mapping[str, Point]:
        """All points by id."""
        return self._points

    @property
    def has_watchdog(self) -> bool:
        """Whether the device drops our command by itself; a priority array never does."""
        return self._profile.has_watchdog

    async def read(self) -> Sequence[Measurement]:
        """Read present values and status flags of all points."""
        async with self._turn:
            at, at_s = self._clock.now(), self._clock.monotonic()
            try:
                station = await self._ready()
                answers = await self._read(station)
            except (Silence, Denial) as error:
                self._lose(error)
                return all_bad(self._points, str(error), at, at_s)
            self._regain()
            return [
                reading(point, *self._said(answers, name)).of(f"{self._device}.{name}", at, at_s)
                for name, point in self._profile.points.items()
            ]

    async def write(self, setpoints: Sequence[Setpoint], lease_s: float) -> Sequence[WriteResult]:
        """Write each set-point into our slot, or NULL to give it back, and read back what wins."""
        async with self._turn:
            return [await self._write(setpoint, lease_s) for setpoint in setpoints]

    async def close(self) -> None:
        """Give the station back; writes nothing, so a command stays in its slot."""
        station, self._station, self._is_known = self._station, None, False
        if station is not None:
            await release(station, self._clock)

    # ---- contact ----------------------------------------------------------------------------------------------------

    async def _ready(self) -> Station:
        """Have the right device at the other end; raises `Silence` or `Denial`."""
        resting_s = self._pause.remaining_s(self._clock.monotonic())
        if resting_s > 0:
            raise Silence(f"no answer lately; next attempt in {resting_s:.1f} s")
        if self._station is None:
            self._station = self._open_station()
        if not self._is_known and self._spec.device_instance is not None:
            await self._identify(self._station, self._spec.device_instance)
        self._is_known = True
        return self._station

    async def _identify(self, station: Station, instance: int) -> None:
        """Make sure that it is the device that was meant: it alone knows itself under its instance."""
        try:
            await station.read_one(self._peer, (OBJECT_TYPES["device"], instance), OBJECT_IDENTIFIER)
        except Denial as denial:
            raise Denial(f"the device at {self._peer.name} is not device {instance}: {denial}") from denial

    def _lose(self, error: Silence | Denial) -> None:
        self._is_known = False
        if isinstance(error, Silence) and self._pause.remaining_s(self._clock.monotonic()) == 0:
            self._pause.failed(self._clock.monotonic())
        self._transitions.lost(str(error))

    def _regain(self) -> None:
        self._pause.succeeded()
        self._transitions.back()

    # ---- reading ----------------------------------------------------------------------------------------------------

    async def _read(self, station: Station) -> dict[Any, Any]:
        """Read all points in as few requests as the device can answer."""
        ids = list(self._ids.values())
        answers: dict[Any, Any] = {}
        while ids:
            count = self._per_request
            if count == 0:
                return answers | await self._read_singly(station, ids)
            try:
                answers |= await station.read_many(self._peer, tuple((each, PROPERTIES) for each in ids[:count]))
            except Denial as denial:
                if not (denial.is_too_long or denial.is_unknown_service):
                    raise
                # Remembered: half as many objects a request, or one property for a device that knows no better.
                self._per_request = 0 if denial.is_unknown_service else min(count, len(ids)) // 2
            else:
                ids = ids[count:]
        return answers

    async def _read_singly(self, station: Station, ids: Sequence[ObjectId]) -> dict[Any, Any]:
        answers: dict[Any, Any] = {}
        for object_id in ids:
            for name in PROPERTIES:
                try:
                    answers[object_id, name] = await station.read_one(self._peer, object_id, name)
                except Denial as denial:
                    answers[object_id, name] = denial
        return answers

    def _said(self, answers: Mapping[Any, Any], name: str) -> tuple[object, Sequence[int] | None]:
        """Pick a point's present value and status flags; a device may have none of the latter."""
        value, flags = (answers.get((self._ids[name], each)) for each in PROPERTIES)
        return value, flags if isinstance(flags, list) else None

    # ---- writing ----------------------------------------------------------------------------------------------------

    async def _write(self, setpoint: Setpoint, lease_s: float) -> WriteResult:
        name = setpoint.point.removeprefix(f"{self._device}.")
        refusal = objection(setpoint, self._points, lease_s=lease_s, now_s=self._clock.monotonic())
        if not refusal and not self._spec.writable:
            refusal = f"{self._device} is not in control mode"
        if not refusal and setpoint.value is not None:
            role = self._profile.points[name].role
            refusal = outside(setpoint.value, role.lower, role.upper, role.unit)
        if refusal:
            return WriteResult(setpoint.point, Outcome.REFUSED, None, refusal)
        try:
            station = await self._ready()
        except (Silence, Denial) as error:
            self._lose(error)
            return WriteResult(setpoint.point, Outcome.UNKNOWN, None, f"not sent: {error}")
        return await self._command(station, self._profile.points[name], setpoint)

    async def _command(self, station: Station, point: ObjectMap, setpoint: Setpoint) -> WriteResult:
        wanted = None if setpoint.value is None else setpoint.value / point.factor
        object_id = self._ids[point.role.point]
        outcome, reason = Outcome.APPLIED, ""
        try:
            await station.write(self._peer, object_id, wanted, self._spec.priority)
        except Denial as denial:
            outcome, reason = Outcome.REFUSED, str(denial)
        except Silence as silence:
            outcome, reason = Outcome.UNKNOWN, str(silence)
        try:
            return await self._proven(station, point, wanted, WriteResult(setpoint.point, outcome, None, reason))
        except (Silence, Denial) as error:
            self._lose(error)
            if outcome is Outcome.APPLIED:
                outcome, reason = Outcome.UNKNOWN, f"acknowledged, but not read back: {error}"
            return WriteResult(setpoint.point, outcome, None, reason)

    async def _proven(
        self, station: Station, point: ObjectMap, wanted: float | None, result: WriteResult
    ) -> WriteResult:
        """Complete a result with what the device holds now: our slot, and the value that wins."""
        object_id = self._ids[point.role.point]
        slot = await station.read_slot(self._peer, object_id, self._spec.priority)
        present = await station.read_one(self._peer, object_id, PRESENT_VALUE)
        held = float(present) * point.factor if isinstance(present, int | float) and slot is not None else None
        outcome, reason = result.outcome, result.reason
        if outcome is Outcome.APPLIED:
            if (slot is None) is not (wanted is None) or (wanted is not None and not is_same(slot, wanted)):
                outcome, reason = Outcome.REFUSED, f"acknowledged, but slot {self._spec.priority} holds {slot}"
            elif wanted is not None and not is_same(present, wanted):
                outcome, reason = Outcome.REFUSED, await self._overridden(station, point)
        return WriteResult(result.point, outcome, held, reason)

    async def _overridden(self, station: Station, point: ObjectMap) -> str:
        stronger = overriding(await station.read_slots(self._peer, self._ids[point.role.point]), self._spec.priority)
        if stronger is None:
            return f"{name_of(point)} holds our command but does not show it"
        return f"overridden at priority {stronger}"


def _route(spec: DeviceSpec) -> Route | None:
    """Say where behind a router the device is; MAC addresses there are single octets."""
    if spec.bacnet_network is None or spec.bacnet_mac is None:
        return None
    return spec.bacnet_network, bytes((spec.bacnet_mac,))
