"""Turns what a site file says of its assets into what the planner plans with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from ems.config.assets import (
    BatteryAsset,
    ChargePointAsset,
    DeferrableAsset,
    GensetAsset,
    HeatPumpAsset,
    LoadAsset,
    MeteredLoad,
    Onlooker,
    PoweredAsset,
    PvAsset,
    SourceAsset,
    WindAsset,
)
from ems.config.heat_assets import (
    HOTTER_K,
    BoilerAsset,
    ElectricBoilerAsset,
    HeatLoadAsset,
    HeatOnly,
    HeatSourceAsset,
    PipeAsset,
    TankAsset,
)
from ems.config.hybrid_asset import HybridAsset
from ems.config.on_phase import phase_of
from ems.config.site import Site
from optimization.assets import (
    Asset,
    Battery,
    Boiler,
    ChargePoint,
    Deferrable,
    ElectricBoiler,
    Genset,
    HeatLoad,
    HeatPump,
    HeatSource,
    Hybrid,
    Load,
    Pipe,
    Pv,
    Tank,
    Wind,
)
from optimization.assets.deferrable import Programme, interruptible
from optimization.phases import on_phase
from optimization.weights import Weights

PlannedAsset = PoweredAsset


def planned_assets(site: Site) -> dict[str, PlannedAsset]:
    """Give every asset that takes or gives power, in the order of the site file."""
    return {name: spec for name, spec in site.file.assets.items() if not isinstance(spec, Onlooker)}


def heat_assets(site: Site) -> dict[str, HeatOnly]:
    """Give every asset that deals in heat alone, in the order of the site file."""
    return {name: spec for name, spec in site.file.assets.items() if isinstance(spec, HeatOnly)}


def heat_models(site: Site) -> dict[str, Asset]:
    """Give the planner's description of every asset that deals in heat alone."""
    return {name: asset_model(name, spec) for name, spec in heat_assets(site).items()}


def asset_models(site: Site, buses: Mapping[str, int]) -> dict[str, Asset]:
    """Give the planner's description of every powered asset; `buses` maps bus names to the grid's indices."""
    return {name: asset_model(name, spec, _place(spec, buses)) for name, spec in planned_assets(site).items()}


def _place(spec: PlannedAsset, buses: Mapping[str, int]) -> int:
    """Number the bus of an asset, or the one phase of it."""
    bus, phase = buses.get(spec.bus, -1), phase_of(spec)
    return bus if phase is None or bus < 0 else on_phase(bus, phase)


def asset_model(name: str, spec: PlannedAsset | HeatOnly, bus: int = -1) -> Asset:
    """Give the planner's description of one asset at a bus of the grid, by its index."""
    return _MODELS[type(spec)](name, spec, bus)


def _load(name: str, spec: LoadAsset | MeteredLoad, bus: int) -> Load:
    return Load(name, bus, spec.power_factor, spec.shed_rank, spec.critical)


def _source(name: str, spec: SourceAsset, bus: int) -> Pv | Wind:
    made = Wind if isinstance(spec, WindAsset) else Pv
    return made(name, spec.rated_kw, bus, spec.power_factor)


def _battery(name: str, spec: BatteryAsset, bus: int) -> Battery:
    return replace(
        _store(name, spec),
        bus=bus,
        charge_curve=spec.charge_curve,
        discharge_curve=spec.discharge_curve,
        charge_taper_pct=spec.charge_taper_pct,
        discharge_taper_pct=spec.discharge_taper_pct,
        depth_wear=spec.depth_wear,
        over_warranty_per_kwh=spec.over_warranty_per_kwh,
    )


def _store(name: str, spec: BatteryAsset | HybridAsset) -> Battery:
    return Battery(
        id=name,
        capacity_kwh=spec.capacity_kwh,
        charge_kw=spec.charge_kw,
        discharge_kw=spec.discharge_kw,
        charge_efficiency=spec.charge_efficiency,
        discharge_efficiency=spec.discharge_efficiency,
        standby_kw=spec.standby_kw,
        soc_min_pct=spec.soc_min_pct,
        soc_max_pct=spec.soc_max_pct,
        wear_per_kwh=spec.wear_per_kwh,
    )


def _hybrid(name: str, spec: HybridAsset, bus: int) -> Hybrid:
    return Hybrid(
        id=name,
        battery=_store(name, spec),
        rated_kw=spec.rated_kw,
        bus=bus,
        take_kw=spec.take_kw,
        give_efficiency=spec.give_efficiency,
        take_efficiency=spec.take_efficiency,
        power_factor=spec.power_factor,
    )


def _charge_point(name: str, spec: ChargePointAsset, bus: int) -> ChargePoint:
    """Describe a charge point; one that switches phases is continuous from the least of one to the most of three."""
    kw_per_a = spec.voltage_v / 1000.0
    return ChargePoint(
        id=name,
        bus=bus,
        charge_kw=min(spec.charge_kw, spec.maximum_a * spec.most_phases * kw_per_a),
        minimum_kw=spec.minimum_a * spec.least_phases * kw_per_a,
        efficiency=spec.efficiency,
        power_factor=spec.power_factor,
        keeps_minimum=spec.keeps_minimum,
        discharge_kw=spec.discharge_kw,
        leaves_early=bool(spec.leaves_early_h),
    )


def _heat_pump(name: str, spec: HeatPumpAsset, bus: int) -> HeatPump:
    return HeatPump(
        id=name,
        bus=bus,
        rated_kw=spec.rated_kw,
        air_kwh_per_k=spec.air_kwh_per_k,
        mass_kwh_per_k=spec.mass_kwh_per_k,
        air_mass_k_per_kw=spec.air_mass_k_per_kw,
        air_out_k_per_kw=spec.air_out_k_per_kw,
        mass_out_k_per_kw=spec.mass_out_k_per_kw,
        cop_0=spec.cop_0,
        cop_slope=spec.cop_slope,
        power_factor=spec.power_factor,
    )


def _genset(name: str, spec: GensetAsset, bus: int) -> Genset:
    return Genset(
        id=name,
        bus=bus,
        rated_kw=spec.rated_kw,
        least_kw=spec.minimum_kw,
        fuel_per_kw=spec.fuel_per_kw,
        fuel_idle_kw=spec.fuel_idle_kw,
        least_run_s=spec.minimum_on_s,
        least_stand_s=spec.minimum_off_s,
        start_cost=spec.start_cost,
        run_per_h=spec.run_cost_per_h,
        power_factor=spec.power_factor,
        heat_node=spec.heat_node or "",
        heat_per_kw=spec.heat_per_kw,
        heat_idle_kw=spec.heat_idle_kw,
    )


def _deferrable(name: str, spec: DeferrableAsset, bus: int) -> Deferrable:
    if spec.piece_s is not None:
        programmes = interruptible(spec.most_kw, spec.length_s, spec.piece_s)
    else:
        powers_kw, lengths_s = zip(*spec.run, strict=True)
        programmes = (Programme(powers_kw, lengths_s),)
    return Deferrable(name, programmes, spec.not_run_cost, bus, spec.power_factor)


def _heat_load(name: str, spec: HeatLoadAsset, _: int) -> HeatLoad:
    return HeatLoad(name, spec.heat_node, is_cold=spec.is_cold)


def _tank(name: str, spec: TankAsset, _: int) -> Tank:
    model = Tank(
        id=name,
        heat_node=spec.heat_node,
        capacity_kwh_per_k=spec.capacity_kwh_per_k,
        low_c=spec.low_c,
        high_c=spec.high_c,
        # What fills a store of cold is heat taken out of it.
        charge_kw=spec.discharge_kw if spec.is_cold else spec.charge_kw,
        discharge_kw=spec.charge_kw if spec.is_cold else spec.discharge_kw,
        loss_kw_per_k=spec.loss_kw_per_k,
    )
    return model if spec.hygiene_every_h is None else _hygienic(model, spec, 3600.0 * spec.hygiene_every_h)


def _hygienic(model: Tank, spec: TankAsset, every_s: float) -> Tank:
    """Say how hot a tank has to become, how often and for how long; late by an hour weighs as missing that heat."""
    hot_c = spec.hygiene_c + HOTTER_K
    overdue_per_h = Weights().unheated * spec.capacity_kwh_per_k * (hot_c - spec.low_c)
    return replace(model, hot_every_s=every_s, hot_c=hot_c, hot_hold_s=spec.hygiene_hold_s, overdue_per_h=overdue_per_h)


def _boiler(name: str, spec: BoilerAsset, _: int) -> Boiler:
    return Boiler(
        id=name,
        heat_node=spec.heat_node,
        rated_kw=spec.rated_kw,
        efficiency=spec.efficiency,
        least_kw=spec.minimum_kw,
        least_run_s=spec.minimum_on_s,
        least_stand_s=spec.minimum_off_s,
        start_cost=spec.start_cost,
    )


def _electric_boiler(name: str, spec: ElectricBoilerAsset, bus: int) -> ElectricBoiler:
    return ElectricBoiler(
        id=name,
        heat_node=spec.heat_node,
        rated_kw=spec.rated_kw,
        efficiency=spec.efficiency,
        least_kw=spec.minimum_kw,
        bus=bus,
        power_factor=spec.power_factor,
    )


def _heat_source(name: str, spec: HeatSourceAsset, bus: int) -> HeatSource:
    return HeatSource(
        id=name,
        heat_node=spec.heat_node,
        rated_kw=spec.rated_kw,
        carnot_share=spec.carnot_share,
        approach_k=spec.approach_k,
        least_kw=spec.minimum_kw,
        least_run_s=spec.minimum_on_s,
        least_stand_s=spec.minimum_off_s,
        is_chiller=spec.is_cold,
        bus=bus,
        power_factor=spec.power_factor,
    )


def _pipe(name: str, spec: PipeAsset, bus: int) -> Pipe:
    return Pipe(
        id=name,
        heat_node=spec.heat_node,
        to_node=spec.to_node,
        rated_kw=spec.rated_kw,
        delay_s=spec.delay_s,
        loss_share=spec.loss_share,
        standing_kw=spec.standing_kw,
        pump_kw_per_kw=spec.pump_kw_per_kw,
        bus=bus,
        power_factor=spec.power_factor,
        is_cold=spec.is_cold,
    )


_MODELS: Mapping[type, Callable[[str, Any, int], Asset]] = {
    LoadAsset: _load,
    MeteredLoad: _load,
    PvAsset: _source,
    WindAsset: _source,
    BatteryAsset: _battery,
    HybridAsset: _hybrid,
    ChargePointAsset: _charge_point,
    HeatPumpAsset: _heat_pump,
    GensetAsset: _genset,
    DeferrableAsset: _deferrable,
    HeatLoadAsset: _heat_load,
    TankAsset: _tank,
    BoilerAsset: _boiler,
    ElectricBoilerAsset: _electric_boiler,
    HeatSourceAsset: _heat_source,
    PipeAsset: _pipe,
}
