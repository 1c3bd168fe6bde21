"""The pretend heat pipe: what goes in comes out later and cooler; and a house with two tanks that the daemon joins."""

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

from hil.endpoints.heat import PipeGateway
from hil.endpoints.modbus_server import Table
from hil.plant.ambient import Ambient
from hil.plant.draws import stream
from hil.plant.heat import HeatLoad, HeatNode, Tank
from hil.plant.heat_makers import Thermostat
from hil.plant.heat_pipe import GROUND_C, HeatPipe


def tank(water_c: float, kwh_per_k: float = 20.0) -> Tank:
    return Tank.drawn(
        stream(1, "tank"), kwh_per_k=kwh_per_k, loss_kw_per_k=0.0, around_c=15.0, rated_kw=(40.0, 40.0),
        water_c=water_c,
    )  # fmt: skip


def made(near: Tank, far: Tank, *, delay_s: float = 900.0, loss_share: float = 0.05) -> HeatPipe:
    return HeatPipe.drawn(
        stream(1, "pipe"), near, far, Thermostat(far, (45.0, 65.0)), bus="house", rated_kw=30.0, delay_s=delay_s,
        loss_share=loss_share, pump_share=0.02, tan_phi=0.3,
    )  # fmt: skip


def lived(pipe: HeatPipe, seconds: float, dt_s: float = 5.0) -> list[float]:
    """Live on with both nodes; gives what came."""
    near, far, come = HeatNode(pipe.near, [pipe]), HeatNode(pipe.far, [], [pipe]), []
    for second in np.arange(0.0, seconds, dt_s):
        pipe.step(Ambient(elapsed_s=float(second)), dt_s)
        near.step(Ambient(elapsed_s=float(second)), dt_s)
        far.step(Ambient(elapsed_s=float(second)), dt_s)
        come.append(pipe.come_kw)
    return come


def held_kwh(pipe: HeatPipe) -> float:
    return sum(size * (water_c - GROUND_C) for size, water_c in pipe.parcels)


@given(told_kw=st.floats(0.0, 40.0), near_c=st.floats(60.0, 85.0), far_c=st.floats(30.0, 55.0))
def test_heat_of_both_tanks_and_the_pipe_stays_the_same_but_for_what_cools(told_kw, near_c, far_c) -> None:
    pipe = made(tank(near_c), tank(far_c), loss_share=0.0)
    pipe.cooling_per_h = 0.0
    pipe.command(told_kw)

    def total() -> float:
        return pipe.near.kwh_per_k * pipe.near.mean_c + pipe.far.kwh_per_k * pipe.far.mean_c + held_kwh(pipe)

    before = total()
    lived(pipe, 3600.0)
    assert total() == pytest.approx(before, abs=0.02 * max(pipe.sent_kwh, 1.0))
    assert sum(size for size, _ in pipe.parcels) == pytest.approx(pipe.volume)
    assert pipe.sent_kw <= min(told_kw, pipe.rated_kw) + 0.5


def test_what_is_sent_comes_about_the_delay_later_and_less() -> None:
    near, far = tank(70.0, 400.0), tank(50.0, 400.0)
    pipe = made(near, far, loss_share=0.1)
    for parcel in pipe.parcels:
        parcel[1] = far.bottom_c
    pipe.command(15.0)
    come = np.array(lived(pipe, 7200.0))
    first_s = 5.0 * float(np.argmax(come > 7.5))
    assert first_s == pytest.approx(900.0, rel=0.45)
    assert 0.75 * 15.0 < come[-200:].mean() < 15.0


def test_a_parcel_that_lies_cools() -> None:
    pipe = made(tank(70.0), tank(50.0), loss_share=0.1)
    before = held_kwh(pipe)
    pipe.command(0.0)
    lived(pipe, 3600.0)
    assert held_kwh(pipe) < 0.99 * before


def test_its_pump_takes_more_the_more_flows_and_nothing_while_it_stands() -> None:
    powers = []
    for told_kw in (0.0, 10.0, 20.0):
        pipe = made(tank(70.0), tank(50.0))
        pipe.command(told_kw)
        lived(pipe, 120.0)
        powers.append(pipe.power_kw)
    assert powers[0] == 0.0 < powers[1] < powers[2]


def test_left_alone_it_keeps_the_far_tank() -> None:
    pipe = made(tank(75.0, 40.0), tank(46.0, 2.0))
    near, load = HeatNode(pipe.near, [pipe]), HeatLoad(np.full(9000, 6.0), 35.0)
    far, seen = HeatNode(pipe.far, [load], [pipe]), []
    for second in range(0, 6 * 3600, 10):
        pipe.step(Ambient(elapsed_s=float(second)), 10.0)
        near.step(Ambient(elapsed_s=float(second)), 10.0)
        far.step(Ambient(elapsed_s=float(second)), 10.0)
        seen.append(pipe.far.mean_c)
    assert min(seen) > 42.0 and max(seen) < 63.0
    assert load.cold_kwh < 1.0


class OnePipe:
    """A plant with nothing but a pipe."""

    def __init__(self) -> None:
        self.elapsed_s, self.pipe = 0.0, made(tank(70.0), tank(50.0))

    def command(self, _: str, power_kw: float | None) -> None:
        self.pipe.command(power_kw)

    def state(self, _: str) -> Any:
        return self.pipe.state()


def test_its_registers_tell_the_heat_that_it_sends() -> None:
    plant = OnePipe()
    gateway = PipeGateway(plant, "main", rated_kw=30.0)  # type: ignore[arg-type]
    gateway.write(20, (0, 20_000, 1))
    lived(plant.pipe, 120.0)
    sent_w = struct.unpack(">I", gateway.read(Table.INPUT, 4, 2))[0]
    assert sent_w == pytest.approx(20_000, rel=0.05)
    assert struct.unpack(">I", gateway.read(Table.INPUT, 9, 2)) == (0x50500100,)


HOUSE: dict[str, Any] = {
    "planning": {"horizon_h": 12},
    "devices": {
        "probes": {"protocol": "modbus", "profile": "tank_sensors", "port": 17051},
        "burner": {"protocol": "modbus", "profile": "boiler", "port": 17052, "mode": "control",
                   "safe": {"setpoint_kw": None}},
        "warmth_meter": {"protocol": "modbus", "profile": "heat_meter", "port": 17053},
        "far_probes": {"protocol": "modbus", "profile": "tank_sensors", "port": 17054},
        "main_pump": {"protocol": "modbus", "profile": "pipe_pump", "port": 17055, "mode": "control",
                      "safe": {"setpoint_kw": None}},
    },
    "assets": {
        "tank": {"kind": "tank", "device": "probes", "heat_node": "net", "capacity_kwh_per_k": 0.9, "low_c": 60,
                 "high_c": 80, "charge_kw": 20, "discharge_kw": 20, "loss_kw_per_k": 0.005},
        "boiler": {"kind": "boiler", "device": "burner", "heat_node": "net", "rated_kw": 18, "minimum_kw": 3,
                   "fuel_price_per_kwh": 0.12},
        "main": {"kind": "pipe", "device": "main_pump", "bus": "house", "heat_node": "net", "to_node": "far",
                 "rated_kw": 15, "delay_s": 600, "loss_share": 0.05, "pump_kw_per_kw": 0.02},
        "far_tank": {"kind": "tank", "device": "far_probes", "heat_node": "far", "capacity_kwh_per_k": 0.6,
                     "low_c": 45, "high_c": 60, "charge_kw": 20, "discharge_kw": 20, "loss_kw_per_k": 0.005},
        "warmth": {"kind": "heat_load", "device": "warmth_meter", "heat_node": "far"},
    },
}  # fmt: skip


def test_the_daemon_heats_a_far_tank_through_a_pipe(tmp_path: Path) -> None:
    site = site_with(tmp_path / "house", HOUSE)
    file = site.folder / "series" / "load.csv"
    head, *rows = file.read_text(encoding="utf-8").splitlines()
    warm = [f"{row},{5.0 + 3.0 * (number % 24 in (6, 7, 18, 19, 20)):.1f}" for number, row in enumerate(rows)]
    file.write_text("\n".join([f"{head},warmth_kw", *warm]) + "\n", encoding="utf-8")
    arm, world = steered(site, 2.0, "winter_day", start=datetime.fromisoformat("2025-01-16T16:00"))
    plant = world.plant
    far_c = np.array(plant.records["far_tank:temperature_c"])
    assert 43.0 < far_c.min() <= far_c.max() < 61.5
    assert plant.state("warmth")["cold_kwh"] < 0.2
    assert plant.state("main")["sent_kwh"] > 5.0
    assert arm.counters["setpoints"]["refused"] == 0
    assert arm.counters["setpoints"]["verified"] >= 0.95 * arm.counters["setpoints"]["issued"]
