"""One TCP session to one host and port, shared by all units behind it.

Law 1: one request at a time; writes go before waiting reads.
Law 2: after a timeout, a cancellation, a short or a strange answer the session is dropped. A late answer then dies with
       its socket: transaction ids alone do not protect, because servers exist that stamp late answers with new ids.
Law 3: for a unit that does not answer, the port is dialled at most once a second, and less and less often.
Law 4: nothing is sent twice. What became of an unanswered write is found out by reading.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from weakref import WeakKeyDictionary

from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ConnectionException, ModbusException
from pymodbus.pdu import ModbusPDU

from drivers.backoff import Backoff
from drivers.driver import DriverClock
from drivers.modbus.registers import Table
from drivers.modbus.turns import Turns

logging.getLogger("pymodbus.logging").setLevel(
    logging.CRITICAL
)  # it dumps packets at ERROR; our own logs tell the story

PATIENCE_S = 60.0
"""pymodbus' own timeout [s]: far above every device's, because deadlines are kept on the injected clock."""

ACKNOWLEDGE, GATEWAY_SILENT = 5, 11
EXCEPTIONS = {
    1: "illegal function",
    2: "illegal data address",
    3: "illegal data value",
    4: "device failure",
    5: "acknowledged, still working",
    6: "device busy",
    8: "memory parity error",
    10: "gateway path unavailable",
    11: "gateway target does not answer",
}


class LinkError(Exception):
    """No usable answer: unreachable, silent, closed, or babbling. What was asked may or may not have happened."""


class Refusal(Exception):
    """The device's own no: a Modbus exception response."""

    def __init__(self, code: int) -> None:
        super().__init__(f"Modbus exception {code} ({EXCEPTIONS.get(code, 'unknown')})")
        self.code = code


Dial = Callable[[str, int, Callable[[bool], None]], AsyncModbusTcpClient]
"""Makes a client that is not connected yet, of a host and a port; it tells when its connection comes and goes."""


def dial_tcp(host: str, port: int, on_connection: Callable[[bool], None]) -> AsyncModbusTcpClient:
    """Make a client behind a socket."""
    return AsyncModbusTcpClient(
        host, port=port, timeout=PATIENCE_S, retries=0, reconnect_delay=0, trace_connect=on_connection
    )


class Link:
    """The session, its queue and its pauses. Get one from `share`.

    Args:
        host: address or name. port: TCP port.
        clock: for deadlines and pauses.
        dial: makes the client.
    """

    def __init__(self, host: str, port: int, clock: DriverClock, dial: Dial = dial_tcp) -> None:
        self.name = f"{host}:{port}"
        self.users = 0
        self.session = 0
        """Counts connections: what was learnt about a device holds for one session."""
        self._address = (host, port)
        self._clock, self._dial = clock, dial
        self._turns = Turns()
        self._client: AsyncModbusTcpClient | None = None
        self._connecting = Backoff(self.name)
        self._answered = False
        self._units: dict[int, Backoff] = {}

    async def read(self, unit: int, table: Table, address: int, count: int, *, timeout_s: float) -> list[int]:
        """Read registers; raises `LinkError` or `Refusal`."""

        async def ask(client: AsyncModbusTcpClient) -> ModbusPDU:
            method = client.read_holding_registers if table is Table.HOLDING else client.read_input_registers
            reply = await method(address, count=count, device_id=unit)
            if not reply.isError() and len(reply.registers) != count:
                raise ConnectionException(f"answered {len(reply.registers)} of {count} registers")
            return reply

        return list((await self._exchange(unit, ask, timeout_s, urgent=False)).registers)

    async def write(self, unit: int, address: int, words: tuple[int, ...], *, timeout_s: float) -> None:
        """Write holding registers in one request; raises `LinkError` or `Refusal`."""

        async def ask(client: AsyncModbusTcpClient) -> ModbusPDU:
            reply = await client.write_registers(address, list(words), device_id=unit)
            if not reply.isError() and (reply.address, reply.count) != (address, len(words)):
                raise ConnectionException(f"confirmed {reply.count} registers at {reply.address}, asked for others")
            return reply

        await self._exchange(unit, ask, timeout_s, urgent=True)

    async def connect(self, unit: int, *, timeout_s: float) -> int:
        """Open the session if there is none, and tell its number; raises `LinkError`."""
        if self._client is None:
            _refuse_while_resting(self._pause_of(unit), self._clock.monotonic())
            async with self._turns.take(urgent=False):
                await self._connected(timeout_s)
        return self.session

    async def close(self) -> None:
        """Drop the session and let the loop finish with its socket."""
        self._drop()
        await self._clock.sleep(0)

    async def _exchange(
        self, unit: int, ask: Callable[[AsyncModbusTcpClient], Awaitable[ModbusPDU]], timeout_s: float, *, urgent: bool
    ) -> ModbusPDU:
        pause = self._pause_of(unit)
        _refuse_while_resting(pause, self._clock.monotonic())
        async with self._turns.take(urgent=urgent):
            client = await self._connected(timeout_s)
            try:
                reply = await self._clock.wait_for(ask(client), timeout_s)
            except BaseException as error:
                self._drop()  # also when cancelled: the answer may still come, and must find no reader
                # A session that never answered has cost a connection already.
                pause.failed(self._clock.monotonic(), first_is_free=self._answered)
                if isinstance(error, TimeoutError):
                    raise LinkError(f"no answer within {timeout_s:g} s") from error
                if isinstance(error, (ModbusException, OSError)):
                    raise LinkError(_plain(error)) from error
                raise
            self._answered = True
        if reply.isError():
            if reply.exception_code == GATEWAY_SILENT:
                pause.failed(self._clock.monotonic())
            raise Refusal(reply.exception_code)
        pause.succeeded()
        return reply

    def _pause_of(self, unit: int) -> Backoff:
        if unit not in self._units:
            self._units[unit] = Backoff(f"{self.name}/{unit}")
        return self._units[unit]

    async def _connected(self, timeout_s: float) -> AsyncModbusTcpClient:
        if self._client is not None:
            return self._client
        _refuse_while_resting(self._connecting, self._clock.monotonic())
        client, connected = self._dial(*self._address, self._on_connection), False
        try:
            connected = await self._clock.wait_for(client.connect(), timeout_s)
        except TimeoutError:
            pass
        finally:
            if not connected:
                client.close()
                self._connecting.failed(self._clock.monotonic(), first_is_free=False)
        if not connected:
            raise LinkError(f"{self.name} accepts no connection")
        self._connecting.succeeded()
        self._client, self._answered = client, False
        self.session += 1
        return client

    def _on_connection(self, connected: bool) -> None:
        """Hear from pymodbus that the peer is gone: whoever waits for its answer need not wait any longer."""
        if connected or self._client is None:
            return
        waiting = self._client.ctx.response_future
        if not waiting.done():
            waiting.set_exception(ConnectionException("the peer closed the connection"))
            waiting.exception()  # seen: nobody may be waiting
        self._drop()

    def _drop(self) -> None:
        client, self._client = self._client, None
        if client is None:
            return
        transport = client.ctx.transport
        client.close()
        if isinstance(transport, asyncio.Transport):
            transport.abort()


def _refuse_while_resting(pause: Backoff, now_s: float) -> None:
    """Leave what is silent alone for a while, so that it does not block its neighbours on the same wire."""
    resting_s = pause.remaining_s(now_s)
    if resting_s > 0:
        raise LinkError(f"no answer lately; next attempt in {resting_s:.1f} s")


def _plain(error: Exception) -> str:
    return str(error).removeprefix("Modbus Error: ").removeprefix("[Connection] ").removeprefix("[Input/Output] ")


_LINKS: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[str, int], Link]] = WeakKeyDictionary()


def share(host: str, port: int, clock: DriverClock) -> Link:
    """Give the one link of this process to a host and port; pair with `release`."""
    links = _LINKS.setdefault(asyncio.get_running_loop(), {})
    link = links.setdefault((host, port), Link(host, port, clock))
    link.users += 1
    return link


async def release(link: Link) -> None:
    """Give a link back; the last user closes it."""
    link.users -= 1
    if link.users == 0:
        links = _LINKS.get(asyncio.get_running_loop(), {})
        for key in [key for key, each in links.items() if each is link]:
            del links[key]
        await link.close()
