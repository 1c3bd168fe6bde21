"""Wires without sockets: what a driver sends goes to the pretend device by a call, late, spoilt or not at all.

The drivers are the real ones; only the client below the Modbus link and the datagrams below the BACnet station are
these. A wire lives as long as the process at its near end: once that is dead, nothing passes.
"""

from __future__ import annotations

import asyncio
import math
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from types import SimpleNamespace
from typing import Any, NoReturn, cast

from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ConnectionException

from drivers.bacnet.denials import Silence
from drivers.bacnet.station import Peer, Station
from hil.endpoints.bacnet_device import OnBacnet
from hil.endpoints.bacnet_wire import Garbled, Npdu, frame, read_npdu, unframe
from hil.endpoints.modbus_server import ModbusServer, Registers
from hil.simulation.faults import Fault, Kind

LATENCY_S = (0.002, 0.05)
RESEND_S = 0.2
"""A stream sends again what was lost, first after so long, each time after twice as long [s]."""
HOLDING, INPUT, WRITE_MANY = 3, 4, 16
BACNET_WRITE = 15
NAN_WORDS = (0x7FC0, 0x0000)

Hear = Callable[[bytes, tuple[str, int]], None]


@dataclass(slots=True)
class Wire:
    """One device's wire.

    Args:
        device: its id. server: answers Modbus requests; None for a BACnet device. registers: the pretend device.
        rng: of latencies and garbage.
        catch_up: lets the world live until now.
    """

    device: str
    server: ModbusServer | None
    registers: Any
    rng: Random
    catch_up: Callable[[], None]
    written_s: float = -math.inf
    """When a write last arrived [s since the start of the world]."""
    on_call: Callable[[float], None] = lambda _at_s: None
    """Told when a connection is tried, or a datagram sent [s of the loop]."""
    fault: Fault | None = None
    frozen: dict[bytes, bytes] = field(default_factory=dict)

    def begin(self, fault: Fault) -> None:
        """Let a fault begin."""
        self.fault = fault
        self.frozen.clear()
        if fault.kind is Kind.REFUSE:
            self._trouble.refuse = True

    def end(self) -> None:
        """Let it be over."""
        self.fault = None
        self._trouble.refuse = False

    @property
    def _trouble(self) -> Any:
        return self.server.trouble if self.server is not None else self.registers.trouble

    def is_silent(self) -> bool:
        """Tell whether nothing passes; datagrams know of no reset."""
        return self.has(Kind.DROP_OUT) or (self.server is None and self.has(Kind.RESET))

    def delay_s(self) -> float:
        """Draw how long an answer takes [s]."""
        usual_s = self.rng.uniform(*LATENCY_S)
        return usual_s + self.fault.size if self.fault is not None and self.fault.kind is Kind.SLOW else usual_s

    def resent_s(self) -> float:
        """Draw how long a stream takes to bring a request and its answer through in spite of what is lost [s]."""
        seconds, pause_s = 0.0, RESEND_S
        while self.loses() or self.loses():
            seconds, pause_s = seconds + pause_s, 2.0 * pause_s
        return seconds

    def loses(self) -> bool:
        """Draw whether a packet is lost."""
        return self.fault is not None and self.fault.kind is Kind.LOSSY and self.rng.random() < self.fault.size

    def has(self, kind: Kind) -> bool:
        """Tell whether a fault is on."""
        return self.fault is not None and self.fault.kind is kind

    def modbus(self, unit: int, request: bytes) -> bytes:
        """Answer a Modbus request as the wire lets it come."""
        assert self.server is not None
        self.catch_up()
        is_write = request[0] == WRITE_MANY
        if is_write and self.has(Kind.IGNORE):
            return request[:5]
        answer = self.server.answer(unit, request)
        if is_write or answer[0] & 0x80:
            self.written_s = self.written_s if answer[0] & 0x80 else self.registers.plant.elapsed_s
            return answer
        if self.has(Kind.GARBAGE):
            return answer[:2] + self._garbage(answer[2:])
        return self.frozen.setdefault(request, answer) if self.has(Kind.FREEZE) else answer

    def bacnet(self, packet: Npdu) -> Npdu | None:
        """Answer a BACnet packet as the wire lets it come."""
        self.catch_up()
        request = packet.payload
        is_write = len(request) > 3 and request[3] == BACNET_WRITE
        if is_write and self.has(Kind.IGNORE):
            return Npdu(bytes((0x20, request[2], request[3])), to=packet.came_from)
        heard: list[Npdu] = []
        self.registers.plug.hear(packet, heard.append)
        if not heard or is_write:
            return heard[0] if heard else None
        answer = heard[0].payload
        if self.has(Kind.GARBAGE) and len(answer) > 12:
            answer = answer[:12] + bytes(self.rng.randrange(256) for _ in answer[12:])
        elif self.has(Kind.FREEZE):
            kept = self.frozen.setdefault(request[:2] + request[3:], answer)
            answer = kept[:1] + answer[1:2] + kept[2:]
        return Npdu(answer, to=packet.came_from)

    def _garbage(self, data: bytes) -> bytes:
        """Spoil registers by the pattern that was drawn: 7 swaps words, 8 is a scale factor gone wrong."""
        count = len(data) // 2
        assert self.fault is not None
        match int(self.fault.size):
            case 1:
                words = [0x8000] * count
            case 2:
                words = [0xFFFF] * count
            case 3:
                words = [NAN_WORDS[i % 2] for i in range(count)]
            case 4:
                words = [0] * count
            case 5:
                words = [self.rng.randrange(0x10000) for _ in range(count)]
            case 7:
                told = struct.unpack(f">{count}H", data)
                words = [told[min(i ^ 1, count - 1)] for i in range(count)]
            case 8:
                words = [word * 10 % 0x10000 for word in struct.unpack(f">{count}H", data)]
            case _:
                words = list(struct.unpack(f">{count}H", data))
                words[self.rng.randrange(count)] ^= 1 << self.rng.randrange(16)
        return struct.pack(f">{count}H", *words)


@dataclass(slots=True)
class Net:
    """All wires of a site, seen from one process.

    Args:
        modbus: by host and port.
        bacnet: likewise.
        alive: whether the process lives.
    """

    modbus: Mapping[tuple[str, int], Wire]
    bacnet: Mapping[tuple[str, int], Wire]
    alive: bool = True

    def dial(self, host: str, port: int, on_connection: Callable[[bool], None]) -> AsyncModbusTcpClient:  # noqa: ARG002
        """Make a client of the link's kind."""
        return cast(AsyncModbusTcpClient, MemoryClient(self, self.modbus[host, port]))

    async def reach(self, wire: Wire) -> None:
        """Bring a request to the far end; never comes back where nothing passes."""
        await self._pass(wire)
        await _later(wire.delay_s() + wire.resent_s())
        await self._pass(wire)

    async def _pass(self, wire: Wire) -> None:
        """Never come back where nothing passes; raises `ConnectionException` where the far end resets."""
        if not self.alive or wire.is_silent():
            await asyncio.get_running_loop().create_future()
        if wire.has(Kind.RESET):
            raise ConnectionException("the peer closed the connection")


async def _later(seconds: float) -> None:
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    handle = loop.call_later(seconds, lambda: None if done.done() else done.set_result(None))
    try:
        await done
    finally:
        handle.cancel()


@dataclass(frozen=True, slots=True)
class Reply:
    """What a client makes of an answer."""

    registers: tuple[int, ...] = ()
    address: int = 0
    count: int = 0
    exception_code: int = 0

    def isError(self) -> bool:
        """Whether the device said no."""
        return self.exception_code != 0


class MemoryClient:
    """A Modbus client without a socket, as far as a link needs one."""

    def __init__(self, net: Net, wire: Wire) -> None:
        self._net, self._wire = net, wire
        self.ctx = SimpleNamespace(transport=None, response_future=None)

    async def connect(self) -> bool:
        """Be connected, unless nothing passes or it is refused."""
        self._wire.on_call(asyncio.get_running_loop().time())
        try:
            await self._net.reach(self._wire)
        except ConnectionException:
            return False
        await self._come_back()
        return True

    async def read_holding_registers(self, address: int, *, count: int, device_id: int) -> Reply:
        """Read holding registers."""
        return await self._read(HOLDING, address, count, device_id)

    async def read_input_registers(self, address: int, *, count: int, device_id: int) -> Reply:
        """Read input registers."""
        return await self._read(INPUT, address, count, device_id)

    async def write_registers(self, address: int, values: list[int], *, device_id: int) -> Reply:
        """Write holding registers."""
        body = struct.pack(f">BHHB{len(values)}H", WRITE_MANY, address, len(values), 2 * len(values), *values)
        answer = await self._ask(device_id, body)
        if answer[0] & 0x80:
            return Reply(exception_code=answer[1])
        _, address, count = struct.unpack(">BHH", answer)
        return Reply(address=address, count=count)

    def close(self) -> None:
        """Close nothing."""

    async def _read(self, function: int, address: int, count: int, unit: int) -> Reply:
        answer = await self._ask(unit, struct.pack(">BHH", function, address, count))
        if answer[0] & 0x80:
            return Reply(exception_code=answer[1])
        return Reply(registers=struct.unpack(f">{answer[1] // 2}H", answer[2:]))

    async def _ask(self, unit: int, request: bytes) -> bytes:
        await self._net.reach(self._wire)
        answer = self._wire.modbus(unit, request)
        await self._come_back()
        return answer

    async def _come_back(self) -> None:
        """Never come back on a wire that carries one way only."""
        if self._wire.has(Kind.ONE_WAY):
            await asyncio.get_running_loop().create_future()


class MemoryStation(Station):
    """A BACnet station without a socket, and without the second way to a device, which would open one."""

    def __init__(self, net: Net) -> None:
        super().__init__(MemoryDatagrams(net))
        self.users = 1

    async def _through_stack(self, peer: Peer) -> NoReturn:
        peer.is_beyond_us = False
        raise Silence("its answer is more than is read here")


class MemoryDatagrams:
    """Datagrams without a socket, as far as a BACnet station needs them."""

    def __init__(self, net: Net) -> None:
        self._net = net
        self._hear: Hear | None = None

    def listen(self, hear: Hear) -> None:
        """Tell of every datagram that comes."""
        self._hear = hear

    def send(self, datagram: bytes, where: tuple[str, int]) -> None:
        """Send one: it arrives later, or never."""
        wire = self._net.bacnet.get(where)
        if wire is not None:
            wire.on_call(asyncio.get_running_loop().time())
        if wire is not None and self._net.alive and not wire.is_silent() and not wire.loses():
            asyncio.get_running_loop().call_later(wire.delay_s(), self._arrive, wire, datagram, where)

    def close(self) -> None:
        """Hear nothing any more."""
        self._hear = None

    def _arrive(self, wire: Wire, datagram: bytes, where: tuple[str, int]) -> None:
        if not self._net.alive or wire.is_silent():
            return
        try:
            answer = wire.bacnet(read_npdu(unframe(datagram)))
        except Garbled:
            return
        if answer is not None and self._hear is not None and not wire.has(Kind.ONE_WAY) and not wire.loses():
            self._hear(frame(answer.octets()), where)


def wires_of(
    registers: Mapping[str, Registers | OnBacnet],
    servers: Mapping[str, Any],
    seed: int,
    catch_up: Callable[[], None],
) -> dict[str, Wire]:
    """Put a wire before every device of a world.

    Args:
        registers: the pretend devices by id.
        servers: what would serve them on sockets, by id.
        seed: of latencies and garbage.
        catch_up: lets the world live until now.
    """
    wires = {}
    for device in sorted(registers):
        server, front = servers[device], registers[device]
        if isinstance(front, OnBacnet):
            front.plug.is_in = True
        found = server if isinstance(server, ModbusServer) else None
        wires[device] = Wire(device, found, front, Random(f"{seed}/latency/{device}"), catch_up)
    return wires
