"""A battery inverter in a process of its own, in real time: what a bench takes for a real device.

`python lone_inverter.py PORT` prints `ready` once it answers, and serves until it is killed.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Mapping

from hil.endpoints.modbus_server import ModbusServer
from hil.endpoints.sunspec_devices import BatteryInverter
from hil.plant.ambient import Ambient
from hil.plant.battery import Battery

STEP_S = 0.1


class LonePlant:
    """A battery and nothing else; its instant is that of the wall."""

    def __init__(self) -> None:
        self.battery = Battery("house", 12.0, 6.0, 6.0, 0.02, 0.02, 0.01, 6.0)
        self.began_s = time.monotonic()
        self.elapsed_s = 0.0
        self.import_kwh = self.export_kwh = 0.0

    def command(self, asset: str, power_kw: float | None) -> None:
        self.battery.command(power_kw)

    def state(self, asset: str) -> Mapping[str, float]:
        return self.battery.state()

    def voltage_pu(self, bus: str) -> float:
        return 1.0


async def serve(port: int) -> None:
    plant = LonePlant()
    device = BatteryInverter(plant, "battery", "house", 6.0, 12.0)  # type: ignore[arg-type]
    await ModbusServer("127.0.0.1", port, {1: device}).open()
    print("ready", flush=True)
    while True:
        await asyncio.sleep(STEP_S)
        plant.battery.step(Ambient(), STEP_S)
        plant.elapsed_s = time.monotonic() - plant.began_s
        device.tick(plant.elapsed_s)


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
