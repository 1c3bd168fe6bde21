"""The pretend tank of cold, its chiller and its pipe, and a house in which the daemon runs a node of cold."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kinds_stage import site_with, steered

from hil.endpoints.heat import TankProbes
from hil.endpoints.modbus_server import Table
from hil.plant.ambient import Ambient
from hil.plant.draws import stream
from hil.plant.heat import HeatLoad, HeatNode, Tank
from hil.plant.heat_makers import Chiller, Thermostat
from hil.plant.heat_pipe import HeatPipe

BAND = (-13.0, -6.0)
"""6 to 13 degC, with the sign turned."""


def made(water_c: float = 9.0, seed: int = 1) -> Tank:
    return Tank.drawn(
        stream(seed, "tank"), kwh_per_k=2.0, loss_kw_per_k=0.01, around_c=25.0, rated_kw=(30.0, 30.0), water_c=water_c,
        is_cold=True,
    )  # fmt: skip


def chiller(tank: Tank, *, source_c: float | None = None) -> Chiller:
    return Chiller("house", 8.0, 2.0, 1.0, Thermostat(tank, BAND), share=0.4, ua_kw_per_k=6.0, source_c=source_c)


def live(thing: Any, seconds: float, **air: float) -> None:
    for _ in range(round(seconds)):
        thing.step(Ambient(**air), 1.0)


@given(water_c=st.floats(3.0, 20.0), given_kw=st.floats(0.0, 30.0), wanted_kw=st.floats(0.0, 30.0))
def test_cold_is_neither_made_nor_lost_and_lies_at_the_bottom(water_c, given_kw, wanted_kw) -> None:
    tank = made(water_c)
    before_c, drawn_kwh = tank.state()["temperature_c"], 0.0
    for _ in range(10):
        drawn_kwh += tank.pass_heat(given_kw, wanted_kw, -14.0, 60.0) / 60.0
    told = tank.state()
    lost_kwh = tank.lost_kwh
    assert tank.kwh_per_k * (before_c - told["temperature_c"]) == pytest.approx(
        given_kw / 6.0 - drawn_kwh - lost_kwh, abs=1e-6
    )
    assert told["bottom_c"] <= told["temperature_c"] + 1e-9 <= told["top_c"] + 2e-9
    assert lost_kwh > 0.0, "the room is warmer than the water"


def test_a_chiller_makes_more_cold_when_the_air_is_cool_and_the_water_warm() -> None:
    figures = {}
    for outdoor_c, water_c in ((35.0, 9.0), (20.0, 9.0), (35.0, 13.0)):
        machine = chiller(made(water_c))
        machine.command(6.0)
        live(machine, 600.0, outdoor_c=outdoor_c)
        figures[outdoor_c, water_c] = machine.heat_kw / machine.power_kw
    assert figures[20.0, 9.0] > figures[35.0, 9.0] > 1.5
    assert figures[35.0, 13.0] > figures[35.0, 9.0]


def test_left_alone_it_keeps_its_tank_within_the_band_and_the_rooms_cool() -> None:
    tank, load = made(12.0), HeatLoad(np.full(10_000, 9.0), -14.0, sign=-1.0)
    machine = chiller(tank)
    node, seen = HeatNode(tank, [load], [machine]), []
    for second in range(0, 8 * 3600, 10):
        machine.step(Ambient(elapsed_s=float(second), outdoor_c=30.0), 10.0)
        node.step(Ambient(elapsed_s=float(second)), 10.0)
        seen.append(tank.state()["temperature_c"])
    assert min(seen) > 5.0 and max(seen) < 13.5
    assert load.cold_kwh < 0.1 and 5.0 < load.state()["supply_c"] < load.state()["return_c"] == 14.0


def test_it_stops_by_itself_before_the_water_freezes() -> None:
    tank = made(1.0)
    machine = chiller(tank)
    tank.layers_c = np.full(len(tank.layers_c), 0.2)
    machine.command(8.0)
    live(machine, 60.0, outdoor_c=30.0)
    assert machine.power_kw == 0.0


def test_a_pipe_brings_less_cold_than_is_sent_and_later() -> None:
    near, far = made(7.0), made(12.0, seed=2)
    pipe = HeatPipe.drawn(
        stream(1, "pipe"), near, far, Thermostat(far, (-14.0, -8.0)), bus="house", rated_kw=15.0, delay_s=600.0,
        loss_share=0.05, pump_share=0.02, tan_phi=0.3,
    )  # fmt: skip
    pipe.command(10.0)
    nodes, come = (HeatNode(near, [pipe]), HeatNode(far, [], [pipe])), []
    for second in range(0, 1800, 5):
        pipe.step(Ambient(elapsed_s=float(second)), 5.0)
        for node in nodes:
            node.step(Ambient(elapsed_s=float(second)), 5.0)
        come.append(pipe.come_kw)
    assert max(come[:24]) < 1.0 < max(come)
    assert 0.0 < sum(come) * 5.0 / 3600.0 < pipe.sent_kwh
    assert near.state()["temperature_c"] > 7.0 and far.state()["temperature_c"] < 12.0


def test_thermometers_tell_cold_water_as_it_is() -> None:
    tank = made(8.5)

    class Face:
        def state(self, _asset: str) -> Any:
            return tank.state()

    image = np.frombuffer(TankProbes(Face(), "tank").read(Table.INPUT, 0, 3), ">i2")  # type: ignore[arg-type]
    assert image.tolist() == [85, 85, 85]


# ---- a house --------------------------------------------------------------------------------------------------

GATEWAY = {"protocol": "modbus", "mode": "control"}
HOUSE = {
    "planning": {"horizon_h": 12},
    "devices": {
        "cold_meter": {"protocol": "modbus", "profile": "heat_meter", "port": 17060},
        "probes": {"protocol": "modbus", "profile": "tank_sensors", "port": 17061},
        "far_probes": {"protocol": "modbus", "profile": "tank_sensors", "port": 17062},
        "chiller_gateway": GATEWAY | {"profile": "electric_heater", "port": 17063, "safe": {"setpoint_kw": 0}},
        "main_pump": GATEWAY | {"profile": "pipe_pump", "port": 17064, "safe": {"setpoint_kw": None}},
    },
    "assets": {
        "cooling": {"kind": "cold_load", "device": "cold_meter", "heat_node": "far"},
        "tank": {"kind": "cold_tank", "device": "probes", "heat_node": "near", "capacity_kwh_per_k": 0.8, "low_c": 6,
                 "high_c": 13, "charge_kw": 20, "discharge_kw": 20, "loss_kw_per_k": 0.005, "around_c": 24},
        "far_tank": {"kind": "cold_tank", "device": "far_probes", "heat_node": "far", "capacity_kwh_per_k": 0.6,
                     "low_c": 8, "high_c": 14, "charge_kw": 20, "discharge_kw": 20, "around_c": 24},
        "chiller": {"kind": "chiller", "device": "chiller_gateway", "bus": "house", "heat_node": "near", "rated_kw": 4,
                    "minimum_kw": 1, "supply_c": 6},
        "main": {"kind": "cold_pipe", "device": "main_pump", "bus": "house", "heat_node": "near", "to_node": "far",
                 "rated_kw": 12, "delay_s": 300, "loss_share": 0.03, "pump_kw_per_kw": 0.02},
    },
}  # fmt: skip


def chilled_house(folder: Path) -> Any:
    site = site_with(folder, HOUSE)
    file = folder / "series" / "load.csv"
    head, *rows = file.read_text(encoding="utf-8").splitlines()
    cool = [f"{row},{3.0 + 3.0 * (number % 24 in range(10, 16)):.1f}" for number, row in enumerate(rows)]
    file.write_text("\n".join([f"{head},cooling_kw", *cool]) + "\n", encoding="utf-8")
    return site


def test_the_daemon_chills_two_tanks_and_every_setpoint_is_verified(tmp_path: Path) -> None:
    start = datetime.fromisoformat("2025-05-22T10:00")
    arm, world = steered(chilled_house(tmp_path / "house"), 1.5, "sunny_day", start=start)
    for name, low_c, high_c in (("tank", 6.0, 13.0), ("far_tank", 8.0, 14.0)):
        water_c = np.array(world.plant.records[f"{name}:temperature_c"])
        assert low_c - 1.5 < water_c.min() <= water_c.max() < high_c + 1.5
    load = world.plant.state("cooling")
    assert load["heat_kwh"] > 5.0 and load["cold_kwh"] < 0.05
    made_kwh, sent_kwh = world.plant.state("chiller")["heat_kwh"], world.plant.state("main")["sent_kwh"]
    assert made_kwh > 2.0 and sent_kwh > 2.0
    assert made_kwh > 2.0 * world.plant.state("chiller")["energy_kwh"]
    assert arm.counters["setpoints"]["verified"] >= 0.9 * arm.counters["setpoints"]["issued"]
    assert arm.counters["setpoints"]["refused"] == 0
    assert arm.counters["plans"] >= 5
