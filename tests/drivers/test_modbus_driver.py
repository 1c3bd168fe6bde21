"""The Modbus driver against a raw server: what each device map reads, writes and proves."""

from __future__ import annotations

import struct

import pytest
from raw_modbus_server import (
    HOLDING,
    RawModbusServer,
    battery_image,
    meter_image,
    pv_image,
    refusing,
    wallbox_image,
)
from wire_words import by_name, setpoint

from drivers.points import Outcome, Quality

PCT, RVRT, ENA_RVRT, ENA = 40165, 40166, 40167, 40164  # of model 704 in `pv_image`
TIMER = (40168, 40169)


@pytest.mark.parametrize("base", [40000, 50000, 0])
async def test_pv_is_found_wherever_the_marker_is(build, base: int) -> None:
    async with RawModbusServer(pv_image(base)) as server:
        driver = build("sunspec_pv", server.port, writable=False)
        said = by_name(await driver.read())
        assert said["power_kw"].value == pytest.approx(-12.34)
        assert said["energy_kwh"].value == pytest.approx(1234.567)
        assert said["limit_kw"].value == 80  # released: only its own rating limits it
        assert all(each.quality is Quality.GOOD for each in said.values())
        assert server.writes == []


async def test_a_meter_in_one_request(build) -> None:
    async with RawModbusServer(meter_image()) as server:
        driver = build("sunspec_meter", server.port)
        await driver.read()
        before = len(server.requests)
        said = {name: each.value for name, each in by_name(await driver.read()).items()}
        assert len(server.requests) - before == 1
        assert said == pytest.approx(
            {"power_kw": 21.5, "import_kwh": 99.0, "export_kwh": 7.0, "voltage_v": 231.2, "frequency_hz": 50.01}
        )


@pytest.mark.parametrize(("profile", "image"), [("sunspec_pv", pv_image), ("sunspec_battery", battery_image)])
async def test_an_inverter_in_one_request(build, profile: str, image) -> None:
    async with RawModbusServer(image()) as server:
        driver = build(profile, server.port)
        await driver.read()
        before = len(server.requests)
        await driver.read()
        assert len(server.requests) - before == 1


async def test_wallbox_reads_around_a_hole_and_remembers(build) -> None:
    async with RawModbusServer(wallbox_image()) as server:
        driver = build("amperfied_wallbox", server.port, writable=False)
        said = {name: each.value for name, each in by_name(await driver.read()).items()}
        assert said == pytest.approx({"state": 2, "power_kw": 11.0, "energy_kwh": 65.538, "limit_a": 32.0})
        before = len(server.requests)
        await driver.read()
        assert len(server.requests) - before == 3  # one of inputs, two around the missing register 260


async def test_measurements_carry_the_instant_of_the_read(build, clock) -> None:
    async with RawModbusServer(meter_image()) as server:
        driver = build("sunspec_meter", server.port)
        first = await driver.read()
        clock.at_s += 10
        second = await driver.read()
        assert {each.monotonic_s for each in first} == {100.0}
        assert {each.monotonic_s for each in second} == {110.0}
        assert (second[0].at - first[0].at).total_seconds() == 10


@pytest.mark.parametrize(
    ("address", "word", "point", "reason"),
    [
        (40084, 0x8000, "power_kw", "W is not implemented"),
        (40085, 0x8000, "power_kw", "W_SF is not implemented"),
        (40085, 300, "power_kw", "no scale factor"),
        (40085, 6, "power_kw", "outside -10000 to 10000"),
        (40165, 0xFFFF, "limit_kw", "WMaxLimPct is not implemented"),
        (40126, 0x8000, "limit_kw", "WRtg_SF is not implemented"),
    ],
)
async def test_garbage_is_bad_and_touches_nothing_else(build, address, word, point, reason) -> None:
    async with RawModbusServer(pv_image()) as server:
        server.registers[HOLDING, ENA] = 1
        driver = build("sunspec_pv", server.port, writable=False)
        await driver.read()
        server.registers[HOLDING, address] = word
        said = by_name(await driver.read())
        assert said[point].quality is Quality.BAD
        assert said[point].value is None
        assert reason in said[point].reason
        assert [name for name, each in said.items() if each.quality is Quality.BAD] == [point]


async def test_an_energy_register_of_zero_counts_nothing(build) -> None:
    async with RawModbusServer(pv_image()) as server:
        server.registers |= {(HOLDING, 40094): 0, (HOLDING, 40095): 0}
        assert by_name(await build("sunspec_pv", server.port).read())["energy_kwh"].quality is Quality.BAD


async def test_a_scale_factor_may_flip_between_two_reads(build) -> None:
    async with RawModbusServer(pv_image()) as server:
        driver = build("sunspec_pv", server.port)
        assert by_name(await driver.read())["power_kw"].value == pytest.approx(-12.34)
        server.registers |= {(HOLDING, 40084): 12345, (HOLDING, 40085): 0}
        assert by_name(await driver.read())["power_kw"].value == pytest.approx(-12.345)


async def test_a_scale_factor_that_flips_before_a_write_is_noticed(build) -> None:
    async with RawModbusServer(pv_image()) as server:
        driver = build("sunspec_pv", server.port, safe={"limit_kw": 40.0})
        await driver.read()
        server.registers[HOLDING, 40204] = 0xFFFF & -1
        (result,) = await driver.write([setpoint("dev.limit_kw", 40.0)], 60)
        assert result.outcome is Outcome.REFUSED or result.effective == pytest.approx(40.0)


@pytest.mark.parametrize("word", [0, 0x00FF, 0x0200, 0x8000, 0xFFFF])
async def test_an_answer_without_its_witness_is_no_answer(build, word: int) -> None:
    """Where a wallbox tells the version of its map; what was read in another request is believed as before."""
    async with RawModbusServer(wallbox_image()) as server:
        driver = build("amperfied_wallbox", server.port)
        honest = {name: each.value for name, each in by_name(await driver.read()).items()}
        server.registers[4, 4] = word
        said = by_name(await driver.read())
        for name in ("state", "power_kw", "energy_kwh"):
            assert said[name].quality is Quality.BAD
            assert said[name].reason.endswith(f"layout reads {word}, so it is no answer of this device")
        assert said["limit_a"].value == honest["limit_a"]
        server.registers[4, 4] = 0x0108
        assert {name: each.value for name, each in by_name(await driver.read()).items()} == honest


@pytest.mark.parametrize("missing", [103, 120, 704])
async def test_a_device_without_a_needed_model_says_so(build, missing: int) -> None:
    image = pv_image()
    headers = {103: 40070, 120: 40122, 704: 40150}
    image[HOLDING, headers[missing]] = 65000
    async with RawModbusServer(image) as server:
        said = await build("sunspec_pv", server.port).read()
        assert all(each.quality is Quality.BAD and f"lacks SunSpec model {missing}" in each.reason for each in said)


async def test_no_marker_no_guessing(build) -> None:
    async with RawModbusServer({(HOLDING, a): 7 for a in range(10)}) as server:
        said = await build("sunspec_pv", server.port).read()
        assert {each.reason for each in said} == {"no SunSpec marker at 40000, 50000, 0; is the unit id right?"}


async def test_a_chain_that_never_ends_is_left(build) -> None:
    image = {(HOLDING, a): 0 for a in range(40000, 41000)} | {(HOLDING, 40000): 0x5375, (HOLDING, 40001): 0x6E53}
    async with RawModbusServer(image) as server:
        said = await build("sunspec_pv", server.port).read()
        assert "no end" in said[0].reason


async def test_a_model_shorter_than_its_profile_is_refused(build) -> None:
    image = pv_image()
    image[HOLDING, 40151] = 20
    async with RawModbusServer(image | {(HOLDING, 40172): 0xFFFF}) as server:
        assert "too short" in (await build("sunspec_pv", server.port).read())[0].reason


# ---- set-points -----------------------------------------------------------------------------------------------------


async def test_failsafe_is_set_at_connect_and_only_once(build) -> None:
    async with RawModbusServer(pv_image()) as server:
        driver = build("sunspec_pv", server.port, safe={"limit_kw": 35.0})
        await driver.read()
        assert server.writes == [(RVRT, (4375, 1))]
        await driver.read()
        assert len(server.writes) == 1


async def test_a_limit_goes_value_first_enable_last(build) -> None:
    async with RawModbusServer(pv_image()) as server:
        driver = build("sunspec_pv", server.port, safe={"limit_kw": 35.0})
        await driver.read()
        (result,) = await driver.write([setpoint("dev.limit_kw", 20.0)], 60)
        assert (result.outcome, result.effective, result.reason) == (Outcome.APPLIED, pytest.approx(20.0), "")
        assert server.writes[1:] == [(PCT, (2500, 4375, 1, 0, 60)), (ENA, (1,))]
        assert by_name(await driver.read())["limit_kw"].value == pytest.approx(20.0)


async def test_releasing_a_limit_disables_it(build) -> None:
    async with RawModbusServer(pv_image()) as server:
        driver = build("sunspec_pv", server.port)
        await driver.write([setpoint("dev.limit_kw", 20.0)], 60)
        (result,) = await driver.write([setpoint("dev.limit_kw", None)], 60)
        assert (result.outcome, result.effective) == (Outcome.APPLIED, None)
        assert server.writes[-1] == (ENA, (0,))
        assert by_name(await driver.read())["limit_kw"].value == 80


async def test_a_limit_above_the_rating_is_the_rating(build) -> None:
    async with RawModbusServer(pv_image()) as server:
        driver = build("sunspec_pv", server.port)
        (result,) = await driver.write([setpoint("dev.limit_kw", 90.0)], 60)
        assert (result.outcome, result.effective) == (Outcome.APPLIED, 80.0)
        assert driver.points["dev.limit_kw"].upper == 80.0


@pytest.mark.parametrize("kw", [12.0, -12.0, 0.0, 40.0, -40.0])
async def test_a_battery_setpoint_closes_the_window_from_both_sides(build, kw: float) -> None:
    async with RawModbusServer(battery_image()) as server:
        driver = build("sunspec_battery", server.port)
        said = by_name(await driver.read())
        assert (said["power_kw"].value, said["soc_pct"].value) == (pytest.approx(-3.0), pytest.approx(55.5))
        assert said["setpoint_kw"].quality is Quality.UNCERTAIN
        (result,) = await driver.write([setpoint("dev.setpoint_kw", kw)], 45.2)
        assert (result.outcome, result.effective) == (Outcome.APPLIED, pytest.approx(kw))
        charge = round(kw / 40 * 10000)
        assert server.writes == [
            (40134, (0xFFFF & -charge, 0xFFFF & charge)),
            (40137, (46,)),  # a lease is rounded up, never down to 0
            (40127, (3,)),
        ]
        (result,) = await driver.write([setpoint("dev.setpoint_kw", None)], 60)
        assert (result.outcome, result.effective, server.writes[-1]) == (Outcome.APPLIED, None, (40127, (0,)))


async def test_wallbox_arms_its_watchdog_before_the_current_and_only_when_needed(build) -> None:
    async with RawModbusServer(wallbox_image()) as server:
        driver = build("amperfied_wallbox", server.port, safe={"limit_a": 6.0})
        await driver.read()
        assert server.writes == [(262, (60,))]
        expected = [[(257, (60000,)), (261, (160,))], [(261, (0,))], [(261, (60,))]]
        for amperes, writes in zip((16.0, 0.0, 6.0), expected, strict=True):
            (result,) = await driver.write([setpoint("dev.limit_a", amperes)], 60)
            assert (result.outcome, result.effective) == (Outcome.APPLIED, amperes)
            assert server.writes[-len(writes) :] == writes
        await driver.write([setpoint("dev.limit_a", 6.0)], 10)
        assert server.writes[-2:] == [(257, (10000,)), (261, (60,))]
        server.registers[HOLDING, 262] = 160  # somebody else's hand
        await driver.read()
        await driver.write([setpoint("dev.limit_a", 6.0)], 10)
        assert server.writes[-2:] == [(262, (60,)), (261, (60,))]
        (result,) = await driver.write([setpoint("dev.limit_a", None)], 60)
        assert (result.outcome, server.writes[-2:]) == (Outcome.APPLIED, [(261, (320,)), (257, (0,))])


@pytest.mark.parametrize(
    ("profile", "image", "point", "value", "lease_s", "reason"),
    [
        ("amperfied_wallbox", wallbox_image, "limit_a", 3.0, 60, "between 0 and 6"),
        ("amperfied_wallbox", wallbox_image, "limit_a", -1.0, 60, "outside 0 to 32"),
        ("amperfied_wallbox", wallbox_image, "limit_a", 16.0, 66, "does not fit uint16"),
        ("sunspec_pv", pv_image, "limit_kw", -0.1, 60, "outside 0 to 80"),
        ("sunspec_pv", pv_image, "limit_kw", float("nan"), 60, "nan"),
        ("sunspec_pv", pv_image, "limit_kw", 10.0, 0, "lease is over"),
        ("sunspec_battery", battery_image, "setpoint_kw", 40.1, 60, "outside -40 to 40"),
        ("sunspec_battery", battery_image, "setpoint_kw", float("-inf"), 60, "inf"),
        ("sunspec_battery", battery_image, "setpoint_kw", 10.0, 70000, "InOutWRte_RvrtTms"),
        ("sunspec_battery", battery_image, "soc_pct", 50.0, 60, "takes no command"),
        ("sunspec_battery", battery_image, "nonsense", 50.0, 60, "takes no command"),
    ],
)
async def test_what_does_not_fit_is_refused_and_never_sent(
    build, profile, image, point, value, lease_s, reason
) -> None:
    async with RawModbusServer(image()) as server:
        driver = build(profile, server.port)
        await driver.read()
        before = len(server.writes)
        (result,) = await driver.write([setpoint(f"dev.{point}", value)], lease_s)
        assert result.outcome is Outcome.REFUSED
        assert reason in result.reason
        assert len(server.writes) == before


async def test_an_expired_setpoint_is_refused(build, clock) -> None:
    async with RawModbusServer(pv_image()) as server:
        driver = build("sunspec_pv", server.port)
        (result,) = await driver.write([setpoint("dev.limit_kw", 10.0, expires_s=clock.at_s)], 60)
        assert (result.outcome, result.reason) == (Outcome.REFUSED, "its lease is over")
        assert server.requests == []


async def test_a_device_in_monitor_mode_is_never_written(build) -> None:
    async with RawModbusServer(wallbox_image()) as server:
        driver = build("amperfied_wallbox", server.port, writable=False, safe={"limit_a": 6.0})
        await driver.read()
        (result,) = await driver.write([setpoint("dev.limit_a", None)], 60)
        assert (result.outcome, result.reason) == (Outcome.REFUSED, "dev is not in control mode")
        assert server.writes == []


@pytest.mark.parametrize("code", [1, 2, 3, 4, 6, 10])
async def test_a_refusal_is_the_devices_own_word(build, code: int) -> None:
    async with RawModbusServer(battery_image()) as server:
        driver = build("sunspec_battery", server.port)
        await driver.read()
        server.hook = refusing(code, 16)
        (result,) = await driver.write([setpoint("dev.setpoint_kw", 10.0)], 60)
        assert result.outcome is Outcome.REFUSED
        assert f"Modbus exception {code}" in result.reason
        assert len(server.writes) == 1  # neither resent nor continued


@pytest.mark.parametrize("code", [5, 11])
async def test_a_vague_answer_is_unknown_and_read_back(build, code: int) -> None:
    async with RawModbusServer(battery_image()) as server:
        server.registers |= {(HOLDING, 40127): 3, (HOLDING, 40135): 1000}
        driver = build("sunspec_battery", server.port)
        await driver.read()
        server.hook = refusing(code, 16)
        (result,) = await driver.write([setpoint("dev.setpoint_kw", 10.0)], 60)
        assert (result.outcome, result.effective) == (Outcome.UNKNOWN, pytest.approx(4.0))


async def test_a_device_that_acknowledges_and_ignores_is_found_out(build) -> None:
    async def deaf(server: RawModbusServer, unit: int, pdu: bytes) -> bytes:
        return pdu[:5] if pdu[0] == 16 else server.answer(pdu)

    async with RawModbusServer(battery_image()) as server:
        driver = build("sunspec_battery", server.port)
        await driver.read()
        server.hook = deaf
        (result,) = await driver.write([setpoint("dev.setpoint_kw", 10.0)], 60)
        assert result.outcome is Outcome.REFUSED
        assert result.reason == "acknowledged, but the device stays at its own control"


async def test_a_device_that_clamps_is_found_out(build) -> None:
    async def clamping(server: RawModbusServer, unit: int, pdu: bytes) -> bytes:
        answer = server.answer(pdu)
        server.registers[HOLDING, 261] = min(160, server.registers[HOLDING, 261])
        return answer

    async with RawModbusServer(wallbox_image()) as server:
        driver = build("amperfied_wallbox", server.port)
        server.hook = clamping
        (result,) = await driver.write([setpoint("dev.limit_a", 25.0)], 60)
        assert (result.outcome, result.effective) == (Outcome.REFUSED, 16.0)
        assert "stays at 16 A" in result.reason


async def test_a_device_that_takes_no_failsafe_is_not_commanded(build, caplog) -> None:
    async with RawModbusServer(pv_image()) as server:
        server.hook = refusing(3, 16)
        driver = build("sunspec_pv", server.port, safe={"limit_kw": 35.0})
        said = await driver.read()
        assert all(each.quality is Quality.GOOD for each in said)
        (result,) = await driver.write([setpoint("dev.limit_kw", 20.0)], 60)
        assert result.outcome is Outcome.REFUSED
        assert "failsafe value cannot be set" in result.reason
        assert "dev is not commanded" in caplog.text
        server.hook = None
        (result,) = await driver.write([setpoint("dev.limit_kw", 20.0)], 60)
        assert result.outcome is Outcome.APPLIED


async def test_a_device_that_forgets_its_failsafe_is_not_commanded(build) -> None:
    async def forgetful(server: RawModbusServer, unit: int, pdu: bytes) -> bytes:
        return pdu[:5] if pdu[0] == 16 else server.answer(pdu)

    async with RawModbusServer(pv_image()) as server:
        server.hook = forgetful
        driver = build("sunspec_pv", server.port, safe={"limit_kw": 35.0})
        (result,) = await driver.write([setpoint("dev.limit_kw", 20.0)], 60)
        assert (result.outcome, result.reason) == (
            Outcome.REFUSED,
            "limit_kw: the device does not keep its failsafe value",
        )
        assert struct.unpack_from(">H", server.requests[-1], 1) != (PCT,)


async def test_a_reboot_is_met_with_the_failsafe_again(build) -> None:
    async with RawModbusServer(pv_image()) as server:
        driver = build("sunspec_pv", server.port, safe={"limit_kw": 35.0})
        await driver.read()
        server.cut()
        server.registers = pv_image()
        await driver.read()
        await driver.read()
        assert server.writes == [(RVRT, (4375, 1))] * 2
        assert server.registers[HOLDING, ENA_RVRT] == 1
