"""Thirty thousand points at 1 Hz through the daemon: deadlines missed, CPU and memory. Prints one JSON object.

A hundred devices in memory with three hundred points each stand beside a small site that is steered; every value
changes in every cycle. The daemon runs live on the machine's clock with its stores on a disk, once with nobody looking
on and once with somebody who follows its stream from another process. What the devices in memory cost to read is told
apart.

Usage: python -m tests.benchmarks.bench_points [SECONDS]
"""

from __future__ import annotations

import asyncio
import gc
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from drivers.points import Measurement
from drivers.profiles import ProfileInfo, RoleInfo, RoleKind
from drivers.registry import profile_points
from drivers.simulated import SimulatedDriver
from ems.app import build
from ems.clock import Clock, SystemClock
from ems.config.site import Site
from ems.daemon import Daemon
from ems.timetable import LiveRunner
from ems.worker import NoSolver
from tests.ems.stage import SITE, make_site

DEVICES, POINTS = 100, 300
CYCLE_S, FOR_S = 1.0, 120.0
RACK = ProfileInfo(
    {
        f"value_{index:03d}": RoleInfo(f"value_{index:03d}", "kW", False, RoleKind.MEASUREMENT)
        for index in range(POINTS)
    },
    has_watchdog=False,
)


class Rack(SimulatedDriver):
    """A device with many points; all of them change with every read, and the time that reading takes is counted."""

    spent_s = 0.0
    reads = 0

    async def read(self) -> Sequence[Measurement]:
        begin_s = time.process_time()
        self.reads += 1
        self.values = dict.fromkeys(self.values, float(self.reads))
        found = await super().read()
        Rack.spent_s += time.process_time() - begin_s
        return found


def crowded_site(devices: int = DEVICES) -> Site:
    """Give the small site with so many devices beside it."""
    rack = {"protocol": "simulated", "profile": "sunspec_meter", "mode": "monitor"}
    return make_site({f"devices.rack_{index:03d}": {**rack, "port": 1000 + index} for index in range(devices)})


def crowded_drivers(site: Site, clock: Clock) -> dict[str, SimulatedDriver]:
    """Give the drivers in memory of a crowded site."""
    own = {
        name: SimulatedDriver(name, profile_points("simulated", device.profile), clock, safe=device.safe)
        for name, device in site.file.devices.items()
        if name in SITE["devices"]
    }
    return own | {name: Rack(name, RACK, clock) for name in site.file.devices if name not in own}


async def run(state: Path, for_s: float, *, followed: bool, devices: int = DEVICES) -> dict[str, float]:
    """Let the daemon live for so long [s]; gives its figures."""
    clock, site = SystemClock(), crowded_site(devices)
    drivers = crowded_drivers(site, clock)
    daemon = build(site, state, clock, NoSolver(), cycle_s=CYCLE_S, durable=True, feeds={}, drivers=drivers)
    await daemon.start()
    gc.collect()
    gc.freeze()
    reader = _follower(state) if followed else None
    Rack.spent_s, cpu_s, began_s = 0.0, time.process_time(), time.perf_counter()
    await LiveRunner(daemon.timetable, clock).run(for_s)
    cpu_s, wall_s = time.process_time() - cpu_s, time.perf_counter() - began_s
    if reader is not None:
        reader.kill()
        reader.wait()
    figures = _figures(daemon, cpu_s, wall_s)
    await daemon.stop()
    return figures


def _follower(state: Path) -> subprocess.Popen[bytes]:
    code = (
        "import asyncio, sys\nfrom ems.live import follow_live\n"
        "async def main():\n    async for _ in follow_live(sys.argv[1]): pass\nasyncio.run(main())"
    )
    return subprocess.Popen([sys.executable, "-c", code, str(state)])


def _figures(daemon: Daemon, cpu_s: float, wall_s: float) -> dict[str, float]:
    counters = daemon.counters()
    cycles, missed = counters["cycles"], counters["missed_deadlines"]
    points = len(daemon.loop.last.snapshot.readings)
    return {
        "points": points,
        "cycles": cycles,
        "missed_deadlines": missed,
        "missed_pct": round(100.0 * missed / max(cycles + missed, 1), 3),
        "cpu_pct_of_a_core": round(100.0 * cpu_s / wall_s, 1),
        "cpu_ms_a_cycle": round(1e3 * cpu_s / max(cycles, 1), 1),
        "of_which_reading_ms": round(1e3 * Rack.spent_s / max(cycles, 1), 1),
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0, 1),
    }


def measure(for_s: float) -> dict:
    figures = {}
    for name, followed in (("alone", False), ("followed", True)):
        with tempfile.TemporaryDirectory() as folder:
            figures[name] = asyncio.run(run(Path(folder), for_s, followed=followed))
    return {"seconds": for_s, **figures}


if __name__ == "__main__":
    print(json.dumps(measure(float(sys.argv[1]) if len(sys.argv) > 1 else FOR_S)))
