"""The pretend BACnet world: a building automation system, a router with devices behind it, and noise on the wire."""

from __future__ import annotations

import asyncio
import math
import socket
import struct
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standing_plant import Bench, StandingPlant, free_udp_port

from drivers.driver import Driver
from drivers.points import Outcome
from drivers.registry import DeviceSpec, build_driver
from ems.clock import SimulatedClock, SystemClock
from hil.endpoints.bacnet_device import BacnetDevice, BuildingAutomation
from hil.endpoints.bacnet_links import BindError, DirectLink, Router
from hil.endpoints.bacnet_node import ANALOG_INPUT, Analog, Node
from hil.endpoints.bacnet_wire import Garbled, Npdu, Station, read_npdu, read_tags, real, tagged, unframe

HEAT_PUMP = {"power_kw": 4.5, "temperature_c": 21.5, "outdoor_c": -3.0, "energy_kwh": 1234.5}
NETWORK = 5


def heat_pump(link, instance: int = 3003) -> BacnetDevice:
    return BacnetDevice(StandingPlant({"hp": HEAT_PUMP}), "hp", rated_kw=15.0, link=link, instance=instance)


def driver(port: int, clock: SimulatedClock, profile: str = "heat_pump", **spec) -> Driver:
    return build_driver("dev", DeviceSpec("bacnet", profile, port=port, writable=True, **spec), clock)


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock(SystemClock().now())


# ---- building automation --------------------------------------------------------------------------------------------


async def test_building_automation_publishes_limits_and_takes_none(clock) -> None:
    plant, port = StandingPlant({}, {"hvac_limit_kw": 12.0, "charging_limit_kw": 22.0}), free_udp_port()
    roles = ("hvac_limit_kw", "charging_limit_kw")
    bas = BuildingAutomation(plant, "bas", roles, link=DirectLink("127.0.0.1", port), instance=4001)
    await bas.open()
    bench = Bench(plant, bas, driver(port, clock, "building_automation", device_instance=4001), clock)
    assert await bench.read() == {"hvac_limit_kw": 12.0, "charging_limit_kw": 22.0}
    plant.limits = {"hvac_limit_kw": 6.5}  # the other is not set at present: no number, and surely no zero
    assert await bench.read() == {"hvac_limit_kw": 6.5, "charging_limit_kw": None}
    bas.trouble.garbage = True
    assert await bench.read() == {"hvac_limit_kw": None, "charging_limit_kw": None}
    assert (await bench.order("hvac_limit_kw", 3.0)).outcome is Outcome.REFUSED
    await bench.driver.close()
    bas.shut_down()


# ---- behind a router ------------------------------------------------------------------------------------------------


class Town:
    """A router with two heat pumps behind it."""

    def __init__(self) -> None:
        self.port = free_udp_port()
        self.router = Router("127.0.0.1", self.port)
        self.devices = [heat_pump(self.router.place(NETWORK, mac), 3000 + mac) for mac in (7, 8)]
        self.heard: list[Npdu] = []

    async def ask(self, packet: Npdu, *, broadcast: bool = False, answers: int = 1) -> list[Npdu]:
        """Send a packet, await so many answers, and a moment longer for one too many."""
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
            asker.setblocking(False)
            asker.bind(("127.0.0.1", 0))
            octets = packet.octets()
            head = struct.pack(">BBH", 0x81, 0x0B if broadcast else 0x0A, len(octets) + 4)
            await loop.sock_sendto(asker, head + octets, ("127.0.0.1", self.port))
            found = []
            try:
                while True:
                    async with asyncio.timeout(20.0 if len(found) < answers else 0.1):
                        data, where = await loop.sock_recvfrom(asker, 2048)
                        assert where[1] == self.port
                        found.append(read_npdu(unframe(data)))
            except TimeoutError:
                return found


@pytest.fixture
async def town() -> AsyncIterator[Town]:
    made = Town()
    for device in made.devices:
        await device.open()
    yield made
    made.router.close()


async def test_a_device_behind_the_router_is_a_device(town: Town, clock) -> None:
    made = driver(town.port, clock, device_instance=3007, bacnet_network=NETWORK, bacnet_mac=7)
    bench = Bench(town.devices[0].plant, town.devices[0], made, clock)
    town.devices[1].plant.states["hp"]["power_kw"] = 9.0
    assert await bench.read() == HEAT_PUMP | {"setpoint_kw": 0.0}
    assert (await bench.order("setpoint_kw", 7.5)).outcome is Outcome.APPLIED
    assert (town.devices[0].slots(), town.devices[1].slots()) == ({12: 7.5}, {})
    assert (await bench.order("setpoint_kw", 16.0)).outcome is Outcome.REFUSED
    assert (await bench.order("setpoint_kw", None)).outcome is Outcome.APPLIED
    assert town.devices[0].writes == 3
    await made.close()


async def test_pulling_one_plug_leaves_the_neighbour_on_the_air(town: Town) -> None:
    await town.devices[0].close()
    clock = SystemClock()
    first, second = (
        driver(town.port, clock, bacnet_network=NETWORK, bacnet_mac=mac, timeout_s=patience_s)
        for mac, patience_s in ((7, 0.5), (8, 20.0))
    )
    assert all(each.value is None for each in await first.read())
    assert all(each.value is not None for each in await second.read())
    await town.devices[0].open()
    assert all(each.value is not None for each in await first.read())
    await first.close()
    await second.close()


async def test_the_router_tells_its_networks(town: Town) -> None:
    for payload in (b"\x00", struct.pack(">BH", 0, NETWORK)):
        (told,) = await town.ask(Npdu(payload, is_network_message=True), broadcast=True)
        assert told.is_network_message and told.payload == b"\x01" + struct.pack(">H", NETWORK)
    assert await town.ask(Npdu(struct.pack(">BH", 0, 99), is_network_message=True), answers=0) == []


async def test_the_router_refuses_what_it_does_not_reach(town: Town) -> None:
    (told,) = await town.ask(Npdu(b"\x10\x08", to=Station(99, b"\x01")))
    assert told.is_network_message and told.payload == b"\x03\x01" + struct.pack(">H", 99)


@pytest.mark.parametrize("to", [Station(NETWORK), Station(0xFFFF)])
async def test_who_is_reaches_all_behind_the_router(town: Town, to: Station) -> None:
    told = await town.ask(Npdu(b"\x10\x08", to=to), broadcast=True, answers=2)
    assert [each.came_from for each in told] == [Station(NETWORK, b"\x07"), Station(NETWORK, b"\x08")]
    assert [int.from_bytes(each.payload[3:7], "big") & 0x3FFFFF for each in told] == [3007, 3008]
    (one,) = await town.ask(Npdu(b"\x10\x08\x0a\x0b\xc0\x1a\x0b\xc0", to=to), broadcast=True)  # 3008 to 3008
    assert one.came_from == Station(NETWORK, b"\x08")


async def test_a_packet_that_has_come_too_far_ends_here(town: Town) -> None:
    assert await town.ask(Npdu(b"\x10\x08", to=Station(NETWORK), hops=1), answers=0) == []


def test_a_place_on_a_far_network_is_taken_once() -> None:
    router = Router("127.0.0.1", 1)
    heat_pump(router.place(NETWORK, 7))
    with pytest.raises(BindError, match="network 5 address 7 is taken: give the device another bacnet_mac"):
        router.place(NETWORK, 7)
    with pytest.raises(BindError):
        router.place(1, 7)  # the network on this side


async def test_an_address_is_free_at_once() -> None:
    port = free_udp_port()
    for _ in range(3):
        device = heat_pump(DirectLink("127.0.0.1", port))
        await device.open()
        device.shut_down()


async def test_a_late_answer_comes_late() -> None:
    port, clock = free_udp_port(), SystemClock()
    device = heat_pump(DirectLink("127.0.0.1", port))
    await device.open()
    device.trouble.delay_s = 0.15
    impatient, patient = driver(port, clock, timeout_s=0.05), driver(port, clock, timeout_s=20.0)
    assert all(each.value is None for each in await impatient.read())
    assert all(each.value is not None for each in await patient.read())
    await impatient.close()
    await patient.close()
    device.shut_down()


# ---- the node itself ------------------------------------------------------------------------------------------------

NODE = Node(4001, "bas", {(ANALOG_INPUT, 1): Analog("one", 48, 4.5)}, lambda: None)


@given(st.binary(min_size=1, max_size=60))
def test_noise_never_brings_a_device_down(noise: bytes) -> None:
    for apdu in (noise, b"\x00\x05\x07\x0c" + noise, b"\x00\x05\x07\x0e" + noise, b"\x00\x05\x07\x0f" + noise):
        answer = NODE.hear(Npdu(apdu))
        if apdu[0] >> 4 == 0 and len(apdu) > 3:
            assert answer is not None and answer.payload[1] == apdu[2]
            assert answer.payload[0] >> 4 in (2, 3, 5, 6, 7)


@given(st.binary(max_size=60))
def test_noise_is_no_frame(noise: bytes) -> None:
    for read in (unframe, read_npdu, lambda octets: list(read_tags(octets))):
        try:
            read(noise)
        except Garbled:
            continue


@given(st.integers(0, 14), st.binary(max_size=300), st.booleans())
def test_tags_come_back(number: int, content: bytes, is_context: bool) -> None:
    if number == 1 and not is_context:
        return  # a truth value carries no content
    (tag,) = read_tags(tagged(number, content, is_context=is_context))
    assert (tag.number, tag.content, tag.is_context) == (number, content, is_context)


@given(st.floats())
def test_every_number_has_a_real(value: float) -> None:
    (tag,) = read_tags(real(value))
    back = struct.unpack(">f", tag.content)[0]
    assert math.isnan(value) is math.isnan(back)


def test_all_properties_are_told_and_too_much_for_the_asker_is_not() -> None:
    everything = b"\x0c\x02\x00\x0f\xa1\x1e\x09\x08\x1f"  # device 4001, all
    answer = NODE.hear(Npdu(b"\x00\x05\x07\x0e" + everything))
    assert answer is not None and answer.payload[:3] == b"\x30\x07\x0e" and b"Pretend controller" in answer.payload
    answer = NODE.hear(Npdu(b"\x00\x00\x07\x0e" + everything))  # an asker with room for 50 octets
    assert answer is not None and answer.payload == b"\x71\x07\x04"


def test_a_service_that_it_does_not_know_is_rejected() -> None:
    answer = NODE.hear(Npdu(b"\x00\x05\x07\x05"))
    assert answer is not None and answer.payload == b"\x60\x07\x09"
