"""A device in memory: the blueprint to copy for a new driver, and the device under the daemon's own tests.

It answers at once, follows every command that its points admit, and falls back to its safe values when its lease runs
out, if its profile has a watchdog. Faults are switched on by assigning to `offline` or `refusing`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from drivers.driver import DriverClock
from drivers.leases import objection, outside
from drivers.points import Measurement, Outcome, Point, Setpoint, WriteResult
from drivers.profiles import ProfileInfo
from drivers.readings import RELEASED, Reading, all_bad

_NOTHING: Mapping[str, float | None] = MappingProxyType({})
_RELEASED, _NO_VALUE = Reading.uncertain(0.0, RELEASED), Reading.bad("no value")


class SimulatedDriver:
    """A device without a wire.

    Args:
        device: id of the device.
        info: what it offers, as a profile tells it.
        clock: for instants and leases.
        safe: role -> value that it falls back to.
    """

    def __init__(
        self, device: str, info: ProfileInfo, clock: DriverClock, *, safe: Mapping[str, float | None] = _NOTHING
    ) -> None:
        self.values: dict[str, float | None] = {name: 0.0 for name, role in info.roles.items() if not role.writable}
        """Role -> what it measures; None reads as `BAD`."""
        self.commands: dict[str, float | None] = {name: None for name, role in info.roles.items() if role.writable}
        """Role -> the command it holds; None when released."""
        self.offline = ""
        """Why it does not answer; empty while it does."""
        self.refusing = ""
        """Why it refuses commands; empty while it takes them."""
        self._device = device
        self._info = info
        self._clock = clock
        self._safe = safe
        self._expires_s: dict[str, float] = {}
        self._points = {f"{device}.{name}": role.at(device) for name, role in info.roles.items()}
        self._order = [(f"{device}.{name}", name, role.writable) for name, role in info.roles.items()]

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
        """Whether it falls back when its lease runs out."""
        return self._info.has_watchdog

    async def read(self) -> Sequence[Measurement]:
        """Measure all points at this instant; hundreds of them cost little more than their measurements."""
        self._fall_back()
        at, at_s = self._clock.now(), self._clock.monotonic()
        if self.offline:
            return all_bad(self._points, self.offline, at, at_s)
        values, commands = self.values, self.commands
        said = []
        for point, role, is_command in self._order:
            value = commands[role] if is_command else values[role]
            if value is not None:
                said.append(Measurement(point, value, at, at_s))
            else:
                said.append((_RELEASED if is_command else _NO_VALUE).of(point, at, at_s))
        return said

    async def write(self, setpoints: Sequence[Setpoint], lease_s: float) -> Sequence[WriteResult]:
        """Take each command, or say why not."""
        self._fall_back()
        return [self._take(setpoint, lease_s) for setpoint in setpoints]

    async def close(self) -> None:
        """Nothing to close."""

    def _take(self, setpoint: Setpoint, lease_s: float) -> WriteResult:
        if self.offline:
            return WriteResult(setpoint.point, Outcome.UNKNOWN, None, self.offline)
        reason = objection(setpoint, self._points, lease_s=lease_s, now_s=self._clock.monotonic())
        role = setpoint.point.removeprefix(f"{self._device}.")
        if not reason and setpoint.value is not None:
            info = self._info.roles[role]
            reason = outside(setpoint.value, info.lower, info.upper, info.unit)
        if reason or self.refusing:
            return WriteResult(setpoint.point, Outcome.REFUSED, None, reason or self.refusing)
        self.commands[role] = setpoint.value
        self._expires_s[role] = self._clock.monotonic() + lease_s
        return WriteResult(setpoint.point, Outcome.APPLIED, setpoint.value)

    def _fall_back(self) -> None:
        """Be the watchdog: a command whose lease is over becomes the safe value."""
        for role, expires_s in list(self._expires_s.items()):
            if self._info.has_watchdog and self._clock.monotonic() >= expires_s:
                del self._expires_s[role]
                self.commands[role] = self._safe.get(role)
