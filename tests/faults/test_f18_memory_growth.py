"""F18: memory, tasks, files and sockets stay as they are, for a month of simulated faults and an hour of the machine's.

The month runs in a process of its own, which keeps its heap as the core's does. What the simulation itself remembers
for its verdicts is dropped every hour, so that what grows is the daemon. An hour can tell no slope finer than what an
allocator takes at a time, about a mebibyte: its limit is that much after the warm-up; the month has the finer one.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import pytest
from fault_stage import SITE

from ems.lean_heap import give_back, keep_heap_lean
from ems.live import LiveError, read_live
from ems.operations.loop_watch import Lag
from ems.ownership import read_record
from hil.simulation.faults import Rates
from hil.simulation.life import Life
from hil.simulation.simulate import Order, Outcome, simulate

DAY_S, HOUR_S = 86400.0, 3600.0
MIB = 2**20
FAULTS = Rates(crash=0.0)
"""The usual ones, in one life of one process."""


def resident_bytes(process: int | str = "self") -> int:
    """Tell how much memory of the machine a process holds."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def open_files(process: int | str = "self") -> tuple[int, int]:
    """Count the files that a process holds open, and the sockets among them."""
    names = []
    for handle in Path(f"/proc/{process}/fd").iterdir():
        try:
            names.append(str(handle.readlink()))
        except OSError:  # the listing's own
            continue
    return len(names), sum(name.startswith("socket:") for name in names)


@dataclass
class Sample:
    at_s: float
    rss: int
    tasks: int
    files: int
    sockets: int


@dataclass
class Scales:
    """Weighs the process every so often, after the simulation has forgotten what it keeps for its verdicts."""

    every_s: float
    found: list[Sample] = field(default_factory=list)

    def after_cycle(self, life: Life) -> None:
        at_s = life.loop.time()
        if self.found and at_s - self.found[-1].at_s < self.every_s:
            return
        town = life.setting.town
        town.world.plant.records.forget()
        life.decided.clear()
        life._journal.acknowledged.clear()
        give_back()
        self.found.append(Sample(at_s, resident_bytes(), len(asyncio.all_tasks(life.loop)), *open_files()))


@contextmanager
def weighed(every_s: float) -> Iterator[Scales]:
    """Weigh this process while a daemon lives in it."""
    made, whole = Scales(every_s), Life._on_cycle

    def watched(self: Life) -> None:
        whole(self)
        made.after_cycle(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Life, "_on_cycle", watched)
        yield made


def live_a_month() -> tuple[Outcome, list[Sample]]:
    with weighed(HOUR_S) as scales:
        return simulate(Order(SITE, 6, 30 * DAY_S, rates=FAULTS, scenario="winter_day")), scales.found


def constant(samples: list[Sample]) -> None:
    """Tasks, files and sockets: none but what a plan or a read under way holds for its while."""
    for name in ("tasks", "files", "sockets"):
        counts = [getattr(sample, name) for sample in samples]
        assert max(counts) - statistics.median(counts) <= 2, (name, counts)
        assert statistics.median(counts) - min(counts) <= 2, (name, counts)


def test_f18_two_hours_leave_nothing_behind() -> None:
    with weighed(300.0) as scales:
        outcome = simulate(Order(SITE, 6, 2 * HOUR_S, cycle_s=20.0, plans=False, rates=FAULTS.times(10.0)))
    assert outcome.violations == []
    warm = scales.found[6:]
    assert len(warm) >= 15
    constant(warm)
    grown = warm[-1].rss - warm[0].rss
    assert grown < 0.05 * warm[0].rss


@pytest.mark.soak
@pytest.mark.faults
@pytest.mark.timeout(5400)
def test_f18_thirty_days_leave_nothing_behind() -> None:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context, initializer=keep_heap_lean) as processes:
        outcome, found = processes.submit(live_a_month).result()
    assert outcome.violations == []
    assert outcome.lives == 1
    days = [[s for s in found if day * DAY_S <= s.at_s < (day + 1) * DAY_S] for day in range(30)]
    constant([sample for day in days[1:] for sample in day])
    medians = [statistics.median(sample.rss for sample in day) for day in days]
    second, last = medians[1], medians[-1]
    slope = statistics.linear_regression(range(1, 30), medians[1:]).slope
    print(f"{second / MIB:.1f} MiB on the second day, {last / MIB:.1f} MiB on the last, {slope / MIB:.3f} MiB a day")
    assert last < 1.05 * second
    assert slope < MIB


@pytest.mark.soak
@pytest.mark.faults
@pytest.mark.timeout(5400)
def test_f18_an_hour_of_the_machines_time() -> None:
    """The core of a demo at real speed, as the machine sees it."""
    order = [sys.executable, "-P", "-m", "ems.cli", "demo", "demo_house", "--speed", "1", "--for", "3600"]
    with subprocess.Popen(order, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as demo:
        states: list[Path] = []
        reading = threading.Thread(target=_find_state, args=(demo.stderr, states), daemon=True)
        reading.start()
        samples: list[tuple[int, int, int]] = []
        lag = Lag()
        while demo.poll() is None:
            time.sleep(10.0)
            owner = read_record(states[-1]) if states else None
            with suppress(OSError, LiveError):
                if owner is not None and owner.role == "core":
                    samples.append((resident_bytes(owner.pid), *open_files(owner.pid)))
                    loop = read_live(states[-1])["vitals"]["loop"]
                    lag = Lag(list(loop["counts"]), max_s=loop["max_s"])
        reading.join(60.0)
    assert demo.returncode == 0
    warm = samples[len(samples) // 3 : -3]
    assert len(warm) > 150
    first, last = (statistics.median(rss for rss, *_ in part) for part in (warm[:12], warm[-12:]))
    late_s = lag.quantile_s(0.99)
    print(f"{first / MIB:.1f} MiB warm, {last / MIB:.1f} MiB at the end; the loop is late by {late_s} s at most")
    assert last - first < MIB
    assert sum(lag.counts) > 10_000
    assert late_s <= 0.05
    for place in (1, 2):
        counts = [sample[place] for sample in warm]
        assert max(counts) - statistics.median(counts) <= 2


def _find_state(stream: IO[str], states: list[Path]) -> None:
    """Read what the demo says; it names its state folder."""
    told = (line.split("--state ", 1)[1] for line in stream if "--state " in line)
    states.extend(Path(words.strip().strip("`")) for words in told)
