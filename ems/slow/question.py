"""Puts the planner's question together: measured state, foresight, limits, prices -> Problem."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np

from ems.comfort import comfort_band, inside
from ems.config.asset_models import PlannedAsset, asset_models, heat_models, planned_assets
from ems.config.assets import (
    BatteryAsset,
    ChargePointAsset,
    DeferrableAsset,
    GensetAsset,
    HeatPumpAsset,
    LoadAsset,
    MeteredLoad,
)
from ems.config.binding import Bindings
from ems.config.flexibility_models import envelopes, reserves
from ems.config.heat_assets import ElectricHeater, HeatLoadAsset, PipeAsset
from ems.config.hybrid_asset import HybridAsset
from ems.config.inverter_models import inverters, planned_inverters, set_inverters
from ems.config.site import Planning, Site
from ems.config.step_models import as_of, stepped
from ems.limits.in_force import InForce, foreseen
from ems.run_window import run_window
from ems.slow.elsewhere import tariff_series, tariffs_elsewhere
from ems.slow.end_values import battery_end, heat_value, mean_price, stored_value
from ems.slow.foresee import Foresight
from ems.slow.heat_side import HELD_S, HeatSide, heater_inputs, known_nodes, without_heat, without_overridden
from ems.slow.hybrids import hybrid_inputs, unsteered_kw
from ems.slow.running import begun
from ems.slow.situation import AssetNow
from ems.standing import Override
from optimization.assets import (
    Asset,
    Battery,
    BatteryInputs,
    ChargePoint,
    ChargePointInputs,
    Deferrable,
    DeferrableInputs,
    EvSession,
    Genset,
    GensetInputs,
    HeatPump,
    HeatPumpInputs,
    Hybrid,
    Inputs,
    Load,
    LoadInputs,
    PipeInputs,
    Pv,
    Wind,
)
from optimization.assets.deferrable import StartWindow
from optimization.forecast.building import zone_gains_kw
from optimization.groups import PowerGroup
from optimization.holding import hold, limited
from optimization.network import Network
from optimization.problem import (
    AcVerdict,
    CarbonBudget,
    Charge,
    Connection,
    DemandTerms,
    EnergyTiers,
    Plan,
    Problem,
    Refused,
    SlidingDemand,
    Subscription,
    TariffSeries,
)
from optimization.reactive import Inverter
from optimization.season import Worth
from optimization.slots import Floats, Slots, chain
from optimization.steps import Stepped
from optimization.tariff import Tariff
from optimization.weights import Weights

SLIVER_S = 300.0


def plan_slots(now: datetime, planning: Planning) -> Slots:
    """Lay the horizon: always the same number of slots, fine ones first, coarse ones from `coarse_after_h` on.

    The first slot is what remains of the running step, counted from the running minute; a remainder of less than five
    minutes is joined with the step after it, so that no power is ever planned for a sliver. All other fine slots are
    whole steps of UTC. The first coarse slot leads from them to the next whole coarse step; all others are whole ones.
    """
    start, step_s, coarse_s = now.replace(second=0, microsecond=0), planning.step_s, planning.coarse_step_s
    remaining_s = step_s - start.timestamp() % step_s
    first_s = remaining_s if remaining_s >= min(SLIVER_S, step_s) else remaining_s + step_s
    fine_h = min(planning.coarse_after_h or planning.horizon_h, planning.horizon_h)
    fine, coarse = max(1, round(fine_h * 3600.0 / step_s)), round((planning.horizon_h - fine_h) * 3600.0 / coarse_s)
    durations_s = [first_s] + [step_s] * (fine - 1)
    if coarse:
        bridge_s = coarse_s - (start.timestamp() + sum(durations_s)) % coarse_s
        durations_s += [bridge_s if bridge_s >= min(step_s, coarse_s) else bridge_s + coarse_s]
        durations_s += [coarse_s] * (coarse - 1)
    return chain(start, durations_s)


@dataclass(frozen=True, slots=True, eq=False)
class Questioner:
    """Asks for one site.

    Args:
        site: the site.
        bindings: declares the safe values.
        tariff: turns published prices into what is paid.
        models: the planner's description of every asset, by id.
        inverters: those that follow curves of their own, by asset id.
        may_set: those whose reactive power a plan may set, as it may.
        steps: tap changers and capacitor banks, as they stand by the site's files.
    """

    site: Site
    bindings: Bindings
    tariff: Tariff
    models: Mapping[str, Asset]
    inverters: Mapping[str, Inverter] = field(default_factory=dict)
    may_set: Mapping[str, Inverter] = field(default_factory=dict)
    steps: Mapping[str, Stepped] = field(default_factory=dict)

    @property
    def zone(self) -> ZoneInfo:
        """Zone of the site's wall clock."""
        return ZoneInfo(self.site.file.site.timezone)

    @classmethod
    def of(cls, site: Site, bindings: Bindings, tariff: Tariff, buses: Mapping[str, int]) -> Questioner:
        """Make one; `buses` maps bus names to the grid's indices."""
        models, grid_path = asset_models(site, buses) | heat_models(site), site.folder / site.file.grid.file
        return cls(site, bindings, tariff, models, inverters(site), set_inverters(site), stepped(site, grid_path))

    def ask(
        self,
        slots: Slots,
        situation: Mapping[str, AssetNow],
        foresight: Foresight,
        *,
        network: Network | None = None,
        previous: Plan | None = None,
        overrides: Mapping[str, Override] | None = None,
        terms: tuple[DemandTerms | SlidingDemand | None, CarbonBudget | None] = (None, None),
        tiers: EnergyTiers | None = None,
        further: Sequence[Charge] = (),
        limits: Iterable[InForce] = (),
        worths: Mapping[str, Worth] | None = None,
    ) -> Problem | Refused:
        """Put the question together; refused only while nothing at all is known of the load.

        What people override is held until the override's end, and what building automation limits keeps the limit that
        is foreseen; neither binds a device that is not steered. What the grid operator allows holds until its end.
        `worths` tells what is left in a store is worth, by asset id, where somebody looked ahead beyond the horizon.
        """
        if foresight.load_kw is None and any(isinstance(a, LoadAsset) for a in self.site.file.assets.values()):
            return Refused(
                ("nothing is known of the load: no stored past and no good value of the grid meter; wait for one, "
                 "or give series.load in site.yaml",)
            )  # fmt: skip
        if silent := self._silent(foresight):
            remedy = "no stored past and no good value of its meter; wait for one, or give it a column in series.load"
            return Refused(tuple(f"nothing is known of {name}: {remedy}" for name in silent))
        tariff, others = tariff_series(self.site, slots, foresight), tariffs_elsewhere(self.site, slots, foresight)
        assets, inputs, held = [], {}, {}
        situation = without_overridden(self.site, situation, overrides or {})
        nodes = known_nodes(self.site, situation)
        for name, spec in planned_assets(self.site).items():
            here = others.get(spec.connection, tariff)
            asset, given = self._planned(name, spec, slots, situation.get(name), foresight, tariff=here)
            if isinstance(asset, Battery) and isinstance(given, BatteryInputs):
                value, drops = battery_end(asset, (worths or {}).get(name), given.end_value_per_kwh)
                given = replace(given, end_value_per_kwh=value, end_drops=drops)
            if isinstance(asset, Genset) and asset.heat_node and asset.heat_node not in nodes:
                asset = without_heat(asset)
            if isinstance(given, DeferrableInputs) and overrides and name in overrides:
                given = asked_for(given, slots, overrides[name])
            assets.append(asset)
            inputs[name] = given
            if overrides and name in overrides and asset.is_chosen:
                held[name] = hold(asset, given, slots, overrides[name].kw, overrides[name].until)
            if name in foresight.limit_kw and asset.is_chosen:
                held[name] = limited(asset, given, slots, foresight.limit_kw[name], held.get(name))
        worth = stored_value(tariff, slots)
        side = HeatSide(
            self.site, self.bindings, self.models, slots, situation, foresight, overrides or {}, worth, worths or {}
        )  # fmt: skip
        heat, heat_inputs = side.asked()
        return Problem(
            slots=slots,
            assets=(*assets, *heat),
            inputs=inputs | heat_inputs,
            tariff=tariff,
            connection=self._connection(slots, limits),
            network=network,
            weights=self._weights(),
            previous=None if previous is None else _kept(previous),
            held=held,
            demand=terms[0],
            carbon_budget=terms[1],
            charges=(*self._charges(tiers), *further, *envelopes(self.site.file, slots, self.zone)),
            groups=self._groups(slots),
            inverters={} if network is None else self._inverters(assets, situation),
            reserves=reserves(self.site.file, slots, self.zone, assets),
            steps={} if network is None else as_of(self.steps, slots.start, self.zone),
        )

    def _inverters(self, assets: Sequence[Asset], situation: Mapping[str, AssetNow]) -> dict[str, Inverter]:
        unset = {name for name, now in situation.items() if now.is_unset}
        return planned_inverters(self.inverters, assets, self.may_set, unset)

    def _silent(self, foresight: Foresight) -> list[str]:
        """Name the loads with a meter of their own, of power or heat, of which nothing is known."""
        known = {MeteredLoad: foresight.metered_kw, HeatLoadAsset: foresight.heat_kw}
        return [n for n, a in self.site.file.assets.items() if type(a) in known and n not in known[type(a)]]

    def _charges(self, tiers: EnergyTiers | None) -> tuple[Charge, ...]:
        subscribed = self.tariff.subscription
        above = None if subscribed is None else Subscription(subscribed.kw, subscribed.excess_per_kwh)
        return tuple(charge for charge in (tiers, above) if charge is not None)

    def _connection(self, slots: Slots, limits: Iterable[InForce]) -> Connection:
        grid = self.site.file.grid
        share = 1.0 - grid.planning_margin_pct / 100.0
        own_kw = (grid.import_limit_kw, grid.export_limit_kw)
        import_kw, export_kw = foreseen(own_kw, limits, slots.start, slots.offset_s)
        return Connection(import_kw * share, export_kw * share)

    def _groups(self, slots: Slots) -> tuple[PowerGroup, ...]:
        share = 1.0 - self.site.file.grid.planning_margin_pct / 100.0
        return tuple(
            PowerGroup(name, group.members, np.full(len(slots), group.limit_kw * share))
            for name, group in self.site.file.groups.items()
        )

    def _weights(self) -> Weights:
        planning = self.site.file.planning
        return Weights(ev_shortfall=planning.ev_shortfall_per_kwh, discomfort=planning.discomfort_per_kh)

    def _planned(
        self,
        name: str,
        spec: PlannedAsset,
        slots: Slots,
        now: AssetNow | None,
        foresight: Foresight,
        *,
        tariff: TariffSeries,
    ) -> tuple[Asset, Inputs]:
        model = self.models[name]
        if isinstance(spec, LoadAsset | MeteredLoad):
            return model, LoadInputs(_demand_kw(name, spec, foresight))
        if now is None or now.blocked:
            return self._unsteered(model, now, slots, foresight)
        if isinstance(spec, PipeAsset):
            return model, PipeInputs(foresight.arriving_kw[name])
        if isinstance(model, Hybrid) and isinstance(spec, HybridAsset):
            return model, hybrid_inputs(model, spec, slots, now, foresight.pv_kw[name], tariff=tariff)
        if isinstance(spec, ElectricHeater):
            return model, heater_inputs(spec, slots, foresight, foresight.running[name])
        return model, self._inputs(model, spec, slots, now, foresight, tariff=tariff)

    def _inputs(
        self,
        model: Asset,
        spec: PlannedAsset,
        slots: Slots,
        now: AssetNow,
        foresight: Foresight,
        *,
        tariff: TariffSeries,
    ) -> Inputs:
        match model:
            case Pv() | Wind():
                return model.given(foresight.pv_kw[model.id])
            case Battery() if isinstance(spec, BatteryAsset):
                return self._store(model, spec, slots, now, foresight, tariff=tariff)
            case ChargePoint() if isinstance(spec, ChargePointAsset):
                return ChargePointInputs(_priced(foresight.cars[model.id], spec.shortfall_per_kwh))
            case HeatPump() if isinstance(spec, HeatPumpAsset):
                return self._zone(model, spec, slots, now, foresight, tariff=tariff)
            case Genset() if isinstance(spec, GensetAsset):
                carbon_price = self.site.file.planning.carbon_price_per_kg * spec.fuel_kg_per_kwh
                fuel_price = np.full(len(slots), spec.fuel_price_per_kwh + carbon_price)
                return GensetInputs(*foresight.running[model.id], fuel_price, spec.fuel_kg_per_kwh)
            case Deferrable() if isinstance(spec, DeferrableAsset):
                window = run_window(spec, slots.start, ZoneInfo(self.site.file.site.timezone))
                done, running_s = begun(spec, now.values["state"], now.values["run_s"], len(model.programmes))
                return DeferrableInputs((window,) * len(model.programmes), mean_price(tariff, slots), done, running_s)
        raise TypeError(f"{model.id}: nothing is known of planning a {type(model).__name__}")

    def _store(
        self,
        model: Battery,
        spec: BatteryAsset,
        slots: Slots,
        now: AssetNow,
        foresight: Foresight,
        *,
        tariff: TariffSeries,
    ) -> BatteryInputs:
        own, reserve_pct = spec.end_value_per_kwh, spec.outage_reserve_pct
        return BatteryInputs(
            energy_kwh=model.capacity_kwh * now.values["soc_pct"] / 100.0,
            end_value_per_kwh=stored_value(tariff, slots) * model.discharge_efficiency if own is None else own,
            reserve_kwh=np.full(len(slots), model.capacity_kwh * reserve_pct / 100.0) if reserve_pct else None,
            throughput_left_kwh=foresight.warranty_kwh.get(model.id),
        )

    def _zone(
        self,
        model: HeatPump,
        spec: HeatPumpAsset,
        slots: Slots,
        now: AssetNow,
        foresight: Foresight,
        *,
        tariff: TariffSeries,
    ) -> HeatPumpInputs:
        air_c = now.values["temperature_c"]
        band = comfort_band(spec.comfort, slots, ZoneInfo(self.site.file.site.timezone))
        low, high = inside(band, self.site.file.planning.comfort_margin_k)
        gains_kw = zone_gains_kw(spec.gains_kw, spec.window_m2, foresight.irradiance)
        return HeatPumpInputs(
            temperature_c=air_c,
            mass_c=foresight.mass_c.get(model.id, air_c),
            outdoor_c=foresight.outdoor_c,
            gains_kw=gains_kw + foresight.unknown_kw.get(model.id, 0.0),
            comfort_low_c=low,
            comfort_high_c=high,
            end_value_per_kwh=heat_value(model, tariff, slots, foresight.outdoor_c, low),
        )

    def _unsteered(
        self, model: Asset, now: AssetNow | None, slots: Slots, foresight: Foresight
    ) -> tuple[Load, LoadInputs]:
        """Plan around a device that nobody steers: its power is foreseen, not chosen."""
        safe_kw = self.bindings.safe_kw(model.id)
        power_kw = now.values.get("power_kw") if now is not None else None
        if isinstance(model, Pv | Wind):
            limit_kw = model.rated_kw if power_kw is not None or safe_kw is None else -safe_kw
            demand = -np.minimum(foresight.pv_kw[model.id], limit_kw)
        else:
            later_kw = np.full(len(slots), safe_kw if safe_kw is not None else power_kw or 0.0)
            if isinstance(model, Hybrid):
                later_kw = unsteered_kw(model, safe_kw, foresight.pv_kw[model.id])
            demand = np.where(slots.offset_s < HELD_S, later_kw if power_kw is None else power_kw, later_kw)
        return Load(model.id, model.bus, model.power_factor), LoadInputs(demand)


def _kept(plan: Plan) -> Plan:
    """Leave of a plan what the next one can depend on."""
    return replace(
        plan, ac=AcVerdict(plan.ac.status), grid_rows=None, solve={}, prices=None, charged=(),
        reactive_kvar={}, inverter_v_pu={}, held_reserves={}, survived=None,
    )  # fmt: skip


def _priced(cars: tuple[EvSession, ...], price: float | None) -> tuple[EvSession, ...]:
    """Give cars the price of their charge point [currency/kWh], those that have one of their own aside."""
    return tuple(replace(car, shortfall_price=price) if car.shortfall_price is None else car for car in cars)


def _demand_kw(name: str, spec: LoadAsset | MeteredLoad, foresight: Foresight) -> Floats:
    """Give what is foreseen of a load; a metered one has a forecast of its own."""
    if isinstance(spec, MeteredLoad):
        return foresight.metered_kw[name]
    assert foresight.load_kw is not None
    return spec.residual_share * foresight.load_kw


def asked_for(given: DeferrableInputs, slots: Slots, override: Override) -> DeferrableInputs:
    """Let a run begin now that somebody asks for, or not before the end of his request."""
    if given.running_s is not None or given.done == len(given.windows):
        return given
    if override.kw > 0.0:
        return replace(given, running_s=0.0)
    until = override.until or slots.end
    windows = tuple(StartWindow(max(w.earliest, until), max(w.latest, until)) for w in given.windows)
    return replace(given, windows=windows)
