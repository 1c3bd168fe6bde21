"""The air handler's controller on BACnet/IP: four inputs and one commandable set-point with a real priority array.

analog-input 1 power [kW], 2 zone temperature [degC], 3 outdoor temperature [degC], 4 energy [kWh]; analog-value 1 is
the electric set-point [kW]. It refuses writes to inputs, values that are not finite or beyond the rating, and priority
6 (reserved for minimum on/off times). BACnet ends no command by itself: a slot holds until NULL is written to it.
"""

from __future__ import annotations

import asyncio
import math
import socket
import struct
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from bacpypes3.app import Application
from bacpypes3.basetypes import EngineeringUnits
from bacpypes3.errors import ExecutionError
from bacpypes3.local.analog import AnalogInputObject
from bacpypes3.local.cmd import Commandable
from bacpypes3.local.device import DeviceObject
from bacpypes3.local.networkport import NetworkPortObject
from bacpypes3.local.object import Object
from bacpypes3.object import AnalogValueObject
from bacpypes3.primitivedata import Null, Real

from hil.endpoints.modbus_server import Trouble
from hil.endpoints.sunspec_devices import PlantFace

INPUTS = (
    ("power_kw", EngineeringUnits.kilowatts),
    ("temperature_c", EngineeringUnits.degreesCelsius),
    ("outdoor_c", EngineeringUnits.degreesCelsius),
    ("energy_kwh", EngineeringUnits.kilowattHours),
)
AT_FIRST: Mapping[str, Any] = {
    "presentValue": 0.0,
    "statusFlags": [0, 0, 0, 0],
    "eventState": "normal",
    "outOfService": False,
    "covIncrement": 0.1,
}
RESERVED_PRIORITY = 6
DEVICE_TYPE = 8
WHO_ARE_YOU = struct.Struct(">11sI2s")
"""ReadProperty of a device object's own identifier, as a raw frame around the identifier."""


class BindError(OSError):
    """The device does not answer at its own address: something else holds it."""


def _denied(code: str) -> Exception:
    return ExecutionError(errorClass="property", errorCode=code)  # type: ignore[no-any-return]


class Input(AnalogInputObject):  # type: ignore[misc]
    """A measured value: nobody writes it."""

    async def write_property(self, *args: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Refuse."""
        raise _denied("writeAccessDenied")


class SetpointObject(Commandable, Object, AnalogValueObject):  # type: ignore[misc]
    """The commandable set-point; `accepts` judges a value and a priority, `obey` hears of every change."""

    accepts: Callable[[Any, int | None], str | None]
    obey: Callable[[], None]

    async def write_property(
        self, attr: Any, value: Any, index: int | None = None, priority: int | None = None
    ) -> None:
        """Take a value into its slot, or refuse it."""
        code = self.accepts(value, priority)
        if code is not None:
            raise _denied(code)
        await super().write_property(attr, value, index, priority)
        self.obey()


class Controller(Application):  # type: ignore[misc]
    """The device's application: brings its inputs up to date before it answers, and is silent when unplugged."""

    unplugged = False
    trouble: Trouble
    refresh: Callable[[], None]

    async def indication(self, apdu: Any) -> None:
        """Answer one request."""
        if self.unplugged:
            return
        if self.trouble.delay_s > 0.0:
            await _late(self.trouble.delay_s)
        self.refresh()
        await super().indication(apdu)


async def _late(seconds: float) -> None:
    """Hold an answer back [s of the wall]."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await asyncio.Event().wait()


class _Answers(asyncio.DatagramProtocol):
    """Collects datagrams."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[bytes] = asyncio.Queue()

    def datagram_received(self, data: bytes, addr: Any) -> None:  # noqa: ARG002
        self.heard.put_nowait(data)


def _must_be_free(host: str, port: int) -> None:
    """Make sure that nobody holds the port: bacpypes3 would share it silently; raises `BindError`."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((host, port))
        except OSError as error:
            raise BindError(f"{host}:{port} (UDP) is taken ({error.strerror}): give the device another port") from error


def _input(number: int, name: str, units: EngineeringUnits) -> Input:
    return Input(objectIdentifier=("analog-input", number), objectName=name, units=units, **AT_FIRST)


def _setpoint(accepts: Callable[[Any, int | None], str | None], obey: Callable[[], None]) -> SetpointObject:
    kilowatts = EngineeringUnits.kilowatts
    made = SetpointObject(
        objectIdentifier=("analog-value", 1),
        objectName="setpoint_kw",
        relinquishDefault=0.0,
        units=kilowatts,
        **AT_FIRST,
    )
    object.__setattr__(made, "accepts", accepts)
    object.__setattr__(made, "obey", obey)
    return made


class BacnetDevice:
    """A BACnet/IP device in front of a heat pump; its objects come to life with its socket.

    Args:
        plant: the plant. asset: id of the heat pump. rated_kw: greatest set-point.
        host: address. port: UDP port; every device needs its own on one host. instance: device instance number.

    Attributes:
        writes: writes to the set-point that have come in, refused ones too.
    """

    def __init__(self, plant: PlantFace, asset: str, *, rated_kw: float, host: str, port: int, instance: int) -> None:
        self.plant, self.asset, self.trouble = plant, asset, Trouble()
        self.writes = 0
        self._host, self._port, self._instance, self._rated_kw = host, port, instance, rated_kw
        self._inputs: dict[str, Any] = {}
        self._setpoint: Any = None
        self._app: Any = None
        self._fresh_at_s = -1.0

    async def open(self) -> None:
        """Bind and make sure that it is this device that answers there; raises `BindError`."""
        if self._app is not None:
            self._app.unplugged = False
            return
        _must_be_free(self._host, self._port)
        device = DeviceObject(objectIdentifier=("device", self._instance), objectName=self.asset,
                              vendorIdentifier=999, modelName="Pretend air handler")  # fmt: skip
        port = NetworkPortObject(f"{self._host}:{self._port}", objectIdentifier=("network-port", 1), objectName="port")
        self._inputs = {name: _input(i, name, units) for i, (name, units) in enumerate(INPUTS, start=1)}
        self._setpoint = _setpoint(self._verdict, self._obey)
        self._app = Controller.from_object_list([device, port, *self._inputs.values(), self._setpoint])
        self._app.refresh, self._app.trouble = self.refresh, self.trouble
        await self._bound()

    async def _bound(self) -> None:
        """Wait until it is this device that answers: bacpypes3 binds in a task and hides a failure."""
        loop = asyncio.get_running_loop()
        asker, answers = await loop.create_datagram_endpoint(_Answers, remote_addr=(self._host, self._port))
        own = DEVICE_TYPE << 22 | self._instance
        try:
            for _ in range(20):
                asker.sendto(WHO_ARE_YOU.pack(bytes.fromhex("810a00110104 0005010c 0c"), own, b"\x19\x4b"))
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.1):
                        heard = await answers.heard.get()
                        if struct.pack(">I", own) in heard:
                            return
        finally:
            asker.close()
        raise BindError(f"{self.asset} does not answer at {self._host}:{self._port} (UDP): give it another port")

    async def close(self) -> None:
        """Pull the plug: the controller lives on, its answers do not come out."""
        if self._app is not None:
            self._app.unplugged = True

    def shut_down(self) -> None:
        """Give the address back for good."""
        if self._app is not None:
            self._app.close()
            self._app = None

    def tick(self, now_s: float) -> None:
        """Do nothing: this device has no timers."""

    def refresh(self) -> None:
        """Bring the inputs up to date."""
        if self._fresh_at_s != self.plant.elapsed_s:
            self._fresh_at_s = self.plant.elapsed_s
            state = self.plant.state(self.asset)
            for name, point in self._inputs.items():
                point.presentValue = Real(math.nan if self.trouble.garbage else state[name])

    def slots(self) -> Mapping[int, float]:
        """Tell the commanded slots of the priority array."""
        array = () if self._setpoint is None else self._setpoint.priorityArray
        return {i + 1: float(getattr(v, v._choice)) for i, v in enumerate(array) if v.null is None}  # noqa: SLF001

    def _verdict(self, value: Any, priority: int | None) -> str | None:
        self.writes += 1
        if self.trouble.refuse or priority == RESERVED_PRIORITY:
            return "writeAccessDenied"
        if isinstance(value, Null | tuple):
            return None
        try:
            kw = float(value)
        except (TypeError, ValueError):
            return "invalidDataType"
        return None if math.isfinite(kw) and 0.0 <= kw <= self._rated_kw else "valueOutOfRange"

    def _obey(self) -> None:
        slots = self.slots()
        self.plant.command(self.asset, slots[min(slots)] if slots else None)
