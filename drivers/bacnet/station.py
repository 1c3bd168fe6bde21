"""This process on the BACnet network: one socket for all devices, single requests with a deadline.

Law 1: a late answer finds no reader: it counts for the one request whose sender, route and invoke id it carries.
Law 2: nothing is sent twice. What became of an unanswered write is found out by reading.
Law 3: what is read here is read here; a device that needs more (answers in several pieces, constructed values) is read
       through bacpypes3, and remembered.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakKeyDictionary

from drivers.bacnet import apdu
from drivers.bacnet.apdu import Malformed, ObjectId, Route, Unusual, Wanted
from drivers.bacnet.denials import Denial, Silence
from drivers.driver import DriverClock

if TYPE_CHECKING:
    from drivers.bacnet.stack import Stack, StackPeer

_LOG = logging.getLogger(__name__)
PATIENCE_S = 10.0
"""Our own timeout [s]: far above every device's, because deadlines are kept on the injected clock, which may stand."""
LONGEST_DATAGRAM = 2048

Where = tuple[str, int]


class Peer:
    """A device's address, how long to wait for it, and what was learnt of it.

    Args:
        host: address or name, of the device or of the router before it. port: UDP port.
        clock: for deadlines. timeout_s: longest wait for one answer [s].
        route: network and station address behind the router; None for a device that is reached directly.
    """

    def __init__(self, host: str, port: int, clock: DriverClock, timeout_s: float, route: Route | None = None) -> None:
        self.host, self.port, self.route = host, port, route
        self.clock = clock
        self.timeout_s = timeout_s
        self.where: Where | None = None
        self.is_beyond_us = False
        """Whether it is read through the stack."""
        self.stack_peer: StackPeer | None = None

    @property
    def name(self) -> str:
        """Its address as an operator writes it."""
        station = f"{self.host}:{self.port}"
        return (
            station if self.route is None else f"{self.route[0]}:{int.from_bytes(self.route[1], 'big')} via {station}"
        )


class Datagrams(Protocol):
    """Sends and receives datagrams."""

    def listen(self, hear: Callable[[bytes, Where], None]) -> None:
        """Tell of every datagram that comes."""

    def send(self, datagram: bytes, where: Where) -> None:
        """Send one; raises `OSError`."""

    def close(self) -> None:
        """Send and receive no more."""


class Udp:
    """Datagrams of a socket of this process, on the running loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)

    def listen(self, hear: Callable[[bytes, Where], None]) -> None:
        """Tell of every datagram that comes."""
        self._loop.add_reader(self._socket, self._readable, hear)

    def send(self, datagram: bytes, where: Where) -> None:
        """Send one; raises `OSError`."""
        self._socket.sendto(datagram, where)

    def close(self) -> None:
        """Close the socket."""
        self._loop.remove_reader(self._socket)
        self._socket.close()

    def _readable(self, hear: Callable[[bytes, Where], None]) -> None:
        with suppress(OSError):
            hear(*self._socket.recvfrom(LONGEST_DATAGRAM))


class Station:
    """Our end of the network. Get it from `share`, inside a running loop.

    Args:
        datagrams: what carries requests and answers; None for a socket of its own.
    """

    def __init__(self, datagrams: Datagrams | None = None) -> None:
        self.users = 0
        self._loop = asyncio.get_running_loop()
        self._datagrams: Datagrams = datagrams or Udp()
        self._datagrams.listen(self._hear)
        self._waiting: dict[tuple[Where, Route | None, int], asyncio.Future[bytes]] = {}
        self._last_id = 0
        self._stack: Stack | None = None

    async def read_many(self, peer: Peer, wanted: Wanted) -> dict[tuple[ObjectId, int], Any]:
        """Read properties of several objects in one request; a property that failed comes as a `Denial`."""
        if not peer.is_beyond_us:
            try:
                body = await self._ask(peer, apdu.READ_MANY, lambda number: apdu.read_many(number, wanted))
                return apdu.property_values(body)
            except (Unusual, Denial) as beyond:
                _leave_to_the_stack(peer, beyond)
            except Malformed as error:
                raise Silence(f"its answer cannot be read: {error}") from error
        stack, stack_peer = await self._through_stack(peer)
        return await stack.read_many(stack_peer, wanted)

    async def read_one(self, peer: Peer, object_id: ObjectId, name: int, index: int | None = None) -> Any:
        """Read one property, or one element of an array."""
        try:
            body = await self._ask(peer, apdu.READ, lambda number: apdu.read_property(number, object_id, name, index))
            return apdu.property_value(body, object_id, name, index)
        except (Unusual, Denial) as beyond:
            _leave_to_the_stack(peer, beyond)
        except Malformed as error:
            raise Silence(f"its answer cannot be read: {error}") from error
        stack, stack_peer = await self._through_stack(peer)
        return await stack.read_one(stack_peer, object_id, name, index)

    async def read_slot(self, peer: Peer, object_id: ObjectId, priority: int) -> float | None:
        """Read what one slot of a priority array holds; None if it is free."""
        return _held(await self.read_one(peer, object_id, apdu.PRIORITY_ARRAY, priority))

    async def read_slots(self, peer: Peer, object_id: ObjectId) -> list[float | None]:
        """Read what the slots of a priority array hold."""
        said = await self.read_one(peer, object_id, apdu.PRIORITY_ARRAY)
        return [_held(slot) for slot in said] if isinstance(said, list) else []

    async def write(self, peer: Peer, object_id: ObjectId, value: float | None, priority: int) -> None:
        """Write a present value, or None to give it back, into one slot."""
        try:
            await self._ask(
                peer,
                apdu.WRITE,
                lambda number: apdu.write_property(number, object_id, apdu.PRESENT_VALUE, value, priority),
            )
        except (Unusual, Malformed) as error:
            raise Silence(f"its answer cannot be read: {error}") from error

    def close(self) -> None:
        """Close the sockets."""
        self._datagrams.close()
        if self._stack is not None:
            self._stack.close()

    # ---- one request ------------------------------------------------------------------------------------------------

    async def _ask(self, peer: Peer, service: int, request: Callable[[int], bytes]) -> bytes:
        """Send a request and give what its acknowledgement says; raises `Silence`, or what `acknowledged` raises."""
        where = peer.where or await self._resolved(peer)
        number = self._free_id(where, peer.route)
        key = (where, peer.route, number)
        answer: asyncio.Future[bytes] = self._loop.create_future()
        self._waiting[key] = answer
        patience = self._loop.call_later(PATIENCE_S, _give_up, answer)
        try:
            self._datagrams.send(apdu.framed(request(number), peer.route), where)
            said = await peer.clock.wait_for(answer, peer.timeout_s)
        except TimeoutError:
            raise Silence(f"no answer within {peer.timeout_s:g} s") from None
        except OSError as error:
            raise Silence(f"{peer.name} cannot be reached: {error.strerror or error}") from error
        finally:
            patience.cancel()
            del self._waiting[key]
        return apdu.acknowledged(said, service)

    async def _resolved(self, peer: Peer) -> Where:
        """Find the address behind a name."""
        try:
            found = await self._loop.getaddrinfo(peer.host, peer.port, family=socket.AF_INET, type=socket.SOCK_DGRAM)
        except OSError as error:
            raise Silence(f"{peer.host} is no address: {error.strerror or error}") from error
        host, port = found[0][4][:2]
        peer.where = (str(host), int(port))
        return peer.where

    def _free_id(self, where: Where, route: Route | None) -> int:
        """Give an invoke id on which nobody waits; one that was used last comes again last."""
        for _ in range(256):
            self._last_id = (self._last_id + 1) % 256
            if (where, route, self._last_id) not in self._waiting:
                return self._last_id
        raise Silence("too many requests are under way")

    def _hear(self, datagram: bytes, where: Where) -> None:
        try:
            packet = apdu.unframed(datagram)
        except Malformed:
            return
        if packet.unreachable is not None:
            self._refused_by_router(where, packet.unreachable)
            return
        number = apdu.invoke_id_of(packet.apdu)
        answer = None if number is None else self._waiting.get((where, packet.source, number))
        if answer is not None and not answer.done():
            answer.set_result(packet.apdu)

    def _refused_by_router(self, where: Where, network: int) -> None:
        for (asked, route, _), answer in self._waiting.items():
            if asked == where and route is not None and route[0] == network and not answer.done():
                answer.set_exception(Silence(f"the router does not reach network {network}"))

    async def _through_stack(self, peer: Peer) -> tuple[Stack, StackPeer]:
        """Have bacpypes3 at hand, and the peer's address in its words."""
        from drivers.bacnet.stack import Stack, StackPeer  # noqa: PLC0415 -- it takes its time, and few devices need it

        if self._stack is None:
            self._stack = Stack()
        if peer.stack_peer is None:
            peer.stack_peer = StackPeer(
                peer.where or await self._resolved(peer), peer.route, peer.clock, peer.timeout_s
            )
        return self._stack, peer.stack_peer


def _leave_to_the_stack(peer: Peer, beyond: Unusual | Denial) -> None:
    """Remember a device whose answers are more than we read; any other no is raised again."""
    if isinstance(beyond, Denial) and not beyond.wants_pieces:
        raise beyond
    if not peer.is_beyond_us:
        _LOG.info("%s is read through bacpypes3 from now on: %s", peer.name, beyond)
        peer.is_beyond_us = True


def _give_up(answer: asyncio.Future[bytes]) -> None:
    if not answer.done():
        answer.set_exception(Silence("no answer"))


def _held(slot: Any) -> float | None:
    """Read one slot of a priority array: None is free, and what is no number is none."""
    return None if slot is None else float(slot) if isinstance(slot, int | float) else float("nan")


_STATIONS: WeakKeyDictionary[asyncio.AbstractEventLoop, Station] = WeakKeyDictionary()


def share() -> Station:
    """Give the one station of this process's event loop; pair with `release`."""
    loop = asyncio.get_running_loop()
    station = _STATIONS.get(loop) or _STATIONS.setdefault(loop, Station())
    station.users += 1
    return station


async def release(station: Station, clock: DriverClock) -> None:
    """Give the station back; the last user closes it."""
    station.users -= 1
    if station.users == 0:
        _STATIONS.pop(asyncio.get_running_loop(), None)
        station.close()
        await clock.sleep(0)
