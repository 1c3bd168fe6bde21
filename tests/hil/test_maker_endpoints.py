"""The pretend devices of further makes, through the drivers of their profiles, and where it matters by registers."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest
from standing_plant import Bench, StandingPlant, bench

from drivers.points import Outcome
from hil.endpoints.charge_box import ChargeBox
from hil.endpoints.charge_boxes import BenderBox, VestelBox
from hil.endpoints.heat_meter import HeatMeter
from hil.endpoints.modbus_server import Fault, ModbusFault, Table
from hil.endpoints.solaredge import SolarEdgeInverter
from hil.endpoints.sunspec_devices import SubMeter
from hil.endpoints.wallbox import Wallbox

CAR = {"connected": 1.0, "power_kw": 6.9, "current_a": 10.0, "energy_kwh": 1234.5}
BOXES: dict[str, type[ChargeBox]] = {
    "amperfied_wallbox": Wallbox,
    "bender_cc612": BenderBox,
    "vestel_evc04": VestelBox,
}
KW_PER_A = 3 * 230.0 / 1000.0


def box(name: str) -> ChargeBox:
    return BOXES[name](StandingPlant({"cp": CAR}), "cp", "bus", phases=3, voltage_v=230.0)


@pytest.mark.parametrize("name", BOXES)
class TestChargeBoxes:
    async def test_it_is_read(self, name: str) -> None:
        device = box(name)
        async with bench(device.plant, device, name) as it:
            said = await it.read()
            assert said == {
                "state": 2,
                "power_kw": pytest.approx(6.9),
                "energy_kwh": pytest.approx(1234.5),
                "limit_a": 32.0,
            }
            device.plant.states["cp"] |= {"power_kw": 0.0, "current_a": 0.0}
            assert (await it.read())["state"] == 1
            device.plant.states["cp"] |= {"connected": 0.0}
            assert (await it.read())["state"] == 0

    async def test_it_follows_and_falls_to_its_failsafe_current_without_a_controller(self, name: str) -> None:
        device = box(name)
        async with bench(device.plant, device, name, safe={"limit_a": 8.0}) as it:
            result = await it.order("limit_a", 16.0)
            assert (result.outcome, result.effective) == (Outcome.APPLIED, 16.0)
            assert device.plant.commands["cp"] == pytest.approx(16.0 * KW_PER_A)
            it.wait(40.0)
            assert (await it.order("limit_a", 10.0)).outcome is Outcome.APPLIED
            it.wait(40.0)
            assert device.plant.commands["cp"] == pytest.approx(10.0 * KW_PER_A)
            it.wait(40.0)
            assert device.plant.commands["cp"] == pytest.approx(8.0 * KW_PER_A)
            assert (await it.order("limit_a", 12.0)).outcome is Outcome.APPLIED
            assert device.plant.commands["cp"] == pytest.approx(12.0 * KW_PER_A)

    async def test_released_it_gives_all_for_ever(self, name: str) -> None:
        device = box(name)
        async with bench(device.plant, device, name, safe={"limit_a": 6.0}) as it:
            await it.order("limit_a", 0.0)
            assert device.plant.commands["cp"] == 0.0
            assert (await it.order("limit_a", None)).outcome is Outcome.APPLIED
            it.wait(600.0)
            assert device.plant.commands["cp"] is None

    def test_what_it_cannot_do_is_refused_and_changes_nothing(self, name: str) -> None:
        device = box(name)
        controls = device.controls
        before = dict(device.holding)
        for register, value in (
            (controls.current, round(3 / controls.step_a)),
            (controls.current, round(33 / controls.step_a)),
            (controls.failsafe, round(5 / controls.step_a)),
        ):
            with pytest.raises(ModbusFault) as caught:
                device.write(register, (value,))
            assert caught.value.code is Fault.ILLEGAL_VALUE
        for register in (controls.current + 900, 3):
            with pytest.raises(ModbusFault) as caught:
                device.write(register, (1,))
            assert caught.value.code is Fault.ILLEGAL_ADDRESS
        with pytest.raises(ModbusFault):
            device.read(Table.HOLDING, 9000, 1)
        assert device.holding == before


async def test_only_the_sign_of_life_counts_for_vestel() -> None:
    device = box("vestel_evc04")
    async with bench(device.plant, device, "vestel_evc04", safe={"limit_a": 6.0}) as it:
        await it.order("limit_a", 16.0, lease_s=20.0)
        for _ in range(6):
            it.wait(4.0)
            await it.read()  # reading is no sign of life here
        assert device.plant.commands["cp"] == pytest.approx(6.0 * KW_PER_A)
        assert device.holding[6000] == 0


async def test_any_request_counts_for_bender() -> None:
    device = box("bender_cc612")
    async with bench(device.plant, device, "bender_cc612", safe={"limit_a": 6.0}) as it:
        await it.order("limit_a", 16.0, lease_s=20.0)
        for _ in range(6):
            it.wait(4.0)
            await it.read()
        assert device.plant.commands["cp"] == pytest.approx(16.0 * KW_PER_A)


class TestSolarEdge:
    def inverter(self) -> SolarEdgeInverter:
        state = {"power_kw": -12.34, "energy_kwh": 250.0}
        return SolarEdgeInverter(StandingPlant({"pv": state}), "pv", "bus", 30.0)

    async def test_it_is_read(self) -> None:
        device = self.inverter()
        async with bench(device.plant, device, "solaredge_inverter") as it:
            assert await it.read() == {
                "power_kw": pytest.approx(-12.34),
                "energy_kwh": pytest.approx(1250.0),
                "limit_kw": pytest.approx(30.0),
            }

    async def test_it_follows_and_falls_back_without_a_controller(self) -> None:
        device = self.inverter()
        async with bench(device.plant, device, "solaredge_inverter", safe={"limit_kw": 11.1}) as it:
            result = await it.order("limit_kw", 10.0)
            assert (result.outcome, result.effective) == (Outcome.APPLIED, pytest.approx(10.0))
            assert device.plant.commands["pv"] == pytest.approx(-10.0)
            it.wait(40.0)
            await it.order("limit_kw", 20.0)
            it.wait(40.0)
            assert device.plant.commands["pv"] == pytest.approx(-20.0)
            it.wait(30.0)
            assert device.plant.commands["pv"] == pytest.approx(-11.1)
            assert (await it.read())["limit_kw"] == pytest.approx(11.1)

    async def test_released_it_gives_all(self) -> None:
        device = self.inverter()
        async with bench(device.plant, device, "solaredge_inverter", safe={"limit_kw": 0.0}) as it:
            await it.order("limit_kw", 10.0)
            assert (await it.order("limit_kw", None)).outcome is Outcome.APPLIED
            it.wait(200.0)
            assert device.plant.commands["pv"] is None
            assert (await it.read())["limit_kw"] == pytest.approx(30.0)

    async def test_what_is_kept_for_ever_is_written_once(self) -> None:
        device = self.inverter()
        heard: list[int] = []
        write: Callable[[int, tuple[int, ...]], None] = device.write

        def listening(address: int, values: tuple[int, ...]) -> None:
            heard.append(address)
            write(address, values)

        device.write = listening  # type: ignore[method-assign]
        async with bench(device.plant, device, "solaredge_inverter", safe={"limit_kw": 11.1}) as it:
            for value in (10.0, 9.0, 8.0):
                await it.order("limit_kw", value)
        assert heard == [0xF312, 0xF300, 0xF310, 0xF322, 0xF322, 0xF322]

    @pytest.mark.parametrize(
        ("address", "words", "fault"),
        [
            (0xF322, struct.unpack(">HH", struct.pack(">f", 101.0))[::-1], Fault.ILLEGAL_VALUE),
            (0xF322, struct.unpack(">HH", struct.pack(">f", float("nan")))[::-1], Fault.ILLEGAL_VALUE),
            (0xF300, (2,), Fault.ILLEGAL_VALUE),
            (0xF304, (0, 0), Fault.ILLEGAL_ADDRESS),
            (0xF322, (0, 0, 0), Fault.ILLEGAL_ADDRESS),
        ],
    )
    def test_what_it_refuses(self, address: int, words: tuple[int, ...], fault: Fault) -> None:
        device = self.inverter()
        before = device.read(Table.HOLDING, 0xF300, 0x24)
        with pytest.raises(ModbusFault) as caught:
            device.write(address, words)
        assert caught.value.code is fault
        assert device.read(Table.HOLDING, 0xF300, 0x24) == before


async def test_a_heat_meter_tells_heat_and_temperatures_and_takes_nothing() -> None:
    told = {"heat_kw": 21.5, "heat_kwh": 12345.5, "supply_c": 45.25, "return_c": 38.5}
    device = HeatMeter(StandingPlant({"hp": told | {"power_kw": 7.0}}), "hp")
    async with bench(device.plant, device, "heat_meter") as it:
        assert await it.read() == told
    with pytest.raises(ModbusFault):
        device.write(100, (0, 0))
    with pytest.raises(ModbusFault):
        device.read(Table.INPUT, 100, 2)


async def test_garbage_of_a_heat_meter_is_no_number() -> None:
    device = HeatMeter(StandingPlant({"hp": dict.fromkeys(("heat_kw", "heat_kwh", "supply_c", "return_c"), 1.0)}), "hp")
    async with bench(device.plant, device, "heat_meter") as it:
        await it.read()
        device.read = lambda table, address, count: b"\x7f\xc0" * count  # type: ignore[method-assign]
        assert set((await it.read()).values()) == {None}


async def test_a_sub_meter_tells_its_load_and_the_voltage_of_its_own_bus() -> None:
    plant = StandingPlant({"school": {"power_kw": 17.25, "energy_kwh": 88.0}})
    plant.voltages = {"school_bus": 0.97}
    device = SubMeter(plant, "school", "school_bus")
    async with bench(plant, device, "sunspec_meter") as it:
        said: dict[str, float | None] = await Bench.read(it)
    assert said["power_kw"] == pytest.approx(17.25, abs=0.01)
    assert said["import_kwh"] == pytest.approx(1088.0)
    assert said["export_kwh"] == pytest.approx(1000.0)
    assert said["voltage_v"] == pytest.approx(230.94 * 0.97, abs=0.1)
