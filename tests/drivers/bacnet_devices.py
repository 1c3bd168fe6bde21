"""BACnet devices for the driver's tests, on bacpypes3: a plain one, and small ones that can less."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from bacpypes3.apdu import AbortPDU, AbortReason, SimpleAckPDU
from bacpypes3.app import Application
from bacpypes3.errors import ExecutionError, UnrecognizedService
from bacpypes3.local.analog import AnalogInputObject, AnalogValueObject, AnalogValueObjectCmd
from bacpypes3.local.device import DeviceObject
from bacpypes3.local.networkport import NetworkPortObject
from bacpypes3.primitivedata import Null, Real

INPUTS = {1: 4.2, 2: 21.5, 3: -3.0, 4: 1234.5}


def free_udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Controller(Application):
    """Counts what it is asked; can be made silent, small, old, read-only or deaf."""

    silent = False
    knows_rpm = True
    wants_pieces = False
    most_objects = 100
    refuses_writes = ""
    ignores_writes = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.asked: list[str] = []

    async def indication(self, apdu: Any) -> None:
        if self.silent:
            return
        self.asked.append(type(apdu).__name__.removesuffix("Request"))
        await super().indication(apdu)

    async def do_ReadPropertyMultipleRequest(self, apdu: Any) -> None:
        if not self.knows_rpm:
            raise UnrecognizedService
        if self.wants_pieces and not apdu.apduSA:
            await self.response(AbortPDU(True, reason=AbortReason.segmentationNotSupported, context=apdu))
            return
        if len(apdu.listOfReadAccessSpecs) > self.most_objects:
            # bacpypes3's own way of aborting forgets the server bit, and its client then ignores the abort
            await self.response(AbortPDU(True, reason=AbortReason.bufferOverflow, context=apdu))
            return
        await super().do_ReadPropertyMultipleRequest(apdu)

    async def do_WritePropertyRequest(self, apdu: Any) -> None:
        if self.refuses_writes:
            raise ExecutionError(errorClass="property", errorCode=self.refuses_writes)
        if self.ignores_writes:
            await self.response(SimpleAckPDU(context=apdu))
            return
        await super().do_WritePropertyRequest(apdu)


class BacnetDevice:
    """A heat pump as `drivers/bacnet/profiles/heat_pump.yaml` expects it, with a limit beside its set-point."""

    def __init__(self, instance: int = 3001) -> None:
        self.port = free_udp_port()
        self.instance = instance
        shared = {"statusFlags": [0, 0, 0, 0], "eventState": "normal", "outOfService": False, "units": "kilowatts"}
        self.inputs = {
            number: AnalogInputObject(
                objectIdentifier=("analog-input", number), objectName=f"ai{number}", presentValue=value, **shared
            )
            for number, value in INPUTS.items()
        }
        self.limit = AnalogValueObject(
            objectIdentifier=("analog-value", 2), objectName="limit", presentValue=22.0, **shared
        )
        self.setpoint = AnalogValueObjectCmd(
            objectIdentifier=("analog-value", 1), objectName="sp", presentValue=0.0, relinquishDefault=1.5, **shared
        )

    async def __aenter__(self) -> BacnetDevice:
        self.app = Controller.from_object_list(
            [
                DeviceObject(objectIdentifier=("device", self.instance), objectName="hp", vendorIdentifier=999),
                NetworkPortObject(f"127.0.0.1:{self.port}", objectIdentifier=("network-port", 1), objectName="port"),
                *self.inputs.values(),
                self.setpoint,
                self.limit,
            ]
        )
        for link in self.app.link_layers.values():
            await link.server._local_transport_ready.wait()
        await self.command(None, 16)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.app.close()
        await asyncio.sleep(0)

    async def command(self, value: float | None, priority: int) -> None:
        await self.setpoint.write_property(
            "presentValue", Null(()) if value is None else Real(value), priority=priority
        )

    @property
    def slots(self) -> dict[int, float]:
        array = self.setpoint.priorityArray
        return {i: float(getattr(v, v._choice)) for i, v in enumerate(array, start=1) if v._choice != "null"}
