"""Judges the heat of a run: what houses did not get, where tanks were, and what heat left in them saves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ems.config.asset_models import asset_model
from ems.config.heat_assets import (
    BoilerAsset,
    ElectricBoilerAsset,
    HeatLoadAsset,
    HeatMaker,
    HeatSourceAsset,
    TankAsset,
)
from ems.config.site import Site
from hil.plant.feeder import Plant
from hil.plant.records import RECORD_S
from optimization.assets import HeatSource, HeatSourceInputs
from optimization.assets.heat_source import cop
from optimization.weights import Weights

COLD_PER_KWH = Weights().unheated
"""What a kWh of heat costs that nobody gets, as plans have it [currency/kWh]."""


def heat_told(site: Site, plant: Plant) -> dict[str, Any]:
    """Tell heat that was missing [kWh], how far tanks were outside of their bands [Kh], and holds against legionella.

    Nothing without a node; nothing of holds without a tank that has to become hot.
    """
    tanks = _of(site, TankAsset)
    if not tanks:
        return {}
    outside_kh = sum(_outside_kh(spec, name, plant) for name, spec in tanks.items())
    holds = {n: _holds(s, n, plant) for n, s in tanks.items() if s.hygiene_every_h is not None}
    return {
        "heat": {"cold_kwh": _cold_kwh(site, plant), "outside_kh": outside_kh} | ({"holds": holds} if holds else {})
    }


def heat_parts(site: Site, plant: Plant, mean_price: float) -> dict[str, float]:
    """Give what missing heat costs, and less what heat left in tanks saves [currency]; nothing without a node."""
    tanks = _of(site, TankAsset)
    if not tanks:
        return {}
    stored = sum(_stored_kwh(s, n, plant) * _making_cost(site, s, plant, mean_price) for n, s in tanks.items())
    return {"cold": COLD_PER_KWH * _cold_kwh(site, plant), "stored_heat": -stored}


def burnt(site: Site, plant: Plant) -> float:
    """Give what boilers have cost: fuel with its carbon, and starts [currency]."""
    carbon_price, total = site.file.planning.carbon_price_per_kg, 0.0
    for name, spec in _of(site, BoilerAsset).items():
        state = plant.state(name)
        total += state["fuel_kwh"] * (spec.fuel_price_per_kwh + carbon_price * spec.fuel_kg_per_kwh)
        total += state["starts"] * spec.start_cost
    return total


def _of(site: Site, kind: Any) -> Mapping[str, Any]:
    return {name: spec for name, spec in site.file.assets.items() if isinstance(spec, kind)}


def _cold_kwh(site: Site, plant: Plant) -> float:
    return float(sum(plant.state(name)["cold_kwh"] for name in _of(site, HeatLoadAsset)))


def _outside_kh(spec: TankAsset, name: str, plant: Plant) -> float:
    water_c = plant.records[f"{name}:temperature_c"]
    outside = np.maximum(spec.low_c - water_c, 0.0) + np.maximum(water_c - spec.high_c, 0.0)
    return float(outside.sum()) * RECORD_S / 3600.0


def _holds(spec: TankAsset, name: str, plant: Plant) -> int:
    """Count how often the true water was hot for as long as it has to be."""
    hot = np.concatenate([[False], plant.records[f"{name}:temperature_c"] >= spec.hygiene_c, [False]])
    begun, ended = (np.flatnonzero(np.diff(hot.astype(int)) == sign) for sign in (1, -1))
    return int(((ended - begun) * RECORD_S >= spec.hygiene_hold_s).sum())


def _stored_kwh(spec: TankAsset, name: str, plant: Plant) -> float:
    """Give what is left of heat or cold at the end more than at the start, by the site file's figures [kWh]."""
    water_c = plant.records[f"{name}:temperature_c"]
    if not len(water_c):
        return 0.0
    end_k, start_k = (
        max(spec.beyond_k(c, spec.empty_c), 0.0) for c in (float(water_c[-1]), plant.began[name]["temperature_c"])
    )
    return spec.capacity_kwh_per_k * (end_k - start_k)


def _making_cost(site: Site, tank: TankAsset, plant: Plant, mean_price: float) -> float:
    """Give what a kWh of heat costs to make in the cheapest way [currency/kWh]; 0 where only an engine gives it."""
    makers = {n: s for n, s in _of(site, HeatMaker).items() if s.heat_node == tank.heat_node}
    return min((_cost(site, name, spec, plant, mean_price) for name, spec in makers.items()), default=0.0)


def _cost(site: Site, name: str, spec: HeatMaker, plant: Plant, mean_price: float) -> float:
    match spec:
        case BoilerAsset():
            carbon = site.file.planning.carbon_price_per_kg * spec.fuel_kg_per_kwh
            return (spec.fuel_price_per_kwh + carbon) / spec.efficiency
        case ElectricBoilerAsset():
            return mean_price / spec.efficiency
        case HeatSourceAsset():
            times = plant.records["time_s"][::30]
            outdoor_c = np.array([plant.weather.outdoor_c(s) for s in times])
            source_c = outdoor_c if spec.source_c is None else np.full(len(times), spec.source_c)
            model = asset_model(name, spec)
            assert isinstance(model, HeatSource)
            inputs = HeatSourceInputs(False, 0.0, source_c, np.full(len(times), spec.supply_c))
            return mean_price / float(cop(model, inputs).mean())
