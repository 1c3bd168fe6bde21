"""This process on the BACnet network: one application for all devices, and single requests with a deadline.

Law 1: a request that nobody waits for any more is forgotten by the stack too, so that its late answer finds no reader.
Law 2: bacpypes3 signals errors with classes under `BaseException`; none of them leaves this file.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Sequence
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from bacpypes3.apdu import AbortPDU, AbortReason, ErrorRejectAbortNack, RejectPDU, RejectReason
from bacpypes3.appservice import ABORTED
from bacpypes3.basetypes import ErrorType, PropertyIdentifier
from bacpypes3.ipv4.app import NormalApplication
from bacpypes3.local.device import DeviceObject
from bacpypes3.pdu import Address, IPv4Address
from bacpypes3.primitivedata import ObjectIdentifier
from bacpypes3.vendor import get_vendor_info

from drivers.driver import DriverClock

T = TypeVar("T")
PATIENCE_MS = 10_000
"""The stack's own timeout [ms]: far above every device's, because deadlines are kept on the injected clock."""
OUR_INSTANCE = 4194302  # the highest that a device may have: nobody asks us for anything
NO_ANSWER = {AbortReason.tsmTimeout, AbortReason.noResponse}
TOO_LONG = {AbortReason.bufferOverflow, AbortReason.segmentationNotSupported, AbortReason.apduTooLong}


class Silence(Exception):
    """No usable answer. What was asked may or may not have happened."""


class Denial(Exception):
    """The device's own no: a BACnet error, reject or abort.

    Args:
        reason: its words.
        is_too_long: it could not fit its answer into one message.
        is_unknown_service: it does not know the service at all.
    """

    def __init__(self, reason: str, *, is_too_long: bool = False, is_unknown_service: bool = False) -> None:
        super().__init__(reason)
        self.is_too_long = is_too_long
        self.is_unknown_service = is_unknown_service


class _Application(NormalApplication):
    """The stack's application, at ease with an answer that comes just after its caller has given up."""

    async def confirmation(self, apdu: Any) -> None:
        """Hand an answer to whoever waits for it."""
        with contextlib.suppress(asyncio.InvalidStateError):
            await super().confirmation(apdu)


class Station:
    """Our end of the network. Get it from `share`, inside a running loop."""

    def __init__(self) -> None:
        self.users = 0
        device = DeviceObject(
            objectIdentifier=("device", OUR_INSTANCE),
            objectName="district-ems",
            vendorIdentifier=999,
            apduTimeout=PATIENCE_MS,
            numberOfApduRetries=0,
        )
        # A port of its own: bacpypes3 hands what goes to any 127.* address on its own port to itself.
        self._app = _Application(device, IPv4Address("0.0.0.0:0"))
        self._vendor = get_vendor_info(0)

    async def read_many(
        self, peer: Peer, wanted: Sequence[tuple[ObjectIdentifier, Sequence[PropertyIdentifier]]]
    ) -> dict[tuple[ObjectIdentifier, PropertyIdentifier], Any]:
        """Read properties of several objects in one request; a property that failed comes as a `Denial`."""
        request = [part for object_id, properties in wanted for part in (object_id, list(properties))]
        rows = await self._ask(peer, self._app.read_property_multiple(peer.address, request, vendor_info=self._vendor))
        return {(row[0], row[1]): _or_denial(row[3]) for row in rows or ()}

    async def read_one(self, peer: Peer, object_id: ObjectIdentifier, name: PropertyIdentifier) -> Any:
        """Read one property."""
        return await self._ask(peer, self._app.read_property(peer.address, object_id, name))

    async def read_slot(self, peer: Peer, object_id: ObjectIdentifier, priority: int) -> float | None:
        """Read what one slot of a priority array holds; None if it is free."""
        return _held(await self._ask(peer, self._app.read_property(peer.address, object_id, PRIORITY_ARRAY, priority)))

    async def read_slots(self, peer: Peer, object_id: ObjectIdentifier) -> list[float | None]:
        """Read what the 16 slots of a priority array hold."""
        slots = await self._ask(peer, self._app.read_property(peer.address, object_id, PRIORITY_ARRAY))
        return [_held(slot) for slot in slots]

    async def write(self, peer: Peer, object_id: ObjectIdentifier, value: Any, priority: int) -> None:
        """Write a present value into one slot."""
        await self._ask(
            peer, self._app.write_property(peer.address, object_id, PRESENT_VALUE, value, priority=priority)
        )

    def close(self) -> None:
        """Close the socket."""
        self._app.close()

    async def _ask(self, peer: Peer, answer: Awaitable[T]) -> T:
        """Wait for an answer; raises `Silence` or `Denial`."""
        try:
            return await peer.clock.wait_for(answer, peer.timeout_s)
        except ErrorRejectAbortNack as nack:
            if isinstance(nack, AbortPDU) and nack.apduAbortRejectReason in NO_ANSWER:
                raise Silence("no answer") from None
            raise _denial(nack) from None
        except TimeoutError:
            raise Silence(f"no answer within {peer.timeout_s:g} s") from None
        except Exception as error:
            raise Silence(f"its answer cannot be read: {error or type(error).__name__}") from error
        finally:
            self._forget(peer)

    def _forget(self, peer: Peer) -> None:
        """Drop what the stack still waits for from a peer: with one request at a time, nothing is left to answer."""
        for transaction in list(self._app.asap.clientTransactions):
            if transaction.pdu_address == peer.address:
                transaction.set_state(ABORTED)


class Peer:
    """A device's address and how long to wait for it."""

    def __init__(self, host: str, port: int, clock: DriverClock, timeout_s: float) -> None:
        self.address = Address(f"{host}:{port}")
        self.clock = clock
        self.timeout_s = timeout_s


PRESENT_VALUE = PropertyIdentifier("present-value")
STATUS_FLAGS = PropertyIdentifier("status-flags")
PRIORITY_ARRAY = PropertyIdentifier("priority-array")
OBJECT_IDENTIFIER = PropertyIdentifier("object-identifier")


def _held(slot: Any) -> float | None:
    """Read one slot of a priority array: a choice of many types, Null being free."""
    kind = getattr(slot, "_choice", None)
    if kind is None or kind == "null":
        return None
    value = getattr(slot, kind)
    return float(value) if isinstance(value, int | float) else float("nan")


def _or_denial(value: Any) -> Any:
    return Denial(f"BACnet {value.errorClass}: {value.errorCode}") if isinstance(value, ErrorType) else value


def _denial(nack: ErrorRejectAbortNack) -> Denial:
    reason = getattr(nack, "apduAbortRejectReason", None)
    return Denial(
        f"BACnet {str(nack).strip() or type(nack).__name__}",
        is_too_long=isinstance(nack, AbortPDU) and reason in TOO_LONG,
        is_unknown_service=isinstance(nack, RejectPDU) and reason == RejectReason.unrecognizedService,
    )


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
        del _STATIONS[asyncio.get_running_loop()]
        station.close()
        await clock.sleep(0)
