"""Which pretend device stands in front of an asset: the one whose registers or objects the site's profile promises."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ems.config.assets import (
    ASSET_KINDS,
    BatteryAsset,
    BuildingAutomation,
    ChargePointAsset,
    DeferrableAsset,
    GensetAsset,
    GridMeter,
    HeatMeter,
    HeatPumpAsset,
    MeteredLoad,
    PvAsset,
    SourceAsset,
    WindAsset,
)
from ems.config.grid_operator import GridOperator
from ems.config.heat_assets import (
    BoilerAsset,
    ElectricBoilerAsset,
    ElectricHeater,
    HeatLoadAsset,
    HeatSourceAsset,
    PipeAsset,
    TankAsset,
)
from ems.config.hybrid_asset import HybridAsset
from ems.config.site import Device, Site
from hil.endpoints import bacnet_device, heat_meter
from hil.endpoints.alfen import AlfenSocket
from hil.endpoints.bacnet_links import BacnetLink, DirectLink, Router
from hil.endpoints.bidirectional import BidirectionalGateway
from hil.endpoints.charge_boxes import BenderBox, VestelBox
from hil.endpoints.genset import GensetGateway
from hil.endpoints.heat import BoilerGateway, HeaterGateway, PipeGateway, TankProbes
from hil.endpoints.home_hub import HomeHub
from hil.endpoints.hybrid import HybridGateway
from hil.endpoints.limit_gateway import LimitGateway
from hil.endpoints.machine import MachineGateway
from hil.endpoints.solaredge import SolarEdgeInverter
from hil.endpoints.sunspec_devices import BatteryInverter, Meter, PvInverter, SubMeter
from hil.endpoints.sunspec_var import VarInverter
from hil.endpoints.wallbox import Wallbox
from hil.places import place_of

LIMIT_ROLES = ("hvac_limit_kw", "charging_limit_kw")
"""What the pretend building automation publishes, in the order of its objects."""


class WorldError(Exception):
    """The world cannot be built: the message names the thing, the value and the remedy."""


class Fronts:
    """Builds the devices of a site in front of its plant.

    Args:
        site: the site. plant: what the devices measure and steer.
    """

    def __init__(self, site: Site, plant: Any) -> None:
        self.plant = plant
        self._site = site
        self._routers: dict[tuple[str, int], Router] = {}

    def by_device(self) -> dict[str, Any]:
        """Build all of them, by device id; raises `WorldError`."""
        assets, operator = self._site.file.assets, self._site.file.grid_operator
        found = {spec.device: self._front(asset, spec) for asset, spec in assets.items() if hasattr(spec, "device")}
        named: set[str] = set()
        if operator is not None:
            named = {one.device for one in operator.registers.values()} | {
                one.device for one in operator.inputs.values()
            }
        gateways = named - found.keys()
        return found | {device: self._gateway(device) for device in sorted(gateways)}

    @property
    def connection_kw(self) -> tuple[float, float]:
        """The connection's own import and export limit [kW]."""
        return self._site.file.grid.import_limit_kw, self._site.file.grid.export_limit_kw

    def link(self, device: Device) -> BacnetLink:
        """Give a BACnet device its place: a socket, or an address behind the router there."""
        if device.bacnet_network is None or device.bacnet_mac is None:
            return DirectLink(device.host, device.port)
        address = (device.host, device.port)
        router = self._routers.setdefault(address, Router(*address))
        return router.place(device.bacnet_network, device.bacnet_mac)

    def _gateway(self, device: str) -> Any:
        build = self._builders(device).get(GridOperator)
        spec = self._site.file.devices[device]
        if build is None:
            words = f"profile {spec.profile!r} is not that of a grid operator's gateway"
            raise WorldError(f"{device}: {words}; write limit_gateway, or name the device in an asset")
        return build(self, device, self._site.file.grid_operator, spec)

    def _builders(self, name: str) -> Mapping[type, Builder]:
        device = self._site.file.devices[name]
        builders = _BUILDERS.get(device.profile)
        if builders is None or device.protocol == "simulated":
            raise WorldError(
                f"{name}: there is no pretend device for {device.protocol} profile {device.profile!r}; "
                f"write one of {', '.join(sorted(_BUILDERS))} on its own protocol"
            )
        return builders

    def _front(self, asset: str, spec: Any) -> Any:
        device, builders = self._site.file.devices[spec.device], self._builders(spec.device)
        build = builders.get(type(spec))
        if build is None:
            kinds = [kind for kind, made in ASSET_KINDS.items() if made in builders]
            fitting = " or a ".join(kinds) or "grid operator's gateway"
            raise WorldError(
                f"{spec.device}: profile {device.profile!r} does not fit {asset}, a {spec.kind}; "
                f"it is the profile of a {fitting}"
            )
        return build(self, asset, spec, device)


Builder = Callable[[Fronts, str, Any, Device], Any]


def _meter(fronts: Fronts, asset: str, spec: GridMeter, _: Device) -> Meter:
    return Meter(fronts.plant, asset, place_of(spec))


def _sub_meter(fronts: Fronts, asset: str, spec: MeteredLoad, _: Device) -> SubMeter:
    return SubMeter(fronts.plant, asset, place_of(spec))


def _pv(fronts: Fronts, asset: str, spec: SourceAsset, _: Device) -> PvInverter:
    return PvInverter(fronts.plant, asset, place_of(spec), spec.rated_kw)


def _pv_var(fronts: Fronts, asset: str, spec: SourceAsset, _: Device) -> VarInverter:
    return VarInverter(fronts.plant, asset, place_of(spec), spec.rated_kw)


def _solaredge(fronts: Fronts, asset: str, spec: PvAsset, _: Device) -> SolarEdgeInverter:
    return SolarEdgeInverter(fronts.plant, asset, place_of(spec), spec.rated_kw)


def _battery(fronts: Fronts, asset: str, spec: BatteryAsset, _: Device) -> BatteryInverter:
    return BatteryInverter(fronts.plant, asset, place_of(spec), spec.charge_kw, spec.capacity_kwh)


def _hybrid(fronts: Fronts, asset: str, spec: HybridAsset, _: Device) -> HybridGateway:
    return HybridGateway(fronts.plant, asset, rated_kw=spec.rated_kw, take_kw=spec.take_kw)


def _heat_meter(fronts: Fronts, _: str, spec: HeatMeter, __: Device) -> heat_meter.HeatMeter:
    return heat_meter.HeatMeter(fronts.plant, spec.of)


def _heat_load(fronts: Fronts, asset: str, _: HeatLoadAsset, __: Device) -> heat_meter.HeatMeter:
    return heat_meter.HeatMeter(fronts.plant, asset)


def _probes(fronts: Fronts, asset: str, _: TankAsset, __: Device) -> TankProbes:
    return TankProbes(fronts.plant, asset)


def _boiler(fronts: Fronts, asset: str, spec: BoilerAsset, _: Device) -> BoilerGateway:
    return BoilerGateway(fronts.plant, asset, rated_kw=spec.rated_kw)


def _heater(fronts: Fronts, asset: str, spec: ElectricHeater, _: Device) -> HeaterGateway:
    return HeaterGateway(fronts.plant, asset, rated_kw=spec.rated_kw)


def _pipe(fronts: Fronts, asset: str, spec: PipeAsset, _: Device) -> PipeGateway:
    return PipeGateway(fronts.plant, asset, rated_kw=spec.rated_kw)


def _heat_pump(fronts: Fronts, asset: str, spec: HeatPumpAsset, device: Device) -> bacnet_device.BacnetDevice:
    link, instance = fronts.link(device), device.device_instance or 0
    return bacnet_device.BacnetDevice(fronts.plant, asset, rated_kw=spec.rated_kw, link=link, instance=instance)


def _home_hub(fronts: Fronts, asset: str, spec: HeatPumpAsset, _: Device) -> HomeHub:
    recommended_kw = spec.rated_kw if spec.sg_ready is None else spec.sg_ready.recommended_kw
    return HomeHub(fronts.plant, asset, recommended_kw=recommended_kw, rated_kw=spec.rated_kw)


def _genset(fronts: Fronts, asset: str, spec: GensetAsset, _: Device) -> GensetGateway:
    return GensetGateway(fronts.plant, asset, rated_kw=spec.rated_kw)


def _machine(fronts: Fronts, asset: str, spec: DeferrableAsset, _: Device) -> MachineGateway:
    return MachineGateway(fronts.plant, asset, run_kw=spec.most_kw)


def _building(fronts: Fronts, asset: str, _: BuildingAutomation, device: Device) -> bacnet_device.BuildingAutomation:
    link, instance = fronts.link(device), device.device_instance or 0
    return bacnet_device.BuildingAutomation(fronts.plant, asset, LIMIT_ROLES, link=link, instance=instance)


def _limit_gateway(fronts: Fronts, _: str, __: GridOperator, ___: Device) -> LimitGateway:
    return LimitGateway(*fronts.connection_kw)


def _bidirectional(fronts: Fronts, asset: str, spec: ChargePointAsset, _: Device) -> BidirectionalGateway:
    return BidirectionalGateway(fronts.plant, asset, charge_kw=spec.charge_kw, discharge_kw=spec.discharge_kw)


def _box(make: Callable[..., Any]) -> Builder:
    def build(fronts: Fronts, asset: str, spec: ChargePointAsset, _: Device) -> Any:
        return make(fronts.plant, asset, place_of(spec), phases=spec.most_phases, voltage_v=spec.voltage_v)

    return build


_BUILDERS: Mapping[str, Mapping[type, Builder]] = {
    "sunspec_meter": {GridMeter: _meter, MeteredLoad: _sub_meter},
    "sunspec_pv": {PvAsset: _pv, WindAsset: _pv},
    "sunspec_pv_var": {PvAsset: _pv_var, WindAsset: _pv_var},
    "solaredge_inverter": {PvAsset: _solaredge},
    "sunspec_battery": {BatteryAsset: _battery},
    "hybrid_inverter": {HybridAsset: _hybrid},
    "alfen_ng9xx": {ChargePointAsset: _box(AlfenSocket)},
    "amperfied_wallbox": {ChargePointAsset: _box(Wallbox)},
    "bidirectional_charger": {ChargePointAsset: _bidirectional},
    "bender_cc612": {ChargePointAsset: _box(BenderBox)},
    "vestel_evc04": {ChargePointAsset: _box(VestelBox)},
    "heat_meter": {HeatMeter: _heat_meter, HeatLoadAsset: _heat_load},
    "tank_sensors": {TankAsset: _probes},
    "boiler": {BoilerAsset: _boiler},
    "pipe_pump": {PipeAsset: _pipe},
    "electric_heater": {ElectricBoilerAsset: _heater, HeatSourceAsset: _heater},
    "limit_gateway": {GridOperator: _limit_gateway},
    "heat_pump": {HeatPumpAsset: _heat_pump},
    "daikin_homehub": {HeatPumpAsset: _home_hub},
    "genset": {GensetAsset: _genset},
    "deferrable_load": {DeferrableAsset: _machine},
    "building_automation": {BuildingAutomation: _building},
}
