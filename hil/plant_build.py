"""Draws the true plant of a site: every parameter off the site file's by seed, because nobody's site file is right."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import timedelta
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from ems.config.assets import (
    BatteryAsset,
    BuildingAutomation,
    ChargePointAsset,
    DeferrableAsset,
    GensetAsset,
    HeatMeter,
    HeatPumpAsset,
    LoadAsset,
    MeteredLoad,
    Onlooker,
    PoweredAsset,
    PvAsset,
    WindAsset,
)
from ems.config.heat_assets import HeatLoadAsset, OnNode
from ems.config.hybrid_asset import HybridAsset
from ems.config.inverter import InverterCurves
from ems.config.on_phase import knows_phases
from ems.config.site import Site
from hil.heat_build import HeatDraw
from hil.places import place_of
from hil.plant.ambient import Device
from hil.plant.automation import Automation, Rule, Spell, charging_programme, heating_programme
from hil.plant.battery import Battery, Datasheet
from hil.plant.building import Building, Occupancy, Shell
from hil.plant.car_park import CarPark
from hil.plant.charge_point import Car, ChargePoint
from hil.plant.cold_load import ColdLoad
from hil.plant.draws import Floats, off, stream
from hil.plant.feeder import Plant
from hil.plant.genset import Genset
from hil.plant.giving_point import GivingPoint
from hil.plant.hybrid import Hybrid
from hil.plant.hydronics import Hydronics
from hil.plant.inverter import Inverter
from hil.plant.load import Load, demand, read_columns
from hil.plant.machine import Machine
from hil.plant.market import Market
from hil.plant.phase_flow import PhaseFlow, PhaseWitness
from hil.plant.power_flow import PowerFlow, Witness, failed, matrices, perturbed
from hil.plant.pv import Pv
from hil.plant.surroundings import Nature
from hil.plant.weather import Era, Weather
from hil.plant.wind import Turbine
from hil.ready_runs import asked_of, begin_by_s, daily
from hil.scenario import Scenario, ScenarioError
from hil.visits import draw_cars, places

SLACK_S = 6 * 3600.0
COMPRESSOR_MINIMUM = 0.12
TOTAL = "total_kw"


def build_plant(
    site: Site, scenario: Scenario, seed: int, *, altered_from_s: float | None = None, altered_seed: int = 0,
    witness: bool = True, nature: Nature | None = None,
) -> Plant:  # fmt: skip
    """Draw the plant of a site.

    Args:
        site: the site.
        scenario: what it meets.
        seed: of chance.
        altered_from_s: from when on another seed rules weather, prices, loads and cars [s since the start].
        altered_seed: that other seed.
        witness: whether pandapower's power flow is asked now and then.
        nature: weather, prices and loads in place of those that scenario and seed would make; the run begins where its
            sky does.

    Raises:
        ScenarioError: the site has more than the pretend world knows, or the scenario does not fit it.
    """
    if site.file.connections:
        raise ScenarioError(
            f"{site.file.site.id}: the pretend world has one grid connection yet; plan the site by `ems plan solve`, "
            "or leave `connections` out of a copy for it"
        )
    zone = ZoneInfo(site.file.site.timezone)
    era = Era(seed, altered_from_s, altered_seed)
    nature = nature or drawn_nature(scenario, zone, era)
    draw = _Draw(site, scenario, era, nature)
    net = perturbed(site.folder / site.file.grid.file, stream(seed, "grid"))
    # Before the switches of every day take lines out of service.
    outages = {name: failed(net, spec.out, spec.closed) for name, spec in site.file.grid.outages.items()}
    flow, seen = (PhaseFlow, PhaseWitness) if knows_phases(site.file) else (_balanced, Witness)
    after = {name: flow(failed_net) for name, failed_net in outages.items()}
    devices = draw.devices()
    nodes = HeatDraw(site, seed, draw.demand_kw, devices).nodes()
    return Plant(
        devices,
        nature,
        flow=flow(net),
        after=after,
        witness=seen(net) if witness else None,
        zone=zone,
        parks=draw.parks(devices),
        nodes=nodes,
        automations=draw.automations(),
        forming=site.file.island.forming if site.file.island is not None else None,
        cold_load=None
        if scenario.cold_load is None
        else ColdLoad(scenario.cold_load.factor, scenario.cold_load.fades_s),
    )


def _balanced(net: Any) -> PowerFlow:
    return PowerFlow(matrices(net))


def drawn_nature(scenario: Scenario, zone: ZoneInfo, era: Era) -> Nature:
    """Draw weather and prices of a scenario."""
    clouds = [cloud.cloud() for cloud in scenario.clouds]
    sky = Weather(scenario.starts_at(zone), scenario.duration_s + SLACK_S, scenario.weather, era, clouds)
    spells = [(spell.at_s, spell.seconds, spell.price) for spell in scenario.price_spells]
    return Nature(sky, Market(sky, scenario.price, zone, era, spells))


class _Draw:
    """Draws one device after the other."""

    def __init__(self, site: Site, scenario: Scenario, era: Era, nature: Nature) -> None:
        self._site, self._scenario, self._era, self._nature = site, scenario, era, nature
        self._span_s = scenario.duration_s + SLACK_S

    def devices(self) -> dict[str, Device]:
        """Draw all devices of the site but those of heat nodes, by asset id."""
        others = {n: s for n, s in self._site.file.assets.items() if not isinstance(s, Onlooker | OnNode)}
        return {n: self._device(n, spec) for n, spec in others.items()}

    def parks(self, devices: Mapping[str, Device]) -> dict[str, CarPark]:
        """Draw the car parks over their charge points."""
        found = {}
        for park, names in places(self._site).items():
            points = {name: point for name in names if isinstance(point := devices[name], ChargePoint)}
            if park not in points:
                found[park] = CarPark(points, self._cars[park])
        return found

    def automations(self) -> dict[str, Automation]:
        """Draw the building automation systems."""
        assets = self._site.file.assets
        return {n: self._automation(n, spec) for n, spec in assets.items() if isinstance(spec, BuildingAutomation)}

    def _device(self, name: str, spec: PoweredAsset) -> Device:
        rng = stream(self._era.seed, name)
        drawn: Device
        match spec:
            case LoadAsset() | MeteredLoad():
                drawn = self._load(name, spec, rng)
            case PvAsset():
                drawn = Pv.drawn(
                    rng, bus=place_of(spec), rated_kw=spec.rated_kw, module_kw=spec.module_kw,
                    per_k=spec.temperature_per_k, inverter=_inverter(spec.inverter, spec.rated_kw),
                )  # fmt: skip
            case WindAsset():
                speeds_m_s = (spec.cut_in_m_s, spec.rated_m_s, spec.cut_out_m_s)
                drawn = Turbine.drawn(
                    rng, bus=spec.bus, rated_kw=spec.rated_kw, hub_m=spec.hub_m, speeds_m_s=speeds_m_s,
                    inverter=_inverter(spec.inverter, spec.rated_kw),
                )  # fmt: skip
            case BatteryAsset():
                drawn = self._battery(spec, rng)
            case HybridAsset():
                drawn = self._hybrid(spec, rng)
            case ChargePointAsset():
                drawn = self._charge_point(name, spec, rng)
            case HeatPumpAsset():
                drawn = self._building(name, spec, rng)
            case GensetAsset():
                tan_phi = math.tan(math.acos(spec.power_factor))
                fuel = (spec.fuel_idle_kw, spec.fuel_per_kw)
                drawn = Genset.drawn(
                    rng, bus=spec.bus, rated_kw=spec.rated_kw, least_kw=spec.minimum_kw, fuel=fuel, tan_phi=tan_phi
                )
            case DeferrableAsset():
                drawn = self._machine(name, spec, rng)
        return drawn

    def _machine(self, name: str, spec: DeferrableAsset, rng: np.random.Generator) -> Machine:
        zone, sky = ZoneInfo(self._site.file.site.timezone), self._nature.sky
        ordered = self._scenario.runs
        ready = daily(spec, rng, sky.start, self._span_s, zone) if ordered is None else asked_of(name, ordered)
        asked = [(at_s, begin_by_s(spec, sky.start + timedelta(seconds=at_s), zone, sky.start)) for at_s in ready]
        return Machine.drawn(
            rng, bus=place_of(spec), steps=spec.run, whole=spec.piece_s is None, asked=asked,
            tan_phi=math.tan(math.acos(spec.power_factor)),
        )  # fmt: skip

    def _load(self, name: str, spec: LoadAsset | MeteredLoad, rng: np.random.Generator) -> Load:
        demand_kw = self.demand_kw(name, spec, rng)
        power_factor = min(0.995, off(rng, spec.power_factor, 0.0, 0.015))
        return Load(place_of(spec), demand_kw, math.tan(math.acos(power_factor)), metered=isinstance(spec, MeteredLoad))

    def demand_kw(self, name: str, spec: LoadAsset | MeteredLoad | HeatLoadAsset, rng: np.random.Generator) -> Floats:
        """Give what a load takes every 10 s: its own column, or its share of what all unmetered ones take together."""
        if name in self._nature.load_kw:
            return self._nature.load_kw[name]
        times, columns = self._series
        own, start, scale = f"{name}_kw", self._nature.sky.start, self._scenario.load_scale
        if own in columns:
            return scale * demand((times, columns[own]), start, self._span_s, name=name, era=self._era)
        if TOTAL not in columns or isinstance(spec, MeteredLoad | HeatLoadAsset):
            known = ", ".join(columns)
            raise ScenarioError(f"{name}: the load series has no column {own!r}, only {known}: add the column")
        watched = demand((times, columns[TOTAL]), start, self._span_s, name=name, era=self._era)
        return off(rng, spec.residual_share, 0.0, 0.08) * scale * watched

    @cached_property
    def _series(self) -> tuple[Floats, dict[str, Floats]]:
        if self._site.file.series.load is None:
            raise ScenarioError("fixed loads have no measured series: name one as series.load in the site file")
        return read_columns(self._site.folder / "series" / self._site.file.series.load)

    @cached_property
    def _cars(self) -> dict[str, list[Car]]:
        return draw_cars(self._site, self._scenario, self._era, self._nature.sky.start, self._span_s)

    def _battery(self, spec: BatteryAsset, rng: np.random.Generator) -> Battery:
        inverter = _inverter(spec.inverter, max(spec.charge_kw, spec.discharge_kw))
        return self._store(spec, rng, datasheet=_datasheet(spec), inverter=inverter)

    def _store(self, spec: BatteryAsset | HybridAsset, rng: np.random.Generator, **beside: Any) -> Battery:
        return Battery.drawn(
            rng,
            bus=place_of(spec),
            capacity_kwh=spec.capacity_kwh,
            rated_kw=(spec.charge_kw, spec.discharge_kw),
            loss=1.0 - (spec.charge_efficiency * spec.discharge_efficiency) ** 0.5,
            standby_kw=spec.standby_kw,
            soc_pct=self._scenario.battery_soc_pct,
            **beside,
        )

    def _hybrid(self, spec: HybridAsset, rng: np.random.Generator) -> Hybrid:
        battery = self._store(spec, rng)
        return Hybrid.drawn(
            rng,
            bus=place_of(spec),
            rated_kw=spec.rated_kw,
            take_kw=spec.take_kw,
            efficiencies=(spec.give_efficiency, spec.take_efficiency),
            module_kw=spec.module_kw,
            per_k=spec.temperature_per_k,
            battery=battery,
            band_pct=(spec.soc_min_pct, spec.soc_max_pct),
            tan_phi=math.tan(math.acos(spec.power_factor)),
        )

    def _charge_point(self, name: str, spec: ChargePointAsset, rng: np.random.Generator) -> ChargePoint:
        made = GivingPoint if spec.discharge_kw > 0.0 else ChargePoint
        point = made.drawn(
            rng,
            bus=place_of(spec),
            maximum_a=spec.maximum_a,
            efficiency=spec.efficiency,
            phases=spec.most_phases,
            voltage_v=spec.voltage_v,
            cars=() if spec.park else self._cars[name],
        )
        if isinstance(point, GivingPoint):
            point.discharge_kw = spec.discharge_kw
            point.back_efficiency = 1.0 - off(rng, 1.0 - spec.discharge_efficiency)
        return point

    def _automation(self, name: str, spec: BuildingAutomation) -> Automation:
        return Automation({role: self._rule(name, role, asset) for role, asset in spec.limits.items()})

    def _rule(self, name: str, role: str, asset: str) -> Rule:
        target, rng = self._site.file.assets[asset], stream(self._era.seed, f"{name} {role}")
        ordered = (limit for limit in self._scenario.limits if (limit.asset, limit.role) == (name, role))
        spells = [Spell(limit.at_s, limit.seconds, limit.limit_kw) for limit in ordered]
        match target:
            case HeatPumpAsset():
                return Rule(asset, target.rated_kw, heating_programme(rng), spells)
            case ChargePointAsset():
                return Rule(asset, target.charge_kw, charging_programme(rng), spells)
            case _:
                raise ScenarioError(f"{name}.{role} limits {asset}, a {target.kind}: name a heat pump or charge point")

    def _building(self, name: str, spec: HeatPumpAsset, rng: np.random.Generator) -> Building:
        shell = Shell(
            spec.air_kwh_per_k,
            spec.mass_kwh_per_k,
            spec.air_mass_k_per_kw,
            spec.air_out_k_per_kw,
            spec.mass_out_k_per_kw,
            spec.gains_kw,
            spec.window_m2,
        ).drawn(rng)
        comfort = spec.comfort
        occupancy = Occupancy(
            comfort.low_c,
            comfort.occupied_low_c,
            comfort.occupied_from_h,
            comfort.occupied_to_h,
            comfort.occupied_days,
        )
        return Building(
            bus=place_of(spec),
            rated_kw=spec.rated_kw,
            minimum_kw=max(spec.minimum_kw, off(rng, COMPRESSOR_MINIMUM * spec.rated_kw)),
            cop_0=off(rng, spec.cop_0, 0.03, 0.10),
            cop_slope=off(rng, spec.cop_slope),
            shell=shell,
            occupancy=occupancy,
            tan_phi=math.tan(math.acos(spec.power_factor)),
            air_c=self._scenario.zone_c,
            mass_c=self._scenario.zone_c,
            water=self._water(name, spec, rng),
        )

    def _water(self, name: str, spec: HeatPumpAsset, rng: np.random.Generator) -> Hydronics | None:
        metered = {each.of for each in self._site.file.assets.values() if isinstance(each, HeatMeter)}
        return Hydronics.drawn(rng, spec.cop_0 * spec.rated_kw) if name in metered else None


def _inverter(curves: InverterCurves | None, rated_kw: float) -> Inverter | None:
    """Build an inverter with its curves as they are set: what is set is not drawn."""
    if curves is None:
        return None
    said = curves.model_dump(exclude={"setpoint_kvar", "setpoint_cos_phi"})
    return Inverter(rated_kw=rated_kw, **said | {"most_kvar": said["most_kvar"] or 0.0})


def _datasheet(spec: BatteryAsset) -> Datasheet:
    tapers = (spec.charge_taper_pct, spec.discharge_taper_pct)
    return Datasheet(spec.charge_curve, spec.discharge_curve, None if tapers == (100.0, 0.0) else tapers)
