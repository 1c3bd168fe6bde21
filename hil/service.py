"""What people got out of a run: drivers their energy, zones their comfort, buildings their own limits respected."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ems.comfort import is_occupied
from ems.config.assets import Comfort, HeatPumpAsset
from ems.config.site import Site
from hil.plant.charge_point import Departure
from hil.plant.draws import Floats
from hil.plant.feeder import Plant
from hil.plant.records import RECORD_S

SHORT_SHARE = 0.95
"""A driver whose car leaves with less than this share of its wish is short."""
GRACE_S = 60.0
"""A building has so long to follow its own limit."""
TOLERANCE = 0.02
NOWHERE = "site"


def ev_shortfall_kwh(plant: Plant) -> float:
    """Add up what cars missed when they left [kWh]."""
    return float(sum(max(0.0, left.wanted_kwh - left.delivered_kwh) for left in plant.departures()))


def drivers(plant: Plant) -> dict[str, float]:
    """Count the drivers that have left: how many, how many short, how many without a point, and their waiting [h]."""
    left = plant.departures()
    waited_h = [each.waited_s / 3600.0 for each in left]
    return {
        "left": len(left),
        "short": sum(map(_is_short, left)),
        "gave_up": sum(len(park.gave_up) for park in plant.parks.values()),
        "waited": sum(hours > 0.0 for hours in waited_h),
        "waiting_h": sum(waited_h),
        "longest_wait_h": max(waited_h, default=0.0),
    }


def _is_short(left: Departure) -> bool:
    return left.delivered_kwh < SHORT_SHARE * left.wanted_kwh


def comfort_by_zone_kh(site: Site, plant: Plant) -> dict[str, float]:
    """Add up the kelvin-hours outside the comfort band by zone of the district; `site` for those of none [Kh]."""
    zone = ZoneInfo(site.file.site.timezone)
    times = plant.records["time_s"]
    found: dict[str, float] = {}
    for name, air_c in plant.records.ending(":temperature_c").items():
        spec = site.file.assets[name]
        if isinstance(spec, HeatPumpAsset):
            low, high = _band(spec.comfort, plant, times, zone)
            outside = np.maximum(low - air_c, 0.0) + np.maximum(air_c - high, 0.0)
            where = spec.zone or NOWHERE
            found[where] = found.get(where, 0.0) + float(outside.sum()) * RECORD_S / 3600.0
    return found


def automation_excess_kwh(plant: Plant, from_s: float = 0.0) -> float:
    """Add up the energy above what building automation allowed, a minute of grace and 2 % left aside [kWh].

    Steps before `from_s` do not count: nobody was in control yet.
    """
    records, total = plant.records, 0.0
    counted = records["time_s"] > from_s + GRACE_S if from_s > 0.0 else records["time_s"] > 0.0
    for name, system in plant.automations.items():
        for role, rule in system.rules.items():
            allowed_kw = _lately_highest(records[f"{name}:{role}"]) * (1.0 + TOLERANCE)
            excess_kw = np.maximum(records[f"{rule.asset}:power_kw"] - allowed_kw, 0.0)
            total += float(excess_kw[counted].sum()) * RECORD_S / 3600.0
    return total


def as_told(site: Site, plant: Plant, from_s: float) -> Mapping[str, Any]:
    """Put all of it into the keys of a verdict; limits of buildings count from `from_s` on [s since the start]."""
    zones = comfort_by_zone_kh(site, plant)
    return {
        "ev_shortfall_kwh": ev_shortfall_kwh(plant),
        "drivers": drivers(plant),
        "comfort_kh": sum(zones.values()),
        "comfort_by_zone_kh": zones,
        "automation_excess_kwh": automation_excess_kwh(plant, from_s),
    }


def _lately_highest(values: Floats) -> Floats:
    """Give the highest value of the last minute at each step, shape as given."""
    before = round(GRACE_S / RECORD_S) - 1
    if not len(values):
        return values
    padded = np.concatenate([np.repeat(values[:1], before), values])
    return np.asarray(sliding_window_view(padded, before + 1).max(axis=1), dtype=float)


def _band(comfort: Comfort, plant: Plant, times_s: Floats, zone: ZoneInfo) -> tuple[Floats, Floats]:
    """Give floor and ceiling of the comfort band at each instant [degC]."""
    occupied = np.array(
        [is_occupied(comfort, (plant.start + timedelta(seconds=float(s))).astimezone(zone)) for s in times_s]
    )
    low = np.where(occupied, comfort.occupied_low_c, comfort.low_c)
    return low, np.where(occupied, comfort.occupied_high_c, comfort.high_c)
