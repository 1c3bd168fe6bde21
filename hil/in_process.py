"""A plant without sockets behind the drivers' contract, for the arms that a controller is compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from drivers.driver import DriverClock
from drivers.points import Measurement, Outcome, Point, Quality, Setpoint, WriteResult
from drivers.profiles import ProfileInfo
from drivers.registry import profile_points
from ems.config.assets import (
    AssetSpec,
    BuildingAutomation,
    ChargePointAsset,
    GridMeter,
    HeatMeter,
    LoadAsset,
    MeteredLoad,
)
from ems.config.binding import KVAR_ROLE, Bindings, CommandBinding
from ems.config.site import Site
from hil.places import place_of
from hil.plant.feeder import Plant

NOMINAL_V = 230.0
NOMINAL_HZ = 50.0
CHARGING_KW = 0.1


class PlantDriver:
    """One device of a plant, read and commanded by plain calls.

    Args:
        device: id of the device.
        asset: id of the asset behind it. spec: that asset.
        info: what its profile offers.
        command: how the asset is commanded; None for a meter.
    """

    def __init__(
        self,
        plant: Plant,
        clock: DriverClock,
        info: ProfileInfo,
        *,
        device: str,
        asset: str,
        spec: AssetSpec,
        command: CommandBinding | None,
    ) -> None:
        self._plant, self._clock, self._info = plant, clock, info
        self._device, self._asset, self._spec, self._command = device, asset, spec, command
        self._points = {role.at(device).id: role.at(device) for role in info.roles.values()}
        self._held: float | None = None
        self._held_kvar: float | None = None

    @property
    def device(self) -> str:
        """Id of the device."""
        return self._device

    @property
    def points(self) -> Mapping[str, Point]:
        """All points by id."""
        return self._points

    @property
    def has_watchdog(self) -> bool:
        """Whether the real device would fall back by itself."""
        return self._info.has_watchdog

    async def read(self) -> Sequence[Measurement]:
        """Read every point from the plant's present state."""
        told = self._tells()
        now, now_s = self._clock.now(), self._clock.monotonic()
        points = {name: f"{self._device}.{role.point}" for name, role in self._info.roles.items()}
        return [
            Measurement(point, told[name], now, now_s)
            if name in told
            else Measurement(point, None, now, now_s, Quality.BAD, "the plant does not tell it")
            for name, point in points.items()
        ]

    async def write(self, setpoints: Sequence[Setpoint], lease_s: float) -> Sequence[WriteResult]:  # noqa: ARG002
        """Command the plant."""
        return [self._take(setpoint) for setpoint in setpoints]

    async def close(self) -> None:
        """Nothing to close."""

    def _take(self, setpoint: Setpoint) -> WriteResult:
        command = self._command
        if setpoint.point == f"{self._device}.{KVAR_ROLE}" and KVAR_ROLE in self._info.roles:
            self._held_kvar = setpoint.value
            self._plant.command_kvar(self._asset, setpoint.value)
            return WriteResult(setpoint.point, Outcome.APPLIED, setpoint.value)
        if command is None or setpoint.point != command.point:
            return WriteResult(setpoint.point, Outcome.REFUSED, None, "not a point that can be written")
        self._held = setpoint.value
        self._plant.command(self._asset, None if setpoint.value is None else command.to_kw(setpoint.value))
        return WriteResult(setpoint.point, Outcome.APPLIED, setpoint.value)

    def _tells(self) -> dict[str, float]:
        told = told_by(self._plant, self._asset, self._spec)
        if self._command is not None:
            told[self._command.role] = 0.0 if self._held is None else self._held
        if self._held_kvar is not None:
            told[KVAR_ROLE] = self._held_kvar
        return told


def told_by(plant: Plant, asset: str, spec: AssetSpec) -> dict[str, float]:
    """Give what an asset's device measures, by role."""
    match spec:
        case GridMeter():
            return _meter(plant, spec)
        case MeteredLoad():
            state = plant.state(asset)
            volts = plant.voltage_pu(place_of(spec)) * NOMINAL_V
            return {"power_kw": state["power_kw"], "import_kwh": state["energy_kwh"], "voltage_v": volts}
        case HeatMeter():
            return dict(plant.state(spec.of))
        case BuildingAutomation():
            return dict(plant.published_limits(asset))
        case ChargePointAsset():
            told = dict(plant.state(asset))
            moving = 2.0 if told["power_kw"] > CHARGING_KW else 3.0 if told["power_kw"] < -CHARGING_KW else 1.0
            return told | {"state": told["connected"] * moving}
        case _:
            return dict(plant.state(asset))


def _meter(plant: Plant, spec: GridMeter) -> dict[str, float]:
    return {
        "power_kw": plant.grid.import_kw,
        "import_kwh": plant.import_kwh,
        "export_kwh": plant.export_kwh,
        "voltage_v": plant.voltage_pu(place_of(spec)) * NOMINAL_V,
        "frequency_hz": NOMINAL_HZ,
    }


def plant_drivers(plant: Plant, site: Site, bindings: Bindings, clock: DriverClock) -> dict[str, PlantDriver]:
    """Put the drivers' contract in front of every device of a plant, by device id."""
    drivers = {}
    for asset, spec in site.file.assets.items():
        if isinstance(spec, LoadAsset):
            continue
        device = site.file.devices[spec.device]
        command = bindings.command(asset)
        info = profile_points(device.protocol, device.profile)
        drivers[spec.device] = PlantDriver(
            plant, clock, info, device=spec.device, asset=asset, spec=spec, command=command
        )
    return drivers
