"""The world as the daemon meets it: through the real drivers, over sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from raw_client import RawModbus

from drivers.driver import Driver
from drivers.points import Outcome, Quality, Setpoint
from drivers.registry import DeviceSpec, build_driver
from ems.clock import SimulatedClock
from ems.config.site import Site
from hil.faults import FaultKind, OrderedFault
from hil.fronts import WorldError
from hil.scenario import Scenario
from hil.world import World

COMMANDS = {
    "pv_inverter": ("limit_kw", 30.0),
    "battery_inverter": ("setpoint_kw", -20.0),
    "wallbox": ("limit_a", 10.0),
    "air_handler": ("setpoint_kw", 5.0),
}


class Bench:
    """A world, its drivers and the clock that moves both."""

    def __init__(self, world: World) -> None:
        self.world, self.clock = world, SimulatedClock(world.now)
        self.drivers: dict[str, Driver] = {}
        for name, device in world.site.file.devices.items():
            spec = DeviceSpec(
                protocol=device.protocol, profile=device.profile, host=device.host, port=device.port,
                unit=device.unit, device_instance=device.device_instance, priority=device.priority,
                timeout_s=device.timeout_s, writable=True, safe=device.safe,
            )  # fmt: skip
            self.drivers[name] = build_driver(name, spec, self.clock)

    async def advance(self, seconds: float) -> None:
        self.world.advance(seconds)
        await self.world.settle()
        self.clock.advance_to(self.world.plant.elapsed_s)

    async def read(self, device: str) -> dict[str, float | None]:
        found = await self.drivers[device].read()
        return {m.point.partition(".")[2]: m.value if m.quality is Quality.GOOD else None for m in found}

    async def order(self, device: str, value: float | None) -> Outcome:
        point = f"{device}.{COMMANDS[device][0]}"
        setpoint = Setpoint(point, value, "a test", self.clock.monotonic() + 60.0)
        (result,) = await self.drivers[device].write([setpoint], 60.0)
        return result.outcome


@pytest.fixture
async def bench(world: World) -> AsyncIterator[Bench]:
    made = Bench(world)
    yield made
    for driver in made.drivers.values():
        await driver.close()


async def test_the_drivers_read_what_is_true(bench: Bench) -> None:
    await bench.advance(1200.0)
    plant = bench.world.plant
    meter, pv, battery, box, heat = [await bench.read(name) for name in bench.world.registers]
    assert meter["power_kw"] == pytest.approx(plant.grid.import_kw, abs=0.01)
    assert pv["power_kw"] == pytest.approx(plant.state("pv")["power_kw"], abs=0.01)
    assert battery["soc_pct"] == pytest.approx(plant.state("battery")["soc_pct"], abs=0.06)
    assert box["power_kw"] == pytest.approx(plant.state("charge_point")["power_kw"], abs=0.001)
    assert box["state"] == 2
    assert heat["temperature_c"] == pytest.approx(plant.state("heat_pump")["temperature_c"], abs=0.001)


async def test_orders_are_followed_and_leases_end(bench: Bench) -> None:
    await bench.advance(1200.0)
    for device, (_, value) in COMMANDS.items():
        assert await bench.order(device, value) is Outcome.APPLIED
    await bench.advance(40.0)
    told = {
        asset: bench.world.plant.state(asset)["power_kw"] for asset in ("pv", "battery", "charge_point", "heat_pump")
    }
    assert told == pytest.approx({"pv": -30.0, "battery": -20.0, "charge_point": 6.86, "heat_pump": 5.0}, abs=0.1)
    await bench.advance(60.0)
    safe_kw = bench.world.site.file.devices["pv_inverter"].safe["limit_kw"]
    told = {asset: bench.world.plant.state(asset)["power_kw"] for asset in told}
    assert told["pv"] == pytest.approx(-(safe_kw or 0.0), abs=0.1)
    assert told["battery"] == pytest.approx(0.0, abs=0.01)
    assert told["charge_point"] == pytest.approx(4.1, abs=0.1)
    assert told["heat_pump"] == pytest.approx(5.0, abs=0.1)  # no watchdog: this is what the guard is for


async def test_released_devices_go_their_own_way(bench: Bench) -> None:
    await bench.advance(1200.0)
    for device, (_, value) in COMMANDS.items():
        await bench.order(device, value)
        assert await bench.order(device, None) is Outcome.APPLIED
    await bench.advance(60.0)
    assert bench.world.plant.state("pv")["power_kw"] < -60.0
    assert bench.world.plant.state("charge_point")["power_kw"] > 20.0


async def test_an_unplugged_device_is_bad_and_the_others_are_not(bench: Bench) -> None:
    await bench.advance(20.0)
    await bench.world.inject("wallbox", FaultKind.UNPLUG, 60.0)
    assert (await bench.read("wallbox"))["power_kw"] is None
    assert (await bench.read("pv_inverter"))["power_kw"] is not None
    await bench.advance(60.0)
    await bench.advance(20.0)
    assert (await bench.read("wallbox"))["power_kw"] is not None


async def test_garbage_is_never_good(bench: Bench) -> None:
    await bench.advance(20.0)
    await bench.read("grid_meter")
    await bench.world.inject("grid_meter", FaultKind.GARBAGE, 30.0)
    assert all(value is None for value in (await bench.read("grid_meter")).values())


async def test_refused_writes_are_told(bench: Bench) -> None:
    for device in COMMANDS:
        await bench.world.inject(device, FaultKind.REFUSE, 30.0)
        assert await bench.order(device, COMMANDS[device][1]) is Outcome.REFUSED
    await bench.advance(30.0)
    assert await bench.order("battery_inverter", -10.0) is Outcome.APPLIED


async def test_cars_announce_themselves_once(bench: Bench) -> None:
    await bench.advance(890.0)
    assert bench.world.take_events() == []
    await bench.advance(20.0)
    (told,) = bench.world.take_events()
    assert (told.asset, told.energy_kwh, told.charge_kw) == ("charge_point", 12.0, pytest.approx(22.0))
    assert (told.departure - bench.world.plant.start).total_seconds() == 9900.0
    assert told.as_json()["kind"] == "plug_in"
    assert bench.world.take_events() == []


def unplugged(at_s: float) -> OrderedFault:
    return OrderedFault(at_s=at_s, device="pv_inverter", kind=FaultKind.UNPLUG, seconds=30.0)


DARK = OrderedFault(at_s=20.0, kind=FaultKind.POWER_CUT, seconds=20.0)
"""Until 40 s; the inverter boots a little longer."""


@pytest.mark.parametrize(
    ("faults", "answers"),
    [
        ((unplugged(20.0),), "+---++++++++"),
        ((unplugged(20.0), unplugged(40.0)), "+-----++++++"),
        ((DARK,), "+----+++++++"),
        ((unplugged(10.0), DARK), "-----+++++++"),
        ((DARK, unplugged(60.0)), "+-------++++"),
    ],
)
async def test_faults_of_the_scenario_begin_and_end_by_themselves(
    site: Site, demo_hour: Scenario, faults: tuple[OrderedFault, ...], answers: str
) -> None:
    world = World(site, demo_hour.model_copy(update={"faults": faults}), 1, witness=False)
    spec = site.file.devices["pv_inverter"]
    await world.open()
    heard = ""
    for _ in range(12):
        world.advance(10.0)
        await world.settle()
        try:
            link = await RawModbus.connect(spec.host, spec.port)
            link.close()
            heard += "+"
        except ConnectionRefusedError:
            heard += "-"
    await world.close()
    assert heard == answers


async def test_trouble_needs_a_device(world: World) -> None:
    with pytest.raises(WorldError, match="there is no 'toaster': choose one of air_handler"):
        await world.inject("toaster", FaultKind.UNPLUG, 1.0)
