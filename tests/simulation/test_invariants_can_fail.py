"""An invariant that cannot fail shows nothing: each one catches a daemon that is broken on purpose."""

from __future__ import annotations

import asyncio
import dataclasses
import sqlite3
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ems.arbitration
import ems.fast.steering
import ems.fast.writing
import ems.store.writer
from ems.balancing import Balance
from ems.config.binding import CommandBinding
from ems.config.loading import load_site
from ems.config.site import Site
from ems.daemon import Daemon
from ems.fast.decisions import Bound, Rung
from ems.fast.standstill import Standstill
from ems.fast.writing import Writer
from ems.limits.desk import LimitDesk
from ems.ownership import Owner, write_record
from ems.process_image import ProcessImage
from ems.slow.planning_setup import cache_dir, grid_limits, grid_path
from ems.store.requests import Request, submit
from hil.scenario_file import load_scenario
from hil.simulation.disk import RESERVE_BYTES
from hil.simulation.faults import Fault, Kind
from hil.simulation.invariants import Invariant, Violation
from hil.simulation.life import Life
from hil.simulation.simulate import settle
from hil.simulation.variants import GATEWAY, variant
from hil.world import World
from optimization.network_build import prepare

SITE = load_site(Path(__file__).parents[2] / "sites" / "demo_house")
SCENARIO = load_scenario("winter_day", "demo_house")
Broken = Callable[[pytest.MonkeyPatch], Callable[[Daemon], None] | None]


@pytest.fixture(scope="module")
def world() -> World:
    """One world for all: each test takes it up where the last one left it."""
    made = World(SITE, SCENARIO, 3, witness=False)
    made.advance(7 * 3600.0)
    return made


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prepared")
    prepare(grid_path(SITE), grid_limits(SITE), cache_dir(folder))
    return cache_dir(folder)


@dataclasses.dataclass
class Stage:
    world: World
    state: Path
    site: Site = SITE
    faults: tuple[tuple[float, float, Kind, str], ...] = ()
    alter: Callable[[Daemon], None] = lambda _daemon: None
    killed: bool = False
    reserve_bytes: int = RESERVE_BYTES

    def ask(self, asset: str, kw: float, after_s: float = 0.0) -> None:
        at = self.world.now + timedelta(seconds=after_s)
        submit(self.state, Request("override", asset, {"power_kw": kw}, "tried", "test", at, at + timedelta(hours=2)))

    def caught(self, seconds: float) -> list[Violation]:
        """Let the daemon live for a while; gives what did not hold."""
        start_s = self.world.plant.elapsed_s
        faults = [Fault(start_s + at_s, long_s, kind, device) for at_s, long_s, kind, device in self.faults]
        found: list[Violation] = []
        setting = settle(
            self.world, self.site, self.state, 1, found.append,
            faults=faults, alter=self.alter, reserve_bytes=self.reserve_bytes,
        )  # fmt: skip
        Life(setting, 1, start_s).run(start_s + seconds, killed=self.killed)
        return found


@pytest.fixture
def stage(world: World, prepared: Path, tmp_path: Path) -> Iterator[Stage]:
    cache_dir(tmp_path).symlink_to(prepared)
    return Stage(world, tmp_path)


def invariants(found: list[Violation]) -> set[Invariant]:
    return {violation.invariant for violation in found}


def test_a_sound_daemon_breaks_nothing(stage: Stage) -> None:
    """The same stage and the same trouble as below, without the defect."""
    stage.faults = ((30.0, 100.0, Kind.DROP_OUT, "grid_meter"), (60.0, 100.0, Kind.IGNORE, "battery_inverter"))
    stage.ask("heat_pump", 1.0)
    stage.ask("battery", -3.0)
    stage.killed = True
    assert stage.caught(240.0) == []


def test_i1_catches_commands_beyond_the_rating(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CommandBinding, "to_point", lambda self, kw: None if kw is None else 3.0 * kw * self.per_kw)
    stage.ask("battery", -5.0)
    assert invariants(stage.caught(60.0)) == {Invariant.BOUNDS}


def test_i2_catches_commands_over_the_connections_limit(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A balancing that relieves nothing, on a connection that the orders would overload."""
    grid = SITE.file.grid.model_copy(update={"import_limit_kw": 4.0})
    stage.site = SITE.model_copy(update={"file": SITE.file.model_copy(update={"grid": grid})})

    def kept(flexes, rows, fixed, soft=None) -> Balance:
        powers = {flex.asset: flex.power_kw for flex in flexes}
        return Balance(powers, {flex.asset: 10.0 for flex in flexes}, {}, np.zeros(len(rows.names)))

    monkeypatch.setattr(ems.fast.steering, "balance", kept)
    stage.ask("battery", 6.0)
    stage.ask("heat_pump", 4.0)
    assert invariants(stage.caught(120.0)) == {Invariant.CONNECTION}


def test_i2_catches_a_daemon_that_is_deaf_to_the_grid_operator(prepared: Path, tmp_path: Path, monkeypatch) -> None:
    """The same orders under the same limit, obeyed and not."""
    for deaf in (False, True):
        site, state = variant(SITE, 4), tmp_path / str(deaf)
        made = World(site, SCENARIO, 3, witness=False)
        made.registers[GATEWAY].allow(3.0, None)
        state.mkdir()
        cache_dir(state).symlink_to(prepared)
        stage = Stage(made, state, site)
        stage.ask("battery", 6.0)
        if deaf:
            monkeypatch.setattr(LimitDesk, "look", lambda self, snapshot: ())
        assert invariants(stage.caught(60.0)) == ({Invariant.CONNECTION} if deaf else set())


def test_i3_catches_a_kernel_that_ignores_staleness(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ProcessImage, "_judge", lambda self, point, held, miss, now_s: (held.reason, held.quality))
    stage.faults = ((30.0, 300.0, Kind.DROP_OUT, "grid_meter"),)
    assert invariants(stage.caught(240.0)) == {Invariant.STALE}


def test_i3_catches_a_daemon_that_believes_a_power_that_stands_still(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The grid meter's answers come in time and say the same for ever, its registers too."""
    stage.faults = ((240.0, 900.0, Kind.FREEZE, "grid_meter"),)
    stage.ask("battery", 2.0)
    assert stage.caught(600.0) == []
    monkeypatch.setattr(Standstill, "look", lambda self, newest: {})
    found = stage.caught(600.0)
    assert invariants(found) == {Invariant.STALE}
    assert "grid_meter.power_kw stands still against its register" in found[0].facts


def test_i4_catches_a_discharge_below_the_reserve(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def rating_only(site, lever, scene, powers) -> tuple[Bound, ...]:
        override = scene.standing.overrides.get(lever.asset)
        ordered = [Bound(Rung.OPERATOR, override.kw, override.kw, override.reason)] if override else []
        return (Bound(Rung.DEVICE, lever.lower_kw, lever.upper_kw, "rating"), *ordered)

    battery = stage.world.plant.devices["battery"]
    monkeypatch.setattr(ems.fast.steering, "bounds_of", rating_only)
    monkeypatch.setattr(battery, "energy_kwh", 0.03 * battery.capacity_kwh)
    stage.ask("battery", -2.0)
    assert invariants(stage.caught(60.0)) == {Invariant.RESERVE}


def test_i5_catches_a_jump(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ems.arbitration, "shape", lambda lever, kw, *rest, **more: kw)

    def order_anew(daemon: Daemon) -> None:
        loop = asyncio.get_running_loop()
        for at_s, kw in ((25.0, 1.0), (35.0, 4.0)):
            loop.call_later(at_s, stage.ask, "heat_pump", kw, at_s)

    stage.alter = order_anew
    assert invariants(stage.caught(90.0)) == {Invariant.RAMP}


def test_i6_catches_a_lease_that_is_too_long(stage: Stage) -> None:
    def hold_on(daemon: Daemon) -> None:
        daemon._parts.writer.lease_s = 3600.0

    stage.alter = hold_on
    stage.ask("battery", -2.0)
    assert invariants(stage.caught(60.0)) == {Invariant.LEASE}


def test_i7_catches_an_epoch_that_has_passed(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The guard has taken over, and the daemon does not ask."""
    monkeypatch.setattr(Owner, "valid", lambda self: True)
    monkeypatch.setattr(Owner, "renew", lambda self: True)

    def take_over(daemon: Daemon) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(
            35.0, lambda: write_record(stage.state, "guard", now_s=loop.time(), lease_s=60.0, settled=False)
        )

    stage.alter = take_over
    stage.ask("battery", -2.0)
    assert invariants(stage.caught(120.0)) == {Invariant.OWNER}


def test_i8_catches_a_write_without_an_intent(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    async def at_once(self: Writer, commands: Any) -> list[Any]:
        return list(commands)

    monkeypatch.setattr(Writer, "_journalled", at_once)
    stage.ask("battery", -2.0)
    assert invariants(stage.caught(60.0)) == {Invariant.JOURNALLED}


def test_i8_catches_a_record_that_was_changed(stage: Stage) -> None:
    def change() -> None:
        with sqlite3.connect(stage.state / "journal.db") as journal:
            journal.execute("UPDATE record SET body = body || ' ' WHERE id = 1")
        journal.close()

    stage.alter = lambda _daemon: asyncio.get_running_loop().call_later(25.0, change)
    found = stage.caught(60.0)
    assert invariants(found) == {Invariant.JOURNALLED}
    assert "journal.db breaks at entry 1" in found[0].facts


def test_i8_catches_commands_that_go_out_although_the_disk_is_full(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def regardless(self: Writer, commands: Any) -> list[Any]:
        for command in commands:
            self.journal.record("intent", ems.fast.writing._intent(command, self.lease_s))
        return list(commands)

    stage.faults, stage.reserve_bytes = ((0.0, 300.0, Kind.DISK_FULL, ""),), 1
    stage.ask("battery", -2.0)
    assert stage.caught(60.0) == []
    monkeypatch.setattr(Writer, "_journalled", regardless)
    assert invariants(stage.caught(60.0)) == {Invariant.JOURNALLED}


def test_i9_catches_a_journal_that_says_yes_too_early(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    real = ems.store.writer.Writer._commit

    def forgetful(self: Any, tasks: list[Any]) -> list[int]:
        return real(self, tasks) if self._name != "journal" or len(tasks) == 1 else list(range(9000, 9000 + len(tasks)))

    monkeypatch.setattr(ems.store.writer.Writer, "_commit", forgetful)
    stage.ask("battery", -2.0)
    stage.killed = True
    assert invariants(stage.caught(60.0)) == {Invariant.KEPT}


def test_i10_catches_a_cycle_that_hangs(stage: Stage) -> None:
    def hang(daemon: Daemon) -> None:
        whole = daemon.loop._look

        async def slowly() -> Any:
            if daemon.loop.last is not None:
                await asyncio.sleep(45.0)
            return await whole()

        daemon.loop._look = slowly  # type: ignore[method-assign]

    stage.alter = hang
    assert invariants(stage.caught(180.0)) == {Invariant.EVERY_CYCLE}
