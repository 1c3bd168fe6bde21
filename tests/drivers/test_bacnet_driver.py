"""The BACnet driver against bacpypes3 devices: reading, commanding one slot, and everything that may go wrong."""

from __future__ import annotations

import asyncio
import logging
import sys

import pytest
from bacnet_devices import INPUTS, BacnetDevice, free_udp_port
from bacnet_router import FAR, MAC, BacnetRouter
from bacpypes3.primitivedata import Real
from wire_words import by_name, setpoint

from drivers.bacnet.objects import overriding, reading
from drivers.bacnet.profile import bacnet_profile
from drivers.points import Outcome, Quality
from drivers.readings import Reading

PLAIN = {"power_kw": 4.2, "temperature_c": 21.5, "outdoor_c": -3.0, "energy_kwh": 1234.5, "setpoint_kw": 1.5}


@pytest.fixture(params=["direct", "behind a router"])
async def heat_pump(build, request):
    """Drivers of devices at a port; every test is also run with a router in between."""
    routers = []

    def make(port: int, **spec):
        spec = {"protocol": "bacnet", "device_instance": 3001} | spec
        if request.param != "direct":
            routers.append(BacnetRouter(port))
            port = routers[-1].port
            spec = {"bacnet_network": FAR, "bacnet_mac": MAC} | spec
        return build("heat_pump", port, **spec)

    yield make
    for router in routers:
        router.close()


async def test_all_points_in_one_request(heat_pump) -> None:
    async with BacnetDevice() as device:
        driver = heat_pump(device.port)
        said = by_name(await driver.read())
        assert {name: each.value for name, each in said.items()} == pytest.approx(PLAIN)
        assert all(each.quality is Quality.GOOD for each in said.values())
        device.app.asked.clear()
        await driver.read()
        assert device.app.asked == ["ReadPropertyMultiple"]
        assert not driver.has_watchdog


async def test_a_device_with_small_messages_is_asked_in_pieces(heat_pump) -> None:
    async with BacnetDevice() as device:
        device.app.most_objects = 2
        driver = heat_pump(device.port)
        assert {n: m.value for n, m in by_name(await driver.read()).items()} == pytest.approx(PLAIN)
        device.app.asked.clear()
        await driver.read()
        assert device.app.asked == ["ReadPropertyMultiple"] * 3  # remembered: 2 + 2 + 1 objects


@pytest.mark.parametrize("limit", [{"knows_rpm": False}, {"most_objects": 0}])
async def test_a_device_that_knows_only_single_reads_is_read_singly(heat_pump, limit) -> None:
    async with BacnetDevice() as device:
        for name, value in limit.items():
            setattr(device.app, name, value)
        driver = heat_pump(device.port)
        assert {n: m.value for n, m in by_name(await driver.read()).items()} == pytest.approx(PLAIN)
        device.app.asked.clear()
        await driver.read()
        assert set(device.app.asked) == {"ReadProperty"}
        (result,) = await driver.write([setpoint("dev.setpoint_kw", 7.3)], 60)
        assert result.outcome is Outcome.APPLIED


@pytest.mark.parametrize(
    ("attribute", "value", "quality", "reason"),
    [
        ("eventState", "offnormal", Quality.GOOD, ""),  # an alarm is no fault
        ("reliability", "overRange", Quality.BAD, "analog-input,2 reports a fault"),
        ("outOfService", True, Quality.BAD, "analog-input,2 is out of service"),
    ],
)
async def test_status_flags_decide_the_quality(heat_pump, attribute, value, quality, reason) -> None:
    async with BacnetDevice() as device:
        setattr(device.inputs[2], attribute, value)
        said = by_name(await heat_pump(device.port).read())
        assert (said["temperature_c"].quality, said["temperature_c"].reason) == (quality, reason)
        assert said["power_kw"].quality is Quality.GOOD


@pytest.mark.parametrize(
    ("value", "flags", "expected"),
    [
        (21.5, None, Reading(21.5)),
        (21.5, [0, 0], Reading(21.5)),
        (21.5, [0, 0, 1, 0], Reading.uncertain(21.5, "analog-input,2 is overridden at the device")),
        (None, [0, 0, 0, 0], Reading.bad("analog-input,2 gives no number (None)")),
    ],
)
def test_a_reading_is_judged(value, flags, expected) -> None:
    assert reading(bacnet_profile("heat_pump").points["temperature_c"], value, flags) == expected


@pytest.mark.parametrize(
    ("slots", "stronger"),
    [([None] * 16, None), ([None] * 7 + [2.0] + [None] * 8, 8), ([None] * 12 + [2.0] + [None] * 3, None)],
)
def test_the_strongest_slot_before_ours(slots, stronger) -> None:
    assert overriding(slots, 12) == stronger


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e6])
async def test_a_value_beyond_belief_is_bad(heat_pump, value: float) -> None:
    async with BacnetDevice() as device:
        device.inputs[2].presentValue = Real(value)
        said = by_name(await heat_pump(device.port).read())
        assert (said["temperature_c"].quality, said["temperature_c"].value) == (Quality.BAD, None)
        assert said["power_kw"].value == pytest.approx(INPUTS[1])


async def test_a_missing_object_silences_only_its_point(heat_pump) -> None:
    async with BacnetDevice() as device:
        device.app.delete_object(device.inputs[3])
        said = by_name(await heat_pump(device.port).read())
        assert [name for name, each in said.items() if each.quality is Quality.BAD] == ["outdoor_c"]
        assert "unknown-object" in said["outdoor_c"].reason


async def test_the_wrong_device_at_the_address_is_not_believed(heat_pump) -> None:
    async with BacnetDevice(instance=3002) as device:
        said = await heat_pump(device.port).read()
        assert all(each.quality is Quality.BAD and "is not device 3001" in each.reason for each in said)
        assert all(each.quality is Quality.GOOD for each in await heat_pump(device.port, device_instance=None).read())


async def test_two_devices_on_one_host_are_told_apart(heat_pump) -> None:
    async with BacnetDevice(3001) as first, BacnetDevice(3002) as second:
        second.inputs[1].presentValue = Real(9.0)
        drivers = heat_pump(first.port, device="a"), heat_pump(second.port, device="b", device_instance=3002)
        said = await asyncio.gather(*(driver.read() for driver in drivers))
        assert [by_name(each)["power_kw"].value for each in said] == [pytest.approx(4.2), 9.0]


# ---- commands -------------------------------------------------------------------------------------------------------


async def test_a_command_lies_in_our_slot_and_is_given_back(heat_pump) -> None:
    async with BacnetDevice() as device:
        driver = heat_pump(device.port, priority=11)
        (result,) = await driver.write([setpoint("dev.setpoint_kw", 7.3)], 60)
        assert (result.outcome, result.effective, result.reason) == (Outcome.APPLIED, pytest.approx(7.3), "")
        assert device.slots == {11: pytest.approx(7.3)}
        assert by_name(await driver.read())["setpoint_kw"].value == pytest.approx(7.3)
        (result,) = await driver.write([setpoint("dev.setpoint_kw", None)], 60)
        assert (result.outcome, result.effective) == (Outcome.APPLIED, None)
        assert device.slots == {}


async def test_an_operators_hand_is_seen_and_respected(heat_pump) -> None:
    async with BacnetDevice() as device:
        driver = heat_pump(device.port)
        await device.command(2.0, 8)
        (result,) = await driver.write([setpoint("dev.setpoint_kw", 7.3)], 60)
        assert (result.outcome, result.effective) == (Outcome.REFUSED, 2.0)
        assert result.reason == "overridden at priority 8"
        assert device.slots == {8: 2.0, 12: pytest.approx(7.3)}
        await device.command(None, 8)
        (result,) = await driver.write([setpoint("dev.setpoint_kw", 7.3)], 60)
        assert result.outcome is Outcome.APPLIED


async def test_closing_writes_nothing(heat_pump) -> None:
    async with BacnetDevice() as device:
        driver = heat_pump(device.port)
        await driver.write([setpoint("dev.setpoint_kw", 7.3)], 60)
        await driver.close()
        assert device.slots == {12: pytest.approx(7.3)}


async def test_a_refusal_is_the_devices_own_word(heat_pump) -> None:
    async with BacnetDevice() as device:
        device.app.refuses_writes = "writeAccessDenied"
        (result,) = await heat_pump(device.port).write([setpoint("dev.setpoint_kw", 7.3)], 60)
        assert result.outcome is Outcome.REFUSED
        assert "write-access-denied" in result.reason


async def test_a_device_that_acknowledges_and_ignores_is_found_out(heat_pump) -> None:
    async with BacnetDevice() as device:
        device.app.ignores_writes = True
        (result,) = await heat_pump(device.port).write([setpoint("dev.setpoint_kw", 7.3)], 60)
        assert (result.outcome, result.reason) == (Outcome.REFUSED, "acknowledged, but slot 12 holds None")


@pytest.mark.parametrize(
    ("point", "value", "spec", "lease_s", "reason"),
    [
        ("setpoint_kw", float("nan"), {}, 60, "nan"),
        ("setpoint_kw", float("inf"), {}, 60, "inf"),
        ("setpoint_kw", -1.0, {}, 60, "outside 0"),
        ("setpoint_kw", 5.0, {"writable": False}, 60, "not in control mode"),
        ("setpoint_kw", 5.0, {}, 0, "lease is over"),
        ("temperature_c", 5.0, {}, 60, "takes no command"),
    ],
)
async def test_what_must_not_be_written_is_never_sent(heat_pump, point, value, spec, lease_s, reason) -> None:
    async with BacnetDevice() as device:
        (result,) = await heat_pump(device.port, **spec).write([setpoint(f"dev.{point}", value)], lease_s)
        assert result.outcome is Outcome.REFUSED
        assert reason in result.reason
        assert device.app.asked == []


# ---- silence --------------------------------------------------------------------------------------------------------


async def test_a_silent_device_is_bad_told_once_left_alone_and_back_again(heat_pump, clock, caplog) -> None:
    caplog.set_level(logging.INFO, "drivers")
    async with BacnetDevice() as device:
        driver = heat_pump(device.port, timeout_s=0.1)
        await driver.read()
        device.app.silent = True
        reasons = []
        for _ in range(4):
            said = await driver.read()
            assert all(each.quality is Quality.BAD and each.value is None for each in said)
            reasons.append(said[0].reason)
        assert reasons[:2] == ["no answer within 0.1 s"] * 2
        assert all("next attempt in" in reason for reason in reasons[2:])
        device.app.silent = False
        clock.at_s += 15
        assert all(each.quality is Quality.GOOD for each in await driver.read())
        ours = [r.getMessage() for r in caplog.records if r.name.startswith("drivers")]
        assert ours == ["dev does not answer: no answer within 0.1 s", "dev answers again"]


async def test_a_late_answer_is_nobodys_answer(heat_pump, clock) -> None:
    async with BacnetDevice() as device:
        driver = heat_pump(device.port, timeout_s=0.1)
        await driver.read()
        original = device.app.do_ReadPropertyMultipleRequest

        given_up = asyncio.Event()

        async def late(apdu):
            await given_up.wait()
            await original(apdu)

        device.app.do_ReadPropertyMultipleRequest = late
        assert (await driver.read())[0].quality is Quality.BAD
        device.app.do_ReadPropertyMultipleRequest = original
        given_up.set()
        device.inputs[1].presentValue = Real(5.0)
        for _ in range(3):
            assert by_name(await driver.read())["power_kw"].value == 5.0
            await asyncio.sleep(0.05)


async def test_an_unanswered_write_is_unknown(heat_pump) -> None:
    async with BacnetDevice() as device:
        driver = heat_pump(device.port, timeout_s=0.2)
        await driver.read()
        original = device.app.do_WritePropertyRequest

        async def swallow(apdu):
            pass

        device.app.do_WritePropertyRequest = swallow
        (result,) = await driver.write([setpoint("dev.setpoint_kw", 7.3)], 60)
        assert (result.outcome, result.effective, result.reason) == (Outcome.UNKNOWN, None, "no answer within 0.2 s")
        device.app.do_WritePropertyRequest = original
        assert (await driver.write([setpoint("dev.setpoint_kw", 7.3)], 60))[0].outcome is Outcome.APPLIED


async def test_a_write_to_a_lost_device_was_not_sent(heat_pump) -> None:
    (result,) = await heat_pump(free_udp_port(), timeout_s=0.1).write([setpoint("dev.setpoint_kw", 7.3)], 60)
    assert result.outcome is Outcome.UNKNOWN
    assert result.reason == "not sent: no answer within 0.1 s"


async def test_an_acknowledged_write_that_cannot_be_read_back_is_unknown(heat_pump) -> None:
    async with BacnetDevice() as device:
        driver = heat_pump(device.port, timeout_s=0.2)
        await driver.read()
        original = device.app.do_WritePropertyRequest

        async def last_words(apdu):
            await original(apdu)
            device.app.silent = True

        device.app.do_WritePropertyRequest = last_words
        (result,) = await driver.write([setpoint("dev.setpoint_kw", 7.3)], 60)
        assert result.outcome is Outcome.UNKNOWN
        assert result.reason.startswith("acknowledged, but not read back")


async def test_published_limits_are_read(build) -> None:
    async with BacnetDevice() as device:
        said = by_name(await build("building_automation", device.port, protocol="bacnet").read())
        assert {name: each.value for name, each in said.items()} == {"hvac_limit_kw": 1.5, "charging_limit_kw": 22.0}
        assert all(each.quality is Quality.GOOD for each in said.values())


async def test_a_device_may_be_given_by_name(heat_pump) -> None:
    async with BacnetDevice() as device:
        said = by_name(await heat_pump(device.port, host="localhost").read())
        assert said["power_kw"].value == pytest.approx(INPUTS[1])


# ---- routers, and devices that need bacpypes3 -----------------------------------------------------------------------


async def test_a_network_that_the_router_does_not_reach_is_told(build) -> None:
    async with BacnetDevice() as device:
        router = BacnetRouter(device.port)
        driver = build("heat_pump", router.port, protocol="bacnet", bacnet_network=9, bacnet_mac=MAC)
        said = await driver.read()
        assert {(each.quality, each.reason) for each in said} == {(Quality.BAD, "the router does not reach network 9")}
        (result,) = await driver.write([setpoint("dev.setpoint_kw", 7.3)], 60)
        assert result.outcome is Outcome.UNKNOWN
        assert router.passed == 0
        router.close()


async def test_two_devices_behind_one_router_are_told_apart(build) -> None:
    """The answers come from one address: only the source network and station tell whose they are."""
    async with BacnetDevice(3001) as first, BacnetDevice(3002) as second:
        second.inputs[1].presentValue = Real(9.0)
        routers = BacnetRouter(first.port), BacnetRouter(second.port, network=6)
        drivers = [
            build("heat_pump", router.port, device=name, protocol="bacnet", device_instance=instance,
                  bacnet_network=router.network, bacnet_mac=MAC)
            for router, name, instance in zip(routers, "ab", (3001, 3002), strict=True)
        ]  # fmt: skip
        said = await asyncio.gather(*(driver.read() for driver in drivers))
        assert [by_name(each)["power_kw"].value for each in said] == [pytest.approx(4.2), 9.0]
        for router in routers:
            router.close()


async def test_a_device_that_answers_in_pieces_is_read_through_bacpypes3(heat_pump, caplog) -> None:
    caplog.set_level(logging.INFO, "drivers")
    async with BacnetDevice() as device:
        device.app.wants_pieces = True
        driver = heat_pump(device.port)
        for _ in range(2):
            assert {n: m.value for n, m in by_name(await driver.read()).items()} == pytest.approx(PLAIN)
        (result,) = await driver.write([setpoint("dev.setpoint_kw", 7.3)], 60)
        assert (result.outcome, result.effective) == (Outcome.APPLIED, pytest.approx(7.3))
        told = [r.getMessage() for r in caplog.records if "through bacpypes3" in r.getMessage()]
        assert len(told) == 1


async def test_bacpypes3_is_not_even_imported_for_plain_devices() -> None:
    words = (
        "import sys; from drivers.registry import *; import drivers.bacnet.driver; "
        "sys.exit(any(name.startswith('bacpypes3') for name in sys.modules))"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", words)
    assert await process.wait() == 0
