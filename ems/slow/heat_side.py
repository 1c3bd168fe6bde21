"""The heat of the planner's question: tanks, their loads of heat and boilers, node by node; cold likewise.

Law: a node whose tank nobody knows is not planned. Its boilers are left out, what makes heat of power there counts as
load, and a generating set there as one whose heat is not used.

What is given, wanted and worth on a node of cold is counted as cold, so that nothing here needs to know its sign; the
planner's assets do, and a tank, whose value falls as its water gets warmer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ems.config.asset_models import heat_assets
from ems.config.assets import GensetAsset
from ems.config.binding import Bindings
from ems.config.heat_assets import (
    BoilerAsset,
    ElectricBoilerAsset,
    ElectricHeater,
    HeatLoadAsset,
    HeatMaker,
    HeatSourceAsset,
    PipeAsset,
    TankAsset,
)
from ems.config.site import Site
from ems.slow.foresee import Foresight
from ems.slow.running import RUNS_SHARE
from ems.slow.situation import AssetNow
from ems.standing import Override
from optimization.assets import (
    Asset,
    BoilerInputs,
    ElectricBoilerInputs,
    Genset,
    HeatLoadInputs,
    HeatSource,
    HeatSourceInputs,
    Inputs,
    PipeInputs,
    TankInputs,
)
from optimization.assets.end_worth import Drops
from optimization.assets.heat_source import cop
from optimization.season import Worth
from optimization.slots import Floats, Slots

HELD_S = 3600.0
"""What nobody steers is taken to go on as measured for so long, then to take its safe value."""
KEPT_H = 12.0
"""Heat left at the end of a plan is taken to be used after so long."""


@dataclass(frozen=True, slots=True, eq=False)
class HeatSide:
    """Asks about the heat of one site at one instant.

    Args:
        site: the site.
        bindings: declares the safe values.
        models: the planner's description of every asset, by id.
        slots: the horizon.
        situation: how the assets are, by asset id.
        foresight: what is foreseen.
        overrides: powers that people ask for, by asset id.
        power_value: what a kWh of power is worth after the horizon [currency/kWh].
        worths: what is left in a tank is worth, by asset id, where somebody looked ahead beyond the horizon.
    """

    site: Site
    bindings: Bindings
    models: Mapping[str, Asset]
    slots: Slots
    situation: Mapping[str, AssetNow]
    foresight: Foresight
    overrides: Mapping[str, Override]
    power_value: float
    worths: Mapping[str, Worth] = field(default_factory=dict)

    def asked(self) -> tuple[list[Asset], dict[str, Inputs]]:
        """Give what deals in heat alone, and its inputs, of all nodes that are known."""
        assets: list[Asset] = []
        inputs: dict[str, Inputs] = {}
        nodes = known_nodes(self.site, self.situation)
        given_kw = {node: self._given_kw(node) for node in nodes}
        for name, spec in heat_assets(self.site).items():
            if spec.heat_node not in nodes or (isinstance(spec, BoilerAsset) and not self._is_planned(name)):
                continue
            assets.append(self.models[name])
            match spec:
                case TankAsset():
                    inputs[name] = self._tank(name, spec)
                case HeatLoadAsset():
                    wanted_kw = self.foresight.heat_kw[name]
                    covered_kw = np.minimum(given_kw[spec.heat_node], wanted_kw)
                    given_kw[spec.heat_node] = given_kw[spec.heat_node] - covered_kw
                    inputs[name] = HeatLoadInputs(wanted_kw - covered_kw)
                case BoilerAsset():
                    running, price = self.foresight.running[name], self._fuel_price(spec)
                    inputs[name] = BoilerInputs(*running, price, spec.fuel_kg_per_kwh)
        for name, pipe in self._pipes().items():
            if not self.situation[name].blocked:
                inputs[name] = PipeInputs(self.foresight.arriving_kw[name], self._node_value(pipe.heat_node))
        return assets, inputs

    def _pipes(self) -> dict[str, PipeAsset]:
        return {name: spec for name, spec in self.site.file.assets.items() if isinstance(spec, PipeAsset)}

    def _is_planned(self, name: str) -> bool:
        return not self.situation[name].blocked and name not in self.overrides

    def _tank(self, name: str, spec: TankAsset) -> TankInputs:
        sign, worth, told = -1.0 if spec.is_cold else 1.0, self.worths.get(name), self.situation[name].values
        value = self._heat_value(spec) if spec.end_value_per_kwh is None else spec.end_value_per_kwh
        value = value if worth is None else float(worth.per_kwh[0])
        return TankInputs(
            temperature_c=told["temperature_c"],
            around_c=np.full(len(self.slots), spec.around_c),
            end_value_per_kwh=sign * value,
            since_hot_s=told.get("since_hot_s", 0.0),
            hot_for_s=told.get("hot_for_s", 0.0),
            end_drops=() if worth is None else _drops_c(spec, worth),
        )

    def _heat_value(self, spec: TankAsset) -> float:
        """Give what a kWh of heat saves later: its making in the cheapest way, less what is lost till then."""
        kept = np.exp(-spec.loss_kw_per_k * KEPT_H / spec.capacity_kwh_per_k)
        return float(self._node_value(spec.heat_node) * kept)

    def _node_value(self, node: str, past: frozenset[str] = frozenset()) -> float:
        """Give what a kWh of heat costs to make for a node in the cheapest way, there or behind a pipe to it."""
        makers = {n: s for n, s in self._members(node).items() if isinstance(s, HeatMaker)}
        costs = [self._making_cost(name, maker) for name, maker in makers.items()]
        pipes = [s for s in self._pipes().values() if s.to_node == node and s.heat_node not in past]
        costs += [self._node_value(s.heat_node, past | {node}) / (1.0 - s.loss_share) for s in pipes]
        return min(costs, default=0.0)

    def _making_cost(self, name: str, spec: HeatMaker) -> float:
        match spec:
            case BoilerAsset():
                return float(self._fuel_price(spec)[0]) / spec.efficiency
            case ElectricBoilerAsset():
                return self.power_value / spec.efficiency
            case HeatSourceAsset():
                return self.power_value / float(np.mean(self._cop(name, spec)))

    def _fuel_price(self, spec: BoilerAsset) -> Floats:
        carbon_price = self.site.file.planning.carbon_price_per_kg * spec.fuel_kg_per_kwh
        return np.full(len(self.slots), spec.fuel_price_per_kwh + carbon_price)

    def _cop(self, name: str, spec: HeatSourceAsset) -> Floats:
        model = self.models[name]
        assert isinstance(model, HeatSource)
        return cop(model, source_inputs(spec, self.slots, self.foresight, (False, 0.0)))

    def _members(self, node: str) -> dict[str, Any]:
        assets = self.site.file.assets
        ends = ("heat_node", "to_node")
        return {n: spec for n, spec in assets.items() if node in (getattr(spec, end, None) for end in ends)}

    def _given_kw(self, node: str) -> Floats:
        """Foresee the heat that what is not planned with gives to a node, less what it takes, shape (n,)."""
        total = np.zeros(len(self.slots))
        for name, spec in self._members(node).items():
            match spec:
                case BoilerAsset() if not self._is_planned(name):
                    total += spec.efficiency * self._goes_on_kw(name, "fuel_kw")
                case ElectricBoilerAsset() if self.situation[name].blocked:
                    total += spec.efficiency * self._goes_on_kw(name, "power_kw")
                case HeatSourceAsset() if self.situation[name].blocked:
                    total += self._cop(name, spec) * self._goes_on_kw(name, "power_kw")
                case GensetAsset() if self.situation[name].blocked:
                    power_kw = np.abs(self._goes_on_kw(name, "power_kw"))
                    idle_kw = spec.heat_idle_kw * (power_kw > RUNS_SHARE * spec.rated_kw)
                    total += spec.heat_per_kw * power_kw + idle_kw
                case PipeAsset() if self.situation[name].blocked:
                    sent_kw = self._goes_on_kw(name, "sent_kw")
                    leaves = spec.heat_node == node
                    total += -sent_kw if leaves else (1.0 - spec.loss_share) * sent_kw - spec.standing_kw
                case _:
                    pass
        return total

    def _goes_on_kw(self, name: str, role: str) -> Floats:
        """Foresee what nobody plans with: as people ask for, else as measured and then its safe value [kW]."""
        if name in self.overrides:
            override = self.overrides[name]
            until_s = np.inf if override.until is None else (override.until - self.slots.start).total_seconds()
            return np.where(self.slots.offset_s < until_s, override.kw, 0.0)
        measured_kw, safe_kw = self.situation[name].values.get(role), self.bindings.safe_kw(name)
        later_kw = safe_kw if safe_kw is not None else measured_kw or 0.0
        return np.where(self.slots.offset_s < HELD_S, later_kw if measured_kw is None else measured_kw, later_kw)


def _drops_c(spec: TankAsset, worth: Worth) -> Drops:
    """Give from which temperatures on a kWh left in a tank is worth less [degC]."""
    fuller = -1.0 if spec.is_cold else 1.0
    return tuple((spec.empty_c + fuller * kwh / spec.capacity_kwh_per_k, less) for kwh, less in worth.drops())


def known_nodes(site: Site, situation: Mapping[str, AssetNow]) -> frozenset[str]:
    """Name the heat nodes whose tank has a good temperature."""
    tanks = {name: spec for name, spec in site.file.assets.items() if isinstance(spec, TankAsset)}
    known = (spec for name, spec in tanks.items() if name in situation and not situation[name].blocked)
    return frozenset(spec.heat_node for spec in known)


def heater_inputs(
    spec: ElectricHeater, slots: Slots, foresight: Foresight, running: tuple[bool, float]
) -> ElectricBoilerInputs | HeatSourceInputs:
    """Give the inputs of what makes heat of power."""
    if isinstance(spec, ElectricBoilerAsset):
        return ElectricBoilerInputs(*running)
    return source_inputs(spec, slots, foresight, running)


def source_inputs(
    spec: HeatSourceAsset, slots: Slots, foresight: Foresight, running: tuple[bool, float]
) -> HeatSourceInputs:
    """Give the inputs of a heat pump on a node; outdoor air is its source where the file names no other."""
    n = len(slots)
    source_c = foresight.outdoor_c if spec.source_c is None else np.full(n, spec.source_c)
    return HeatSourceInputs(*running, source_c, np.full(n, spec.supply_c))


def without_overridden(
    site: Site, situation: Mapping[str, AssetNow], overrides: Mapping[str, Override]
) -> Mapping[str, AssetNow]:
    """Leave pipes that somebody overrides out of the plan: what they send is no choice of it."""
    pipes = [name for name, spec in site.file.assets.items() if isinstance(spec, PipeAsset) and name in overrides]
    return {**situation, **{name: replace(situation[name], blocked="somebody overrides it") for name in pipes}}


def without_heat(model: Genset) -> Genset:
    """Give a generating set as one whose heat is not used."""
    return replace(model, heat_node="", heat_per_kw=0.0, heat_idle_kw=0.0)
