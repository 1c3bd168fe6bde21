"""The daemon among faults, in simulated time: what it knew, decided and did in each cycle, and what its devices did."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from ems.config.loading import load_site
from ems.config.site import Site
from ems.daemon import Daemon
from ems.fast.decisions import Decision, Rung
from ems.slow.planning_setup import cache_dir, grid_limits, grid_path
from hil.scenario_file import load_scenario
from hil.simulation.faults import Fault, Kind
from hil.simulation.invariants import Violation
from hil.simulation.life import Life
from hil.simulation.simulate import settle
from hil.simulation.town import Town
from hil.world import World
from optimization.network_build import prepare

SITE = load_site(Path(__file__).parents[2] / "sites" / "demo_house")
WINTER = load_scenario("winter_day", "demo_house")
MORNING = WINTER.model_copy(update={"start": WINTER.start + timedelta(hours=7)})
ASSET_OF = {
    "pv_inverter": "pv", "battery_inverter": "battery", "wallbox": "wallbox", "heat_pump_controller": "heat_pump",
}  # fmt: skip
BEGIN_S = 120.0
"""Faults begin when the daemon has had a look round [s since the start of the run]."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What one cycle left behind; times in seconds since the start of the run."""

    at_s: float
    wall: datetime
    online: Mapping[str, bool]
    decisions: Mapping[str, Decision]
    obeyed_kw: Mapping[str, float | None]
    truth_kw: Mapping[str, float]
    good: Mapping[str, float | None]
    alarms: Mapping[str, str]
    state: str
    plan: str | None

    def is_steered(self, device: str) -> bool:
        """Tell whether a device is read, steered by more than its safe value, and obeys."""
        asset = ASSET_OF[device]
        decision, obeyed_kw = self.decisions.get(asset), self.obeyed_kw[asset]
        if not self.online[device] or decision is None or decision.rung is Rung.SAFE:
            return False
        if decision.kw is None or obeyed_kw is None:
            return decision.kw is obeyed_kw
        return abs(decision.kw - obeyed_kw) <= 0.25


@dataclass
class Run:
    """One life of the daemon, and what was seen of it."""

    cycle_s: float
    seen: list[Seen] = field(default_factory=list)
    reads_s: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    violations: list[Violation] = field(default_factory=list)
    calls_s: dict[str, list[float]] = field(default_factory=dict)
    counters: dict[str, Any] = field(default_factory=dict)

    def first(self, holds: Callable[[Seen], bool], from_s: float) -> float:
        """Give when something held first, from an instant on [s]; infinite if it never did."""
        return next((one.at_s for one in self.seen if one.at_s >= from_s and holds(one)), float("inf"))

    def between(self, from_s: float, until_s: float) -> list[Seen]:
        """Give the cycles between two instants [s]."""
        return [one for one in self.seen if from_s <= one.at_s < until_s]

    def changes(self, device: str, from_s: float = 0.0) -> list[float]:
        """Tell when a device was found to come or go [s]."""
        return [
            new.at_s
            for old, new in pairwise(self.seen)
            if old.online[device] != new.online[device] and new.at_s >= from_s
        ]

    def slowest_read_s(self, device: str) -> float:
        """Give the 99th percentile of how long a device's reads took [s]."""
        ranked = sorted(took for _, took in self.reads_s[device])
        return ranked[int(0.99 * (len(ranked) - 1))]

    def gaps_s(self, device: str, from_s: float, until_s: float) -> list[float]:
        """Give the pauses between a device's calls [s]."""
        calls = [at_s for at_s in self.calls_s[device] if from_s <= at_s < until_s]
        return [b - a for a, b in pairwise(calls)]


@dataclass
class FaultStage:
    """The demo house in one process; each run takes its world up where the last one has left it."""

    world: World
    scratch: Path
    prepared: Path
    site: Site = SITE
    runs: int = 0
    alter: Callable[[Daemon], None] = lambda _daemon: None

    def run(
        self, seconds: float, *faults: Fault, cycle_s: float = 5.0, killed: bool = False, plans: bool = False,
        fresh: bool = True, judged: bool = True, before: Callable[[Town], None] = lambda _town: None,
    ) -> Run:  # fmt: skip
        """Let a daemon live among faults.

        Args:
            seconds: how long. faults: their instants count from the start of the run.
            cycle_s: of the control loop. killed: whether its end is sudden. plans: whether there is a planner.
            fresh: whether its state folder is a new one. judged: whether a broken invariant fails the test.
            before: changes the town before the daemon is born.
        """
        self.runs += fresh or not self.runs
        state = self.scratch / f"state{self.runs}"
        state.mkdir(exist_ok=True)
        if not cache_dir(state).exists():
            cache_dir(state).symlink_to(self.prepared)
        start_s, run = self.world.plant.elapsed_s, Run(cycle_s)
        self._heal()
        due = sorted((replace(fault, at_s=start_s + fault.at_s) for fault in faults), key=lambda one: one.at_s)

        def alter(daemon: Daemon) -> None:
            self.alter(daemon)
            watcher.watch(daemon)

        setting = settle(
            self.world, self.site, state, 1, run.violations.append,
            faults=due, cycle_s=cycle_s, plans=plans, alter=alter, stops=False,
        )  # fmt: skip
        before(setting.town)
        life = Life(setting, 1, start_s)
        watcher = _Watcher(run, setting.town, start_s, life)
        life.run(start_s + seconds, killed=killed)
        if judged:
            assert run.violations == []
        return run

    def _heal(self) -> None:
        for wire in self.world.wires.values():
            wire.trouble.refuse = False


@dataclass
class _Watcher:
    run: Run
    town: Town
    start_s: float
    life: Life

    def watch(self, daemon: Daemon) -> None:
        """Look on after each cycle, and time each read."""
        job = next(job for job in daemon.timetable.jobs if job.name == "control")
        work, drivers = job.work, daemon._parts.drivers

        async def cycle() -> None:
            await work()
            self._note(daemon)

        job.work = cycle
        for device, driver in drivers.items():
            driver.read = self._timed(device, driver.read)
            self.town.wires[device].on_call = self._called(device)

    def _called(self, device: str) -> Callable[[float], None]:
        calls_s = self.run.calls_s.setdefault(device, [])
        return lambda at_s: calls_s.append(at_s - self.start_s)

    def _timed(self, device: str, read: Callable[[], Any]) -> Callable[[], Any]:
        reads_s = self.run.reads_s.setdefault(device, [])

        async def timed() -> Any:
            began_s = self.life.loop.time()
            try:
                return await read()
            finally:
                reads_s.append((began_s - self.start_s, self.life.loop.time() - began_s))

        return timed

    def _note(self, daemon: Daemon) -> None:
        last, plant = daemon.loop.last, self.town.world.plant
        assert last is not None
        now_s = self.life.loop.time()
        self.town.live_until(now_s)
        devices = daemon._parts.watchman.devices(last.snapshot)
        plan = daemon.planning.published
        self.run.counters = daemon.counters()
        self.run.seen.append(
            Seen(
                now_s - self.start_s,
                last.snapshot.at,
                {name: state.online for name, state in devices.items()},
                dict(last.outcome.decisions),
                self.town.obeyed(),
                {name: device.power_kw for name, device in plant.devices.items()},
                {point: last.snapshot.good(point) for point in last.snapshot.readings},
                {alarm.key: alarm.text for alarm in daemon._alarms.active},
                daemon._health.state.value,
                None if plan is None else plan.id,
            )
        )


def fault(kind: Kind, device: str, seconds: float, *, at_s: float = BEGIN_S, size: float = 0.0) -> Fault:
    """Make a fault, as a run takes it."""
    return Fault(at_s, seconds, kind, device, size)


def quick_or_soak(quick: Sequence[Any], soak: Sequence[Any]) -> list[Any]:
    """Give the cases of a test, of which some are for the soak alone."""
    marks = (pytest.mark.soak, pytest.mark.faults)
    return [*quick, *(pytest.param(*(one if isinstance(one, tuple) else (one,)), marks=marks) for one in soak)]


@pytest.fixture(scope="module")
def fault_world() -> World:
    """One world for all runs of a file; it is morning in winter."""
    return World(SITE, MORNING, 3, witness=False)


@pytest.fixture(scope="session")
def prepared_feeder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The feeder of the demo house, prepared once."""
    folder = tmp_path_factory.mktemp("prepared")
    prepare(grid_path(SITE), grid_limits(SITE), cache_dir(folder))
    return cache_dir(folder)


@pytest.fixture
def stage(fault_world: World, prepared_feeder: Path, tmp_path: Path) -> Iterator[FaultStage]:
    """A stage for one test."""
    yield FaultStage(fault_world, tmp_path, prepared_feeder)
