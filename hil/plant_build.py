"""Draws the true plant of a site: every parameter off the site file's by seed, because nobody's site file is right."""

from __future__ import annotations

import csv
import math
from datetime import datetime
from functools import cached_property
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from ems.config.site import (
    BatteryAsset,
    ChargePointAsset,
    HeatPumpAsset,
    LoadAsset,
    MeteredLoad,
    Onlooker,
    PoweredAsset,
    PvAsset,
    Site,
)
from hil.plant.ambient import Device
from hil.plant.battery import Battery
from hil.plant.building import Building, Occupancy, Shell
from hil.plant.charge_point import Car, ChargePoint
from hil.plant.draws import Floats, off, stream
from hil.plant.feeder import Plant
from hil.plant.load import Load, demand, read_series
from hil.plant.market import Market
from hil.plant.power_flow import PowerFlow, Witness, matrices, perturbed
from hil.plant.pv import Pv
from hil.plant.weather import Era, Weather
from hil.scenario import Scenario, ScenarioError

SLACK_S = 6 * 3600.0
COMPRESSOR_MINIMUM = 0.12
STAY = ("arrival", "departure")


def build_plant(
    site: Site, scenario: Scenario, seed: int, *, altered_from_s: float | None = None, altered_seed: int = 0,
    witness: bool = True,
) -> Plant:  # fmt: skip
    """Draw the plant of a site.

    Args:
        site: the site.
        scenario: what it meets.
        seed: of chance.
        altered_from_s: from when on another seed rules weather, prices, loads and cars [s since the start].
        altered_seed: that other seed.
        witness: whether pandapower's power flow is asked now and then.
    """
    zone = ZoneInfo(site.file.site.timezone)
    era = Era(seed, altered_from_s, altered_seed)
    draw = _Draw(site, scenario, era, scenario.starts_at(zone))
    clouds = [cloud.cloud() for cloud in scenario.clouds]
    weather = Weather(draw.start, scenario.duration_s + SLACK_S, scenario.weather, era, clouds)
    net = perturbed(site.folder / site.file.grid.file, stream(seed, "grid"))
    return Plant(
        draw.devices(),
        weather,
        Market(weather, scenario.price, zone, era),
        flow=PowerFlow(matrices(net)),
        witness=Witness(net) if witness else None,
        zone=zone,
    )


class _Draw:
    """Draws one device after the other."""

    def __init__(self, site: Site, scenario: Scenario, era: Era, start: datetime) -> None:
        self._site, self._scenario, self._era, self.start = site, scenario, era, start
        self._span_s = scenario.duration_s + SLACK_S

    def devices(self) -> dict[str, Device]:
        """Draw all devices of the site, by asset id."""
        assets = self._site.file.assets
        return {n: self._device(n, spec) for n, spec in assets.items() if not isinstance(spec, Onlooker)}

    def _device(self, name: str, spec: PoweredAsset) -> Device:
        rng = stream(self._era.seed, name)
        match spec:
            case LoadAsset():
                return self._load(name, spec, rng)
            case MeteredLoad():
                raise ScenarioError(f"{name}: metered loads have no pretend counterpart yet")
            case PvAsset():
                return Pv.drawn(
                    rng, bus=spec.bus, rated_kw=spec.rated_kw, module_kw=spec.module_kw, per_k=spec.temperature_per_k
                )
            case BatteryAsset():
                return self._battery(spec, rng)
            case ChargePointAsset():
                return self._charge_point(name, spec, rng)
            case HeatPumpAsset():
                return self._building(spec, rng)

    def _load(self, name: str, spec: LoadAsset, rng: np.random.Generator) -> Load:
        watched = demand(self._measured, self.start, self._span_s, name=name, era=self._era)
        share = off(rng, spec.residual_share, 0.0, 0.08) * self._scenario.load_scale
        return Load(spec.bus, share * watched, math.tan(math.acos(min(0.995, off(rng, spec.power_factor, 0.0, 0.015)))))

    @cached_property
    def _measured(self) -> tuple[Floats, Floats]:
        if self._site.file.series.load is None:
            raise ScenarioError("fixed loads have no measured series: name one as series.load in the site file")
        return read_series(self._site.folder / "series" / self._site.file.series.load, "total_kw")

    def _battery(self, spec: BatteryAsset, rng: np.random.Generator) -> Battery:
        return Battery.drawn(
            rng,
            bus=spec.bus,
            capacity_kwh=spec.capacity_kwh,
            rated_kw=(spec.charge_kw, spec.discharge_kw),
            loss=1.0 - (spec.charge_efficiency * spec.discharge_efficiency) ** 0.5,
            standby_kw=spec.standby_kw,
            soc_pct=self._scenario.battery_soc_pct,
        )

    def _charge_point(self, name: str, spec: ChargePointAsset, rng: np.random.Generator) -> ChargePoint:
        return ChargePoint.drawn(
            rng,
            bus=spec.bus,
            maximum_a=spec.maximum_a,
            efficiency=spec.efficiency,
            phases=spec.phases,
            voltage_v=spec.voltage_v,
            cars=self._cars(name),
        )

    def _cars(self, name: str) -> list[Car]:
        """Draw the cars; one that comes in an altered future wants another amount."""
        cars = []
        for i, (arrival_s, departure_s, energy_kwh, charge_kw) in enumerate(self._visits()):
            later = self._era.altered_from_s is not None and arrival_s >= self._era.altered_from_s
            rng = stream(self._era.altered_seed if later else self._era.seed, f"{name} car {i}")
            wanted_kwh = energy_kwh * float(rng.uniform(0.5, 0.9)) if later else energy_kwh
            cars.append(Car.drawn(rng, stay_s=(arrival_s, departure_s), energy_kwh=wanted_kwh, charge_kw=charge_kw))
        return cars

    def _visits(self) -> list[tuple[float, float, float, float]]:
        """List the stays: arrival and departure [s since the start], energy [kWh], power [kW]."""
        if self._scenario.cars is not None:
            return [(v.arrival_s, v.arrival_s + v.stay_s, v.energy_kwh, v.charge_kw) for v in self._scenario.cars]
        if self._site.file.series.ev_sessions is None:
            return []
        recorded = _recorded(self._site.folder / "series" / self._site.file.series.ev_sessions, self.start)
        return [visit for visit in recorded if 0.0 <= visit[0] < self._span_s]

    def _building(self, spec: HeatPumpAsset, rng: np.random.Generator) -> Building:
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
            bus=spec.bus,
            rated_kw=spec.rated_kw,
            minimum_kw=max(spec.minimum_kw, off(rng, COMPRESSOR_MINIMUM * spec.rated_kw)),
            cop_0=off(rng, spec.cop_0, 0.03, 0.10),
            cop_slope=off(rng, spec.cop_slope),
            shell=shell,
            occupancy=occupancy,
            tan_phi=math.tan(math.acos(spec.power_factor)),
            air_c=self._scenario.zone_c,
            mass_c=self._scenario.zone_c,
        )


def _recorded(path: Path, start: datetime) -> list[tuple[float, float, float, float]]:
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    instants = [[(datetime.fromisoformat(r[key]) - start).total_seconds() for key in STAY] for r in rows]
    facts = [[float(r[key]) for key in ("energy_kwh", "charge_kw")] for r in rows]
    return [(a, d, kwh, kw) for (a, d), (kwh, kw) in zip(instants, facts, strict=True)]
