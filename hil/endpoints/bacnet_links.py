"""Where a small BACnet device is plugged in: at a UDP socket of its own, or on a network behind a router.

The router stands between BACnet/IP and networks of single octets (as MS/TP is one). It takes the destination network
off a packet and puts the source network on, and it answers Who-Is-Router-To-Network; for a network that it does not
know it sends Reject-Message-To-Network. Source: ANSI/ASHRAE 135, clause 6 (network layer) and annex J.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Protocol

from hil.endpoints.bacnet_node import Node
from hil.endpoints.bacnet_wire import EVERYWHERE, Garbled, Npdu, Station, frame, read_npdu, unframe
from hil.endpoints.modbus_server import Trouble

WHO_IS_ROUTER, I_AM_ROUTER, REJECT_MESSAGE = 0, 1, 3
NO_ROUTE = 1


class BindError(OSError):
    """The device's address cannot be had: something else holds it."""


@dataclass(slots=True)
class Plug:
    """A device at its place on the network.

    Args:
        node: the device. trouble: what is wrong with its wire.
        is_in: whether it is plugged in; pulled out it is silent.
    """

    node: Node
    trouble: Trouble = field(default_factory=Trouble)
    is_in: bool = False

    def hear(self, packet: Npdu, send: Callable[[Npdu], None]) -> None:
        """Let the device answer, now or late."""
        answer = self.node.hear(packet) if self.is_in else None
        if answer is None:
            return
        if self.trouble.delay_s > 0.0:
            asyncio.get_running_loop().call_later(self.trouble.delay_s, send, answer)
        else:
            send(answer)


class BacnetLink(Protocol):
    """Something that a device can be plugged into."""

    def attach(self, plug: Plug) -> None:
        """Give a device its place."""

    async def open(self) -> None:
        """Be on the air; raises `BindError`. Does nothing when it already is."""

    def close(self) -> None:
        """Give the address back."""


class _Udp:
    """One bound UDP socket that hears BACnet/IP packets; without asyncio's transport it is free at once when closed."""

    def __init__(self, hear: Callable[[Npdu, tuple[str, int]], None]) -> None:
        self._hear = hear
        self._socket: socket.socket | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def bind(self, host: str, port: int) -> None:
        """Be on the air; raises `BindError`. Does nothing when it already is."""
        if self._socket is not None:
            return
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.setblocking(False)
        try:
            made.bind((host, port))
        except OSError as error:
            made.close()
            raise BindError(f"{host}:{port} (UDP) is taken ({error.strerror}): give the device another port") from error
        self._socket, self._loop = made, asyncio.get_running_loop()
        self._loop.add_reader(made, self._readable, made)

    def send(self, packet: Npdu, addr: tuple[str, int]) -> None:
        """Send a packet; a datagram that the machine does not take is lost, as on any network."""
        if self._socket is not None:
            with suppress(OSError):
                self._socket.sendto(frame(packet.octets()), addr)

    def close(self) -> None:
        """Give the address back."""
        if self._socket is not None and self._loop is not None:
            self._loop.remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    def _readable(self, source: socket.socket) -> None:
        try:
            data, addr = source.recvfrom(2048)
            packet = read_npdu(unframe(data))
        except (OSError, Garbled):
            return
        self._hear(packet, addr)


class DirectLink:
    """A socket for one device.

    Args:
        host: address. port: UDP port.
    """

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self._udp = _Udp(self._heard)
        self._plug: Plug | None = None

    def attach(self, plug: Plug) -> None:
        """Give the device its socket."""
        self._plug = plug

    async def open(self) -> None:
        """Bind; raises `BindError`."""
        self._udp.bind(*self._address)

    def close(self) -> None:
        """Give the address back."""
        self._udp.close()

    def _heard(self, packet: Npdu, addr: tuple[str, int]) -> None:
        if self._plug is not None and packet.to in (None, Station(EVERYWHERE)):
            self._plug.hear(packet, lambda answer: self._udp.send(answer, addr))


class Router:
    """A BACnet/IP router and the devices on the networks behind it.

    Args:
        host: address. port: UDP port.
        near: the number of the network on BACnet/IP, as the far side sees it.
    """

    def __init__(self, host: str, port: int, near: int = 1) -> None:
        self._address, self._near = (host, port), near
        self._udp = _Udp(self._heard)
        self._far: dict[int, dict[int, Plug]] = {}

    def place(self, network: int, mac: int) -> FarLink:
        """Give a place on a far network; raises `BindError` for one that is taken."""
        if network == self._near or mac in self._far.setdefault(network, {}):
            raise BindError(f"network {network} address {mac} is taken: give the device another bacnet_mac")
        return FarLink(self, network, mac)

    def attach(self, network: int, mac: int, plug: Plug) -> None:
        """Put a device at its place."""
        self._far[network][mac] = plug

    async def open(self) -> None:
        """Bind; raises `BindError`."""
        self._udp.bind(*self._address)

    def close(self) -> None:
        """Give the address back."""
        self._udp.close()

    def _heard(self, packet: Npdu, addr: tuple[str, int]) -> None:
        """Take a packet from the BACnet/IP side."""
        if packet.is_network_message:
            self._network_message(packet, addr)
        elif packet.to is not None and packet.to.network in (*self._far, EVERYWHERE):
            asker = packet.came_from or Station(self._near, _mac(addr))
            self._pass_on(packet, asker, addr)
        elif packet.to is not None:
            no = struct.pack(">BBH", REJECT_MESSAGE, NO_ROUTE, packet.to.network)
            self._udp.send(Npdu(no, to=packet.came_from, is_network_message=True), addr)

    def _pass_on(self, packet: Npdu, asker: Station, addr: tuple[str, int]) -> None:
        assert packet.to is not None
        if packet.hops <= 1:
            return
        beyond = replace(packet, to=None, came_from=asker)
        for network, plugs in self._far.items():
            if packet.to.network not in (network, EVERYWHERE):
                continue
            for mac, plug in plugs.items():
                if packet.to.address in (b"", bytes((mac,))):
                    plug.hear(beyond, self._way_back(Station(network, bytes((mac,))), addr))

    def _way_back(self, answerer: Station, addr: tuple[str, int]) -> Callable[[Npdu], None]:
        """Give what carries an answer to the asker: out of its destination network, with its source on."""

        def send(answer: Npdu) -> None:
            goes_on = answer.to if answer.to is not None and answer.to.network != self._near else None
            self._udp.send(replace(answer, to=goes_on, came_from=answerer), addr)

        return send

    def _network_message(self, packet: Npdu, addr: tuple[str, int]) -> None:
        """Answer Who-Is-Router-To-Network for the networks that are reached here."""
        if packet.payload[:1] != bytes((WHO_IS_ROUTER,)):
            return
        asked = struct.unpack_from(">H", packet.payload, 1)[0] if len(packet.payload) >= 3 else None
        reached = [network for network in self._far if asked in (None, network)]
        if reached:
            payload = bytes((I_AM_ROUTER,)) + struct.pack(f">{len(reached)}H", *reached)
            self._udp.send(Npdu(payload, is_network_message=True), addr)


@dataclass(frozen=True, slots=True)
class FarLink:
    """A place on a network behind a router."""

    router: Router
    network: int
    mac: int

    def attach(self, plug: Plug) -> None:
        """Give the device its place."""
        self.router.attach(self.network, self.mac, plug)

    async def open(self) -> None:
        """Have the router on the air; raises `BindError`."""
        await self.router.open()

    def close(self) -> None:
        """Take the router off the air, and with it all that is behind it."""
        self.router.close()


def _mac(addr: tuple[str, int]) -> bytes:
    """Give the six octets of a BACnet/IP address."""
    return socket.inet_aton(addr[0]) + struct.pack(">H", addr[1])
