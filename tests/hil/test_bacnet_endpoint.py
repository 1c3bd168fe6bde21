"""The air handler on BACnet/IP, asked by bacpypes3's client."""

from __future__ import annotations

import math
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
from bacpypes3.apdu import AbortPDU, ErrorRejectAbortNack
from bacpypes3.app import Application
from bacpypes3.local.device import DeviceObject
from bacpypes3.local.networkport import NetworkPortObject
from bacpypes3.pdu import Address
from bacpypes3.primitivedata import Null, Real

from hil.endpoints.bacnet_device import BacnetDevice, BindError
from hil.endpoints.bacnet_links import DirectLink
from hil.faults import FaultKind
from hil.relocate import free_port
from hil.world import World


class Asker:
    """A client of one device."""

    def __init__(self, app: Any, address: str) -> None:
        self.app, self.address = app, Address(address)

    async def read(self, what: str, name: str = "present-value", index: int | None = None) -> Any:
        return await self.app.read_property(self.address, what, name, index)

    async def write(self, value: Any, priority: int | None = 12, what: str = "analog-value,1") -> str:
        """Write a present value; gives the error's code, or nothing."""
        try:
            await self.app.write_property(self.address, what, "present-value", value, priority=priority)
        except ErrorRejectAbortNack as error:
            return str(error)
        return ""


@pytest.fixture
def device(world: World) -> BacnetDevice:
    found = world.registers["air_handler"]
    assert isinstance(found, BacnetDevice)
    return found


@pytest.fixture
async def asker(world: World) -> AsyncIterator[Asker]:
    own = DeviceObject(objectIdentifier=("device", 1), objectName="asker", vendorIdentifier=999,
                       apduTimeout=20_000, numberOfApduRetries=0)  # fmt: skip
    port = NetworkPortObject(
        f"127.0.0.1:{free_port(socket.SOCK_DGRAM)}", objectIdentifier=("network-port", 1), objectName="port"
    )
    app = Application.from_object_list([own, port])
    for link in app.link_layers.values():
        await link.server._local_transport_ready.wait()
    spec = world.site.file.devices["air_handler"]
    yield Asker(app, f"{spec.host}:{spec.port}")
    app.close()


async def test_inputs_are_as_of_now(world: World, asker: Asker) -> None:
    world.advance(60.0)
    first = await asker.read("analog-input,3")
    assert first == pytest.approx(world.plant.state("heat_pump")["outdoor_c"], abs=1e-4)
    assert await asker.read("analog-input,2") == pytest.approx(
        world.plant.state("heat_pump")["temperature_c"], abs=1e-4
    )
    world.advance(1800.0)
    assert await asker.read("analog-input,3") != first


async def test_the_priority_array_decides(world: World, asker: Asker, device: BacnetDevice) -> None:
    assert await asker.write(Real(5.0), 12) == ""
    assert await asker.write(Real(9.0), 8) == ""
    assert device.slots() == {8: 9.0, 12: 5.0}
    assert await asker.read("analog-value,1") == 9.0
    world.advance(40.0)
    assert world.plant.state("heat_pump")["power_kw"] == pytest.approx(9.0, abs=0.1)
    await asker.write(Null(()), 8)
    assert await asker.read("analog-value,1") == 5.0
    await asker.write(Null(()), 12)
    assert device.slots() == {}
    world.advance(40.0)
    assert world.plant.state("heat_pump")["power_kw"] == pytest.approx(0.0, abs=0.1)  # the thermostat is content


async def test_a_slot_holds_for_ever(world: World, asker: Asker) -> None:
    await asker.write(Real(4.0), 12)
    world.advance(1200.0)
    assert world.plant.state("heat_pump")["power_kw"] == pytest.approx(4.0, abs=0.1)


@pytest.mark.parametrize(
    ("value", "priority", "what", "code"),
    [
        (math.nan, 12, "analog-value,1", "value-out-of-range"),
        (math.inf, 12, "analog-value,1", "value-out-of-range"),
        (-1.0, 12, "analog-value,1", "value-out-of-range"),
        (99.0, 12, "analog-value,1", "value-out-of-range"),
        (5.0, 6, "analog-value,1", "write-access-denied"),
        (5.0, 12, "analog-input,1", "write-access-denied"),
    ],
)
async def test_what_a_device_refuses(
    asker: Asker, device: BacnetDevice, value: float, priority: int, what: str, code: str
) -> None:
    assert code in await asker.write(Real(value), priority, what)
    assert device.slots() == {}


async def test_without_a_priority_it_takes_the_lowest(asker: Asker, device: BacnetDevice) -> None:
    await asker.write(Real(3.0), None)
    assert device.slots() == {16: 3.0}


async def test_unplugged_it_is_silent_and_keeps_its_slots(world: World, asker: Asker, device: BacnetDevice) -> None:
    await asker.write(Real(3.0), 12)
    await world.inject("air_handler", FaultKind.UNPLUG, 30.0)
    asker.app.device_object.apduTimeout = 200
    with pytest.raises(AbortPDU):
        await asker.read("analog-input,1")
    asker.app.device_object.apduTimeout = 20_000
    world.advance(30.0)
    await world.settle()
    assert await asker.read("analog-value,1") == 3.0
    assert device.slots() == {12: 3.0}


async def test_troubles(world: World, asker: Asker, device: BacnetDevice) -> None:
    device.trouble.refuse = True
    assert "write-access-denied" in await asker.write(Real(3.0), 12)
    device.trouble.garbage = True
    world.advance(10.0)
    assert math.isnan(await asker.read("analog-input,2"))


async def test_a_taken_port_is_noticed(world: World) -> None:
    spec = world.site.file.devices["air_handler"]
    link = DirectLink(spec.host, spec.port)
    other = BacnetDevice(world.plant, "heat_pump", rated_kw=15.0, link=link, instance=77)
    with pytest.raises(BindError, match=r"is taken .*give the device another port"):
        await other.open()
