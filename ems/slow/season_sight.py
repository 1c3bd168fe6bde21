"""Asks what the energy of stores that last for weeks will be worth: puts the question of `optimization.season`.

Law: nothing of the future is read; what is expected comes from `ems.slow.far_sight`, with a year where there is one.

Steps are means of some hours, as few hours as keep their count within `MOST_STEPS`. All batteries and all nodes whose
tank is known take part. What is blocked or overridden now is taken to be free again. Cars and heated rooms draw what
they need evenly over the time in which they may; cars beyond seven weeks come as in the week before that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np

from ems.config.asset_models import asset_model, planned_assets
from ems.config.assets import BatteryAsset, GensetAsset
from ems.config.heat_assets import (
    BoilerAsset,
    HeatLoadAsset,
    HeatMaker,
    HeatSourceAsset,
    PipeAsset,
    TankAsset,
)
from ems.config.site import Site
from ems.slow.end_values import between_quartiles
from ems.slow.far_sight import HOUR_S, FarSight
from ems.slow.foresee import Foresight
from ems.slow.heat_side import known_nodes
from ems.slow.measured_past import Table
from ems.slow.situation import AssetNow
from optimization.assets import Battery, HeatSource, HeatSourceInputs
from optimization.assets.heat_source import cop
from optimization.month_ahead import MonthAhead
from optimization.periods import months_within
from optimization.season import Season, SeasonMaker, SeasonPipe, SeasonStore
from optimization.slots import Floats, Ints, Slots

MOST_STEPS = 1500
STEPS_H = (1, 2, 3, 4, 6, 8, 12, 24)


def long_stores(site: Site) -> dict[str, int]:
    """Give the stores whose owner lets a plan look ahead for them, with how far [d]."""
    days = {name: getattr(spec, "season_days", None) for name, spec in site.file.assets.items()}
    return {name: each for name, each in days.items() if each is not None}


@dataclass(frozen=True, slots=True, eq=False)
class SeasonSight:
    """Asks for one site.

    Args:
        site: the site.
        far: knows what is expected in whole hours.
    """

    site: Site
    far: FarSight

    def question(
        self, table: Table, slots: Slots, foresight: Foresight, situation: Mapping[str, AssetNow], peak_kw: float
    ) -> Season | None:
        """Put the question; None while nothing is known of any store that lasts so long.

        Args:
            table: the measured past.
            slots: the horizon of the plan.
            foresight: what is foreseen on it.
            situation: what is measured.
            peak_kw: peak of the running month so far.
        """
        asked = long_stores(self.site)
        until = slots.start + timedelta(days=max(asked.values()))
        peaks_kw = np.zeros(months_within((until - slots.start).total_seconds()))
        peaks_kw[0] = peak_kw
        hourly = self.far.question(table, slots, foresight, situation, peaks_kw, until=until)
        edges = steps_of(len(hourly.fixed_kw), round((slots.end - hourly.start).total_seconds() / HOUR_S))
        side = _Side(self.site, situation, edges, self.far.outdoor_c(slots, foresight, until), _power_value(hourly))
        stores = (*side.batteries(), *side.tanks())
        if not any(store.is_valued for store in stores):
            return None
        wanted = self.far.heat_kw(table, slots, foresight, until)
        limits_kw = self.site.file.limits_kw(None)
        return Season(
            start=hourly.start,
            duration_s=np.diff(edges) * HOUR_S,
            end_step=int(np.searchsorted(edges, round((slots.end - hourly.start).total_seconds() / HOUR_S))),
            fixed_kw=means(hourly.fixed_kw + drawn_evenly(hourly), edges),
            import_price=means(hourly.import_price, edges),
            export_price=means(hourly.export_price, edges),
            import_limit_kw=limits_kw[0],
            export_limit_kw=limits_kw[1],
            heat_kw=side.heat_kw(wanted),
            stores=stores,
            makers=tuple(side.makers()),
            pipes=tuple(side.pipes()),
            month=hourly.month[edges[:-1]],
            free_kw=peaks_kw,
            price_per_kw=hourly.price_per_kw,
        )


def steps_of(hours: int, horizon_h: int) -> Ints:
    """Cut hours into steps of which one begins where the horizon ends; gives where they begin and end [h]."""
    length = next((h for h in STEPS_H if hours / h <= MOST_STEPS), STEPS_H[-1])
    within, after = np.arange(0, horizon_h, length), np.arange(horizon_h, hours, length)
    return np.concatenate([within, after, [hours]]).astype(np.int64)


def means(hourly: Floats, edges: Ints) -> Floats:
    """Give the mean over each step."""
    return np.asarray(np.add.reduceat(hourly, edges[:-1]) / np.diff(edges))


def drawn_evenly(hourly: MonthAhead) -> Floats:
    """Spread what may be moved over its time as evenly as its powers allow, shape (hours,) [kW]."""
    total = np.zeros(len(hourly.fixed_kw))
    for move in hourly.movable:
        could_kwh = float(move.most_kw.sum())
        if could_kwh > 0.0:
            total[move.first : move.first + len(move.most_kw)] += move.most_kw * min(1.0, move.energy_kwh / could_kwh)
    return total


def _power_value(hourly: MonthAhead) -> float:
    return between_quartiles(hourly.import_price, np.ones(len(hourly.import_price)))


@dataclass(frozen=True, slots=True, eq=False)
class _Side:
    """Describes the stores and the heat of a site in steps."""

    site: Site
    situation: Mapping[str, AssetNow]
    edges: Ints
    outdoor_c: Floats
    power_value: float

    def batteries(self) -> Iterator[SeasonStore]:
        """Describe each battery whose state is known."""
        for name, spec in planned_assets(self.site).items():
            if not isinstance(spec, BatteryAsset) or name not in self.situation or self.situation[name].blocked:
                continue
            model, soc_pct = asset_model(name, spec), self.situation[name].values["soc_pct"]
            assert isinstance(model, Battery)
            (low, high), own = model.band_kwh, spec.end_value_per_kwh
            yield SeasonStore(
                name,
                high - low,
                float(np.clip(model.capacity_kwh * soc_pct / 100.0 - low, 0.0, high - low)),
                model.charge_kw,
                model.discharge_kw,
                charge_efficiency=model.charge_efficiency,
                discharge_efficiency=model.discharge_efficiency,
                drain_kw=model.standby_kw,
                wear_per_kwh=model.wear_per_kwh,
                end_value_per_kwh=self.power_value * model.discharge_efficiency if own is None else own,
                is_valued=spec.season_days is not None,
            )

    def tanks(self) -> Iterator[SeasonStore]:
        """Describe the tank of each node that is known."""
        for name, spec in self._on_known(TankAsset).items():
            capacity_kwh, loss_per_h = spec.capacity_kwh_per_k * (spec.high_c - spec.low_c), _loss_per_h(spec)
            held_kwh = spec.capacity_kwh_per_k * spec.beyond_k(
                self.situation[name].values["temperature_c"], spec.empty_c
            )
            own = spec.end_value_per_kwh
            yield SeasonStore(
                name,
                capacity_kwh,
                float(np.clip(held_kwh, 0.0, capacity_kwh)),
                spec.charge_kw,
                spec.discharge_kw,
                node=spec.heat_node,
                loss_per_h=loss_per_h,
                drain_kw=spec.loss_kw_per_k * spec.beyond_k(spec.empty_c, spec.around_c),
                end_value_per_kwh=self._heat_value(spec.heat_node) if own is None else own,
                is_valued=spec.season_days is not None,
            )

    def makers(self) -> Iterator[SeasonMaker]:
        """Describe what gives heat or cold to the nodes that are known."""
        flat = np.ones(len(self.edges) - 1)
        for name, spec in self._on_known(HeatMaker).items():
            cost, power = (self._fuel(spec), 0.0) if isinstance(spec, BoilerAsset) else (0.0, 1.0)
            yield SeasonMaker(name, spec.heat_node, spec.rated_kw, self._per_kw(name, spec) * flat, power, cost)
        for name, spec in self._on_known(GensetAsset).items():
            heat_per_kw = spec.heat_per_kw + spec.heat_idle_kw / spec.rated_kw
            fuel_per_kw = spec.fuel_per_kw + spec.fuel_idle_kw / spec.rated_kw
            cost = self._fuel(spec) * fuel_per_kw + spec.run_cost_per_h / spec.rated_kw
            yield SeasonMaker(name, str(spec.heat_node), spec.rated_kw, heat_per_kw * flat, -1.0, cost)

    def pipes(self) -> Iterator[SeasonPipe]:
        """Describe the pipes between nodes that are known."""
        nodes = known_nodes(self.site, self.situation)
        for name, spec in self._on_known(PipeAsset).items():
            if spec.to_node in nodes:
                yield SeasonPipe(
                    name,
                    spec.heat_node,
                    spec.to_node,
                    spec.rated_kw,
                    spec.loss_share,
                    spec.standing_kw,
                    spec.pump_kw_per_kw,
                )

    def heat_kw(self, wanted: Mapping[str, Floats]) -> dict[str, Floats]:
        """Add up what each known node takes, by what each load is expected to take in whole hours."""
        total = {node: np.zeros(len(self.edges) - 1) for node in sorted(known_nodes(self.site, self.situation))}
        for name, spec in self._on_known(HeatLoadAsset).items():
            total[spec.heat_node] += means(wanted[name], self.edges) if name in wanted else 0.0
        return total

    def _on_known(self, kind: Any) -> dict[str, Any]:
        nodes = known_nodes(self.site, self.situation)
        found = {name: spec for name, spec in self.site.file.assets.items() if isinstance(spec, kind)}
        return {name: spec for name, spec in found.items() if spec.heat_node in nodes}

    def _per_kw(self, name: str, spec: HeatMaker) -> Floats | float:
        """Give the heat, or the cold, of a kW of power or fuel, in each step."""
        if not isinstance(spec, HeatSourceAsset):
            return spec.efficiency
        model, n = asset_model(name, spec), len(self.outdoor_c)
        assert isinstance(model, HeatSource)
        source_c = self.outdoor_c if spec.source_c is None else np.full(n, spec.source_c)
        return means(cop(model, HeatSourceInputs(False, 0.0, source_c, np.full(n, spec.supply_c))), self.edges)

    def _fuel(self, spec: BoilerAsset | GensetAsset) -> float:
        return spec.fuel_price_per_kwh + self.site.file.planning.carbon_price_per_kg * spec.fuel_kg_per_kwh

    def _heat_value(self, node: str) -> float:
        """Give what a kWh of heat costs to make on a node in the cheapest way; nothing where only pipes feed it."""
        makers = {name: spec for name, spec in self._on_known(HeatMaker).items() if spec.heat_node == node}
        costs = [
            (self._fuel(spec) if isinstance(spec, BoilerAsset) else self.power_value)
            / float(np.mean(self._per_kw(name, spec)))
            for name, spec in makers.items()
        ]
        return min(costs, default=0.0)


def _loss_per_h(spec: TankAsset) -> float:
    return spec.loss_kw_per_k / spec.capacity_kwh_per_k
