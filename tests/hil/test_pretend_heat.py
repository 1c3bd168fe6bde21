"""The pretend tank, what heats it, their gateways, and a house in which the daemon runs a heat node."""

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

from hil.endpoints.heat import BoilerGateway, HeaterGateway, TankProbes
from hil.endpoints.modbus_server import ModbusFault, Table
from hil.plant.ambient import Ambient
from hil.plant.draws import stream
from hil.plant.genset import Genset
from hil.plant.heat import LAYERS, HeatLoad, HeatNode, Jacket, Tank, settled
from hil.plant.heat_makers import PURGE_S, Boiler, Burner, Lifter, Rod, Thermostat

BAND = (50.0, 80.0)


def made(water_c: float = 60.0, seed: int = 1) -> Tank:
    return Tank.drawn(
        stream(seed, "tank"), kwh_per_k=2.0, loss_kw_per_k=0.01, around_c=15.0, rated_kw=(40.0, 40.0), water_c=water_c
    )


# ---- the tank -------------------------------------------------------------------------------------------------


@given(
    water_c=st.floats(30.0, 90.0), given_kw=st.floats(0.0, 50.0), wanted_kw=st.floats(0.0, 50.0),
    return_c=st.floats(25.0, 45.0), dt_s=st.sampled_from([1.0, 10.0, 60.0, 300.0]),
)  # fmt: skip
def test_heat_is_neither_made_nor_lost(water_c, given_kw, wanted_kw, return_c, dt_s) -> None:
    tank = made(water_c)
    before, drawn_kwh = tank.mean_c, 0.0
    for _ in range(5):
        drawn_kwh += tank.pass_heat(given_kw, wanted_kw, return_c, dt_s) * dt_s / 3600.0
    kept_kwh = tank.kwh_per_k * (tank.mean_c - before)
    assert kept_kwh == pytest.approx(5 * given_kw * dt_s / 3600.0 - drawn_kwh - tank.lost_kwh, abs=1e-6)
    assert (np.diff(tank.layers_c) <= 1e-9).all(), "warm water is above"
    assert 0.0 <= drawn_kwh <= 5 * wanted_kw * dt_s / 3600.0 + 1e-9


@given(st.lists(st.floats(0.0, 100.0), min_size=2, max_size=6))
def test_what_lies_upside_down_mixes_and_keeps_its_heat(layers_c: list[float]) -> None:
    found = settled(np.array(layers_c))
    assert found.sum() == pytest.approx(sum(layers_c))
    assert (np.diff(found) <= 1e-9).all()
    again = settled(found)
    assert again == pytest.approx(found)


def test_it_draws_from_its_top_and_gives_less_once_that_is_cold() -> None:
    tank = made(60.0)
    drawn = [tank.pass_heat(0.0, 30.0, 40.0, 60.0) for _ in range(240)]
    assert drawn[0] == pytest.approx(30.0)
    assert drawn[-1] < 3.0
    assert tank.top_c < 45.0 and tank.bottom_c == pytest.approx(40.0, abs=1.5)


def test_a_warm_charge_lies_on_top() -> None:
    tank = made(50.0)
    for _ in range(10):
        tank.pass_heat(30.0, 0.0, 40.0, 60.0)
    assert tank.top_c > tank.bottom_c + 2.0
    assert len(tank.layers_c) == LAYERS


def test_houses_that_get_too_little_are_cold() -> None:
    tank, load = made(42.0), HeatLoad(np.full(400, 20.0), 40.0)
    node = HeatNode(tank, [load])
    for second in range(0, 3600, 10):
        node.step(Ambient(elapsed_s=float(second)), 10.0)
    assert load.heat_kwh + load.cold_kwh == pytest.approx(20.0)
    assert load.cold_kwh > 5.0


# ---- what heats it --------------------------------------------------------------------------------------------


def burner(tank: Tank, seed: int = 1) -> Boiler:
    return Boiler.drawn(stream(seed, "boiler"), Thermostat(tank, BAND), rated_kw=40.0, least_kw=8.0, efficiency=0.9)


def lifter(tank: Tank, *, source_c: float | None = None) -> Lifter:
    return Lifter("house", 8.0, 2.0, 1.0, Thermostat(tank, BAND), share=0.45, ua_kw_per_k=6.0, source_c=source_c)


def live(thing: Any, seconds: float, dt_s: float = 1.0, **air: float) -> None:
    for _ in range(round(seconds / dt_s)):
        thing.step(Ambient(**air), dt_s)


def test_a_burner_purges_burns_and_stands() -> None:
    boiler = burner(made(60.0))
    boiler.command(20.0)
    live(boiler, PURGE_S - 2.0)
    assert (boiler.burner, boiler.fuel_kw) == (Burner.PURGES, 0.0)
    live(boiler, 60.0)
    assert (boiler.burner, boiler.fuel_kw, boiler.starts) == (Burner.BURNS, pytest.approx(20.0), 1)
    live(boiler, 600.0)
    assert boiler.heat_kw == pytest.approx(0.9 * 20.0, rel=0.08)
    boiler.command(5.0)  # below its least fuel
    live(boiler, 2.0)
    assert (boiler.burner, boiler.fuel_kw) == (Burner.STANDS, 0.0)
    assert boiler.heat_kw > 10.0, "its water is still warm"


@given(told=st.lists(st.floats(0.0, 60.0) | st.none(), min_size=1, max_size=6), water_c=st.floats(40.0, 95.0))
def test_a_burner_burns_nothing_or_its_least_fuel_at_the_least(told, water_c: float) -> None:
    boiler = burner(made(water_c))
    for kw in told:
        boiler.command(kw)
        live(boiler, 90.0, 5.0)
        assert boiler.fuel_kw == 0.0 or 8.0 - 1e-9 <= boiler.fuel_kw <= boiler.rated_kw + 1e-9
        assert boiler.fuel_kw == 0.0 or water_c <= BAND[1] + 6.0


def test_left_alone_it_keeps_its_tank_within_the_band() -> None:
    tank, load = made(51.0), HeatLoad(np.full(10_000, 15.0), 38.0)
    boiler = burner(tank)
    node = HeatNode(tank, [load], [boiler], [boiler])
    seen = []
    for second in range(0, 12 * 3600, 10):
        node.step(Ambient(elapsed_s=float(second)), 10.0)
        seen.append(tank.mean_c)
    assert min(seen) > 48.0 and max(seen) < 72.0
    assert 2 < boiler.starts < 30
    assert load.cold_kwh < 1e-6


def test_a_heat_pump_lifts_better_from_warm_air_into_a_cold_tank() -> None:
    figures = {}
    for outdoor_c, water_c in ((-8.0, 55.0), (8.0, 55.0), (8.0, 40.0)):
        pump = lifter(made(water_c))
        pump.command(6.0)
        live(pump, 900.0, 5.0, outdoor_c=outdoor_c)
        figures[outdoor_c, water_c] = pump.heat_kw / pump.power_kw
    assert 1.5 < figures[-8.0, 55.0] < figures[8.0, 55.0] < figures[8.0, 40.0] < 6.0
    ground = lifter(made(55.0), source_c=10.0)
    ground.command(6.0)
    live(ground, 900.0, 5.0, outdoor_c=-8.0)
    assert ground.heat_kw / ground.power_kw > figures[-8.0, 55.0]


def test_a_rod_gives_what_it_takes_and_nothing_without_power_or_into_boiling_water() -> None:
    rod = Rod("house", 10.0, 0.0, 0.99, Thermostat(made(60.0), BAND))
    rod.command(7.0)
    live(rod, 600.0)
    assert (rod.power_kw, rod.heat_kw) == (pytest.approx(7.0), pytest.approx(6.93))
    live(rod, 600.0, dark=frozenset({"house"}))  # type: ignore[arg-type]
    assert rod.power_kw == 0.0
    hot = Rod("house", 10.0, 0.0, 0.99, Thermostat(made(90.0), BAND))
    hot.command(7.0)
    live(hot, 60.0)
    assert hot.power_kw == 0.0


def test_the_heat_of_an_engine_comes_later_than_its_power() -> None:
    engine = Genset.drawn(stream(1, "set"), bus="house", rated_kw=20.0, least_kw=8.0, fuel=(4.0, 2.4))
    jacket = Jacket(engine, 1.5, 2.0)
    engine.command(-20.0)
    for _ in range(60):
        engine.step(Ambient(), 1.0)
        jacket.step(Ambient(), 1.0)
    assert 0.0 < jacket.heat_kw < 20.0
    for _ in range(1800):
        engine.step(Ambient(), 1.0)
        jacket.step(Ambient(), 1.0)
    assert jacket.heat_kw == pytest.approx(1.5 * 20.0 + 2.0, abs=0.1)


# ---- their registers ------------------------------------------------------------------------------------------


class OneThing:
    """A plant with nothing but one thing."""

    def __init__(self, thing: Any) -> None:
        self.elapsed_s, self.thing = 0.0, thing

    def command(self, _: str, power_kw: float | None) -> None:
        self.thing.command(power_kw)

    def state(self, _: str) -> Any:
        return self.thing.state()

    def live(self, gateway: HeaterGateway, seconds: float) -> None:
        for _ in range(int(seconds)):
            self.elapsed_s += 1.0
            gateway.tick(self.elapsed_s)
            self.thing.step(Ambient(), 1.0)


def watts(gateway: HeaterGateway) -> int:
    return int(struct.unpack(">I", gateway.read(Table.INPUT, 0, 2))[0])


def words(value: int) -> tuple[int, int]:
    return value >> 16, value & 0xFFFF


def test_a_lease_that_ends_leaves_a_boiler_its_safe_fuel_or_its_own_thermostat() -> None:
    plant = OneThing(burner(made(75.0)))
    gateway = BoilerGateway(plant, "boiler", rated_kw=40.0)  # type: ignore[arg-type]
    gateway.write(23, (60, *words(10_000)))
    gateway.write(20, (*words(20_000), 1))
    plant.live(gateway, 55.0)
    assert watts(gateway) == 20_000
    plant.live(gateway, 60.0)
    assert watts(gateway) == 10_000
    gateway.write(24, words(100_000_000))
    plant.live(gateway, 30.0)
    assert watts(gateway) == 0, "its own thermostat finds the tank warm"
    assert plant.thing.setpoint_kw is None
    assert struct.unpack(">I", gateway.read(Table.INPUT, 9, 2)) == (0x424F0100,)


def test_a_power_beyond_what_it_can_counts_as_its_most_and_none_below_zero() -> None:
    plant = OneThing(Rod("house", 10.0, 0.0, 0.99, Thermostat(made(60.0), BAND)))
    gateway = HeaterGateway(plant, "rod", rated_kw=10.0)  # type: ignore[arg-type]
    gateway.write(20, (*words(50_000), 1))
    assert plant.thing.setpoint_kw == 10.0
    for address, values in ((20, (0xFFFF, 0xFF00)), (26, (1,)), (19, (1,))):
        with pytest.raises(ModbusFault):
            gateway.write(address, values)


def test_thermometers_tell_tenths_and_take_nothing() -> None:
    probes = TankProbes(OneThing(made(61.37)), "tank")  # type: ignore[arg-type]
    assert struct.unpack(">3h", probes.read(Table.INPUT, 0, 3)) == (614, 614, 614)
    assert struct.unpack(">I", probes.read(Table.INPUT, 9, 2)) == (0x54530100,)
    with pytest.raises(ModbusFault):
        probes.read(Table.INPUT, 8, 4)
    with pytest.raises(ModbusFault):
        probes.write(0, (1,))


# ---- a house --------------------------------------------------------------------------------------------------


HOUSE = {
    "planning": {"horizon_h": 12},
    "devices": {
        "warmth_meter": {"protocol": "modbus", "profile": "heat_meter", "port": 17040},
        "probes": {"protocol": "modbus", "profile": "tank_sensors", "port": 17041},
        "burner": {"protocol": "modbus", "profile": "boiler", "port": 17042, "mode": "control",
                   "safe": {"setpoint_kw": None}},
        "lifter": {"protocol": "modbus", "profile": "electric_heater", "port": 17043, "mode": "control",
                   "safe": {"setpoint_kw": 0}},
    },
    "assets": {
        "warmth": {"kind": "heat_load", "device": "warmth_meter", "heat_node": "net"},
        "tank": {"kind": "tank", "device": "probes", "heat_node": "net", "capacity_kwh_per_k": 0.9, "low_c": 45,
                 "high_c": 60, "charge_kw": 20, "discharge_kw": 20, "loss_kw_per_k": 0.005},
        "boiler": {"kind": "boiler", "device": "burner", "heat_node": "net", "rated_kw": 15, "minimum_kw": 3,
                   "fuel_price_per_kwh": 0.12},
        "pump": {"kind": "heat_source", "device": "lifter", "bus": "house", "heat_node": "net", "rated_kw": 3,
                 "minimum_kw": 0.5, "supply_c": 50},
    },
}  # fmt: skip


def heated_house(folder: Path, **tank: Any) -> Any:
    site = site_with(folder, {**HOUSE, "assets": {**HOUSE["assets"], "tank": {**HOUSE["assets"]["tank"], **tank}}})
    file = folder / "series" / "load.csv"
    head, *rows = file.read_text(encoding="utf-8").splitlines()
    warm = [f"{row},{6.0 + 3.0 * (number % 24 in (6, 7, 18, 19, 20)):.1f}" for number, row in enumerate(rows)]
    file.write_text("\n".join([f"{head},warmth_kw", *warm]) + "\n", encoding="utf-8")
    return site


def test_the_daemon_holds_a_tank_hot_that_is_overdue_and_then_lets_it_cool(tmp_path: Path) -> None:
    site = heated_house(tmp_path / "house", hygiene_every_h=24, hygiene_c=54, hygiene_hold_s=900)
    arm, world = steered(site, 4.0, "winter_day", start=datetime.fromisoformat("2025-01-16T16:00"))
    assert arm.verdict["heat"]["holds"] == {"tank": 1}
    water_c = np.array(world.plant.records["tank:temperature_c"])
    hot = np.flatnonzero(water_c >= 54.0)
    assert hot[0] * 10.0 < 3600.0 and hot[-1] * 10.0 < 2.5 * 3600.0, "at once, and not for longer than it is asked for"
    assert water_c.max() < 60.0 and water_c[-1] < 53.0
    assert arm.verdict["heat"]["cold_kwh"] < 0.05


def test_the_daemon_heats_a_tank_and_every_setpoint_is_verified(tmp_path: Path) -> None:
    start = datetime.fromisoformat("2025-01-16T16:00")
    arm, world = steered(heated_house(tmp_path / "house"), 2.0, "winter_day", start=start)
    water_c = np.array(world.plant.records["tank:temperature_c"])
    assert 44.0 < water_c.min() <= water_c.max() < 61.5
    load = world.plant.state("warmth")
    assert load["heat_kwh"] > 10.0 and load["cold_kwh"] < 0.05
    made_kwh = world.plant.state("boiler")["heat_kwh"] + world.plant.state("pump")["heat_kwh"]
    assert made_kwh > 5.0
    assert arm.counters["setpoints"]["verified"] >= 0.95 * arm.counters["setpoints"]["issued"]
    assert arm.verdict["heat"]["cold_kwh"] == load["cold_kwh"]
    assert arm.verdict["cost_parts"]["fuel"] == pytest.approx(0.12 * world.plant.state("boiler")["fuel_kwh"])
