"""The driver on a bad wire: lost devices, writes nobody answered, one gateway for several devices."""

from __future__ import annotations

import asyncio
import logging

import pytest
from raw_modbus_server import RawModbusServer, battery_image, meter_image, wallbox_image
from wire_words import by_name, setpoint

from drivers.points import Outcome, Quality


async def test_a_lost_device_is_bad_at_once_told_once_and_back_again(build, clock, caplog) -> None:
    caplog.set_level(logging.INFO, "drivers")
    async with RawModbusServer(meter_image()) as server:
        driver = build("sunspec_meter", server.port)
        assert all(each.quality is Quality.GOOD for each in await driver.read())
        await server.hang_up()
        for _ in range(5):
            said = await driver.read()
            assert all(each.quality is Quality.BAD and each.value is None and each.reason for each in said)
            clock.at_s += 1
        await server.listen()
        clock.at_s += 15
        assert all(each.quality is Quality.GOOD for each in await driver.read())
        ours = [record.getMessage() for record in caplog.records if record.name.startswith("drivers")]
        assert len(ours) == 2
        assert ours[0].startswith("dev does not answer")
        assert ours[1] == "dev answers again"
        assert not [record for record in caplog.records if record.name.startswith("pymodbus")]


async def test_an_unanswered_write_is_unknown_read_back_and_never_resent(build) -> None:
    async def swallowing(server: RawModbusServer, unit: int, pdu: bytes) -> bytes | None:
        answer = server.answer(pdu)
        return None if pdu[0] == 16 else answer

    async with RawModbusServer(wallbox_image()) as server:
        driver = build("amperfied_wallbox", server.port, timeout_s=0.2)
        await driver.write([setpoint("dev.limit_a", 10.0)], 60)
        sent = len(server.writes)
        server.hook = swallowing
        (result,) = await driver.write([setpoint("dev.limit_a", 16.0)], 60)
        assert (result.outcome, result.effective) == (Outcome.UNKNOWN, 16.0)  # it had arrived
        assert result.reason == "no answer within 0.2 s"
        assert len(server.writes) == sent + 1


async def test_a_write_to_a_lost_device_was_not_sent(build) -> None:
    async with RawModbusServer(battery_image()) as server:
        await server.hang_up()
        driver = build("sunspec_battery", server.port)
        (result,) = await driver.write([setpoint("dev.setpoint_kw", 10.0)], 60)
        assert result.outcome is Outcome.UNKNOWN
        assert result.reason.startswith("not sent: ")


async def test_an_acknowledged_write_that_cannot_be_read_back_is_unknown(build) -> None:
    async def dies_after_writes(server: RawModbusServer, unit: int, pdu: bytes) -> bytes | None:
        if pdu[0] == 16:
            server.dead = True
            return server.answer(pdu)
        return None if getattr(server, "dead", False) else server.answer(pdu)

    async with RawModbusServer(wallbox_image()) as server:
        driver = build("amperfied_wallbox", server.port, timeout_s=0.2)
        await driver.read()
        server.hook = dies_after_writes
        (result,) = await driver.write([setpoint("dev.limit_a", 16.0)], 60)
        assert result.outcome is Outcome.UNKNOWN
        assert result.reason.startswith("acknowledged, but not read back")


async def test_devices_behind_one_gateway_share_one_connection(build) -> None:
    async with RawModbusServer(meter_image()) as server:
        first = build("sunspec_meter", server.port, device="a", unit=1)
        second = build("sunspec_meter", server.port, device="b", unit=2)
        said = await asyncio.gather(first.read(), second.read())
        assert all(each.quality is Quality.GOOD for both in said for each in both)
        assert (server.connections, server.busiest) == (1, 1)
        await first.close()
        assert by_name(await second.read())["power_kw"].value == pytest.approx(21.5)
        assert server.connections == 1
