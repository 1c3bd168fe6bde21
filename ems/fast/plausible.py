"""What a point can possibly tell. A value beyond that was spoilt on its way: it steers nothing. Pure.

A device or a gateway that has lost its mind answers well-formed nonsense, and a protocol passes it on as it is. Nothing
that takes 6 kW is measured to give 30.
"""

from __future__ import annotations

from ems.config.assets import GridMeter, SteeredAsset
from ems.config.binding import Bindings, command_range
from ems.config.heat_assets import BoilerAsset, TankAsset
from ems.config.hybrid_asset import HybridAsset
from ems.config.site import Site

Range = tuple[float, float]
"""Least and greatest value, in the point's unit."""

TIMES_RATED = 2.0
"""An asset is believed to take or give so many times its rating."""
TIMES_CONNECTED = 3.0
"""A connection is believed to carry so many times its limits, or all ratings behind it."""
MARGIN_KW = 1.0
CHARGE_PCT: Range = (-1.0, 101.0)
ZONE_C: Range = (-40.0, 80.0)
WATER_C: Range = (-5.0, 200.0)
REGISTERS = ("import_kwh", "export_kwh", "energy_kwh", "charge_kwh", "discharge_kwh")


def believable(site: Site, bindings: Bindings) -> tuple[dict[str, Range], dict[str, float]]:
    """Give what a process image believes: ranges of points, and speeds of registers."""
    return plausible_ranges(site, bindings), register_speeds(site, bindings)


def plausible_ranges(site: Site, bindings: Bindings) -> dict[str, Range]:
    """Give the range of every point that steering rests on: powers, charge and temperatures."""
    ranges: dict[str, Range] = {}
    rated_kw: dict[str, float] = {}
    for asset, spec in site.file.assets.items():
        if isinstance(spec, SteeredAsset):
            lower_kw, upper_kw, _, _ = command_range(spec)
            rated_kw[asset] = max(abs(lower_kw), abs(upper_kw))
            _put(ranges, bindings, asset, "power_kw", _around(TIMES_RATED * rated_kw[asset]))
            _put(ranges, bindings, asset, "soc_pct", CHARGE_PCT)
            _put(ranges, bindings, asset, "temperature_c", ZONE_C)
            _put(ranges, bindings, asset, "sent_kw", _around(TIMES_RATED * rated_kw[asset]))
            if isinstance(spec, HybridAsset):
                within_kw = max(rated_kw[asset], spec.module_kw, spec.charge_kw, spec.discharge_kw)
                for role in ("sun_kw", "store_kw"):
                    _put(ranges, bindings, asset, role, _around(TIMES_RATED * within_kw))
        elif isinstance(spec, BoilerAsset):
            _put(ranges, bindings, asset, "fuel_kw", _around(TIMES_RATED * spec.rated_kw))
        elif isinstance(spec, TankAsset):
            _put(ranges, bindings, asset, "temperature_c", WATER_C)
    for asset, spec in site.file.assets.items():
        if isinstance(spec, GridMeter):
            behind = [kw for name, kw in rated_kw.items() if site.file.assets[name].connection == spec.connection]
            most_kw = max(*site.file.limits_kw(spec.connection), sum(behind))
            _put(ranges, bindings, asset, "power_kw", _around(TIMES_CONNECTED * most_kw))
    return ranges


def register_speeds(site: Site, bindings: Bindings) -> dict[str, float]:
    """Give how fast the energy registers of what has a rating can move at the most, by point [kWh/s]."""
    ranges = plausible_ranges(site, bindings)
    speeds: dict[str, float] = {}
    for asset in site.file.assets:
        power = bindings.measure(asset, "power_kw")
        if power in ranges:
            for role in REGISTERS:
                if (point := bindings.measure(asset, role)) is not None:
                    speeds[point] = ranges[power][1] / 3600.0
    return speeds


def _around(kw: float) -> Range:
    return -kw - MARGIN_KW, kw + MARGIN_KW


def _put(ranges: dict[str, Range], bindings: Bindings, asset: str, role: str, span: Range) -> None:
    point = bindings.measure(asset, role)
    if point is not None:
        ranges[point] = span
