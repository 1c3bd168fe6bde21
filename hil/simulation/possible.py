"""What an asset can do by its site file, and what a point can possibly tell.

A value beyond that was spoilt on its way, and is no knowledge.
"""

from __future__ import annotations

from collections.abc import Mapping

from ems.config.assets import (
    BatteryAsset,
    ChargePointAsset,
    DeferrableAsset,
    GridMeter,
    HeatPumpAsset,
    PvAsset,
    WindAsset,
)
from ems.config.binding import Bindings
from ems.config.heat_assets import BoilerAsset, ElectricBoilerAsset, HeatMaker, HeatSourceAsset, PipeAsset, TankAsset
from ems.config.hybrid_asset import HybridAsset
from ems.config.site import Site

Range = tuple[float, float]
NEEDED = {
    BatteryAsset: "soc_pct",
    HybridAsset: "soc_pct",
    ChargePointAsset: "state",
    HeatPumpAsset: "temperature_c",
    DeferrableAsset: "state",
}
CHARGE: Range = (-1.0, 101.0)
ZONE_C: Range = (-40.0, 80.0)
WATER_C: Range = (-5.0, 200.0)
TWICE, THRICE, MORE_KW = 2.0, 3.0, 1.0
"""An asset is believed to take or give twice its rating, the connection thrice its limits or all ratings behind it."""


def possible(site: Site, bindings: Bindings) -> Mapping[str, Range]:
    """Give the least and the greatest value of the points that steering rests on [units of the points]."""
    found: dict[str, Range] = {}
    ratings_kw = sum(_rating_kw(spec) for spec in site.file.assets.values())
    for asset, spec in site.file.assets.items():
        if isinstance(spec, GridMeter):
            grid = site.file.grid
            most_kw = THRICE * max(grid.import_limit_kw, grid.export_limit_kw, ratings_kw) + MORE_KW
        elif isinstance(spec, TankAsset):
            found[str(bindings.measure(asset, "temperature_c"))] = WATER_C
            continue
        elif (rating_kw := _rating_kw(spec)) > 0.0:
            most_kw = TWICE * rating_kw + MORE_KW
        else:
            continue
        ranges = {"power_kw": (-most_kw, most_kw), "fuel_kw": (-most_kw, most_kw)}
        ranges |= {"soc_pct": CHARGE, "temperature_c": ZONE_C}
        for role, span in ranges.items():
            if (point := bindings.measure(asset, role)) is not None:
                found[point] = span
    return found


def able_kw(spec: object) -> tuple[float, float, float] | None:
    """Give the least and the greatest power of an asset and from where on it runs [kW]; None if it is not commanded."""
    match spec:
        case BatteryAsset():
            return -spec.discharge_kw, spec.charge_kw, 0.0
        case PvAsset() | WindAsset() | HybridAsset():
            return -spec.rated_kw, getattr(spec, "take_kw", 0.0), 0.0
        case HeatPumpAsset() | BoilerAsset() | ElectricBoilerAsset() | HeatSourceAsset() | PipeAsset():
            return 0.0, spec.rated_kw, getattr(spec, "minimum_kw", 0.0)
        case ChargePointAsset():
            per_a = spec.voltage_v / 1000.0
            in_amperes = spec.discharge_kw == 0.0
            upper_kw = min(spec.charge_kw, spec.maximum_a * spec.most_phases * per_a) if in_amperes else spec.charge_kw
            return -spec.discharge_kw, upper_kw, spec.minimum_a * spec.least_phases * per_a
        case DeferrableAsset():
            return 0.0, spec.most_kw, spec.most_kw
        case _:
            return None


def rests_on(site: Site, asset: str) -> list[tuple[str, str]]:
    """Name asset and role of what steering an asset rests on: its power or fuel, and its state or that of its tank."""
    spec, assets = site.file.assets[asset], site.file.assets
    roles = ("power_kw", "fuel_kw", "sent_kw", "sun_kw", NEEDED.get(type(spec), ""))
    wanted = [(asset, role) for role in roles]
    if isinstance(spec, HeatMaker | PipeAsset):
        ends = (spec.heat_node, getattr(spec, "to_node", ""))
        tanks = {name: one for name, one in assets.items() if isinstance(one, TankAsset)}
        wanted += [(name, "temperature_c") for name, tank in tanks.items() if tank.heat_node in ends]
    return wanted


def cuts_run(spec: object, kw: float | None, state: float | None, rung: str) -> bool:
    """Tell whether a command [kW] interrupts a run that nothing may interrupt; a safe value is its device's affair."""
    return isinstance(spec, DeferrableAsset) and spec.piece_s is None and kw == 0.0 and state == 2.0 and rung != "safe"


def _rating_kw(spec: object) -> float:
    match spec:
        case BatteryAsset():
            return max(spec.charge_kw, spec.discharge_kw)
        case HybridAsset():
            return max(spec.rated_kw, spec.take_kw)
        case PvAsset() | WindAsset() | HeatPumpAsset() | BoilerAsset() | ElectricBoilerAsset() | HeatSourceAsset():
            return spec.rated_kw
        case ChargePointAsset():
            return max(spec.charge_kw, spec.discharge_kw)
        case DeferrableAsset():
            return spec.most_kw
        case _:
            return 0.0
