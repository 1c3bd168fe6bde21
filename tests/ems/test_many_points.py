"""A slice of the daemon's life with thirty thousand points, untimed: none is lost on the way to the history."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
from stage import NOW

from drivers.points import Quality
from ems.app import build
from ems.clock import SimulatedClock
from ems.slow.planning_setup import history_path
from ems.store.reader import read
from ems.worker import NoSolver
from tests.benchmarks.bench_points import DEVICES, POINTS, crowded_drivers, crowded_site

CYCLES = 4


async def test_every_point_of_every_cycle_is_read_judged_and_kept(tmp_path: Path) -> None:
    clock, site = SimulatedClock(NOW), crowded_site()
    drivers = crowded_drivers(site, clock)
    daemon = build(site, tmp_path, clock, NoSolver(), cycle_s=1.0, durable=False, feeds={}, drivers=drivers)
    for cycle in range(CYCLES):
        clock.advance_to(float(cycle + 1))
        drivers["rack_007"].offline = "pulled" if cycle == CYCLES - 1 else ""
        await daemon.cycle()
    snapshot = daemon.loop.last.snapshot
    assert len(snapshot.readings) >= DEVICES * POINTS
    assert sum(quality is Quality.GOOD for *_, quality, _ in snapshot.rows()) >= DEVICES * POINTS
    assert snapshot.good("rack_099.value_299") == float(CYCLES)
    assert snapshot.good("rack_007.value_000") == CYCLES - 1.0, "one missed poll leaves the last value in force"
    await daemon.stop()
    names = ["rack_000.value_000", "rack_099.value_299", "rack_007.value_150"]
    _, values = read(history_path(tmp_path), names, NOW, NOW + timedelta(hours=1))
    assert values[:, 0].tolist() == values[:, 1].tolist() == [1.0, 2.0, 3.0, 4.0]
    assert values[:3, 2].tolist() == [1.0, 2.0, 3.0]
    assert np.isnan(values[3, 2])
