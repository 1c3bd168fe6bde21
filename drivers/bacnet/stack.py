"""bacpypes3 as the second way to a device: for answers in several pieces, and for values that are not read here.

It is only imported when a device needs it. bacpypes3 signals errors with classes under `BaseException`; none of them
leaves this file.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable
from typing import Any, TypeVar

from bacpypes3.apdu import AbortPDU, AbortReason, ErrorRejectAbortNack, RejectPDU, RejectReason
from bacpypes3.appservice import ABORTED
from bacpypes3.basetypes import ErrorType, PropertyIdentifier
from bacpypes3.ipv4.app import NormalApplication
from bacpypes3.local.device import DeviceObject
from bacpypes3.pdu import Address, IPv4Address
from bacpypes3.primitivedata import ObjectIdentifier
from bacpypes3.settings import settings
from bacpypes3.vendor import get_vendor_info

from drivers.bacnet.apdu import ObjectId, Route, Wanted
from drivers.bacnet.denials import Denial, Silence
from drivers.driver import DriverClock

T = TypeVar("T")
PATIENCE_MS = 10_000
"""The stack's own timeout [ms]: far above every device's, because deadlines are kept on the injected clock."""
OUR_INSTANCE = 4194302  # the highest that a device may have: nobody asks us for anything
NO_ANSWER = {AbortReason.tsmTimeout, AbortReason.noResponse}
TOO_LONG = {AbortReason.bufferOverflow, AbortReason.segmentationNotSupported, AbortReason.apduTooLong}

settings.route_aware = True  # an address says through which router it is reached


class _Application(NormalApplication):
    """The stack's application, at ease with an answer that comes just after its caller has given up."""

    async def confirmation(self, apdu: Any) -> None:
        """Hand an answer to whoever waits for it."""
        with contextlib.suppress(asyncio.InvalidStateError):
            await super().confirmation(apdu)


class Stack:
    """Single requests through bacpypes3, with a deadline."""

    def __init__(self) -> None:
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

    async def read_many(self, peer: StackPeer, wanted: Wanted) -> dict[tuple[ObjectId, int], Any]:
        """Read properties of several objects in one request; a property that failed comes as a `Denial`."""
        request: list[Any] = []
        for object_id, names in wanted:
            request += [ObjectIdentifier(object_id), [PropertyIdentifier(name) for name in names]]
        rows = await self._ask(peer, self._app.read_property_multiple(peer.address, request, vendor_info=self._vendor))
        return {(_plain(row[0]), int(row[1])): _or_denial(row[3]) for row in rows or ()}

    async def read_one(self, peer: StackPeer, object_id: ObjectId, name: int, index: int | None) -> Any:
        """Read one property, or one element of an array; slots of a priority array come as numbers or None."""
        what = self._app.read_property(peer.address, ObjectIdentifier(object_id), PropertyIdentifier(name), index)
        said = await self._ask(peer, what)
        return [_held(each) for each in said] if isinstance(said, list) and _is_slot(said) else _held(said)

    def close(self) -> None:
        """Close the socket."""
        self._app.close()

    async def _ask(self, peer: StackPeer, answer: Awaitable[T]) -> T:
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

    def _forget(self, peer: StackPeer) -> None:
        """Drop what the stack still waits for from a peer: with one request at a time, nothing is left to answer."""
        for transaction in list(self._app.asap.clientTransactions):
            if transaction.pdu_address == peer.address:
                transaction.set_state(ABORTED)


class StackPeer:
    """A device's address as bacpypes3 writes it, and how long to wait for it."""

    def __init__(self, where: tuple[str, int], route: Route | None, clock: DriverClock, timeout_s: float) -> None:
        station = f"{where[0]}:{where[1]}"
        self.address = Address(station if route is None else f"{route[0]}:0x{route[1].hex()}@{station}")
        self.clock = clock
        self.timeout_s = timeout_s


def _plain(object_id: ObjectIdentifier) -> ObjectId:
    return int(object_id[0]), int(object_id[1])


def _is_slot(values: list[Any]) -> bool:
    return bool(values) and hasattr(values[0], "_choice")


def _held(value: Any) -> Any:
    """Read one slot of a priority array, a choice of many types, Null being free; anything else passes as is."""
    if not hasattr(value, "_choice"):
        return value
    kind = value._choice  # noqa: SLF001 -- the stack has no public name for it
    if kind is None or kind == "null":
        return None
    held = getattr(value, kind)
    return float(held) if isinstance(held, int | float) else float("nan")


def _or_denial(value: Any) -> Any:
    return Denial(f"BACnet {value.errorClass}: {value.errorCode}") if isinstance(value, ErrorType) else value


def _denial(nack: ErrorRejectAbortNack) -> Denial:
    reason = getattr(nack, "apduAbortRejectReason", None)
    return Denial(
        f"BACnet {str(nack).strip() or type(nack).__name__}",
        is_too_long=isinstance(nack, AbortPDU) and reason in TOO_LONG,
        is_unknown_service=isinstance(nack, RejectPDU) and reason == RejectReason.unrecognizedService,
    )
