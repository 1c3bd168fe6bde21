"""What the driver tests share: a clock set by hand, and drivers that leave nothing behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta

import pytest

from drivers.driver import Driver
from drivers.registry import DeviceSpec, build_driver

SLICES = 20


class HandClock:
    """Real waiting, but `monotonic` moves by hand, so that pauses and leases can be stepped over.

    A wait is a row of short ones: both ends of a wire live in this process, and a machine that stops it for a while
    then uses up one of them and not the device's whole time-out.
    """

    def __init__(self) -> None:
        self.at_s = 100.0

    def now(self) -> datetime:
        return datetime(2026, 3, 1, tzinfo=UTC) + timedelta(seconds=self.at_s)

    def monotonic(self) -> float:
        return self.at_s

    async def sleep(self, seconds: float) -> None:
        self.at_s += seconds
        await asyncio.sleep(0)

    async def wait_for(self, awaitable, seconds):
        task = asyncio.ensure_future(awaitable)
        try:
            for _ in range(SLICES):
                if (await asyncio.wait({task}, timeout=seconds / SLICES))[0]:
                    return task.result()
        finally:
            if not task.done():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        raise TimeoutError


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
async def build(clock: HandClock) -> AsyncIterator[Callable[..., Driver]]:
    """Build drivers that are closed when the test ends; nothing may be left behind."""
    drivers: list[Driver] = []

    def make(profile: str, port: int, *, device: str = "dev", **spec: object) -> Driver:
        spec = {"protocol": "modbus", "timeout_s": 20.0, "writable": True} | spec
        driver = build_driver(device, DeviceSpec(profile=profile, port=port, **spec), clock)
        drivers.append(driver)
        return driver

    yield make
    for driver in drivers:
        await driver.close()
    for _ in range(3):
        await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}
