"""The reactive power that an inverter is told, over SunSpec model 704: sign, lease, proof and release."""

from __future__ import annotations

import struct

import pytest
from raw_modbus_server import HOLDING, RawModbusServer, pv_var_image
from wire_words import by_name, setpoint

from drivers.points import Outcome, Quality

ENA, MOD, PCT, RVRT, ENA_RVRT, TIMER = 40185, 40186, 40192, 40193, 40194, (40195, 40196)  # of model 704


def signed(word: int) -> int:
    return struct.unpack(">h", struct.pack(">H", word))[0]


@pytest.mark.parametrize(("kvar", "raw"), [(20.0, -250), (-8.0, 100), (0.0, 0), (-80.0, 1000)])
async def test_what_is_told_is_held_for_its_lease_and_read_back(build, kvar: float, raw: int) -> None:
    """Into the inverter is above zero here, and below it there; 100 % are the 80 kW of its nameplate."""
    async with RawModbusServer(pv_var_image()) as server:
        driver = build("sunspec_pv_var", server.port, safe={"limit_kw": 35.0})
        (result,) = await driver.write([setpoint("dev.reactive_kvar", kvar)], 60)
        assert (result.outcome, result.effective) == (Outcome.APPLIED, pytest.approx(kvar))
        held = {at: server.registers[HOLDING, at] for at in (ENA, MOD, RVRT, ENA_RVRT, *TIMER)}
        assert held == {ENA: 1, MOD: 0, RVRT: 0, ENA_RVRT: 0, TIMER[0]: 0, TIMER[1]: 60}
        assert signed(server.registers[HOLDING, PCT]) == raw
        assert [at for at, _ in server.writes][-1] == ENA
        said = by_name(await driver.read())["reactive_kvar"]
        assert (said.value, said.quality) == (pytest.approx(kvar), Quality.GOOD)


async def test_a_release_gives_it_back_and_lets_the_limit_stand(build) -> None:
    async with RawModbusServer(pv_var_image()) as server:
        driver = build("sunspec_pv_var", server.port, safe={"limit_kw": 35.0})
        told = [setpoint("dev.limit_kw", 20.0), setpoint("dev.reactive_kvar", 12.0)]
        assert [one.outcome for one in await driver.write(told, 60)] == [Outcome.APPLIED] * 2
        (result,) = await driver.write([setpoint("dev.reactive_kvar", None)], 60)
        assert (result.outcome, result.effective) == (Outcome.APPLIED, None)
        said = by_name(await driver.read())
        assert said["reactive_kvar"].quality is Quality.UNCERTAIN
        assert said["limit_kw"].value == pytest.approx(20.0)


async def test_more_than_its_rating_is_refused_and_never_sent(build) -> None:
    async with RawModbusServer(pv_var_image()) as server:
        driver = build("sunspec_pv_var", server.port, safe={"limit_kw": 35.0})
        await driver.read()
        before = len(server.writes)
        (result,) = await driver.write([setpoint("dev.reactive_kvar", 80.5)], 60)
        assert (result.outcome, len(server.writes)) == (Outcome.REFUSED, before)
        assert "outside -80 to 80" in result.reason


async def test_an_inverter_that_drops_the_enable_is_found_out(build) -> None:
    """Seen in the field: the write is acknowledged, and the register stays as it was."""

    async def drops(server: RawModbusServer, unit: int, pdu: bytes) -> bytes:
        answer = server.answer(pdu)
        server.registers[HOLDING, ENA] = 0
        return answer

    async with RawModbusServer(pv_var_image()) as server:
        driver = build("sunspec_pv_var", server.port, safe={"limit_kw": 35.0})
        await driver.read()
        server.hook = drops
        (result,) = await driver.write([setpoint("dev.reactive_kvar", 12.0)], 60)
        assert (result.outcome, result.effective) == (Outcome.REFUSED, None)
        assert result.reason == "acknowledged, but the device stays at its own control"
