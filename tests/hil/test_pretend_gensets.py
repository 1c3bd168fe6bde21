"""The pretend generating set and its gateway, and a house in which the daemon runs one."""

from __future__ import annotations

import struct
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kinds_stage import site_with, steered

from hil.endpoints.genset import GensetGateway
from hil.endpoints.modbus_server import ModbusFault, Table
from hil.plant.ambient import Ambient
from hil.plant.draws import stream
from hil.plant.genset import COOL_S, RAMP, START_S, Engine, Genset


def made(seed: int = 1) -> Genset:
    return Genset.drawn(stream(seed, "set"), bus="house", rated_kw=20.0, least_kw=8.0, fuel=(4.0, 2.4))


def live(engine: Genset, seconds: float, dt_s: float = 1.0) -> None:
    for _ in range(round(seconds / dt_s)):
        engine.step(Ambient(), dt_s)


def test_it_cranks_takes_load_cools_and_stands() -> None:
    engine = made()
    engine.command(-15.0)
    live(engine, START_S - 1.0)
    assert (engine.engine, engine.power_kw) == (Engine.STARTS, 0.0)
    live(engine, 3.0)
    assert engine.engine is Engine.RUNS and -15.0 < engine.power_kw <= -8.0
    live(engine, 20.0)
    assert engine.power_kw == pytest.approx(-15.0)
    engine.command(-4.0)  # below its least load
    live(engine, 1.0 / RAMP + 2.0)
    assert (engine.engine, engine.power_kw, engine.starts) == (Engine.COOLS, 0.0, 1)
    burnt = engine.fuel_kwh
    live(engine, COOL_S + 2.0)
    assert engine.engine is Engine.STANDS and engine.fuel_kwh > burnt
    burnt = engine.fuel_kwh
    live(engine, 60.0)
    assert engine.fuel_kwh == burnt


def test_it_burns_about_what_the_site_file_says_at_full_load() -> None:
    for seed in range(6):
        engine = made(seed)
        engine.command(-20.0)
        live(engine, 60.0)
        before = engine.fuel_kwh, engine.energy_kwh
        live(engine, 3600.0, 10.0)
        fuel, energy = engine.fuel_kwh - before[0], engine.energy_kwh - before[1]
        assert energy == pytest.approx(20.0)
        assert fuel == pytest.approx(4.0 + 20.0 * 2.4, rel=0.1)


@given(told=st.lists(st.floats(-30.0, 0.0) | st.none(), min_size=1, max_size=8), dt_s=st.sampled_from([1.0, 10.0]))
def test_it_gives_nothing_or_its_least_load_at_the_least_while_it_is_asked_for(told, dt_s: float) -> None:
    engine = made()
    for kw in told:
        engine.command(kw)
        live(engine, 40.0, dt_s)
        assert -20.0 - 1e-9 <= engine.power_kw <= 0.0
        runs = kw is not None and kw <= -8.0
        assert engine.power_kw <= -8.0 + 1e-9 if runs else engine.power_kw == 0.0


class OneSet:
    """A plant with nothing but a set."""

    def __init__(self) -> None:
        self.elapsed_s, self.engine = 0.0, made()

    def command(self, _: str, power_kw: float | None) -> None:
        self.engine.command(power_kw)

    def state(self, _: str) -> Any:
        return self.engine.state()

    def live(self, gateway: GensetGateway, seconds: float) -> None:
        for _ in range(int(seconds)):
            self.elapsed_s += 1.0
            gateway.tick(self.elapsed_s)
            self.engine.step(Ambient(), 1.0)


def power_w(gateway: GensetGateway) -> int:
    return int(struct.unpack(">i", gateway.read(Table.INPUT, 0, 2))[0])


def test_a_lease_that_ends_leaves_the_safe_power() -> None:
    plant = OneSet()
    gateway = GensetGateway(plant, "set", rated_kw=20.0)  # type: ignore[arg-type]
    gateway.write(23, (60, 0, 10_000))
    gateway.write(20, (0, 15_000, 1))
    plant.live(gateway, 50.0)
    assert power_w(gateway) == 15_000
    plant.live(gateway, 40.0)
    assert power_w(gateway) == 10_000
    gateway.write(22, (0,))
    plant.live(gateway, 40.0)
    assert power_w(gateway) == 0
    assert struct.unpack(">I", gateway.read(Table.INPUT, 9, 2)) == (0x47530100,)


@pytest.mark.parametrize(("address", "values"), [(20, (0xFFFF, 0xFF00)), (20, (0, 25_000)), (26, (1,)), (19, (1,))])
def test_what_it_cannot_do_is_refused(address: int, values: tuple[int, ...]) -> None:
    gateway = GensetGateway(OneSet(), "set", rated_kw=20.0)  # type: ignore[arg-type]
    with pytest.raises(ModbusFault):
        gateway.write(address, values)


def test_the_daemon_runs_a_set_whose_fuel_pays_and_every_setpoint_is_verified(tmp_path: Path) -> None:
    changes = {
        "planning": {"horizon_h": 6},
        "devices": {
            "gateway": {"protocol": "modbus", "profile": "genset", "port": 17030, "mode": "control",
                        "safe": {"setpoint_kw": 0}},
        },
        "assets": {
            "set": {"kind": "genset", "device": "gateway", "bus": "house", "rated_kw": 6, "minimum_kw": 2.5,
                    "minimum_on_s": 1800, "minimum_off_s": 600, "fuel_per_kw": 2.4, "fuel_idle_kw": 1.5,
                    "fuel_price_per_kwh": 0.06, "start_cost": 0.1},
        },
    }  # fmt: skip
    start = datetime.fromisoformat("2025-01-16T16:00")
    arm, world = steered(site_with(tmp_path / "house", changes), 0.75, "winter_day", start=start)
    given_kw = -np.array(arm.track["set:kw"])
    assert given_kw[-1] > 5.0
    assert arm.counters["setpoints"]["issued"] >= 10
    assert arm.counters["setpoints"]["verified"] >= 0.95 * arm.counters["setpoints"]["issued"]
    state = world.plant.state("set")
    assert state["starts"] == 1.0
    assert arm.verdict["cost_parts"]["fuel"] == pytest.approx(0.06 * state["fuel_kwh"] + 0.1)
