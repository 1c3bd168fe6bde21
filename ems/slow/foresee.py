"""Foresees what a plan rests on: from the measured past, the stored past and what is published. Never the truth.

Law: everything here reads `now` once and nothing that lies after it but published forecasts that were issued before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from ems.config.asset_models import planned_assets
from ems.config.assets import (
    BatteryAsset,
    BuildingAutomation,
    ChargePointAsset,
    GensetAsset,
    HeatPumpAsset,
)
from ems.config.binding import Bindings
from ems.config.heat_assets import BoilerAsset, HeatMaker
from ems.config.site import Site
from ems.config.site_parts import first_part
from ems.slow.feed_desk import POINTS, WIND, FeedDesk, Label, is_windy
from ems.slow.generation import Generation
from ems.slow.load_ladders import LoadLadders
from ems.slow.loads import Loads, LoadsForeseen
from ems.slow.market import POINTS as MARKET
from ems.slow.market import Market
from ems.slow.measured_past import STEP_S, MeasuredPast, Table
from ems.slow.running import running
from ems.slow.situation import AssetNow
from ems.slow.sunshine import Sunshine
from ems.slow.throughput import left_kwh
from ems.slow.under_way import under_way
from ems.slow.zone_watch import ZoneWatch
from optimization.assets.ev_session import EvSession
from optimization.forecast.building import fading_kw
from optimization.forecast.ev import expected_stays, shared_out, similar_stays, typical_guest, without_overlap
from optimization.forecast.past import DAY_S, Past, epoch_s, slot_middles_s, slot_pieces
from optimization.forecast.published import Rung
from optimization.slots import Floats, Slots

OUTDOOR_DECAY_S = 3.0 * 3600.0
OVERSTAY = timedelta(hours=1)
LIMIT_HELD_S = 3600.0
"""A limit of building automation is taken to stay as it is for so long."""

Cars = Mapping[str, tuple[EvSession, ...]]


@dataclass(frozen=True, slots=True, eq=False)
class StoredPast:
    """What came with the site.

    Args:
        load: residual load of all `load` assets together [kW].
        sessions: all stays of cars, in order of arrival.
        metered: metered loads and loads of heat, by asset id [kW].
        places: the stays by park or charge point, where the file names one.
    """

    load: Past
    sessions: tuple[EvSession, ...] = ()
    metered: Mapping[str, Past] = field(default_factory=dict)
    places: Mapping[str, tuple[EvSession, ...]] = field(default_factory=dict)

    def stays(self, name: str, park: str | None) -> tuple[EvSession, ...]:
        """Give the stays of a charge point: those of its park, else its own, else those that name no place."""
        return self.places.get(park or name, self.places.get(name, () if self.places else self.sessions))


@dataclass(frozen=True, slots=True, eq=False)
class Foresight:
    """Everything foreseen, on the slots, arrays of shape (n,).

    Args:
        price: published energy price [currency/kWh].
        carbon: intensity of grid import [kg/kWh].
        outdoor_c: outdoor temperature [degC].
        irradiance: on the plane of the modules [W/m2].
        load_kw: what no device meters, all `load` assets together [kW]; None while nothing is known of it.
        pv_kw: generation that sun or wind and the rating allow, by asset id [kW].
        cars: present and expected, by asset id.
        mass_c: building mass now, by asset id [degC]; a zone never measured is missing.
        labels: how good each published series and the load are.
        metered_kw: each metered load, by asset id [kW]; one of which nothing is known is missing.
        limit_kw: what building automation will allow, by asset id [kW]; inf where no limit is foreseen.
        unknown_kw: heat into a zone's air that its model does not explain, by asset id [kW].
        running: whether a genset or a maker of heat runs and for how long it has or has not [s], by asset id.
        heat_kw: each load of heat, by asset id [kW]; one of which nothing is known is missing.
        arriving_kw: what is under way in each pipe, before its losses, by asset id [kW].
        methods: by which method each load is foreseen, by asset id and `load`; empty where nobody chooses.
        spread_kw: how far off quantiles lie, of loads and plants, by asset id and `load`; see `LoadsForeseen`.
        left_kw: what makers of heat take while they are left alone, by asset id [kW].
        warranty_kwh: what its warranty leaves a battery to discharge, by asset id [kWh]; missing where nobody counts.
    """

    price: Floats
    carbon: Floats
    outdoor_c: Floats
    irradiance: Floats
    load_kw: Floats | None
    pv_kw: Mapping[str, Floats]
    cars: Cars
    mass_c: Mapping[str, float]
    labels: Mapping[str, Label]
    metered_kw: Mapping[str, Floats] = field(default_factory=dict)
    limit_kw: Mapping[str, Floats] = field(default_factory=dict)
    unknown_kw: Mapping[str, Floats] = field(default_factory=dict)
    warranty_kwh: Mapping[str, float] = field(default_factory=dict)
    running: Mapping[str, tuple[bool, float]] = field(default_factory=dict)
    heat_kw: Mapping[str, Floats] = field(default_factory=dict)
    arriving_kw: Mapping[str, Floats] = field(default_factory=dict)
    methods: Mapping[str, str] = field(default_factory=dict)
    spread_kw: Mapping[str, Floats] = field(default_factory=dict)
    left_kw: Mapping[str, Floats] = field(default_factory=dict)

    @property
    def loads(self) -> LoadsForeseen:
        """What of this is about loads."""
        spread_kw = {name: told for name, told in self.spread_kw.items() if name not in self.pv_kw}
        return LoadsForeseen(self.load_kw, self.metered_kw, self.heat_kw, self.methods, spread_kw, self.left_kw)

    @property
    def degraded(self) -> tuple[str, ...]:
        """Name what does not rest on fresh knowledge; the plan is then labelled `degraded forecast`."""
        return tuple(name for name, label in self.labels.items() if label.rung is not Rung.FRESH)


@dataclass(frozen=True, slots=True, eq=False)
class Sky:
    """The weather of a foresight and what follows from it, and its loads: a part of `Foresight`, fields as there.

    `issued_at` is the instant at which it was foreseen.
    """

    slots: Slots
    pv_kw: Mapping[str, Floats]
    outdoor_c: Floats
    irradiance: Floats
    mass_c: Mapping[str, float]
    unknown_kw: Mapping[str, Floats] = field(default_factory=dict)
    loads: LoadsForeseen = field(default_factory=LoadsForeseen)
    issued_at: datetime | None = None

    @classmethod
    def of(cls, slots: Slots, whole: Foresight, now: datetime) -> Sky:
        """Take it from a whole foresight of this instant."""
        air = whole.outdoor_c, whole.irradiance
        return cls(slots, whole.pv_kw, *air, whole.mass_c, whole.unknown_kw, whole.loads, now)


class Foreseer:
    """Foresees for one site.

    Args:
        site: the site.
        bindings: which point measures what.
        desk: what is published.
        measured: what this site has measured.
        stored: what came with the site.
        zones: watches the heated zones.
        ladders: choose by which method each series is foreseen; None for the calendar and models alone.
        market: what was published of prices and carbon before this start; None for nothing.
    """

    def __init__(
        self,
        site: Site,
        bindings: Bindings,
        *,
        desk: FeedDesk,
        measured: MeasuredPast,
        stored: StoredPast,
        zones: ZoneWatch,
        ladders: LoadLadders | None = None,
        market: Market | None = None,
    ) -> None:
        self._site, self._bindings, self._first = site, bindings, first_part(site)
        self._desk, self._measured, self._stored, self._zones = desk, measured, stored, zones
        self._zone = ZoneInfo(site.file.site.timezone)
        self._weather = (*POINTS["weather"], WIND) if is_windy(site) else POINTS["weather"]
        self._sunshine = Sunshine(site, desk)
        self._loads = Loads(site, bindings, ladders)
        self._generation = Generation(site, bindings, ladders)
        self._market = Market(desk, ladders) if market is None else market
        self._car_since: dict[str, datetime] = {}

    def foresee(self, slots: Slots, now: datetime, situation: Mapping[str, AssetNow], sessions: Cars) -> Foresight:
        """Foresee everything; `sessions` are the cars that stand there and have said what they want, by asset id."""
        table = self._measured.table(now)
        air, labels = self._air(slots, now, situation)
        past, series = self._past_air(table), dict[str, Floats]()
        plants = self._generation.modelled(table, slots, now, past=past, foreseen=air)
        beside = {**plants.known, **self._market.known(now)}
        loads = self._loads.foresee(self._stored, table, slots, now, beside)
        pv_kw, spread_kw = self._generation.foresee(plants, now)
        for point in MARKET:
            series[point], labels[point] = self._market.foresee(point, slots, now)
        labels["load"] = Label(Rung.FLAT if loads.unmetered_kw is None else Rung.FRESH, now, "measured and stored past")
        mass_c, unknown_kw = self._heated(table, slots, now, past["irradiance_w_m2"])
        return Foresight(
            price=series["price"],
            carbon=series["carbon"],
            outdoor_c=air["outdoor_c"],
            irradiance=air["irradiance_w_m2"],
            load_kw=loads.unmetered_kw,
            pv_kw=pv_kw,
            cars=self._cars(table, slots, now, situation=situation, sessions=sessions),
            mass_c=mass_c,
            labels=labels,
            metered_kw=loads.metered_kw,
            limit_kw=self._limits(table, slots, now, situation),
            unknown_kw=unknown_kw,
            warranty_kwh=self._warranties(table, slots, now),
            running=self._running(table, situation),
            heat_kw=loads.heat_kw,
            methods=loads.methods,
            spread_kw={**loads.spread_kw, **spread_kw},
            left_kw=loads.left_kw,
            arriving_kw=under_way(self._site, self._bindings, table, slots),
        )

    def foresee_sky(
        self, slots: Slots, now: datetime, situation: Mapping[str, AssetNow], loads: LoadsForeseen | None = None
    ) -> Sky:
        """Foresee the weather and what follows from it, plants by their models alone; a passing cloud does not count.

        Args:
            slots: the horizon.
            now: the present instant.
            situation: what is measured.
            loads: what a whole foresight of this instant holds of them; None to foresee them, too.
        """
        table = self._measured.table(now)
        air, _ = self._air(slots, now, situation)
        past = self._past_air(table)
        plants = self._generation.modelled(table, slots, now, past=past, foreseen=air, calm=True)
        loads = self._loads.foresee(self._stored, table, slots, now, {}) if loads is None else loads
        heated = self._heated(table, slots, now, past["irradiance_w_m2"])
        return Sky(slots, plants.spare_kw, air["outdoor_c"], air["irradiance_w_m2"], *heated, loads, now)

    def _air(
        self, slots: Slots, now: datetime, situation: Mapping[str, AssetNow]
    ) -> tuple[dict[str, Floats], dict[str, Label]]:
        """Take the weather as published, without negative sun, corrected by what is measured outdoors."""
        found = {point: self._desk.foresee(point, slots, now) for point in self._weather}
        labels = {point: label for point, (_, label) in found.items()}
        told, labels = self._sunshine.foresee({p: filled.value for p, (filled, _) in found.items()}, labels, slots, now)
        sun = np.maximum(told["irradiance_w_m2"], 0.0)
        outdoor = self._corrected_outdoor(told["outdoor_c"], slots, situation)
        is_told = self._site.file.feeds.weather is not None
        return {**told, "irradiance_w_m2": sun, "outdoor_c": outdoor}, labels if is_told else {}

    def _past_air(self, table: Table) -> dict[str, Floats]:
        told = {point: self._desk.published(point, table.at_s, STEP_S) for point in self._weather}
        return self._sunshine.published(told, table.at_s, STEP_S)

    def _corrected_outdoor(self, published: Floats, slots: Slots, situation: Mapping[str, AssetNow]) -> Floats:
        """Shift the published temperature by what is measured outdoors, fading out over hours."""
        measured = [asset.values["outdoor_c"] for asset in situation.values() if "outdoor_c" in asset.values]
        if not measured:
            return published
        error_k = float(np.mean(measured)) - float(published[0])
        return published + error_k * np.exp(-slots.offset_s / OUTDOOR_DECAY_S)

    def residual_past(self, table: Table) -> Past:
        """Give the stored and measured past of what the grid meter shows and no device explains [kW]."""
        return self._loads.residual_past(self._stored, table)

    def metered_past(self, name: str, table: Table) -> Past:
        """Give the stored and measured past of a metered load [kW]."""
        return self._loads.metered_past(self._stored, name, table)

    def heat_past(self, name: str, table: Table) -> Past:
        """Give the stored and measured past of a load of heat [kW]."""
        return self._loads.heat_past(self._stored, name, table)

    def load_ahead(self, name: str, past: Past, at_s: Floats, now: datetime) -> Floats | None:
        """Foresee a load at any instants ahead [s since 1970] by its past; None if nothing is known of it [kW]."""
        return self._loads.ahead(name, past, at_s, now)

    def day_errors(self, name: str, before: int) -> Mapping[int, Floats]:
        """Tell how what was foreseen of a load's days before one went wrong, by day of UTC [kW]; see `LoadLadders`."""
        return self._loads.day_errors(name, before)

    def _warranties(self, table: Table, slots: Slots, now: datetime) -> dict[str, float]:
        horizon_s = float(slots.duration_s.sum())
        return {
            name: left_kwh(per_day, table.past(self._bindings.measure(name, "power_kw")), now, horizon_s)
            for name, spec in planned_assets(self._site).items()
            if isinstance(spec, BatteryAsset) and (per_day := spec.warranty_kwh_per_day) is not None
        }

    def _running(self, table: Table, situation: Mapping[str, AssetNow]) -> dict[str, tuple[bool, float]]:
        found = {}
        for name, spec in self._site.file.assets.items():
            role = "fuel_kw" if isinstance(spec, BoilerAsset) else "power_kw"
            if isinstance(spec, GensetAsset | HeatMaker) and role in situation[name].values:
                past = table.past(self._bindings.measure(name, role))
                found[name] = running(situation[name].values[role], past, spec.rated_kw)
        return found

    def _limits(
        self, table: Table, slots: Slots, now: datetime, situation: Mapping[str, AssetNow]
    ) -> dict[str, Floats]:
        """Foresee limits of building automation: as now for an hour, then as on the last day at the same time of UTC.

        Where nothing was published then, no limit is foreseen; the least of a slot counts.
        """
        at_s, slot = slot_pieces(slots)
        ahead_s, first = at_s - epoch_s(now), np.flatnonzero(np.diff(slot, prepend=-1))
        day_before_s = at_s - DAY_S * np.maximum(1.0, np.ceil((ahead_s + STEP_S) / DAY_S))
        found: dict[str, Floats] = {}
        for name, spec in self._site.file.assets.items():
            for role, asset in spec.limits.items() if isinstance(spec, BuildingAutomation) else ():
                seen = table.past(self._bindings.measure(name, role)).at(day_before_s)
                now_kw = situation[asset].limit_kw if asset in situation else None
                kw = np.where(np.isnan(seen), np.inf, seen)
                kw = np.where((ahead_s < LIMIT_HELD_S) & (now_kw is not None), now_kw or 0.0, kw)
                least = np.minimum.reduceat(kw, first)
                found[asset] = np.minimum(least, found.get(asset, least))
        return found

    def _heated(
        self, table: Table, slots: Slots, now: datetime, past_sun: Floats
    ) -> tuple[dict[str, float], dict[str, Floats]]:
        """Estimate the mass of each heated zone [degC], and foresee the heat that its model does not explain [kW]."""
        heated = [name for name, spec in planned_assets(self._site).items() if isinstance(spec, HeatPumpAsset)]
        found = {name: self._zones.estimate(name, table, past_sun, epoch_s(now)) for name in heated}
        known = {name: estimate for name, estimate in found.items() if estimate is not None}
        ahead_s = slot_middles_s(slots) - epoch_s(now)
        unknown_kw = {name: fading_kw(estimate.unknown_kw, ahead_s) for name, estimate in known.items()}
        return {name: estimate.mass_c for name, estimate in known.items()}, unknown_kw

    def _cars(
        self, table: Table, slots: Slots, now: datetime, *, situation: Mapping[str, AssetNow], sessions: Cars
    ) -> dict[str, tuple[EvSession, ...]]:
        expected = self.expected_cars(now, slots.end)
        found = {}
        for name, spec in planned_assets(self._site).items():
            if isinstance(spec, ChargePointAsset):
                connected = situation[name].values.get("state", 0.0) >= 1.0
                here = self._standing(name, spec, table, now, sessions.get(name, ())) if connected else []
                if not connected:
                    self._car_since.pop(name, None)
                found[name] = without_overlap(here, expected[name])
        return found

    def expected_cars(
        self, now: datetime, until: datetime, after: datetime | None = None
    ) -> dict[str, list[EvSession]]:
        """Foresee the cars of each charge point that come after an instant; those of a park share its points."""
        points = {n: spec for n, spec in planned_assets(self._site).items() if isinstance(spec, ChargePointAsset)}
        parks: dict[str, list[str]] = {}
        for name, spec in points.items():
            shares = spec.park is not None and spec.park in self._stored.places
            parks.setdefault(spec.park if shares and spec.park else name, []).append(name)
        found: dict[str, list[EvSession]] = {}
        for names in parks.values():
            stays = self._stored.stays(names[0], points[names[0]].park)
            coming = expected_stays(stays, now, until, self._zone, after=after)
            shared = shared_out(coming, after or now, len(names))
            found |= dict(zip(names, shared, strict=True))
        return found

    def similar_stays(self, name: str, arrival: datetime, now: datetime) -> list[EvSession]:
        """Give the past stays that that of a car at a charge point may be like, of which nobody said anything."""
        spec = planned_assets(self._site)[name]
        park = spec.park if isinstance(spec, ChargePointAsset) else None
        return similar_stays(self._stored.stays(name, park), arrival, now, self._zone)

    def _standing(
        self, name: str, spec: ChargePointAsset, table: Table, now: datetime, given: tuple[EvSession, ...]
    ) -> list[EvSession]:
        """Describe the car that stands there: as it said, else as a typical one less what it has been given so far."""
        told = [_staying(car, now) for car in given if not car.expected]
        if told:
            return told
        since = given[0].arrival if given else self._car_since.setdefault(name, now)
        guest = typical_guest(self._stored.stays(name, spec.park), since, now, self._zone)
        power = table.past(self._bindings.measure(name, "power_kw")).since(epoch_s(since)).known()
        given_kwh = spec.efficiency * float(power.value.sum()) * STEP_S / 3600.0
        charge_kw = given[0].charge_kw if given else None
        return [replace(guest, energy_kwh=max(0.0, guest.energy_kwh - given_kwh), charge_kw=charge_kw)]


def _staying(car: EvSession, now: datetime) -> EvSession:
    """Take a car that stands there past the departure it named to stay another hour."""
    return car if car.departure > now else replace(car, departure=now + OVERSTAY)
