"""What a read of a device costs through the whole driver, beside the least that asyncio and one socket can do.

The device is a SunSpec meter in a process of its own, so that only our end is counted. Both ends ask for the same block
and decode the same words; the limit checks nothing, drops nothing and names nothing. Prints one JSON object. CPU time,
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
from collections.abc import Awaitable, Callable
from contextlib import contextmanager

from drivers.registry import DeviceSpec, build_driver
from ems.clock import SystemClock
from tests.drivers.raw_modbus_server import RawModbusServer, meter_image

ROUNDS, READS = 5, 400


async def serve() -> None:
    """Serve the meter until stdin closes."""
    async with RawModbusServer(meter_image()) as server:
        print(server.port, flush=True)
        await asyncio.to_thread(sys.stdin.read)


@contextmanager
def served():
    """Run the meter as a process; gives its port."""
    line = [sys.executable, "-m", "tests.benchmarks.bench_wires", "serve"]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield int(process.stdout.readline())
        process.stdin.close()


async def cpu_us(work: Callable[[], Awaitable[object]]) -> float:
    """CPU time of one piece of work, the best of several rounds [us]."""
    spent = []
    for _ in range(ROUNDS):
        begin_s = time.process_time()
        for _ in range(READS):
            await work()
        spent.append((time.process_time() - begin_s) / READS)
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


async def measure() -> dict:
    request = await asked()
    count = struct.unpack_from(">H", request, 3)[0]
    frame, words = struct.pack(">HHHB", 1, 0, len(request) + 1, 1) + request, struct.Struct(f">{count}H")
    with served() as port:
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


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        asyncio.run(serve())
    else:
        print(json.dumps(asyncio.run(measure())))
