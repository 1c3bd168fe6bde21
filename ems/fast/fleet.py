"""The drivers of a site. One that may not be commanded is built so that it cannot write at all."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

from drivers.driver import Driver
from drivers.points import Point
from drivers.registry import DeviceSpec, build_driver
from ems.clock import Clock, unhurried
from ems.config.binding import device_spec
from ems.config.site import Site
from ems.standing import Standing

logger = logging.getLogger(__name__)

Build = Callable[[str, DeviceSpec, Clock], Driver]


class Fleet:
    """All drivers, by device id.

    Args:
        site: the site.
        clock: for the drivers.
        standing: the orders at the start.
        given: drivers that the caller made, for devices in memory; these are never built anew.
        build: makes a driver.
    """

    def __init__(
        self,
        site: Site,
        clock: Clock,
        standing: Standing,
        *,
        given: Mapping[str, Driver] | None = None,
        build: Build = build_driver,
    ) -> None:
        self._site, self._clock, self._build = site, unhurried(clock), build
        built = [device for device in site.file.devices if given is None]
        self._writable = {device: standing.may_write(device) for device in built}
        self.drivers: dict[str, Driver] = {device: self._make(device) for device in built} | dict(given or {})
        self._points: dict[str, Point] = {}

    @property
    def points(self) -> Mapping[str, Point]:
        """All points by id."""
        if not self._points:
            self._points = {name: point for driver in self.drivers.values() for name, point in driver.points.items()}
        return self._points

    def _make(self, device: str) -> Driver:
        spec = device_spec(self._site.file.devices[device], writable=self._writable[device])
        return self._build(device, spec, self._clock)

    async def adopt(self, standing: Standing) -> None:
        """Build anew the drivers of devices that may be commanded from now on, or no longer."""
        for device, writable in self._writable.items():
            if standing.may_write(device) != writable:
                self._writable[device] = not writable
                await self.drivers[device].close()
                self.drivers[device] = self._make(device)
                self._points = {}
                logger.info("%s may %s be commanded", device, "no longer" if writable else "now")

    async def close(self) -> None:
        """Close every link. Writes nothing."""
        await asyncio.gather(*(driver.close() for driver in self.drivers.values()))
