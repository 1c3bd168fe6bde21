"""The meters of a site as a report sees them: which point counts which flow of energy, and what may be shown of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from ems.config.assets import (
    BatteryAsset,
    ChargePointAsset,
    DeferrableAsset,
    GensetAsset,
    HeatPumpAsset,
    Privacy,
    PvAsset,
    WindAsset,
)
from ems.config.binding import Bindings, bind
from ems.config.heat_assets import BoilerAsset, ElectricBoilerAsset, HeatSourceAsset
from ems.config.hybrid_asset import HybridAsset
from ems.config.placed import Placed
from ems.config.site import Site

ROOM = 1.5
"""A device may take so much more than its rating before its register is said to leap."""
GRID_ROOM = 3.0
"""Nobody promises that a connection stays at its limit while nobody is in control."""


class Flow(StrEnum):
    """A flow of energy over the site's boundary or within it: of electricity, but for the fuel [kWh of its heat]."""

    GRID_IMPORT = "grid_import"
    GRID_EXPORT = "grid_export"
    PV = "pv"
    WIND = "wind"
    GENSET = "genset"
    BATTERY_CHARGE = "battery_charge"
    BATTERY_DISCHARGE = "battery_discharge"
    EV = "ev"
    EV_DISCHARGE = "ev_discharge"
    HEAT_PUMP = "heat_pump"
    ELECTRIC_BOILER = "electric_boiler"
    DEFERRABLE = "deferrable"
    METERED_LOAD = "metered_load"
    FUEL = "fuel"


SIGN = {
    Flow.GRID_IMPORT: 1.0,
    Flow.GRID_EXPORT: -1.0,
    Flow.PV: 1.0,
    Flow.WIND: 1.0,
    Flow.GENSET: 1.0,
    Flow.BATTERY_CHARGE: -1.0,
    Flow.BATTERY_DISCHARGE: 1.0,
    Flow.EV: -1.0,
    Flow.EV_DISCHARGE: 1.0,
    Flow.HEAT_PUMP: -1.0,
    Flow.ELECTRIC_BOILER: -1.0,
    Flow.DEFERRABLE: -1.0,
    Flow.METERED_LOAD: -1.0,
}
"""What a flow of electricity gives to the site (+) or takes from it (-): what is left over is unaccounted for."""
END_USES = (Flow.EV, Flow.HEAT_PUMP, Flow.ELECTRIC_BOILER, Flow.DEFERRABLE, Flow.METERED_LOAD)


@dataclass(frozen=True, slots=True)
class Meter:
    """One point that counts one flow.

    Args:
        asset: id of the asset.
        flow: what is counted.
        point: id of the register, or of a power where there is no register.
        is_register: whether `point` is a register of energy.
        power_sign: 1 if a power into the asset is the flow's direction, else -1; registers count their own way.
        largest_kw: more than this never flows [kW].
        zone: of the asset; empty for none.
        is_personal: whether its zone may only be told as a sum.
        connection: that the asset hangs on; empty for the first one.
    """

    asset: str
    flow: Flow
    point: str
    is_register: bool
    power_sign: float
    largest_kw: float
    zone: str
    is_personal: bool
    connection: str = ""

    @property
    def label(self) -> str:
        """The line of a report that it belongs to: its own, or that of its zone, at one connection."""
        there = f" at {self.connection}" if self.connection else ""
        return f"zone {self.zone}: {self.flow}{there}" if self.is_personal else f"{self.asset}: {self.flow}"


@dataclass(frozen=True, slots=True)
class _Way:
    """How a kind of asset is metered: the flow, the role of its register (if any), the sign of its power.

    `power` is the role that serves without a register; empty for a flow that is there only where its register is.
    """

    flow: Flow
    register: str | None
    power_sign: float
    power: str = "power_kw"


_WAYS: Mapping[str, tuple[_Way, ...]] = {
    "grid_meter": (_Way(Flow.GRID_IMPORT, "import_kwh", 1.0), _Way(Flow.GRID_EXPORT, "export_kwh", -1.0)),
    "pv": (_Way(Flow.PV, "energy_kwh", -1.0),),
    "wind": (_Way(Flow.WIND, "energy_kwh", -1.0),),
    "battery": (_Way(Flow.BATTERY_CHARGE, None, 1.0), _Way(Flow.BATTERY_DISCHARGE, None, -1.0)),
    "hybrid": (
        _Way(Flow.PV, "sun_kwh", 1.0, power="sun_kw"),
        _Way(Flow.BATTERY_CHARGE, "store_in_kwh", 1.0, power="store_kw"),
        _Way(Flow.BATTERY_DISCHARGE, "store_out_kwh", -1.0, power="store_kw"),
    ),
    "charge_point": (_Way(Flow.EV, "energy_kwh", 1.0), _Way(Flow.EV_DISCHARGE, "discharge_kwh", -1.0, power="")),
    "heat_pump": (_Way(Flow.HEAT_PUMP, "energy_kwh", 1.0),),
    "deferrable": (_Way(Flow.DEFERRABLE, "energy_kwh", 1.0),),
    "metered_load": (_Way(Flow.METERED_LOAD, "import_kwh", 1.0),),
    "genset": (_Way(Flow.GENSET, "energy_kwh", -1.0), _Way(Flow.FUEL, "fuel_kwh", 1.0, power="")),
    "electric_boiler": (_Way(Flow.ELECTRIC_BOILER, "energy_kwh", 1.0),),
    "heat_source": (_Way(Flow.HEAT_PUMP, "energy_kwh", 1.0),),
    "chiller": (_Way(Flow.HEAT_PUMP, "energy_kwh", 1.0),),
    "boiler": (_Way(Flow.FUEL, "fuel_kwh", 1.0, power="fuel_kw"),),
}
"""By kind of asset; an asset of another kind has no meter of electricity or fuel."""


def meters_of(site: Site) -> tuple[Meter, ...]:
    """List the meters of a site in the order of its assets."""
    return tuple(_meters(site, bind(site)))


def _meters(site: Site, bindings: Bindings) -> Iterator[Meter]:
    for name, asset in site.file.assets.items():
        zone = asset.zone or ""
        is_personal = bool(zone) and site.file.zones[zone].privacy is Privacy.PERSONAL
        for way in _WAYS.get(asset.kind, ()):
            register = bindings.measure(name, way.register) if way.register else None
            point = register or (bindings.measure(name, way.power) if way.power else None)
            if point is not None:
                yield Meter(
                    asset=name,
                    flow=way.flow,
                    point=point,
                    is_register=register is not None,
                    power_sign=way.power_sign,
                    largest_kw=_fuel_kw(asset) if way.flow is Flow.FUEL else _largest_kw(site, asset),
                    zone=zone,
                    is_personal=is_personal,
                    connection=asset.connection or "",
                )


def _largest_kw(site: Site, asset: object) -> float:
    match asset:
        case PvAsset() | WindAsset() | HeatPumpAsset() | GensetAsset() | ElectricBoilerAsset() | HeatSourceAsset():
            return ROOM * asset.rated_kw
        case BatteryAsset():
            return ROOM * max(asset.charge_kw, asset.discharge_kw)
        case HybridAsset():
            return ROOM * max(asset.charge_kw, asset.discharge_kw, asset.module_kw)
        case ChargePointAsset():
            return ROOM * asset.charge_kw
        case DeferrableAsset():
            return ROOM * asset.most_kw
        case _:
            return GRID_ROOM * max(site.file.limits_kw(asset.connection if isinstance(asset, Placed) else None))


def _fuel_kw(asset: object) -> float:
    match asset:
        case GensetAsset():
            return ROOM * (asset.fuel_per_kw * asset.rated_kw + asset.fuel_idle_kw)
        case BoilerAsset():
            return ROOM * asset.rated_kw
    raise AssertionError(f"{asset} burns nothing")
