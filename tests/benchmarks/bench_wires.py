"""What a read of a device costs through the whole driver, beside the least that one socket can do.

The devices are a SunSpec meter on Modbus TCP and the pretend air handler on BACnet/IP, in a process of their own, so
that either end is counted alone. Both sides of a comparison ask for the same bytes; the limit checks nothing, drops
nothing and names nothing. A device in memory shows what a scan costs without a wire. Prints one JSON object. CPU time,
because the machine may be shared.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from drivers.bacnet import apdu
from drivers.points import Measurement
from drivers.profiles import ProfileInfo, RoleInfo, RoleKind
from drivers.registry import DeviceSpec, build_driver
from drivers.simulated import SimulatedDriver
from ems.clock import SystemClock
from hil.endpoints.bacnet_device import BacnetDevice
from hil.endpoints.bacnet_links import DirectLink
from tests.drivers.raw_modbus_server import RawModbusServer, meter_image

ROUNDS, READS, STACK_READS = 5, 400, 60
POINTS = 300
AIR_HANDLER = {"power_kw": 4.5, "temperature_c": 21.5, "outdoor_c": -3.0, "energy_kwh": 1234.5}
WANTED = tuple(((kind, instance), (85, 111)) for kind, instance in ((0, 1), (0, 2), (0, 3), (0, 4), (2, 1)))


class Plant:
    """A plant in which time passes with every look at it, so that the device has something to bring up to date."""

    elapsed_s = 0.0

    def command(self, asset: str, power_kw: float | None) -> None: ...

    def state(self, asset: str) -> Mapping[str, float]:
        self.elapsed_s += 1.0
        return AIR_HANDLER


def free_udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def serve() -> None:
    """Serve both devices until stdin closes; every line there is answered with the CPU time so far [s]."""
    port = free_udp_port()
    handler = BacnetDevice(Plant(), "hp", rated_kw=15.0, link=DirectLink("127.0.0.1", port), instance=3001)
    await handler.open()
    async with RawModbusServer(meter_image()) as server:
        print(json.dumps([server.port, port]), flush=True)
        while await asyncio.to_thread(sys.stdin.readline):
            print(time.process_time(), flush=True)
    handler.shut_down()


@dataclass
class Served:
    """The devices' process."""

    process: subprocess.Popen
    modbus_port: int
    bacnet_port: int

    def cpu_s(self) -> float:
        self.process.stdin.write("?\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())


@contextmanager
def served():
    """Run the devices as a process."""
    line = [sys.executable, "-m", "tests.benchmarks.bench_wires", "serve"]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Served(process, *json.loads(process.stdout.readline()))
        process.stdin.close()


async def cpu_us(
    work: Callable[[], Awaitable[object]], clock: Callable[[], float] = time.process_time, reads: int = READS
) -> float:
    """CPU time of one piece of work, the best of several rounds [us]."""
    spent = []
    for _ in range(ROUNDS):
        begin_s = clock()
        for _ in range(reads):
            await work()
        spent.append((clock() - begin_s) / reads)
    return 1e6 * min(spent)


async def asked() -> bytes:
    """Find out which block the driver asks for."""
    async with RawModbusServer(meter_image()) as server:
        driver = meter(server.port)
        await driver.read()
        await driver.read()
        await driver.close()
        return server.requests[-1]


def meter(port: int):
    return build_driver("meter", DeviceSpec(protocol="modbus", profile="sunspec_meter", port=port), SystemClock())


async def modbus(port: int) -> dict:
    """Measure the meter's driver."""
    request = await asked()
    count = struct.unpack_from(">H", request, 3)[0]
    frame, words = struct.pack(">HHHB", 1, 0, len(request) + 1, 1) + request, struct.Struct(f">{count}H")
    driver, loop = meter(port), asyncio.get_running_loop()
    with socket.create_connection(("127.0.0.1", port)) as link:
        link.setblocking(False)

        async def raw() -> tuple[int, ...]:
            await loop.sock_sendall(link, frame)
            answer = await loop.sock_recv(link, 512)
            return words.unpack_from(answer, 9)

        await raw()
        said = await driver.read()
        limit_us, driver_us = await cpu_us(raw), await cpu_us(driver.read)
    await driver.close()
    return {
        "registers": count,
        "points": len(said),
        "driver_cpu_us": round(driver_us, 1),
        "raw_socket_cpu_us": round(limit_us, 1),
        "driver_over_raw_socket": round(driver_us / limit_us, 2),
        "reads_a_cpu_second": round(1e6 / driver_us),
    }


async def bacnet(devices: Served) -> dict:
    """Measure the air handler's driver, the device itself, and the second way through bacpypes3."""
    spec = DeviceSpec(protocol="bacnet", profile="heat_pump", port=devices.bacnet_port, timeout_s=5.0)
    driver, loop = build_driver("hp", spec, SystemClock()), asyncio.get_running_loop()
    frame = apdu.framed(apdu.read_many(7, WANTED), None)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        link.setblocking(False)
        link.connect(("127.0.0.1", devices.bacnet_port))

        async def raw() -> bytes:
            await loop.sock_sendall(link, frame)
            return await loop.sock_recv(link, 2048)

        await raw()
        said = await driver.read()
        limit_us, driver_us = await cpu_us(raw), await cpu_us(driver.read)
        device_us = await cpu_us(driver.read, devices.cpu_s)
    driver._peer.is_beyond_us = True  # as after an answer in several pieces
    await driver.read()
    stack_us = await cpu_us(driver.read, reads=STACK_READS)
    await driver.close()
    return {
        "points": len(said),
        "driver_cpu_us": round(driver_us, 1),
        "device_cpu_us": round(device_us, 1),
        "raw_socket_cpu_us": round(limit_us, 1),
        "driver_over_raw_socket": round(driver_us / limit_us, 2),
        "through_bacpypes3_cpu_us": round(stack_us, 1),
        "bacpypes3_over_driver": round(stack_us / driver_us, 2),
    }


async def in_memory() -> dict:
    """Measure a device of several hundred points without a wire, beside making its measurements."""
    roles = {f"p{i}_kw": RoleInfo(f"p{i}_kw", "kW", False, RoleKind.MEASUREMENT) for i in range(POINTS)}
    clock = SystemClock()
    driver = SimulatedDriver("x", ProfileInfo(roles, has_watchdog=False), clock)
    names, at = list(driver.points), clock.now()

    async def measurements() -> list[Measurement]:
        return [Measurement(name, 1.0, at, 2.0) for name in names]

    least_us, scan_us = await cpu_us(measurements), await cpu_us(driver.read)
    return {
        "points": POINTS,
        "scan_cpu_us": round(scan_us, 1),
        "measurements_cpu_us": round(least_us, 1),
        "point_cpu_us": round(scan_us / POINTS, 3),
        "overhead_cpu_us": round(scan_us - least_us, 1),
    }


async def measure() -> dict:
    with served() as devices:
        return await modbus(devices.modbus_port) | {"bacnet": await bacnet(devices), "in_memory": await in_memory()}


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        asyncio.run(serve())
    else:
        print(json.dumps(asyncio.run(measure())))
