"""Draws the heat nodes of a site's plant, off their site-file figures by seed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ems.config.assets import GensetAsset
from ems.config.heat_assets import (
    BoilerAsset,
    ElectricBoilerAsset,
    HeatLoadAsset,
    HeatMaker,
    HeatSourceAsset,
    PipeAsset,
    TankAsset,
)
from ems.config.site import Site
from hil.plant.ambient import Device
from hil.plant.draws import Floats, off, stream
from hil.plant.genset import Genset
from hil.plant.heat import Drawer, Giver, HeatLoad, HeatNode, Jacket, Tank
from hil.plant.heat_makers import COMPRESSOR_LAG_S, EXCHANGED_K, Boiler, Chiller, Lifter, Rod, Thermostat
from hil.plant.heat_pipe import HeatPipe

START_SHARE = 0.5
"""A tank begins half-way up its band."""
RETURN_C = (34.0, 42.0)
"""Between these the houses' water comes back."""
CHILLED_RETURN_C = (12.0, 15.0)
"""Likewise where they are cooled."""


@dataclass(slots=True)
class HeatDraw:
    """Draws the heat side of one site.

    Args:
        site: the site. seed: of chance. demand_kw: gives the demand of a load of heat every 10 s.
        devices: everything drawn so far, by asset id; what is drawn here is added.
    """

    site: Site
    seed: int
    demand_kw: Callable[[str, HeatLoadAsset, np.random.Generator], Floats]
    devices: dict[str, Device]
    _tanks: dict[str, tuple[Tank, TankAsset]] = field(default_factory=dict)

    def nodes(self) -> tuple[HeatNode, ...]:
        """Draw everything, and join it node by node."""
        for name, spec in self._of(TankAsset).items():
            tank = self._tank(name, spec)
            self._tanks[spec.heat_node], self.devices[name] = (tank, spec), tank
        for name, spec in self._of(HeatLoadAsset).items():
            self.devices[name] = self._load(name, spec)
        for name, spec in self._of(HeatMaker).items():
            self.devices[name] = self._maker(name, spec)
        for name, spec in self._of(PipeAsset).items():
            self.devices[name] = self._pipe(name, spec)
        return tuple(self._node(node) for node in self._tanks)

    def _of(self, kind: Any) -> Mapping[str, Any]:
        return {name: spec for name, spec in self.site.file.assets.items() if isinstance(spec, kind)}

    def _tank(self, name: str, spec: TankAsset) -> Tank:
        return Tank.drawn(
            stream(self.seed, name),
            kwh_per_k=spec.capacity_kwh_per_k,
            loss_kw_per_k=spec.loss_kw_per_k,
            around_c=spec.around_c,
            rated_kw=(spec.charge_kw, spec.discharge_kw),
            water_c=spec.low_c + START_SHARE * (spec.high_c - spec.low_c),
            is_cold=spec.is_cold,
        )

    def _load(self, name: str, spec: HeatLoadAsset) -> HeatLoad:
        rng = stream(self.seed, name)
        if spec.is_cold:
            demand_kw = self.demand_kw(name, spec, rng)
            return HeatLoad(demand_kw, -float(rng.uniform(*CHILLED_RETURN_C)), supply_c=-10.0, sign=-1.0)
        return HeatLoad(self.demand_kw(name, spec, rng), float(rng.uniform(*RETURN_C)))

    def _maker(self, name: str, spec: HeatMaker) -> Device:
        rng = stream(self.seed, name)
        tank, band = self._tanks[spec.heat_node]
        thermostat = _thermostat(tank, band)
        match spec:
            case BoilerAsset():
                return Boiler.drawn(
                    rng, thermostat, rated_kw=spec.rated_kw, least_kw=spec.minimum_kw, efficiency=spec.efficiency
                )
            case ElectricBoilerAsset():
                eta = spec.efficiency * float(rng.uniform(0.97, 1.0))
                return Rod(spec.bus, spec.rated_kw, spec.minimum_kw, eta, thermostat, _tan_phi(spec.power_factor))
            case HeatSourceAsset():
                return self._lifter(rng, thermostat, spec)

    def _lifter(self, rng: np.random.Generator, thermostat: Thermostat, spec: HeatSourceAsset) -> Lifter:
        return (Chiller if spec.is_cold else Lifter)(
            spec.bus,
            spec.rated_kw,
            spec.minimum_kw,
            1.0,
            thermostat,
            _tan_phi(spec.power_factor),
            lag_s=COMPRESSOR_LAG_S,
            share=off(rng, spec.carnot_share, 0.03, 0.08),
            ua_kw_per_k=off(rng, 3.0 * spec.rated_kw / EXCHANGED_K),
            source_c=None if spec.source_c is None else spec.source_c + float(rng.uniform(-1.0, 1.0)),
        )

    def _pipe(self, name: str, spec: PipeAsset) -> HeatPipe:
        (near, _), (far, band) = self._tanks[spec.heat_node], self._tanks[spec.to_node]
        return HeatPipe.drawn(
            stream(self.seed, name), near, far, _thermostat(far, band),
            bus=spec.bus, rated_kw=spec.rated_kw, delay_s=spec.delay_s, loss_share=spec.loss_share,
            pump_share=spec.pump_kw_per_kw, tan_phi=_tan_phi(spec.power_factor),
        )  # fmt: skip

    def _node(self, node: str) -> HeatNode:
        members = [name for name, spec in self.site.file.assets.items() if getattr(spec, "heat_node", None) == node]
        found = [self.devices[name] for name in members]
        come = [name for name, spec in self._of(PipeAsset).items() if spec.to_node == node]
        made: list[Giver] = [each for each in found if isinstance(each, Boiler | Rod)]
        made += [pipe for name in come if isinstance(pipe := self.devices[name], HeatPipe)]
        jackets: list[Giver] = [self._jacket(name) for name in members if isinstance(self.devices[name], Genset)]
        unplaced: list[Giver] = [each for each in found if isinstance(each, Boiler)]
        loads: list[Drawer] = [each for each in found if isinstance(each, HeatLoad | HeatPipe)]
        return HeatNode(self._tanks[node][0], loads, [*made, *jackets], [*unplaced, *jackets])

    def _jacket(self, name: str) -> Jacket:
        spec, engine, rng = self.site.file.assets[name], self.devices[name], stream(self.seed, f"{name} heat")
        assert isinstance(spec, GensetAsset) and isinstance(engine, Genset)
        return Jacket(engine, off(rng, spec.heat_per_kw, 0.02, 0.08), off(rng, spec.heat_idle_kw))


def _thermostat(tank: Tank, band: TankAsset) -> Thermostat:
    """Give what a maker goes by alone; of cold, its temperatures are turned as those of its tank."""
    low_c, high_c = sorted((tank.sign * band.low_c, tank.sign * band.high_c))
    return Thermostat(tank, (low_c, high_c))


def _tan_phi(power_factor: float) -> float:
    return math.tan(math.acos(power_factor))
