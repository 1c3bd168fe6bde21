"""The SunSpec images, read and written by a client that knows nothing but registers."""

from __future__ import annotations

import struct

import pytest
from raw_client import RawModbus, RefusedError

from hil.endpoints.modbus_server import ModbusFault
from hil.endpoints.sunspec import Image, scaled
from hil.endpoints.sunspec_devices import Reversion
from hil.world import World

# Offsets from a model's ID register, from the published model definitions.
OFFSETS = {
    (103, "AphA"): 3, (103, "PhVphA"): 10, (103, "W"): 14, (103, "W_SF"): 15, (103, "WH"): 24, (103, "WH_SF"): 26,
    (103, "St"): 38, (103, "EvtVnd4"): 50, (120, "DERTyp"): 2, (120, "WRtg"): 3, (120, "MaxDisChaRte_SF"): 26,
    (124, "WChaMax"): 2, (124, "StorCtl_Mod"): 5, (124, "ChaState"): 8, (124, "OutWRte"): 12, (124, "InWRte"): 13,
    (124, "InOutWRte_RvrtTms"): 15, (124, "ChaState_SF"): 22, (124, "InOutWRte_SF"): 25, (203, "PhV"): 7,
    (203, "V_SF"): 15, (203, "Hz"): 16, (203, "W"): 18, (203, "W_SF"): 22, (203, "TotWhExp"): 38, (203, "TotWhImp"): 46,
    (203, "TotWh_SF"): 54, (203, "Evt"): 105, (704, "WMaxLimPctEna"): 14, (704, "WMaxLimPct"): 15,
    (704, "WMaxLimPctRvrt"): 16, (704, "WMaxLimPctEnaRvrt"): 17, (704, "WMaxLimPctRvrtTms"): 18,
    (704, "WMaxLimPctRvrtRem"): 20, (704, "WSet"): 24, (704, "AntiIslEna"): 52, (704, "WMaxLimPct_SF"): 54,
    (704, "VarSetPct_SF"): 58, (713, "SoC"): 4, (713, "Pct_SF"): 8,
}  # fmt: skip
LENGTHS = {1: 66, 103: 50, 120: 26, 124: 24, 203: 105, 704: 65, 713: 7}


def signed(raw: int) -> int:
    return raw - 0x10000 if raw & 0x8000 else raw


@pytest.mark.parametrize(("model", "name"), OFFSETS, ids=str)
def test_every_point_lies_where_the_standard_says(model: int, name: str) -> None:
    image = Image((model,))
    image.put({f"{model}.{name}": 7})
    registers = struct.unpack(f">{LENGTHS[model] + 6}H", image.read(40000, LENGTHS[model] + 6))
    blank = struct.unpack(f">{LENGTHS[model] + 6}H", Image((model,)).read(40000, LENGTHS[model] + 6))
    changed = [k - 2 for k, (new, old) in enumerate(zip(registers, blank, strict=True)) if new != old]
    assert OFFSETS[model, name] in {changed[0], changed[-1] - 1, changed[-1]}
    assert len(changed) <= 2


@pytest.mark.parametrize(("model", "length"), LENGTHS.items())
def test_models_have_their_length_and_an_end(model: int, length: int) -> None:
    image = Image((model,))
    assert image.read(40000, 4) == b"SunS" + struct.pack(">HH", model, length)
    assert image.read(40004 + length, 2) == b"\xff\xff\x00\x00"
    with pytest.raises(ModbusFault):
        image.read(40004 + length, 3)


def test_what_is_not_implemented_says_so() -> None:
    image = Image((103,))
    assert image.get("103.A") == 0xFFFF
    assert image.get("103.W") == image.get("103.W_SF") == -0x8000
    assert image.get("103.WH") == 0
    assert image.get("103.Evt1") == 0xFFFFFFFF


def test_values_never_wrap_into_sentinels() -> None:
    image = Image((103,))
    image.put({"103.W": 99_999, "103.A": -5})
    assert image.get("103.W") == 32767 and image.get("103.A") == 0
    image.put({"103.W": -99_999, "103.A": 99_999})
    assert image.get("103.W") == -32767 and image.get("103.A") == 65534


def test_a_write_is_judged_point_by_point() -> None:
    image = Image((704,))
    rates = frozenset({"704.WMaxLimPct", "704.WMaxLimPctRvrtTms"})
    assert image.preview(40017, (5000,), rates) == {"704.WMaxLimPct": 5000}
    assert image.preview(40020, (1, 2), rates) == {"704.WMaxLimPctRvrtTms": 65538}
    with pytest.raises(ModbusFault):
        image.preview(40017, (5000, 1), rates)
    assert image.get("704.WMaxLimPct") == 0xFFFF


def test_scaled() -> None:
    assert scaled(12_345.0, 1) == 1234 and scaled(50.0, -2) == 5000 and scaled(-3.0, 0) == -3


class TestReversion:
    def test_it_ends_once(self) -> None:
        timer = Reversion()
        timer.restart(100.0, 60)
        assert timer.left_s(130.0) == 30
        assert not timer.ended(159.9)
        assert timer.ended(160.0)
        assert not timer.ended(1000.0)

    def test_zero_is_for_ever(self) -> None:
        timer = Reversion()
        timer.restart(100.0, 0)
        assert not timer.ended(1e9) and timer.left_s(1e9) == 0


Clients = dict[str, RawModbus]


class TestMeter:
    async def test_import_is_positive_and_energies_run(self, world: World, client: Clients) -> None:
        meter = client["grid_meter"]
        at = (await meter.models())[203]
        world.advance(600.0)
        power, exponent = await meter.read(at + 18, 1), await meter.read(at + 22, 1)
        assert signed(power[0]) * 10.0 ** signed(exponent[0]) / 1000.0 == pytest.approx(
            world.plant.grid.import_kw, abs=0.01
        )
        exported = await meter.read(at + 38, 2)
        assert (exported[0] << 16) + exported[1] == pytest.approx(1e6 + 1000.0 * world.plant.export_kwh, abs=2)
        volts = (await meter.read(at + 7, 1))[0] / 10.0
        assert volts == pytest.approx(230.94 * world.plant.voltage_pu("busbar"), abs=0.06)

    async def test_nothing_in_it_can_be_written(self, client: Clients) -> None:
        with pytest.raises(RefusedError) as refused:
            await client["grid_meter"].write(40070, 1)
        assert refused.value.code == 2


class TestPvInverter:
    async def limit(self, link: RawModbus, percent: float, revert: float, seconds: int) -> int:
        at = (await link.models())[704]
        await link.write(at + 15, round(percent * 100), round(revert * 100), 1, 0, seconds)
        await link.write(at + 14, 1)
        return at

    def power_kw(self, world: World) -> float:
        return -world.plant.state("pv")["power_kw"]

    async def test_a_limit_is_obeyed_and_reverts_when_nobody_renews_it(self, world: World, client: Clients) -> None:
        rated_kw = world.site.file.assets["pv"].rated_kw  # type: ignore[union-attr]
        at = await self.limit(client["pv_inverter"], 25.0, 40.0, 60)
        world.advance(50.0)
        assert self.power_kw(world) == pytest.approx(0.25 * rated_kw, abs=0.1)
        left = await client["pv_inverter"].read(at + 20, 2)
        assert left == (0, 10)
        world.advance(30.0)
        assert self.power_kw(world) == pytest.approx(0.40 * rated_kw, abs=0.1)

    async def test_a_renewed_lease_holds(self, world: World, client: Clients) -> None:
        rated_kw = world.site.file.assets["pv"].rated_kw  # type: ignore[union-attr]
        for _ in range(4):
            await self.limit(client["pv_inverter"], 25.0, 40.0, 60)
            world.advance(40.0)
        assert self.power_kw(world) == pytest.approx(0.25 * rated_kw, abs=0.1)

    async def test_disabling_lets_go_and_stops_the_timer(self, world: World, client: Clients) -> None:
        at = await self.limit(client["pv_inverter"], 25.0, 40.0, 60)
        world.advance(10.0)
        await client["pv_inverter"].write(at + 14, 0)
        world.advance(120.0)
        assert self.power_kw(world) > 60.0

    async def test_more_than_all_is_refused_and_changes_nothing(self, world: World, client: Clients) -> None:
        at = await self.limit(client["pv_inverter"], 25.0, 40.0, 0)
        with pytest.raises(RefusedError) as refused:
            await client["pv_inverter"].write(at + 15, 10_001)
        assert refused.value.code == 3
        world.advance(20.0)
        rated_kw = world.site.file.assets["pv"].rated_kw  # type: ignore[union-attr]
        assert self.power_kw(world) == pytest.approx(0.25 * rated_kw, abs=0.1)

    async def test_it_tells_power_energy_and_nameplate(self, world: World, client: Clients) -> None:
        world.advance(300.0)
        at = await client["pv_inverter"].models()
        power = signed((await client["pv_inverter"].read(at[103] + 14, 1))[0]) * 10 / 1000.0
        assert power == pytest.approx(self.power_kw(world), abs=0.01)
        rated_kw = world.site.file.assets["pv"].rated_kw  # type: ignore[union-attr]
        assert await client["pv_inverter"].read(at[120] + 3, 2) == (round(rated_kw * 100), 1)


class TestBatteryInverter:
    async def window(self, link: RawModbus, percent: float, seconds: int = 60, mode: int = 3) -> int:
        at = (await link.models())[124]
        raw = round(percent * 100)
        await link.write(at + 12, -raw & 0xFFFF, raw & 0xFFFF)
        await link.write(at + 15, seconds)
        await link.write(at + 5, mode)
        return at

    @pytest.mark.parametrize("percent", [50.0, -50.0, 0.0, 100.0])
    async def test_a_closed_window_is_a_setpoint(self, world: World, client: Clients, percent: float) -> None:
        await self.window(client["battery_inverter"], percent)
        world.advance(20.0)
        rated_kw = world.site.file.assets["battery"].charge_kw  # type: ignore[union-attr]
        assert world.plant.state("battery")["power_kw"] == pytest.approx(rated_kw * percent / 100.0, abs=0.1)

    async def test_it_idles_when_the_lease_ends(self, world: World, client: Clients) -> None:
        at = await self.window(client["battery_inverter"], 50.0, seconds=60)
        world.advance(58.0)
        assert world.plant.state("battery")["power_kw"] > 19.0
        world.advance(20.0)
        assert world.plant.state("battery")["power_kw"] == pytest.approx(0.0, abs=0.01)
        assert await client["battery_inverter"].read(at + 5, 1) == (0,)

    @pytest.mark.parametrize(("mode", "power_kw"), [(1, 0.0), (2, 20.0), (0, 0.0)])
    async def test_half_a_window_forces_only_its_side(
        self, world: World, client: Clients, mode: int, power_kw: float
    ) -> None:
        await self.window(client["battery_inverter"], 50.0, mode=mode)
        world.advance(20.0)
        assert world.plant.state("battery")["power_kw"] == pytest.approx(power_kw, abs=0.1)

    async def test_it_tells_its_charge(self, world: World, client: Clients) -> None:
        world.advance(10.0)
        at = await client["battery_inverter"].models()
        assert await client["battery_inverter"].read(at[124] + 8, 1) == (
            round(world.plant.state("battery")["soc_pct"] * 10),
        )
        assert await client["battery_inverter"].read(at[713] + 4, 1) == await client["battery_inverter"].read(
            at[124] + 8, 1
        )
        assert signed((await client["battery_inverter"].read(at[124] + 22, 1))[0]) == -1

    @pytest.mark.parametrize(("offset", "value"), [(5, 4), (12, 10_001), (13, 0x8000)])
    async def test_impossible_values_are_refused(self, client: Clients, offset: int, value: int) -> None:
        at = (await client["battery_inverter"].models())[124]
        with pytest.raises(RefusedError) as refused:
            await client["battery_inverter"].write(at + offset, value)
        assert refused.value.code == 3
