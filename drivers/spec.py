"""How a device is reached and what may be done with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class DeviceSpec:
    """Everything a driver must be told about its device.

    Args:
        protocol: `modbus`, `bacnet` or `simulated`.
        profile: name of its map.
        host: name or address.
        port: TCP port of Modbus, UDP port of BACnet.
        unit: Modbus unit id.
        device_instance: BACnet device instance that must answer there; None to take whoever answers.
        bacnet_network: network of a BACnet device behind the router at `host` and `port`; None for one that is there.
        bacnet_mac: its address on that network.
        priority: BACnet priority slot of our commands.
        timeout_s: longest wait for one answer [s].
        writable: whether it may be commanded; False never writes anything, not even a failsafe value.
        safe: role -> value that the device is told to fall back to [unit of the role]; None for its own control.
    """

    protocol: str
    profile: str
    host: str = "127.0.0.1"
    port: int = 502
    unit: int = 1
    device_instance: int | None = None
    bacnet_network: int | None = None
    bacnet_mac: int | None = None
    priority: int = 12
    timeout_s: float = 0.5
    writable: bool = False
    safe: Mapping[str, float | None] = field(default_factory=dict)
