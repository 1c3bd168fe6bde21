"""Which driver speaks to a device, and what a profile offers before anybody speaks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module

from drivers.bacnet.profile import bacnet_profile, bacnet_profiles
from drivers.driver import Driver, DriverClock, DriverError
from drivers.modbus.profile import modbus_profile, modbus_profiles
from drivers.profiles import ProfileInfo, RoleInfo, RoleKind
from drivers.simulated import SimulatedDriver
from drivers.spec import DeviceSpec

__all__ = ["DeviceSpec", "ProfileInfo", "RoleInfo", "RoleKind", "build_driver", "known_profiles", "profile_points"]


def known_profiles() -> Mapping[str, tuple[str, ...]]:
    """List the profiles of each protocol. A simulated device may take any of them."""
    modbus, bacnet = modbus_profiles(), bacnet_profiles()
    return {"modbus": modbus, "bacnet": bacnet, "simulated": tuple(sorted({*modbus, *bacnet}))}


def profile_points(protocol: str, profile: str) -> ProfileInfo:
    """Tell what a profile offers, without a socket; raises `DriverError` with the known names."""
    known = known_profiles()
    if protocol not in known:
        raise DriverError(f"protocol {protocol!r} is not known; write one of {', '.join(known)}")
    if profile not in known[protocol]:
        raise DriverError(f"profile {profile!r} is not known to {protocol}; write one of {', '.join(known[protocol])}")
    return modbus_profile(profile).info() if profile in known["modbus"] else bacnet_profile(profile).info()


def build_driver(device_id: str, spec: DeviceSpec, clock: DriverClock) -> Driver:
    """Build the driver of a device; opens nothing yet. Raises `DriverError`."""
    info = profile_points(spec.protocol, spec.profile)
    stray = [role for role in spec.safe if role not in info.roles or not info.roles[role].writable]
    if stray:
        raise DriverError(f"{device_id}: safe names {', '.join(stray)}, which {spec.profile} does not command")
    return _BUILDERS[spec.protocol](device_id, spec, clock)


def _modbus(device_id: str, spec: DeviceSpec, clock: DriverClock) -> Driver:
    # The protocol libraries take their time to import: only for a device that needs them.
    driver: Driver = import_module("drivers.modbus.driver").ModbusDriver(
        device_id, spec, modbus_profile(spec.profile), clock
    )
    return driver


def _bacnet(device_id: str, spec: DeviceSpec, clock: DriverClock) -> Driver:
    driver: Driver = import_module("drivers.bacnet.driver").BacnetDriver(
        device_id, spec, bacnet_profile(spec.profile), clock
    )
    return driver


def _simulated(device_id: str, spec: DeviceSpec, clock: DriverClock) -> Driver:
    return SimulatedDriver(device_id, profile_points(spec.protocol, spec.profile), clock, safe=spec.safe)


_BUILDERS: Mapping[str, Callable[[str, DeviceSpec, DriverClock], Driver]] = {
    "modbus": _modbus,
    "bacnet": _bacnet,
    "simulated": _simulated,
}
