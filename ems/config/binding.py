"""Which point of which device carries each quantity of an asset, and the turn from asset power to the device's unit.

    value = kw * per_kw      charge point: 1000 / (n * U);  PV, wind: -1 (a limit on generation);  any other: 1

Symbols: kw [kW] into the asset, n phases, U voltage between phase and neutral [V], value in the point's unit (kW or A).
A value between zero and the least at which the device runs becomes zero: the device pauses.
A charge point that switches phases is reckoned with the phases in force; one that takes power back is told kW.
A boiler that burns fuel has no power: its kW are those of its fuel. A pipe's are those of the heat that it sends at
the most.
A heat pump with `sg_ready` is told the number of an SG Ready state instead: the one whose power is next below. A
deferrable load is told 1 to run, and 0 to wait.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from pydantic import BaseModel

from drivers.registry import DeviceSpec, ProfileInfo, profile_points
from ems.config.assets import (
    BatteryAsset,
    ChargePointAsset,
    DeferrableAsset,
    GensetAsset,
    HeatPumpAsset,
    LoadAsset,
    MeteredLoad,
    Onlooker,
    PvAsset,
    SteeredAsset,
    WindAsset,
)
from ems.config.heat_assets import BoilerAsset, ElectricBoilerAsset, HeatSourceAsset, PipeAsset
from ems.config.hybrid_asset import HybridAsset
from ems.config.site import Device, Site

DeviceAsset = Onlooker | MeteredLoad | SteeredAsset

MEASURED_ROLES: Mapping[str, tuple[str, ...]] = {
    "grid_meter": ("power_kw",),
    "pv": ("power_kw",),
    "wind": ("power_kw",),
    "battery": ("power_kw", "soc_pct"),
    "hybrid": ("power_kw", "soc_pct", "sun_kw", "sun_state", "store_kw"),
    "charge_point": ("power_kw", "state"),
    "heat_pump": ("power_kw", "temperature_c"),
    "genset": ("power_kw",),
    "deferrable": ("power_kw", "state", "run_s"),
    "heat_load": ("heat_kw",),
    "cold_load": ("heat_kw",),
    "tank": ("temperature_c",),
    "cold_tank": ("temperature_c",),
    "boiler": ("fuel_kw",),
    "electric_boiler": ("power_kw",),
    "heat_source": ("power_kw",),
    "chiller": ("power_kw",),
    "pipe": ("power_kw", "sent_kw"),
    "cold_pipe": ("power_kw", "sent_kw"),
    "metered_load": ("power_kw",),
    "heat_meter": ("heat_kw",),
    "building_automation": (),
}
"""What a device of each kind must measure; whatever else its profile offers is taken too."""

COMMANDED_ROLE: Mapping[str, str] = {
    "pv": "limit_kw",
    "wind": "limit_kw",
    "battery": "setpoint_kw",
    "hybrid": "setpoint_kw",
    "charge_point": "limit_a",
    "heat_pump": "setpoint_kw",
    "genset": "setpoint_kw",
    "deferrable": "run_state",
    "boiler": "setpoint_kw",
    "electric_boiler": "setpoint_kw",
    "heat_source": "setpoint_kw",
    "chiller": "setpoint_kw",
    "pipe": "setpoint_kw",
    "cold_pipe": "setpoint_kw",
}
"""How each kind is commanded; a grid meter and a load are not."""
GIVING_ROLES = ("soc_pct", "capacity_kwh", "discharge_kwh")
"""What a charge point that takes power back must measure besides."""
PHASES_ROLE = "phases"
"""Where a charge point tells on how many phases it charges, and is told so if it can switch them."""
KVAR_ROLE = "reactive_kvar"
"""Where an inverter is told its reactive power, positive into it."""
SG_ROLE = "sg_state"
"""How a heat pump is commanded that has `sg_ready`."""
BLOCKED, NORMAL, RECOMMENDED, FORCED = 1.0, 2.0, 3.0, 4.0
"""The states of SG Ready by their numbers; the normal one is a release."""
WAIT, RUN = 0.0, 1.0
"""What a deferrable load is told."""
WAITS, RUNS = 1.0, 2.0
"""What it tells of itself: it waits for its start, or for the rest of its run; it runs. 0 is nothing to run."""


EFFECTS = ("sent_kw", "power_kw", "fuel_kw")
"""Which of its roles shows what the command of an asset does; the first that it has."""


class CommandKind(StrEnum):
    """A setpoint is followed; a limit is only kept."""

    SETPOINT = "setpoint"
    LIMIT = "limit"


@dataclass(frozen=True, slots=True)
class CommandBinding:
    """How an asset is commanded.

    Args:
        asset: id of the asset.
        device: id of its device.
        point: id of the writable point.
        role: `setpoint_kw`, `limit_kw`, `limit_a`, `sg_state` or `run_state`.
        kind: setpoint or limit.
        lower_kw: least power that may be commanded [kW into the asset; of fuel where that is what it takes].
        upper_kw: greatest power that may be commanded [kW into the asset].
        per_kw: the point's unit per kW into the asset.
        minimum: least value at which the device runs [point unit]; below it, it pauses at zero.
        states: where the point takes numbers of states: the power of each [kW] with its number, ascending.
    """

    asset: str
    device: str
    point: str
    role: str
    kind: CommandKind
    lower_kw: float
    upper_kw: float
    per_kw: float = 1.0
    minimum: float = 0.0
    states: tuple[tuple[float, float], ...] = ()

    def to_point(self, power_kw: float | None) -> float | None:
        """Turn power into the asset into the point's value, within the bounds; None releases and stays None."""
        if power_kw is None:
            return None
        if self.states:
            return max(number for kw, number in self.states if kw <= max(power_kw, 0.0) + 1e-6)
        value = round(min(max(power_kw, self.lower_kw), self.upper_kw) * self.per_kw, 6)
        return 0.0 if abs(value) < self.minimum else value + 0.0

    def on(self, phases: int | None) -> CommandBinding:
        """Give the binding of a charge point for one or three, while it is on so many; None for any other asset."""
        return self if phases is None else replace(self, per_kw=self.per_kw * 3.0 / phases)

    def to_kw(self, value: float) -> float:
        """Turn a value of the point into power into the asset [kW]."""
        if self.states:
            return next(kw for kw, number in self.states if number == value)
        return value / self.per_kw + 0.0


@dataclass(frozen=True, slots=True)
class Bindings:
    """All bindings of a site.

    Args:
        points: point id by asset id and role, for assets with a device.
        devices: device id by asset id.
        commands: command binding by asset id, for assets that can be commanded.
        safe: declared safe power by asset id [kW]; None where it is to be released to the device's own control.
    """

    points: Mapping[str, Mapping[str, str]]
    devices: Mapping[str, str]
    commands: Mapping[str, CommandBinding]
    safe: Mapping[str, float | None]

    def measure(self, asset: str, role: str) -> str | None:
        """Give the point that measures a role of an asset; None if nothing does."""
        return self.points.get(asset, {}).get(role)

    def effect(self, asset: str) -> str | None:
        """Give the point that shows what a command does: heat sent, power, or the fuel of what has none; else None."""
        return next((p for role in EFFECTS if (p := self.measure(asset, role)) is not None), None)

    def points_of(self, asset: str) -> tuple[str, ...]:
        """Give the points by which an asset is told anything: its command, and what tells its phases."""
        command, phases = self.commands.get(asset), self.measure(asset, PHASES_ROLE)
        return () if command is None else (command.point, *([] if phases is None else [phases]))

    def command(self, asset: str) -> CommandBinding | None:
        """Give the way an asset is commanded; None for one that cannot be."""
        return self.commands.get(asset)

    def safe_kw(self, asset: str) -> float | None:
        """Give the declared safe power [kW]; None where the device falls back to its own control."""
        return self.safe.get(asset)

    def asset_of(self, device: str) -> str | None:
        """Give the asset behind a device."""
        return next((asset for asset, name in self.devices.items() if name == device), None)


def bind(site: Site) -> Bindings:
    """Bind every asset of a checked site to its device's points."""
    points: dict[str, Mapping[str, str]] = {}
    devices: dict[str, str] = {}
    commands: dict[str, CommandBinding] = {}
    safe: dict[str, float | None] = {}
    for name, asset in site.file.assets.items():
        if isinstance(asset, LoadAsset):
            continue
        device = site.file.devices[asset.device]
        profile = profile_points(device.protocol, device.profile)
        devices[name] = asset.device
        points[name] = role_points(asset.device, device, profile)
        if (command := _command(name, asset, points[name])) is not None:
            commands[name] = command
            value = device.safe.get(command.role)
            released = value is None or (command.role == SG_ROLE and value == NORMAL)
            safe[name] = None if value is None or released else command.to_kw(value)
    return Bindings(points, devices, commands, safe)


def role_points(device_id: str, device: Device, profile: ProfileInfo) -> Mapping[str, str]:
    """Give the point id of each role: the profile's own, or the one that the site file binds instead."""
    names = {role: info.point for role, info in profile.roles.items()} | device.roles
    return {role: f"{device_id}.{name}" for role, name in names.items()}


def measured_roles(asset: BaseModel) -> tuple[str, ...]:
    """Give the roles that an asset's device must measure; of an asset that may be half a one."""
    roles = MEASURED_ROLES.get(str(getattr(asset, "kind", "")), ())
    return (*roles, *GIVING_ROLES) if _gives_back(asset) else roles


def commanded_role(asset: BaseModel) -> str | None:
    """Give the role by which an asset is commanded, of one that may be half a one; None for one that is not."""
    if getattr(asset, "sg_ready", None) is not None:
        return SG_ROLE
    return "setpoint_kw" if _gives_back(asset) else COMMANDED_ROLE.get(str(getattr(asset, "kind", "")))


def _gives_back(asset: BaseModel) -> bool:
    return getattr(asset, "kind", "") == "charge_point" and getattr(asset, "discharge_kw", 0.0) > 0.0


def _command(name: str, asset: DeviceAsset, points: Mapping[str, str]) -> CommandBinding | None:
    sg_ready = asset.sg_ready if isinstance(asset, HeatPumpAsset) else None
    role = commanded_role(asset)
    if role is None or role not in points:
        return None
    range_ = command_range(asset)
    follows = role in ("setpoint_kw", SG_ROLE) and not isinstance(asset, ChargePointAsset | PipeAsset)
    kind = CommandKind.SETPOINT if follows else CommandKind.LIMIT
    states = () if sg_ready is None else _states(sg_ready.recommended_kw, range_[1])
    if isinstance(asset, DeferrableAsset):
        states = ((0.0, WAIT), (asset.most_kw, RUN))
    return CommandBinding(name, asset.device, points[role], role, kind, *range_, states)


def _states(recommended_kw: float, rated_kw: float) -> tuple[tuple[float, float], ...]:
    return (0.0, BLOCKED), (recommended_kw, RECOMMENDED), (rated_kw, FORCED)


def command_range(asset: DeviceAsset) -> tuple[float, float, float, float]:
    """Give the lower and upper power [kW], the point's unit per kW and the least running value of an asset."""
    found = (0.0, 0.0, 1.0, 0.0)
    match asset:
        case BatteryAsset():
            found = -asset.discharge_kw, asset.charge_kw, 1.0, 0.0
        case HybridAsset():
            found = -asset.rated_kw, asset.take_kw, 1.0, 0.0
        case PvAsset() | WindAsset():
            found = -asset.rated_kw, 0.0, -1.0, 0.0
        case BoilerAsset() | ElectricBoilerAsset() | HeatSourceAsset():
            found = 0.0, asset.rated_kw, 1.0, asset.minimum_kw
        case PipeAsset():
            found = 0.0, asset.rated_kw, 1.0, 0.0
        case HeatPumpAsset():
            least_kw = asset.minimum_kw if asset.sg_ready is None else asset.sg_ready.recommended_kw
            found = 0.0, asset.rated_kw, 1.0, least_kw
        case GensetAsset():
            found = -asset.rated_kw, 0.0, 1.0, asset.minimum_kw
        case DeferrableAsset():
            found = 0.0, asset.most_kw, 1.0, asset.most_kw
        case ChargePointAsset() if asset.discharge_kw > 0.0:
            least_kw = asset.minimum_a * asset.least_phases * asset.voltage_v / 1000.0
            found = -asset.discharge_kw, asset.charge_kw, 1.0, least_kw
        case ChargePointAsset():
            per_kw = 1000.0 / (asset.most_phases * asset.voltage_v)
            found = 0.0, min(asset.charge_kw, asset.maximum_a / per_kw), per_kw, asset.minimum_a
    return found


def device_spec(device: Device, *, writable: bool) -> DeviceSpec:
    """Tell a driver how its device is reached and whether it may be commanded."""
    return DeviceSpec(
        protocol=device.protocol,
        profile=device.profile,
        host=device.host,
        port=device.port,
        unit=device.unit,
        device_instance=device.device_instance,
        bacnet_network=device.bacnet_network,
        bacnet_mac=device.bacnet_mac,
        priority=device.priority,
        timeout_s=device.timeout_s,
        writable=writable,
        safe=device.safe,
    )
