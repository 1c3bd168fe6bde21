"""The drivers' contract, the same for every protocol and every profile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from bacnet_devices import BacnetDevice, free_udp_port
from maker_images import MAKERS
from raw_modbus_server import RawModbusServer, battery_image, meter_image, pv_image, pv_var_image, wallbox_image
from wire_words import setpoint

from drivers.driver import Driver
from drivers.points import Outcome, Point, Quality
from drivers.registry import known_profiles, profile_points
from ems.clock import SimulatedClock

IMAGES = {
    "sunspec_meter": meter_image,
    "sunspec_pv": pv_image,
    "sunspec_pv_var": pv_var_image,
    "sunspec_battery": battery_image,
    "amperfied_wallbox": wallbox_image,
    **MAKERS,
}
EVERY = [(protocol, name) for protocol, names in known_profiles().items() for name in names]


@asynccontextmanager
async def device(protocol: str, profile: str) -> AsyncIterator[int]:
    if protocol == "modbus":
        async with RawModbusServer(IMAGES[profile]()) as server:
            yield server.port
    elif protocol == "bacnet":
        async with BacnetDevice() as controller:
            yield controller.port
    else:
        yield 9


def tolerable(point: Point) -> float:
    return 8.0 if point.upper is None else min(8.0, point.upper)


@pytest.mark.parametrize(("protocol", "profile"), EVERY)
async def test_a_driver_keeps_the_contract(build: Callable[..., Driver], clock, protocol: str, profile: str) -> None:
    info = profile_points(protocol, profile)
    async with device(protocol, profile) as port:
        driver = build(profile, port, protocol=protocol, device="x1")
        assert driver.device == "x1"
        before = clock.at_s
        said = await driver.read()
        assert [each.point for each in said] == [f"x1.{role.point}" for role in info.roles.values()]
        assert all((each.value is None) is (each.quality is Quality.BAD) for each in said)
        assert all(bool(each.reason) is (each.quality is not Quality.GOOD) for each in said)
        assert all(each.at.utcoffset().total_seconds() == 0 and each.monotonic_s == before for each in said)

        wishes = [setpoint(point, tolerable(driver.points[point])) for point in driver.points]
        wishes += [setpoint("x1.nonsense", 1.0)]
        results = await driver.write(wishes, 60)
        assert [each.point for each in results] == [each.point for each in wishes]
        for wish, result in zip(wishes, results, strict=True):
            writable = wish.point in driver.points and driver.points[wish.point].writable
            assert result.outcome is (Outcome.APPLIED if writable else Outcome.REFUSED)
            assert bool(result.reason) is not writable
        await driver.close()
        await driver.close()


@pytest.mark.parametrize(("protocol", "profile"), [each for each in EVERY if each[0] != "simulated"])
async def test_nobody_there_is_bad_and_unknown_but_never_an_exception(build, protocol: str, profile: str) -> None:
    driver = build(profile, free_udp_port(), protocol=protocol, timeout_s=0.1)
    said = await driver.read()
    assert {each.point for each in said} == set(driver.points)
    assert all(each.quality is Quality.BAD and each.value is None and each.reason for each in said)
    for point in driver.points.values():
        (result,) = await driver.write([setpoint(point.id, 8.0)], 60)
        assert result.outcome is (Outcome.UNKNOWN if point.writable else Outcome.REFUSED)


async def test_in_lock_step_no_deadline_decides(build, clock, monkeypatch) -> None:
    """However slow the machine is: a simulated clock waits for the answer."""
    simulated = SimulatedClock(clock.now())
    monkeypatch.setattr(type(clock), "wait_for", simulated.wait_for)

    async def slow(server: RawModbusServer, unit: int, pdu: bytes) -> bytes:
        await asyncio.sleep(0.05)
        return server.answer(pdu)

    async with RawModbusServer(meter_image()) as server:
        server.hook = slow
        driver = build("sunspec_meter", server.port, timeout_s=0.001)
        assert all(each.quality is Quality.GOOD for each in await driver.read())
        server.cut()
        await asyncio.sleep(0.01)
        await server.hang_up()
        assert all(each.quality is Quality.BAD for each in await driver.read())
