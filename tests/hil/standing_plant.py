"""A plant that stands still until a test moves it, for devices without a world."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

from drivers.driver import Driver
from drivers.points import Measurement, Quality, Setpoint, WriteResult
from drivers.registry import DeviceSpec, build_driver
from ems.clock import SimulatedClock, SystemClock
from hil.endpoints.modbus_server import ModbusServer
from hil.relocate import free_port


class StandingPlant:
    """What the devices see: states and limits that a test writes, and the commands that came."""

    def __init__(self, states: Mapping[str, Mapping[str, float]], limits: Mapping[str, float] | None = None) -> None:
        self.states = {asset: dict(state) for asset, state in states.items()}
        self.limits = dict(limits or {})
        self.commands: dict[str, float | None] = {}
        self.told_kvar: dict[str, float | None] = {}
        self.elapsed_s = 0.0
        self.import_kwh = self.export_kwh = 0.0
        self.grid = SimpleNamespace(import_kw=0.0, import_kvar=0.0)
        self.voltages: dict[str, float] = {}

    def command(self, asset: str, power_kw: float | None) -> None:
        self.commands[asset] = power_kw

    def command_kvar(self, asset: str, kvar: float | None) -> None:
        self.told_kvar[asset] = kvar

    def state(self, asset: str) -> Mapping[str, float]:
        return self.states[asset]

    def voltage_pu(self, bus: str) -> float:
        return self.voltages.get(bus, 1.0)

    def published_limits(self, asset_id: str) -> Mapping[str, float]:
        assert asset_id == "bas"
        return self.limits


class Bench:
    """A device, the driver of its profile, and a clock that moves them both."""

    def __init__(self, plant: StandingPlant, device: Any, driver: Driver, clock: SimulatedClock) -> None:
        self.plant, self.device, self.driver, self.clock = plant, device, driver, clock

    async def read(self) -> dict[str, float | None]:
        said: list[Measurement] = list(await self.driver.read())
        return {m.point.partition(".")[2]: m.value if m.quality is Quality.GOOD else None for m in said}

    async def order(self, role: str, value: float | None, lease_s: float = 60.0) -> WriteResult:
        wish = Setpoint(f"dev.{role}", value, "a test", self.clock.monotonic() + lease_s)
        (result,) = await self.driver.write([wish], lease_s)
        return result

    def wait(self, seconds: float) -> None:
        """Let time pass in steps of 2 s."""
        for _ in range(round(seconds / 2.0)):
            self.plant.elapsed_s += 2.0
            self.device.tick(self.plant.elapsed_s)
        self.clock.advance_to(self.plant.elapsed_s)


@asynccontextmanager
async def bench(plant: StandingPlant, device: Any, profile: str, **spec: Any) -> AsyncIterator[Bench]:
    """Put a Modbus device on the air, with its driver."""
    server = ModbusServer("127.0.0.1", 0, {1: device})
    await server.open()
    clock = SimulatedClock(SystemClock().now())
    driver = build_driver("dev", DeviceSpec("modbus", profile, port=server.port, writable=True, **spec), clock)
    try:
        yield Bench(plant, device, driver, clock)
    finally:
        await driver.close()
        await server.close()
        await asyncio.sleep(0)


def free_udp_port() -> int:
    return free_port(socket.SOCK_DGRAM)
